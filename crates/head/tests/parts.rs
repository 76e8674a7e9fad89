//! Trainings in parts: what several servers make of one job is the model of one.

mod common;

use ciphertune_ckks::container::{Container, ContainerWriter};
use ciphertune_ckks::files;
use ciphertune_head::job::owner::{self, Keys};
use ciphertune_head::job::part::Part;
use ciphertune_head::job::server::{ModelPart, Trainer, merge};
use ciphertune_head::job::{MODEL, MODEL_FORMAT};
use ciphertune_head::layout::{Layout, LayoutKind};
use ciphertune_head::plan::{Constraints, Refresh};
use ciphertune_head::train::Returned;
use ciphertune_head::{FeatureTable, Recipe};
use common::{Job, encrypt, plan_for, table, toy};

/// A job of five classes in as many weight ciphertexts, or fewer, and the model of one server.
struct Training {
    keys: Keys,
    evaluation_keys: Vec<u8>,
    job: Job,
    model: Vec<u8>,
}

fn constraints(together: usize) -> Constraints {
    Constraints { classes_together: Some(together), ..toy(LayoutKind::ClassDiagonal) }
}

impl Training {
    fn new(table: &FeatureTable, recipe: &Recipe, together: usize) -> Self {
        let keys = Keys::generate(&plan_for(table, recipe, &constraints(together))).unwrap();
        let mut evaluation_keys = Vec::new();
        keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
        let job = encrypt(&keys, table, None).unwrap();
        let whole = Trainer::new(&job.upload, &evaluation_keys).unwrap().train(Returned::Last).unwrap();
        Self { keys, model: whole.to_bytes().unwrap(), evaluation_keys, job }
    }

    fn part(&self, index: usize, of: usize) -> Vec<u8> {
        let trainer = Trainer::new(&self.job.upload, &self.evaluation_keys).unwrap();
        trainer.train_part(Part::new(index, of).unwrap(), |_| ()).unwrap().to_bytes().unwrap()
    }
}

fn merged(parts: &[Vec<u8>]) -> ciphertune_head::Result<Vec<u8>> {
    merge(parts.iter().map(|part| ModelPart::read(part)).collect::<Result<_, _>>()?)
}

#[test]
fn the_parts_of_a_model_are_together_that_of_one_server_byte_for_byte() {
    let table = table(120, 9, 5, 1);
    // With a row offset the upload has ciphertexts behind the labels.
    for (recipe, together) in [(Recipe::default_for(2), 1), (Recipe::default_for(3), 2), (Recipe::paper(2), 1)] {
        let training = Training::new(&table, &recipe.unwrap(), together);
        let count = training.keys.plan().layout().weight_ciphertexts();
        assert_eq!(count, 5usize.div_ceil(together));
        for of in 1..=count {
            let mut parts: Vec<Vec<u8>> = (1..=of).map(|index| training.part(index, of)).collect();
            parts.rotate_left(1 % of);
            assert!(merged(&parts).unwrap() == training.model, "{of} parts of {count}");
            assert!(parts.iter().all(|part| part.len() <= training.model.len() + 64));
        }
    }
}

#[test]
fn parts_that_do_not_make_a_model_are_refused_with_what_is_missing() {
    let table = table(120, 9, 5, 1);
    let training = Training::new(&table, &Recipe::default_for(2).unwrap(), 1);
    let [a, b, c] = [1, 2, 3].map(|index| training.part(index, 3));
    let refused = |parts: &[Vec<u8>]| merged(parts).unwrap_err().to_string();
    assert!(refused(&[a.clone(), c.clone()]).contains("missing: 2/3"));
    assert!(refused(&[a.clone(), b.clone(), b.clone(), c.clone()]).contains("twice: 2/3"));
    assert!(refused(&[a.clone(), b.clone(), training.part(1, 2)]).contains("one division"));
    assert!(refused(std::slice::from_ref(&training.model)).contains("whole"));
    assert!(refused(&[]).contains("nothing to merge"));
    let other = Training::new(&table, &Recipe::default_for(2).unwrap(), 1);
    assert!(refused(&[a.clone(), b.clone(), other.part(3, 3)]).contains("another training"));
    for position in (0..c.len()).step_by(c.len() / 30) {
        assert!(merged(&[a.clone(), b.clone(), c[..position].to_vec()]).is_err());
        let mut damaged = c.clone();
        damaged[position] ^= 4;
        assert!(merged(&[a.clone(), b.clone(), damaged]).is_err(), "at {position}");
    }
    // A number that a file says is no reason to count up to it.
    let container = Container::parse(&a[..], MODEL, MODEL_FORMAT).unwrap();
    let mut forged = ContainerWriter::new(MODEL, MODEL_FORMAT).metadata("part", format!("1/{}", usize::MAX));
    for key in ["plan", "job-id", "iterations", files::KEY_ID, files::PARAMETERS_DIGEST] {
        forged = forged.metadata(key, container.metadata(key).unwrap());
    }
    assert!(refused(&[forged.to_bytes().unwrap()]).contains("take at most 5"));
    // A part is no model.
    let refused = owner::decrypt(&training.keys, &training.job.record, &a).unwrap_err().to_string();
    assert!(refused.contains("part 1/3") && refused.contains("ciphertune merge"), "{refused}");

    // What has no such parts says so.
    let train = |keys: &Keys, part: &str| {
        let mut evaluation_keys = Vec::new();
        keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
        let job = encrypt(keys, &table, None).unwrap();
        let trainer = Trainer::new(&job.upload, &evaluation_keys).unwrap();
        trainer.train_part(part.parse().unwrap(), |_| ()).map(drop).unwrap_err().to_string()
    };
    assert!(train(&training.keys, "1/6").contains("take at most 5"));
    let keys = |constraints| Keys::generate(&plan_for(&table, &Recipe::default_for(2).unwrap(), &constraints)).unwrap();
    assert!(train(&keys(toy(LayoutKind::VolleyRevolver)), "1/2").contains("one machine"));
    let refreshed = Constraints { refresh: Refresh::EveryIteration, ..constraints(1) };
    assert!(train(&keys(refreshed), "1/2").contains("one machine"));
    for text in ["0/2", "3/2", "1", "a/b", "1/0"] {
        assert!(text.parse::<Part>().is_err(), "{text}");
    }
    assert_eq!("2/5".parse::<Part>().unwrap().to_string(), "2/5");
}
