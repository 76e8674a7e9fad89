//! What `curves` finds: one object, printed as JSON, as a table for people, and as CSV.

use std::fmt::Write as _;

use ciphertune_head::curves::Curve;
use serde::Serialize;

use ciphertune_session::text::{count, seconds};

/// Everything about a trace; the fields are those of `--json`.
#[derive(Serialize)]
pub struct Outcome {
    /// Training rows.
    pub rows: usize,
    /// Features a row.
    pub features: usize,
    /// Classes.
    pub classes: usize,
    /// Test rows.
    pub test_rows: usize,
    /// Iterations.
    pub iterations: usize,
    /// One a method; each list begins with the start, before the first iteration.
    pub curves: Vec<Curve>,
    /// Wall-clock seconds of all trainings together.
    pub seconds: f64,
    /// Threads in use.
    pub threads: usize,
    /// This program's version.
    pub version: &'static str,
}

impl Outcome {
    /// Round iterations to print, and the last one.
    pub fn stops(&self) -> Vec<usize> {
        let round = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
        round.into_iter().filter(|&t| t < self.iterations).chain([self.iterations]).collect()
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "Trained in the clear on {} x {}, {}; {}\n\n",
            count(self.rows, "row"),
            count(self.features, "feature"),
            count(self.classes, "class"),
            count(self.test_rows, "test row"),
        );
        let width = self.curves.iter().map(|curve| curve.method.to_string().len()).max().unwrap_or(0);
        let line = |text: &mut String, name: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|cell| format!(" {cell:>5}")).collect();
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<width$}{cells}");
        };
        text += "  test rows right, %, after iteration\n";
        let stops = self.stops();
        line(&mut text, "", stops.iter().map(usize::to_string).collect());
        for curve in &self.curves {
            let cells = stops.iter().map(|&t| format!("{:.1}", 100.0 * curve.test.accuracy[t]));
            line(&mut text, &curve.method.to_string(), cells.collect());
        }
        let _ = writeln!(
            text,
            "\n  after {}, a row\n  {:width$}     log-likelihood                SLE",
            count(self.iterations, "iteration"),
            ""
        );
        let _ = writeln!(text, "  {:width$}    train     test     train     test", "");
        for curve in &self.curves {
            let of = |list: &[f64], rows: usize| format!("{:>9}", mean(list[self.iterations], rows));
            let _ = writeln!(
                text,
                "  {:<width$}{}{} {}{}",
                curve.method.to_string(),
                of(&curve.train.log_likelihood, self.rows),
                of(&curve.test.log_likelihood, self.test_rows),
                of(&curve.train.sle, self.rows),
                of(&curve.test.sle, self.test_rows),
            );
        }
        let _ = writeln!(text, "\n  {} for all of it, {}", seconds(self.seconds), count(self.threads, "thread"));
        text
    }

    /// One line a method and iteration; scores are sums over the rows.
    pub fn csv(&self) -> String {
        let mut text = "method,iteration,train_accuracy,train_log_likelihood,train_sle,test_accuracy,test_log_likelihood,test_sle\n".to_owned();
        for curve in &self.curves {
            for t in 0..=self.iterations {
                let _ = write!(text, "{},{t}", curve.method.id());
                for course in [&curve.train, &curve.test] {
                    let _ = write!(text, ",{},{},{}", course.accuracy[t], course.log_likelihood[t], course.sle[t]);
                }
                text.push('\n');
            }
        }
        text
    }
}

/// A row's share of a sum, with three digits however small it is.
pub fn mean(sum: f64, rows: usize) -> String {
    match sum / rows as f64 {
        mean if mean != 0.0 && mean.abs() < 1e-3 => format!("{mean:.1e}"),
        mean => format!("{mean:.3}"),
    }
}
