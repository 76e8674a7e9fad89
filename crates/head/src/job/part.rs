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

use ciphertune_ckks::container::Container;
use ciphertune_ckks::{Ciphertext, Counts, files};

use super::server::{EncryptedModel, carry_name, gradient_name};
use super::{ITERATIONS, MODEL, MODEL_FORMAT, PART, job_id_of, origin};
use crate::layout::upload::{Upload, Working};
use crate::layout::{AnyLayout, ClassDiagonal, Layout};
use crate::plan::Refresh;
use crate::train::Iterate;
use crate::{HeadError, Plan, Result};

/// One of the parts of a training, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    index: usize,
    of: usize,
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

    /// Which part of a model a document is.
    ///
    /// # Errors
    ///
    /// For a document that is damaged, no model, or a whole one.
    pub fn of_model(bytes: &[u8]) -> Result<Self> {
        Ok(read(bytes)?.0)
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

/// Puts the parts of a model together, in any order.
///
/// # Errors
///
/// For documents that are damaged or no parts of one model; [`HeadError::Mismatch`] for parts that are missing or given
/// twice, with their numbers.
pub fn merge(documents: &[&[u8]]) -> Result<Vec<u8>> {
    let mismatch = |message: String| HeadError::Mismatch(message);
    let mut parts = Vec::with_capacity(documents.len());
    for bytes in documents {
        parts.push(read(bytes)?);
    }
    parts.sort_by_key(|(part, _)| part.index);
    let Some((first, head)) = parts.first() else { return Err(mismatch("there is nothing to merge".into())) };
    let numbers = |wanted: &dyn Fn(usize) -> bool| {
        let numbers = (1..=first.of).filter(|index| wanted(*index));
        numbers.map(|index| format!("{index}/{}", first.of)).collect::<Vec<_>>().join(", ")
    };
    let times = |index: usize| parts.iter().filter(|(part, _)| part.index == index).count();
    let (missing, twice) = (numbers(&|index| times(index) == 0), numbers(&|index| times(index) > 1));
    if let Some((other, _)) = parts.iter().find(|(part, _)| part.of != first.of) {
        return Err(mismatch(format!(
            "{other} and {first} are not parts of one division: train all with the same number of parts"
        )));
    }
    if !twice.is_empty() || !missing.is_empty() {
        let (what, which) = if missing.is_empty() { ("given twice", twice) } else { ("missing", missing) };
        return Err(mismatch(format!("parts are {what}: {which}")));
    }
    let ((plan, parameters, key), job) = (origin(head.header())?, job_id_of(head.header())?);
    let iterations: Vec<usize> = iterations(head)?;
    let mut iterates: Vec<Iterate<Ciphertext>> =
        iterations.iter().map(|&iteration| Iterate { iteration, carry: None, gradient: Vec::new() }).collect();
    for (part, container) in &parts {
        let (found, id) = (origin(container.header())?, job_id_of(container.header())?);
        if (&found.0, found.2, id) != (&plan, key, job) || self::iterations(container)? != iterations {
            return Err(mismatch(format!(
                "part {part} is of another training than part {first}: merge parts of one job"
            )));
        }
        let expected = part.layout(&plan)?.1.len();
        let read = |name: &str| -> Result<Vec<Ciphertext>> {
            let ciphertexts = files::read_full(&parameters, container, name)?;
            if ciphertexts.len() != expected {
                return Err(HeadError::InvalidArtefact(format!("part {part} holds {} ciphertexts", ciphertexts.len())));
            }
            Ok(ciphertexts)
        };
        for iterate in &mut iterates {
            iterate.gradient.extend(read(&gradient_name(iterate.iteration))?);
            if container.tensor(&format!("{}.c0", carry_name(iterate.iteration))).is_ok() {
                iterate.carry.get_or_insert_default().extend(read(&carry_name(iterate.iteration))?);
            }
        }
    }
    let counts = Counts::default();
    let model = EncryptedModel { plan, job, key, parameters, iterates, counts, answer: None, part: None };
    model.to_bytes()
}

fn read(bytes: &[u8]) -> Result<(Part, Container<'_>)> {
    let container = Container::parse(bytes, MODEL, MODEL_FORMAT)?;
    match container.all_metadata().get(PART) {
        Some(part) => Ok((part.parse()?, container)),
        None => Err(HeadError::Mismatch("the model is whole: there is nothing to merge it with".into())),
    }
}

fn iterations(container: &Container) -> Result<Vec<usize>> {
    serde_json::from_str(container.metadata(ITERATIONS)?)
        .map_err(|e| HeadError::InvalidArtefact(format!("the model's iterations are no list of numbers: {e}")))
}
