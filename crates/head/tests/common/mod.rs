//! Tables, plans and jobs of the tests.

use ciphertune_head::job::owner;
use ciphertune_head::layout::{LayoutKind, Shape};
use ciphertune_head::plan::{self, Constraints};
use ciphertune_head::{Classes, DMatrix, FeatureTable, Plan, Recipe, Scaler};

/// Classes as Gaussian clouds: features with structure, so that training does something.
pub fn table(rows: usize, features: usize, classes: usize, seed: u64) -> FeatureTable {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut normal = || {
        let sum: f64 = (0..12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 53) as f64
            })
            .sum();
        sum - 6.0
    };
    let centres = DMatrix::from_fn(classes, features, |_, _| normal() + 1.0);
    let labels: Vec<usize> = (0..rows).map(|row| row % classes).collect();
    let x = DMatrix::from_fn(rows, features, |row, k| centres[(labels[row], k)] + normal());
    FeatureTable::new(x, Some(labels.iter().map(|label| label.to_string()).collect())).unwrap()
}

/// The plan for a table.
pub fn plan_for(table: &FeatureTable, recipe: &Recipe, constraints: &Constraints) -> Plan {
    let classes = Classes::from_labels(table.labels().unwrap()).unwrap().len();
    let shape = Shape { rows: table.rows(), features: table.columns(), classes };
    plan::choose(shape, recipe, constraints).unwrap()
}

/// A job and what the owner keeps of it.
pub struct Job {
    pub record: owner::Record,
    pub upload: Vec<u8>,
}

/// Encrypts a table in memory.
pub fn encrypt(keys: &owner::Keys, table: &FeatureTable, scaler: Option<Scaler>) -> ciphertune_head::Result<Job> {
    let mut out = std::io::Cursor::new(Vec::new());
    let record = owner::encrypt(keys, table, scaler, &mut out, &|_, _| Ok(()))?.record;
    Ok(Job { record, upload: out.into_inner() })
}

/// On a ring that hides nothing.
pub fn toy(layout: LayoutKind) -> Constraints {
    Constraints { layout, log_n: Some(9), insecure_toy: true, ..Constraints::default() }
}
