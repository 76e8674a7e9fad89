//! Parts of a model ([`super::super::part`]) put together.

use ciphertune_ckks::container::Container;
use ciphertune_ckks::{Ciphertext, Counts, files};

use super::super::part::Part;
use super::super::{ITERATIONS, MODEL, MODEL_FORMAT, PART, job_id_of, origin, plan_of};
use super::{EncryptedModel, carry_name, gradient_name};
use crate::train::Iterate;
use crate::{HeadError, Result};

/// A part of a model, read.
pub struct ModelPart<'a> {
    part: Part,
    container: Container<'a>,
}

impl<'a> ModelPart<'a> {
    /// Reads a part.
    ///
    /// # Errors
    ///
    /// For a document that is damaged, no model, or a whole one.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let container = Container::parse(bytes, MODEL, MODEL_FORMAT)?;
        match container.all_metadata().get(PART) {
            Some(part) => Ok(Self { part: part.parse()?, container }),
            None => Err(HeadError::Mismatch("the model is whole: there is nothing to merge it with".into())),
        }
    }
}

/// Puts the parts of a model together, in any order.
///
/// # Errors
///
/// For documents that are no parts of one model; [`HeadError::Mismatch`] for parts that are missing or given twice, with
/// their numbers.
pub fn merge(mut parts: Vec<ModelPart>) -> Result<Vec<u8>> {
    let mismatch = |message: String| HeadError::Mismatch(message);
    parts.sort_by_key(|read| read.part.index);
    let Some(ModelPart { part: first, container: head }) = parts.first() else {
        return Err(mismatch("there is nothing to merge".into()));
    };
    let ((plan, parameters, key), job) = (origin(head.header())?, job_id_of(head.header())?);
    // Before anything is counted up to a number that a file says.
    first.check(&plan)?;
    let numbers = |wanted: &dyn Fn(usize) -> bool| {
        let numbers = (1..=first.of).filter(|index| wanted(*index));
        numbers.map(|index| format!("{index}/{}", first.of)).collect::<Vec<_>>().join(", ")
    };
    let times = |index: usize| parts.iter().filter(|read| read.part.index == index).count();
    let (missing, twice) = (numbers(&|index| times(index) == 0), numbers(&|index| times(index) > 1));
    if let Some(ModelPart { part: other, .. }) = parts.iter().find(|read| read.part.of != first.of) {
        return Err(mismatch(format!(
            "{other} and {first} are not parts of one division: train all with the same number of parts"
        )));
    }
    if !twice.is_empty() || !missing.is_empty() {
        let (what, which) = if missing.is_empty() { ("given twice", twice) } else { ("missing", missing) };
        return Err(mismatch(format!("parts are {what}: {which}")));
    }
    let iterations = iterations_of(head)?;
    let mut iterates: Vec<Iterate<Ciphertext>> =
        iterations.iter().map(|&iteration| Iterate { iteration, carry: None, gradient: Vec::new() }).collect();
    for ModelPart { part, container } in &parts {
        let header = container.header();
        let ours = plan_of(header)? == plan
            && files::check_origin(header, &parameters)? == key
            && job_id_of(header)? == job
            && iterations_of(container)? == iterations;
        if !ours {
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

fn iterations_of(container: &Container) -> Result<Vec<usize>> {
    serde_json::from_str(container.metadata(ITERATIONS)?)
        .map_err(|e| HeadError::InvalidArtefact(format!("the model's iterations are no list of numbers: {e}")))
}
