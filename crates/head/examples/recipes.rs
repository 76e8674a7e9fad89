//! What a recipe does over many iterations, by the plaintext twin: the tables in docs/recipes.md.
//!
//!     cargo run --release -p ciphertune-head --example recipes -- TRAIN TEST [NAME=VALUE ...]
//!
//! TRAIN and TEST are feature tables with labels. `rows=N` keeps the first rows of TRAIN only, `iterations=N` says how
//! long to train (100); `ridge`, `learning-rate`, `decay`, `sigmoid` and `batch` replace what recipe `default` has.

use std::error::Error;
use std::path::Path;
use std::str::FromStr;

use ciphertune_head::recipe::{Preset, RecipeOverrides};
use ciphertune_head::{Classes, FeatureTable, Head, LabelColumn, Scaler, TableFormat, twin};

/// Iterations after which test rows are counted; and the last one.
const SHOWN: [usize; 9] = [1, 2, 3, 5, 10, 15, 30, 45, 60];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [train, test, settings @ ..] = arguments.as_slice() else {
        return Err("usage: recipes TRAIN TEST [NAME=VALUE ...]".into());
    };
    let (mut train, test) = (read(train)?, read(test)?);
    let (mut iterations, mut overrides) = (100, RecipeOverrides::default());
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or_else(|| format!("{setting:?} is no NAME=VALUE"))?;
        match name {
            "rows" => train = train.first_rows(value.parse()?),
            "iterations" => iterations = value.parse()?,
            "ridge" => overrides.ridge = some(value)?,
            "learning-rate" => overrides.learning_rate = some(value)?,
            "decay" => overrides.decay = some(value)?,
            "sigmoid" => overrides.sigmoid = some(value)?,
            "batch" => overrides.batch = some(value)?,
            _ => return Err(format!("{name:?} is no setting of these").into()),
        }
    }
    let recipe = Preset::Default.recipe(iterations, &overrides)?;
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
        "{} rows, {} features, {}: {}",
        train.rows(),
        train.columns(),
        recipe.to_json(),
        beyond.map_or("never diverges".to_owned(), |at| format!("diverges in iteration {}", at + 1))
    );
    for t in SHOWN.into_iter().filter(|t| *t < iterations).chain([iterations]) {
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

fn some<T: FromStr<Err: Error + 'static>>(value: &str) -> Result<Option<T>, Box<dyn Error>> {
    Ok(Some(value.parse()?))
}

fn read(path: &str) -> Result<FeatureTable, Box<dyn Error>> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = TableFormat::from_extension(extension)?;
    Ok(FeatureTable::parse(&std::fs::read(path)?, format, LabelColumn::Present)?)
}
