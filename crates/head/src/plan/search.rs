//! The planner: candidates, in order of cost.
//!
//! Every ring dimension, number of special primes and layout geometry that can hold the training is priced in closed
//! form ([`price`]) with [`UnitCosts::REFERENCE`]; the circuits of the cheapest are traced, and the cheapest of these
//! that is secure, precise enough to be published and fits in memory wins. The search reads nothing but the shape, the
//! recipe and the constraints, so it gives the same plan everywhere.

use std::collections::{BTreeMap, BTreeSet};

use ciphertune_ckks::{ParametersLiteral, SECURITY_BOUNDS, security_bound};

use super::contributions::{self, Contribution, Given};
use super::cost::{UnitCosts, Work};
use super::refresh::Refresh;
use super::{Estimate, Plan, Travelling, estimate, price};
use crate::layout::{AnyLayout, ClassDiagonal, Layout, LayoutKind, Shape, TopAxis, VolleyRevolver};
use crate::{HeadError, Recipe, Result};

/// Bits of the lowest prime and of the special primes.
const BASE_BITS: u32 = 50;
/// Bits between the scale and the lowest prime: weights and gradients up to 2^(5 - 1) = 16 in the owner's coordinates.
const HEADROOM_BITS: u32 = 5;
/// The smallest scale worth training with.
const LEAST_SCALE_BITS: u32 = 32;
/// The largest primes for rescaling: two bits below the special primes, or the noise of key switches would exceed that
/// of rounding.
const MOST_PRIME_BITS: u32 = 48;
/// Bits of a logit that plans reserve for publication unless told otherwise, with weights of order one.
const LOGIT_BITS: f64 = 2.0;
/// Bits of the largest weight that are worth a larger ring; more are taken where they cost little.
const ENOUGH_BITS: f64 = 6.0;
/// By how many bits less is tried for where all that are reserved cannot be had.
const LESSER_BITS: f64 = 3.0;

/// Bits that plans reserve for a published model of so many features unless told otherwise: log2 sqrt(d + 1) + 2. The
/// noise of one release is then at most 2^-2 in a logit, where the weights that matter are of order one.
pub fn release_bits(features: usize) -> f64 {
    estimate::bits_lost_in_a_logit(features) + LOGIT_BITS
}

/// Bits after the point that every weight must be trained to: errors of at most 2^-12 in the owner's coordinates.
const LEAST_TRAINING_BITS: f64 = 12.0;

/// What precision for publication may cost, as a multiple of the cheapest plan.
const PUBLICATION_FACTOR: f64 = 2.5;
/// What more than [`ENOUGH_BITS`] for publication may cost.
const LITTLE_FACTOR: f64 = 1.15;
/// What [`LESSER_BITS`] fewer for publication may cost where all that are wished for cannot be had.
const LESSER_FACTOR: f64 = 1.6;
/// By how much of itself a price in closed form may miss what the tracer counts.
const PRICE_TOLERANCE: f64 = 0.05;
/// What less memory of the server may cost in a refreshed training: classes side by side in a ciphertext save a little
/// work in every iteration, and multiply the data.
const MEMORY_FACTOR: f64 = 1.15;
/// By what power of the memory the cost is multiplied then: a tenth less is worth four hundredths of the cost.
const MEMORY_POWER: f64 = 0.4;
/// Of candidates with more blocks than this only so many are looked at in a ring.
const MANY_BLOCKS: usize = 64;
const MOST_TRACED: usize = 6;
/// How fast an upload is unless told otherwise: a slow connection's.
pub const UPLOAD_BYTES_PER_SECOND: f64 = 25e6;

/// What owners give, in places of a layout: aligned where it leaves places free, dense elsewhere.
fn placed(given: &[Given], shape: Shape, layout: &AnyLayout) -> Vec<Contribution> {
    let unit = match layout {
        AnyLayout::ClassDiagonal(layout) if layout.batches().rows() > shape.rows => layout.block_rows(),
        _ => 1,
    };
    contributions::place(given, unit)
}

/// What a plan must respect.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraints {
    /// The layout.
    pub layout: LayoutKind,
    /// Most bytes of memory that the server may need.
    pub memory: usize,
    /// This ring dimension, and no other.
    pub log_n: Option<u32>,
    /// Bits of precision to reserve for a published model, see [`super::Estimate::release_bits`], if any ring has room
    /// for them; `None` for [`release_bits`] of the features.
    pub release_bits: Option<f64>,
    /// Bytes a second of the owner's connection, more than 0. The seconds of the upload count beside those of training:
    /// otherwise plans would send each row several times to save a little work. Infinity for an upload that costs
    /// nothing.
    pub upload_rate: f64,
    /// So many classes in a weight ciphertext of layout `class-diagonal`, and no other number; a power of two.
    pub classes_together: Option<usize>,
    /// Who makes the steps.
    pub refresh: Refresh,
    /// What several owners give; empty where one has all rows, and the training's key.
    pub given: Vec<Given>,
    /// Any ring however small, with no security at all: for tests.
    pub insecure_toy: bool,
}

impl Default for Constraints {
    fn default() -> Self {
        Self {
            layout: LayoutKind::ClassDiagonal,
            memory: usize::MAX,
            log_n: None,
            release_bits: None,
            upload_rate: UPLOAD_BYTES_PER_SECOND,
            classes_together: None,
            refresh: Refresh::Never,
            given: Vec::new(),
            insecure_toy: false,
        }
    }
}

/// Finds the plan of a training.
///
/// # Errors
///
/// [`HeadError::NoPlan`] if no ring has room for it at 128 bits, [`HeadError::Memory`] if every plan needs more memory
/// than allowed.
///
/// # Panics
///
/// Panics if the upload rate is not more than 0.
pub fn choose(shape: Shape, recipe: &Recipe, constraints: &Constraints) -> Result<Plan> {
    assert!(constraints.upload_rate > 0.0, "an upload at {} bytes a second never ends", constraints.upload_rate);
    super::check_layout(constraints.layout, recipe)?;
    if !constraints.given.is_empty() {
        contributions::check_recipe(recipe, constraints.layout, constraints.refresh)?;
        let rows = contributions::rows(&constraints.given)?;
        if rows != shape.rows {
            let message = format!("the owners give {rows} rows, not {}", shape.rows);
            return Err(HeadError::Contributions(message));
        }
    }
    let mut search = Search {
        shape,
        recipe,
        constraints,
        known: BTreeMap::new(),
        readings: BTreeMap::new(),
        least_memory: usize::MAX,
    };
    // Precision for publication first; where no ring has room for it at a sensible cost, the cheapest plan that trains
    // well.
    if let Some((cheapest, plan)) = search.best(f64::NEG_INFINITY, f64::INFINITY)? {
        let usual = release_bits(shape.features);
        let wishes = match constraints.release_bits {
            Some(wish) => vec![(wish, PUBLICATION_FACTOR)],
            None => vec![(usual, LITTLE_FACTOR), (usual.min(ENOUGH_BITS), PUBLICATION_FACTOR)],
        };
        for (release_bits, factor) in wishes.into_iter().chain([(usual - LESSER_BITS, LESSER_FACTOR)]) {
            if let Some((_, plan)) = search.best(release_bits, factor * cheapest)? {
                return Ok(plan);
            }
        }
        return Ok(plan);
    }
    if search.least_memory < usize::MAX {
        return Err(HeadError::Memory { needed: search.least_memory, available: constraints.memory });
    }
    Err(HeadError::NoPlan(no_plan_message(shape, recipe, constraints)))
}

/// Seconds of a refresh beside those of its bytes: a connection's delay both ways, and the owner's work.
const REFRESH_SECONDS: f64 = 0.2;

/// Finds the plan of a training, whoever makes its steps: the one that takes less time by the reference costs, upload and
/// refreshes included. `constraints.refresh` does not count.
///
/// # Errors
///
/// As [`choose`], if there is no plan either way.
pub fn choose_refresh(shape: Shape, recipe: &Recipe, constraints: &Constraints) -> Result<Plan> {
    let plan = |refresh| choose(shape, recipe, &Constraints { refresh, ..constraints.clone() });
    let (chain, refreshed) = (plan(Refresh::Never), plan(Refresh::EveryIteration));
    let seconds = |plan: &Plan| -> Result<f64> {
        let (estimate, exchange) = (plan.estimate()?, plan.exchange());
        let (bytes, rounds) = exchange.map_or((0, 0), |exchange| (exchange.bytes(), exchange.count));
        let travels = (estimate.upload_bytes + bytes) as f64 / constraints.upload_rate;
        Ok(estimate.seconds(plan, &UnitCosts::REFERENCE) + travels + REFRESH_SECONDS * rounds as f64)
    };
    match (chain, refreshed) {
        (Ok(chain), Ok(refreshed)) => Ok(if seconds(&refreshed)? < seconds(&chain)? { refreshed } else { chain }),
        (Ok(plan), Err(_)) | (Err(_), Ok(plan)) => Ok(plan),
        (Err(error), Err(_)) => Err(error),
    }
}

struct Search<'a> {
    shape: Shape,
    recipe: &'a Recipe,
    constraints: &'a Constraints,
    /// What is known of candidates by (ring, levels left, geometry, special primes); `None` if their parameters do not
    /// fit the ring.
    known: BTreeMap<(u32, usize, usize, usize), Option<Known>>,
    /// What reading data again takes in them; `None` if they need too much memory.
    readings: BTreeMap<(u32, usize, usize, usize), Option<Work>>,
    least_memory: usize,
}

/// A plan with its bound on errors and its bits in a release.
#[derive(Clone)]
struct Known {
    plan: Plan,
    weight_bound: f64,
    release_bits: f64,
}

/// A geometry and a number of special primes, with what they cost in closed form.
struct Candidate {
    price: f64,
    geometry: usize,
    special: usize,
    layout: AnyLayout,
}

impl Search<'_> {
    /// The cheapest plan below a cost that leaves so many bits for publication.
    fn best(&mut self, release_bits: f64, most: f64) -> Result<Option<(f64, Plan)>> {
        let rings: Vec<u32> = match self.constraints.log_n {
            Some(log_n) => vec![log_n],
            None => SECURITY_BOUNDS.iter().map(|(log_n, _)| *log_n).collect(),
        };
        let mut best: Option<(f64, Plan)> = None;
        let mut rings_with_room = 0;
        for log_n in rings {
            // A level is left at the end only where precision asks for it: it makes everything larger.
            let mut found = None;
            for reserve in [0, 1] {
                let most = best.as_ref().map_or(most, |(cost, _)| *cost);
                found = found.or(self.best_in(log_n, reserve, release_bits, most)?);
            }
            rings_with_room += usize::from(found.is_some());
            best = match (best, found) {
                (Some(best), Some(found)) => Some(if found.0 < best.0 { found } else { best }),
                (best, found) => best.or(found),
            };
            // A ring twice as large costs more than twice as much a ciphertext; two that have room bracket the optimum.
            if rings_with_room == 2 {
                break;
            }
        }
        Ok(best)
    }

    /// The cheapest plan in one ring. Candidates are traced in the order of their prices, until the rest cost more than
    /// the best by more than a price can be wrong, or more than `most`.
    fn best_in(&mut self, log_n: u32, reserve: usize, release_bits: f64, most: f64) -> Result<Option<(f64, Plan)>> {
        let (mut least, mut found) = (most, Vec::new());
        let slack = match self.constraints.refresh {
            Refresh::Never => 1.0,
            Refresh::EveryIteration => MEMORY_FACTOR,
        };
        // Precision hardly depends on the geometry: where the first one misses it by far, so do the others.
        let mut hopeless = BTreeSet::new();
        let mut traced = 0;
        for candidate in self.candidates(log_n, reserve) {
            let Candidate { price, geometry, special, layout } = candidate;
            let limit = (least * slack).min(most);
            if price > limit * (1.0 + PRICE_TOLERANCE) {
                break;
            }
            // More memory would not help what the modulus has no room for.
            if hopeless.contains(&special) || !self.has_room(&layout, log_n, special, reserve) {
                continue;
            }
            // Known without tracing, which takes as long as there are operations.
            let least_bytes = self.least_bytes(&layout, log_n, special);
            if least_bytes > self.constraints.memory {
                self.least_memory = self.least_memory.min(least_bytes);
                continue;
            }
            // Long to trace, and all much the same.
            let many = matches!(&layout, AnyLayout::ClassDiagonal(layout) if layout.batch_blocks() > MANY_BLOCKS);
            traced += usize::from(many);
            if traced > MOST_TRACED {
                break;
            }
            let Some(known) = self.known((log_n, reserve, geometry, special), layout)? else {
                hopeless.insert(special);
                continue;
            };
            let missing_bits = (release_bits - known.release_bits).max(LEAST_TRAINING_BITS + known.weight_bound.log2());
            if missing_bits > 0.0 && !self.constraints.insecure_toy {
                if missing_bits >= 2.0 {
                    hopeless.insert(special);
                }
                continue;
            }
            let plan = known.plan;
            let estimate = plan.estimate()?;
            let Some(reading) = self.reading((log_n, reserve, geometry, special), &plan)? else { continue };
            let exchanged = plan.exchange().map_or(0, |exchange| exchange.bytes());
            let cost = self.cost(log_n, estimate.operations.work + reading, estimate.upload_bytes + exchanged);
            if cost < limit {
                least = least.min(cost);
                found.push((cost, estimate.server_bytes, plan));
            }
        }
        let near = found.into_iter().filter(|(cost, ..)| *cost <= least * slack);
        let power = if slack > 1.0 { MEMORY_POWER } else { 0.0 };
        let weighed = |(cost, bytes, _): &(f64, usize, Plan)| cost * (*bytes as f64).powf(power);
        Ok(near.min_by(|a, b| weighed(a).total_cmp(&weighed(b))).map(|(cost, _, plan)| (cost, plan)))
    }

    /// What reading data again takes in a candidate's plan; `None` if there is not enough memory even so.
    fn reading(&mut self, key: (u32, usize, usize, usize), plan: &Plan) -> Result<Option<Work>> {
        if let Some(reading) = self.readings.get(&key) {
            return Ok(*reading);
        }
        let beside = plan.estimate()?.beside_bytes;
        // Tracing would only tell by how much more it is too much.
        if beside > self.constraints.memory && beside >= self.least_memory {
            return Ok(None);
        }
        let reading = match plan.allot(self.constraints.memory) {
            Ok(allotment) => Some(allotment.work()),
            Err(HeadError::Memory { needed, .. }) => {
                self.least_memory = self.least_memory.min(needed);
                None
            }
            Err(error) => return Err(error),
        };
        self.readings.insert(key, reading);
        Ok(reading)
    }

    /// Seconds of training and of the upload.
    fn cost(&self, log_n: u32, work: Work, upload_bytes: usize) -> f64 {
        UnitCosts::REFERENCE.seconds(log_n, work) + upload_bytes as f64 / self.constraints.upload_rate
    }

    /// All geometries and numbers of special primes in one ring, the cheapest first.
    fn candidates(&self, log_n: u32, reserve: usize) -> Vec<Candidate> {
        let (iterations, offset) = (self.recipe.iterations(), self.recipe.initial_weight() != 0.0);
        let refresh = self.constraints.refresh;
        let geometries = geometries(self.shape, log_n, self.recipe, self.constraints);
        let mut candidates = Vec::new();
        for (geometry, layout) in geometries.into_iter().enumerate() {
            let top = refresh.levels(&layout, self.recipe) + reserve;
            // From many digits, where the modulus leaves no room for special primes, to few.
            let special: Vec<usize> = match layout {
                AnyLayout::ClassDiagonal(_) => (1..=top + 1).collect(),
                // Only a reference.
                AnyLayout::VolleyRevolver(_) => [2, 3, 4, 6].iter().map(|digits| (top + 1).div_ceil(*digits)).collect(),
            };
            for special in special {
                let price = match &layout {
                    AnyLayout::ClassDiagonal(layout) => {
                        let mut work = price::class_diagonal(layout, (iterations, offset, refresh), top, special);
                        let bits = [BASE_BITS, prime_bits(log_n, top, special, self.constraints)];
                        let levels = refresh.upload_levels(layout, top, offset);
                        let mut upload = price::upload_bytes(layout, log_n, levels, bits);
                        if !self.constraints.given.is_empty() {
                            let any = AnyLayout::ClassDiagonal(*layout);
                            let contributions = placed(&self.constraints.given, self.shape, &any);
                            work += price::entries(contributions::entries(&contributions, &any), levels, special);
                            let most = contributions.iter().map(|c| contributions::entries(&[*c], &any));
                            let most = most.map(|[data, labels]| data + labels).max().unwrap_or(0);
                            // All ciphertexts are at one level.
                            upload =
                                (upload as f64 * most as f64 / layout.upload_count(false).unwrap_or(1) as f64) as usize;
                        }
                        let exchanged = match refresh {
                            Refresh::Never => 0,
                            Refresh::EveryIteration => price::exchange(layout, log_n, iterations, top, bits).bytes(),
                        };
                        self.cost(log_n, work, upload.saturating_add(exchanged))
                    }
                    // Only one geometry a ring, and a trace of two blocks: not worth a formula.
                    AnyLayout::VolleyRevolver(_) => 0.0,
                };
                candidates.push(Candidate { price, geometry, special, layout: layout.clone() });
            }
        }
        candidates.sort_by(|a, b| a.price.total_cmp(&b.price));
        candidates
    }

    /// Whether the levels fit into the ring's modulus at the smallest scale, beside a base and the special primes.
    fn has_room(&self, layout: &AnyLayout, log_n: u32, special: usize, reserve: usize) -> bool {
        let levels = self.constraints.refresh.levels(layout, self.recipe) + reserve;
        let least = levels as f64 * f64::from(LEAST_SCALE_BITS) + (1 + special) as f64 * f64::from(BASE_BITS);
        self.constraints.insecure_toy || security_bound(log_n).is_some_and(|bound| least <= f64::from(bound) + 1.0)
    }

    /// The plan of a candidate and its precision, if its parameters fit the ring.
    fn known(&mut self, key: (u32, usize, usize, usize), layout: AnyLayout) -> Result<Option<Known>> {
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let (log_n, reserve, _, special) = key;
        let plan = candidate(self.shape, self.recipe, layout, log_n, special, reserve, self.constraints)?;
        let known = match plan {
            Some(plan) => {
                let (weight_bound, release_bits) = Estimate::precision(&plan)?;
                Some(Known { plan, weight_bound, release_bits })
            }
            None => None,
        };
        self.known.insert(key, known.clone());
        Ok(known)
    }

    /// Bytes of what every training takes, and of the data that are always kept.
    fn least_bytes(&self, layout: &AnyLayout, log_n: u32, special: usize) -> usize {
        let ciphertexts = match layout {
            AnyLayout::ClassDiagonal(layout) if layout.top() == TopAxis::Classes => layout.blocks() * layout.block(),
            // Read again whenever they are wanted.
            AnyLayout::ClassDiagonal(_) => 0,
            AnyLayout::VolleyRevolver(layout) => layout.blocks(),
        };
        let offset = self.recipe.initial_weight() != 0.0;
        let refresh = self.constraints.refresh;
        let top = refresh.levels(layout, self.recipe);
        let data = refresh.upload_levels(layout, top, offset).data;
        let bits = BASE_BITS + data as u32 * prime_bits(log_n, top, special, self.constraints);
        let (limbs, data) = (top + 1, ciphertexts.saturating_mul((bits as usize) << (log_n + 1)) / 8);
        data.saturating_add(estimate::fixed_bytes(log_n, limbs + special))
    }
}

fn no_plan_message(shape: Shape, recipe: &Recipe, constraints: &Constraints) -> String {
    let ring =
        constraints.log_n.map_or("any supported ring".to_string(), |log_n| format!("the ring of dimension 2^{log_n}"));
    format!(
        "{} iteration(s) on {} features in layout {} do not fit in {ring} at 128 bits: {}use fewer iterations{}",
        recipe.iterations(),
        shape.features,
        constraints.layout,
        // A ring that holds one iteration holds any number of them with refreshes.
        if constraints.refresh == Refresh::Never && recipe.iterations() > 1 && recipe.initial_weight() == 0.0 {
            "let the owner refresh the weights between iterations with --refresh 1, or "
        } else {
            ""
        },
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
    let levels = constraints.refresh.levels(&layout, recipe) + reserve;
    if special > levels + 1 || levels + 1 + special > 60 {
        return Ok(None);
    }
    // Below the level that is left there is room for the message above one prime.
    let most_scale = if reserve > 0 { MOST_PRIME_BITS } else { BASE_BITS - HEADROOM_BITS };
    let bound = modulus_bound(log_n, constraints);
    let mut bits = prime_bits(log_n, levels, special, constraints);
    while bits >= LEAST_SCALE_BITS {
        let Ok(literal) = ParametersLiteral::choose(log_n, BASE_BITS, bits, levels, special) else { return Ok(None) };
        // Primes lie on both sides of their power of two, so the sum may miss the bound by a hair.
        if literal.log_qp() <= bound {
            let scale_bits = bits.min(most_scale);
            let plan = Plan {
                shape,
                recipe: recipe.clone(),
                contributions: placed(&constraints.given, shape, &layout),
                layout,
                parameters: literal,
                scale_bits,
                refresh: constraints.refresh,
                toy: constraints.insecure_toy,
                estimate: Travelling::default(),
            };
            return plan.checked().map(Some);
        }
        bits -= 1;
    }
    Ok(None)
}

/// Bits that the whole modulus may have.
fn modulus_bound(log_n: u32, constraints: &Constraints) -> f64 {
    if constraints.insecure_toy { f64::INFINITY } else { security_bound(log_n).map_or(0.0, f64::from) }
}

/// The most bits for each of the primes that rescale, as far as the ring has room beside the lowest and the special
/// primes.
fn prime_bits(log_n: u32, levels: usize, special: usize, constraints: &Constraints) -> u32 {
    let room = modulus_bound(log_n, constraints) - f64::from(BASE_BITS) * (1 + special) as f64;
    MOST_PRIME_BITS.min((room / levels as f64).max(0.0).floor() as u32)
}

fn geometries(shape: Shape, log_n: u32, recipe: &Recipe, constraints: &Constraints) -> Vec<AnyLayout> {
    let slots = 1usize << (log_n - 1);
    match constraints.layout {
        LayoutKind::VolleyRevolver => {
            VolleyRevolver::new(shape, slots).map(AnyLayout::VolleyRevolver).into_iter().collect()
        }
        LayoutKind::ClassDiagonal => {
            let batches = recipe.batches(shape.rows).count();
            let geometries = class_diagonals(shape, slots, constraints.classes_together).into_iter();
            // A batch begins with a block of its own, which takes more than the classes of a few rows.
            let geometries = geometries.filter(|layout| batches == 1 || layout.top() != TopAxis::Classes);
            let fit = |layout: ClassDiagonal| {
                let aligned = contributions::place(&constraints.given, layout.block_rows());
                // Dense first, then with places that are left free, if that makes a difference.
                let mut places = vec![shape.rows, contributions::places(&aligned).max(shape.rows)];
                places.dedup();
                places.into_iter().map(move |places| super::fit(layout, recipe, places))
            };
            geometries.flat_map(fit).collect()
        }
    }
}

/// Blocks of every size that makes sense, with about as many giant as baby steps.
fn class_diagonals(shape: Shape, slots: usize, classes_together: Option<usize>) -> Vec<ClassDiagonal> {
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
        together.retain(|classes| classes_together.is_none_or(|wanted| wanted == *classes));
        for classes in together {
            for log_giants in (log_block / 2).saturating_sub(1)..=(log_block / 2 + 1).min(log_block) {
                all.extend(ClassDiagonal::new(shape, slots, width, block, 1 << log_giants, classes));
            }
        }
    }
    all
}
