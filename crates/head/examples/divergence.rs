//! How far logits go in long trainings, by the plaintext twin: the table in docs/recipes.md.
//!
//!     cargo run --release -p ciphertune-head --example divergence -- TRAIN TEST [ROWS [RIDGE [STEP]]]
//!
//! TRAIN and TEST are feature tables with labels; ROWS keeps the first rows of TRAIN only. RIDGE and STEP replace those of
//! recipe `default`.

use std::error::Error;
use std::path::Path;

use ciphertune_head::recipe::{Preset, RecipeOverrides};
use ciphertune_head::{Classes, FeatureTable, Head, LabelColumn, Scaler, TableFormat, twin};

const SHOWN: [usize; 5] = [3, 5, 10, 30, 100];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [train, test, more @ ..] = arguments.as_slice() else {
        return Err("usage: divergence TRAIN TEST [ROWS [RIDGE [STEP]]]".into());
    };
    let number = |place: usize| more.get(place).map(|text| text.parse::<f64>()).transpose();
    let mut train = read(train)?;
    if let Some(rows) = number(0)? {
        train = train.first_rows(rows as usize);
    }
    let test = read(test)?;
    let overrides = RecipeOverrides { ridge: number(1)?, learning_rate: number(2)?, ..RecipeOverrides::default() };
    let recipe = Preset::Default.recipe(SHOWN[SHOWN.len() - 1], &overrides)?;
    let classes = Classes::from_labels(train.require_labels()?)?;
    let labels = classes.indices(train.require_labels()?)?;
    let scaler = Scaler::fit_for(&recipe, train.features())?;
    let x = scaler.apply_with_ones(train.features())?;
    let iterates = twin::train(&recipe, &x, &labels, classes.len());

    // Beyond it the polynomial is on the wrong side of 1/2.
    let crossing = recipe.sigmoid().crossing();
    let beyond =
        iterates.iter().position(|iterate| iterate.largest_logit.is_nan() || iterate.largest_logit >= crossing);
    println!(
        "{} rows, {} features, ridge {}, step {}: {}",
        train.rows(),
        train.columns(),
        recipe.ridge(),
        recipe.learning_rate(),
        beyond.map_or("never diverges".to_owned(), |at| format!("diverges in iteration {}", at + 1))
    );
    for t in SHOWN {
        let largest = iterates[..t].iter().map(|iterate| iterate.largest_logit).fold(0.0, f64::max);
        let weights = &iterates[t - 1].weights;
        if !weights.iter().all(|weight| weight.is_finite()) {
            break;
        }
        let right = Head::from_scaled(&scaler, weights, classes.clone(), &recipe)?.evaluate(&test)?.right;
        println!("  {t:>3} iterations: {right} right, logits up to {largest:.2} of {crossing:.2}");
    }
    Ok(())
}

fn read(path: &str) -> Result<FeatureTable, Box<dyn Error>> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = TableFormat::from_extension(extension)?;
    Ok(FeatureTable::parse(&std::fs::read(path)?, format, LabelColumn::Present)?)
}
