//! The page and the drawing of `curves`.

use ciphertune_head::ScalerKind;
use ciphertune_head::curves::{Course, Curve, Method};
use maud::{Markup, html};

use super::outcome::{Outcome, mean};
use crate::chart::{Axis, Chart, Dash, Look, Series, legend, standalone};
use crate::page::{self, wide};
use ciphertune_session::text::{count, percent, seconds, thousands};

/// The page.
pub fn page(outcome: &Outcome, json: &str) -> String {
    let title = "How the methods learn, in the clear";
    let subtitle = format!(
        "{} x {}, {}; {}; {} of gradient descent, nothing encrypted.",
        count(outcome.rows, "training row"),
        count(outcome.features, "feature"),
        count(outcome.classes, "class"),
        count(outcome.test_rows, "test row"),
        count(outcome.iterations, "iteration"),
    );
    let charts = charts(outcome);
    let correct = format!(
        "Per cent of {} test rows right after so many iterations; the best of each in bold",
        thousands(outcome.test_rows as u64)
    );
    let last = format!("After {}; log-likelihood and SLE are means of a row", count(outcome.iterations, "iteration"));
    let body = html! {
        section {
            h2 { "Accuracy on the test rows" }
            (wide("Accuracy on the test rows after some iterations", &correct, accuracies(outcome)))
        }
        section {
            h2 { "Every iteration" }
            (legend(&charts[0].series))
            div.charts { @for chart in &charts { figure { (chart.figure()) } } }
            p.note {
                "Iterations and losses are on logarithmic scales, and accuracies by the logarithm of the share that is wrong, so that 90, 99 and 99.9 % are equally far "
                "apart; a table with no row wrong is drawn at half a row. Losses are a row's mean: the log-likelihood is that of a softmax, "
                "the SLE (squared likelihood error) that of a sigmoid a class, which training with a softmax does not care for. Zero is perfect."
            }
        }
        section {
            h2 { "After the last iteration" }
            (wide("Scores after the last iteration", &last, scores(outcome)))
        }
        section {
            h2 { "What was trained" }
            (methods(outcome))
            p.note { "All of it took " (seconds(outcome.seconds)) " with " (count(outcome.threads, "thread")) ". Every point is in "
                code { "curves.csv" } ", the figures as a drawing in " code { "curves.svg" } "." }
        }
    };
    page::page(title, &subtitle, body, json)
}

/// The charts as one drawing.
pub fn drawing(outcome: &Outcome) -> String {
    standalone(&charts(outcome))
}

fn accuracies(outcome: &Outcome) -> Markup {
    let stops = outcome.stops();
    let best = |t: usize| outcome.curves.iter().map(|curve| curve.test.accuracy[t]).fold(0.0, f64::max);
    html! {
        table #accuracies {
            thead { tr { th scope="col" { "method" } @for t in &stops { th.number scope="col" { (t) } } } }
            tbody {
                @for curve in &outcome.curves {
                    tr {
                        th scope="row" { (curve.method) }
                        @for &t in &stops {
                            @let accuracy = curve.test.accuracy[t];
                            td.number.best[accuracy == best(t)] { (format!("{:.1}", 100.0 * accuracy)) }
                        }
                    }
                }
            }
        }
    }
}

fn scores(outcome: &Outcome) -> Markup {
    let last = outcome.iterations;
    let cells = |course: &Course, rows: usize| {
        [percent(course.accuracy[last]), mean(course.log_likelihood[last], rows), mean(course.sle[last], rows)]
    };
    html! {
        table {
            thead {
                tr { th {} th.number colspan="3" scope="colgroup" { "training rows" } th.number colspan="3" scope="colgroup" { "test rows" } }
                tr { th scope="col" { "method" } @for _ in 0..2 {
                    @for name in ["right", "log-likelihood", "SLE"] { th.number scope="col" { (name) } }
                } }
            }
            tbody {
                @for curve in &outcome.curves {
                    tr {
                        th scope="row" { (curve.method) }
                        @for cell in cells(&curve.train, outcome.rows) { td.number { (cell) } }
                        @for cell in cells(&curve.test, outcome.test_rows) { td.number { (cell) } }
                    }
                }
            }
        }
    }
}

fn methods(outcome: &Outcome) -> Markup {
    html! {
        dl.plain {
            @for curve in &outcome.curves {
                dt { (curve.method) }
                dd { (explanation(curve.method)) }
            }
        }
        p.note {
            "G is the gradient of the log-likelihood, n the number of training rows, t the iteration from 1. All weights begin at zero, all methods have Nesterov's "
            "accelerated gradient (NAG), and sigmoids are the true ones, their argument clamped to 8 on both sides. Encrypted training has a polynomial instead."
        }
    }
}

fn explanation(method: Method) -> &'static str {
    match method {
        Method::SoftmaxNag => "Features as they are; softmax; steps of G / (n t).",
        Method::SigmoidNag => "Features as they are; a sigmoid for every class; steps of G / (n t).",
        Method::SigmoidQuadratic => {
            "Features as they are; a sigmoid for every class; Quadratic Gradient: steps of (1 + 1 / (n t)) G / Bbar, where Bbar bounds the Hessian's diagonal by row sums. The method of arXiv 2304.03807."
        }
        Method::Scaled(ScalerKind::None) => "As the last, with Nesterov's sequence from a = 1: the first step counts.",
        Method::Scaled(ScalerKind::Center) => {
            "Features of mean zero, Quadratic Gradient, Nesterov's sequence from a = 1."
        }
        Method::Scaled(ScalerKind::Standardize) => {
            "Features of mean zero and variance one, Quadratic Gradient, Nesterov's sequence from a = 1."
        }
        Method::Scaled(ScalerKind::Whiten) => {
            "Features of mean zero and covariance about the identity, where Bbar = n/4 is close to the Hessian itself; Nesterov's sequence from a = 1. Recipe default, the one that is encrypted unless another is asked for."
        }
    }
}

fn charts(outcome: &Outcome) -> Vec<Chart> {
    let mut charts = Vec::new();
    let accuracy: Pick = |course, t, _| course.accuracy[t];
    let log_likelihood: Pick = |course, t, rows| -course.log_likelihood[t] / rows;
    let sle: Pick = |course, t, rows| -course.sle[t] / rows;
    let both: [(&str, Of, usize); 2] =
        [("training rows", |curve| &curve.train, outcome.rows), ("test rows", |curve| &curve.test, outcome.test_rows)];
    for (what, label, pick) in [
        ("Accuracy", "rows right", accuracy),
        ("Loss: minus log-likelihood", "nats a row", log_likelihood),
        ("Loss: minus SLE", "nats a row", sle),
    ] {
        for (table, course, rows) in both {
            charts.push(chart(outcome, &format!("{what}, {table}"), label, (course, rows), pick));
        }
    }
    charts
}

/// One of the two tables.
type Of = fn(&Curve) -> &Course;

/// A number of one iteration, from a course and its number of rows.
type Pick = fn(&Course, usize, f64) -> f64;

fn chart(outcome: &Outcome, title: &str, label: &str, (course, rows): (Of, usize), pick: Pick) -> Chart {
    let value = |curve: &Curve, t: usize| pick(course(curve), t, rows as f64);
    let series: Vec<Series> = outcome
        .curves
        .iter()
        .map(|curve| Series {
            name: curve.method.to_string(),
            look: look(curve.method),
            points: (1..=outcome.iterations).map(|t| (t as f64, value(curve, t))).collect(),
        })
        .collect();
    let values = || series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value));
    let y = match label {
        "rows right" => Axis::accuracy(rows, values()).named(label),
        _ => Axis::log(label, values()),
    };
    let ends: Vec<String> = outcome
        .curves
        .iter()
        .map(|curve| format!("{} {}", curve.method, y.show(value(curve, outcome.iterations))))
        .collect();
    let description = format!("{title}, by iteration. After {}: {}.", outcome.iterations, ends.join("; "));
    Chart { title: title.to_owned(), description, x: Axis::iterations(outcome.iterations), y, series }
}

/// The paper's methods in ink, ours in the accent colour.
fn look(method: Method) -> Look {
    match method {
        Method::SoftmaxNag => Look::line(false, Dash::Dotted),
        Method::SigmoidNag => Look::line(false, Dash::Dashed),
        Method::SigmoidQuadratic => Look::line(false, Dash::Solid),
        Method::Scaled(ScalerKind::None) => Look::line(true, Dash::Mixed),
        Method::Scaled(ScalerKind::Center) => Look::line(true, Dash::Dotted),
        Method::Scaled(ScalerKind::Standardize) => Look::line(true, Dash::Dashed),
        Method::Scaled(ScalerKind::Whiten) => Look::line(true, Dash::Solid),
    }
}
