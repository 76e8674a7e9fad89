//! The class-diagonal layout on slot vectors.

use proptest::prelude::*;

use super::*;
use crate::layout::slot_model::SlotModel;
use crate::layout::testing::{Problem, Sparing, check_two_gradients, check_two_gradients_within, upload};
use crate::recipe::{Cubic, Fit, Sigmoid};

/// With so many classes together, or with as many as the top axis has room for.
fn layout(shape: Shape, slots: usize, block: usize, giants: usize, together: Option<usize>) -> ClassDiagonal {
    let width = ClassDiagonal::least_width(shape, block);
    ClassDiagonal::new(shape, slots, width, block, giants, together.unwrap_or(slots / width)).expect("fits")
}

#[test]
fn the_papers_task_costs_the_key_switches_that_were_counted() {
    let shape = Shape { rows: 128, features: 400, classes: 10 };
    let layout = layout(shape, 1 << 13, 64, 8, None);
    assert_eq!(layout.top(), TopAxis::Classes);
    assert_eq!((layout.width(), layout.height(), layout.blocks()), (512, 16, 1));
    assert_eq!(layout.inputs(layout.upload_levels(5, false), Scales { weights: 1e12, prime: 1e12 }).len(), 5);
    let counts = check_two_gradients(&layout, 1 << 13, &Problem::new(shape, false, 1.0));
    // Forward 7 + 8 + 7 + 3, cubic 1 + 2, spread 3, backward 7 + 8 + 7.
    assert_eq!((counts.key_switches(), counts.products), (53, 131));
}

#[test]
fn a_row_offset_serves_as_the_logits_of_the_first_iteration_and_is_added_later() {
    let shape = Shape { rows: 45, features: 20, classes: 3 };
    for together in [None, Some(1), Some(2)] {
        check_two_gradients(&layout(shape, 256, 8, 2, together), 256, &Problem::new(shape, true, 0.75));
    }
}

#[test]
fn sigmoids_of_higher_degrees_take_their_levels_and_key_switches_and_no_more() {
    let shape = Shape { rows: 128, features: 400, classes: 10 };
    for (fit, levels, key_switches) in [(Fit::Seven, 5, 53 + 5), (Fit::Fifteen, 6, 53 + 9)] {
        let sigmoid = Sigmoid::Fit(fit);
        let layout = layout(shape, 1 << 13, 64, 8, None).with_degree(sigmoid.degree());
        assert_eq!((layout.gradient_levels(), layout.levels(3, false)), (levels, 1 + 2 * levels));
        let counts = check_two_gradients(&layout, 1 << 13, &Problem::new(shape, false, 1.0).with_sigmoid(sigmoid));
        // Conjugation, two squares and a product of each part, one sum; the squares' square and a sum of each part more.
        assert_eq!(counts.key_switches(), key_switches);
    }
}

#[test]
fn with_less_working_memory_blocks_and_weights_are_taken_in_turn_at_the_same_cost() {
    let shape = Shape { rows: 300, features: 20, classes: 5 };
    let layout = layout(shape, 256, 8, 2, Some(1));
    let problem = Problem::new(shape, false, 1.0);
    assert!(layout.blocks() > 1);
    let [plenty, little] =
        [usize::MAX >> 8, 1 << 10].map(|bytes| check_two_gradients_within(&layout, 256, &problem, bytes));
    assert_eq!((plenty.key_switches(), plenty.products), (little.key_switches(), little.products));
}

#[test]
fn the_gradient_of_a_batch_is_that_of_its_rows() {
    let shape = Shape { rows: 300, features: 20, classes: 5 };
    let whole = Problem::new(shape, true, 0.8);
    for (together, most, working) in [(1, 70, usize::MAX >> 8), (2, 150, 1 << 10), (1, 3, usize::MAX >> 8)] {
        let batches = Batches::new(shape.rows, Some(most));
        let layout = layout(shape, 256, 8, 2, Some(together)).with_batches(batches);
        assert!(layout.blocks() == batches.count() * layout.batch_blocks() && batches.count() > 1);
        let order = batches.order().unwrap();
        let m = SlotModel::with_levels(256, layout.levels(2, true), 40).unwrap();
        let source = Source { order: Some(&order), ..whole.source() };
        let upload = upload(&layout, &m, &source, layout.levels(2, true), 2f64.powi(40));
        let data = layout.prepare(&m, Sparing { upload, working_bytes: working }).unwrap();
        let weights = DMatrix::from_fn(5, 21, |class, k| ((class * 7 + k * 3) % 11) as f64 / 40.0 - 0.1);
        let level = layout.gradient_levels();
        let packed: Vec<_> =
            layout.pack_weights(&weights).iter().map(|w| m.encrypt(w, level, 2f64.powi(40)).unwrap()).collect();
        for batch in 0..batches.count() {
            let rows = &order[batches.places(batch)];
            let part = Problem {
                x_hat: whole.x_hat.select_rows(rows),
                labels: rows.iter().map(|&row| whole.labels[row]).collect(),
                offset: whole.offset.as_ref().map(|offset| rows.iter().map(|&row| offset[row]).collect()),
                ..Problem::new(shape, true, 0.8)
            };
            let step = GradientStep { batch, raise: 1.0, last: true, ..whole.step };
            let gradient = layout.gradient::<_, Sparing>(&m, &data, Some(&packed), &step).unwrap();
            let found = layout.unpack_open(&gradient.iter().map(|v| v.values.clone()).collect::<Vec<_>>());
            let error = (found - part.gradient(&weights)).amax();
            assert!(error < 1e-9, "batch {batch} of {}: {error:e}", batches.count());
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let shape = Shape { rows: 45, features: 20, classes: 3 };
    assert!(ClassDiagonal::new(shape, 256, 32, 16, 2, 1).is_none(), "21 + 15 columns in 32");
    assert!(ClassDiagonal::new(shape, 256, 512, 8, 2, 1).is_none(), "wider than the ring");
    assert!(ClassDiagonal::new(shape, 256, 32, 8, 16, 1).is_none(), "more giants than rows");
    assert!(ClassDiagonal::new(shape, 256, 32, 6, 2, 1).is_none(), "not a power of two");
    assert!(
        ClassDiagonal::new(shape, 256, 32, 8, 2, 16).is_none(),
        "more classes together than the top axis has room for"
    );
    assert!(ClassDiagonal::new(shape, 256, 32, 8, 2, 3).is_none(), "not a power of two classes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_shape_gives_the_gradient_of_the_formula(
        rows in 1usize..150, features in 1usize..60, classes in 1usize..20,
        log_block in 0u32..6, log_giants in 0u32..4, log_together in 0u32..6, offset: bool, ratio in 0.3f64..1.2, degree in 0usize..3,
        // From too little for anything to enough for everything: a polynomial takes 8 KiB a limb.
        log_working in 0u32..26,
    ) {
        let shape = Shape { rows, features, classes };
        let (block, slots) = (1 << log_block, 512);
        let width = ClassDiagonal::least_width(shape, block);
        prop_assume!(width <= slots);
        let together = (1 << log_together).min(slots / width);
        let layout = ClassDiagonal::new(shape, slots, width, block, 1 << log_giants.min(log_block), together).unwrap();
        let sigmoid = [Cubic::NARROW.into(), Sigmoid::Fit(Fit::Seven), Sigmoid::Fit(Fit::Fifteen)][degree];
        let problem = Problem::new(shape, offset, ratio).with_sigmoid(sigmoid);
        check_two_gradients_within(&layout.with_degree(sigmoid.degree()), slots, &problem, 1 << log_working);
    }
}
