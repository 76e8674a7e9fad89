//! Tests of the recipes: the published constants, the step sequence, and what is refused.

use super::*;

#[test]
fn the_paper_recipe_has_the_published_constants() {
    let recipe = Recipe::paper(2).unwrap();
    assert_eq!(recipe.sigmoid(), Cubic { c1: 0.106795345, c3: -0.000385032, range: 8.0 }.into());
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
        assert_eq!(recipe.sigmoid().to_string(), cubic);
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
        RecipeOverrides { sigmoid: Some(Cubic { c1: 0.0, c3: 0.0, range: 8.0 }.into()), ..Default::default() },
    ];
    for overrides in refused {
        assert!(Preset::Default.recipe(2, &overrides).is_err(), "{overrides:?}");
    }
}

fn of_degree(fit: Fit, iterations: usize) -> Recipe {
    let overrides = RecipeOverrides { sigmoid: Some(Sigmoid::Fit(fit)), ..Default::default() };
    Preset::Default.recipe(iterations, &overrides).unwrap()
}

#[test]
fn sigmoids_of_higher_degrees_are_close_to_the_true_one_and_meet_one_half_beyond_their_range() {
    for (fit, error, crossing) in [(Fit::Seven, 0.0503, 11.04198), (Fit::Fifteen, 0.0250, 16.640624)] {
        let sigmoid = Sigmoid::Fit(fit);
        for step in -1000..=1000 {
            let z = sigmoid.range() * f64::from(step) / 1000.0;
            let true_value = 1.0 / (1.0 + (-z).exp());
            assert!((sigmoid.evaluate(z) - true_value).abs() < error, "{fit:?} at {z}");
            assert!((sigmoid.evaluate(z) + sigmoid.evaluate(-z) - 1.0).abs() < 1e-12);
        }
        assert!((sigmoid.crossing() - crossing).abs() < 1e-4, "{}", sigmoid.crossing());
        let slope = (sigmoid.evaluate(1e-6) - 0.5) / 1e-6;
        assert!((slope - sigmoid.slope()).abs() < 1e-6);
    }
    assert!((Sigmoid::from(Cubic::WIDE).crossing() - 9.7076).abs() < 1e-3);
    assert_eq!(Sigmoid::from(Cubic { c1: 0.2, c3: 0.0, range: 3.0 }).crossing(), f64::INFINITY);
}

#[test]
fn steps_on_minibatches_get_shorter_from_epoch_to_epoch() {
    let overrides = RecipeOverrides { batch: Some(30), ..Default::default() };
    let recipe = Preset::Default.recipe(7, &overrides).unwrap();
    assert_eq!((recipe.learning_rate(), recipe.ridge(), recipe.decay()), (0.7, 0.05, 1.0));
    assert!(!recipe.may_diverge() && Preset::Default.recipe(3, &overrides).unwrap().decay() == 0.0);
    // Of 100 rows there are four batches of 25, and after four iterations an epoch.
    for (step, t) in recipe.steps(100).iter().zip(1..) {
        let length = 0.7 / (1.0 + (t - 1) as f64 / 4.0) * (1.0 + 1.0 / (25 * t) as f64);
        assert!((step.rate - length).abs() < 1e-15 && (step.shrink - (1.0 - 0.05 * length)).abs() < 1e-15);
    }
    assert!((recipe.hat_rates(100)[0] - recipe.steps(100)[0].rate * 4.0 / 25.0).abs() < 1e-15);
    assert_eq!(Recipe::from_json(&recipe.to_json()).unwrap(), recipe);
    assert!(Preset::Default.recipe(2, &RecipeOverrides { batch: Some(0), ..Default::default() }).is_err());
}

#[test]
fn the_wider_the_sigmoid_the_smaller_the_ridge_of_long_trainings() {
    for (fit, learning_rate, ridge) in [(Fit::Seven, 1.25, 0.02), (Fit::Fifteen, 1.0, 0.005)] {
        let recipe = of_degree(fit, 10);
        assert_eq!((recipe.learning_rate(), recipe.ridge(), recipe.decay()), (learning_rate, ridge, 0.0));
        assert!(!recipe.may_diverge() && recipe.name() == "default*");
        assert_eq!((of_degree(fit, 3).learning_rate(), of_degree(fit, 3).ridge()), (1.0, 0.0));
    }
}

#[test]
fn a_recipe_survives_json_and_a_tampered_one_is_refused() {
    for recipe in
        [Recipe::paper(2), Recipe::default_for(7), Ok(of_degree(Fit::Seven, 4)), Ok(of_degree(Fit::Fifteen, 9))]
    {
        let recipe = recipe.unwrap();
        assert_eq!(Recipe::from_json(&recipe.to_json()).unwrap(), recipe);
    }
    assert!(of_degree(Fit::Seven, 4).to_json().contains("\"sigmoid\":\"seven\",\"momentum\""));
    // A cubic is written as it always was.
    let cubic = "\"scaler\":\"whiten\",\"cubic\":{\"c1\":0.197,\"c3\":-0.004,\"range\":6.5},\"momentum\":1.0";
    assert!(Recipe::default_for(2).unwrap().to_json().contains(cubic));
    let none = of_degree(Fit::Seven, 4).to_json().replace("\"sigmoid\":\"seven\",", "");
    assert!(Recipe::from_json(&none).is_err());
    let unknown = of_degree(Fit::Seven, 4).to_json().replace("seven", "nine");
    assert!(Recipe::from_json(&unknown).is_err());
    let tampered = Recipe::paper(2).unwrap().to_json().replace("\"iterations\":2", "\"iterations\":0");
    assert!(Recipe::from_json(&tampered).is_err());
}

#[test]
fn sigmoids_are_read_by_degree_by_name_or_by_three_numbers() {
    let read = |text: &str| text.parse::<Sigmoid>();
    assert_eq!(read("wide").unwrap(), Cubic::WIDE.into());
    assert_eq!(read("0.2, -0.004, 6").unwrap(), Cubic { c1: 0.2, c3: -0.004, range: 6.0 }.into());
    for text in ["7", "15", "narrow", "0.2,-0.004,6"] {
        assert_eq!(read(text).unwrap().to_string(), text);
    }
    for text in ["0.2,-0.004", "softmax", "nan,0,1", "9"] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("choose") || error.contains("0 < c1"), "{error}");
    }
}
