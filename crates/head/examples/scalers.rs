//! Accuracy of every scaler with every recipe, by the plaintext twin: the table in docs/scalers.md.
//!
//!     cargo run --release -p ciphertune-head --example scalers -- TRAIN TEST [ROWS]
//!
//! TRAIN and TEST are feature tables with labels; ROWS keeps the first rows of TRAIN only.

use ciphertune_head::recipe::{Preset, RecipeOverrides};
use ciphertune_head::{Classes, FeatureTable, Head, LabelColumn, Scaler, ScalerKind, TableFormat, twin};
use std::error::Error;
use std::path::Path;

const KINDS: [ScalerKind; 4] = [ScalerKind::None, ScalerKind::Center, ScalerKind::Standardize, ScalerKind::Whiten];
const ITERATIONS: [usize; 4] = [1, 2, 5, 20];

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
    let labels = classes.indices(train.require_labels()?)?;

    println!(
        "{} rows, {} features, {} classes; {} test rows\n",
        train.rows(),
        train.columns(),
        classes.len(),
        test.rows()
    );
    println!(
        "Percent of the test rows right after so many iterations; in brackets, the largest logit the cubic saw:\n"
    );
    println!(
        "| recipe | scaler |{} |",
        ITERATIONS.map(|iterations| format!(" {iterations} |")).concat().trim_end_matches('|')
    );
    println!("|---|---|{}", "---|".repeat(ITERATIONS.len()));
    for preset in [Preset::Paper, Preset::Default] {
        for kind in KINDS {
            let mut cells = String::new();
            for iterations in ITERATIONS {
                let recipe = preset.recipe(iterations, &overrides(preset, kind))?;
                let scaler = Scaler::fit(kind, recipe.lambda(), train.features())?;
                let x = scaler.apply_with_ones(train.features())?;
                let iterates = twin::train(&recipe, &x, &labels, classes.len());
                let largest = iterates.iter().map(|iterate| iterate.largest_logit).fold(0.0, f64::max);
                let last = &iterates[iterations - 1];
                let cell = match Head::from_scaled(&scaler, &last.weights, classes.clone(), &recipe) {
                    Ok(head) => format!(" {:.1} [{largest:.1}] |", 100.0 * head.evaluate(&test)?.accuracy),
                    Err(_) => " diverges |".to_owned(),
                };
                cells.push_str(&cell);
            }
            println!("| {preset} | {kind} |{cells}");
        }
    }
    Ok(())
}

/// The scaler, unless the preset has it anyway.
fn overrides(preset: Preset, kind: ScalerKind) -> RecipeOverrides {
    let usual = match preset {
        Preset::Paper => ScalerKind::None,
        Preset::Default => ScalerKind::Whiten,
    };
    RecipeOverrides { scaler: (kind != usual).then_some(kind), ..RecipeOverrides::default() }
}

fn read(path: &str) -> Result<FeatureTable, Box<dyn Error>> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = TableFormat::from_extension(extension)?;
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    FeatureTable::parse(&bytes, format, LabelColumn::Present).map_err(|error| format!("{path}: {error}").into())
}
