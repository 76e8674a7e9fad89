//! The roles as a program other than the command line plays them: in memory, watched, stopped.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use ciphertune_ckks::container::ContainerWriter;
use ciphertune_ckks::files::{KEY_ID, PARAMETERS_DIGEST};
use ciphertune_head::job::{self, owner::Keys};
use ciphertune_head::layout::Shape;
use ciphertune_head::layout::upload::Room;
use ciphertune_head::plan::{Constraints, choose};
use ciphertune_head::recipe::{Preset, RecipeOverrides};
use ciphertune_head::train::Returned;
use ciphertune_head::{DMatrix, FeatureTable, Plan, Recipe};
use ciphertune_session::examples::Examples;
use ciphertune_session::files::{Document, NewFile, Privacy, Source};
use ciphertune_session::keys_folder::{KeysFolder, NewKeysFolder};
use ciphertune_session::observer::Step;
use ciphertune_session::{Error, Observer, Silent, owner, server};
use tempfile::TempDir;

const ROWS: usize = 60;
const FEATURES: usize = 6;

/// Three classes around three corners.
fn examples() -> Examples {
    let class = |row: usize| row % 3;
    let value = |row: usize, column: usize| {
        let noise = ((row * 31 + column * 17) % 23) as f64 / 23.0 - 0.5;
        noise + if column % 3 == class(row) { 2.0 } else { 0.0 }
    };
    let labels = (0..ROWS).map(|row| ["ant", "bee", "cow"][class(row)].to_owned()).collect();
    let table = FeatureTable::new(DMatrix::from_fn(ROWS, FEATURES, value), Some(labels)).expect("a table");
    Examples::of_table("the examples", table)
}

fn plan() -> Plan {
    let shape = Shape { rows: ROWS, features: FEATURES, classes: 3 };
    let recipe = Recipe::default_for(2).expect("two iterations");
    choose(shape, &recipe, &Constraints::default()).expect("a plan for a small table")
}

/// What the server gets, and what the owner keeps.
struct Documents {
    secret: Vec<u8>,
    evaluation: Vec<u8>,
    job: Vec<u8>,
    record: ciphertune_head::job::owner::Record,
}

fn documents(plan: &Plan, observer: &dyn Observer) -> Result<Documents, Error> {
    let mut evaluation = Vec::new();
    let (secret, _) = owner::make_keys(plan, &mut evaluation, observer)?;
    let keys = owner::open_keys(plan, &secret, "the secret key".as_ref())?;
    let mut job = Cursor::new(Vec::new());
    let made = owner::encrypt(&keys, &examples(), None, &mut job, "the job".as_ref(), observer)?;
    Ok(Documents { secret: secret.to_vec(), evaluation, job: job.into_inner(), record: made.record })
}

fn train(documents: &Documents, observer: &dyn Observer) -> Result<server::Trained, Error> {
    let source = |name: &str, bytes: &[u8]| Source::from(Document { path: PathBuf::from(name), bytes: bytes.to_vec() });
    let job = server::Job::open(source("the job", &documents.job))?;
    server::train(job, source("the keys", &documents.evaluation), Returned::Last, Room::PLENTY, observer)
}

/// Writes down what it sees, and stops a step once it has begun.
#[derive(Default)]
struct Notebook {
    stop_in: Option<Step>,
    stopped: AtomicBool,
    seen: Mutex<Vec<(Step, Event)>>,
    iterations: Mutex<Vec<(usize, usize)>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Begin(Option<u64>),
    Done(u64),
    End,
}

impl Notebook {
    fn stopping_in(step: Step) -> Self {
        Self { stop_in: Some(step), ..Self::default() }
    }

    fn add(&self, step: Step, event: Event) {
        self.seen.lock().expect("no test panics while it writes").push((step, event));
    }

    fn of(&self, step: Step) -> Vec<Event> {
        let seen = self.seen.lock().expect("no test panics while it writes");
        seen.iter().filter(|(of, _)| *of == step).map(|(_, event)| *event).collect()
    }
}

impl Observer for Notebook {
    fn begin(&self, step: Step, units: Option<u64>) {
        self.add(step, Event::Begin(units));
        if self.stop_in == Some(step) {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    fn advance(&self, step: Step, done: u64) {
        self.add(step, Event::Done(done));
    }

    fn end(&self, step: Step) {
        self.add(step, Event::End);
    }

    fn iterated(&self, done: usize, of: usize) {
        self.iterations.lock().expect("no test panics while it writes").push((done, of));
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

#[test]
fn a_training_is_watched_from_its_keys_to_its_head_and_ends_at_all_of_its_units() {
    let (plan, notebook) = (plan(), Notebook::default());
    let documents = documents(&plan, &notebook).expect("keys and a job");
    let trained = train(&documents, &notebook).expect("a model");
    let model = trained.into_document();
    let keys = owner::open_keys(&plan, &documents.secret, "the secret key".as_ref()).expect("the key");
    let opened = owner::decrypt(&keys, &documents.record, &model).expect("a head");
    let scores = opened.decrypted.last().evaluate(&examples().table).expect("scores");
    assert_eq!((scores.right, scores.rows), (ROWS, ROWS));

    assert_eq!(notebook.of(Step::Keys), [Event::Begin(None), Event::End]);
    assert_eq!(notebook.of(Step::Reading), [Event::Begin(None), Event::End]);
    for step in [Step::Encrypting, Step::Training] {
        let events = notebook.of(step);
        let Some(Event::Begin(Some(units))) = events.first() else {
            panic!("{step:?} begins with {:?}", events.first())
        };
        let done = events.iter().filter_map(|event| if let Event::Done(done) = event { Some(*done) } else { None });
        assert_eq!(done.max(), Some(*units), "{step:?}");
        assert_eq!(events.last(), Some(&Event::End), "{step:?}");
    }
    assert_eq!(*notebook.iterations.lock().unwrap(), [(1, 2), (2, 2)]);
}

#[test]
fn the_operations_that_a_training_counts_are_those_that_its_plan_announces() {
    let plan = plan();
    let trained = train(&documents(&plan, &Silent).expect("keys and a job"), &Silent).expect("a model");
    let expected = &plan.estimate().expect("an estimate").operations;
    assert_eq!((trained.counts.key_switches, trained.counts.products), (expected.key_switches, expected.products));
}

#[test]
fn encryption_and_training_stop_when_the_observer_says_so() {
    let plan = plan();
    let notebook = Notebook::stopping_in(Step::Encrypting);
    let error = documents(&plan, &notebook).err().expect("it was stopped");
    assert!(error.is_stopped(), "{error}");

    let notebook = Notebook::stopping_in(Step::Training);
    let error = train(&documents(&plan, &Silent).expect("keys and a job"), &notebook).err().expect("it was stopped");
    assert!(error.is_stopped(), "{error}");
    assert_eq!(notebook.of(Step::Training).last(), Some(&Event::End));
}

#[test]
fn a_folder_of_keys_and_a_kept_record_open_the_model_of_a_job_that_was_never_a_file() {
    let (plan, scratch) = (plan(), TempDir::new().expect("a folder"));
    let path = scratch.path().join("KEYS");
    let keys = Keys::generate(&plan).expect("keys");
    let bytes = NewKeysFolder::plan(&path, false).and_then(|folder| folder.write(&keys, &Silent)).expect("a folder");
    let evaluation = Source::open(&path.join("evaluation.keys")).expect("evaluation keys");
    assert_eq!(std::fs::metadata(path.join("evaluation.keys")).expect("a file").len(), bytes);
    let refused = NewKeysFolder::plan(&path, false).err().expect("keys are not replaced").to_string();
    assert!(refused.contains("--force") && refused.contains("the old secret key"), "{refused}");

    let folder = KeysFolder::open(&path).expect("the folder");
    let mut job = Cursor::new(Vec::new());
    let made = owner::encrypt(&folder.keys().expect("its keys"), &examples(), None, &mut job, "job".as_ref(), &Silent);
    let record = made.expect("a job").record;
    folder.keep_record(&record).expect("a record");
    let job = server::Job::open(Document { path: "job".into(), bytes: job.into_inner() }.into()).expect("a job");
    let room = job.allot(usize::MAX).expect("memory").room;
    let model = server::train(job, evaluation, Returned::Last, room, &Silent).expect("a model").into_document();
    let keys = folder.keys().expect("its keys");
    let kept = folder.record(&keys, record.job(), &model.path).expect("the record");
    let opened = owner::decrypt(&keys, &kept, &model).expect("a head");
    assert_eq!(opened.decrypted.last().evaluate(&examples().table).expect("scores").right, ROWS);
}

#[test]
fn a_job_that_lacks_ciphertexts_is_refused_before_memory_is_thought_about() {
    let plan = plan();
    let id = Keys::generate(&plan).expect("keys").id().to_string();
    let bytes = ContainerWriter::new(job::JOB, *job::JOB_FORMATS.start())
        .metadata("plan", plan.to_json())
        .metadata("job-id", id.clone())
        .metadata(KEY_ID, id)
        .metadata(PARAMETERS_DIGEST, plan.literal().digest())
        .to_bytes()
        .expect("a job of its plan alone");
    let source = Source::from(Document { path: "JOB/job.safetensors".into(), bytes });
    let error = server::Job::open(source).and_then(|job| job.allot(1)).unwrap_err().to_string();
    assert!(error.starts_with("JOB/job.safetensors: ") && error.contains("fetch the job again"), "{error}");
}

#[test]
fn a_recipe_that_nothing_holds_is_warned_of() {
    let bare = RecipeOverrides { ridge: Some(0.0), ..Default::default() };
    let warning = owner::divergence(&Preset::Default.recipe(5, &bare).expect("a recipe")).expect("a warning");
    assert!(warning.contains("5 iterations") && warning.contains("--ridge 0.1"), "{warning}");
    assert_eq!(owner::divergence(&Recipe::default_for(5).expect("a recipe")), None);
}

#[test]
fn a_file_that_fails_in_the_middle_of_its_writing_is_not_there() {
    let scratch = TempDir::new().expect("a folder");
    let path = scratch.path().join("model.enc");
    let file = NewFile::plan(&path, Privacy::Public, false).expect("a place");
    let write = |fails: bool| {
        file.write_with(|out| {
            out.write_all(b"half").expect("room");
            if fails { Err(Error::failure("the other half is missing")) } else { Ok(out.stream_position().expect("4")) }
        })
    };
    assert!(write(true).unwrap_err().to_string().contains("other half"));
    assert_eq!(std::fs::read_dir(scratch.path()).expect("the folder").count(), 0);
    assert_eq!(write(false).expect("a file"), 4);
    assert_eq!(std::fs::read(&path).expect("the file"), b"half");
}
