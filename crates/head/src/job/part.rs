//! Parts of a training: its classes are trainings of their own, so several machines can take some each.
//!
//! ```text
//! server 1   job, keys ─ train part 1 of k ─► part of the model ─┐
//! server 2   job, keys ─ train part 2 of k ─► part of the model ─┼─ merge ─► the model, as one machine makes it
//! ...                                                            ┘
//! ```
//!
//! A part has some of the weight ciphertexts, with the classes in them, and computes on all rows. Nothing passes between
//! the machines during training, and the merged model is that of one machine byte for byte.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::layout::upload::{Upload, Working};
use crate::layout::{AnyLayout, ClassDiagonal, Layout};
use crate::plan::Refresh;
use crate::{HeadError, Plan, Result};

/// One of the parts of a training, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub(super) index: usize,
    pub(super) of: usize,
}

impl Part {
    /// Part `index`, from 1, of `of`.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidRecipe`] unless there is such a part.
    pub fn new(index: usize, of: usize) -> Result<Self> {
        if (1..=of).contains(&index) {
            return Ok(Self { index, of });
        }
        Err(HeadError::InvalidRecipe(format!(
            "there is no part {index} of {of}: parts are counted from 1/{of} to {of}/{of}"
        )))
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// Refuses a plan that has no such parts, with the most that it has.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidRecipe`].
    pub fn check(self, plan: &Plan) -> Result<()> {
        self.layout(plan).map(drop)
    }

    /// The layout of this part of a plan, and the weight ciphertexts that are in it.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidRecipe`] for a plan that has no such parts, with the most that it has.
    pub(super) fn layout(self, plan: &Plan) -> Result<(ClassDiagonal, Range<usize>)> {
        let refuse = |reason: String| Err(HeadError::InvalidRecipe(reason));
        let AnyLayout::ClassDiagonal(layout) = plan.layout() else {
            return refuse("a training in the layout volley-revolver has no parts: train it on one machine".into());
        };
        if plan.refresh() != Refresh::Never {
            return refuse("a training that its owner refreshes has no parts: train it on one machine".into());
        }
        let count = layout.weight_ciphertexts();
        if self.of > count {
            return refuse(format!(
                "the plan has its classes in {count} ciphertexts, which makes no {} parts: take at most {count}",
                self.of
            ));
        }
        let weights = (self.index - 1) * count / self.of..self.index * count / self.of;
        Ok((layout.of_weight_ciphertexts(weights.clone()), weights))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// Reads `2/5`.
impl FromStr for Part {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, k)| Some((i.parse().ok()?, k.parse().ok()?)));
        let (index, of) = numbers.ok_or_else(|| {
            HeadError::InvalidRecipe(format!("{text:?} is no part: write 2/5 for the second of five"))
        })?;
        Self::new(index, of)
    }
}

/// The upload of a part: all data, and the labels of some weight ciphertexts.
pub(super) struct PartUpload<U> {
    whole: U,
    /// Data ciphertexts, which come first.
    data: usize,
    /// Places of the labels of this part.
    labels: Range<usize>,
    /// Places of the row offsets.
    offsets: Range<usize>,
}

impl<U> PartUpload<U> {
    pub(super) fn new<C>(whole: U, plan: &Plan, weights: Range<usize>) -> Self
    where
        U: Upload<C>,
    {
        let count = |role| plan.inputs().iter().filter(|input| input.role == role).count();
        let (data, labels) = (count(crate::layout::Role::Data), count(crate::layout::Role::Labels));
        let each = labels / plan.layout().weight_ciphertexts();
        let offsets = data + labels..whole.count();
        Self { whole, data, labels: data + weights.start * each..data + weights.end * each, offsets }
    }

    fn places(&self, places: &[usize]) -> Vec<usize> {
        let of = |&place: &usize| match place.checked_sub(self.data) {
            None => place,
            Some(label) if label < self.labels.len() => self.labels.start + label,
            Some(beyond) => self.offsets.start + beyond - self.labels.len(),
        };
        places.iter().map(of).collect()
    }
}

impl<C, U: Upload<C>> Upload<C> for PartUpload<U> {
    fn count(&self) -> usize {
        self.data + self.labels.len() + self.offsets.len()
    }

    fn fetch(&self, places: &[usize], level: usize) -> ciphertune_ckks::Result<Vec<C>> {
        self.whole.fetch(&self.places(places), level)
    }

    fn take(&mut self, places: &[usize], level: usize) -> ciphertune_ckks::Result<Vec<C>> {
        let places = self.places(places);
        self.whole.take(&places, level)
    }

    fn lower(&self, level: usize) {
        self.whole.lower(level);
    }

    fn working(&self) -> Working {
        self.whole.working()
    }
}
