//! Shared by the tests of all layouts: one gradient on slot vectors against the formula in plain arithmetic.

use std::f64::consts::TAU;

use ciphertune_ckks::{Arithmetic, Complex64};
use nalgebra::DMatrix;

use super::slot_model::{Counts, SlotModel, SlotVector};
use super::upload::{Upload, Working};
use super::{GradientStep, Layout, Plain, Scales, Shape, Source};
use crate::recipe::{Cubic, Sigmoid};

/// A made-up problem.
pub struct Problem {
    pub x_hat: DMatrix<f64>,
    pub labels: Vec<usize>,
    pub offset: Option<Vec<f64>>,
    pub classes: usize,
    pub step: GradientStep,
}

impl Problem {
    /// Deterministic numbers of a fitting size.
    pub fn new(shape: Shape, offset: bool, rate_ratio: f64) -> Self {
        let (n, d) = (shape.rows, shape.columns());
        let wave = |i: usize, k: f64| ((i as f64 + 1.0) * k).sin();
        let x_hat = DMatrix::from_fn(n, d, |r, c| if c == 0 { 1.0 } else { wave(r * d + c, 0.734) * 1.4 });
        let labels = (0..n).map(|r| (r * r + r / 3) % shape.classes).collect();
        // Features this correlated would diverge at a rate of 4/n.
        let first_rate = 4.0 / (n * d) as f64;
        let step = GradientStep {
            batch: 0,
            sigmoid: Cubic::NARROW.into(),
            rate: first_rate * rate_ratio,
            first_rate,
            stride: 1.0,
            raise: 4.0,
            last: false,
        };
        Self {
            x_hat,
            labels,
            offset: offset.then(|| (0..n).map(|r| wave(r, 0.31)).collect()),
            classes: shape.classes,
            step,
        }
    }

    /// The same with another sigmoid.
    pub fn with_sigmoid(mut self, sigmoid: Sigmoid) -> Self {
        self.step.sigmoid = sigmoid;
        self
    }

    pub fn source(&self) -> Source<'_> {
        Source {
            x_hat: &self.x_hat,
            labels: &self.labels,
            order: None,
            start: 0,
            offset: self.offset.as_deref(),
            first_rate: self.step.first_rate,
        }
    }

    /// rate (Y - p(z))^T x^ at weights u.
    pub fn gradient(&self, u: &DMatrix<f64>) -> DMatrix<f64> {
        let mut z = &self.x_hat * u.transpose();
        if let Some(offset) = &self.offset {
            z.row_iter_mut().zip(offset).for_each(|(mut row, z0)| row.add_scalar_mut(*z0));
        }
        let residual = DMatrix::from_fn(z.nrows(), self.classes, |r, c| {
            let (y, z) = (if self.labels[r] == c { 0.5 } else { -0.5 }, z[(r, c)]);
            self.step.rate * (y + 0.5 - self.step.sigmoid.evaluate(z))
        });
        residual.transpose() * &self.x_hat
    }
}

/// An upload as slot vectors, sub-ring packing included.
pub fn upload<L: Layout>(layout: &L, m: &SlotModel, source: &Source, top: usize, scale: f64) -> Vec<SlotVector> {
    let slots = m.slots();
    let inputs =
        layout.inputs(layout.upload_levels(top, source.offset.is_some()), Scales { weights: scale, prime: scale });
    inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let values = match layout.pack(source, index) {
                Plain::Slots(values) => values,
                Plain::Subring(parts) => {
                    let period = slots / parts.len();
                    let mut power = 1usize;
                    (0..slots)
                        .map(|s| {
                            let root = Complex64::cis(TAU * power as f64 / (4 * slots) as f64);
                            power = power * 5 % (4 * slots);
                            parts
                                .iter()
                                .enumerate()
                                .filter_map(|(j, part)| Some(*part.get(s % period)? * root.powu(j as u32)))
                                .sum()
                        })
                        .collect()
                }
            };
            m.encrypt(&values, input.level, input.scale).expect("the layout packs for its own ring")
        })
        .collect()
}

/// An upload for a circuit that has only so much working memory, given at the very level that is asked for.
pub struct Sparing {
    pub upload: Vec<SlotVector>,
    pub working_bytes: usize,
}

impl Upload<SlotVector> for Sparing {
    fn count(&self) -> usize {
        self.upload.len()
    }

    fn fetch(&self, places: &[usize], level: usize) -> ciphertune_ckks::Result<Vec<SlotVector>> {
        let found = self.upload.fetch(places, level)?;
        Ok(found.into_iter().map(|v| SlotVector { level: v.level.min(level), ..v }).collect())
    }

    fn working(&self) -> Working {
        Working::reading(self.working_bytes)
    }
}

/// Runs two gradients, the first at zero weights and the second at the closed result of the first, and checks both.
/// Returns the operations of the second.
pub fn check_two_gradients<L: Layout>(layout: &L, slots: usize, problem: &Problem) -> Counts {
    check_two_gradients_within(layout, slots, problem, usize::MAX >> 8)
}

/// [`check_two_gradients`] with so many working bytes.
pub fn check_two_gradients_within<L: Layout>(
    layout: &L,
    slots: usize,
    problem: &Problem,
    working_bytes: usize,
) -> Counts {
    let offset = problem.offset.is_some();
    let top = layout.levels(2, offset);
    let m = SlotModel::with_levels(slots, top, 40).expect("valid sizes");
    let scale = 2f64.powi(40);
    let upload = upload(layout, &m, &problem.source(), top, scale);
    let data = layout.prepare(&m, Sparing { upload, working_bytes }).unwrap();
    let read = |open: &[SlotVector]| layout.unpack_open(&open.iter().map(|v| v.values.clone()).collect::<Vec<_>>());
    let close = |found: &DMatrix<f64>, expected: &DMatrix<f64>, what: &str| {
        let error = (found - expected).abs().max();
        assert!(error < 1e-9 * (1.0 + expected.abs().max()), "{what}: {error}");
    };

    let first = layout.gradient::<_, Sparing>(&m, &data, None, &problem.step).unwrap();
    let zero = DMatrix::zeros(problem.classes, problem.x_hat.ncols());
    let expected = problem.gradient(&zero);
    close(&read(&first), &expected, "gradient at zero");

    let weights: Vec<_> = first.iter().map(|g| layout.close(&m, g).unwrap()).collect();
    let u = layout.unpack_weights(&weights.iter().map(|v| v.values.clone()).collect::<Vec<_>>());
    close(&u, &expected, "closed weights");

    let last = GradientStep { raise: 1.0, last: true, ..problem.step };
    let packed: Vec<_> = layout
        .pack_weights(&u)
        .iter()
        .zip(&weights)
        .map(|(packed, closed)| m.encrypt(packed, m.level(closed), m.scale(closed)).unwrap())
        .collect();
    let at_packed = layout.gradient::<_, Sparing>(&m, &data, Some(&packed), &last).unwrap();
    close(&read(&at_packed), &problem.gradient(&u), "gradient at weights that the owner packed");
    m.reset();
    let second = layout.gradient::<_, Sparing>(&m, &data, Some(&weights), &last).unwrap();
    close(&read(&second), &problem.gradient(&u), "gradient at weights");
    assert!(second.iter().all(|g| m.level(g) <= 1), "the promised levels are used up exactly");
    m.counts()
}
