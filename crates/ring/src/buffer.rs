//! Memory for words: small blocks from the heap, large ones from a process-wide [`Arena`] of huge pages that uses freed
//! memory again, so that arithmetic in a steady state asks the operating system for nothing.

use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

use crate::arena::{Arena, Span};

/// Words from which on a block has pages of its own: half a limb of the smallest ring in use.
const LEAST_PAGES: usize = 1 << 12;

static ARENA: Arena = Arena::new();

/// Gives the memory that is kept for reuse back to the operating system: for a process that goes on after its last
/// training. What is freed later is kept again.
pub fn release_memory() {
    ARENA.release();
}

/// Memory for words.
#[derive(Debug)]
enum Block {
    Heap(Vec<u64>),
    Pages(Span),
}

/// A block of words whose memory is used again when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    /// Only a buffer that is being dropped has none.
    block: Option<Block>,
}

impl Buffer {
    /// A buffer of `len` words with arbitrary contents, for results that overwrite every word.
    pub fn dirty(len: usize) -> Self {
        let pages = if len < LEAST_PAGES { None } else { ARENA.take(len) };
        Self { block: Some(pages.map_or_else(|| Block::Heap(vec![0; len]), Block::Pages)) }
    }

    /// A buffer of `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::dirty(len);
        buffer.fill(0);
        buffer
    }

    /// Overwrites the contents with zeros in a way that the compiler may not remove.
    pub fn zeroize(&mut self) {
        (**self).zeroize();
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
        match &self.block {
            Some(Block::Heap(words)) => words,
            Some(Block::Pages(span)) => span.words(),
            None => &[],
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u64] {
        match &mut self.block {
            Some(Block::Heap(words)) => words,
            Some(Block::Pages(span)) => span.words_mut(),
            None => &mut [],
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(Block::Pages(span)) = self.block.take() {
            ARENA.give(span);
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
    fn a_wiped_buffer_leaves_nothing_but_zeros() {
        for len in [100, 77_777] {
            let mut secret = Buffer::dirty(len);
            secret.fill(0xDEAD_BEEF);
            secret.zeroize();
            assert!(secret.iter().all(|&word| word == 0));
        }
    }
}
