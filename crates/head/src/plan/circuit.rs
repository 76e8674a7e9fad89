//! The circuit of a plan's training on the symbolic machine: all iterations of one chain, or the first gradients of a
//! training that is refreshed.

use super::refresh::Refresh;
use super::tracer::{Traced, Tracer};
use super::{Plan, UploadLevels, contributions};
use crate::Result;
use crate::layout::{Input, Layout, Packing, Role, Upload, weight_rms};
use crate::train::{Iterate, Returned, train_watched};

impl Plan {
    /// The upload of a layout like the plan's.
    pub(super) fn inputs_of(&self, layout: &impl Layout) -> Vec<Input> {
        let mut inputs = layout.inputs(self.upload_levels(layout), self.scales());
        if !self.contributions.is_empty() {
            let [data, labels] = [Role::Data, Role::Labels]
                .map(|role| contributions::most_senders(&self.contributions, &self.layout, role));
            inputs.iter_mut().for_each(|input| input.senders = if input.role == Role::Data { data } else { labels });
        }
        inputs
    }

    /// The levels of that upload.
    pub(super) fn upload_levels(&self, layout: &impl Layout) -> UploadLevels {
        self.refresh.upload_levels(layout, self.top_level(), self.has_offset())
    }

    /// How a ciphertext of fresh weights is encrypted.
    pub(crate) fn fresh_weights(&self) -> Input {
        // The role is that of what an owner encrypts beside the job; it is never among the inputs.
        let rms = self.schedule().stride() * weight_rms(self.shape, self.recipe.iterations());
        let scale = self.layout.fresh_scale(self.scales());
        Input { role: Role::Weights, level: self.top_level(), scale, packing: Packing::Slots, rms, senders: 0 }
    }

    /// Runs the training on a layout like the plan's. `after` hears of every iteration that is done; of a refreshed
    /// training these are [`Refresh::traced_iterations`], and the iterates are open gradients alone.
    pub(super) fn walk<L: Layout, U: Upload<Traced>>(
        &self,
        tracer: &Tracer,
        layout: &L,
        upload: U,
        returned: Returned,
        after: &mut (impl FnMut(usize) + Send),
    ) -> Result<Vec<Iterate<Traced>>> {
        let schedule = self.schedule();
        if self.refresh == Refresh::Never {
            return Ok(train_watched(tracer, layout, &schedule, upload, returned, after)?);
        }
        let data = layout.prepare(tracer, upload)?;
        let mut iterates = Vec::new();
        for iteration in 1..=self.refresh.traced_iterations(schedule.iterations()) {
            let weights: Option<Vec<Traced>> = (iteration > 1).then(|| {
                let fresh = self.fresh_weights();
                (0..layout.weight_ciphertexts()).map(|_| tracer.fresh(&fresh)).collect()
            });
            let step = schedule.refreshed_gradient(iteration);
            let gradient = layout.gradient::<_, U>(tracer, &data, weights.as_deref(), &step)?;
            iterates.push(Iterate { iteration, carry: None, gradient });
            after(iteration);
        }
        Ok(iterates)
    }
}
