//! Two encrypted iterations at 128 bits, in both layouts and with both recipes: what the server does, from the
//! expansion of the upload to the encrypted model. Reading and writing of documents is not counted.
//!
//! Features are made up here. If the variable CIPHERTUNE_DATA names a folder that holds the table [`MNIST`], its first
//! 4,096 rows are trained on as well.

// criterion_group! makes a public function without documentation.
#![allow(missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use ciphertune_head::job::{owner, server};
use ciphertune_head::layout::{LayoutKind, Shape};
use ciphertune_head::plan::{self, Constraints};
use ciphertune_head::train::Returned;
use ciphertune_head::{Classes, DMatrix, FeatureTable, LabelColumn, Recipe, TableFormat};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};

/// Features of MNIST images, 768 a row.
const MNIST: &str = "mnist_mobilenet_v1_0.75/train_first8192.npz";
/// Rows of it that are trained on.
const MNIST_ROWS: usize = 4096;

/// Positive features, as a backbone's are, that lean towards their class.
fn made_up(rows: usize, features: usize, classes: usize) -> FeatureTable {
    let wave = |x: usize, y: usize| (1.7 * x as f64 + 0.9 * y as f64 + 0.13 * (x * y) as f64).sin();
    let x = DMatrix::from_fn(rows, features, |row, k| {
        (0.6 + 0.3 * wave(row % classes, k) + 0.2 * wave(row + 100, 3 * k + 7)).max(0.0)
    });
    let labels = (0..rows).map(|row| (row % classes).to_string()).collect();
    FeatureTable::new(x, Some(labels)).expect("as many labels as rows")
}

fn mnist() -> Option<FeatureTable> {
    let folder = std::env::var_os("CIPHERTUNE_DATA")?;
    let path = Path::new(&folder).join(MNIST);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let table = FeatureTable::parse(&bytes, TableFormat::Npz, LabelColumn::Present).expect("a feature table");
            Some(table.first_rows(MNIST_ROWS))
        }
        Err(error) => {
            eprintln!("{}: {error}: the training on MNIST is left out", path.display());
            None
        }
    }
}

fn bench_training(c: &mut Criterion, table: &FeatureTable, layout: LayoutKind, recipe: &Recipe) {
    let classes = Classes::from_labels(table.require_labels().unwrap()).unwrap().len();
    let shape = Shape { rows: table.rows(), features: table.columns(), classes };
    let name = format!("{} x {} x {classes}, 2 iterations", shape.rows, shape.features);
    let mut group = c.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(1));
    group.measurement_time(Duration::from_secs(1));
    group.bench_function(BenchmarkId::new(layout.to_string(), recipe.name()), |b| {
        // In here, so that what a filter leaves out is not made ready.
        let plan = plan::choose(shape, recipe, &Constraints { layout, ..Constraints::default() }).unwrap();
        let keys = owner::Keys::generate(&plan).unwrap();
        let mut evaluation_keys = Vec::new();
        keys.write_evaluation_keys(&mut evaluation_keys).unwrap();
        let upload = {
            let mut out = std::io::Cursor::new(Vec::new());
            owner::encrypt(&keys, table, None, &mut out, &|_, _| Ok(())).unwrap();
            out.into_inner()
        };
        b.iter_custom(|iterations| {
            let mut time = Duration::ZERO;
            for _ in 0..iterations {
                let trainer = server::Trainer::new(&upload, &evaluation_keys).unwrap();
                let start = Instant::now();
                let model = trainer.train(Returned::Last).unwrap();
                time += start.elapsed();
                drop(model);
            }
            time
        });
    });
}

fn training(c: &mut Criterion) {
    let recipes = [Recipe::default_for(2).unwrap(), Recipe::paper(2).unwrap()];
    let table = made_up(128, 400, 10);
    for layout in [LayoutKind::ClassDiagonal, LayoutKind::VolleyRevolver] {
        for recipe in &recipes {
            bench_training(c, &table, layout, recipe);
        }
    }
    if let Some(table) = mnist() {
        bench_training(c, &table, LayoutKind::ClassDiagonal, &recipes[0]);
    }
}

criterion_group!(benches, training);
criterion_main!(benches);
