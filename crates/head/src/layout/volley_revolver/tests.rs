//! The circuit agrees with the mathematics on plain slots, for many shapes, and on ciphertexts, and costs what is
//! documented.

use ciphertune_ckks::{
    Encoder, Error, EvaluationKeys, Evaluator, KeySet, Parameters, ParametersLiteral, SecretKey, decrypt, encrypt,
};
use proptest::prelude::*;

use super::*;
use crate::layout::slot_model::{Counts, SlotModel};
use crate::layout::testing::{Problem, check_two_gradients, upload};

fn layout(shape: Shape, slots: usize) -> VolleyRevolver {
    VolleyRevolver::new(shape, slots).expect("the tests' shapes fit their slots")
}

/// Rows of a length that keeps the logits of a second step within the cubic's reach, however few they are.
fn problem(shape: Shape, offset: bool, rate_ratio: f64) -> Problem {
    let mut problem = Problem::new(shape, offset, rate_ratio);
    problem.x_hat *= 2.0 / (shape.columns() as f64).sqrt();
    problem
}

#[test]
fn two_gradients_agree_with_the_formula_for_few_and_many_classes_with_and_without_an_offset() {
    for classes in [2, 3, 10, 17] {
        for offset in [false, true] {
            let shape = Shape { rows: 23, features: 8, classes };
            check_two_gradients(&layout(shape, 512), 512, &problem(shape, offset, 0.75));
        }
    }
}

#[test]
fn classes_that_do_not_fit_one_weight_ciphertext_train_in_groups() {
    let shape = Shape { rows: 7, features: 11, classes: 17 };
    let layout = layout(shape, 64);
    let sizes = (layout.class_rows(), layout.columns(), layout.weight_ciphertexts(), layout.blocks());
    assert_eq!(sizes, (4, 16, 5, 2));
    check_two_gradients(&layout, 64, &problem(shape, true, 0.5));
}

#[test]
fn a_row_that_fills_the_ring_leaves_one_class_a_ciphertext() {
    let shape = Shape { rows: 3, features: 63, classes: 3 };
    let layout = layout(shape, 64);
    assert_eq!((layout.class_rows(), layout.block_rows(), layout.weight_ciphertexts()), (1, 1, 3));
    check_two_gradients(&layout, 64, &problem(shape, true, 1.0));
}

#[test]
fn an_unused_class_keeps_weights_of_exactly_zero() {
    let shape = Shape { rows: 9, features: 5, classes: 3 };
    let (layout, problem) = (layout(shape, 64), problem(shape, true, 1.0));
    let scale = 2f64.powi(40);
    let m = SlotModel::with_levels(64, 4, 40).expect("64 is a power of two");
    let data = layout.prepare(&m, upload(&layout, &m, &problem.source(), 4, scale)).expect("the upload is whole");
    let open = layout.gradient::<_, Vec<_>>(&m, &data, None, &problem.step).expect("the levels suffice");
    let closed = layout.close(&m, &open[0]).expect("closing costs no level");
    let unused = 3 * layout.columns()..4 * layout.columns();
    assert!(closed.values[unused].iter().all(|v| v.norm() == 0.0));
}

#[test]
fn the_papers_task_costs_the_key_switches_of_the_documentation() {
    // N = 2^15: F = 512, C = 16, B = 32, four blocks.
    let shape = Shape { rows: 128, features: 400, classes: 10 };
    let layout = layout(shape, 1 << 14);
    let (b, c) = (layout.blocks(), layout.class_rows());
    assert_eq!((b, c, layout.columns(), layout.block_rows()), (4, 16, 512, 32));
    let counts = check_two_gradients(&layout, 1 << 14, &problem(shape, false, 1.0));
    let (residuals, backward) = (c - 1 + b * c * (2 + 9) + b, b * (5 + c - 1) + c * (1 + 4));
    assert_eq!(counts.key_switches(), residuals + backward);
    assert_eq!((counts.key_switches(), counts.products), (883, 256));
}

#[test]
fn rotation_keys_are_powers_of_two_and_few() {
    let shape = Shape { rows: 90, features: 40, classes: 10 };
    let counts = check_two_gradients(&layout(shape, 1024), 1024, &problem(shape, true, 0.5));
    let keys = counts.rotation_amounts;
    assert!(keys.iter().all(|&k| k.is_power_of_two() || (1024 - k).is_power_of_two()), "{keys:?}");
    assert!(keys.len() <= 10 + 3, "{keys:?}");
}

#[test]
fn too_few_levels_are_refused_before_anything_is_computed() {
    let shape = Shape { rows: 9, features: 5, classes: 3 };
    let (layout, problem) = (layout(shape, 64), problem(shape, false, 1.0));
    let m = SlotModel::with_levels(64, 6, 40).expect("64 is a power of two");
    let data = upload(&layout, &m, &problem.source(), 6, 2f64.powi(40));
    let data = layout.prepare(&m, data).expect("the upload is whole");
    let open = layout.gradient::<_, Vec<_>>(&m, &data, None, &problem.step).expect("one gradient fits");
    m.reset();
    let refused = layout.gradient::<_, Vec<_>>(&m, &data, Some(&open), &problem.step);
    assert!(matches!(refused, Err(Error::NoLevelLeft { needed: 5, left: 4 })));
    assert_eq!(m.counts(), Counts::default());
}

#[test]
fn an_upload_with_a_part_missing_is_refused() {
    let shape = Shape { rows: 9, features: 5, classes: 3 };
    let (layout, problem) = (layout(shape, 64), problem(shape, true, 1.0));
    let m = SlotModel::with_levels(64, 6, 40).expect("64 is a power of two");
    let mut data = upload(&layout, &m, &problem.source(), 6, 2f64.powi(40));
    data.pop();
    assert!(matches!(layout.prepare(&m, data), Err(Error::Length { .. })));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let shape = Shape { rows: 9, features: 64, classes: 3 };
    assert!(VolleyRevolver::new(shape, 64).is_none(), "65 columns in 64 slots");
    assert!(VolleyRevolver::new(shape, 96).is_none(), "not a power of two");
    assert!(VolleyRevolver::new(Shape { rows: 0, ..shape }, 128).is_none());
    assert!(VolleyRevolver::new(Shape { features: usize::MAX, ..shape }, 128).is_none());
}

#[test]
fn two_gradients_on_ciphertexts_agree_with_the_formula() -> ciphertune_ckks::Result<()> {
    for (classes, offset) in [(2, true), (3, false), (17, true)] {
        let shape = Shape { rows: 23, features: 8, classes };
        check_on_ciphertexts(&layout(shape, 512), &problem(shape, offset, 0.75))?;
    }
    Ok(())
}

/// Two gradients in a ring too small to be secure, the second at the closed first; errors below 2^-19.
fn check_on_ciphertexts(layout: &VolleyRevolver, problem: &Problem) -> ciphertune_ckks::Result<()> {
    let (offset, scale) = (problem.offset.is_some(), 2f64.powi(40));
    let (top, log_n) = (layout.levels(2, offset), layout.slots.ilog2() + 1);
    let parameters = Parameters::new_insecure_for_tests(ParametersLiteral::choose(log_n, 50, 40, top, 2)?)?;
    let (secret, encoder) = (SecretKey::generate(&parameters)?, Encoder::new(log_n));
    let m = Evaluator::new(EvaluationKeys::generate(&parameters, &secret, &keys(layout, problem, &parameters)?)?);
    let inputs = layout.inputs(layout.upload_levels(top, offset), Scales { weights: scale, prime: scale });
    let uploaded = inputs.iter().enumerate().map(|(index, input)| {
        let slots = layout.pack_input(&problem.source(), index);
        let message = encoder.encode(&slots, input.scale)?;
        Ok(encrypt(&parameters, &secret, &message, input.level, input.scale)?.expand(parameters.ring()))
    });
    let data = layout.prepare(&m, uploaded.collect::<ciphertune_ckks::Result<Vec<_>>>()?)?;
    let open = |parts: &[_]| parts.iter().map(|c| decrypt(&parameters, &secret, &encoder, c)).collect::<Vec<_>>();

    let first = layout.gradient::<_, Vec<_>>(&m, &data, None, &problem.step)?;
    let zero = DMatrix::zeros(problem.classes, problem.x_hat.ncols());
    let error = (layout.unpack_open(&open(&first)) - problem.gradient(&zero)).amax();
    assert!(error < 2e-6, "{error:e} at zero");

    let weights = first.iter().map(|g| layout.close(&m, g)).collect::<ciphertune_ckks::Result<Vec<_>>>()?;
    let u = layout.unpack_weights(&open(&weights));
    let second = layout.gradient::<_, Vec<_>>(&m, &data, Some(&weights), &problem.step)?;
    let error = (layout.unpack_open(&open(&second)) - problem.gradient(&u)).amax();
    assert!(error < 2e-6, "{error:e} at weights");
    Ok(())
}

/// The keys of two gradients, found on slots.
fn keys(layout: &VolleyRevolver, problem: &Problem, parameters: &Parameters) -> ciphertune_ckks::Result<KeySet> {
    let (top, scale) = (parameters.max_level(), 2f64.powi(40));
    let m = SlotModel::new(layout.slots, (0..=top).map(|level| parameters.prime(level)).collect())?;
    let data = layout.prepare(&m, upload(layout, &m, &problem.source(), top, scale))?;
    let open = layout.gradient::<_, Vec<_>>(&m, &data, None, &problem.step)?;
    let weights = open.iter().map(|g| layout.close(&m, g)).collect::<ciphertune_ckks::Result<Vec<_>>>()?;
    layout.gradient::<_, Vec<_>>(&m, &data, Some(&weights), &problem.step)?;
    Ok(m.counts().keys)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_shape_gives_the_gradient_of_the_formula(
        rows in 1usize..100, features in 1usize..60, classes in 1usize..20,
        log_slots in 6u32..10, offset: bool, ratio in 0.3f64..1.2,
    ) {
        let shape = Shape { rows, features, classes };
        check_two_gradients(&layout(shape, 1 << log_slots), 1 << log_slots, &problem(shape, offset, ratio));
    }
}
