//! From a preset and a user's wishes to a checked recipe.

use super::{Bound, Cubic, Degree, Fields, Gradient, LONG, Recipe, Sigmoid};
use crate::error::{HeadError, Result};
use crate::scaler::ScalerKind;
use std::fmt;
use std::str::FromStr;

/// The recipes that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Preset {
    /// The paper's, with its published constants.
    Paper,
    /// Ours: whitening makes the same bound exact.
    #[default]
    Default,
}

/// What a user wants otherwise than the preset has it; `None` keeps the preset's.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RecipeOverrides {
    /// What the gradient is divided by.
    pub gradient: Option<Gradient>,
    /// Bbar. Unset, it follows the scaler in preset `default`: n/4 for whitened features, else row sums, since n/4
    /// diverges on features that are not whitened.
    pub bound: Option<Bound>,
    /// The scaler.
    pub scaler: Option<ScalerKind>,
    /// The whitening's lambda.
    pub lambda: Option<f64>,
    /// The polynomial in place of the sigmoid.
    pub sigmoid: Option<Sigmoid>,
    /// a_0 of Nesterov's sequence.
    pub momentum: Option<f64>,
    /// Every element of W_0.
    pub initial_weight: Option<f64>,
    /// A factor on every step.
    pub learning_rate: Option<f64>,
    /// The power of 1/t on step t.
    pub decay: Option<f64>,
    /// How strongly weights are pulled towards zero.
    pub ridge: Option<f64>,
    /// The most rows of a minibatch.
    pub batch: Option<usize>,
}

/// How long steps are, and what holds the weights.
struct Pace {
    learning_rate: f64,
    decay: f64,
    ridge: f64,
}

impl Pace {
    /// Whole steps, and nothing that holds the weights.
    const WHOLE: Self = Self { learning_rate: 1.0, decay: 0.0, ridge: 0.0 };

    /// Of recipe `default`: long trainings need something that keeps logits where the polynomial rises (docs/recipes.md).
    /// That is a ridge where Bbar is n/4, the smaller the wider the polynomial; row sums are so much larger that a ridge in
    /// their units would leave nothing of the weights, and steps get shorter instead.
    ///
    /// Steps on minibatches are shorter and get shorter from epoch to epoch, since the rows of a batch are not all.
    fn usual(iterations: usize, bound: Bound, degree: Degree, batches: bool) -> Self {
        match (bound, iterations, degree) {
            (_, LONG.., _) if batches => {
                let (learning_rate, ridge) = match (bound, degree) {
                    (Bound::RowSums, _) => (1.0, 0.0),
                    (Bound::Quarter, Degree::Three) => (0.7, 0.05),
                    (Bound::Quarter, Degree::Seven) => (0.7, 0.02),
                    (Bound::Quarter, Degree::Fifteen) => (0.7, 0.005),
                };
                Self { learning_rate, decay: 1.0, ridge }
            }
            (_, ..LONG, _) => Self::WHOLE,
            (Bound::Quarter, _, Degree::Three) => Self { learning_rate: 1.5, ridge: 0.1, ..Self::WHOLE },
            (Bound::Quarter, _, Degree::Seven) => Self { learning_rate: 1.25, ridge: 0.02, ..Self::WHOLE },
            (Bound::Quarter, _, Degree::Fifteen) => Self { ridge: 0.005, ..Self::WHOLE },
            (Bound::RowSums, LONG..=8, _) => Self { decay: 0.5, ..Self::WHOLE },
            (Bound::RowSums, _, _) => Self { decay: 1.0, ..Self::WHOLE },
        }
    }
}

impl Preset {
    /// The preset for so many iterations, with a user's changes.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidRecipe`] for a value out of its range.
    pub fn recipe(self, iterations: usize, overrides: &RecipeOverrides) -> Result<Recipe> {
        let RecipeOverrides { gradient, bound, scaler, lambda, sigmoid, momentum, .. } = *overrides;
        let RecipeOverrides { initial_weight, learning_rate, decay, ridge, batch, .. } = *overrides;
        let preset = self.fields(iterations);
        let scaler = scaler.unwrap_or(preset.scaler);
        let usual_bound = match (self, scaler) {
            (Preset::Default, ScalerKind::Whiten) => Bound::Quarter,
            _ => Bound::RowSums,
        };
        let bound = bound.unwrap_or(usual_bound);
        let sigmoid = sigmoid.unwrap_or(preset.sigmoid);
        let usual_pace = match self {
            Preset::Default => Pace::usual(iterations, bound, sigmoid.degree(), batch.is_some()),
            Preset::Paper => Pace::WHOLE,
        };
        let name = if *overrides == RecipeOverrides::default() { preset.name } else { format!("{}*", preset.name) };
        Recipe::try_from(Fields {
            name,
            iterations,
            gradient: gradient.unwrap_or(preset.gradient),
            bound,
            scaler,
            lambda,
            sigmoid,
            momentum: momentum.unwrap_or(preset.momentum),
            initial_weight: initial_weight.unwrap_or(preset.initial_weight),
            learning_rate: learning_rate.unwrap_or(usual_pace.learning_rate),
            decay: decay.unwrap_or(usual_pace.decay),
            ridge: ridge.unwrap_or(usual_pace.ridge),
            batch,
        })
    }

    fn fields(self, iterations: usize) -> Fields {
        match self {
            Preset::Paper => Fields {
                name: "paper".to_owned(),
                iterations,
                gradient: Gradient::Quadratic,
                bound: Bound::RowSums,
                scaler: ScalerKind::None,
                lambda: None,
                sigmoid: Cubic::PAPER.into(),
                momentum: 0.01,
                initial_weight: 0.0128,
                learning_rate: 1.0,
                decay: 0.0,
                ridge: 0.0,
                batch: None,
            },
            Preset::Default => Fields {
                name: "default".to_owned(),
                iterations,
                gradient: Gradient::Quadratic,
                bound: Bound::Quarter,
                scaler: ScalerKind::Whiten,
                lambda: None,
                sigmoid: if iterations < LONG { Cubic::NARROW } else { Cubic::WIDE }.into(),
                momentum: 1.0,
                initial_weight: 0.0,
                learning_rate: 1.0,
                decay: 0.0,
                ridge: 0.0,
                batch: None,
            },
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Preset::Paper => "paper",
            Preset::Default => "default",
        })
    }
}

impl FromStr for Preset {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "paper" => Ok(Preset::Paper),
            "default" => Ok(Preset::Default),
            _ => Err(HeadError::InvalidRecipe(format!("{text:?} is no recipe: choose paper or default"))),
        }
    }
}
