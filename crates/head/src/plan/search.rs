//! The planner: candidates, in order of cost.
//!
//! For every ring dimension, number of special primes and layout geometry that can hold the training, the circuit is traced and
//! priced with [`UnitCosts::REFERENCE`]; the cheapest that is secure, precise enough to be published and fits in memory wins. The
//! search reads nothing but the shape, the recipe and the constraints, so it gives the same plan everywhere.

use std::collections::BTreeSet;

use ciphertune_ckks::{ParametersLiteral, SECURITY_BOUNDS, security_bound};

use super::cost::UnitCosts;
use super::tracer::Operations;
use super::{Estimate, Plan};
use crate::layout::{AnyLayout, ClassDiagonal, Layout, LayoutKind, Shape, VolleyRevolver};
use crate::{HeadError, Recipe, Result};

/// Bits of the lowest prime and of the special primes.
const BASE_BITS: u32 = 50;
/// Bits between the scale and the lowest prime: weights and gradients up to 2^(5 - 1) = 16 in the owner's coordinates.
const HEADROOM_BITS: u32 = 5;
/// The smallest scale worth training with.
const LEAST_SCALE_BITS: u32 = 32;
/// The largest primes for rescaling: two bits below the special primes, or the noise of key switches would exceed that of rounding.
const MOST_PRIME_BITS: u32 = 48;
/// Bits that plans reserve for publication unless told otherwise: the noise of one release is at most 2^-6 in the owner's coordinates, where
/// the weights that matter are of order one.
pub const RELEASE_BITS: f64 = 6.0;

/// Bits after the point that every weight must be trained to: errors of at most 2^-12 in the owner's coordinates.
const LEAST_TRAINING_BITS: f64 = 12.0;

/// What an upload costs beside the time of training: otherwise plans would send each row several times to save a little work.
const UPLOAD_BYTES_PER_SECOND: f64 = 25e6;

/// What a plan must respect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constraints {
    /// The layout.
    pub layout: LayoutKind,
    /// Most bytes of memory that the server may need.
    pub memory: usize,
    /// This ring dimension, and no other.
    pub log_n: Option<u32>,
    /// Bits of precision to reserve for a published model, see [`Estimate::release_bits`], if any ring has room for them.
    pub release_bits: f64,
    /// Any ring however small, with no security at all: for tests.
    pub insecure_toy: bool,
}

impl Default for Constraints {
    fn default() -> Self {
        Self {
            layout: LayoutKind::ClassDiagonal,
            memory: usize::MAX,
            log_n: None,
            release_bits: RELEASE_BITS,
            insecure_toy: false,
        }
    }
}

/// Finds the plan of a training.
///
/// # Errors
///
/// [`HeadError::NoPlan`] if no ring has room for it at 128 bits, [`HeadError::Memory`] if every plan needs more memory than allowed.
pub fn choose(shape: Shape, recipe: &Recipe, constraints: &Constraints) -> Result<Plan> {
    // Precision for publication first; where no ring has room for it, the cheapest plan that trains well.
    let mut least_memory = usize::MAX;
    for release_bits in [constraints.release_bits, 3.0, f64::NEG_INFINITY] {
        let mut search = Search { shape, recipe, constraints, release_bits, best: None, least_memory };
        search.try_rings()?;
        if let Some((_, plan)) = search.best {
            return Ok(plan);
        }
        least_memory = search.least_memory;
    }
    if least_memory < usize::MAX {
        return Err(HeadError::Memory { needed: least_memory, available: constraints.memory });
    }
    Err(HeadError::NoPlan(no_plan_message(shape, recipe, constraints)))
}

struct Search<'a> {
    shape: Shape,
    recipe: &'a Recipe,
    constraints: &'a Constraints,
    release_bits: f64,
    best: Option<(f64, Plan)>,
    least_memory: usize,
}

/// What became of a candidate.
enum Verdict {
    /// It could serve.
    Serves,
    /// Its parameters do not fit the ring at any useful scale.
    NoRoom,
    /// Too few bits are left for publication.
    Imprecise { missing_bits: f64 },
    /// It needs too much memory.
    TooLarge,
}

impl Search<'_> {
    fn try_rings(&mut self) -> Result<()> {
        let rings: Vec<u32> = match self.constraints.log_n {
            Some(log_n) => vec![log_n],
            None => SECURITY_BOUNDS.iter().map(|(log_n, _)| *log_n).collect(),
        };
        let mut rings_with_room = 0;
        for log_n in rings {
            // A level is left at the end only where precision asks for it: it makes everything larger.
            let found = self.try_ring(log_n, 0)? || self.try_ring(log_n, 1)?;
            // A ring twice as large costs more than twice as much a ciphertext; two that have room bracket the optimum.
            rings_with_room += usize::from(found);
            if rings_with_room == 2 {
                break;
            }
        }
        Ok(())
    }

    /// Whether the levels fit into the ring's modulus at the smallest scale, beside a base and a special prime.
    fn has_room(&self, layout: &AnyLayout, log_n: u32, reserve: usize) -> bool {
        let levels = layout.levels(self.recipe.iterations(), self.recipe.initial_weight() != 0.0) + reserve;
        let least = levels as f64 * f64::from(LEAST_SCALE_BITS) + 2.0 * f64::from(BASE_BITS);
        self.constraints.insecure_toy || security_bound(log_n).is_some_and(|bound| least <= f64::from(bound) + 1.0)
    }

    /// Tries all geometries in one ring, the most promising first. Whether any plan was found.
    fn try_ring(&mut self, log_n: u32, reserve: usize) -> Result<bool> {
        let mut found = false;
        // Precision hardly depends on the geometry: where the first one misses it by far, so do the others.
        let mut hopeless = BTreeSet::new();
        let mut geometries: Vec<(f64, AnyLayout)> = geometries(self.shape, log_n, self.constraints.layout)
            .into_iter()
            .map(|layout| (self.least_seconds(&layout, log_n), layout))
            .collect();
        geometries.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        for (least, layout) in geometries {
            if self.best.as_ref().is_some_and(|(best, _)| least > *best) {
                break;
            }
            // More memory would not help what the modulus has no room for.
            if !self.has_room(&layout, log_n, reserve) {
                continue;
            }
            // Known without tracing, which takes as long as there are operations.
            let least_bytes = self.least_bytes(&layout, log_n);
            if least_bytes > self.constraints.memory {
                self.least_memory = self.least_memory.min(least_bytes);
                continue;
            }
            // From few digits, with many special primes, to many digits where the modulus leaves no room for those.
            let limbs = layout.levels(self.recipe.iterations(), self.recipe.initial_weight() != 0.0) + reserve + 1;
            let mut special: Vec<usize> = [2, 3, 4, 6].iter().map(|digits| limbs.div_ceil(*digits)).collect();
            special.dedup();
            for special in special {
                if hopeless.contains(&special) {
                    continue;
                }
                match self.try_candidate(layout.clone(), log_n, special, reserve)? {
                    Verdict::Serves => found = true,
                    Verdict::Imprecise { missing_bits } if missing_bits < 2.0 => {}
                    Verdict::Imprecise { .. } | Verdict::NoRoom => drop(hopeless.insert(special)),
                    Verdict::TooLarge => {}
                }
            }
        }
        Ok(found)
    }

    /// Prices one candidate and keeps it if it is the best so far.
    fn try_candidate(&mut self, layout: AnyLayout, log_n: u32, special: usize, reserve: usize) -> Result<Verdict> {
        let Some(plan) = candidate(self.shape, self.recipe, layout, log_n, special, reserve, self.constraints)? else {
            return Ok(Verdict::NoRoom);
        };
        let estimate = Estimate::new(&plan)?;
        let missing_bits =
            (self.release_bits - estimate.release_bits()).max(LEAST_TRAINING_BITS + estimate.weight_bound().log2());
        if missing_bits > 0.0 && !self.constraints.insecure_toy {
            return Ok(Verdict::Imprecise { missing_bits });
        }
        self.least_memory = self.least_memory.min(estimate.server_bytes);
        if estimate.server_bytes > self.constraints.memory {
            return Ok(Verdict::TooLarge);
        }
        let cost =
            estimate.seconds(&plan, &UnitCosts::REFERENCE) + estimate.upload_bytes as f64 / UPLOAD_BYTES_PER_SECOND;
        if self.best.as_ref().is_none_or(|(least, _)| cost < *least) {
            self.best = Some((cost, plan));
        }
        Ok(Verdict::Serves)
    }

    /// Bytes of the prepared data alone.
    fn least_bytes(&self, layout: &AnyLayout, log_n: u32) -> usize {
        let ciphertexts = match layout {
            AnyLayout::ClassDiagonal(layout) => layout.blocks() * (layout.block() + layout.weight_ciphertexts()),
            AnyLayout::VolleyRevolver(layout) => layout.blocks(),
        };
        let limbs = layout.levels(self.recipe.iterations(), self.recipe.initial_weight() != 0.0) + 1;
        ciphertexts.saturating_mul(2 * limbs * (8 << log_n))
    }

    /// A bound that no plan with this geometry goes below: the products of every pass at the lowest levels that they can have, and the
    /// key switches of every block as if they were at the lowest level of all.
    fn least_seconds(&self, layout: &AnyLayout, log_n: u32) -> f64 {
        let AnyLayout::ClassDiagonal(layout) = layout else { return 0.0 };
        let offset = self.recipe.initial_weight() != 0.0;
        let iterations = self.recipe.iterations();
        let passes = (layout.blocks() * layout.weight_ciphertexts()) as f64;
        let words: usize = (1..=iterations)
            .map(|t| {
                let left = layout.levels(iterations, offset) - layout.levels(t, offset) + 1;
                // Backward at the level above what is left, forward three above that.
                (left + 1) + if t > 1 { left + 4 } else { 0 }
            })
            .sum();
        let folds = (layout.width() / layout.block()).ilog2() as usize;
        let switches = (iterations - 1) * (3 * layout.giants() + 2 * folds) + layout.giants();
        const LEAST_TRANSFORMS: f64 = 12.0;
        let operations = Operations {
            transforms: (passes * switches as f64 * LEAST_TRANSFORMS) as u64,
            limb_products: (4.0 * passes * (layout.block() * words) as f64) as u64,
            ..Operations::default()
        };
        UnitCosts::REFERENCE.seconds(log_n, &operations)
    }
}

fn no_plan_message(shape: Shape, recipe: &Recipe, constraints: &Constraints) -> String {
    let ring =
        constraints.log_n.map_or("any supported ring".to_string(), |log_n| format!("the ring of dimension 2^{log_n}"));
    format!(
        "{} iteration(s) on {} features in layout {} do not fit in {ring} at 128 bits: use fewer iterations{}",
        recipe.iterations(),
        shape.features,
        constraints.layout,
        if constraints.log_n.is_some() { " or a larger ring" } else { ", or reduce the features on your side first" }
    )
}

/// The plan of a candidate with the largest scale that its ring has room for, if that is large enough.
fn candidate(
    shape: Shape,
    recipe: &Recipe,
    layout: AnyLayout,
    log_n: u32,
    special: usize,
    reserve: usize,
    constraints: &Constraints,
) -> Result<Option<Plan>> {
    let levels = layout.levels(recipe.iterations(), recipe.initial_weight() != 0.0) + reserve;
    if special > levels + 1 || levels + 1 + special > 60 {
        return Ok(None);
    }
    // Below the level that is left there is room for the message above one prime.
    let most_scale = if reserve > 0 { MOST_PRIME_BITS } else { BASE_BITS - HEADROOM_BITS };
    let bound = if constraints.insecure_toy { f64::INFINITY } else { security_bound(log_n).map_or(0.0, f64::from) };
    let room = bound - f64::from(BASE_BITS) * (1 + special) as f64;
    let mut bits = MOST_PRIME_BITS.min((room / levels as f64).max(0.0).floor() as u32);
    while bits >= LEAST_SCALE_BITS {
        let Ok(literal) = ParametersLiteral::choose(log_n, BASE_BITS, bits, levels, special) else { return Ok(None) };
        // Primes lie on both sides of their power of two, so the sum may miss the bound by a hair.
        if literal.log_qp() <= bound {
            let scale_bits = bits.min(most_scale);
            return Plan::new(shape, recipe.clone(), layout, literal, scale_bits, constraints.insecure_toy).map(Some);
        }
        bits -= 1;
    }
    Ok(None)
}

fn geometries(shape: Shape, log_n: u32, layout: LayoutKind) -> Vec<AnyLayout> {
    let slots = 1usize << (log_n - 1);
    match layout {
        LayoutKind::VolleyRevolver => {
            VolleyRevolver::new(shape, slots).map(AnyLayout::VolleyRevolver).into_iter().collect()
        }
        LayoutKind::ClassDiagonal => class_diagonals(shape, slots),
    }
}

/// Blocks of every size that makes sense, with about as many giant as baby steps.
fn class_diagonals(shape: Shape, slots: usize) -> Vec<AnyLayout> {
    let mut all = Vec::new();
    for log_block in 0..=10u32 {
        let block = 1usize << log_block;
        // A block that holds all rows twice over only wastes slots.
        if log_block > 0 && block / 2 >= shape.rows {
            break;
        }
        let width = ClassDiagonal::least_width(shape, block);
        // More classes together than there are would only waste slots, but for filling the top axis.
        let most = (slots / width.min(slots)).min(shape.classes.next_power_of_two());
        let together = (0..=most.ilog2()).map(|log| 1usize << log).chain([slots / width.min(slots)]);
        let mut together: Vec<usize> = together.collect();
        together.dedup();
        for classes in together {
            for log_giants in (log_block / 2).saturating_sub(1)..=(log_block / 2 + 1).min(log_block) {
                all.extend(
                    ClassDiagonal::new(shape, slots, width, block, 1 << log_giants, classes)
                        .map(AnyLayout::ClassDiagonal),
                );
            }
        }
    }
    all
}
