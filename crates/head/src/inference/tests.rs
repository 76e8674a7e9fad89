//! Logits of encrypted rows against those in the clear, through the documents that client and server exchange, on toy
//! rings.

use std::io::Cursor;

use ciphertune_ckks::galois;
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;

use super::client::{Answerer, Keys, Logits, encrypt_head, encrypt_rows, open};
use super::server::QueryReader;
use super::*;
use crate::metrics::predicted_classes;
use crate::{Classes, FeatureTable, Head, Provenance};

const FORMS: [HeadForm; 2] = [HeadForm::Clear, HeadForm::Encrypted];

fn wave(i: usize, k: f64) -> f64 {
    ((i as f64 + 1.0) * k).sin()
}

fn head(features: usize, classes: usize) -> Head {
    let weight = DMatrix::from_fn(classes, features, |c, k| wave(c * features + k, 0.734) * 0.7);
    let bias = DVector::from_fn(classes, |c, _| wave(c, 1.9) * 2.0);
    let names = (0..classes).map(|c| format!("class {c}")).collect();
    Head::new(weight, bias, Classes::from_names(names).unwrap()).unwrap()
}

fn rows(rows: usize, features: usize) -> FeatureTable {
    FeatureTable::new(DMatrix::from_fn(rows, features, |r, k| wave(r * features + 3 * k, 0.511) * 3.0), None).unwrap()
}

/// What client and server send each other.
struct Documents {
    keys: Keys,
    evaluation: Vec<u8>,
    query: Vec<u8>,
    /// As the server has it.
    head: Vec<u8>,
}

impl Documents {
    fn new(plan: &InferencePlan, head: &Head, table: &FeatureTable) -> Self {
        let keys = Keys::generate(plan).unwrap();
        let mut evaluation = Vec::new();
        keys.write_evaluation_keys(&mut evaluation).unwrap();
        let mut query = Cursor::new(Vec::new());
        encrypt_rows(&keys, table, &mut query, &|_, _| Ok(())).unwrap();
        let head = match plan.head() {
            HeadForm::Clear => head.to_bytes().unwrap(),
            HeadForm::Encrypted => {
                let mut out = Cursor::new(Vec::new());
                let (record, bytes) = encrypt_head(&keys, head, &mut out).unwrap();
                assert_eq!((record.classes(), bytes as usize), (head.classes(), out.get_ref().len()));
                out.into_inner()
            }
        };
        Self { keys, evaluation, query: query.into_inner(), head }
    }

    /// The answer's document; what the server did is what was announced.
    fn answer(&self) -> crate::Result<Vec<u8>> {
        let query = QueryReader::open(Cursor::new(&self.query))?;
        let (keys, head) = (query.read_keys(Cursor::new(&self.evaluation))?, query.read_head(&self.head)?);
        let answering = query.read(keys, head)?;
        let expected = answering.operations();
        let answer = answering.answer()?;
        assert_eq!(answer.counts(), expected);
        answer.to_bytes()
    }
}

/// Asks, and checks logits and labels against those in the clear. Returns the error over its bound.
fn check(plan: &InferencePlan, head: &Head, table: &FeatureTable) -> f64 {
    let documents = Documents::new(plan, head, table);
    let Logits { answerer, values, .. } = open(&documents.keys, &documents.answer().unwrap()).unwrap();
    match plan.head() {
        HeadForm::Clear => assert_eq!(answerer, Answerer::Clear(head.classes().clone())),
        HeadForm::Encrypted => assert!(matches!(answerer, Answerer::Encrypted(_))),
    }
    let clear = head.logits(table.features()).unwrap();
    assert_eq!(values.shape(), clear.shape());
    let norm = |squares: f64| (1.0 + squares).sqrt();
    let row_norm = table.features().row_iter().map(|row| norm(row.norm_squared())).fold(0.0, f64::max);
    let weights = head.weight().row_iter().zip(head.bias());
    let weight_norm = weights.map(|(w, b)| (w.norm_squared() + b * b).sqrt()).fold(0.0, f64::max);
    let (error, bound) = ((&values - &clear).amax(), plan.logit_bound(row_norm, weight_norm));
    assert!(error < bound, "{} rows, {:?}: {error:e} above {bound:e}", table.rows(), plan.head());
    for (row, (found, expected)) in predicted_classes(&values).into_iter().zip(predicted_classes(&clear)).enumerate() {
        assert!(found == expected || clear[(row, expected)] - clear[(row, found)] < 2.0 * bound, "row {row}");
    }
    error / bound
}

#[test]
fn logits_of_one_row_and_of_many_blocks_are_those_in_the_clear_within_the_predicted_bound() {
    // 256 slots: 4 row groups of a feature axis of 64; 20 features leave a part of it unused.
    for form in FORMS {
        for (count, features, classes) in
            [(1, 20, 2), (7, 63, 3), (500, 37, 5), (3000, 63, 2), (90, 255, 64), (33, 1, 17)]
        {
            let plan = InferencePlan::insecure_toy(features, classes, form, 9).unwrap();
            check(&plan, &head(features, classes), &rows(count, features));
        }
    }
}

#[test]
fn giant_steps_and_several_blocks_occur_and_the_bound_is_not_idle() {
    let plan = InferencePlan::insecure_toy(255, 3, HeadForm::Encrypted, 9).unwrap();
    let geometry = plan.geometry_for(900).unwrap();
    assert!(geometry.giants() > 1 && geometry.blocks(900) > 1, "{geometry:?}");
    for form in FORMS {
        let plan = InferencePlan::insecure_toy(255, 3, form, 9).unwrap();
        let part = check(&plan, &head(255, 3), &rows(900, 255));
        assert!(part > 0.02, "{form}: {part}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_shape_is_answered_as_in_the_clear(
        count in 1usize..400, features in 1usize..128, classes in 2usize..20, encrypted: bool,
    ) {
        let form = FORMS[usize::from(encrypted)];
        let plan = InferencePlan::insecure_toy(features, classes, form, 8).unwrap();
        check(&plan, &head(features, classes), &rows(count, features));
    }
}

#[test]
fn plans_take_the_smallest_ring_and_148_bits_and_name_what_does_not_fit() {
    for (features, log_n) in [(1, 13), (768, 13), (4095, 13), (4096, 14), (32767, 16)] {
        let plan = InferencePlan::choose(features, 10, HeadForm::Clear).unwrap();
        assert_eq!((plan.literal().log_n, plan.literal().log_qp().round()), (log_n, 148.0));
        assert_eq!(plan.security_bits(), 128);
        assert_eq!(InferencePlan::from_json(&plan.to_json()).unwrap(), plan);
    }
    for (features, classes, part) in
        [(32768, 10, "32767"), (0, 10, "0 features"), (9, 1, "2 to 64"), (9, 65, "2 to 64")]
    {
        let error = InferencePlan::choose(features, classes, HeadForm::Clear).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let toy = InferencePlan::insecure_toy(9, 2, HeadForm::Clear, 9).unwrap().to_json();
    assert!(InferencePlan::from_json(&toy.replace(r#","insecure_toy":true"#, "")).is_err(), "not secure");
    assert!(InferencePlan::from_json(&toy.replace(r#""features":9"#, r#""features":256"#)).is_err(), "no room");
    assert!(InferencePlan::from_json(&toy.replace(r#""inference_format":1"#, r#""inference_format":2"#)).is_err());
}

#[test]
fn ten_thousand_rows_take_the_operations_bytes_and_keys_that_were_designed() {
    let [clear, encrypted] = FORMS.map(|form| InferencePlan::choose(768, 10, form).unwrap());
    for (count, blocks) in [(1, [2, 1]), (128, [16; 2]), (1024, [128; 2]), (10_000, [256; 2])] {
        assert_eq!([&clear, &encrypted].map(|plan| plan.geometry_for(count).unwrap().block()), blocks, "{count}");
    }
    let geometry = encrypted.geometry_for(10_000).unwrap();
    // 63 rotations of ten weights; a block and class: 4 relinearisations, 3 giant steps, 2 folds.
    assert_eq!(geometry.operations(10_000, 10), (630 + 5 * 10 * 9, 12_800));
    assert_eq!(clear.geometry_for(10_000).unwrap().operations(10_000, 10), (5 * 10 * 2, 12_800));
    let megabytes = |bytes: usize| (bytes as f64 / 1e5).round() / 10.0;
    assert_eq!(megabytes(encrypted.query_bytes(&geometry, 10_000)), 128.5);
    assert_eq!(megabytes(encrypted.answer_bytes(&geometry, 10_000)), 10.0);
    assert_eq!((clear.keys().count(), encrypted.keys().count()), (10, 68));
    assert!(clear.keys().galois.keys().all(|element| *element != galois::conjugation_element(13)));
}

#[test]
fn what_does_not_belong_together_is_refused_with_the_remedy() {
    let plans = FORMS.map(|form| InferencePlan::insecure_toy(5, 3, form, 8).unwrap());
    let [clear, encrypted] = plans.each_ref().map(|plan| Documents::new(plan, &head(5, 3), &rows(9, 5)));
    let message = |documents: &Documents| documents.answer().unwrap_err().to_string();
    let with = |of: &Documents, head: &[u8], evaluation: &[u8]| Documents {
        keys: Keys::generate(of.keys.plan()).unwrap(),
        evaluation: evaluation.to_vec(),
        query: of.query.clone(),
        head: head.to_vec(),
    };
    let found = message(&with(&clear, &encrypted.head, &clear.evaluation));
    assert!(found.contains("keys made with --encrypted-head"), "{found}");
    let found = message(&with(&encrypted, &clear.head, &encrypted.evaluation));
    assert!(found.contains("keys made without --encrypted-head"), "{found}");
    let found = message(&with(&clear, &clear.head, &encrypted.evaluation));
    assert!(found.contains("another plan"), "{found}");
    let other = Documents::new(&plans[1], &head(5, 3), &rows(9, 5));
    let found = message(&with(&encrypted, &encrypted.head, &other.evaluation));
    assert!(found.contains("another secret key"), "{found}");
    let found = message(&with(&encrypted, &other.head, &encrypted.evaluation));
    assert!(found.contains("under key") && found.contains("pass the head"), "{found}");
    let found = message(&with(&clear, &head(5, 4).to_bytes().unwrap(), &clear.evaluation));
    assert!(found.contains("4 classes") && found.contains("keygen --for-inference"), "{found}");
    let found = message(&with(&clear, &head(5, 3).to_bytes().unwrap()[..99], &clear.evaluation));
    assert!(found.contains("cut short"), "{found}");
    let answer = clear.answer().unwrap();
    let found = open(&encrypted.keys, &answer).unwrap_err().to_string();
    assert!(found.contains("under key") && found.contains("use the keys"), "{found}");

    let mut out = Cursor::new(Vec::new());
    let mut ask =
        |table: &FeatureTable| encrypt_rows(&clear.keys, table, &mut out, &|_, _| Ok(())).unwrap_err().to_string();
    assert!(ask(&rows(3, 6)).contains("6 features"));
    let large =
        FeatureTable::new(DMatrix::from_fn(3, 5, |r, k| if (r, k) == (1, 2) { 2e6 } else { 0.0 }), None).unwrap();
    assert!(ask(&large).contains("row 2 has a feature of size 2.000e6"), "{}", ask(&large));
    let found = encrypt_head(&clear.keys, &head(5, 3), &mut out).unwrap_err().to_string();
    assert!(found.contains("--encrypted-head"), "{found}");
    let huge = Head::new(DMatrix::from_element(3, 5, 3e6), DVector::zeros(3), head(5, 3).classes().clone()).unwrap();
    let found = encrypt_head(&encrypted.keys, &huge, &mut out).unwrap_err().to_string();
    assert!(found.contains("3.000e6"), "{found}");
}

#[test]
fn features_of_another_backbone_than_the_heads_are_refused_by_the_server() {
    let provenance = |digest: &str| Provenance {
        backbone: "net".to_owned(),
        digest: digest.to_owned(),
        preprocess: "{}".to_owned(),
    };
    let plan = InferencePlan::insecure_toy(5, 3, HeadForm::Clear, 8).unwrap();
    let head = head(5, 3).with_provenance(Some(provenance("0123456789")));
    let same = rows(4, 5).with_provenance(provenance("0123456789"));
    assert!(Documents::new(&plan, &head, &same).answer().is_ok());
    let other = rows(4, 5).with_provenance(provenance("9876543210"));
    let error = Documents::new(&plan, &head, &other).answer().unwrap_err();
    assert!(matches!(error, crate::HeadError::OtherBackbone { .. }), "{error}");
}

#[test]
fn logits_that_may_have_wrapped_around_the_modulus_are_refused() {
    let plan = InferencePlan::insecure_toy(5, 2, HeadForm::Clear, 8).unwrap();
    let classes = Classes::from_names(vec!["a".into(), "b".into()]).unwrap();
    let large = Head::new(DMatrix::from_element(2, 5, 4.0), DVector::zeros(2), classes).unwrap();
    let logits = |feature: f64| {
        let table = FeatureTable::new(DMatrix::from_element(3, 5, feature), None).unwrap();
        let documents = Documents::new(&plan, &large, &table);
        open(&documents.keys, &documents.answer().unwrap())
    };
    assert!((logits(100.0).unwrap().values[(2, 1)] - 2000.0).abs() < 1e-3);
    let error = logits(370.0).unwrap_err().to_string();
    assert!(error.contains("wrap-around"), "{error}");
}

#[test]
fn records_and_damaged_documents() {
    let plan = InferencePlan::insecure_toy(5, 3, HeadForm::Encrypted, 8).unwrap();
    let documents = Documents::new(&plan, &head(5, 3), &rows(9, 5));
    let (record, _) = encrypt_head(&documents.keys, &head(5, 3), &mut Cursor::new(Vec::new())).unwrap();
    let bytes = record.to_bytes().unwrap();
    assert_eq!(client::HeadRecord::from_bytes(&bytes).unwrap(), record);
    assert!(client::HeadRecord::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let secret = documents.keys.secret_key_to_bytes().unwrap();
    assert_eq!(Keys::from_bytes(&plan, &secret).unwrap().id(), documents.keys.id());

    let answer = documents.answer().unwrap();
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let last = bytes.len() - 9;
        bytes[last] ^= 1;
        bytes
    };
    assert!(open(&documents.keys, &flipped(&answer)).is_err());
    let change = |query: Vec<u8>, evaluation: Vec<u8>, head: Vec<u8>| {
        Documents { keys: Keys::generate(&plan).unwrap(), evaluation, query, head }.answer()
    };
    let Documents { evaluation, query, head, .. } = &documents;
    assert!(change(query.clone(), evaluation.clone(), head.clone()).is_ok());
    assert!(change(flipped(query), evaluation.clone(), head.clone()).is_err());
    assert!(change(query.clone(), flipped(evaluation), head.clone()).is_err());
    assert!(change(query.clone(), evaluation.clone(), flipped(head)).is_err());
}
