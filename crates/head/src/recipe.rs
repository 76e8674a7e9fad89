//! Recipes: the hyperparameters of a training, checked once.
//!
//! With X the n x d features and their leading column of ones, W the weights, G the gradient of the log-likelihood
//! taken at V, one iteration t = 1, 2, ... is
//!
//! ```text
//! V' = W + step_t * (G / Bbar - ridge * W)
//!                                   step_t = (1 + gamma_t) * learning rate / t^decay, gamma_t = 1 / (n t)
//! W' = (1 - eta_t) V' + eta_t V     eta_t  = (1 - a_{t-1}) / a_t, a_t = (1 + sqrt(1 + 4 a_{t-1}^2)) / 2
//! ```
//!
//! and the model is W. With minibatches ([`Batches`]) n is the number of rows of a batch, G and Bbar are those of its rows,
//! and decay counts epochs: 1 + (t - 1) / m stands for t in t^decay. With [`Gradient::Plain`] the first line is V' = W + step_t * (G / n - ridge * W) with
//! step_t = learning rate / t^(decay + 1).
//! Source: J. Chiang, arXiv 2304.03807, for recipe `paper`; `default` is ours.
//!
//! The ridge adds -ridge/2 sum_k Bbar_k W_k^2 (n in place of Bbar for the plain gradient) to the likelihood, biases
//! included. Without it nothing holds the logits of rows that are right already, and after some iterations they leave the
//! range in which a polynomial stands for the sigmoid: where it falls below 1/2 it pushes them further out, and training
//! diverges.

mod batches;
mod options;
mod sigmoid;
mod stopping;
#[cfg(test)]
mod tests;

pub use batches::Batches;
pub use options::{Preset, RecipeOverrides};
pub use sigmoid::{Cubic, Degree, Fit, Sigmoid};
pub use stopping::{Best, Stopping, Verdict};

use crate::error::{HeadError, Result};
use crate::scaler::ScalerKind;
use serde::{Deserialize, Serialize};

/// From so many iterations on the logits grow out of a polynomial's range unless something holds them.
pub(crate) const LONG: usize = 4;

/// The most iterations that a recipe may ask for.
pub const MAX_ITERATIONS: usize = 1000;

/// What the gradient is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gradient {
    /// Quadratic Gradient: each feature by its value of Bbar, see [`Bound`].
    Quadratic,
    /// The plain gradient: all features by n t.
    Plain,
}

/// Bbar, the fixed bound on the Hessian's diagonal that Quadratic Gradient divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The paper's: Bbar_k = 1e-10 + 1/4 sum_i |x_ik| sum_l |x_il|.
    RowSums,
    /// n/4 for every feature: the bound for whitened features.
    Quarter,
}

/// The scalars of one iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Multiplies G / Bbar with Quadratic Gradient, and G itself with the plain gradient.
    pub rate: f64,
    /// 1 - step * ridge: multiplies W, to which the gradient's step is added.
    pub shrink: f64,
    /// Nesterov's eta_t in W' = (1 - eta) V' + eta V.
    pub eta: f64,
}

/// A checked set of hyperparameters.
///
/// ```
/// use ciphertune_head::recipe::{Preset, RecipeOverrides};
/// use ciphertune_head::ScalerKind;
///
/// let recipe = Preset::Default.recipe(2, &RecipeOverrides::default())?;
/// assert_eq!(recipe.scaler(), ScalerKind::Whiten);
/// assert_eq!(recipe.steps(128)[0].eta, 0.0);
/// # Ok::<(), ciphertune_head::HeadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Recipe {
    fields: Fields,
}

/// The hyperparameters, unchecked; what a recipe looks like in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    name: String,
    iterations: usize,
    gradient: Gradient,
    bound: Bound,
    scaler: ScalerKind,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    lambda: Option<f64>,
    #[serde(flatten)]
    sigmoid: Sigmoid,
    momentum: f64,
    initial_weight: f64,
    learning_rate: f64,
    #[serde(skip_serializing_if = "is_zero", default)]
    decay: f64,
    #[serde(skip_serializing_if = "is_zero", default)]
    ridge: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    batch: Option<usize>,
}

/// What a recipe without decay or ridge leaves out of its file.
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

impl Recipe {
    /// The paper's recipe: raw features, row sums, a_0 = 0.01, W_0 = 0.0128.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidRecipe`] unless there are 1 to [`MAX_ITERATIONS`] iterations.
    pub fn paper(iterations: usize) -> Result<Self> {
        Preset::Paper.recipe(iterations, &RecipeOverrides::default())
    }

    /// Our recipe: whitened features, Bbar = n/4, a_0 = 1, W_0 = 0.
    ///
    /// # Errors
    ///
    /// As [`Recipe::paper`].
    pub fn default_for(iterations: usize) -> Result<Self> {
        Preset::Default.recipe(iterations, &RecipeOverrides::default())
    }

    /// `paper` or `default`, with a star where something was changed.
    pub fn name(&self) -> &str {
        &self.fields.name
    }

    /// How many iterations.
    pub fn iterations(&self) -> usize {
        self.fields.iterations
    }

    /// What the gradient is divided by.
    pub fn gradient(&self) -> Gradient {
        self.fields.gradient
    }

    /// Bbar; without meaning for the plain gradient.
    pub fn bound(&self) -> Bound {
        self.fields.bound
    }

    /// The scaler to fit to the training features.
    pub fn scaler(&self) -> ScalerKind {
        self.fields.scaler
    }

    /// The whitening's lambda, if it is not the usual one.
    pub fn lambda(&self) -> Option<f64> {
        self.fields.lambda
    }

    /// The polynomial in place of the sigmoid.
    pub fn sigmoid(&self) -> Sigmoid {
        self.fields.sigmoid
    }

    /// a_0, where Nesterov's sequence starts.
    pub fn momentum(&self) -> f64 {
        self.fields.momentum
    }

    /// Every element of W_0 = V_0.
    pub fn initial_weight(&self) -> f64 {
        self.fields.initial_weight
    }

    /// A factor on every step.
    pub fn learning_rate(&self) -> f64 {
        self.fields.learning_rate
    }

    /// The power of 1/t that step t is multiplied by.
    pub fn decay(&self) -> f64 {
        self.fields.decay
    }

    /// How strongly weights are pulled towards zero, in units of Bbar.
    pub fn ridge(&self) -> f64 {
        self.fields.ridge
    }

    /// The most rows of a minibatch; `None` where every gradient is taken of all rows.
    pub fn batch(&self) -> Option<usize> {
        self.fields.batch
    }

    /// How n rows are cut into batches.
    pub fn batches(&self, rows: usize) -> Batches {
        Batches::new(rows, self.fields.batch)
    }

    /// How many times as long as the usual ones the longest steps are; at least 1.
    pub fn stride(&self) -> f64 {
        self.learning_rate().max(1.0)
    }

    /// Whether nothing holds the logits of a training of so many iterations within the polynomial's range. The paper's recipe,
    /// which starts elsewhere and is kept as it is, does not count.
    pub fn may_diverge(&self) -> bool {
        self.iterations() >= LONG && self.ridge() == 0.0 && self.decay() == 0.0 && self.initial_weight() == 0.0
    }

    /// The scalars of every iteration for n training rows.
    pub fn steps(&self, rows: usize) -> Vec<Step> {
        let batches = self.batches(rows);
        let n = batches.mean_rows();
        let mut a = self.momentum();
        let step = |t: usize| {
            let next = (1.0 + (1.0 + 4.0 * a * a).sqrt()) / 2.0;
            let eta = (1.0 - a) / next;
            a = next;
            let gamma = 1.0 / (n * t as f64);
            let epochs = 1.0 + (t - 1) as f64 / batches.count() as f64;
            let learning_rate = self.learning_rate() * epochs.powf(-self.decay());
            let (rate, step) = match self.gradient() {
                Gradient::Quadratic => ((1.0 + gamma) * learning_rate, (1.0 + gamma) * learning_rate),
                Gradient::Plain => (gamma * learning_rate, learning_rate / t as f64),
            };
            Step { rate, shrink: 1.0 - step * self.ridge(), eta }
        };
        (1..=self.iterations()).map(step).collect()
    }

    /// The step of every iteration on preconditioned features, see [`crate::precondition`]: what multiplies R^T x^.
    ///
    /// rate * 4/n for Quadratic Gradient, since preconditioning makes every bound n/4; rate itself for the plain one.
    pub fn hat_rates(&self, rows: usize) -> Vec<f64> {
        let bound = match self.gradient() {
            Gradient::Quadratic => self.batches(rows).mean_rows() / 4.0,
            Gradient::Plain => 1.0,
        };
        self.steps(rows).into_iter().map(|step| step.rate / bound).collect()
    }

    /// The recipe on one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a recipe is plain numbers and words")
    }

    /// Reads [`Recipe::to_json`].
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidRecipe`].
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| HeadError::InvalidRecipe(format!("the recipe in the file is not valid: {error}")))
    }
}

impl TryFrom<Fields> for Recipe {
    type Error = HeadError;

    fn try_from(fields: Fields) -> Result<Self> {
        let within = |x: f64, low: f64, high: f64| (low..=high).contains(&x);
        check(
            (1..=MAX_ITERATIONS).contains(&fields.iterations),
            &format!("{} iterations are not possible: choose 1 to {MAX_ITERATIONS}", fields.iterations),
        )?;
        check(within(fields.momentum, 0.0, 100.0), "the momentum's start a_0 lies between 0 and 100")?;
        check(within(fields.initial_weight, -1.0, 1.0), "the initial weight lies between -1 and 1")?;
        check(
            within(fields.learning_rate, 1e-9, 1e9),
            "the learning rate is a factor on the step, above 0: leave it at 1, or try 0.5 to 2",
        )?;
        check(
            within(fields.decay, 0.0, 2.0),
            "the decay of the steps lies between 0 (none) and 2, usually at 0.5 or 1",
        )?;
        check(
            within(fields.ridge, 0.0, 1.0) && fields.ridge * fields.learning_rate < 1.0,
            "the ridge lies between 0 (none) and 1, below 1 / learning rate, usually between 0.02 and 0.2",
        )?;
        check(
            fields.ridge == 0.0 || fields.initial_weight == 0.0,
            "a ridge pulls weights towards 0, so they start there: choose --initial-weight 0 with it, or --ridge 0",
        )?;
        if let Some(lambda) = fields.lambda {
            check(fields.scaler == ScalerKind::Whiten, "lambda belongs to whitening: choose --scaler whiten with it")?;
            check(within(lambda, 1e-6, 1e6), "lambda lies between 1e-6 and 1e6, usually between 0.05 and 1")?;
        }
        check(
            fields.batch != Some(0),
            "a minibatch has one row or more: choose --batch 4096, or leave it out for gradients of all rows",
        )?;
        fields.sigmoid.check()?;
        Ok(Recipe { fields })
    }
}

impl From<Recipe> for Fields {
    fn from(recipe: Recipe) -> Fields {
        recipe.fields
    }
}

fn check(condition: bool, message: &str) -> Result<()> {
    if condition { Ok(()) } else { Err(HeadError::InvalidRecipe(message.to_owned())) }
}
