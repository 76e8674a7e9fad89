//! Plans: what is chosen, what is refused, and that a plan survives its document.

use ciphertune_ckks::security_bound;

use super::*;
use crate::layout::upload::Room;
use crate::layout::{Role, TopAxis};
use crate::recipe::{Fit, Preset, RecipeOverrides, Sigmoid};
use crate::train::Returned;

/// A plan for tests, with a scale of 2^40.
fn toy(shape: Shape, recipe: Recipe, layout: AnyLayout, parameters: ParametersLiteral, refresh: Refresh) -> Plan {
    let (contributions, estimate) = (Vec::new(), Travelling::default());
    let plan = Plan { shape, recipe, layout, parameters, scale_bits: 40, refresh, contributions, toy: true, estimate };
    plan.checked().unwrap()
}

fn shape(rows: usize, features: usize, classes: usize) -> Shape {
    Shape { rows, features, classes }
}

fn chosen(shape: Shape, recipe: &Recipe, layout: LayoutKind) -> Plan {
    choose(shape, recipe, &Constraints { layout, ..Constraints::default() }).unwrap()
}

#[test]
fn every_plan_is_within_the_security_bound_and_uses_its_levels_up() {
    let shapes = [shape(50, 5, 2), shape(128, 400, 10), shape(4096, 768, 10), shape(300, 1000, 3), shape(700, 100, 64)];
    for shape in shapes {
        for recipe in [Recipe::default_for(1), Recipe::default_for(2), Recipe::paper(2), Recipe::default_for(4)] {
            let recipe = recipe.unwrap();
            let plan = chosen(shape, &recipe, LayoutKind::ClassDiagonal);
            let bound = security_bound(plan.literal().log_n).unwrap();
            assert!(plan.literal().log_qp() <= bound as f64);
            assert!(plan.levels_left() <= 1);
            assert!(plan.literal().q.iter().chain(&plan.literal().p).all(|&prime| prime < 1 << 50));
            let estimate = plan.estimate().unwrap();
            assert!(estimate.weight_bound() < 2f64.powi(-12), "{shape:?} {}", recipe.name());
        }
    }
}

#[test]
fn the_papers_task_fits_in_five_ciphertexts_and_keeps_room_for_publication() {
    let plan = chosen(shape(128, 400, 10), &Recipe::default_for(2).unwrap(), LayoutKind::ClassDiagonal);
    let estimate = plan.estimate().unwrap();
    assert_eq!(plan.literal().log_n, 14);
    assert_eq!(estimate.upload_ciphertexts, [4, 1, 0]);
    assert_eq!(estimate.operations.key_switches, 136);
    assert!(estimate.release_bits() >= search::release_bits(400));
    assert!(estimate.key_bytes < 100_000_000 && estimate.server_bytes < 400_000_000);
    assert!(estimate.flooding_deviation(4) > 1.99 * estimate.flooding_deviation(1), "the square root of the releases");
}

#[test]
fn many_rows_put_row_groups_on_the_top_axis_and_few_put_classes_there() {
    let recipe = Recipe::default_for(2).unwrap();
    for (shape, expected) in [(shape(128, 400, 10), TopAxis::Classes), (shape(4096, 768, 10), TopAxis::Rows)] {
        match chosen(shape, &recipe, LayoutKind::ClassDiagonal).layout() {
            AnyLayout::ClassDiagonal(layout) => assert_eq!(layout.top(), expected),
            AnyLayout::VolleyRevolver(_) => panic!("another layout was asked for"),
        }
    }
}

#[test]
fn a_plan_survives_its_document_and_an_altered_document_is_refused() {
    for layout in [LayoutKind::ClassDiagonal, LayoutKind::VolleyRevolver] {
        let plan = chosen(shape(128, 400, 10), &Recipe::paper(2).unwrap(), layout);
        let json = plan.to_json();
        assert_eq!(Plan::from_json(&json).unwrap(), plan);
        let refused = |from: &str, to: &str| {
            let altered = json.replacen(from, to, 1);
            assert_ne!(altered, json, "{from} is in the document");
            assert!(Plan::from_json(&altered).is_err(), "{from} -> {to}");
        };
        refused("\"rows\":128", "\"rows\":0");
        refused("\"rows\":128", "\"rows\":99999999999999");
        refused("\"features\":400", "\"features\":400000");
        refused("\"classes\":10", "\"classes\":0");
        refused("\"log_n\":15", "\"log_n\":40");
        refused("\"log_n\":15", "\"log_n\":13");
        refused("\"iterations\":2", "\"iterations\":9");
        refused("\"scale_bits\":45", "\"scale_bits\":4500");
        refused("\"format\":2", "\"format\":1");
        refused("\"format\":2", "\"format\":3");
        refused("\"rows\":128", "\"rows\":4294967296");
        refused("\"p\":[", "\"p\":[0,");
        refused("\"q\":[", "\"q\":[1125899906842624,");
        refused("{\"format\"", "{\"surprise\":1,\"format\"");
    }
    let plan = chosen(shape(128, 400, 10), &Recipe::default_for(2).unwrap(), LayoutKind::ClassDiagonal).to_json();
    for (from, to) in
        [("\"giants\":8", "\"giants\":0"), ("\"block\":64", "\"block\":4096"), ("\"width\":512", "\"width\":500")]
    {
        let altered = plan.replacen(from, to, 1);
        assert_ne!(altered, plan);
        assert!(Plan::from_json(&altered).is_err(), "{from} -> {to}");
    }
    let special = plan.find("\"p\":[").map(|at| at + 5).unwrap();
    let end = plan[special..].find(']').unwrap() + special;
    assert!(Plan::from_json(&format!("{}{}", &plan[..special], &plan[end..])).is_err(), "no special primes");
    assert!(Plan::from_json("{}").is_err() && Plan::from_json("no json").is_err());
}

#[test]
fn too_many_iterations_and_too_little_memory_are_errors_that_say_so() {
    let small = shape(128, 400, 10);
    let error = choose(small, &Recipe::default_for(12).unwrap(), &Constraints::default()).unwrap_err();
    assert!(matches!(&error, HeadError::NoPlan(_)) && error.to_string().contains("fewer iterations"), "{error}");
    let tight = Constraints { memory: 100 << 20, ..Constraints::default() };
    let error = choose(small, &Recipe::default_for(2).unwrap(), &tight).unwrap_err();
    assert!(matches!(error, HeadError::Memory { needed, available } if needed > available), "{error}");
    // Packed ciphertexts that are taken apart stay in memory.
    let packed = Constraints { memory: 8 << 30, classes_together: Some(16), log_n: Some(14), ..Constraints::default() };
    let error = choose(shape(1_000_000, 400, 10), &Recipe::default_for(2).unwrap(), &packed).unwrap_err();
    assert!(matches!(error, HeadError::Memory { .. }), "{error}");
}

#[test]
fn memory_that_does_not_suffice_for_all_data_makes_a_training_read_them_again() {
    let recipe = Recipe::default_for(2).unwrap();
    let within = |rows, memory| {
        let constraints = Constraints { memory, ..Constraints::default() };
        let plan = choose(shape(rows, 768, 10), &recipe, &constraints).unwrap();
        let allotment = plan.allot(memory).unwrap();
        assert!(allotment.server_bytes <= memory.min(plan.estimate().unwrap().server_bytes));
        (plan, allotment)
    };
    let (plan, everything) = within(16_384, usize::MAX);
    assert!(everything.keeps_everything());
    let mut before = 0;
    for memory in [2 << 30, 1 << 30, 600 << 20, plan.least_bytes().unwrap()] {
        let limbs = plan.allot(memory).unwrap().limbs_read;
        assert!(limbs >= before, "less memory, more reading");
        before = limbs;
    }
    assert!(before > 0);
    assert!(matches!(plan.allot(plan.least_bytes().unwrap() - 1), Err(HeadError::Memory { .. })));
    // Four times the rows: about the same memory, though in another layout.
    let (many, _) = within(65_536, 1 << 30);
    assert!(many.estimate().unwrap().server_bytes > 6 << 30);
    let ratio = many.least_bytes().unwrap() as f64 / plan.least_bytes().unwrap() as f64;
    assert!((0.4..2.5).contains(&ratio), "{ratio}");
}

#[test]
fn what_is_said_of_many_blocks_is_what_tracing_them_all_would_say() {
    let shape = shape(5000, 60, 3);
    let plan = |block, classes_together, recipe: Recipe| {
        let layout = ClassDiagonal::new(shape, 1 << 12, 128, block, 4, classes_together).unwrap();
        assert!(layout.blocks() > 8);
        let levels = layout.levels(2, recipe.initial_weight() != 0.0);
        let literal = ParametersLiteral::choose(13, 50, 40, levels, 3).unwrap();
        toy(shape, recipe, AnyLayout::ClassDiagonal(layout), literal, Refresh::Never)
    };
    let full = |plan: &Plan, room| {
        let tracer = tracer::Tracer::new(plan.literal());
        let (upload, limbs) = tracer::TracedStore::upload(&tracer, plan.inputs(), room);
        crate::train::train(&tracer, plan.layout(), &plan.schedule(), upload, Returned::Last).unwrap();
        (tracer.operations(), limbs.load(std::sync::atomic::Ordering::Relaxed))
    };
    let rows = plan(8, 1, Recipe::default_for(2).unwrap());
    // With classes alone on the top axis, what is taken apart stays in memory.
    for plan in [&rows, &plan(32, 32, Recipe::default_for(2).unwrap()), &plan(32, 32, Recipe::paper(2).unwrap())] {
        let (estimate, (operations, _)) = (plan.estimate().unwrap(), full(plan, Room::PLENTY));
        assert_eq!(estimate.operations.key_switches, operations.key_switches);
        assert_eq!((estimate.operations.products, estimate.operations.work), (operations.products, operations.work));
        assert_eq!(estimate.operations.keys, operations.keys);
        let ratio = estimate.operations.peak_bytes as f64 / operations.peak_bytes as f64;
        assert!((0.97..1.03).contains(&ratio), "{ratio}");
    }
    let (plan, estimate) = (&rows, rows.estimate().unwrap());
    let memory = plan.least_bytes().unwrap() + (16 << 20);
    let allotment = plan.allot(memory).unwrap();
    let (operations, limbs) = full(plan, allotment.room);
    assert!(limbs > 0 && memory < estimate.server_bytes);
    assert!(estimate.beside_bytes + operations.peak_bytes <= memory + (1 << 20));
    let ratio = allotment.limbs_read as f64 / limbs as f64;
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
}

#[test]
fn what_is_said_of_many_blocks_of_volley_revolver_is_what_tracing_them_all_would_say() {
    // Two groups of classes among them, whose labels are uploaded apart.
    for (shape, recipe) in [
        (shape(500, 60, 3), Recipe::default_for(3)),
        (shape(400, 60, 3), Recipe::paper(2)),
        (shape(30, 900, 40), Recipe::default_for(2)),
        (shape(33, 60, 3), Recipe::default_for(2)),
    ] {
        let recipe = recipe.unwrap();
        let layout = VolleyRevolver::new(shape, 1 << 11).unwrap();
        let levels = layout.levels(recipe.iterations(), recipe.initial_weight() != 0.0);
        let literal = ParametersLiteral::choose(12, 50, 40, levels, 3).unwrap();
        let plan = toy(shape, recipe, AnyLayout::VolleyRevolver(layout), literal, Refresh::Never);

        let tracer = tracer::Tracer::new(plan.literal());
        let (upload, _) = tracer::TracedStore::upload(&tracer, plan.inputs(), Room::PLENTY);
        let iterates = crate::train::train(&tracer, plan.layout(), &plan.schedule(), upload, Returned::Last).unwrap();
        let deviation = Estimate::weight_variance(&plan, &iterates).sqrt();
        drop(iterates);

        let estimate = plan.estimate().unwrap();
        assert_eq!(estimate.operations, tracer.operations(), "{shape:?}");
        assert_eq!(estimate.weight_deviation, deviation, "{shape:?}");
        assert_eq!(Estimate::precision(&plan).unwrap(), (estimate.weight_bound(), estimate.release_bits()));
    }
}

#[test]
fn planning_volley_revolver_takes_no_more_for_more_rows() {
    let made = |rows, memory| {
        let constraints = Constraints { layout: LayoutKind::VolleyRevolver, memory, ..Constraints::default() };
        let before = tracer::MADE.get();
        let plan = choose(shape(rows, 768, 10), &Recipe::default_for(2).unwrap(), &constraints);
        (tracer::MADE.get() - before, plan)
    };
    let (few, plan) = made(6_000, usize::MAX);
    plan.unwrap();
    for rows in [60_000, 1_000_000] {
        let (many, plan) = made(rows, usize::MAX);
        plan.unwrap();
        assert!(many < 2 * few && many < 100_000, "{rows} rows: {many} ciphertexts, 6,000 rows: {few}");
    }
    // A refusal takes as little.
    let (refused, plan) = made(60_000, 4 << 30);
    assert!(matches!(plan, Err(HeadError::Memory { .. })) && refused < 100_000, "{refused} ciphertexts");
}

#[test]
fn a_wish_for_precision_that_no_ring_can_grant_gives_the_best_that_there_is() {
    let recipe = Recipe::default_for(2).unwrap();
    let bits = |wish| {
        let constraints = Constraints { release_bits: Some(wish), ..Constraints::default() };
        choose(shape(128, 400, 10), &recipe, &constraints).unwrap().estimate().unwrap().release_bits()
    };
    let usual = search::release_bits(400);
    assert!(bits(usual) >= usual);
    assert!(bits(40.0) >= usual - 3.0, "no ring reserves 40 bits, and the training is planned all the same");
}

#[test]
fn plans_reserve_two_bits_of_a_logit_in_the_same_ring_and_time_as_six_bits_of_a_weight() {
    let recipe = Recipe::default_for(2).unwrap();
    for shape in [shape(128, 400, 10), shape(4096, 768, 10)] {
        let seconds = |plan: &Plan| plan.estimate().unwrap().seconds(plan, &cost::UnitCosts::REFERENCE);
        let plan = choose(shape, &recipe, &Constraints::default()).unwrap();
        let estimate = plan.estimate().unwrap();
        assert!(estimate.logit_bits(&plan) >= 2.0, "{shape:?} {}", estimate.logit_bits(&plan));
        assert_eq!(plan.literal().log_n, 14);
        let six = choose(shape, &recipe, &Constraints { release_bits: Some(6.0), ..Constraints::default() }).unwrap();
        let ratio = seconds(&plan) / seconds(&six);
        assert!(ratio < 1.05, "{shape:?} {ratio}");
    }
}

#[test]
fn a_plan_for_a_fast_connection_uploads_more_and_trains_in_less_time() {
    let recipe = Recipe::default_for(2).unwrap();
    let plans = [1e6, search::UPLOAD_BYTES_PER_SECOND, 1e9, f64::INFINITY].map(|upload_rate| {
        let constraints = Constraints { upload_rate, ..Constraints::default() };
        let plan = choose(shape(128, 400, 10), &recipe, &constraints).unwrap();
        let estimate = plan.estimate().unwrap();
        (estimate.upload_bytes, estimate.seconds(&plan, &cost::UnitCosts::REFERENCE))
    });
    for [slower, faster] in plans.array_windows() {
        assert!(slower.0 <= faster.0 && slower.1 >= faster.1, "{plans:?}");
    }
    assert!(3 * plans[0].0 < plans[3].0 && plans[0].1 > 1.2 * plans[3].1, "{plans:?}");
}

#[test]
#[should_panic(expected = "never ends")]
fn a_plan_for_a_connection_without_speed_is_refused() {
    let constraints = Constraints { upload_rate: 0.0, ..Constraints::default() };
    let _ = choose(shape(128, 400, 10), &Recipe::default_for(2).unwrap(), &constraints);
}

#[test]
fn a_recipe_with_weights_other_than_zero_uploads_an_offset() {
    let plan = chosen(shape(128, 400, 10), &Recipe::paper(2).unwrap(), LayoutKind::ClassDiagonal);
    assert!(plan.has_offset());
    assert!(plan.inputs().iter().any(|input| input.role == Role::Offset));
}

#[test]
fn prices_in_closed_form_are_what_the_circuits_count() {
    let chains = [Recipe::default_for(1), Recipe::default_for(2), Recipe::paper(2), Recipe::default_for(5)];
    let with = |sigmoid, iterations| {
        let overrides = RecipeOverrides { sigmoid: Some(Sigmoid::Fit(sigmoid)), ..Default::default() };
        Preset::Default.recipe(iterations, &overrides)
    };
    let chains = chains.into_iter().chain([with(Fit::Seven, 3), with(Fit::Fifteen, 2)]);
    let refreshed = [1, 2, 5].map(Recipe::default_for).into_iter().chain([with(Fit::Seven, 4), with(Fit::Fifteen, 4)]);
    let refreshed = refreshed.map(|recipe| (recipe.unwrap(), Refresh::EveryIteration));
    for (recipe, refresh) in chains.map(|recipe| (recipe.unwrap(), Refresh::Never)).chain(refreshed) {
        for (shape, log_n, block, giants, classes_together) in [
            (shape(128, 400, 10), 14, 64, 8, 16),
            (shape(1000, 700, 10), 14, 128, 16, 1),
            (shape(1000, 60, 10), 13, 32, 4, 4),
            (shape(300, 1000, 3), 15, 16, 2, 2),
        ] {
            let width = ClassDiagonal::least_width(shape, block);
            let layout = ClassDiagonal::new(shape, 1 << (log_n - 1), width, block, giants, classes_together).unwrap();
            let layout = layout.with_degree(recipe.sigmoid().degree());
            let offset = recipe.initial_weight() != 0.0;
            let top = refresh.levels(&layout, &recipe);
            let literal = ParametersLiteral::choose(log_n, 50, 40, top, 3).unwrap();
            let any = AnyLayout::ClassDiagonal(layout);
            let plan = toy(shape, recipe.clone(), any, literal, refresh);
            let traced = plan.estimate().unwrap().operations.work;
            let priced = price::class_diagonal(&layout, (recipe.iterations(), offset, refresh), top, 3);
            for (traced, priced) in
                [(traced.transforms, priced.transforms), (traced.limb_products, priced.limb_products)]
            {
                let ratio = priced as f64 / traced as f64;
                assert!((0.95..1.05).contains(&ratio), "{shape:?} {} ratio {ratio}", recipe.name());
            }
            let upload = price::upload_bytes(&layout, log_n, refresh.upload_levels(&layout, top, offset), [50, 40]);
            let ratio = upload as f64 / plan.upload_bytes() as f64;
            assert!((0.97..1.03).contains(&ratio), "{shape:?} {} upload ratio {ratio}", recipe.name());
        }
    }
}

#[test]
fn sigmoids_of_higher_degrees_are_refreshed_in_the_ring_of_cubics_and_take_a_level_more_each() {
    for (fit, top) in [(Fit::Seven, 5), (Fit::Fifteen, 6)] {
        let overrides = RecipeOverrides { sigmoid: Some(Sigmoid::Fit(fit)), ..Default::default() };
        let recipe = Preset::Default.recipe(30, &overrides).unwrap();
        for shape in [shape(128, 400, 10), shape(8192, 768, 10)] {
            let constraints = Constraints { refresh: Refresh::EveryIteration, ..Constraints::default() };
            let plan = choose(shape, &recipe, &constraints).unwrap();
            assert_eq!((plan.literal().log_n, plan.top_level(), plan.levels_left()), (14, top, 0));
            assert!(plan.literal().log_qp() <= 430.0, "{}", plan.literal().log_qp());
            assert!(plan.estimate().unwrap().weight_bound() < 2f64.powi(-12), "{fit:?} {shape:?}");
            assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
        }
        let refused = Constraints { layout: LayoutKind::VolleyRevolver, ..Constraints::default() };
        let error = choose(shape(128, 400, 10), &recipe, &refused).unwrap_err().to_string();
        assert!(error.contains("volley-revolver") && error.contains("--layout class-diagonal"), "{error}");
    }
}

#[test]
fn a_refreshed_training_of_any_length_takes_the_ring_of_one_gradient() {
    let refreshed = |shape, iterations| {
        let constraints = Constraints { refresh: Refresh::EveryIteration, ..Constraints::default() };
        choose(shape, &Recipe::default_for(iterations).unwrap(), &constraints).unwrap()
    };
    let shape = shape(8192, 768, 10);
    let (few, many) = (refreshed(shape, 5), refreshed(shape, 200));
    let (few_takes, many_takes) = (few.estimate().unwrap(), many.estimate().unwrap());
    for plan in [&few, &many] {
        assert_eq!((plan.literal().log_n, plan.top_level(), plan.levels_left()), (14, 4, 0));
        assert!(plan.literal().log_qp() <= 430.0, "{}", plan.literal().log_qp());
    }
    assert!(few_takes.key_bytes <= 80_000_000, "{}", few_takes.key_bytes);
    assert!(few_takes.upload_bytes <= 300_000_000, "{}", few_takes.upload_bytes);
    assert!(few_takes.release_bits() >= 6.0, "{}", few_takes.release_bits());
    // Memory does not grow with the iterations.
    let thirty = refreshed(shape, 30);
    let ratio = thirty.estimate().unwrap().server_bytes as f64 / few_takes.server_bytes as f64;
    assert!((0.95..1.05).contains(&ratio), "{ratio}: {:?}", thirty.layout());
    let per_iteration =
        |plan: &Plan, takes: &Estimate| takes.operations.key_switches / plan.recipe().iterations() as u64;
    assert!(per_iteration(&few, few_takes) > 0 && per_iteration(&many, many_takes) > 0);
    // A refresh: ten ciphertexts of two limbs and both halves there, of five and one half back, or half as many.
    let exchange = few.exchange().unwrap();
    assert_eq!(exchange.count, 4);
    assert!(exchange.request_bytes <= 4_100_000 && exchange.answer_bytes <= 5_000_000, "{exchange:?}");
    // A chain of five does not fit there, and its plan is what it was.
    let chain = chosen(shape, &Recipe::default_for(5).unwrap(), LayoutKind::ClassDiagonal);
    assert!(chain.literal().log_n > 14 && chain.exchange().is_none());
    assert!(chain.to_json().contains("\"format\":2") && !chain.to_json().contains("refresh"));
    assert!(few.to_json().contains("\"format\":3"));
    assert_eq!(Plan::from_json(&few.to_json()).unwrap(), few);
    for (from, to) in [("\"format\":3", "\"format\":2"), ("\"refresh_every\":1", "\"refresh_every\":2")] {
        assert!(Plan::from_json(&few.to_json().replace(from, to)).is_err());
    }
}

#[test]
fn what_is_said_of_a_refreshed_training_is_what_tracing_all_of_it_would_say() {
    let shape = shape(300, 60, 3);
    let layout = ClassDiagonal::new(shape, 1 << 12, 128, 32, 4, 1).unwrap();
    let literal = ParametersLiteral::choose(13, 50, 40, layout.gradient_levels(), 3).unwrap();
    let recipe = Recipe::default_for(7).unwrap();
    let any = AnyLayout::ClassDiagonal(layout);
    let plan = toy(shape, recipe, any, literal, Refresh::EveryIteration);

    let tracer = tracer::Tracer::new(plan.literal());
    let (upload, _) = tracer::TracedStore::upload(&tracer, plan.inputs(), Room::PLENTY);
    let (data, step) = (layout.prepare(&tracer, upload).unwrap(), plan.schedule().refreshed_gradient(1));
    for iteration in 1..=7 {
        let fresh = || (0..3).map(|_| tracer.fresh(&plan.fresh_weights())).collect::<Vec<_>>();
        let weights = (iteration > 1).then(fresh);
        layout.gradient(&tracer, &data, weights.as_deref(), &step).unwrap();
    }
    let (estimate, operations) = (plan.estimate().unwrap(), tracer.operations());
    assert_eq!(estimate.operations.work, operations.work);
    assert_eq!(estimate.operations.keys, operations.keys);
    assert_eq!(
        (estimate.operations.key_switches, estimate.operations.products),
        (operations.key_switches, operations.products)
    );
    // Two gradients are held at once by the tracing, one after the other by a server.
    let ratio = estimate.operations.peak_bytes as f64 / operations.peak_bytes as f64;
    assert!((0.95..1.1).contains(&ratio), "{ratio}");
}

#[test]
fn a_recipe_that_starts_elsewhere_than_zero_is_not_refreshed() {
    let constraints = Constraints { refresh: Refresh::EveryIteration, ..Constraints::default() };
    let refused = choose(shape(128, 400, 10), &Recipe::paper(2).unwrap(), &constraints).unwrap_err();
    assert!(refused.to_string().contains("--refresh never"), "{refused}");
    // And what does not fit one chain names the way out.
    let long = choose(shape(128, 400, 10), &Recipe::default_for(30).unwrap(), &Constraints::default()).unwrap_err();
    assert!(long.to_string().contains("--refresh 1"), "{long}");
}

#[test]
fn any_shape_is_refreshed_in_the_ring_of_one_gradient() {
    let constraints = Constraints { refresh: Refresh::EveryIteration, log_n: Some(14), ..Constraints::default() };
    let mut state = 7u64;
    // Evenly over the logarithm.
    let mut draw = |low: f64, high: f64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (low * (high / low).powf((state >> 11) as f64 / (1u64 << 53) as f64)) as usize
    };
    for _ in 0..100 {
        let shape = shape(draw(100.0, 60_000.0), draw(10.0, 2_000.0), draw(2.0, 65.0));
        let start = std::time::Instant::now();
        let plan = choose(shape, &Recipe::default_for(30).unwrap(), &constraints).unwrap();
        let (literal, estimate) = (plan.literal(), plan.estimate().unwrap());
        println!(
            "{shape:?}: log N {}, log QP {:.0}, {:.0} MB of keys, planned in {:.1} s",
            literal.log_n,
            literal.log_qp(),
            estimate.key_bytes as f64 / 1e6,
            start.elapsed().as_secs_f64()
        );
        assert!(literal.log_qp() <= 430.0, "{shape:?}");
    }
}
