//! Encrypted inference as a program other than the command line plays it: in memory, watched, stopped.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ciphertune_head::inference::client::{Keys, open};
use ciphertune_head::inference::{HeadForm, InferencePlan};
use ciphertune_head::metrics::predicted_classes;
use ciphertune_head::{Classes, DMatrix, DVector, FeatureTable, Head};
use ciphertune_session::examples::Examples;
use ciphertune_session::files::{Document, Source};
use ciphertune_session::inference::client;
use ciphertune_session::inference::server::{Answered, AskedQuery, answer};
use ciphertune_session::observer::Step;
use ciphertune_session::{Error, Observer};

const ROWS: usize = 50;
const FEATURES: usize = 5;

fn head() -> Head {
    let classes = Classes::from_names(["ant", "bee", "cow"].map(str::to_owned).to_vec()).expect("three classes");
    let weight = DMatrix::from_fn(3, FEATURES, |class, k| ((class * 7 + k * 3) as f64).sin());
    Head::new(weight, DVector::from_vec(vec![0.1, -0.2, 0.3]), classes).expect("a head")
}

fn rows() -> FeatureTable {
    FeatureTable::new(DMatrix::from_fn(ROWS, FEATURES, |row, k| ((row * 5 + k) as f64).cos()), None).expect("a table")
}

/// Writes down how far every step is, and stops one.
struct Watching {
    stop_in: Option<Step>,
    seen: Mutex<Vec<(Step, Option<u64>, u64)>>,
}

impl Watching {
    fn new(stop_in: Option<Step>) -> Self {
        Self { stop_in, seen: Mutex::default() }
    }
}

impl Observer for Watching {
    fn begin(&self, step: Step, units: Option<u64>) {
        self.seen.lock().expect("no test panics here").push((step, units, 0));
    }

    fn advance(&self, step: Step, done: u64) {
        let mut seen = self.seen.lock().expect("no test panics here");
        let place = seen.iter_mut().find(|(of, ..)| *of == step).expect("it has begun");
        place.2 = place.2.max(done);
    }

    fn is_stopped(&self) -> bool {
        let seen = self.seen.lock().expect("no test panics here");
        seen.last().is_some_and(|(step, ..)| Some(*step) == self.stop_in)
    }
}

/// Asks about all rows: the client's keys, and the answer.
fn ask(observer: &dyn Observer) -> Result<(Keys, Answered), Error> {
    let plan = InferencePlan::choose(FEATURES, 3, HeadForm::Clear)?;
    let mut evaluation = Vec::new();
    let (secret, _) = client::make_keys(&plan, &mut evaluation, observer)?;
    let keys = Keys::from_bytes(&plan, &secret)?;
    let mut query = Cursor::new(Vec::new());
    client::encrypt_rows(&keys, &Examples::of_table("the rows", rows()), &mut query, Path::new("the query"), observer)?;
    let document = |name: &str, bytes: Vec<u8>| Document { path: PathBuf::from(name), bytes };
    let query = AskedQuery::open(Source::from(document("the query", query.into_inner())))?;
    let (evaluation, head) = (document("the keys", evaluation), document("the head", head().to_bytes()?));
    Ok((keys, answer(query, evaluation.into(), &head, usize::MAX, observer)?))
}

#[test]
fn an_inference_is_watched_to_the_end_of_every_step_and_gives_the_labels_of_the_head() {
    let watching = Watching::new(None);
    let (keys, answered) = ask(&watching).expect("an answer");
    let logits = open(&keys, &answered.answer).expect("logits");
    let clear = head().logits(rows().features()).expect("logits in the clear");
    assert_eq!(predicted_classes(&logits.values), predicted_classes(&clear));
    assert!(answered.private_head);
    let seen = watching.seen.lock().expect("no test panics here");
    let steps: Vec<Step> = seen.iter().map(|(step, ..)| *step).collect();
    assert_eq!(steps, [Step::Keys, Step::Encrypting, Step::Reading, Step::Answering]);
    for (step, units, done) in seen.iter().filter(|(_, units, _)| units.is_some()) {
        assert_eq!(Some(*done), *units, "{step:?}");
    }
}

#[test]
fn the_encryption_of_rows_stops_when_the_observer_says_so() {
    let error = ask(&Watching::new(Some(Step::Encrypting))).err().expect("it was stopped");
    assert!(error.is_stopped(), "{error}");
}
