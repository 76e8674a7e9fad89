//! Predicts with a head: from its file to labels and probabilities. The head is trained in the clear here, by the twin;
//! one that was trained on ciphertexts is the same kind of file.
//!
//!     cargo run --release -p ciphertune-head --example predict

use std::error::Error;

use ciphertune_head::{Classes, DMatrix, Head, Recipe, Scaler, twin};

fn main() -> Result<(), Box<dyn Error>> {
    let head = Head::from_bytes(&head_file()?)?;
    let new = DMatrix::from_row_slice(3, 2, &[0.1, 21.0, 0.9, 19.0, 0.4, 20.1]);
    for (row, prediction) in head.predict(&new)?.into_iter().enumerate() {
        println!(
            "row {row}: {}, probabilities of {:?} {:.3?}",
            prediction.label,
            head.classes().names(),
            prediction.probabilities
        );
    }
    Ok(())
}

/// A head of two features and the classes `calm` and `wild`, as a program would find it on disk.
fn head_file() -> Result<Vec<u8>, Box<dyn Error>> {
    let labels: Vec<String> = (0..40).map(|row| ["calm", "wild"][row % 2].to_string()).collect();
    let x = DMatrix::from_fn(40, 2, |row, k| {
        let (class, jitter) = ((row % 2) as f64, 0.2 * ((3 * row + k) as f64).sin());
        if k == 0 { class + jitter } else { 21.0 - 2.0 * class + jitter }
    });
    let (recipe, classes) = (Recipe::default_for(2)?, Classes::from_labels(&labels)?);
    let scaler = Scaler::fit_for(&recipe, &x)?;
    let iterates = twin::train(&recipe, &scaler.apply_with_ones(&x)?, &classes.indices(&labels)?, classes.len());
    let last = iterates.last().ok_or("a recipe has at least one iteration")?;
    Ok(Head::from_scaled(&scaler, &last.weights, classes, &recipe)?.to_bytes()?)
}

#[test]
fn it_runs() -> Result<(), Box<dyn Error>> {
    main()
}
