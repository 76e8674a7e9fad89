//! Where a circuit has its uploaded ciphertexts from: any of them, any number of times, at the level at which it needs
//! them.
//!
//! So a circuit says what it wants next, and whoever feeds it decides what stays in memory. A list of ciphertexts is
//! the simplest source.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ciphertune_ckks::{Error, Result};

/// Memory that a circuit may take beside what is kept of the upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Working {
    /// Bytes for what it holds while the data pass by: rotations and sums.
    pub held: usize,
    /// Bytes for products that are made at once.
    pub products: usize,
    /// Bytes for the data that they are made of, where these are not in memory anyway.
    pub data: usize,
}

impl Working {
    /// What is best where everything is kept.
    pub const USUAL: Working = Working { held: 256 << 20, products: 64 << 20, data: usize::MAX };

    /// Where data may be read again: `held` bytes for what is held, and a quarter of that each for products and for
    /// data.
    pub const fn reading(held: usize) -> Self {
        Self { held, products: held / 4, data: held / 4 }
    }
}

/// A source of uploaded ciphertexts, in the order of [`super::Layout::inputs`].
pub trait Upload<C>: Send + Sync {
    /// Number of ciphertexts.
    fn count(&self) -> usize;

    /// The ciphertexts at some places, each at `level` or above it; at its own level where that is lower.
    ///
    /// # Errors
    ///
    /// If a place does not exist, or the source fails.
    fn fetch(&self, places: &[usize], level: usize) -> Result<Vec<C>>;

    /// As [`Self::fetch`], for places that nobody will ask for again.
    ///
    /// # Errors
    ///
    /// As [`Self::fetch`].
    fn take(&mut self, places: &[usize], level: usize) -> Result<Vec<C>> {
        self.fetch(places, level)
    }

    /// Tells that nothing will be asked for above `level` from now on.
    fn lower(&self, _level: usize) {}

    /// Memory that a circuit may take for itself.
    fn working(&self) -> Working {
        Working::USUAL
    }
}

impl<C: Clone + Send + Sync> Upload<C> for Vec<C> {
    fn count(&self) -> usize {
        self.len()
    }

    fn fetch(&self, places: &[usize], _level: usize) -> Result<Vec<C>> {
        let one =
            |&place: &usize| self.get(place).cloned().ok_or(Error::Length { found: self.len(), expected: place + 1 });
        places.iter().map(one).collect()
    }
}

/// Where uploaded ciphertexts are read from, and what is known of them.
pub trait Store: Send + Sync {
    /// What is read.
    type Ciphertext: Clone + Send + Sync;

    /// Reads the ciphertexts at some places, each at `level`, or at its own where that is lower.
    ///
    /// # Errors
    ///
    /// If the source fails.
    fn read(&self, places: &[usize], level: usize) -> Result<Vec<Self::Ciphertext>>;

    /// A copy of a ciphertext at a lower level.
    fn lowered(&self, ciphertext: &Self::Ciphertext, level: usize) -> Self::Ciphertext;
}

/// What memory an upload may take, and the circuit beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of ciphertexts that are kept.
    pub kept: usize,
    /// See [`Upload::working`].
    pub working: Working,
}

impl Room {
    /// For everything.
    pub const PLENTY: Room = Room { kept: usize::MAX, working: Working::USUAL };
}

/// An upload of which as much is kept in memory as there is room for; the rest is read again whenever it is asked for.
///
/// What was read first is kept, and nothing makes way for anything else: a training asks for everything in turn, and
/// whatever was used last is wanted again last. When no more than a lower level is wanted, what is kept is cut down to
/// it, and the room is used for more.
pub struct Kept<S: Store> {
    store: S,
    /// Level of every ciphertext as it was encrypted.
    levels: Vec<usize>,
    /// Bytes of a ciphertext at every level.
    sizes: Vec<usize>,
    room: Room,
    /// Whether everything is kept, so that there is nothing to make room for.
    everything: bool,
    now: Mutex<Now<S::Ciphertext>>,
}

struct Now<C> {
    kept: Vec<Option<C>>,
    bytes: usize,
    /// The highest level that is still wanted.
    level: usize,
}

impl<S: Store> Kept<S> {
    /// How many ciphertexts of these levels, from the first, are kept from the beginning, given the bytes of one at
    /// every level.
    pub fn from_the_beginning(levels: &[usize], sizes: &[usize], room: Room) -> usize {
        let mut bytes = 0usize;
        let fits = |level: &&usize| {
            bytes = bytes.saturating_add(sizes[**level]);
            bytes <= room.kept
        };
        levels.iter().take_while(fits).count()
    }

    /// Of a store whose ciphertexts have these levels, and these bytes at every level; `kept` are those that were kept
    /// from the beginning.
    pub fn new(store: S, levels: Vec<usize>, sizes: Vec<usize>, room: Room, kept: Vec<Option<S::Ciphertext>>) -> Self {
        let levels_kept = levels.iter().zip(&kept).filter(|(_, kept)| kept.is_some());
        let bytes = levels_kept.map(|(level, _)| sizes[*level]).sum();
        let level = levels.iter().copied().max().unwrap_or(0);
        let everything = kept.iter().all(Option::is_some);
        Self { store, levels, sizes, room, everything, now: Mutex::new(Now { kept, bytes, level }) }
    }

    fn now(&self) -> MutexGuard<'_, Now<S::Ciphertext>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> Upload<S::Ciphertext> for Kept<S> {
    fn count(&self) -> usize {
        self.levels.len()
    }

    fn fetch(&self, places: &[usize], level: usize) -> Result<Vec<S::Ciphertext>> {
        if let Some(place) = places.iter().find(|place| **place >= self.levels.len()) {
            return Err(Error::Length { found: self.levels.len(), expected: place + 1 });
        }
        let found: Vec<Option<S::Ciphertext>> = {
            let now = self.now();
            places.iter().map(|&place| now.kept[place].clone()).collect()
        };
        let missing: Vec<usize> =
            places.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(place, _)| *place).collect();
        if missing.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        let read = self.store.read(&missing, level)?;
        let mut now = self.now();
        for (&place, ciphertext) in missing.iter().zip(&read) {
            let own = self.levels[place].min(now.level);
            let bytes = self.sizes[own];
            // Without all its limbs it would not serve the next time.
            if level >= own && now.bytes.saturating_add(bytes) <= self.room.kept {
                now.bytes += bytes;
                now.kept[place] = Some(ciphertext.clone());
            }
        }
        let mut read = read.into_iter();
        Ok(found.into_iter().filter_map(|found| found.or_else(|| read.next())).collect())
    }

    fn take(&mut self, places: &[usize], level: usize) -> Result<Vec<S::Ciphertext>> {
        let found = self.fetch(places, level)?;
        let mut now = self.now();
        for &place in places {
            if now.kept[place].take().is_some() {
                now.bytes -= self.sizes[self.levels[place].min(now.level)];
            }
        }
        Ok(found)
    }

    fn lower(&self, level: usize) {
        let mut now = self.now();
        if level >= now.level || self.everything {
            return;
        }
        let before = now.level;
        for (place, own) in self.levels.iter().enumerate().filter(|(_, own)| **own > level) {
            if let Some(ciphertext) = now.kept[place].take() {
                now.bytes -= self.sizes[*own.min(&before)] - self.sizes[level];
                now.kept[place] = Some(self.store.lowered(&ciphertext, level));
            }
        }
        now.level = level;
    }

    fn working(&self) -> Working {
        self.room.working
    }
}
