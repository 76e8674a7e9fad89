//! The server's step: training. Nothing here takes a type that an owner holds.

mod refreshing;

use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use ciphertune_ckks::container::ContainerError;
use ciphertune_ckks::{Counts, Evaluator};
use ciphertune_head::Plan;
use ciphertune_head::job::JobId;
use ciphertune_head::job::part::Part;
use ciphertune_head::job::server::{self as head, Checkpoints, EncryptedModel, JobReader, KeyReader, Trainer};
use ciphertune_head::layout::upload::Room;
use ciphertune_head::plan::Allotment;
use ciphertune_head::train::Returned;

use crate::error::{Error, InFile, Result};
use crate::files::{Document, ReadSeek, Source};
use crate::observer::{Observer, Running, Step};
pub use refreshing::{Refreshing, Reply};

/// A relinearisation or rotation takes about this many times as long as a product of ciphertexts: for progress only.
const KEY_SWITCH_WEIGHT: u64 = 10;

/// What of a job was in memory during training.
#[derive(Clone, Copy, Debug)]
pub struct Residence {
    /// Ciphertexts that were kept from the beginning.
    pub kept: usize,
    /// Ciphertexts in all.
    pub ciphertexts: usize,
    /// Ciphertexts that were read again, all iterations together.
    pub read_again: u64,
}

/// What a training gives.
pub struct Trained {
    /// The encrypted model's document.
    pub model: Vec<u8>,
    /// Whether the owner ended the training before its last iteration.
    pub ended: bool,
    /// The operations that it took.
    pub counts: Counts,
    /// What of the job was in memory.
    pub residence: Residence,
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

/// A job of which only the header was read.
pub struct Job {
    path: PathBuf,
    reader: JobReader<Box<dyn ReadSeek>>,
    bytes: u64,
    seconds: f64,
}

impl Job {
    /// Reads the header of a job.
    pub fn open(source: Source) -> Result<Self> {
        let (start, Source { path, mut content }) = (Instant::now(), source);
        let length = content.seek(SeekFrom::End(0)).and_then(|bytes| content.rewind().map(|()| bytes));
        let bytes = length.map_err(ContainerError::from).in_file(&path)?;
        let reader = JobReader::open(content).in_file(&path)?;
        Ok(Self { path, reader, bytes, seconds: start.elapsed().as_secs_f64() })
    }

    /// The plan in it.
    pub fn plan(&self) -> &Plan {
        self.reader.plan()
    }

    /// Its identifier.
    pub fn id(&self) -> JobId {
        self.reader.id()
    }

    /// Divides `memory` bytes among what training needs ([`Plan::allot`]).
    ///
    /// # Errors
    ///
    /// For a job that lacks ciphertexts of its plan, before anything is computed from a shape that the file does not
    /// bear out; if training needs more memory.
    pub fn allot(&self, memory: usize) -> Result<Allotment> {
        let (needed, found) = (self.plan().upload_bytes(), self.bytes);
        if needed as u64 > found {
            let message = format!(
                "the plan in it asks for {needed} bytes of ciphertexts, and the file has {found}: fetch the job again"
            );
            return Err(Error::input(message).in_file(&self.path));
        }
        self.plan().allot(memory).in_file(&self.path)
    }
}

/// Trains on a job with the evaluation keys that belong to it. Each is dropped when it is read.
///
/// # Errors
///
/// For a job or keys that are damaged or do not belong together, and [`Error::is_stopped`](crate::Error::is_stopped)
/// soon after the observer asks for it.
pub fn train(
    job: Job,
    evaluation_keys: Source,
    returned: Returned,
    room: Room,
    observer: &dyn Observer,
) -> Result<Trained> {
    watched(job, evaluation_keys, room, (1, None), observer, |trainer, iterated| {
        trainer.train_watched(returned, iterated)
    })
}

/// As [`train`], some of the classes only.
///
/// # Errors
///
/// As [`train`]; for a job whose plan has no such parts.
pub fn train_part(
    job: Job,
    evaluation_keys: Source,
    part: Part,
    room: Room,
    observer: &dyn Observer,
) -> Result<Trained> {
    watched(job, evaluation_keys, room, (part.of() as u64, None), observer, |trainer, iterated| {
        trainer.train_part(part, iterated)
    })
}

/// Puts the parts of a model together.
///
/// # Errors
///
/// As [`head::merge`], with the file where one is at fault.
pub fn merge(parts: &[Document]) -> Result<Vec<u8>> {
    let parts = parts.iter().map(|part| head::ModelPart::read(&part.bytes).in_file(&part.path));
    Ok(head::merge(parts.collect::<Result<_>>()?)?)
}

/// As [`train`] of the last iterate, with a checkpoint for `checkpoints` after every iteration but the last; from a
/// checkpoint on, if there is one.
///
/// # Errors
///
/// As [`train`]; for a checkpoint that is damaged or of another training.
pub fn train_saving(
    job: Job,
    evaluation_keys: Source,
    room: Room,
    checkpoint: Option<&Document>,
    checkpoints: &mut dyn Checkpoints,
    observer: &dyn Observer,
) -> Result<Trained> {
    let from = checkpoint.map(|document| &document.bytes[..]);
    let path = checkpoint.map(|document| &*document.path);
    watched(job, evaluation_keys, room, (1, path), observer, |trainer, mut iterated| {
        let mut save = |t: usize, checkpoint: Option<Vec<u8>>| {
            iterated(t);
            checkpoints.save(t, checkpoint)
        };
        trainer.train_saving(from, &mut save)
    })
}

/// Reads job and keys, and does `work` with an eye on its progress; it is given whom to tell of every iteration. Its errors
/// are those of the job, or of the file `from` where it goes on from one. It does one of so many `parts`.
fn watched(
    job: Job,
    evaluation_keys: Source,
    room: Room,
    (parts, from): (u64, Option<&Path>),
    observer: &dyn Observer,
    work: impl FnOnce(
        Trainer<Box<dyn ReadSeek>>,
        Box<dyn FnMut(usize) + Send + '_>,
    ) -> ciphertune_head::Result<EncryptedModel>,
) -> Result<Trained> {
    let Loaded { path, trainer, seconds: load_seconds } = load(job, evaluation_keys, room, observer)?;
    let iterations = trainer.plan().recipe().iterations();
    let all = units(trainer.plan())? / parts;
    let running = Running::new(observer, Step::Training, Some(all));
    let (evaluator, (kept, ciphertexts), read_again) = (trainer.evaluator(), trainer.kept(), trainer.read_again());
    let start = Instant::now();
    let iterated = Box::new(|t| observer.iterated(t, iterations));
    let work = || work(trainer, iterated);
    let trained = running.watch(|| done(&evaluator), || evaluator.stop(), work);
    let trained = trained.in_file(from.unwrap_or(&path))?;
    running.advance(all);
    let (model, counts, ended) = (trained.to_bytes()?, trained.counts(), trained.is_ended());
    let residence = Residence { kept, ciphertexts, read_again: read_again.load(Ordering::Relaxed) };
    Ok(Trained { model, ended, counts, residence, load_seconds, train_seconds: start.elapsed().as_secs_f64() })
}

/// A job with its keys, read and checked.
struct Loaded {
    path: PathBuf,
    trainer: Trainer<Box<dyn ReadSeek>>,
    /// What reading took, the job's header included.
    seconds: f64,
}

fn load(job: Job, evaluation_keys: Source, room: Room, observer: &dyn Observer) -> Result<Loaded> {
    let start = Instant::now();
    let _running = Running::new(observer, Step::Reading, None);
    let Source { path, content } = evaluation_keys;
    let keys = job.reader.open_keys(content).and_then(KeyReader::read).in_file(&path)?;
    let trainer = job.reader.read(keys, room).in_file(&job.path)?;
    Ok(Loaded { path: job.path, trainer, seconds: job.seconds + start.elapsed().as_secs_f64() })
}

/// The units of a plan's training.
fn units(plan: &Plan) -> Result<u64> {
    let expected = &plan.estimate()?.operations;
    Ok(weigh(expected.key_switches, expected.products))
}

/// The units that an evaluator has done.
fn done(evaluator: &Evaluator) -> u64 {
    weigh(evaluator.counts().key_switches, evaluator.counts().products)
}

fn weigh(key_switches: u64, products: u64) -> u64 {
    KEY_SWITCH_WEIGHT * key_switches + products
}
