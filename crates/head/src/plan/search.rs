//! The planner: candidates, in order of cost.
//!
//! For every ring dimension, number of special primes and layout geometry that can hold the training, the circuit is traced and
//! priced with [`UnitCosts::REFERENCE`]; the cheapest that is secure, precise enough to be published and fits in memory wins. The
//! search reads nothing but the shape, the recipe and the constraints, so it gives the same plan everywhere.

use ciphertune_ckks::{ParametersLiteral, SECURITY_BOUNDS, security_bound};

use super::cost::UnitCosts;
use super::{Estimate, Plan};
use crate::layout::{AnyLayout, ClassDiagonal, Layout, LayoutKind, Shape, TopAxis, VolleyRevolver};
use crate::{HeadError, Recipe, Result};

/// Bits of the lowest prime and of the special primes.
const BASE_BITS: u32 = 50;
/// Bits between the scale and the lowest prime: weights and gradients up to 2^(5 - 1) = 16 in the owner's coordinates.
const HEADROOM_BITS: u32 = 5;
/// The smallest scale worth training with.
const LEAST_SCALE_BITS: u32 = 32;
/// The largest scale when a level is left at the end, where there is room for the message above one prime.
const MOST_SCALE_BITS: u32 = 49;
/// Released weights must keep at least this deviation's worth of precision: noise of at most 2^-6 in the owner's coordinates, where the
/// weights that matter are of order one.
pub const LEAST_RELEASE_PRECISION_BITS: f64 = 6.0;

/// What a plan must respect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constraints {
    /// The layout.
    pub layout: LayoutKind,
    /// Most bytes of memory that the server may need.
    pub memory: usize,
    /// This ring dimension, and no other.
    pub log_n: Option<u32>,
    /// Any ring however small, with no security at all: for tests.
    pub insecure_toy: bool,
}

impl Default for Constraints {
    fn default() -> Self {
        Self { layout: LayoutKind::ClassDiagonal, memory: usize::MAX, log_n: None, insecure_toy: false }
    }
}

/// Finds the plan of a training.
///
/// # Errors
///
/// [`HeadError::NoPlan`] if no ring has room for it at 128 bits, [`HeadError::Memory`] if every plan needs more memory than allowed.
pub fn choose(shape: Shape, recipe: &Recipe, constraints: &Constraints) -> Result<Plan> {
    let mut best: Option<(f64, Plan)> = None;
    let mut least_memory = usize::MAX;
    let mut rings_with_room = 0;
    let rings: Vec<u32> = match constraints.log_n {
        Some(log_n) => vec![log_n],
        None => SECURITY_BOUNDS.iter().map(|(log_n, _)| *log_n).collect(),
    };
    for log_n in rings {
        let mut found_here = false;
        for (layout, special, reserve) in candidates(shape, log_n, constraints) {
            let Some(plan) = candidate(shape, recipe, layout, log_n, special, reserve, constraints)? else { continue };
            if let Some((cost, _)) = &best
                && lower_bound(&plan) > *cost
            {
                continue;
            }
            let estimate = Estimate::new(&plan)?;
            let imprecise = -estimate.flooding_deviation(1).log2() < LEAST_RELEASE_PRECISION_BITS;
            if imprecise && !constraints.insecure_toy {
                continue;
            }
            least_memory = least_memory.min(estimate.server_bytes);
            if estimate.server_bytes > constraints.memory {
                continue;
            }
            found_here = true;
            let cost = estimate.seconds(&plan, &UnitCosts::REFERENCE);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, plan));
            }
        }
        // A ring twice as large costs more than twice as much a ciphertext; two that have room bracket the optimum.
        rings_with_room += found_here as usize;
        if rings_with_room == 2 {
            break;
        }
    }
    match best {
        Some((_, plan)) => Ok(plan),
        None if least_memory < usize::MAX => {
            Err(HeadError::Memory { needed: least_memory, available: constraints.memory })
        }
        None => Err(HeadError::NoPlan(no_plan_message(shape, recipe, constraints))),
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

/// Transforms of one limb of all data once, a cost that no plan can go below.
fn lower_bound(plan: &Plan) -> f64 {
    let n = (1u64 << plan.literal().log_n) as f64;
    let words: usize = plan.inputs().iter().map(|input| input.level + 1).sum();
    words as f64 * n * UnitCosts::REFERENCE.product
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
    let most = if reserve > 0 { MOST_SCALE_BITS } else { BASE_BITS - HEADROOM_BITS };
    let bound = if constraints.insecure_toy { f64::INFINITY } else { security_bound(log_n).map_or(0.0, f64::from) };
    let room = bound - f64::from(BASE_BITS) * (1 + special) as f64;
    let mut bits = most.min((room / levels as f64).max(0.0).floor() as u32);
    while bits >= LEAST_SCALE_BITS {
        let Ok(literal) = ParametersLiteral::choose(log_n, BASE_BITS, bits, levels, special) else { return Ok(None) };
        // Primes lie on both sides of their power of two, so the sum may miss the bound by a hair.
        if literal.log_qp() <= bound {
            return Plan::new(shape, recipe.clone(), layout, literal, bits, constraints.insecure_toy).map(Some);
        }
        bits -= 1;
    }
    Ok(None)
}

/// Geometries with numbers of special primes and of levels left at the end.
fn candidates(shape: Shape, log_n: u32, constraints: &Constraints) -> Vec<(AnyLayout, usize, usize)> {
    let slots = 1usize << (log_n - 1);
    let layouts: Vec<AnyLayout> = match constraints.layout {
        LayoutKind::VolleyRevolver => {
            VolleyRevolver::new(shape, slots).map(AnyLayout::VolleyRevolver).into_iter().collect()
        }
        LayoutKind::ClassDiagonal => class_diagonals(shape, slots),
    };
    let special: &[usize] = match constraints.layout {
        LayoutKind::VolleyRevolver => &[3, 5, 7, 9],
        LayoutKind::ClassDiagonal => &[1, 2, 3, 4],
    };
    let mut all = Vec::new();
    for layout in layouts {
        for &special in special {
            all.push((layout.clone(), special, 0));
            all.push((layout.clone(), special, 1));
        }
    }
    all
}

/// Blocks of every size that makes sense, with about as many giant as baby steps.
fn class_diagonals(shape: Shape, slots: usize) -> Vec<AnyLayout> {
    let mut all = Vec::new();
    for top in [TopAxis::Classes, TopAxis::Rows] {
        for log_block in 0..=10u32 {
            let block = 1usize << log_block;
            // A block that holds all rows twice over only wastes slots.
            if log_block > 0 && block / 2 >= shape.rows {
                break;
            }
            let width = ClassDiagonal::least_width(shape, block);
            for log_giants in (log_block / 2).saturating_sub(1)..=(log_block / 2 + 1).min(log_block) {
                all.extend(
                    ClassDiagonal::new(shape, slots, width, block, 1 << log_giants, top).map(AnyLayout::ClassDiagonal),
                );
            }
        }
    }
    all
}
