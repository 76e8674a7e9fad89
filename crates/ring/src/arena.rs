//! Memory of large blocks of words: regions of huge pages, divided into spans.
//!
//! A key switch walks over a hundred megabytes. In pages of 4 KiB it waits for address translations, and polynomials
//! have sizes of which the system makes no huge pages (768 KiB, 3.25 MiB); so regions of many polynomials are asked for
//! at once, aligned to huge pages. What was freed is used again before more is touched: pages that a process sees for
//! the first time have to be cleared and, in virtual machines, mapped twice, at less than a tenth of the speed at which
//! they are read.
//!
//! Address space costs nothing until it is touched, so a process takes the most that was in use at a time and what lies
//! between blocks. [`Arena::release`] gives back what is free.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{MmapMut, MmapRaw};
use range_alloc::RangeAllocator;

/// Bytes of a huge page, to which regions are aligned.
const HUGE_PAGE: usize = 2 << 20;

/// Bytes of a region, unless one block needs more.
const REGION: usize = 64 << 20;

/// Bytes that spans are multiples of: a page, so that no vector of words straddles two cache lines and free pages can
/// be given back.
const PAGE: usize = 4096;

/// What a huge page may take to come. A system clears one in 0.2 to 0.8 ms; a virtual machine whose host has taken its
/// free memory back waits ten times as long, and less for small pages, some of which it has left.
#[cfg(target_os = "linux")]
const SLOW: std::time::Duration = std::time::Duration::from_millis(2);

/// Regions of memory, by address.
pub(crate) struct Arena {
    regions: Mutex<BTreeMap<usize, Region>>,
}

struct Region {
    mapping: Arc<Mapping>,
    /// Which pages are free.
    pages: RangeAllocator<usize>,
}

/// Readable and writable memory, zeros at first, from an address that is a multiple of [`HUGE_PAGE`].
#[derive(Debug)]
struct Mapping {
    raw: MmapRaw,
    /// Bytes before that address.
    offset: usize,
}

/// Whole pages of a region, which nothing else has.
#[derive(Debug)]
pub(crate) struct Span {
    mapping: Arc<Mapping>,
    pages: Range<usize>,
    len: usize,
}

impl Mapping {
    /// At least `bytes` bytes, or nothing if the system refuses.
    fn new(bytes: usize) -> Option<Self> {
        let mut map = MmapMut::map_anon(bytes.checked_add(HUGE_PAGE)?).ok()?;
        let offset = map.as_ptr().align_offset(HUGE_PAGE);
        if offset > HUGE_PAGE {
            return None;
        }
        ask_for_huge_pages(&mut map, offset);
        Some(Self { raw: MmapRaw::from(map), offset })
    }

    fn address(&self) -> usize {
        self.raw.as_ptr().addr() + self.offset
    }

    /// The first word of a page.
    fn words(&self, page: usize) -> *mut u64 {
        self.raw.as_mut_ptr().wrapping_add(self.offset + page * PAGE).cast()
    }

    /// Gives pages back to the system; they are zeros when they are touched again.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    fn release(&self, pages: Range<usize>) {
        // SAFETY: the pages are free, so no slice of them is alive, and any contents are valid for the next span that
        // has them.
        let advised = unsafe {
            let (offset, len) = (self.offset + pages.start * PAGE, pages.len() * PAGE);
            self.raw.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, len)
        };
        // A system that refuses keeps the pages until the region goes.
        drop(advised);
    }

    #[cfg(not(target_os = "linux"))]
    fn release(&self, _: Range<usize>) {}
}

/// Asks for huge pages from `offset` on, if the system clears the first of them quickly. Without them it is slower and
/// nothing else.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(map: &mut MmapMut, offset: usize) {
    use memmap2::Advice;
    if map.advise(Advice::HugePage).is_err() {
        return;
    }
    let start = std::time::Instant::now();
    map[offset] = 0;
    if start.elapsed() > SLOW {
        let rest = offset + HUGE_PAGE;
        let _ = map.advise_range(Advice::NoHugePage, rest, map.len() - rest);
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_: &mut MmapMut, _: usize) {}

impl Region {
    fn new(pages: usize) -> Option<Self> {
        Some(Self { mapping: Arc::new(Mapping::new(pages * PAGE)?), pages: RangeAllocator::new(0..pages) })
    }

    fn take(&mut self, pages: usize, len: usize) -> Option<Span> {
        let pages = self.pages.allocate_range(pages).ok()?;
        Some(Span { mapping: Arc::clone(&self.mapping), pages, len })
    }

    /// The runs of free pages.
    fn free(&self) -> impl Iterator<Item = Range<usize>> {
        let ends = self.pages.initial_range().clone();
        let starts = std::iter::once(ends.start).chain(self.pages.allocated_ranges().map(|taken| taken.end));
        let stops = self.pages.allocated_ranges().map(|taken| taken.start).chain([ends.end]);
        starts.zip(stops).filter(|(start, stop)| start < stop).map(|(start, stop)| start..stop)
    }
}

impl Arena {
    pub(crate) const fn new() -> Self {
        Self { regions: Mutex::new(BTreeMap::new()) }
    }

    /// A span of `len` words with arbitrary contents, or nothing if the system has no memory.
    pub(crate) fn take(&self, len: usize) -> Option<Span> {
        let pages = len.checked_mul(size_of::<u64>())?.div_ceil(PAGE).max(1);
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(span) = regions.values_mut().find_map(|region| region.take(pages, len)) {
            return Some(span);
        }
        let mut region = Region::new(pages.next_multiple_of(HUGE_PAGE / PAGE).max(REGION / PAGE))?;
        let span = region.take(pages, len);
        regions.insert(region.mapping.address(), region);
        span
    }

    /// Takes a span back.
    pub(crate) fn give(&self, span: Span) {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(region) = regions.get_mut(&span.mapping.address()) {
            region.pages.free_range(span.pages);
        }
    }

    /// Gives free memory back to the operating system.
    pub(crate) fn release(&self) {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.retain(|_, region| !region.pages.is_empty());
        for region in regions.values() {
            region.free().for_each(|pages| region.mapping.release(pages));
        }
    }
}

impl Span {
    #[allow(unsafe_code)]
    pub(crate) fn words(&self) -> &[u64] {
        // SAFETY: the words lie within the mapping, which lives as long as this span, are aligned (to a page) and
        // initialised (to zeros by the system), and are borrowed from this span, which alone has its pages until
        // `Arena::give` consumes it.
        unsafe { std::slice::from_raw_parts(self.mapping.words(self.pages.start), self.len) }
    }

    #[allow(unsafe_code)]
    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: as for `words`, and the span is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.mapping.words(self.pages.start), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first page and the pages of a span, by address.
    fn place(span: &Span) -> Range<usize> {
        let start = span.words().as_ptr().addr();
        start..start + span.pages.len() * PAGE
    }

    proptest! {
        /// Takes and gives in any order: every span keeps what was written to it, and is on pages of its own.
        #[test]
        fn spans_do_not_overlap(steps in proptest::collection::vec((1usize..4 << 20, any::<bool>(), any::<usize>()), 1..40)) {
            let arena = Arena::new();
            let mut spans: Vec<(Span, u64)> = Vec::new();
            for (tag, (len, give, which)) in (1u64..).zip(steps) {
                if give && !spans.is_empty() {
                    let (span, tag) = spans.swap_remove(which % spans.len());
                    prop_assert_eq!([span.words()[0], *span.words().last().unwrap()], [tag, tag]);
                    arena.give(span);
                }
                let mut span = arena.take(len).unwrap();
                prop_assert_eq!(span.words().len(), len);
                prop_assert_eq!(place(&span).start % PAGE, 0);
                let words = span.words_mut();
                words[0] = tag;
                *words.last_mut().unwrap() = tag;
                spans.push((span, tag));
            }
            let mut places: Vec<_> = spans.iter().map(|(span, _)| place(span)).collect();
            places.sort_by_key(|place| place.start);
            prop_assert!(places.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }

    #[test]
    fn what_was_freed_is_used_again() {
        let arena = Arena::new();
        let spans: Vec<Span> = (0..10).map(|_| arena.take(100_000).unwrap()).collect();
        let freed: Vec<_> = spans.iter().step_by(2).map(place).collect();
        let mut kept = Vec::new();
        for (i, span) in spans.into_iter().enumerate() {
            if i % 2 == 0 { arena.give(span) } else { kept.push(span) }
        }
        let again: Vec<_> = (0..5).map(|_| arena.take(100_000).unwrap()).collect();
        assert_eq!(again.iter().map(place).collect::<Vec<_>>(), freed);
        assert_eq!(arena.regions.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_block_larger_than_a_region_has_one_of_its_own() {
        let arena = Arena::new();
        let small = arena.take(1000).unwrap();
        let large = arena.take(REGION / 8 + 1).unwrap();
        assert_eq!(arena.regions.lock().unwrap().len(), 2);
        assert_eq!(place(&large).start % HUGE_PAGE, 0);
        arena.give(large);
        arena.release();
        assert_eq!(arena.regions.lock().unwrap().len(), 1);
        arena.give(small);
        arena.release();
        assert!(arena.regions.lock().unwrap().is_empty());
    }

    /// Between the blocks in use, pages go back: they are zeros afterwards, and what is in use stays.
    #[cfg(target_os = "linux")]
    #[test]
    fn free_pages_are_given_back_and_others_are_not() {
        let arena = Arena::new();
        let mut spans: Vec<Span> = (0..5).map(|_| arena.take(1 << 18).unwrap()).collect();
        spans.iter_mut().for_each(|span| span.words_mut().fill(7));
        arena.give(spans.remove(4));
        arena.give(spans.remove(1));
        arena.release();
        assert!(spans.iter().all(|span| span.words().iter().all(|&word| word == 7)));
        let again = arena.take(1 << 18).unwrap();
        assert!(again.words().iter().all(|&word| word == 0));
    }
}
