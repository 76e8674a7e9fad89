//! How a training divides the memory that it may take: what of the upload it keeps, and what it reads again.

use std::sync::atomic::Ordering;

use super::cost::Work;
use super::tracer::{TracedStore, Tracer};
use super::{Estimate, Plan};
use crate::layout::upload::{Room, Working};
use crate::layout::{AnyLayout, Layout, TopAxis};
use crate::train::Returned;
use crate::{HeadError, Result};

/// What a circuit may hold, to choose from: from where nothing is gained any more to where hardly anything is saved.
const MOST_HELD: usize = 2 << 30;
const LEAST_HELD: usize = 8 << 20;

/// The least working memory.
const LEAST: Working = Working::reading(LEAST_HELD);
/// The part of predicted bytes that is set aside, because memory lies free between blocks in use.
const MARGIN: usize = 6;
/// The most blocks that are traced: more behave like these.
const MOST_TRACED_BLOCKS: usize = 3;
/// What reading a limb again takes, in products of limbs: unpacking it, drawing its uniform half, and telling that it
/// has not changed.
const READ_PRODUCTS: u64 = 16;

/// A division of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allotment {
    /// Room for the upload and for what is computed from it.
    pub room: Room,
    /// Predicted bytes of memory that the server takes in all.
    pub server_bytes: usize,
    /// Limbs of ciphertexts that are read again, in all iterations together; 0 if everything is kept.
    pub limbs_read: u64,
}

impl Allotment {
    /// What reading again takes, beside the work of the circuit.
    pub fn work(&self) -> Work {
        Work { transforms: 0, limb_products: READ_PRODUCTS * self.limbs_read }
    }

    /// Whether nothing is read again.
    pub fn keeps_everything(&self) -> bool {
        self.limbs_read == 0
    }
}

impl Plan {
    /// Divides `memory` bytes: everything is kept if they suffice for it; else as much as there is room for, with the
    /// working memory with which the least is read again.
    ///
    /// # Errors
    ///
    /// [`HeadError::Memory`] if the training needs more.
    pub fn allot(&self, memory: usize) -> Result<Allotment> {
        let estimate = self.estimate()?;
        if memory >= estimate.server_bytes {
            return Ok(Allotment { room: Room::PLENTY, server_bytes: estimate.server_bytes, limbs_read: 0 });
        }
        let mut best: Option<Allotment> = None;
        let needed = self.least_bytes()?;
        if memory < needed {
            return Err(HeadError::Memory { needed, available: memory });
        }
        for working in working_sizes() {
            let least = self.traced(estimate, Room { kept: 0, working })?;
            let Some(left) = memory.checked_sub(least.server_bytes) else { continue };
            let kept = left - left / MARGIN;
            let found = self.traced(estimate, Room { kept, working })?;
            match best {
                // From here on less is held, and everything read more often.
                Some(best) if best.limbs_read <= found.limbs_read => break,
                _ => best = Some(found),
            }
            if found.limbs_read == 0 {
                break;
            }
        }
        best.ok_or(HeadError::Memory { needed, available: memory })
    }

    /// Bytes of memory that the training needs if it keeps as little as possible.
    ///
    /// # Errors
    ///
    /// As [`Plan::estimate`].
    pub fn least_bytes(&self) -> Result<usize> {
        let estimate = self.estimate()?;
        if !self.can_read_again() {
            return Ok(estimate.server_bytes);
        }
        let least = self.traced(estimate, Room { kept: 0, working: LEAST })?.server_bytes;
        Ok(least.min(estimate.server_bytes))
    }

    /// Whether the server uses data as they were uploaded: what it took apart first stays in memory.
    fn can_read_again(&self) -> bool {
        match self.layout() {
            AnyLayout::ClassDiagonal(layout) => layout.top() != TopAxis::Classes,
            AnyLayout::VolleyRevolver(_) => false,
        }
    }

    /// What a training in some room takes. Memory does not grow with the rows, and reading grows in proportion: a few
    /// blocks tell of all.
    fn traced(&self, estimate: &Estimate, room: Room) -> Result<Allotment> {
        let layout = match self.layout() {
            AnyLayout::ClassDiagonal(layout) => {
                AnyLayout::ClassDiagonal(layout.of_one_batch().of_blocks(MOST_TRACED_BLOCKS))
            }
            AnyLayout::VolleyRevolver(layout) => AnyLayout::VolleyRevolver(*layout),
        };
        let inputs = self.inputs_of(&layout);
        let count = |layout: &AnyLayout| layout.upload_count(self.has_offset()).unwrap_or(usize::MAX) as f64;
        let (traced, all) = (inputs.len() as f64, count(self.layout()));
        let tracer = Tracer::new(self.literal());
        let kept = (room.kept as f64 * traced / all) as usize;
        let (upload, limbs_read) = TracedStore::upload(&tracer, inputs, Room { kept, ..room });
        let mut first = 0;
        let mut after = |iteration| {
            if iteration == 1 {
                first = limbs_read.load(Ordering::Relaxed);
            }
        };
        self.walk(&tracer, &layout, upload, Returned::Last, &mut after)?;
        let read = limbs_read.load(Ordering::Relaxed);
        let iterations = self.recipe().iterations();
        let more = iterations - self.refresh().traced_iterations(iterations);
        let limbs_read = read + more as u64 * (read - first);
        let ciphertexts = tracer.operations().peak_bytes + room.kept.saturating_sub(kept);
        let server_bytes = estimate.beside_bytes + ciphertexts + ciphertexts / MARGIN;
        // An iteration reads its batch.
        let limbs_read = (limbs_read as f64 * all / self.batches() as f64 / traced).ceil() as u64;
        Ok(Allotment { room, server_bytes, limbs_read })
    }
}

/// Working memories to choose from. What is made at once hardly saves time, and what is held saves reading.
fn working_sizes() -> impl Iterator<Item = Working> {
    let held = std::iter::successors(Some(MOST_HELD), |bytes| Some(bytes / 2)).take_while(|bytes| *bytes >= LEAST_HELD);
    let most = Working::reading(Working::USUAL.held);
    std::iter::once(most).chain(held.map(move |held| Working { held, ..Working::reading(held.min(most.held)) }))
}
