//! What owner and server keep and send, made on a ring that hides nothing.

use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ciphertune_head::job::owner::{self, Keys, Record};
use ciphertune_head::job::server::{JobReader, Trainer};
use ciphertune_head::layout::Shape;
use ciphertune_head::layout::upload::Room;
use ciphertune_head::plan::{self, Constraints};
use ciphertune_head::train::Returned;
use ciphertune_head::{DMatrix, FeatureTable, Head, Plan, Recipe, Scaler, ScalerKind};
use ciphertune_session::files::read_head;
use ciphertune_session::keys_folder::KeysFolder;

use super::{Format, bytes, hash};

struct Made {
    keys: Keys,
    secret: Vec<u8>,
    evaluation: Vec<u8>,
    job: Vec<u8>,
    record: Record,
    model: Vec<u8>,
    head: Head,
    scaler: Scaler,
}

fn made() -> Arc<Made> {
    static MADE: OnceLock<Arc<Made>> = OnceLock::new();
    MADE.get_or_init(|| Arc::new(make().expect("a training on a toy ring"))).clone()
}

fn make() -> ciphertune_head::Result<Made> {
    let x = DMatrix::from_fn(24, 3, |row, k| ((row * 5 + k * 3) as f64).sin() + (row % 2) as f64);
    let scaler = Scaler::fit(ScalerKind::Whiten, None, &x)?;
    let table = FeatureTable::new(x, Some((0..24).map(|row| format!("class {}", row % 2)).collect()))?;
    let constraints = Constraints { log_n: Some(8), insecure_toy: true, ..Constraints::default() };
    let plan = plan::choose(Shape { rows: 24, features: 3, classes: 2 }, &Recipe::default_for(1)?, &constraints)?;
    let keys = Keys::generate(&plan)?;
    let mut evaluation = Vec::new();
    keys.write_evaluation_keys(&mut evaluation)?;
    let mut job = Cursor::new(Vec::new());
    let record = owner::encrypt(&keys, &table, None, &mut job, &|_, _| Ok(()))?.record;
    let job = job.into_inner();
    let model = Trainer::new(&job, &evaluation)?.train(Returned::Last)?.to_bytes()?;
    let head = owner::decrypt(&keys, &record, &model)?.last().clone();
    let secret = keys.secret_key_to_bytes()?.to_vec();
    Ok(Made { keys, secret, evaluation, job, record, model, head, scaler })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn head(path: &Path) -> Result<u64, String> {
    let (head, _) = read_head(path).map_err(text)?;
    head.to_bytes().map(hash).map_err(text)
}

fn scaler(path: &Path) -> Result<u64, String> {
    Scaler::from_bytes(&bytes(path)?).map_err(text)?.to_bytes().map(hash).map_err(text)
}

fn record(path: &Path) -> Result<u64, String> {
    Record::from_bytes(&bytes(path)?).map_err(text)?.to_bytes().map(hash).map_err(text)
}

fn plan(path: &Path) -> Result<u64, String> {
    let plan = Plan::from_json(&String::from_utf8(bytes(path)?).map_err(text)?).map_err(text)?;
    plan.parameters().map_err(text)?;
    plan.estimate().map_err(text)?;
    Ok(hash(plan.to_json()))
}

fn secret(path: &Path) -> Result<u64, String> {
    let keys = Keys::from_bytes(made().keys.plan(), &bytes(path)?).map_err(text)?;
    let secret = keys.secret_key_to_bytes().map_err(text)?;
    Ok(hash(&secret[..]))
}

fn evaluation(path: &Path) -> Result<u64, String> {
    let job = JobReader::open(Cursor::new(&made().job[..]))
        .map_err(text)?
        .open_keys(Cursor::new(bytes(path)?))
        .map(|keys| keys.read());
    job.map_err(text)?.map(|_| 0).map_err(text)
}

fn job(path: &Path) -> Result<u64, String> {
    let reader = JobReader::open(Cursor::new(bytes(path)?)).map_err(text)?;
    let keys = reader.open_keys(Cursor::new(&made().evaluation[..])).map_err(text)?.read().map_err(text)?;
    reader.read(keys, Room::PLENTY).map(|_| 0).map_err(text)
}

fn model(path: &Path) -> Result<u64, String> {
    let made = made();
    let decrypted = owner::decrypt(&made.keys, &made.record, &bytes(path)?).map_err(text)?;
    decrypted.last().to_bytes().map(hash).map_err(text)
}

fn releases(path: &Path) -> Result<u64, String> {
    let folder = KeysFolder::open(path.parent().expect("a file in a folder")).map_err(text)?;
    let releases = folder.releases().map_err(text)?;
    releases.check(4).map_err(text)?;
    Ok(hash(releases.next()))
}

pub fn formats() -> Vec<Format> {
    let made = made();
    let document = |written: ciphertune_head::Result<Vec<u8>>| written.expect("memory");
    let list = format!("[{{\"job\": \"{}\", \"releases\": 2}}]", made.record.job());
    vec![
        Format::new("head", "head.safetensors", document(made.head.to_bytes()), head).sealed(),
        Format::new("scaler", "scaler.safetensors", document(made.scaler.to_bytes()), scaler).sealed(),
        Format::new("record", "record.safetensors", document(made.record.to_bytes()), record).sealed(),
        Format::new("plan", "plan.json", made.keys.plan().to_json().into_bytes(), plan),
        Format::new("secret-key", "secret.key", made.secret.clone(), secret).sealed(),
        Format::new("evaluation-keys", "evaluation.keys", made.evaluation.clone(), evaluation).sealed(),
        Format::new("job", "job.safetensors", made.job.clone(), job).sealed(),
        Format::new("model", "model.enc", made.model.clone(), model).sealed(),
        Format::new("releases", "KEYS/releases.json", list.into_bytes(), releases)
            .beside("KEYS/secret.key", made.secret.clone()),
    ]
}
