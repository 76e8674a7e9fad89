//! Where a circuit has its uploaded ciphertexts from: any of them, any number of times, at the level at which it needs them.
//!
//! So a circuit says what it wants next, and whoever feeds it decides what stays in memory. A list of ciphertexts is the simplest
//! source.

use ciphertune_ckks::{Error, Result};

/// Memory beside the upload that a circuit may take at a time for what is at hand, unless its source says otherwise.
pub const WORKING_BYTES: usize = 256 << 20;

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

    /// Bytes that a circuit may take for the rotations that it holds, as many again for products, and as many for what it gets at once.
    fn working_bytes(&self) -> usize {
        WORKING_BYTES
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
