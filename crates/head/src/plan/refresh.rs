//! Client refresh: the owner makes the steps of a training, and every gradient is taken at freshly encrypted weights.
//!
//! ```text
//! server: G_t = rate (Y - p(x^ V_{t-1}^T))^T x^, open, from Enc(V_{t-1})
//! owner:  V_t = c_t W_{t-1} + (rate_t / rate) G_t,  W_t = (1 - eta_t) V_t + eta_t V_{t-1}, in the clear;  sends Enc(V_t)
//! ```
//!
//! So a ring needs the levels of one gradient, whatever the number of iterations, and the server one rate and one
//! polynomial. The message V_t carries the errors of all gradients before it; [`weight_variance`] says what they come to.

use super::Plan;
use crate::layout::{Layout, UploadLevels};
use crate::train::Schedule;
use crate::{HeadError, Recipe, Result};

/// Who makes the steps of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// The server, all of them on ciphertexts in one chain of primes.
    #[default]
    Never,
    /// The owner, who decrypts every gradient and encrypts every iterate afresh.
    EveryIteration,
}

/// A refresh as planned: what goes each way, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Refreshes of a training: one less than it has iterations.
    pub count: usize,
    /// Bytes of ciphertexts from the server to the owner.
    pub request_bytes: usize,
    /// Bytes of ciphertexts from the owner to the server.
    pub answer_bytes: usize,
}

impl Exchange {
    /// Bytes of all refreshes, both ways.
    pub fn bytes(&self) -> usize {
        self.count.saturating_mul(self.request_bytes + self.answer_bytes)
    }
}

impl Refresh {
    /// Iterations from one refresh to the next, as plans write it.
    pub(super) fn every(self) -> Option<u32> {
        match self {
            Self::Never => None,
            Self::EveryIteration => Some(1),
        }
    }

    /// Reads [`Self::every`].
    pub(super) fn from_every(every: Option<u32>) -> Result<Self> {
        match every {
            None => Ok(Self::Never),
            Some(1) => Ok(Self::EveryIteration),
            Some(other) => Err(HeadError::InvalidArtefact(format!(
                "the plan refreshes every {other} iterations, this program knows every iteration"
            ))),
        }
    }

    /// Refuses a recipe that cannot be trained so.
    pub(super) fn check(self, recipe: &Recipe) -> Result<()> {
        if self == Self::Never || recipe.initial_weight() == 0.0 {
            return Ok(());
        }
        let message = "a training that is refreshed starts from weights of zero: choose --initial-weight 0, recipe default, or --refresh never";
        Err(HeadError::InvalidRecipe(message.into()))
    }

    /// Levels that a training consumes.
    pub(super) fn levels(self, layout: &impl Layout, recipe: &Recipe) -> usize {
        match self {
            Self::Never => layout.levels(recipe.iterations(), recipe.initial_weight() != 0.0),
            Self::EveryIteration => layout.gradient_levels(),
        }
    }

    /// The levels of the upload of a training whose freshest ciphertext is at level `top`.
    pub(super) fn upload_levels(self, layout: &impl Layout, top: usize, offset: bool) -> UploadLevels {
        match self {
            Self::Never => layout.upload_levels(top, offset),
            Self::EveryIteration => layout.refreshed_upload_levels(top),
        }
    }

    /// The iterations whose circuits are traced: after the second gradient of a refreshed training every other one is
    /// like it.
    pub(super) fn traced_iterations(self, iterations: usize) -> usize {
        match self {
            Self::Never => iterations,
            Self::EveryIteration => iterations.min(2),
        }
    }
}

impl Plan {
    /// What goes to and fro during a refreshed training; `None` if the server makes the steps.
    pub fn exchange(&self) -> Option<Exchange> {
        if self.refresh == Refresh::Never {
            return None;
        }
        let weights = self.layout.weight_ciphertexts();
        let sent = self.parameters.packed_bytes(2.min(self.parameters.q.len()), 0);
        let fresh = self.parameters.packed_bytes(self.parameters.q.len(), 0) + 32;
        let count = self.recipe.iterations() - 1;
        Some(Exchange { count, request_bytes: 2 * weights * sent, answer_bytes: weights * fresh })
    }
}

/// Eigenvalues of the curvature that are tried, from none to the largest.
const CURVATURES: usize = 16;

/// The variance of the error of a weight after a refreshed training, from that of one of the first gradient and of every
/// later one.
///
/// Along an eigenvector of the curvature, with h_t = 4 s_t p' lambda in [0, 4 s_t c1] for steps s_t and whitened features,
/// errors follow
///
/// ```text
/// dV_t = c_t dW_{t-1} - h_t dV_{t-1} + rho_t e_t,   dW_t = (1 - eta_t) dV_t + eta_t dV_{t-1}
/// ```
///
/// The recursion is run backwards, which gives dW_T / de_t for all t at once; the worst of some eigenvalues counts.
pub(super) fn weight_variance(schedule: &Schedule, slope: f64, first: f64, later: f64) -> f64 {
    let steps: Vec<_> = (1..=schedule.iterations()).map(|t| schedule.owner_step(t)).collect();
    let along = |share: f64| {
        // dW_T / dV_{t+1}, dW_T / dW_{t+1}, and the step t + 1 that they go through.
        let mut next = None;
        let mut variance = 0.0;
        for (index, step) in steps.iter().enumerate().rev() {
            let (to_w, through_next) = match next {
                None => (1.0, 0.0),
                Some((v, w, after)) => {
                    let after: crate::train::OwnerStep = after;
                    let curvature = share * 4.0 * after.step * slope;
                    (after.shrink * v, after.eta * w - curvature * v)
                }
            };
            let to_v = (1.0 - step.eta) * to_w + through_next;
            variance += (to_v * step.scale).powi(2) * if index == 0 { first } else { later };
            next = Some((to_v, to_w, *step));
        }
        variance
    };
    (0..=CURVATURES).map(|i| along(i as f64 / CURVATURES as f64)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Scales;
    use crate::recipe::{Preset, RecipeOverrides};

    fn schedule(iterations: usize, overrides: RecipeOverrides) -> (Schedule, f64) {
        let recipe = Preset::Default.recipe(iterations, &overrides).unwrap();
        (Schedule::new(&recipe, 1000, Scales { weights: 1.0, prime: 1.0 }), recipe.sigmoid().slope())
    }

    #[test]
    fn errors_of_a_plain_descent_add_up_as_squares_and_momentum_amplifies_them() {
        // a_0 = 1 is Nesterov's; a sequence that starts at 1e-9 stays near plain steps for one iteration only, so the
        // comparison is by the figures of the recursion itself.
        let (one, c1) = schedule(1, RecipeOverrides::default());
        assert!((weight_variance(&one, c1, 4.0, 1.0) - 4.0).abs() < 0.1, "one iteration is its gradient's error");
        let amplification = |t| {
            let (schedule, c1) = schedule(t, RecipeOverrides { ridge: Some(0.0), ..RecipeOverrides::default() });
            weight_variance(&schedule, c1, 1.0, 1.0).sqrt()
        };
        let (ten, thirty) = (amplification(10), amplification(30));
        // The design's bound: sqrt(sum (t/2)^2), some 5 and 28 times sqrt(T).
        assert!(ten > 10f64.sqrt() && ten < 10f64.sqrt() * 5.0, "{ten}");
        assert!(thirty > ten && thirty < 30f64.sqrt() * 15.0, "{thirty}");
        let (held, c1) = schedule(30, RecipeOverrides::default());
        assert!(weight_variance(&held, c1, 1.0, 1.0).sqrt() < thirty, "a ridge damps errors");
    }

    #[test]
    fn the_backward_recursion_is_the_forward_one() {
        let (schedule, c1) = schedule(7, RecipeOverrides::default());
        // Every error by itself, forwards, without curvature and with the largest.
        let along = |share: f64| {
            let response = |at: usize| {
                let (mut v, mut w) = (0.0, 0.0);
                for t in 1..=7 {
                    let step = schedule.owner_step(t);
                    let error = if t == at { step.scale } else { 0.0 };
                    let next = step.shrink * w - share * 4.0 * step.step * c1 * v + error;
                    (w, v) = ((1.0 - step.eta) * next + step.eta * v, next);
                }
                w * w
            };
            (1..=7).map(response).sum::<f64>()
        };
        let worst = (0..=CURVATURES).map(|i| along(i as f64 / CURVATURES as f64)).fold(0.0, f64::max);
        let found = weight_variance(&schedule, c1, 1.0, 1.0);
        assert!((found / worst - 1.0).abs() < 1e-12, "{found} {worst}");
    }
}
