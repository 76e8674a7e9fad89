//! What a plan will take, predicted by running its circuit on the symbolic machine.

use super::cost::{UnitCosts, Work};
use super::refresh::{self, Refresh};
use super::tracer::{Operations, Traced, TracedStore, Tracer};
use super::{Plan, contributions, price};
use crate::Result;
use crate::layout::upload::{Room, Working};
use crate::layout::{AnyLayout, ClassDiagonal, Layout, Role, VolleyRevolver};
use crate::train::{Iterate, Returned};
use ciphertune_ckks::Arithmetic;

/// Statistical security of a published model, in bits.
pub const STATISTICAL_BITS: u32 = 30;

/// What predicted errors are multiplied by before anything relies on them as a bound: 2, times half the iterations
/// where there are more than two. The prediction takes errors as independent, but those of one iterate enter the next
/// along several ways; measured errors stay below 1.1 times the prediction for up to two iterations and 2.4 times for
/// four.
fn noise_margin(iterations: usize) -> f64 {
    (iterations as f64).max(2.0)
}

/// By how much the norm of w independent normal numbers exceeds sqrt(w) with a probability below
/// 2^-[`STATISTICAL_BITS`]: sqrt(2 ln 2 . 30), whatever w is (concentration of Lipschitz functions of Gaussians). Counts
/// where there are few weights.
const NORM_TAIL: f64 = 6.449;

/// The most blocks whose every operation is traced.
const MOST_TRACED_BLOCKS: usize = 8;
/// The same of layout `volley-revolver`, where the second block takes what every other one takes.
const MOST_TRACED_ROW_BLOCKS: usize = 2;

/// What every training with polynomials of so many limbs takes: the largest transient of the key switches, and the
/// program itself.
pub(super) fn fixed_bytes(log_n: u32, limbs: usize) -> usize {
    24 * limbs * (8 << log_n) + (64 << 20)
}

/// Predictions for a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Operations of the training, expansion included, and the keys that it needs.
    pub operations: Operations,
    /// Standard deviation of the error of one weight, in the owner's coordinates u.
    pub weight_deviation: f64,
    precision: Precision,
    /// Ciphertexts of the upload: data, labels, offsets.
    pub upload_ciphertexts: [usize; 3],
    /// Bytes of the upload: of several owners', the largest.
    pub upload_bytes: usize,
    /// Bytes of the evaluation keys in their file.
    pub key_bytes: usize,
    /// Bytes of memory that the server takes if it keeps the whole upload.
    pub server_bytes: usize,
    /// Bytes of them that are not for ciphertexts.
    pub(super) beside_bytes: usize,
}

/// What an iterate looks like when it comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReturnedForm {
    /// The level that it was computed at; limbs above the second are not sent.
    pub level: usize,
    /// The scale of its ciphertexts.
    pub scale: f64,
    /// Whether it has a carry beside its gradient.
    pub carry: bool,
}

impl Estimate {
    /// Traces the plan's training: [`Plan::estimate`] keeps the result.
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        let (operations, deviation) = Self::traced(plan, plan.layout())?;
        let inputs = plan.inputs();
        let operations = Operations { work: operations.work + entry_work(plan), ..operations };
        let contributions = plan.contributions().iter();
        let upload_bytes = contributions.map(|c| plan.given_bytes(*c)).max().unwrap_or_else(|| plan.upload_bytes());
        let key_bytes = operations.keys.serialized_bytes(plan.literal());
        let count = |role| inputs.iter().filter(|input| input.role == role).count();
        let keys = operations.keys.expanded_bytes(plan.literal());
        let (log_n, limbs) = (plan.literal().log_n, plan.literal().q.len() + plan.literal().p.len());
        let expanding = match plan.layout() {
            AnyLayout::ClassDiagonal(layout) => {
                let limbs = plan.upload_levels(layout).data + 1;
                layout.expanding_beside() * 2 * limbs * (8 << log_n)
            }
            AnyLayout::VolleyRevolver(_) => 0,
        };
        let beside_bytes = keys + expanding + fixed_bytes(log_n, limbs);
        let server_bytes = beside_bytes + operations.peak_bytes;
        Ok(Self {
            operations,
            weight_deviation: deviation,
            precision: Precision::new(plan, deviation),
            upload_ciphertexts: [count(Role::Data), count(Role::Labels), count(Role::Offset)],
            upload_bytes,
            key_bytes,
            server_bytes,
            beside_bytes,
        })
    }

    /// The operations of a plan and the deviation of a weight's error. Operations and memory grow in proportion to the
    /// blocks, so where there are many a few tell of all.
    fn traced(plan: &Plan, layout: &AnyLayout) -> Result<(Operations, f64)> {
        let trace = |layout: &AnyLayout| -> Result<(Operations, f64)> {
            let tracer = Tracer::new(plan.literal());
            let (upload, _) = TracedStore::upload(&tracer, plan.inputs_of(layout), Room::PLENTY);
            let mut first = Operations::default();
            let mut after = |iteration| {
                if iteration == 1 {
                    first = tracer.operations();
                }
            };
            let iterates = plan.walk(&tracer, layout, upload, Returned::Last, &mut after)?;
            let deviation = Self::weight_variance(plan, &iterates).sqrt();
            drop(iterates);
            let iterations = plan.recipe().iterations();
            let more = iterations - plan.refresh().traced_iterations(iterations);
            Ok((tracer.operations().extended(&first, more as u64), deviation))
        };
        // The upload, and what is taken apart of it.
        let data = |layout: &ClassDiagonal| -> usize {
            let sizes = plan.literal().packed_ciphertexts();
            let (inputs, parts) = (plan.inputs_of(layout), plan.upload_levels(layout).data);
            inputs.iter().map(|input| sizes[input.level]).sum::<usize>() + layout.expansions() * sizes[parts]
        };
        match layout {
            // Every iteration has one batch in hand, of all that are held.
            AnyLayout::ClassDiagonal(layout) if layout.batches().count() > 1 => {
                let one = layout.of_one_batch();
                let (mut operations, deviation) = Self::traced(plan, &AnyLayout::ClassDiagonal(one))?;
                operations.peak_bytes += data(layout) - data(&one);
                Ok((operations, deviation))
            }
            AnyLayout::ClassDiagonal(layout) if layout.blocks() > MOST_TRACED_BLOCKS => {
                let [fewer, few] = [MOST_TRACED_BLOCKS - 1, MOST_TRACED_BLOCKS].map(|blocks| layout.of_blocks(blocks));
                let (one, _) = trace(&AnyLayout::ClassDiagonal(fewer))?;
                let (two, _) = trace(&AnyLayout::ClassDiagonal(few))?;
                let (_, deviation) = trace(&AnyLayout::ClassDiagonal(layout.of_one_weight_ciphertext()))?;
                let more = (layout.blocks() - MOST_TRACED_BLOCKS) as u64;
                let mut all = two.extended(&one, more);
                // What is held beside them grows as well, up to a bound.
                let a_block = (two.peak_bytes - data(&few)).saturating_sub(one.peak_bytes - data(&fewer));
                let held = a_block.saturating_mul(more as usize).min(Working::USUAL.held);
                all.peak_bytes = two.peak_bytes - data(&few) + data(layout) + held;
                Ok((all, deviation))
            }
            AnyLayout::VolleyRevolver(layout) if layout.blocks() > MOST_TRACED_ROW_BLOCKS => {
                Self::traced_rows(plan, layout)
            }
            layout => trace(layout),
        }
    }

    /// [`Self::traced`] of many blocks of rows. In an iteration every block but the first takes the same work, and the
    /// same memory more: its data, its labels and its residuals. Which iteration takes the most depends on the blocks.
    fn traced_rows(plan: &Plan, layout: &VolleyRevolver) -> Result<(Operations, f64)> {
        let trace = |blocks| -> Result<_> {
            let (tracer, layout) = (Tracer::new(plan.literal()), layout.of_blocks(blocks));
            let (upload, _) = TracedStore::upload(&tracer, plan.inputs_of(&layout), Room::PLENTY);
            let (mut peaks, mut first) = (Vec::new(), Operations::default());
            let mut after = |iteration| {
                peaks.push(tracer.take_peak());
                if iteration == 1 {
                    first = tracer.operations();
                }
            };
            let iterates = plan.walk(&tracer, &layout, upload, Returned::Last, &mut after)?;
            let deviation = Self::weight_variance(plan, &iterates).sqrt();
            let iterations = plan.recipe().iterations();
            let more = iterations - plan.refresh().traced_iterations(iterations);
            Ok((tracer.operations().extended(&first, more as u64), peaks, deviation))
        };
        let ((one, fewer, _), (two, few, deviation)) =
            (trace(MOST_TRACED_ROW_BLOCKS - 1)?, trace(MOST_TRACED_ROW_BLOCKS)?);
        let more = layout.blocks() - MOST_TRACED_ROW_BLOCKS;
        let along = |(fewer, few): (usize, &usize)| few.saturating_add(more.saturating_mul(few.saturating_sub(fewer)));
        let peak_bytes = fewer.into_iter().zip(&few).map(along).max().unwrap_or(0);
        Ok((Operations { peak_bytes, ..two.extended(&one, more as u64) }, deviation))
    }

    /// The iterates of one weight ciphertext alone, and the machine that made them: what happens to one happens to all.
    fn traced_alone(plan: &Plan, returned: Returned) -> Result<(Tracer, Vec<Iterate<Traced>>)> {
        let layout = match plan.layout() {
            AnyLayout::ClassDiagonal(layout) => {
                AnyLayout::ClassDiagonal(layout.of_one_batch().of_one_weight_ciphertext())
            }
            AnyLayout::VolleyRevolver(layout) => {
                AnyLayout::VolleyRevolver(layout.of_one_weight_ciphertext().of_blocks(1))
            }
        };
        let tracer = Tracer::new(plan.literal());
        let upload = TracedStore::upload(&tracer, plan.inputs_of(&layout), Room::PLENTY).0;
        let iterates = plan.walk(&tracer, &layout, upload, returned, &mut |_| ())?;
        Ok((tracer, iterates))
    }

    /// [`Self::weight_bound`] and [`Self::release_bits`] of a plan, from the circuit of one weight ciphertext alone.
    pub(super) fn precision(plan: &Plan) -> Result<(f64, f64)> {
        let (_, iterates) = Self::traced_alone(plan, Returned::Last)?;
        let deviation = Self::weight_variance(plan, &iterates).sqrt();
        let precision = Precision::new(plan, deviation);
        Ok((precision.weight_bound(), precision.release_bits()))
    }

    /// Level, scale and presence of a carry of every iterate that a server may return, so that an owner can check those
    /// that come back. Of a refreshed training the last form is that of all further ones.
    pub fn returned(plan: &Plan) -> Result<Vec<ReturnedForm>> {
        let (tracer, iterates) = Self::traced_alone(plan, Returned::Every)?;
        let form = |iterate: &Iterate<Traced>| {
            let gradient = &iterate.gradient[0];
            ReturnedForm {
                level: tracer.level(gradient),
                scale: tracer.scale(gradient),
                carry: iterate.carry.is_some(),
            }
        };
        Ok(iterates.iter().map(form).collect())
    }

    /// Real parts only; an open gradient's slots are summed after decryption, then scaled by 1 - eta. With refreshes the
    /// steps are the owner's, and the errors of all gradients count.
    pub(super) fn weight_variance(plan: &Plan, iterates: &[Iterate<Traced>]) -> f64 {
        let schedule = plan.schedule();
        let gradient = |iterate: &Iterate<Traced>| {
            let variance = iterate.gradient.iter().map(|c| c.variance()).fold(0.0, f64::max);
            plan.layout().open_terms() as f64 * variance / 2.0
        };
        let (first, last) = match iterates {
            [] => return f64::NAN,
            [first, .., last] => (first, last),
            [only] => (only, only),
        };
        if plan.refresh() == Refresh::EveryIteration {
            // The curvature of a batch exceeds that of all rows, which whitening makes one at most: by the law of
            // Marchenko and Pastur.
            let spread = match plan.batches() {
                1 => 1.0,
                _ => (1.0 + (plan.shape().columns() as f64 / plan.batch_rows()).sqrt()).powi(2),
            };
            let slope = plan.recipe().sigmoid().slope() * spread;
            return refresh::weight_variance(&schedule, slope, gradient(first), gradient(last));
        }
        let carry = last.carry.iter().flatten().map(|c| c.variance()).fold(0.0, f64::max);
        carry / 2.0 + (1.0 - schedule.eta(last.iteration)).powi(2) * gradient(last)
    }

    /// A bound on the error of any one weight: six predicted deviations, with a margin for what the prediction leaves
    /// out.
    pub fn weight_bound(&self) -> f64 {
        self.precision.weight_bound()
    }

    /// B: a bound on the Euclidean norm of the error of all w weights together, which the noise flooding must hide: the
    /// predicted deviation of one times margin sqrt(w), or three quarters of that plus 6.45 where there are few weights:
    /// the norm of independent errors exceeds sqrt(w) by 6.45 with a probability below 2^-30.
    pub fn norm_bound(&self) -> f64 {
        self.precision.norm_bound()
    }

    /// Standard deviation of the Gaussian noise that makes `releases` decrypted models safe to show: 2^(s/2) sqrt(24 q)
    /// B, s = [`STATISTICAL_BITS`] (Li, Micciancio, Schultz, Sorrell 2022, for CKKS with B a Euclidean norm).
    pub fn flooding_deviation(&self, releases: u32) -> f64 {
        self.precision.flooding_deviation(releases)
    }

    /// Bits of precision, below one, that the weights keep in one release.
    pub fn release_bits(&self) -> f64 {
        self.precision.release_bits()
    }

    /// Bits that a logit of a head published once is expected to keep, if its largest weight is of order one.
    pub fn logit_bits(&self, plan: &Plan) -> f64 {
        self.release_bits() - bits_lost_in_a_logit(plan.shape().features)
    }

    /// Seconds of training on a machine with the given unit costs.
    pub fn seconds(&self, plan: &Plan, costs: &UnitCosts) -> f64 {
        costs.seconds(plan.literal().log_n, self.operations.work)
    }
}

/// What the entry of several owners' ciphertexts takes.
fn entry_work(plan: &Plan) -> Work {
    let levels = plan.upload_levels(plan.layout());
    let entries = contributions::entries(plan.contributions(), plan.layout());
    price::entries(entries, levels, plan.literal().p.len())
}

/// log2 sqrt(d + 1): by so many bits is the noise of a logit of d whitened features larger than that of one weight.
pub fn bits_lost_in_a_logit(features: usize) -> f64 {
    ((features + 1) as f64).log2() / 2.0
}

/// What follows from the predicted deviation of a weight's error.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Precision {
    deviation: f64,
    /// Number of weights.
    weights: usize,
    /// See [`noise_margin`].
    margin: f64,
}

impl Precision {
    fn new(plan: &Plan, deviation: f64) -> Self {
        let weights = plan.shape().classes * plan.shape().columns();
        // Errors of refreshed gradients meet in the owner's sums alone, which the deviation accounts for.
        let chained = plan.refresh().traced_iterations(plan.recipe().iterations());
        Self { deviation, weights, margin: noise_margin(chained) }
    }

    fn weight_bound(&self) -> f64 {
        6.0 * self.margin * self.deviation
    }

    fn norm_bound(&self) -> f64 {
        let usual = self.margin * (self.weights as f64).sqrt();
        self.deviation * usual.max(0.75 * usual + NORM_TAIL)
    }

    fn flooding_deviation(&self, releases: u32) -> f64 {
        f64::from(STATISTICAL_BITS / 2).exp2() * (24.0 * f64::from(releases)).sqrt() * self.norm_bound()
    }

    fn release_bits(&self) -> f64 {
        -self.flooding_deviation(1).log2()
    }
}
