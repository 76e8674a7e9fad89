//! Learning curves in the clear: how the methods of arXiv 2304.03807 and our scalers learn, iteration by iteration.
//!
//! With X the n x d scaled features and their leading column of ones, Y one-hot, and W_0 = V_0 = 0, iteration t = 1, 2,
//! ... is
//!
//! ```text
//! Z  = X V^T                                    P = softmax of every row of Z, or sigma(z) with z clamped to [-8, 8]
//! G  = (Y - P)^T X
//! V' = W + step_t G / Bbar                      step_t and Bbar as in [`crate::recipe`]; for the plain gradient W + G / (n t)
//! W' = (1 - eta_t) V' + eta_t V
//! ```
//!
//! and the model that is scored is W. This is what [`crate::twin`] does, but for P: the twin has the cubic of the
//! encrypted training, the curves have the functions that it stands for. The clamp, the steps and W_0 = 0 are those of
//! the paper's published Python program.
//!
//! Logits are linear in the weights, so those of W_t are (1 - eta_t) X V_t + eta_t X V_(t-1): an iteration takes one
//! product with X, one with X^T and one with the test features. Methods with one scaler share them.

#[cfg(test)]
mod tests;

use crate::error::{HeadError, Result};
use crate::linalg::multiply;
use crate::metrics::{self, sigmoid};
use crate::precondition::row_sum_bound;
use crate::recipe::{Bound, Gradient, Preset, Recipe, RecipeOverrides, Step};
use crate::{Classes, FeatureTable, Scaler, ScalerKind};
use nalgebra::DMatrix;
use rayon::prelude::*;
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the sigmoid's argument is clamped.
pub const CLAMP: f64 = 8.0;

/// A way to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Softmax, the plain gradient with steps of 1 / (n t), a_0 = 0.01, raw features.
    SoftmaxNag,
    /// A sigmoid a class instead of the softmax, the rest as in [`Method::SoftmaxNag`].
    SigmoidNag,
    /// Sigmoids and Quadratic Gradient with row sums, steps of 1 + 1 / (n t), a_0 = 0.01, raw features: the paper's
    /// method.
    SigmoidQuadratic,
    /// Sigmoids and Quadratic Gradient with a_0 = 1 on scaled features: recipe `default` with this scaler, its steps
    /// whole for any number of iterations, because there is no cubic whose range they could leave.
    Scaled(ScalerKind),
}

impl Method {
    /// The three that the paper compares.
    pub const PAPER: [Method; 3] = [Method::SoftmaxNag, Method::SigmoidNag, Method::SigmoidQuadratic];

    /// The hyperparameters. The recipe's cubic is not used.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidRecipe`] for a number of iterations out of range.
    pub fn recipe(self, iterations: usize) -> Result<Recipe> {
        let zero = RecipeOverrides { initial_weight: Some(0.0), ..RecipeOverrides::default() };
        let plain = RecipeOverrides { gradient: Some(Gradient::Plain), ..zero.clone() };
        match self {
            Method::SoftmaxNag | Method::SigmoidNag => Preset::Paper.recipe(iterations, &plain),
            Method::SigmoidQuadratic => Preset::Paper.recipe(iterations, &zero),
            Method::Scaled(kind) => Preset::Default.recipe(
                iterations,
                &RecipeOverrides {
                    scaler: Some(kind),
                    learning_rate: Some(1.0),
                    decay: Some(0.0),
                    ridge: Some(0.0),
                    ..RecipeOverrides::default()
                },
            ),
        }
    }

    /// A short name for files: letters and hyphens.
    pub fn id(self) -> String {
        match self {
            Method::SoftmaxNag => "softmax-nag".to_owned(),
            Method::SigmoidNag => "sigmoid-nag".to_owned(),
            Method::SigmoidQuadratic => "sigmoid-nag-qg".to_owned(),
            Method::Scaled(kind) => format!("default-{kind}"),
        }
    }

    fn scaler(self) -> ScalerKind {
        match self {
            Method::Scaled(kind) => kind,
            _ => ScalerKind::None,
        }
    }

    /// Turns logits into Y - P, in place.
    fn residual(self, z: &mut DMatrix<f64>, labels: &[usize]) {
        if self == Method::SoftmaxNag {
            for mut row in z.row_iter_mut() {
                let largest = row.max();
                row.apply(|z| *z = -(*z - largest).exp());
                let sum = -row.sum();
                row /= sum;
            }
        } else {
            z.apply(|z| *z = -sigmoid(z.clamp(-CLAMP, CLAMP)));
        }
        for (row, &label) in labels.iter().enumerate() {
            z[(row, label)] += 1.0;
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::SoftmaxNag => "softmax NAG",
            Method::SigmoidNag => "sigmoid NAG",
            Method::SigmoidQuadratic => "sigmoid NAG with QG",
            Method::Scaled(ScalerKind::None) => "default, unscaled",
            Method::Scaled(ScalerKind::Center) => "default, centered",
            Method::Scaled(ScalerKind::Standardize) => "default, standardized",
            Method::Scaled(ScalerKind::Whiten) => "default, whitened",
        })
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.id())
    }
}

/// Scores on one table after iteration 0 (the start), 1, 2, ...: every list has one element more than there are
/// iterations.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Course {
    /// Share of rows whose class is predicted, in [0, 1].
    pub accuracy: Vec<f64>,
    /// [`metrics::log_likelihood`]: of a softmax, summed over the rows.
    pub log_likelihood: Vec<f64>,
    /// [`metrics::squared_likelihood_error`]: of sigmoids, summed over rows and classes.
    pub sle: Vec<f64>,
}

impl Course {
    fn push(&mut self, logits: &DMatrix<f64>, truth: &[usize]) {
        self.accuracy.push(metrics::accuracy(logits, truth));
        self.log_likelihood.push(metrics::log_likelihood(logits, truth));
        self.sle.push(metrics::squared_likelihood_error(logits, truth));
    }

    fn last_is_finite(&self) -> bool {
        [&self.log_likelihood, &self.sle].iter().all(|list| list.last().is_none_or(|score| score.is_finite()))
    }
}

/// How one method learned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The method.
    pub method: Method,
    /// Scores on the rows that were trained on.
    pub train: Course,
    /// Scores on the others.
    pub test: Course,
}

/// Trains with every method and scores every iterate on both tables. `progress` is told how many iterations of all
/// methods are done.
///
/// Takes 4 d c (2 n + m) floating-point operations an iteration and method, for m test rows and c classes.
///
/// # Errors
///
/// Those of tables, classes and scalers; [`HeadError::InvalidRecipe`]; [`HeadError::CurveDiverged`] for features so
/// large that a score is no longer a finite number.
pub fn trace(
    methods: &[Method],
    train: &FeatureTable,
    test: &FeatureTable,
    iterations: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Curve>> {
    let classes = Classes::from_labels(train.require_labels()?)?;
    let labels = classes.indices(train.require_labels()?)?;
    let truth = classes.indices(test.require_labels()?)?;
    let done = AtomicU64::new(0);
    let advance = |by: usize| progress(done.fetch_add(by as u64, Ordering::Relaxed) + by as u64);
    let mut kinds: Vec<ScalerKind> = Vec::new();
    for kind in methods.iter().map(|method| method.scaler()) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let traced = |&kind: &ScalerKind| {
        let members: Vec<usize> = (0..methods.len()).filter(|&index| methods[index].scaler() == kind).collect();
        let mut group = Group::new(kind, train, &labels, test, &truth)?;
        let chosen: Vec<Method> = members.iter().map(|&index| methods[index]).collect();
        let curves = group.trace(&chosen, classes.len(), iterations, &advance)?;
        Ok(members.into_iter().zip(curves).collect::<Vec<_>>())
    };
    let mut curves: Vec<(usize, Curve)> =
        kinds.par_iter().map(traced).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    curves.sort_by_key(|(index, _)| *index);
    Ok(curves.into_iter().map(|(_, curve)| curve).collect())
}

/// Both tables under one scaler.
struct Group<'a> {
    x: DMatrix<f64>,
    x_transposed: DMatrix<f64>,
    labels: &'a [usize],
    test: DMatrix<f64>,
    truth: &'a [usize],
}

/// One method's state: W_t, V_t, and both tables' logits of V_t.
struct State {
    method: Method,
    steps: Vec<Step>,
    divisors: Vec<f64>,
    w: DMatrix<f64>,
    v: DMatrix<f64>,
    train_logits: DMatrix<f64>,
    test_logits: DMatrix<f64>,
    curve: Curve,
}

impl<'a> Group<'a> {
    fn new(
        kind: ScalerKind,
        train: &FeatureTable,
        labels: &'a [usize],
        test: &FeatureTable,
        truth: &'a [usize],
    ) -> Result<Self> {
        let scaler = Scaler::fit(kind, None, train.features())?;
        let x = scaler.apply_with_ones(train.features())?;
        let test = scaler.apply_with_ones(test.features())?;
        Ok(Group { x_transposed: x.transpose(), x, labels, test, truth })
    }

    fn trace(
        &mut self,
        methods: &[Method],
        classes: usize,
        iterations: usize,
        advance: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Curve>> {
        let start = |&method: &Method| self.start(method, classes, iterations);
        let mut states = methods.iter().map(start).collect::<Result<Vec<_>>>()?;
        for t in 1..=iterations {
            let residuals = stack(states.par_iter().map(|state| state.residual(self.labels)).collect());
            let gradients = multiply(&self.x_transposed, &residuals);
            let at = |index: usize| index * classes;
            states.par_iter_mut().enumerate().for_each(|(index, state)| {
                state.descend(gradients.columns(at(index), classes).into_owned(), t);
            });
            let v = stack(states.iter().map(|state| state.v.clone()).collect());
            let (train, test) = (multiply(&self.x, &v), multiply(&self.test, &v));
            states.par_iter_mut().enumerate().try_for_each(|(index, state)| {
                let of = |logits: &DMatrix<f64>| logits.columns(at(index), classes).into_owned();
                state.score(of(&train), of(&test), self.labels, self.truth, t)
            })?;
            advance(states.len());
        }
        Ok(states.into_iter().map(|state| state.curve).collect())
    }

    fn start(&self, method: Method, classes: usize, iterations: usize) -> Result<State> {
        let recipe = method.recipe(iterations)?;
        let (rows, columns) = self.x.shape();
        let divisors = match (recipe.gradient(), recipe.bound()) {
            (Gradient::Plain, _) => vec![1.0; columns],
            (Gradient::Quadratic, Bound::Quarter) => vec![rows as f64 / 4.0; columns],
            (Gradient::Quadratic, Bound::RowSums) => row_sum_bound(&self.x),
        };
        let zero = DMatrix::zeros(columns, classes);
        let mut curve = Curve { method, train: Course::default(), test: Course::default() };
        let (train_logits, test_logits) = (DMatrix::zeros(rows, classes), DMatrix::zeros(self.test.nrows(), classes));
        curve.train.push(&train_logits, self.labels);
        curve.test.push(&test_logits, self.truth);
        let steps = recipe.steps(rows);
        Ok(State { method, steps, divisors, w: zero.clone(), v: zero, train_logits, test_logits, curve })
    }
}

impl State {
    fn residual(&self, labels: &[usize]) -> DMatrix<f64> {
        let mut residual = self.train_logits.clone();
        self.method.residual(&mut residual, labels);
        residual
    }

    /// V_t and W_t from the gradient at V_(t-1).
    fn descend(&mut self, mut next: DMatrix<f64>, t: usize) {
        let Step { rate, shrink, eta } = self.steps[t - 1];
        for (mut row, divisor) in next.row_iter_mut().zip(&self.divisors) {
            row *= rate / divisor;
        }
        next += &self.w * shrink;
        self.w = &next * (1.0 - eta) + &self.v * eta;
        self.v = next;
    }

    /// Scores W_t, whose logits are a combination of those of V_t, given here, and V_(t-1).
    fn score(
        &mut self,
        train: DMatrix<f64>,
        test: DMatrix<f64>,
        labels: &[usize],
        truth: &[usize],
        t: usize,
    ) -> Result<()> {
        let eta = self.steps[t - 1].eta;
        let of_w = |new: &DMatrix<f64>, old: &DMatrix<f64>| new * (1.0 - eta) + old * eta;
        self.curve.train.push(&of_w(&train, &self.train_logits), labels);
        self.curve.test.push(&of_w(&test, &self.test_logits), truth);
        (self.train_logits, self.test_logits) = (train, test);
        if self.curve.train.last_is_finite() && self.curve.test.last_is_finite() {
            return Ok(());
        }
        Err(HeadError::CurveDiverged { method: self.method.to_string(), iteration: t })
    }
}

/// Matrices of one height side by side.
fn stack(parts: Vec<DMatrix<f64>>) -> DMatrix<f64> {
    let rows = parts.first().map_or(0, |part| part.nrows());
    let columns = parts.iter().map(|part| part.ncols()).sum();
    // Column by column in memory, so that one follows the other.
    DMatrix::from_iterator(rows, columns, parts.iter().flat_map(|part| part.as_slice().iter().copied()))
}
