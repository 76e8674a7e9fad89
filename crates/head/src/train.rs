//! The encrypted training: Nesterov's iterations around a layout's gradient, for any machine that can do
//! [`Arithmetic`].
//!
//! With G_t the gradient at V_{t-1} (its rate included), V_0 = W_0 = 0 in the owner's coordinates:
//!
//! ```text
//! V_t = c_t W_{t-1} + G_t,    W_t = (1 - eta_t) V_t + eta_t V_{t-1}
//! ```
//!
//! with c_t = 1 unless the recipe has a ridge.
//!
//! W_{t-1} is a combination of two older, higher-level ciphertexts, so its scalars cost no level. The scalars of the
//! last W_t would; so the server returns the *carry* (1 - eta_t) c_t W_{t-1} + eta_t V_{t-1} and the open G_t apart, and
//! the owner computes W_t = carry + (1 - eta_t) G_t.

use ciphertune_ckks::{Arithmetic, Result};
use serde::{Deserialize, Serialize};

use crate::Recipe;
use crate::layout::{GradientStep, Layout, Scales, Upload, weight_rms};
use crate::recipe::Degree;

/// The public numbers of a training, an iteration after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    iterations: Vec<Numbers>,
    stride: f64,
    /// The first rate in units of 4/n, n the rows of a batch.
    first_step: f64,
}

/// What an owner does with an open gradient G at V_{t-1}: V_t = shrink W_{t-1} + scale G, W_t = (1 - eta) V_t + eta
/// V_{t-1}.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnerStep {
    /// This iteration's rate over the first, at which the server takes every gradient.
    pub scale: f64,
    /// This iteration's rate in units of 4/n.
    pub step: f64,
    /// c_t.
    pub shrink: f64,
    /// eta_t.
    pub eta: f64,
}

/// The public numbers of an iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Numbers {
    gradient: GradientStep,
    /// c_t: what is left of W.
    shrink: f64,
    eta: f64,
}

impl Schedule {
    /// The schedule of a recipe for `rows` training rows, at the scales of a plan.
    pub fn new(recipe: &Recipe, rows: usize, scales: Scales) -> Self {
        let (sigmoid, rates, batches) = (recipe.sigmoid(), recipe.hat_rates(rows), recipe.batches(rows));
        let (first_rate, count, stride) = (rates[0], rates.len(), recipe.stride());
        let iterations = rates
            .iter()
            .zip(recipe.steps(rows))
            .enumerate()
            .map(|(index, (&rate, step))| {
                let last = index + 1 == count;
                // Fits square their argument again and again, at scales that are best twice a prime and no more.
                let raise = match sigmoid.degree() {
                    Degree::Three if !last => scales.prime / scales.weights,
                    _ => 1.0,
                };
                let batch = batches.of_iteration(index + 1);
                let gradient = GradientStep { batch, sigmoid, rate, first_rate, stride, raise, last };
                Numbers { gradient, shrink: step.shrink, eta: step.eta }
            })
            .collect();
        Self { iterations, stride, first_step: first_rate * batches.mean_rows() / 4.0 }
    }

    /// Number of iterations.
    pub fn iterations(&self) -> usize {
        self.iterations.len()
    }

    /// The rate that the owner folds into the labels.
    pub fn first_rate(&self) -> f64 {
        self.iterations[0].gradient.first_rate
    }

    /// See [`Recipe::stride`].
    pub fn stride(&self) -> f64 {
        self.stride
    }

    /// The step that an owner makes with the gradient of iteration `t`, from 1, as [`Self::refreshed_gradient`] gives it.
    pub fn owner_step(&self, t: usize) -> OwnerStep {
        let Numbers { gradient, shrink, eta } = self.iterations[t - 1];
        let scale = gradient.rate / gradient.first_rate;
        OwnerStep { scale, step: self.first_step * scale, shrink, eta }
    }

    /// The gradient that a server takes in iteration `t`, from 1, at weights that an owner refreshes: always at the first
    /// rate.
    pub fn refreshed_gradient(&self, t: usize) -> GradientStep {
        let gradient = self.iterations[t - 1].gradient;
        GradientStep { rate: gradient.first_rate, raise: 1.0, last: true, ..gradient }
    }

    /// eta of iteration `t`, from 1.
    pub fn eta(&self, t: usize) -> f64 {
        self.iterations[t - 1].eta
    }
}

/// Which iterates the server returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Returned {
    /// The last one.
    #[default]
    Last,
    /// Every one, for a look at the course of the training.
    Every,
}

/// An iterate as the server returns it.
#[derive(Clone, Debug)]
pub struct Iterate<C> {
    /// t, from 1.
    pub iteration: usize,
    /// (1 - eta_t) c_t W_{t-1} + eta_t V_{t-1}, one a weight ciphertext; `None` while it is zero.
    pub carry: Option<Vec<C>>,
    /// G_t, open, one a weight ciphertext.
    pub gradient: Vec<C>,
}

/// Where a training in one chain stands: enough to go on with, beside the job.
#[derive(Clone, Debug)]
pub struct Standing<C> {
    /// t, the iterations that are done.
    pub iteration: usize,
    /// V_t, one a weight ciphertext.
    pub last: Vec<C>,
    /// V_{t-1}; `None` while it is zero.
    pub before: Option<Vec<C>>,
}

/// What happens between the iterations of a training.
pub trait Listener<C>: Send {
    /// Iteration `t` is done. Before the last one `standing` says where the training stands.
    ///
    /// # Errors
    ///
    /// Its error ends the training.
    fn iterated(&mut self, t: usize, standing: Option<&Standing<C>>) -> Result<()>;
}

impl<C, F: FnMut(usize) + Send> Listener<C> for F {
    fn iterated(&mut self, t: usize, _: Option<&Standing<C>>) -> Result<()> {
        self(t);
        Ok(())
    }
}

/// Trains on an upload. Takes nothing that only an owner has.
///
/// Cost: [`Layout::levels`] levels; the key switches are those of [`Layout::prepare`] and one [`Layout::gradient`] an
/// iteration.
pub fn train<L: Layout, M: Arithmetic, U: Upload<M::Ciphertext>>(
    m: &M,
    layout: &L,
    schedule: &Schedule,
    upload: U,
    returned: Returned,
) -> Result<Vec<Iterate<M::Ciphertext>>> {
    train_watched(m, layout, schedule, upload, returned, &mut |_| ())
}

/// As [`train`]; `listener` hears of every iteration that is done, counted from 1.
pub fn train_watched<L: Layout, M: Arithmetic, U: Upload<M::Ciphertext>>(
    m: &M,
    layout: &L,
    schedule: &Schedule,
    upload: U,
    returned: Returned,
    listener: &mut dyn Listener<M::Ciphertext>,
) -> Result<Vec<Iterate<M::Ciphertext>>> {
    train_from(m, layout, schedule, upload, returned, None, listener)
}

/// As [`train_watched`], from where another training of the same job stood. What it returned before is not returned
/// again; all else is what it would have been.
pub fn train_from<L: Layout, M: Arithmetic, U: Upload<M::Ciphertext>>(
    m: &M,
    layout: &L,
    schedule: &Schedule,
    upload: U,
    returned: Returned,
    standing: Option<Standing<M::Ciphertext>>,
    listener: &mut dyn Listener<M::Ciphertext>,
) -> Result<Vec<Iterate<M::Ciphertext>>> {
    let data = layout.prepare(m, upload)?;
    let mut iterates = Vec::new();
    let mut standing = standing;
    let done = standing.as_ref().map_or(0, |standing| standing.iteration);
    for (index, Numbers { gradient: step, shrink, eta }) in schedule.iterations.iter().enumerate().skip(done) {
        // V_{t-1} and V_{t-2}, `None` while zero.
        let last = standing.as_ref().map(|standing| &standing.last[..]);
        let before = standing.as_ref().and_then(|standing| standing.before.as_deref());
        let previous_eta = index.checked_sub(1).map_or(0.0, |index| schedule.iterations[index].eta);
        let gradient = layout.gradient::<M, U>(m, &data, last, step)?;
        let is_last = index + 1 == schedule.iterations();
        // c_t W_{t-1} = c_t ((1 - previous eta) V_{t-1} + previous eta V_{t-2})
        let weights = (shrink * (1.0 - previous_eta), shrink * previous_eta);
        if is_last || returned == Returned::Every {
            let coefficients = ((1.0 - eta) * weights.0 + eta, (1.0 - eta) * weights.1);
            let carry = combine(m, last, before, coefficients, &gradient)?;
            iterates.push(Iterate { iteration: index + 1, carry, gradient: gradient.clone() });
        }
        if !is_last {
            let closed = gradient.iter().map(|g| layout.close(m, g)).collect::<Result<Vec<_>>>()?;
            let next = match combine(m, last, before, weights, &closed)? {
                Some(w) => w.iter().zip(&closed).map(|(w, g)| m.add(w, g)).collect::<Result<Vec<_>>>()?,
                None => closed,
            };
            let rms = schedule.stride * weight_rms(layout.shape(), index + 1);
            next.iter().for_each(|v| m.expect_magnitude(v, rms));
            let before = standing.map(|standing| standing.last);
            standing = Some(Standing { iteration: index + 1, last: next, before });
        }
        listener.iterated(index + 1, standing.as_ref().filter(|_| !is_last))?;
    }
    Ok(iterates)
}

/// a last + b before, at the levels and scales of `like`; `None` when it is zero.
fn combine<M: Arithmetic>(
    m: &M,
    last: Option<&[M::Ciphertext]>,
    before: Option<&[M::Ciphertext]>,
    (a, b): (f64, f64),
    like: &[M::Ciphertext],
) -> Result<Option<Vec<M::Ciphertext>>> {
    let scaled = |terms: Option<&[M::Ciphertext]>, factor: f64| -> Result<Option<Vec<M::Ciphertext>>> {
        let Some(terms) = terms.filter(|_| factor != 0.0) else { return Ok(None) };
        let to = |(v, like)| m.mul_scalar_to(v, factor, m.level(like), m.scale(like));
        terms.iter().zip(like).map(to).collect::<Result<_>>().map(Some)
    };
    Ok(match (scaled(last, a)?, scaled(before, b)?) {
        (Some(x), Some(y)) => Some(x.iter().zip(&y).map(|(x, y)| m.add(x, y)).collect::<Result<_>>()?),
        (x, y) => x.or(y),
    })
}
