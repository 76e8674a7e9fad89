//! Heads that are to be shown: their noise, the bound that it hides, and the check before anybody sees them.

mod common;

use std::io::Cursor;

use ciphertune_ckks::arithmetic::Arithmetic;
use ciphertune_ckks::container::{Container, ContainerStream, ContainerWriter};
use ciphertune_ckks::{Ciphertext, Complex64, Evaluator, files};
use ciphertune_head::job::{self, owner, server};
use ciphertune_head::layout::LayoutKind;
use ciphertune_head::train::Returned;
use ciphertune_head::{DMatrix, FeatureTable, HeadError, Plan, Recipe, Scaler, ScalerKind, precondition, twin};
use common::{Job, encrypt, plan_for, table, toy};

#[test]
fn a_published_model_carries_noise_of_the_planned_size_and_only_its_last_iterate() {
    let table = table(60, 12, 3, 1);
    let recipe = Recipe::default_for(2).unwrap();
    let plan = plan_for(&table, &recipe, &toy(LayoutKind::ClassDiagonal));
    let keys = owner::Keys::generate(&plan).unwrap();
    let mut evaluation_keys = Vec::new();
    keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
    let job = encrypt(&keys, &table, None).unwrap();
    let model = server::Trainer::new(&job.upload, &evaluation_keys).unwrap().train(Returned::Every).unwrap();
    let bytes = model.to_bytes().unwrap();
    let private = owner::decrypt(&keys, &job.record, &bytes).unwrap();
    let flooded = owner::flood(&keys, &job.record, &bytes, 4).unwrap();
    let published = flooded.check(job.record.kept_rows().expect("rows are kept")).unwrap();
    let release = published.release;
    assert_eq!(published.head.published(), Some(release.precision_bits));
    let expected = plan.estimate().unwrap().flooding_deviation(4);
    assert!((release.deviation / expected - 1.0).abs() < 1e-12);
    // Found in the logits of the training rows, because raw weights mix the coordinates in which it was added.
    let x = table.features();
    let difference = published.head.logits(x).unwrap() - private.last().logits(x).unwrap();
    let found = (difference.norm_squared() / difference.len() as f64).sqrt();
    // A whitened row with its one has a norm of about sqrt(d + 1), so logits move by that times the deviation.
    let predicted = release.deviation * (table.columns() as f64 + 1.0).sqrt();
    assert!((0.4..1.6).contains(&(found / predicted)), "{found} instead of about {predicted}");
}

#[test]
fn a_job_beyond_what_its_plan_takes_for_granted_is_not_published() {
    let rows = table(60, 12, 3, 1);
    let recipe = Recipe::default_for(2).unwrap();
    let plan = plan_for(&rows, &recipe, &toy(LayoutKind::ClassDiagonal));
    let keys = owner::Keys::generate(&plan).unwrap();
    let mut evaluation_keys = Vec::new();
    keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
    let publish = |scaler: Option<Scaler>| {
        let job = encrypt(&keys, &rows, scaler).unwrap();
        let model = server::Trainer::new(&job.upload, &evaluation_keys).unwrap().train(Returned::Last).unwrap();
        (job.record.is_within_plan(), owner::flood(&keys, &job.record, &model.to_bytes().unwrap(), 1))
    };
    let (within, outcome) = publish(None);
    assert!(within && outcome.is_ok());
    // The longer steps of long trainings are what their plans reckon with.
    assert!(trained(&rows, 4).job.record.is_within_plan());
    // A scaler fitted on smaller features leaves these larger than a plan takes for granted.
    let foreign = Scaler::fit(ScalerKind::Whiten, None, &(rows.features() * 0.7)).unwrap();
    let (within, outcome) = publish(Some(foreign));
    assert!(!within);
    assert!(matches!(outcome, Err(HeadError::Unbounded { .. })), "{outcome:?}");
}

#[test]
fn what_is_said_of_a_published_model_is_computed_from_its_noised_weights() {
    let rows = table(60, 12, 3, 1);
    let recipe = Recipe::default_for(1).unwrap();
    let plan = plan_for(&rows, &recipe, &toy(LayoutKind::ClassDiagonal));
    let keys = owner::Keys::generate(&plan).unwrap();
    let mut evaluation_keys = Vec::new();
    keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
    let job = encrypt(&keys, &rows, None).unwrap();
    let model = server::Trainer::new(&job.upload, &evaluation_keys).unwrap().train(Returned::Last).unwrap();
    let model = model.to_bytes().unwrap();
    let bits = || owner::flood(&keys, &job.record, &model, 1).unwrap().release().precision_bits;
    assert_ne!(bits(), bits(), "a number that repeats would be a function of the weights without noise");
}

/// Keys, a job and what a server makes of it.
struct Trained {
    plan: Plan,
    keys: owner::Keys,
    evaluation_keys: Vec<u8>,
    job: Job,
    model: Vec<u8>,
}

fn trained(rows: &FeatureTable, iterations: usize) -> Trained {
    let plan = plan_for(rows, &Recipe::default_for(iterations).unwrap(), &toy(LayoutKind::ClassDiagonal));
    let keys = owner::Keys::generate(&plan).unwrap();
    let mut evaluation_keys = Vec::new();
    keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
    let job = encrypt(&keys, rows, None).unwrap();
    let model = server::Trainer::new(&job.upload, &evaluation_keys).unwrap().train(Returned::Last).unwrap();
    let model = model.to_bytes().unwrap();
    Trained { plan, keys, evaluation_keys, job, model }
}

#[test]
fn the_bound_that_the_noise_hides_holds_for_many_keys_and_is_no_guess() {
    let rows = table(60, 12, 3, 1);
    let (mut squares, mut largest, mut bound) = (0.0, 0.0f64, 0.0);
    const KEYS: usize = 30;
    for _ in 0..KEYS {
        let t = trained(&rows, 2);
        bound = t.plan.estimate().unwrap().norm_bound();
        let x = t.job.record.scaler().apply_with_ones(rows.features()).unwrap();
        let problem = precondition::Preconditioned::new(t.plan.recipe(), &x).unwrap();
        let labels = t.job.record.classes().indices(rows.labels().unwrap()).unwrap();
        let twin = twin::train(t.plan.recipe(), &x, &labels, t.job.record.classes().len());
        let weights = &twin.last().unwrap().weights;
        let expected = DMatrix::from_fn(weights.nrows(), weights.ncols(), |c, k| match problem.unscale[k] {
            0.0 => 0.0,
            s => (weights[(c, k)] - problem.w0) / s,
        });
        let (_, found) = owner::decrypt_weights(&t.keys, &t.job.record, &t.model).unwrap().pop().unwrap();
        let norm = (found - expected).norm();
        squares += norm * norm / KEYS as f64;
        largest = largest.max(norm);
    }
    println!(
        "largest norm 2^{:.2}, root mean square 2^{:.2}, B 2^{:.2}",
        largest.log2(),
        squares.log2() / 2.0,
        bound.log2()
    );
    assert!(largest < bound, "an error of norm {largest} is not hidden by noise for {bound}");
    assert!(bound < 8.0 * squares.sqrt(), "B = {bound} is no bound for errors of about {}", squares.sqrt());
}

/// A model that holds other ciphertexts in the place of the trained ones, as a server that deviates can make it: their
/// levels and scales are the plan's.
fn forged(t: &Trained, forge: impl Fn(&Evaluator, &Ciphertext, f64) -> Ciphertext) -> Vec<u8> {
    let parameters = t.plan.parameters().unwrap();
    let evaluator = server::Trainer::new(&t.job.upload, &t.evaluation_keys).unwrap().evaluator();
    let stream = ContainerStream::open_versions(Cursor::new(&t.job.upload), job::JOB, job::JOB_FORMATS).unwrap();
    let uploaded = files::read_seeded(&parameters, stream, &["data", "labels"]).unwrap();
    let honest = Container::parse(&t.model[..], job::MODEL, job::MODEL_FORMAT).unwrap();
    let mut writer = ContainerWriter::new(job::MODEL, job::MODEL_FORMAT);
    for key in ["plan", "job-id", files::KEY_ID, files::PARAMETERS_DIGEST, "iterations"] {
        writer = writer.metadata(key, honest.metadata(key).unwrap());
    }
    let iterations = t.plan.recipe().iterations();
    for part in ["carry", "gradient"] {
        let name = format!("iterate.{iterations}.{part}");
        let Ok(there) = files::read_full(&parameters, &honest, &name) else { continue };
        let replace = |(place, of): (usize, &Ciphertext)| {
            let source = &uploaded[0][place % uploaded[0].len()];
            let lowered = evaluator.drop_to(source, of.level()).unwrap();
            let made = forge(&evaluator, &lowered, of.scale() / lowered.scale());
            evaluator.with_scale(&made, of.scale())
        };
        let forged: Vec<Ciphertext> = there.iter().enumerate().map(replace).collect();
        writer = files::write_full(writer, &parameters, &name, &forged);
    }
    writer.to_bytes().unwrap()
}

/// Six clouds that overlap, so that a head without meaning is right by chance alone: far apart, whole clouds fall to
/// their own class by luck.
fn overlapping() -> FeatureTable {
    let clouds = table(250, 12, 6, 3);
    let mut state = 11u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    let features = clouds.features().map(|x| x + 10.0 * uniform());
    FeatureTable::new(features, clouds.labels().map(<[String]>::to_vec)).unwrap()
}

/// Forged models that are tried.
const MODELS: usize = 10;

#[test]
fn uploaded_rows_in_the_place_of_the_model_are_not_published() {
    let rows = overlapping();
    let t = trained(&rows, 1);
    let kept = t.job.record.kept_rows().unwrap();
    let publish = |model: &[u8]| owner::flood(&t.keys, &t.job.record, model, 1).unwrap().check(kept);
    let honest = publish(&t.model).unwrap().check.unwrap();
    assert!(honest.rows > 190 && honest.right > 80, "{honest:?}");
    // Each with other entries left out. Now and then one does well by chance.
    let mut refused = 0;
    for shift in 0..MODELS {
        let keep = |slot: usize| Complex64::new(f64::from(u8::from(slot % MODELS != shift)), 0.0);
        let mask: Vec<Complex64> = (0..256).map(keep).collect();
        let relabelled = forged(&t, |m, row, factor| m.mul_plain(row, &mask, factor).unwrap());
        // It is a model of the right form, and its noise is no reason to refuse it.
        let flooded = owner::flood(&t.keys, &t.job.record, &relabelled, 1).unwrap();
        assert!(flooded.release().precision_bits > 4.0, "{:?}", flooded.release());
        match flooded.check(kept) {
            Err(error @ HeadError::NotBetter { .. }) => {
                assert!(error.to_string().contains("the server returned something else"), "{error}");
                refused += 1;
            }
            outcome => assert!(outcome.is_ok(), "{outcome:?}"),
        }
    }
    assert!(refused > MODELS / 2, "{refused} of {MODELS} refused");
    // The owner may do without, by name.
    assert_eq!(owner::flood(&t.keys, &t.job.record, &t.model, 1).unwrap().unchecked().check, None);
}

#[test]
fn a_model_of_random_weights_is_not_published() {
    let rows = overlapping();
    let t = trained(&rows, 1);
    let mut state = 7u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Complex64::new((state >> 40) as f64 / (1u64 << 24) as f64 - 0.5, 0.0)
    };
    let kept = t.job.record.kept_rows().unwrap();
    let mut refused = 0;
    for _ in 0..MODELS {
        let weights: Vec<Complex64> = (0..256).map(|_| random()).collect();
        let model = forged(&t, |m, row, factor| {
            let none = m.sub(row, row).unwrap();
            let one = m.add_scalar(&none, 1.0).unwrap();
            m.mul_plain(&one, &weights, factor).unwrap()
        });
        let flooded = owner::flood(&t.keys, &t.job.record, &model, 1).unwrap();
        assert!(flooded.release().precision_bits > 4.0, "{:?}", flooded.release());
        refused += usize::from(matches!(flooded.check(kept), Err(HeadError::NotBetter { .. })));
    }
    assert!(refused > MODELS / 2, "{refused} of {MODELS} refused");
}

#[test]
fn a_head_is_not_checked_on_a_table_that_is_not_its_own() {
    let t = trained(&table(60, 12, 3, 1), 1);
    let check = |rows: &FeatureTable| owner::flood(&t.keys, &t.job.record, &t.model, 1).unwrap().check(rows);
    assert!(check(&table(50, 12, 3, 1)).is_ok());
    let error = |rows: &FeatureTable| check(rows).unwrap_err();
    assert!(matches!(error(&table(60, 11, 3, 1)), HeadError::FeatureCount { .. }));
    assert!(matches!(error(&table(60, 12, 4, 1)), HeadError::UnknownLabel { .. }));
    let unlabelled = FeatureTable::new(table(60, 12, 3, 1).features().clone(), None).unwrap();
    assert!(matches!(error(&unlabelled), HeadError::NoLabels));
    // One class alone proves nothing.
    let one = table(60, 12, 3, 1).select(&(0..60).step_by(3).collect::<Vec<_>>());
    assert!(matches!(error(&one), HeadError::NotBetter { .. }));
}
