//! The page of `run` and `demo`: encrypted training beside the same in the clear.

mod facts;

use maud::{Markup, html};

use crate::chart::{Axis, Chart, Dash, Look, Marks, Series, legend};
use crate::scores::{Figure, confusion, figures, interval};
use crate::{page, specimens};
use ciphertune_session::Result;
use ciphertune_session::examples::Examples;
use ciphertune_session::rehearsal::Findings;
use ciphertune_session::text::{count, thousands};

/// Encrypted, in the accent colour, within the rings of the twin.
const ENCRYPTED: Look = Look { accent: true, dash: Dash::Solid, marks: Marks::Dots };
const CLEAR: Look = Look { accent: false, dash: Dash::Dashed, marks: Marks::Rings };

/// The page of what was found on the test rows.
pub fn page(findings: &Findings, test: &Examples, json: &str) -> Result<String> {
    let title = format!("Trained on {}, encrypted", count(findings.rows, "row"));
    let subtitle = format!(
        "{} and {}; {} of recipe {}; tested on {}.",
        count(findings.features, "feature"),
        count(findings.classes, "class"),
        count(findings.iterations, "iteration"),
        findings.recipe.name(),
        count(findings.test_rows, "row"),
    );
    let body = html! {
        (accuracy(findings))
        (course(findings))
        (confusion(&findings.class_names, &findings.confusion))
        (specimens::section(&findings.specimens, test)?)
        (facts::time(findings))
        (facts::parameters(findings))
        (facts::recipe(findings))
        (facts::seen(findings))
    };
    Ok(page::page(&title, &subtitle, body, json))
}

fn accuracy(findings: &Findings) -> Markup {
    let rows = findings.test_rows;
    let mut shown = vec![
        Figure {
            id: "accuracy",
            name: "Trained encrypted",
            right: findings.right,
            rows,
            remark: interval(findings.accuracy_interval),
        },
        Figure {
            id: "accuracy-plaintext",
            name: "Trained in the clear",
            right: findings.right_plaintext,
            rows,
            remark: "the same recipe in double precision".to_owned(),
        },
    ];
    if let Some(pixels) = &findings.raw_pixels {
        let remark = "in the clear, without a backbone".to_owned();
        shown.push(Figure { id: "accuracy-pixels", name: "On raw pixels", right: pixels.right, rows, remark });
    }
    let same = match findings.same_predictions {
        n if n == rows => format!("Both heads take all {} test rows for the same classes", thousands(rows as u64)),
        n => {
            format!(
                "Both heads take {} of {} test rows for the same class",
                thousands(n as u64),
                thousands(rows as u64)
            )
        }
    };
    html! {
        section {
            h2 { "Accuracy" }
            (figures(&shown))
            p { (same) "; no weight differs by more than " span #weight-error { (format!("{:.1e}", findings.max_weight_error)) }
                " of the largest one." }
            @if !findings.logits_within_range {
                p { strong { "The approximation of the sigmoid was left. " }
                    (format!("Logits reached {:.1} in training, and the polynomial is meant for {}: use fewer iterations, a wider sigmoid, or a smaller learning rate.",
                        findings.largest_logit, findings.sigmoid_range)) }
            }
        }
    }
}

/// The curves over the iterations, if every iterate came back.
fn course(findings: &Findings) -> Markup {
    let charts = charts(findings);
    html! {
        @if let Some(first) = charts.first() {
            section {
                h2 { "Every iteration" }
                (legend(&first.series))
                div.charts {
                    @for chart in &charts { figure { (chart.figure()) } }
                    div.aside {
                        p.note { "A dot within its ring: encrypted and clear agree." }
                        p.note { "Accuracies are drawn by the logarithm of the share that is wrong. The SLE (squared likelihood error) is the mean of a row; zero is "
                            "perfect. The weight error is the largest difference of a weight or bias from the training in the clear, over the largest weight." }
                    }
                }
            }
        }
    }
}

fn charts(findings: &Findings) -> Vec<Chart> {
    let rows = findings.test_rows;
    let mut charts = Vec::new();
    let pair = |encrypted: &[f64], clear: &[f64]| {
        [("in the clear", CLEAR, clear), ("encrypted", ENCRYPTED, encrypted)].map(|(name, look, values)| Series {
            name: name.to_owned(),
            look,
            points: points(values),
        })
    };
    if let (Some(encrypted), Some(clear)) =
        (&findings.accuracy_per_iteration, &findings.accuracy_per_iteration_plaintext)
    {
        let y = Axis::accuracy(rows, encrypted.iter().chain(clear).copied());
        charts.push(chart("Accuracy", y, pair(encrypted, clear).to_vec()));
    }
    if let (Some(encrypted), Some(clear)) = (&findings.sle_per_iteration, &findings.sle_per_iteration_plaintext) {
        let [encrypted, clear] =
            [encrypted, clear].map(|list| list.iter().map(|sle| -sle / rows as f64).collect::<Vec<_>>());
        let y = Axis::log("nats a test row", encrypted.iter().chain(&clear).copied());
        charts.push(chart("Loss: minus SLE", y, pair(&encrypted, &clear).to_vec()));
    }
    if let Some(errors) = &findings.max_weight_error_per_iteration {
        let series = vec![Series { name: "encrypted".into(), look: ENCRYPTED, points: points(errors) }];
        let y = Axis::log("share of the largest weight", errors.iter().copied());
        charts.push(chart("Largest weight error", y, series));
    }
    charts
}

fn points(values: &[f64]) -> Vec<(f64, f64)> {
    values.iter().enumerate().map(|(index, value)| ((index + 1) as f64, *value)).collect()
}

fn chart(title: &str, y: Axis, series: Vec<Series>) -> Chart {
    let iterations = series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    let ends: Vec<String> = series
        .iter()
        .filter_map(|series| Some(format!("{} {}", series.name, y.show(series.points.last()?.1))))
        .collect();
    let description = format!("{title} by iteration. After the last: {}.", ends.join("; "));
    Chart { title: title.to_owned(), description, x: Axis::iterations(iterations), y, series }
}
