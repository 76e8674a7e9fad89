//! Every role in one process, for `run` and `demo`: each step takes and gives the documents that the separate commands
//! put into files, through the same functions ([`crate::owner`], [`crate::server`]), and is timed.
//!
//! Only here is a model also trained in the clear, to compare with.

mod findings;

use std::time::Instant;

use ciphertune_ckks::container::ContainerError;
use ciphertune_head::job::owner::{Course, HeldOut, Record};
use ciphertune_head::plan::Allotment;
use ciphertune_head::recipe::{Stopping, Verdict};
use ciphertune_head::train::Returned;
use ciphertune_head::{Classes, DMatrix, FeatureTable, Head, Plan, Preconditioned, Recipe, Scaler, twin};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::files::{Document, Source};
use crate::observer::Observer;
use crate::owner::Opened;
use crate::server::{Refreshing, Reply};
use crate::{owner, server};
pub use findings::{Findings, Played, Precision, RawPixels, Sizes, Stopped};

/// Wall-clock seconds a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// The owner's backbone turns images into features; 0 if features were given.
    pub extract: f64,
    /// Planning.
    pub plan: f64,
    /// The owner makes both kinds of keys.
    pub keygen: f64,
    /// The owner fits the scaler and encrypts.
    pub encrypt: f64,
    /// The server reads and checks job and keys.
    pub load: f64,
    /// The server takes packed ciphertexts apart, trains and writes the model.
    pub train: f64,
    /// The owner answers the server's requests; 0 without refreshes.
    pub refresh: f64,
    /// The owner decrypts the model into a head.
    pub decrypt: f64,
    /// The twin, in the clear.
    pub plaintext: f64,
}

/// What `work` gives, and its seconds.
pub fn timed<T, E>(work: impl FnOnce() -> std::result::Result<T, E>) -> std::result::Result<(T, f64), E> {
    let start = Instant::now();
    let result = work()?;
    Ok((result, start.elapsed().as_secs_f64()))
}

/// The owner's keys and the server's, as documents.
pub struct KeyDocuments {
    /// The secret key.
    pub secret: Zeroizing<Vec<u8>>,
    /// The evaluation keys.
    pub evaluation: Source,
    /// Bytes of them.
    pub evaluation_bytes: usize,
}

/// Documents for the server that are larger than this go into a temporary file: beside what is made of them, memory has
/// better uses.
const MOST_IN_MEMORY: usize = 512 << 20;

/// Owner: makes keys.
pub fn keygen(plan: &Plan, observer: &dyn Observer) -> Result<KeyDocuments> {
    keygen_within(plan, MOST_IN_MEMORY, observer)
}

/// Owner: makes keys, with those for the server in memory if they take at most `most_in_memory` bytes.
fn keygen_within(plan: &Plan, most_in_memory: usize, observer: &dyn Observer) -> Result<KeyDocuments> {
    let in_memory = plan.estimate()?.key_bytes <= most_in_memory;
    let (evaluation, (secret, evaluation_bytes)) = Source::written("the evaluation keys", in_memory, |mut out| {
        let (secret, _) = owner::make_keys(plan, &mut out, observer)?;
        Ok((secret, out.stream_position().map_err(ContainerError::from)? as usize))
    })?;
    Ok(KeyDocuments { secret, evaluation, evaluation_bytes })
}

/// A job and its record.
pub struct JobDocuments {
    /// For the server.
    pub job: Source,
    /// Bytes of it.
    pub bytes: usize,
    /// The owner's.
    pub record: Vec<u8>,
    /// Ciphertexts in the job.
    pub ciphertexts: usize,
}

/// Owner: encrypts the table. A job that is large, or that the server will read again, goes into a temporary file; any
/// other stays in memory.
pub fn encrypt(
    plan: &Plan,
    secret: &[u8],
    train: &Examples,
    scaler: Option<Scaler>,
    allotment: &Allotment,
    observer: &dyn Observer,
) -> Result<JobDocuments> {
    let keys = owner::open_keys(plan, secret, "the secret key".as_ref())?;
    let in_memory = allotment.keeps_everything() && plan.upload_bytes() <= MOST_IN_MEMORY;
    let (job, made) = Source::written("the job", in_memory, |mut out| {
        owner::encrypt(&keys, train, scaler, &mut out, "the job".as_ref(), observer)
    })?;
    let (bytes, record) = (made.bytes as usize, made.record.to_bytes()?);
    Ok(JobDocuments { job, bytes, record, ciphertexts: made.ciphertexts })
}

/// Server: trains.
pub fn train(
    job: Source,
    evaluation: Source,
    trace: bool,
    allotment: &Allotment,
    observer: &dyn Observer,
) -> Result<server::Trained> {
    let returned = if trace { Returned::Every } else { Returned::Last };
    server::train(server::Job::open(job)?, evaluation, returned, allotment.room, observer)
}

/// What went to and fro in a training that the owner refreshes, and what the owner has of it.
#[derive(Default)]
pub struct Rounds {
    /// The owner's steps, one after the other.
    pub courses: Vec<Course>,
    /// Seconds that the owner took for them.
    pub seconds: f64,
    /// Bytes of the largest request.
    pub request_bytes: usize,
    /// Bytes of the largest answer.
    pub answer_bytes: usize,
}

/// Server and owner: train with refreshes. Every document passes from one to the other as it would in a file. With rows
/// that are held out the owner may end the training.
pub fn train_refreshed(
    plan: &Plan,
    secret: &[u8],
    record: &[u8],
    [job, evaluation]: [Source; 2],
    held_out: Option<(&FeatureTable, Stopping)>,
    allotment: &Allotment,
    observer: &dyn Observer,
) -> Result<(server::Trained, Rounds)> {
    let keys = owner::open_keys(plan, secret, "the secret key".as_ref())?;
    let record = Record::from_bytes(record)?;
    let held_out = held_out.map(|(rows, stopping)| HeldOut { record: &record, rows, stopping });
    let mut course = Course::new(&keys, record.job());
    let mut rounds = Rounds::default();
    let mut server = Refreshing::new(server::Job::open(job)?, evaluation, allotment.room, 0, observer)?;
    let mut reply = server.first()?;
    loop {
        match reply {
            Reply::Request(request) => {
                let (stepped, took) = timed(|| course.answer_or_stop(&keys, &request, held_out.as_ref()))?;
                rounds.seconds += took;
                rounds.request_bytes = rounds.request_bytes.max(request.len());
                rounds.answer_bytes = rounds.answer_bytes.max(stepped.answer.len());
                course = stepped.course;
                rounds.courses.push(course.clone());
                reply = server.after(course.iteration(), &request, &stepped.answer)?;
            }
            Reply::Model(trained) => return Ok((trained, rounds)),
        }
    }
}

/// What the owner has in the end.
pub struct Outcome {
    /// The record.
    pub record: Record,
    /// The decrypted model.
    pub opened: Opened,
    /// The last head, as its file would hold it.
    pub head: Vec<u8>,
}

/// Owner: decrypts. With the steps of a refreshed training every one of them has a head, up to that of the model.
pub fn decrypt(plan: &Plan, secret: &[u8], record: &[u8], courses: &[Course], model: &Document) -> Result<Outcome> {
    let keys = owner::open_keys(plan, secret, "the secret key".as_ref())?;
    let mut record = Record::from_bytes(record)?;
    if let Some(course) = courses.last() {
        record = record.with_course(course.clone());
    }
    let mut opened = owner::decrypt(&keys, &record, model)?;
    let model = opened.decrypted.heads.last().map_or(0, |(iteration, _)| *iteration);
    let before = courses.iter().filter(|course| course.iteration() < model);
    let heads = before.map(|course| Ok((course.iteration(), course.head(&keys, &record)?)));
    let heads = heads.collect::<Result<Vec<_>>>()?;
    opened.decrypted.heads.splice(0..0, heads);
    let head = opened.decrypted.last().to_bytes()?;
    Ok(Outcome { record, opened, head })
}

/// The encrypted training beside the same in the clear.
pub struct Comparison {
    /// The twin's head after every iteration.
    pub heads: Vec<Head>,
    /// The largest |z| that the twin's sigmoid was given.
    pub largest_logit: f64,
    /// Largest difference of a weight or bias for raw features after the last iteration, relative to the twin's
    /// largest.
    pub max_weight_error: f64,
    /// -log2 of the root mean square error of the weights, in the coordinates that were trained in.
    pub measured_bits: f64,
}

/// Trains the twin and compares. With rows that are held out the twin ends as the owner does, by its own iterates.
pub fn compare(
    plan: &Plan,
    found: &Outcome,
    train: &FeatureTable,
    held_out: Option<(&FeatureTable, Stopping)>,
) -> Result<Comparison> {
    let (recipe, record) = (plan.recipe(), &found.record);
    let x = record.scaler().apply_with_ones(train.features())?;
    let labels = record.classes().indices(train.require_labels()?)?;
    let mut iterates = twin::train(recipe, &x, &labels, record.classes().len());
    let problem = Preconditioned::new(recipe, &x)?;
    let head = |iterate: &twin::Iterate| {
        Head::from_scaled(record.scaler(), &iterate.weights, record.classes().clone(), recipe)
    };
    let mut heads: Vec<Head> = iterates.iter().map(head).collect::<std::result::Result<_, _>>()?;
    if let Some((rows, stopping)) = held_out
        && let Some(best) = stopped(&heads, rows, stopping)?
    {
        heads.truncate(best);
        iterates.truncate(best);
    }
    let largest_logit = iterates.iter().map(|iterate| iterate.largest_logit).fold(0.0, f64::max);
    let measured_bits = match (iterates.last(), found.opened.weights.last()) {
        (Some(twin), Some((_, u))) => -rms_error(u, &twin.weights, &problem).log2(),
        _ => f64::NAN,
    };
    let max_weight_error = match heads.last() {
        Some(twin) => relative_error(found.opened.decrypted.last(), twin),
        None => f64::NAN,
    };
    Ok(Comparison { heads, largest_logit, max_weight_error, measured_bits })
}

/// The best iteration of a training that stops before its last one, which nobody judges.
fn stopped(heads: &[Head], rows: &FeatureTable, mut stopping: Stopping) -> Result<Option<usize>> {
    for (head, t) in heads.iter().zip(1..heads.len()) {
        if stopping.observe(t, head.evaluate(rows)?.right) == Verdict::Stop {
            return Ok(stopping.best().map(|best| best.iteration));
        }
    }
    Ok(None)
}

/// The head of the same recipe, trained in the clear on some features.
pub fn train_in_the_clear(recipe: &Recipe, train: &FeatureTable) -> Result<Head> {
    let names = train.require_labels()?;
    let classes = Classes::from_labels(names)?;
    let scaler = Scaler::fit(recipe.scaler(), recipe.lambda(), train.features())?;
    let x = scaler.apply_with_ones(train.features())?;
    let iterates = twin::train(recipe, &x, &classes.indices(names)?, classes.len());
    let last = iterates.last().ok_or_else(|| Error::input("a recipe of no iterations trains nothing"))?;
    Ok(Head::from_scaled(&scaler, &last.weights, classes, recipe)?)
}

fn relative_error(head: &Head, twin: &Head) -> f64 {
    let error = (head.weight() - twin.weight()).amax().max((head.bias() - twin.bias()).amax());
    error / twin.weight().amax().max(twin.bias().amax())
}

/// Over the weights that are trained: a feature that is zero in every row has none.
fn rms_error(u: &DMatrix<f64>, twin: &DMatrix<f64>, problem: &Preconditioned) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for (column, &factor) in problem.unscale.iter().enumerate().filter(|(_, factor)| **factor != 0.0) {
        for class in 0..u.nrows() {
            sum += (u[(class, column)] - (twin[(class, column)] - problem.w0) / factor).powi(2);
            count += 1;
        }
    }
    (sum / count.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use ciphertune_ckks::container::ContainerStream;
    use ciphertune_ckks::files;
    use ciphertune_head::layout::Shape;
    use ciphertune_head::plan::{self, Constraints};

    use super::*;

    /// Files of crate `tempfile` that this process holds open and that have no name any more.
    #[cfg(target_os = "linux")]
    fn nameless() -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let links = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let names = links.filter_map(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
        names.filter(|name| name.ends_with(" (deleted)") && (name.starts_with('#') || name.starts_with(".tmp"))).count()
    }

    #[test]
    fn keys_that_are_too_large_for_memory_go_through_a_file_that_leaves_no_trace() {
        let shape = Shape { rows: 20, features: 3, classes: 2 };
        let toy = Constraints { log_n: Some(8), insecure_toy: true, ..Constraints::default() };
        let plan = plan::choose(shape, &Recipe::default_for(1).unwrap(), &toy).unwrap();
        let bytes = plan.estimate().unwrap().key_bytes;
        let read = |most_in_memory: usize| {
            let mut keys = keygen_within(&plan, most_in_memory, &crate::Silent).unwrap();
            let mut content = Vec::new();
            keys.evaluation.content.rewind().unwrap();
            keys.evaluation.content.read_to_end(&mut content).unwrap();
            #[cfg(target_os = "linux")]
            assert_eq!(nameless(), usize::from(most_in_memory < bytes), "the file has no name from the beginning");
            assert_eq!(keys.evaluation_bytes, content.len());
            content
        };
        // Keys are random: those of either way have the same form, and are read by the server.
        let forms = [bytes, bytes - 1].map(|most_in_memory| {
            let content = read(most_in_memory);
            let version = files::EVALUATION_KEYS_FORMAT;
            let stream = ContainerStream::open(std::io::Cursor::new(&content), files::EVALUATION_KEYS, version);
            let stream = stream.unwrap();
            let shapes: Vec<_> = stream
                .header()
                .shapes()
                .map(|(name, element, shape)| (name.to_owned(), element, shape.to_vec()))
                .collect();
            let keys = files::read_evaluation_keys(&plan.parameters().unwrap(), stream).unwrap();
            (content.len(), shapes, keys.key_set() == plan.estimate().unwrap().operations.keys)
        });
        assert_eq!(forms[0], forms[1]);
        assert!(forms[0].2);
        #[cfg(target_os = "linux")]
        assert_eq!(nameless(), 0, "it went with its last handle");
    }
}
