//! Reused memory: a process-wide pool of word buffers, so that arithmetic in a steady state allocates nothing.
//!
//! A polynomial is megabytes; returned to the operating system after every operation it would be faulted in page by page at the
//! next. The pool never makes a process larger than it has been: what is in use and what is free together stay within the most that was
//! ever in use at a time, beside a reserve ([`raise_reserve`]). Beyond that, blocks of the size that has not been asked
//! for the longest go back first. [`release_memory`] gives all of it back.
//!
//! Blocks of 32 KiB or more are pages of their own, in huge pages where the system gives them: so that no vector of words straddles two
//! cache lines (measured: transforms take 8 to 14 % less), and that a key switch, which walks over a hundred megabytes, does not wait for
//! address translations (7 to 11 % less).

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use memmap2::MmapMut;
use zeroize::Zeroize;

/// What the pool may keep for reuse whatever is in use, in bytes, before a ring asks for more.
const LEAST_RESERVE: usize = 64 << 20;

/// Words from which on a block has pages of its own: half a limb of the smallest ring in use.
const LEAST_PAGES: usize = 1 << 12;

/// Allows the pool to keep `bytes` for reuse whatever is in use, if that is more than it may already.
pub(crate) fn raise_reserve(bytes: usize) {
    if let Ok(mut free) = POOL.free.lock() {
        free.reserve = free.reserve.max(bytes);
    }
}

/// Gives the memory that is kept for reuse back to the operating system: for a process that goes on after its last training. What is freed
/// later is kept again.
pub fn release_memory() {
    let mut evicted = Vec::new();
    if let Ok(mut free) = POOL.free.lock() {
        free.peak = free.in_use;
        free.evict(0, &mut evicted);
    }
}

/// Memory for words.
#[derive(Debug)]
enum Block {
    Heap(Vec<u64>),
    Pages(MmapMut),
}

impl Block {
    /// Zeros, straight from the operating system where they are many.
    fn zeroed(len: usize) -> Self {
        if len >= LEAST_PAGES
            && let Ok(pages) = MmapMut::map_anon(8 * len)
        {
            // Without huge pages it is slower and nothing else.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            return Self::Pages(pages);
        }
        Self::Heap(vec![0; len])
    }

    fn words(&self) -> &[u64] {
        match self {
            Self::Heap(words) => words,
            Self::Pages(pages) => bytemuck::cast_slice(pages),
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match self {
            Self::Heap(words) => words,
            Self::Pages(pages) => bytemuck::cast_slice_mut(pages),
        }
    }
}

/// A block of words that goes back to the pool when dropped.
#[derive(Debug)]
pub struct Buffer {
    /// At least `len` words; only a buffer that is being dropped has none.
    block: Option<Block>,
    len: usize,
}

impl Buffer {
    /// A buffer of `len` words with arbitrary contents, for results that overwrite every word.
    pub fn dirty(len: usize) -> Self {
        Self { block: Some(POOL.take(len)), len }
    }

    /// A copy of `words` that takes no more memory than they do: a reused block may be larger.
    pub fn exact(words: &[u64]) -> Self {
        let mut copy = Self { block: Some(POOL.fresh(words.len())), len: words.len() };
        copy.copy_from_slice(words);
        copy
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
        self.block.as_ref().map_or(&[], |block| &block.words()[..self.len])
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u64] {
        self.block.as_mut().map_or(&mut [], |block| &mut block.words_mut()[..self.len])
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            POOL.give(block);
        }
    }
}

static POOL: Pool = Pool { free: Mutex::new(Free::new(LEAST_RESERVE)) };

struct Pool {
    free: Mutex<Free>,
}

/// Free blocks, by the words that they hold.
struct Free {
    classes: BTreeMap<usize, Class>,
    /// Bytes of free blocks.
    bytes: usize,
    /// Bytes of blocks in use, now and at most.
    in_use: usize,
    peak: usize,
    reserve: usize,
    /// Counts the blocks that were asked for.
    clock: u64,
}

/// Blocks of one size.
#[derive(Default)]
struct Class {
    blocks: Vec<Block>,
    /// When a block of this class was last taken or first given.
    used: u64,
}

impl Pool {
    /// A block of at least `len` words, free or new.
    fn take(&self, len: usize) -> Block {
        // What is evicted is freed after the lock is.
        let mut evicted = Vec::new();
        let found = self.free.lock().ok().and_then(|mut free| free.take(len, &mut evicted));
        drop(evicted);
        found.unwrap_or_else(|| Block::zeroed(len))
    }

    /// A new block of `len` words.
    fn fresh(&self, len: usize) -> Block {
        let mut evicted = Vec::new();
        if let Ok(mut free) = self.free.lock() {
            free.count(len, &mut evicted);
        }
        drop(evicted);
        Block::zeroed(len)
    }

    fn give(&self, block: Block) {
        let mut evicted = Vec::new();
        if let Ok(mut free) = self.free.lock() {
            free.give(block, &mut evicted);
        }
    }
}

impl Free {
    const fn new(reserve: usize) -> Self {
        Self { classes: BTreeMap::new(), bytes: 0, in_use: 0, peak: 0, reserve, clock: 0 }
    }

    /// A free block of at least `len` words and at most a quarter more; or room for a new one of `len` words.
    fn take(&mut self, len: usize, evicted: &mut Vec<Block>) -> Option<Block> {
        self.clock += 1;
        let now = self.clock;
        let mut classes = self.classes.range_mut(len..=len + len / 4);
        let found = classes.find(|(_, class)| !class.blocks.is_empty()).and_then(|(&words, class)| {
            class.used = now;
            self.bytes -= 8 * words;
            Some((words, class.blocks.pop()?))
        });
        let (words, block) = found.map_or((len, None), |(words, block)| (words, Some(block)));
        self.count(words, evicted);
        block
    }

    /// Counts a block as in use.
    fn count(&mut self, words: usize, evicted: &mut Vec<Block>) {
        self.in_use += 8 * words;
        self.peak = self.peak.max(self.in_use);
        self.evict(self.kept(), evicted);
    }

    fn give(&mut self, block: Block, evicted: &mut Vec<Block>) {
        let (words, now) = (block.words().len(), self.clock);
        self.bytes += 8 * words;
        self.in_use -= 8 * words;
        let class = self.classes.entry(words).or_insert_with(|| Class { used: now, ..Class::default() });
        class.blocks.push(block);
        self.evict(self.kept(), evicted);
    }

    /// The most that may be free now.
    fn kept(&self) -> usize {
        self.reserve.max(self.peak - self.in_use)
    }

    /// Evicts blocks until at most `kept` bytes are free.
    fn evict(&mut self, kept: usize, evicted: &mut Vec<Block>) {
        while self.bytes > kept {
            let Some((&words, class)) = self.classes.iter_mut().min_by_key(|(_, class)| class.used) else {
                return;
            };
            match class.blocks.pop() {
                Some(block) => {
                    evicted.push(block);
                    self.bytes -= 8 * words;
                }
                None => drop(self.classes.remove(&words)),
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
        for len in [100, 77_777] {
            let mut secret = Buffer::dirty(len);
            secret.fill(0xDEAD_BEEF);
            secret.zeroize();
            let block = secret.block.as_ref().unwrap();
            assert!(block.words()[..len].iter().all(|&word| word == 0));
        }
    }

    /// Takes a block that is free, or a new one.
    fn take(free: &mut Free, words: usize, evicted: &mut Vec<Block>) -> Block {
        free.take(words, evicted).unwrap_or_else(|| Block::zeroed(words))
    }

    fn sizes(blocks: &[Block]) -> Vec<usize> {
        blocks.iter().map(|block| block.words().len()).collect()
    }

    #[test]
    fn a_full_pool_gives_up_the_size_that_was_not_asked_for_the_longest() {
        let (mut free, mut evicted) = (Free::new(8 * 100), Vec::new());
        for words in [40, 30, 20] {
            let block = take(&mut free, words, &mut evicted);
            free.give(block, &mut evicted);
        }
        assert!(evicted.is_empty());
        let blocks = [take(&mut free, 30, &mut evicted), take(&mut free, 50, &mut evicted)];
        blocks.into_iter().for_each(|block| free.give(block, &mut evicted));
        assert_eq!(sizes(&evicted), [40]);
        assert_eq!(free.bytes, 8 * 100);
    }

    #[test]
    fn what_is_free_and_what_is_in_use_stay_within_the_most_that_was_in_use() {
        let (mut free, mut evicted) = (Free::new(0), Vec::new());
        let blocks: Vec<Block> = (0..10).map(|_| take(&mut free, 100, &mut evicted)).collect();
        blocks.into_iter().for_each(|block| free.give(block, &mut evicted));
        assert_eq!((free.bytes, evicted.len()), (8 * 1000, 0));
        // Another size takes the place of free blocks, and a little too large a block serves.
        let larger = take(&mut free, 250, &mut evicted);
        assert_eq!((sizes(&evicted), free.bytes), (vec![100; 3], 8 * 700));
        let smaller = take(&mut free, 80, &mut evicted);
        assert_eq!((smaller.words().len(), evicted.len()), (100, 3));
        free.give(larger, &mut evicted);
        free.give(smaller, &mut evicted);
        assert_eq!((free.bytes, free.in_use, free.peak), (8 * 950, 0, 8 * 1000));
    }
}
