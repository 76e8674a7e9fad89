//! The server's step: training. Nothing here takes a type that an owner holds.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use ciphertune_ckks::container::{Container, describe};
use ciphertune_ckks::{Counts, Parameters, files};
use ciphertune_head::job::server::Trainer;
use ciphertune_head::job::{FORMAT, JOB, plan_of};
use ciphertune_head::plan::Estimate;
use ciphertune_head::train::Returned;
use ciphertune_head::{HeadError, Plan};

use crate::errors::{CliError, InFile, Result};
use crate::files::Document;
use crate::progress::Progress;

/// A relinearisation or rotation takes about this many times as long as a product of ciphertexts: for progress only.
const KEY_SWITCH_WEIGHT: u64 = 10;

/// What a training gives.
pub struct Trained {
    /// The encrypted model's document.
    pub model: Vec<u8>,
    /// The operations that it took.
    pub counts: Counts,
    /// Seconds of reading and checking the job and the keys.
    pub load_seconds: f64,
    /// Seconds of training: taking packed ciphertexts apart, all iterations, and the model's document.
    pub train_seconds: f64,
}

impl Trained {
    /// The model, to be handed on within one process.
    pub fn into_document(self) -> Document {
        Document { path: "the model".into(), bytes: self.model }
    }
}

/// Trains on a job with the evaluation keys that belong to it.
pub fn train(job: Document, evaluation_keys: Document, returned: Returned) -> Result<Trained> {
    let start = Instant::now();
    let trainer = {
        let _progress = Progress::spinner("reading");
        Trainer::new(&job.bytes, &evaluation_keys.bytes).map_err(|error| blame(error, &job, &evaluation_keys))?
    };
    // The trainer has what it needs of them.
    drop((job, evaluation_keys));
    let load_seconds = start.elapsed().as_secs_f64();
    let expected = Estimate::new(trainer.plan())?.operations;
    let weigh = |key_switches: u64, products: u64| KEY_SWITCH_WEIGHT * key_switches + products;
    let progress = Progress::new("training", weigh(expected.key_switches, expected.products));
    let evaluator = trainer.evaluator();
    let done = || weigh(evaluator.counts().key_switches, evaluator.counts().products);
    let start = Instant::now();
    let trained = progress.watch(done, || trainer.train(returned))?;
    let (model, counts) = (trained.to_bytes()?, trained.counts());
    Ok(Trained { model, counts, load_seconds, train_seconds: start.elapsed().as_secs_f64() })
}

/// Puts the name of the file at fault in front of the trainer's error.
fn blame(error: HeadError, job: &Document, keys: &Document) -> CliError {
    let at_fault = match &error {
        _ if opened(job, JOB, FORMAT).is_err() => job,
        HeadError::Mismatch(_) => keys,
        _ if check_keys(keys).is_err() => keys,
        _ => job,
    };
    CliError::from(error).in_file(&at_fault.path)
}

/// A document on its own: whole, of the right kind, with a plan, and of that plan's parameters.
fn opened<'a>(
    document: &'a Document,
    kind: &str,
    version: u32,
) -> std::result::Result<(Container<'a>, Parameters), HeadError> {
    let container = Container::parse(&document.bytes, kind, version)?;
    let parameters = plan_of(&container)?.parameters()?;
    files::check_origin(&container, &parameters)?;
    Ok((container, parameters))
}

fn check_keys(keys: &Document) -> std::result::Result<(), HeadError> {
    let (container, parameters) = opened(keys, files::EVALUATION_KEYS, files::EVALUATION_KEYS_FORMAT)?;
    files::read_evaluation_keys(&parameters, &container)?;
    Ok(())
}

/// The plan in a document's header, before the rest is read.
pub fn plan_in(document: &mut impl Read, path: &Path) -> Result<Plan> {
    let description = describe(document).in_file(path)?;
    match description.metadata.get("plan") {
        Some(plan) => Plan::from_json(plan).in_file(path),
        None => {
            let message = format!("the file holds {}, but a {JOB} is expected here: pass the job", description.kind);
            Err(CliError::input(message).in_file(path))
        }
    }
}
