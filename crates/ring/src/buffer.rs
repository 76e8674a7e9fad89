//! Reused memory: a process-wide pool of word buffers, so that arithmetic in a steady state allocates nothing.
//!
//! A limb block is hundreds of kilobytes; returned to the operating system after every operation it would be faulted
//! in page by page at the next. The pool keeps at most [`POOL_LIMIT_BYTES`].

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use zeroize::Zeroize;

/// The most memory that the pool keeps for reuse.
pub const POOL_LIMIT_BYTES: usize = 64 << 20;

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

static POOL: Pool = Pool { free: Mutex::new(Free { by_capacity: BTreeMap::new(), bytes: 0 }) };

struct Pool {
    free: Mutex<Free>,
}

struct Free {
    by_capacity: BTreeMap<usize, Vec<Vec<u64>>>,
    bytes: usize,
}

impl Pool {
    /// A free block of at least `len` words and at most twice that.
    fn take(&self, len: usize) -> Option<Vec<u64>> {
        let mut free = self.free.lock().ok()?;
        let (&capacity, blocks) = free.by_capacity.range_mut(len..=2 * len).next()?;
        let block = blocks.pop()?;
        if blocks.is_empty() {
            free.by_capacity.remove(&capacity);
        }
        free.bytes -= 8 * capacity;
        Some(block)
    }

    fn give(&self, block: Vec<u64>) {
        let capacity = block.capacity();
        if capacity == 0 {
            return;
        }
        if let Ok(mut free) = self.free.lock()
            && free.bytes + 8 * capacity <= POOL_LIMIT_BYTES
        {
            free.bytes += 8 * capacity;
            free.by_capacity.entry(capacity).or_default().push(block);
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
}
