//! Files that earlier states of this program wrote, kept in `tests/released/`: every later version reads and uses them.
//!
//! A folder there is one set of files of a toy ring, which hides nothing, all made in one go by the program of its
//! time. When the format of any of them changes, a set of the new formats is added beside the others, and none is ever
//! removed or made again:
//!
//! ```text
//! cargo test -p ciphertune-head --test released -- --ignored write_a_new_set
//! ```
//!
//! | set | job | model | evaluation keys | secret key | record | head | scaler | plan |
//! |---|---|---|---|---|---|---|---|---|
//! | 1 | 2 | 2 | 2 | 1 | 1 | 1 | 1 | 2 |
//! | 2 | 3 | 2 | 2 | 1 | 2 | 1 | 1 | 2 |

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use ciphertune_head::job::{owner, server};
use ciphertune_head::layout::Shape;
use ciphertune_head::plan::{self, Constraints};
use ciphertune_head::train::Returned;
use ciphertune_head::{DMatrix, FeatureTable, Head, Plan, Recipe, Scaler};

const ROWS: usize = 12;
const FEATURES: usize = 3;

/// The table that every set was made from.
fn table() -> FeatureTable {
    let x = DMatrix::from_fn(ROWS, FEATURES, |r, k| ((r * 5 + k * 3) as f64).sin() + (r % 2) as f64);
    FeatureTable::new(x, Some((0..ROWS).map(|r| format!("class {}", r % 2)).collect())).unwrap()
}

/// All sets, each with the files that it is made of.
fn sets() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released");
    let mut sets: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.sort();
    sets
}

/// Largest difference of a weight or a bias, relative to the largest.
fn difference(found: &Head, expected: &Head) -> f64 {
    let error = (found.weight() - expected.weight()).amax().max((found.bias() - expected.bias()).amax());
    error / expected.weight().amax().max(expected.bias().amax())
}

#[test]
fn every_set_of_released_files_is_read_trained_on_and_decrypted() {
    let sets = sets();
    assert!(sets.len() >= EXPECTED_SETS, "a released set was removed");
    for set in sets {
        let read = |name: &str| fs::read(set.join(name)).unwrap_or_else(|error| panic!("{set:?}/{name}: {error}"));
        let plan = Plan::from_json(&String::from_utf8(read("plan.json")).unwrap()).unwrap();
        let keys = owner::Keys::from_bytes(&plan, &read("secret.key")).unwrap();
        let record = owner::Record::from_bytes(&read("record.safetensors")).unwrap();
        assert_eq!(record.classes().names(), ["class 0", "class 1"], "{set:?}");
        let head = Head::from_bytes(&read("head.safetensors")).unwrap();

        // The old model opens to the old head.
        let opened = owner::decrypt(&keys, &record, &read("model.enc")).unwrap();
        assert!(difference(opened.last(), &head) < 1e-9, "{set:?}");

        // The old job can still be trained, and gives the same weights up to the noise of the encryption.
        let (job, evaluation_keys) = (read("job.safetensors"), read("evaluation.keys"));
        let model = server::Trainer::new(&job, &evaluation_keys).unwrap().train(Returned::Last).unwrap();
        let trained = owner::decrypt(&keys, &record, &model.to_bytes().unwrap()).unwrap();
        assert!(difference(trained.last(), &head) < 1e-3, "{set:?}");

        // The old scaler still fits the table, and a new job under the old keys can be trained.
        let scaler = Scaler::from_bytes(&read("scaler.safetensors")).unwrap();
        let mut job = Cursor::new(Vec::new());
        let made = owner::encrypt(&keys, &table(), Some(scaler), &mut job, &|_, _| Ok(())).unwrap();
        let trainer = server::Trainer::new(job.get_ref(), &evaluation_keys).unwrap();
        let model = trainer.train(Returned::Last).unwrap().to_bytes().unwrap();
        let renewed = owner::decrypt(&keys, &made.record, &model).unwrap();
        assert!(difference(renewed.last(), &head) < 1e-3, "{set:?}");
        assert!(head.evaluate(&table()).unwrap().accuracy > 0.5, "{set:?}");
    }
}

/// Sets that are there at least.
const EXPECTED_SETS: usize = 2;

#[test]
#[ignore = "writes a set of files in the formats of today"]
fn write_a_new_set() {
    let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released").join((sets().len() + 1).to_string());
    fs::create_dir_all(&set).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(set.join(name), bytes).unwrap();
    let constraints = Constraints { log_n: Some(8), insecure_toy: true, ..Constraints::default() };
    let shape = Shape { rows: ROWS, features: FEATURES, classes: 2 };
    let recipe = Recipe::default_for(2).unwrap();
    let plan = plan::choose(shape, &recipe, &constraints).unwrap();
    write("plan.json", plan.to_json().as_bytes());
    let keys = owner::Keys::generate(&plan).unwrap();
    write("secret.key", &keys.secret_key_to_bytes().unwrap());
    let mut evaluation_keys = Vec::new();
    keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
    write("evaluation.keys", &evaluation_keys);
    let scaler = Scaler::fit(recipe.scaler(), recipe.lambda(), table().features()).unwrap();
    write("scaler.safetensors", &scaler.to_bytes().unwrap());
    let mut job = Cursor::new(Vec::new());
    let made = owner::encrypt(&keys, &table(), Some(scaler), &mut job, &|_, _| Ok(())).unwrap();
    let job = job.into_inner();
    write("job.safetensors", &job);
    write("record.safetensors", &made.record.to_bytes().unwrap());
    let model = server::Trainer::new(&job, &evaluation_keys).unwrap().train(Returned::Last).unwrap();
    let model = model.to_bytes().unwrap();
    write("model.enc", &model);
    let opened = owner::decrypt(&keys, &made.record, &model).unwrap();
    write("head.safetensors", &opened.last().to_bytes().unwrap());
}
