//! Uploads on the symbolic machine: what is kept, and how much is read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ciphertune_ckks::Result;

use super::{Traced, Tracer};
use crate::layout::Input;
use crate::layout::upload::{Kept, Room, Store};

/// An upload of which nothing is known but its inputs.
pub struct TracedStore<'a> {
    tracer: &'a Tracer,
    inputs: Vec<Input>,
    limbs_read: Arc<AtomicU64>,
}

impl<'a> TracedStore<'a> {
    /// An upload that is kept as far as there is room for it, and the number of limbs that were read again.
    pub fn upload(tracer: &'a Tracer, inputs: Vec<Input>, room: Room) -> (Kept<Self>, Arc<AtomicU64>) {
        let levels: Vec<usize> = inputs.iter().map(|input| input.level).collect();
        let count = Kept::<Self>::from_the_beginning(&levels, &tracer.packed, room);
        let kept = inputs.iter().enumerate().map(|(i, input)| (i < count).then(|| tracer.fresh(input))).collect();
        let limbs_read = Arc::new(AtomicU64::new(0));
        let store = Self { tracer, inputs, limbs_read: limbs_read.clone() };
        (Kept::new(store, levels, tracer.packed.clone(), room, kept), limbs_read)
    }
}

impl Store for TracedStore<'_> {
    type Ciphertext = Traced;

    fn read(&self, places: &[usize], level: usize) -> Result<Vec<Traced>> {
        let one = |&place: &usize| {
            let input = &self.inputs[place];
            self.limbs_read.fetch_add(level.min(input.level) as u64 + 1, Ordering::Relaxed);
            self.tracer.fresh_at(input, level)
        };
        Ok(places.iter().map(one).collect())
    }

    fn lowered(&self, a: &Traced, level: usize) -> Traced {
        self.tracer.made_in(self.tracer.packed[level], level, a.scale, a.rms(), a.variance)
    }
}
