//! Reused memory: a process-wide pool of word buffers, so that arithmetic in a steady state allocates nothing.
//!
//! A polynomial is megabytes; returned to the operating system after every operation it would be faulted in page by page at the
//! next. The pool keeps as much as [`raise_pool_limit`] allows; where that is exceeded, blocks of the size that has not been asked for the
//! longest go back first.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use zeroize::Zeroize;

/// The least that the pool may keep for reuse, in bytes.
const LEAST_LIMIT: usize = 64 << 20;

/// Allows the pool to keep `bytes` for reuse, if that is more than it may already.
pub(crate) fn raise_pool_limit(bytes: usize) {
    if let Ok(mut free) = POOL.free.lock() {
        free.limit = free.limit.max(bytes);
    }
}

/// A block of words that goes back to the pool when dropped.
#[derive(Debug, Default)]
pub struct Buffer {
    words: Vec<u64>,
}

impl Buffer {
    /// A buffer of `len` words with arbitrary contents, for results that overwrite every word.
    pub fn dirty(len: usize) -> Self {
        let Some(mut words) = POOL.take(len) else {
            // Zeros straight from the operating system, not written once more.
            return Self { words: vec![0; len] };
        };
        if words.len() > len {
            words.truncate(len);
        } else {
            words.resize(len, 0);
        }
        Self { words }
    }

    /// A buffer of `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::dirty(len);
        buffer.fill(0);
        buffer
    }

    /// Overwrites the contents with zeros in a way that the compiler may not remove.
    pub fn zeroize(&mut self) {
        self.words.zeroize();
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::dirty(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Buffer {
    type Target = [u64];
    fn deref(&self) -> &[u64] {
        &self.words
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        POOL.give(std::mem::take(&mut self.words));
    }
}

static POOL: Pool =
    Pool { free: Mutex::new(Free { by_capacity: BTreeMap::new(), bytes: 0, limit: LEAST_LIMIT, clock: 0 }) };

struct Pool {
    free: Mutex<Free>,
}

struct Free {
    by_capacity: BTreeMap<usize, Class>,
    bytes: usize,
    limit: usize,
    /// Counts the blocks that were asked for.
    clock: u64,
}

/// Blocks of one capacity.
#[derive(Default)]
struct Class {
    blocks: Vec<Vec<u64>>,
    /// When a block of this class was last taken or first given.
    used: u64,
}

impl Pool {
    /// A free block of at least `len` words and at most twice that.
    fn take(&self, len: usize) -> Option<Vec<u64>> {
        let mut free = self.free.lock().ok()?;
        free.clock += 1;
        let now = free.clock;
        let mut classes = free.by_capacity.range_mut(len..=2 * len);
        let (&capacity, class) = classes.find(|(_, class)| !class.blocks.is_empty())?;
        class.used = now;
        let block = class.blocks.pop()?;
        free.bytes -= 8 * capacity;
        Some(block)
    }

    fn give(&self, block: Vec<u64>) {
        if block.capacity() == 0 {
            return;
        }
        // What is evicted is freed after the lock is.
        let mut evicted = Vec::new();
        if let Ok(mut free) = self.free.lock() {
            free.insert(block, &mut evicted);
        }
    }
}

impl Free {
    fn insert(&mut self, block: Vec<u64>, evicted: &mut Vec<Vec<u64>>) {
        let (capacity, now) = (block.capacity(), self.clock);
        self.bytes += 8 * capacity;
        let class = self.by_capacity.entry(capacity).or_insert_with(|| Class { used: now, ..Class::default() });
        class.blocks.push(block);
        while self.bytes > self.limit {
            let Some((&capacity, class)) = self.by_capacity.iter_mut().min_by_key(|(_, class)| class.used) else {
                return;
            };
            match class.blocks.pop() {
                Some(block) => {
                    evicted.push(block);
                    self.bytes -= 8 * capacity;
                }
                None => drop(self.by_capacity.remove(&capacity)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_buffer_is_zero_even_when_its_memory_is_reused() {
        for len in [1usize, 1000, 1 << 16] {
            let mut buffer = Buffer::dirty(len);
            buffer.fill(7);
            drop(buffer);
            assert!(Buffer::zeroed(len).iter().all(|&word| word == 0));
            assert_eq!(Buffer::dirty(len).len(), len);
        }
    }

    #[test]
    fn a_wiped_buffer_gives_nothing_but_zeros_back_to_the_pool() {
        // A length that no other test uses, so that this block is the one that comes back.
        const LEN: usize = 77_777;
        let mut secret = Buffer::dirty(LEN);
        secret.fill(0xDEAD_BEEF);
        secret.zeroize();
        drop(secret);
        let again = Buffer::dirty(LEN);
        assert!(again.iter().all(|&word| word == 0));
    }

    #[test]
    fn a_full_pool_gives_up_the_size_that_was_not_asked_for_the_longest() {
        let mut free = Free { by_capacity: BTreeMap::new(), bytes: 0, limit: 8 * 100, clock: 0 };
        let mut evicted = Vec::new();
        for (clock, capacity) in [(1, 40), (2, 30), (3, 20)] {
            free.clock = clock;
            free.insert(Vec::with_capacity(capacity), &mut evicted);
        }
        assert!(evicted.is_empty());
        free.clock = 4;
        free.insert(Vec::with_capacity(30), &mut evicted);
        assert_eq!(evicted.iter().map(Vec::capacity).collect::<Vec<_>>(), [40]);
        assert_eq!(free.bytes, 8 * 80);
    }
}
