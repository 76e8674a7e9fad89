//! What goes to and fro in a training with refreshes, and what its parties keep, made on a ring that hides nothing.

use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ciphertune_head::job::owner::{self, Course, Keys};
use ciphertune_head::job::server::{Refreshed, Reply, Trainer};
use ciphertune_head::layout::Shape;
use ciphertune_head::plan::{self, Constraints, Refresh};
use ciphertune_head::{DMatrix, FeatureTable, Recipe};
use ciphertune_session::state_folder::{StateFolder, Training};

use super::{Format, bytes, hash};

struct Made {
    keys: Keys,
    evaluation: Vec<u8>,
    job: Vec<u8>,
    course: Course,
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Of a training of the same table in one chain.
    chain: Chain,
}

struct Chain {
    evaluation: Vec<u8>,
    job: Vec<u8>,
    checkpoint: Vec<u8>,
}

fn made() -> Arc<Made> {
    static MADE: OnceLock<Arc<Made>> = OnceLock::new();
    MADE.get_or_init(|| Arc::new(make().expect("a training on a toy ring"))).clone()
}

/// Keys of a training of three iterations, its evaluation keys and its job.
fn begin(refresh: Refresh) -> ciphertune_head::Result<(Keys, Vec<u8>, Vec<u8>, owner::Record)> {
    let x = DMatrix::from_fn(24, 3, |row, k| ((row * 5 + k * 3) as f64).sin() + (row % 2) as f64);
    let table = FeatureTable::new(x, Some((0..24).map(|row| format!("class {}", row % 2)).collect()))?;
    let constraints = Constraints { log_n: Some(8), insecure_toy: true, refresh, ..Constraints::default() };
    let plan = plan::choose(Shape { rows: 24, features: 3, classes: 2 }, &Recipe::default_for(3)?, &constraints)?;
    let keys = Keys::generate(&plan)?;
    let mut evaluation = Vec::new();
    keys.write_evaluation_keys(&mut evaluation)?;
    let mut job = Cursor::new(Vec::new());
    let record = owner::encrypt(&keys, &table, None, &mut job, &|_, _| Ok(()))?.record;
    Ok((keys, evaluation, job.into_inner(), record))
}

fn make() -> ciphertune_head::Result<Made> {
    let (keys, evaluation, job, record) = begin(Refresh::EveryIteration)?;
    let Reply::Request(request) = Trainer::new(&job, &evaluation)?.into_refreshed()?.first()? else {
        unreachable!("the first of three iterations is followed by others");
    };
    let stepped = Course::new(&keys, record.job()).answer(&keys, &request)?;
    let (course, answer) = (stepped.course, stepped.answer);
    let chain = {
        let (_, evaluation, job, _) = begin(Refresh::Never)?;
        let mut checkpoint = Vec::new();
        let mut save = |_, saved: Option<Vec<u8>>| {
            checkpoint = saved.unwrap_or(std::mem::take(&mut checkpoint));
            true
        };
        Trainer::new(&job, &evaluation)?.train_saving(None, &mut save)?;
        Chain { evaluation, job, checkpoint }
    };
    Ok(Made { keys, evaluation, job, course, request, answer, chain })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn request(path: &Path) -> Result<u64, String> {
    let made = made();
    let course = Course::new(&made.keys, made.course.job());
    let stepped = course.answer(&made.keys, &bytes(path)?).map_err(text)?;
    Ok(hash(format!("{:?}", stepped.course.weights())))
}

fn server(made: &Made) -> Result<Refreshed<Cursor<&[u8]>>, String> {
    Trainer::new(&made.job, &made.evaluation).and_then(Trainer::into_refreshed).map_err(text)
}

fn answer(path: &Path) -> Result<u64, String> {
    let made = made();
    server(&made)?.check(&made.request, &bytes(path)?).map(|()| 0).map_err(text)
}

fn course(path: &Path) -> Result<u64, String> {
    let course = Course::from_bytes(&made().keys, &bytes(path)?).map_err(text)?;
    course.to_bytes().map(hash).map_err(text)
}

fn checkpoint(path: &Path) -> Result<u64, String> {
    let (made, from) = (made(), bytes(path)?);
    let trainer = Trainer::new(&made.chain.job, &made.chain.evaluation).map_err(text)?;
    let model = trainer.train_saving(Some(&from), &mut |_, _| true).map_err(text)?;
    model.to_bytes().map(hash).map_err(text)
}

fn training(path: &Path) -> Result<u64, String> {
    let state = StateFolder::open(path.parent().expect("a file in a folder")).map_err(text)?;
    Ok(hash(format!("{:?}", state.training())))
}

pub fn formats() -> Vec<Format> {
    let made = made();
    let course_file = made.course.to_bytes().expect("memory");
    let began = Training::new("0".repeat(32), Path::new("job"), Path::new("keys"), Path::new("model"));
    let began = serde_json::to_vec(&began.expect("a current folder")).expect("paths and words");
    vec![
        Format::new("request", "request-0001.enc", made.request.clone(), request).sealed(),
        Format::new("answer", "answer-0001.enc", made.answer.clone(), answer).sealed(),
        Format::new("course", "course-0001.safetensors", course_file, course).sealed(),
        Format::new("checkpoint", "checkpoint-0002.enc", made.chain.checkpoint.clone(), checkpoint).sealed(),
        Format::new("training", "STATE/training.json", began, training).beside("STATE/lock", Vec::new()),
    ]
}
