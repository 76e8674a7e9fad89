//! Plans: which ring, layout and keys a training takes, decided before anything is encrypted.
//!
//! A [`Plan`] is a public document: owner and server derive everything from it, and no data enter it but the shape of
//! the table. It is found by [`search`], which runs the very circuit of the training on a symbolic machine ([`tracer`])
//! for every candidate and takes the cheapest that is secure, precise enough and fits in memory.

mod allotment;
mod circuit;
pub mod contributions;
pub mod cost;
pub mod estimate;
mod measure;
pub mod price;
mod refresh;
pub mod search;
pub mod tracer;

use std::sync::{Arc, OnceLock};

use ciphertune_ckks::{Parameters, ParametersLiteral, SECURITY_BITS};
use serde::{Deserialize, Serialize};

use crate::layout::{
    AnyLayout, ClassDiagonal, Input, Layout, LayoutKind, Scales, Shape, TopAxis, UploadLevels, VolleyRevolver,
};
use crate::recipe::Degree;
use crate::train::Schedule;
use crate::{HeadError, Recipe, Result};

pub use allotment::Allotment;
pub use contributions::{Contribution, Gives};
pub use estimate::Estimate;
pub use refresh::{Exchange, Refresh};
pub use search::{Constraints, choose, choose_refresh};

/// The versions of the plan's format, by what earlier versions do not know: contributions of several owners, refreshes, and
/// neither.
const FORMAT: u32 = 4;
const REFRESHED_FORMAT: u32 = 3;
const FIRST_FORMAT: u32 = 2;
/// The most ciphertexts of an upload that are thought about: hundreds of gigabytes of them.
const MOST_UPLOADS: usize = 1 << 20;

/// A training, planned: shape, recipe, layout, parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Plan {
    shape: Shape,
    recipe: Recipe,
    layout: AnyLayout,
    parameters: ParametersLiteral,
    scale_bits: u32,
    refresh: Refresh,
    contributions: Vec<Contribution>,
    toy: bool,
    estimate: Travelling<Estimate>,
}

/// Something that follows from a plan: computed once, shared by all copies of the plan, and no part of what makes two
/// plans equal.
struct Travelling<T>(Arc<OnceLock<T>>);

impl<T> Default for Travelling<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Travelling<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PartialEq for Travelling<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> std::fmt::Debug for Travelling<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.get().is_some() { "computed" } else { "not computed yet" })
    }
}

/// A plan as it is written, unchecked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    shape: Shape,
    recipe: Recipe,
    layout: Arrangement,
    parameters: ParametersLiteral,
    scale_bits: u32,
    /// Iterations between two refreshes; none without refreshes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_every: Option<u32>,
    /// What several owners give; none where one has all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contributions: Vec<Contribution>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    insecure_toy: bool,
}

/// A layout as it is written, unchecked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Arrangement {
    ClassDiagonal { width: usize, block: usize, giants: usize, classes_together: usize },
    VolleyRevolver,
}

impl Plan {
    /// The plan, or what about it is impossible.
    fn checked(self) -> Result<Self> {
        let plan = self;
        let (toy, scale_bits, refresh) = (plan.toy, plan.scale_bits, plan.refresh);
        let bad = |reason: &str| HeadError::InvalidArtefact(format!("the plan {reason}"));
        // Bounded before anything is computed from them, because plans also come from files.
        if toy {
            plan.parameters.check()?
        } else {
            plan.parameters.check_secure()?
        };
        if !(20..=50).contains(&scale_bits) || plan.prime_bits() < scale_bits {
            return Err(bad("has an impossible scale"));
        }
        if plan.layout.upload_count(plan.has_offset()).is_none_or(|count| count > MOST_UPLOADS) {
            return Err(bad("has more ciphertexts than any machine could hold"));
        }
        if plan.parameters.q.len() <= refresh.levels(&plan.layout, &plan.recipe) {
            return Err(bad("has fewer levels than its training needs"));
        }
        refresh.check(&plan.recipe)?;
        check_layout(plan.layout_kind(), &plan.recipe)?;
        contributions::check(&plan.contributions, (plan.shape, &plan.recipe, plan.layout_kind()), refresh)?;
        if let AnyLayout::ClassDiagonal(layout) = plan.layout
            && layout.batches().count() > 1
            && layout.top() == TopAxis::Classes
        {
            return Err(bad("has minibatches, for which rows cannot share a ciphertext with nothing but classes"));
        }
        Ok(plan)
    }

    /// Security in bits: 128 (a lower bound), or 0 for a toy plan. A plan above the bound does not exist.
    pub fn security_bits(&self) -> u32 {
        if self.toy { 0 } else { SECURITY_BITS }
    }

    /// What the training will take. Traced at the first call (milliseconds); copies of the plan know it as well.
    ///
    /// # Errors
    ///
    /// Only if the layout's circuit contradicts its plan.
    pub fn estimate(&self) -> Result<&Estimate> {
        match self.estimate.0.get() {
            Some(estimate) => Ok(estimate),
            None => {
                let estimate = Estimate::new(self)?;
                Ok(self.estimate.0.get_or_init(|| estimate))
            }
        }
    }

    /// The public shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The layout.
    pub fn layout(&self) -> &AnyLayout {
        &self.layout
    }

    /// The parameter literal.
    pub fn literal(&self) -> &ParametersLiteral {
        &self.parameters
    }

    /// Builds the parameters: checked against the 128-bit bound, but for toy plans.
    pub fn parameters(&self) -> Result<Parameters> {
        let literal = self.parameters.clone();
        Ok(if self.toy { Parameters::new_insecure_for_tests(literal)? } else { Parameters::new(literal)? })
    }

    /// log2 of the scale that weights and gradients come out at.
    pub fn scale_bits(&self) -> u32 {
        self.scale_bits
    }

    /// log2 of the primes that rescaling divides by, rounded.
    pub fn prime_bits(&self) -> u32 {
        self.parameters.q.get(1).map_or(self.scale_bits, |&q| (q as f64).log2().round() as u32)
    }

    /// The scales of the training.
    pub fn scales(&self) -> Scales {
        let [weights, prime] = [self.scale_bits, self.prime_bits()].map(|bits| f64::from(bits).exp2());
        Scales { weights, prime }
    }

    /// Whether the owner makes the steps, and encrypts every iterate afresh.
    pub fn refresh(&self) -> Refresh {
        self.refresh
    }

    /// Whether this plan is for tests only and hides nothing.
    pub fn is_toy(&self) -> bool {
        self.toy
    }

    /// Whether the training starts from weights other than zero, so that a row offset is uploaded.
    pub fn has_offset(&self) -> bool {
        self.recipe.initial_weight() != 0.0
    }

    /// The scalars of the training.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(&self.recipe, self.shape.rows, self.scales())
    }

    /// Number of minibatches; 1 where every gradient is taken of all rows.
    pub fn batches(&self) -> usize {
        self.recipe.batches(self.shape.rows).count()
    }

    /// Rows of a gradient, to one row.
    pub fn batch_rows(&self) -> f64 {
        self.recipe.batches(self.shape.rows).mean_rows()
    }

    /// The level of the freshest upload.
    pub fn top_level(&self) -> usize {
        self.parameters.q.len() - 1
    }

    /// Levels that are left when the training is done.
    pub fn levels_left(&self) -> usize {
        self.top_level() - self.refresh.levels(&self.layout, &self.recipe)
    }

    /// The upload.
    pub fn inputs(&self) -> Vec<Input> {
        self.inputs_of(&self.layout)
    }

    /// Bytes of the upload's ciphertexts: half of each, and the seed of the other half.
    pub fn upload_bytes(&self) -> usize {
        self.inputs().iter().map(|input| self.parameters.packed_bytes(input.level + 1, 0) + 32).sum()
    }

    /// The plan on one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan has only string keys and finite numbers")
    }

    /// Reads and checks a plan.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidArtefact`] for text that is no plan, or a plan that contradicts itself.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| HeadError::InvalidArtefact(format!("not a plan: {e}")))
    }
}

impl From<Plan> for Document {
    fn from(plan: Plan) -> Self {
        let layout = match &plan.layout {
            AnyLayout::ClassDiagonal(layout) => Arrangement::ClassDiagonal {
                width: layout.width(),
                block: layout.block(),
                giants: layout.giants(),
                classes_together: layout.classes_together(),
            },
            AnyLayout::VolleyRevolver(_) => Arrangement::VolleyRevolver,
        };
        Self {
            format: plan.format(),
            shape: plan.shape,
            recipe: plan.recipe,
            layout,
            parameters: plan.parameters,
            scale_bits: plan.scale_bits,
            refresh_every: plan.refresh.every(),
            contributions: plan.contributions,
            insecure_toy: plan.toy,
        }
    }
}

impl TryFrom<Document> for Plan {
    type Error = HeadError;

    fn try_from(document: Document) -> Result<Self> {
        let bad = |reason: String| HeadError::InvalidArtefact(reason);
        let refresh = Refresh::from_every(document.refresh_every)?;
        if !(FIRST_FORMAT..=FORMAT).contains(&document.format) {
            let message = format!("the plan has format {}, this program reads up to {FORMAT}", document.format);
            return Err(bad(message));
        }
        let Shape { rows, features, classes } = document.shape;
        let sensible =
            (1..=1 << 32).contains(&rows) && (1..=1 << 20).contains(&features) && (1..=1 << 12).contains(&classes);
        let log_n = document.parameters.log_n;
        if !sensible || !(4..=17).contains(&log_n) {
            return Err(bad("the plan has an impossible shape or ring".into()));
        }
        let slots = 1 << (log_n - 1);
        let places = contributions::places(&document.contributions).max(rows);
        if places > 1 << 40 {
            return Err(bad("the plan has its rows in impossible places".into()));
        }
        let layout = arrange((document.shape, places), slots, document.layout, &document.recipe)
            .ok_or_else(|| bad("the plan has a layout that does not fit its ring".into()))?;
        let format = document.format;
        let plan = Self {
            shape: document.shape,
            recipe: document.recipe,
            layout,
            parameters: document.parameters,
            scale_bits: document.scale_bits,
            refresh,
            contributions: document.contributions,
            toy: document.insecure_toy,
            estimate: Travelling::default(),
        };
        if format != plan.format() {
            return Err(bad("the plan's format does not fit its refreshes or contributions".into()));
        }
        plan.checked()
    }
}

/// Refuses a recipe that a layout has no circuit for.
fn check_layout(layout: LayoutKind, recipe: &Recipe) -> Result<()> {
    if layout == LayoutKind::ClassDiagonal {
        return Ok(());
    }
    let message = match (recipe.sigmoid().degree(), recipe.batch()) {
        (Degree::Three, None) => return Ok(()),
        (Degree::Three, Some(_)) => format!(
            "layout {layout} takes gradients of all rows only: choose --layout class-diagonal, or leave --batch out"
        ),
        _ => format!(
            "layout {layout} computes cubics only, not the sigmoid of degree {}: choose --layout class-diagonal, or \
             --sigmoid narrow or wide",
            recipe.sigmoid()
        ),
    };
    Err(HeadError::InvalidRecipe(message))
}

/// A layout `class-diagonal` for what a recipe does, with rows in so many places: as many as there are rows, unless
/// contributions leave some free.
fn fit(layout: ClassDiagonal, recipe: &Recipe, places: usize) -> AnyLayout {
    let batches = recipe.batches(places);
    AnyLayout::ClassDiagonal(layout.with_degree(recipe.sigmoid().degree()).with_batches(batches))
}

fn arrange(
    (shape, places): (Shape, usize),
    slots: usize,
    arrangement: Arrangement,
    recipe: &Recipe,
) -> Option<AnyLayout> {
    match arrangement {
        Arrangement::ClassDiagonal { width, block, giants, classes_together } => {
            let layout = ClassDiagonal::new(shape, slots, width, block, giants, classes_together)?;
            Some(fit(layout, recipe, places))
        }
        Arrangement::VolleyRevolver => VolleyRevolver::new(shape, slots).map(AnyLayout::VolleyRevolver),
    }
}

impl Plan {
    /// The version of the format that it is written in.
    fn format(&self) -> u32 {
        match (self.contributions.is_empty(), self.refresh) {
            (true, Refresh::Never) => FIRST_FORMAT,
            (true, Refresh::EveryIteration) => REFRESHED_FORMAT,
            (false, _) => FORMAT,
        }
    }

    /// Which layout, by name.
    pub fn layout_kind(&self) -> LayoutKind {
        self.layout.kind()
    }
}

#[cfg(test)]
mod tests;
