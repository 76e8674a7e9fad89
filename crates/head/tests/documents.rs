//! The documents of a job, where they do not belong together or are not whole. On a toy ring, which hides nothing.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use ciphertune_ckks::container::{Container, ContainerWriter};
use ciphertune_head::job::{self, owner, server};
use ciphertune_head::layout::Shape;
use ciphertune_head::layout::upload::{Room, Working};
use ciphertune_head::plan::{self, Constraints};
use ciphertune_head::train::Returned;
use ciphertune_head::{DMatrix, FeatureTable, HeadError, Plan, Recipe, Scaler};

const ROWS: usize = 30;

fn table(rows: usize, classes: usize) -> FeatureTable {
    let x = DMatrix::from_fn(rows, 4, |r, k| ((r * 5 + k * 3) as f64).sin() + (r % classes) as f64);
    FeatureTable::new(x, Some((0..rows).map(|r| format!("class {}", r % classes)).collect())).unwrap()
}

fn plan(rows: usize, iterations: usize) -> Plan {
    let constraints = Constraints { log_n: Some(8), insecure_toy: true, ..Constraints::default() };
    let shape = Shape { rows, features: 4, classes: 2 };
    plan::choose(shape, &Recipe::default_for(iterations).unwrap(), &constraints).unwrap()
}

/// A job and what the owner keeps of it.
struct Job {
    record: owner::Record,
    upload: Vec<u8>,
}

fn encrypt(keys: &owner::Keys, table: &FeatureTable, scaler: Option<Scaler>) -> ciphertune_head::Result<Job> {
    let mut out = std::io::Cursor::new(Vec::new());
    let record = owner::encrypt(keys, table, scaler, &mut out, &|_, _| Ok(()))?.record;
    Ok(Job { record, upload: out.into_inner() })
}

struct Documents {
    keys: owner::Keys,
    evaluation_keys: Vec<u8>,
    job: Job,
    model: Vec<u8>,
}

fn documents(plan: &Plan) -> Documents {
    let keys = owner::Keys::generate(plan).unwrap();
    let mut evaluation_keys = Vec::new();
    keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
    let job = encrypt(&keys, &table(plan.shape().rows, 2), None).unwrap();
    let model = server::Trainer::new(&job.upload, &evaluation_keys).unwrap().train(Returned::Last).unwrap();
    Documents { keys, evaluation_keys, job, model: model.to_bytes().unwrap() }
}

fn message<T>(outcome: ciphertune_head::Result<T>) -> String {
    outcome.err().expect("these documents do not belong together").to_string()
}

#[test]
fn documents_of_another_key_plan_or_job_are_refused_with_the_reason() {
    let plan_a = plan(ROWS, 2);
    let (a, b, c) = (documents(&plan_a), documents(&plan_a), documents(&plan(ROWS + 1, 2)));
    let trainer =
        |job: &Documents, keys: &Documents| server::Trainer::new(&job.job.upload, &keys.evaluation_keys).map(|_| ());
    assert!(message(trainer(&a, &b)).contains("another secret key"));
    assert!(message(trainer(&a, &c)).contains("another plan"));
    let decrypt = |keys: &Documents, record: &Documents, model: &Documents| {
        owner::decrypt(&keys.keys, &record.job.record, &model.model)
    };
    assert!(decrypt(&a, &a, &a).is_ok());
    assert!(message(decrypt(&b, &b, &a)).contains("use the keys that the job was encrypted with"));
    assert!(message(decrypt(&a, &b, &a)).contains("belongs to job"));
    assert!(message(decrypt(&c, &c, &a)).contains("key"));
}

#[test]
fn a_table_of_another_shape_than_the_plan_is_refused_before_encryption() {
    let keys = owner::Keys::generate(&plan(ROWS, 2)).unwrap();
    let refused = |table: &FeatureTable| message(encrypt(&keys, table, None));
    assert!(encrypt(&keys, &table(ROWS, 2), None).is_ok());
    assert!(refused(&table(ROWS - 1, 2)).contains("make keys for this table"));
    assert!(refused(&table(ROWS, 3)).contains("in 3"));
}

#[test]
fn one_document_in_the_place_of_another_and_damaged_ones_are_refused() {
    let d = documents(&plan(ROWS, 2));
    assert!(message(server::Trainer::new(&d.evaluation_keys, &d.job.upload).map(|_| ())).contains("job"));
    assert!(server::Trainer::new(&d.model, &d.evaluation_keys).is_err());
    assert!(owner::decrypt(&d.keys, &d.job.record, &d.job.upload).is_err());
    for (name, bytes) in [("job", &d.job.upload), ("keys", &d.evaluation_keys), ("model", &d.model)] {
        for position in [9, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[position] ^= 4;
            let truncated = &bytes[..position];
            for bytes in [&damaged[..], truncated] {
                let refused = match name {
                    "job" => server::Trainer::new(bytes, &d.evaluation_keys).is_err(),
                    "keys" => server::Trainer::new(&d.job.upload, bytes).is_err(),
                    _ => owner::decrypt(&d.keys, &d.job.record, bytes).is_err(),
                };
                assert!(refused, "{name} at {position}");
            }
        }
    }
    let record = d.job.record.to_bytes().unwrap();
    assert_eq!(owner::Record::from_bytes(&record).unwrap(), d.job.record);
    assert!(owner::Record::from_bytes(&record[..record.len() - 1]).is_err());
}

#[test]
fn a_secret_key_survives_its_file_and_serves_only_its_plan() {
    let (plan_a, plan_c) = (plan(ROWS, 2), plan(ROWS, 3));
    let d = documents(&plan_a);
    let file = d.keys.secret_key_to_bytes().unwrap().to_vec();
    let keys = owner::Keys::from_bytes(&plan_a, &file).unwrap();
    assert!(owner::decrypt(&keys, &d.job.record, &d.model).is_ok());
    assert!(owner::Keys::from_bytes(&plan_c, &file).is_err());
}

#[test]
fn all_iterates_come_back_only_when_asked_for() {
    let plan = plan(ROWS, 3);
    let d = documents(&plan);
    assert_eq!(owner::decrypt(&d.keys, &d.job.record, &d.model).unwrap().heads.len(), 1);
    let trainer = server::Trainer::new(&d.job.upload, &d.evaluation_keys).unwrap();
    let model = trainer.train(Returned::Every).unwrap().to_bytes().unwrap();
    let decrypted = owner::decrypt(&d.keys, &d.job.record, &model).unwrap();
    assert_eq!(decrypted.heads.iter().map(|(t, _)| *t).collect::<Vec<_>>(), [1, 2, 3]);
    let error: HeadError = owner::decrypt(&d.keys, &d.job.record, b"").unwrap_err();
    assert!(matches!(error, HeadError::Container(_)));
}

/// A file that others may write to while it is open.
#[derive(Clone)]
struct Shared(Arc<Mutex<Vec<u8>>>, u64);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let content = self.0.lock().unwrap();
        let read = content.get(self.1 as usize..).unwrap_or_default().read(buffer)?;
        self.1 += read as u64;
        Ok(read)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.1 = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(offset) => (self.0.lock().unwrap().len() as u64).saturating_add_signed(offset),
            SeekFrom::Current(offset) => self.1.saturating_add_signed(offset),
        };
        Ok(self.1)
    }
}

/// Several blocks, several weight ciphertexts: a plan whose data can be read again.
fn streamed_plan() -> Plan {
    let constraints =
        Constraints { insecure_toy: true, log_n: Some(8), classes_together: Some(1), ..Constraints::default() };
    let shape = Shape { rows: 300, features: 4, classes: 2 };
    plan::choose(shape, &Recipe::default_for(2).unwrap(), &constraints).unwrap()
}

fn trainer(d: &Documents, source: Shared, room: Room) -> server::Trainer<Shared> {
    let job = server::JobReader::open(source).unwrap();
    let keys = job.open_keys(Cursor::new(&d.evaluation_keys[..])).unwrap().read().unwrap();
    job.read(keys, room).unwrap()
}

#[test]
fn a_training_that_reads_its_data_again_gives_the_very_same_model() {
    let plan = streamed_plan();
    let d = documents(&plan);
    let source = Shared(Arc::new(Mutex::new(d.job.upload.clone())), 0);
    let sizes = plan.literal().packed_ciphertexts();
    let (limb, all) = (sizes[0], plan.inputs().iter().map(|input| sizes[input.level]).sum::<usize>());
    let little = Working::reading(4 * limb);
    for (kept, working) in
        [(0, Working::reading(1 << 28)), (0, little), (all / 3, little), (all - limb, Working::USUAL)]
    {
        let trainer = trainer(&d, source.clone(), Room { kept, working });
        let (in_memory, all) = trainer.kept();
        assert!(in_memory < all && (in_memory > 0) == (kept > 0));
        let read_again = trainer.read_again();
        assert!(trainer.train(Returned::Last).unwrap().to_bytes().unwrap() == d.model, "{kept} {working:?}");
        assert!(read_again.load(Ordering::Relaxed) > 0);
    }
    assert_eq!(trainer(&d, source, Room::PLENTY).read_again().load(Ordering::Relaxed), 0);
}

#[test]
fn a_job_that_changes_or_is_cut_while_it_is_trained_is_an_error_that_says_so() {
    let d = documents(&streamed_plan());
    let start = |room| {
        let content = Arc::new(Mutex::new(d.job.upload.clone()));
        (trainer(&d, Shared(content.clone(), 0), room), content)
    };
    let nothing_kept = Room { kept: 0, working: Working::USUAL };

    let (training, content) = start(nothing_kept);
    let middle = d.job.upload.len() / 2;
    content.lock().unwrap()[middle] ^= 1;
    let error = training.train(Returned::Last).err().expect("it has changed").to_string();
    assert!(error.contains("has changed") && error.contains("start again"), "{error}");

    let (training, content) = start(nothing_kept);
    content.lock().unwrap().truncate(middle);
    let error = training.train(Returned::Last).err().expect("it is shorter").to_string();
    assert!(error.contains("cut short"), "{error}");

    // What is kept does not depend on the file any more.
    let (training, content) = start(Room::PLENTY);
    content.lock().unwrap().clear();
    assert!(training.train(Returned::Last).unwrap().to_bytes().unwrap() == d.model);
}

/// The record as the first format had it.
fn of_the_first_format(record: &owner::Record) -> owner::Record {
    let bytes = record.to_bytes().unwrap();
    let container = Container::parse_any(&bytes[..]).unwrap();
    let mut writer = ContainerWriter::new(job::RECORD, 1);
    for key in ["job-id", "classes"] {
        writer = writer.metadata(key, container.metadata(key).unwrap());
    }
    for name in ["unscale", "initial-weight", "magnitude"] {
        let tensor = container.tensor(name).unwrap();
        writer = writer.f64(name, &[tensor.len()], tensor.f64s().unwrap().collect::<Vec<_>>());
    }
    let scaler = container.tensor("scaler").unwrap();
    let old = writer.u8("scaler", &[scaler.len()], scaler.u8s().unwrap().to_vec()).to_bytes().unwrap();
    owner::Record::from_bytes(&old).unwrap()
}

#[test]
fn a_release_is_cleaned_up_unless_the_record_is_of_the_first_format() {
    let d = documents(&plan(ROWS, 2));
    let release = |record: &owner::Record| *owner::flood(&d.keys, record, &d.model, 1).unwrap().release();
    let kept = owner::Record::from_bytes(&d.job.record.to_bytes().unwrap()).unwrap();
    assert!(release(&kept).cleaned);
    assert!(!release(&of_the_first_format(&d.job.record)).cleaned);
}
