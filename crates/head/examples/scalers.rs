//! Accuracy of every scaler with every recipe, by the plaintext twin: the tables in docs/scalers.md.
//!
//!     cargo run --release -p ciphertune-head --example scalers -- TRAIN TEST [ROWS]
//!
//! TRAIN and TEST are feature tables with labels; ROWS keeps the first rows of TRAIN only.

use ciphertune_head::recipe::{Gradient, Preset, Recipe, RecipeOverrides};
use ciphertune_head::{Classes, FeatureTable, Head, LabelColumn, Scaler, ScalerKind, TableFormat, twin};
use std::error::Error;
use std::path::Path;

const KINDS: [ScalerKind; 4] = [ScalerKind::None, ScalerKind::Center, ScalerKind::Standardize, ScalerKind::Whiten];
const ITERATIONS: [usize; 5] = [1, 2, 5, 10, 20];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [train, test, rows @ ..] = arguments.as_slice() else {
        return Err("usage: scalers TRAIN TEST [ROWS]".into());
    };
    let mut train = read(train)?;
    if let [rows] = rows {
        train = train.first_rows(rows.parse()?);
    }
    let test = read(test)?;
    let classes = Classes::from_labels(train.require_labels()?)?;

    let (rows, features) = (train.rows(), train.columns());
    println!("{rows} rows, {features} features, {} classes; {} test rows\n", classes.len(), test.rows());
    println!("| recipe | gradient | scaler |{}", ITERATIONS.map(|iterations| format!(" {iterations} |")).concat());
    println!("|---|---|---|{}", "---|".repeat(ITERATIONS.len()));
    for preset in [Preset::Paper, Preset::Default] {
        for gradient in [Gradient::Plain, Gradient::Quadratic] {
            for kind in KINDS {
                let overrides =
                    RecipeOverrides { scaler: Some(kind), gradient: Some(gradient), ..RecipeOverrides::default() };
                let mut cells = String::new();
                for iterations in ITERATIONS {
                    let recipe = preset.recipe(iterations, &overrides)?;
                    cells.push_str(&cell(&recipe, &train, &test, &classes)?);
                }
                println!("| {preset} | {gradient:?} | {kind} |{cells}");
            }
        }
    }
    Ok(())
}

/// Percent right after the last iteration, and in brackets the largest logit that the cubic was given.
fn cell(
    recipe: &Recipe,
    train: &FeatureTable,
    test: &FeatureTable,
    classes: &Classes,
) -> Result<String, Box<dyn Error>> {
    let labels = classes.indices(train.require_labels()?)?;
    let scaler = Scaler::fit_for(recipe, train.features())?;
    let x = scaler.apply_with_ones(train.features())?;
    let iterates = twin::train(recipe, &x, &labels, classes.len());
    let largest = iterates.iter().map(|iterate| iterate.largest_logit).fold(0.0, f64::max);
    let Some(last) = iterates.last().filter(|_| largest < 1e6) else { return Ok(" diverges |".to_owned()) };
    let head = Head::from_scaled(&scaler, &last.weights, classes.clone(), recipe)?;
    Ok(format!(" {:.1} [{largest:.1}] |", 100.0 * head.evaluate(test)?.accuracy))
}

fn read(path: &str) -> Result<FeatureTable, Box<dyn Error>> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = TableFormat::from_extension(extension)?;
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    FeatureTable::parse(&bytes, format, LabelColumn::Present).map_err(|error| format!("{path}: {error}").into())
}
