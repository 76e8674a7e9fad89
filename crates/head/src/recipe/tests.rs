//! Tests of the recipes: the published constants, the step sequence, and what is refused.

use super::*;

#[test]
fn the_paper_recipe_has_the_published_constants() {
    let recipe = Recipe::paper(2).unwrap();
    assert_eq!(recipe.cubic(), Cubic { c1: 0.106795345, c3: -0.000385032, range: 8.0 });
    assert_eq!((recipe.momentum(), recipe.initial_weight(), recipe.learning_rate()), (0.01, 0.0128, 1.0));
    assert_eq!((recipe.scaler(), recipe.bound()), (ScalerKind::None, Bound::RowSums));
    let steps = recipe.steps(128);
    assert!((steps[0].rate - (1.0 + 1.0 / 128.0)).abs() < 1e-15);
    assert!((steps[1].rate - (1.0 + 1.0 / 256.0)).abs() < 1e-15);
    // a_1 = (1 + sqrt(1.0004)) / 2, so the first step is thrown away but for one hundredth.
    assert!((steps[0].eta - 0.99 / 1.00009999).abs() < 1e-8);
    assert!(steps[1].eta < 0.0 && steps[1].eta > -1e-3);
}

#[test]
fn the_default_recipe_changes_its_cubic_after_three_iterations() {
    for (iterations, cubic) in [(1, "narrow"), (3, "narrow"), (4, "wide"), (20, "wide")] {
        let recipe = Recipe::default_for(iterations).unwrap();
        assert_eq!(recipe.cubic().name(), Some(cubic));
        assert_eq!(recipe.bound(), Bound::Quarter);
        assert_eq!(recipe.steps(7).len(), iterations);
    }
    let steps = Recipe::default_for(2).unwrap().steps(100);
    assert_eq!(steps[0].eta, 0.0);
    assert!((steps[1].eta - (1.0 - 1.618_033_988_75) / 2.193_527_085_3).abs() < 1e-9);
}

#[test]
fn four_and_more_iterations_have_a_ridge_and_up_to_three_are_as_they_were() {
    let short = Recipe::default_for(3).unwrap();
    assert!(short.steps(100).iter().all(|step| step.shrink == 1.0) && !short.may_diverge());
    assert!(!short.to_json().contains("ridge") && !short.to_json().contains("decay"));
    for iterations in [4, 5, 100] {
        let long = Recipe::default_for(iterations).unwrap();
        assert_eq!((long.learning_rate(), long.ridge(), long.decay(), long.stride()), (1.5, 0.1, 0.0, 1.5));
        assert!(!long.may_diverge());
        for (step, t) in long.steps(100).iter().zip(1..) {
            let length = 1.5 * (1.0 + 1.0 / (100 * t) as f64);
            assert!((step.rate - length).abs() < 1e-15 && (step.shrink - (1.0 - 0.1 * length)).abs() < 1e-15);
        }
    }
    // Row sums are no unit for a ridge.
    let scaled = RecipeOverrides { scaler: Some(ScalerKind::Standardize), ..Default::default() };
    for (iterations, decay) in [(3, 0.0), (4, 0.5), (8, 0.5), (9, 1.0)] {
        let recipe = Preset::Default.recipe(iterations, &scaled).unwrap();
        assert_eq!((recipe.learning_rate(), recipe.ridge(), recipe.decay()), (1.0, 0.0, decay));
    }
    let bare = RecipeOverrides { ridge: Some(0.0), ..Default::default() };
    assert!(Preset::Default.recipe(5, &bare).unwrap().may_diverge());
    assert!(!Recipe::paper(5).unwrap().may_diverge());
    let plain = RecipeOverrides { gradient: Some(Gradient::Plain), ridge: Some(0.2), ..Default::default() };
    let steps = Preset::Default.recipe(2, &plain).unwrap().steps(100);
    assert!((steps[1].rate - 0.005).abs() < 1e-15 && (steps[1].shrink - 0.9).abs() < 1e-15);
}

#[test]
fn hat_rates_are_four_over_n_for_the_quadratic_gradient_and_one_over_n_for_the_plain() {
    let quadratic = Recipe::default_for(1).unwrap().hat_rates(100)[0];
    assert!((quadratic - 1.01 * 4.0 / 100.0).abs() < 1e-15);
    let plain = RecipeOverrides { gradient: Some(Gradient::Plain), learning_rate: Some(3.0), ..Default::default() };
    let plain = Preset::Default.recipe(2, &plain).unwrap().hat_rates(100);
    assert!((plain[0] - 0.03).abs() < 1e-15 && (plain[1] - 0.015).abs() < 1e-15);
}

#[test]
fn a_change_shows_in_the_name_and_the_bound_follows_the_scaler() {
    let overrides = RecipeOverrides { scaler: Some(ScalerKind::Standardize), ..Default::default() };
    let recipe = Preset::Default.recipe(2, &overrides).unwrap();
    assert_eq!((recipe.name(), recipe.bound()), ("default*", Bound::RowSums));
    let overrides = RecipeOverrides { bound: Some(Bound::Quarter), ..overrides };
    assert_eq!(Preset::Default.recipe(2, &overrides).unwrap().bound(), Bound::Quarter);
    assert_eq!(Recipe::default_for(2).unwrap().name(), "default");
}

#[test]
fn values_out_of_range_are_refused() {
    assert!(Recipe::paper(0).is_err() && Recipe::default_for(MAX_ITERATIONS + 1).is_err());
    let refused = [
        RecipeOverrides { lambda: Some(0.1), scaler: Some(ScalerKind::None), ..Default::default() },
        RecipeOverrides { lambda: Some(-0.1), ..Default::default() },
        RecipeOverrides { learning_rate: Some(f64::NAN), ..Default::default() },
        RecipeOverrides { learning_rate: Some(0.0), ..Default::default() },
        RecipeOverrides { momentum: Some(-1.0), ..Default::default() },
        RecipeOverrides { ridge: Some(-0.1), ..Default::default() },
        RecipeOverrides { ridge: Some(0.9), learning_rate: Some(1.2), ..Default::default() },
        RecipeOverrides { ridge: Some(0.1), initial_weight: Some(0.01), ..Default::default() },
        RecipeOverrides { initial_weight: Some(f64::INFINITY), ..Default::default() },
        RecipeOverrides { cubic: Some(Cubic { c1: 0.0, c3: 0.0, range: 8.0 }), ..Default::default() },
    ];
    for overrides in refused {
        assert!(Preset::Default.recipe(2, &overrides).is_err(), "{overrides:?}");
    }
}

#[test]
fn a_recipe_survives_json_and_a_tampered_one_is_refused() {
    for recipe in [Recipe::paper(2).unwrap(), Recipe::default_for(7).unwrap()] {
        assert_eq!(Recipe::from_json(&recipe.to_json()).unwrap(), recipe);
    }
    let tampered = Recipe::paper(2).unwrap().to_json().replace("\"iterations\":2", "\"iterations\":0");
    assert!(Recipe::from_json(&tampered).is_err());
}

#[test]
fn cubics_are_read_by_name_or_by_three_numbers() {
    assert_eq!("wide".parse::<Cubic>().unwrap(), Cubic::WIDE);
    assert_eq!("0.2, -0.004, 6".parse::<Cubic>().unwrap(), Cubic { c1: 0.2, c3: -0.004, range: 6.0 });
    assert!("0.2,-0.004".parse::<Cubic>().is_err() && "softmax".parse::<Cubic>().is_err());
    assert!("nan,0,1".parse::<Cubic>().is_err());
}
