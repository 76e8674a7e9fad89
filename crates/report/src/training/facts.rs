//! Times, parameters, the recipe in words, and what the server saw.

use ciphertune_head::ScalerKind;
use ciphertune_head::recipe::{Bound, Cubic, Gradient, Sigmoid};
use maud::{Markup, html};

use crate::page::wide;
use ciphertune_session::rehearsal::Findings;
use ciphertune_session::text::{bytes, count, seconds};

/// Who did what, how long, and what came of it.
pub fn time(findings: &Findings) -> Markup {
    let s = findings.seconds;
    let steps = [
        ("owner", "plans", s.plan, String::new()),
        ("owner", "makes keys", s.keygen, format!("{} for the server", bytes(findings.key_bytes))),
        (
            "owner",
            "scales and encrypts",
            s.encrypt,
            format!("{} in {}", bytes(findings.upload_bytes), count(findings.upload_ciphertexts, "ciphertext")),
        ),
        ("server", "reads and checks", s.load, String::new()),
        (
            "server",
            "trains",
            s.train,
            format!(
                "{}, {}",
                count(findings.key_switches as usize, "key switch"),
                count(findings.products as usize, "product")
            ),
        ),
        ("owner", "decrypts", s.decrypt, format!("{} of model", bytes(findings.model_bytes))),
        ("to compare", "the same in the clear", s.plaintext, String::new()),
    ];
    let features = findings.provenance.as_ref().map_or_else(String::new, |provenance| provenance.backbone.clone());
    let extracted = (s.extract > 0.0).then_some(("owner", "makes features", s.extract, features));
    let steps: Vec<_> = extracted.into_iter().chain(steps).collect();
    let longest = steps.iter().map(|(.., took, _)| *took).fold(f64::MIN_POSITIVE, f64::max);
    let caption = format!("Wall-clock time on this machine, with {}", count(findings.threads, "thread"));
    html! {
        section {
            h2 { "Time" }
            (wide("Time of every step", &caption, html! {
                table #time {
                    thead { tr { th scope="col" { "step" } th scope="col" { "who" } th.number scope="col" { "time" } th.time {} th scope="col" { "result" } } }
                    tbody {
                        @for (who, what, took, result) in &steps {
                            tr {
                                th scope="row" { (what) } td { (who) } td.number { (seconds(*took)) }
                                td.time { span.bar style=(format!("--share:100%;width:{:.1}%", 100.0 * took / longest)) {} }
                                td { (result) }
                            }
                        }
                    }
                }
            }))
            @if let Some(peak) = findings.peak_memory_bytes {
                p.note { "Peak memory of all roles in one process: " (bytes(peak)) "." }
            }
        }
    }
}

/// The encryption and the layout.
pub fn parameters(findings: &Findings) -> Markup {
    let bound = findings.log_qp_bound.map(|bound| format!(" of at most {bound}")).unwrap_or_default();
    let precision = &findings.precision_bits;
    let facts = [
        (
            "Security",
            format!("{} bits", findings.security_bits),
            "at least, against known attacks (Bossuat et al. 2024)".to_owned(),
        ),
        ("Ring", format!("N = 2^{}", findings.log_n), "RNS-CKKS, ternary secret".to_owned()),
        (
            "Modulus",
            format!("log QP = {:.0}{bound}", findings.log_qp),
            "bits; more is refused for this ring".to_owned(),
        ),
        (
            "Levels",
            findings.levels.to_string(),
            format!("of a fresh ciphertext; {} left after training", findings.levels_left),
        ),
        ("Evaluation keys", bytes(findings.key_bytes), count(findings.keys, "key")),
        ("Upload", bytes(findings.upload_bytes), count(findings.upload_ciphertexts, "ciphertext")),
        ("Model", bytes(findings.model_bytes), "encrypted, as it comes back".to_owned()),
        ("Layout", findings.layout.to_string(), "how the table lies in ciphertexts".to_owned()),
        (
            "Precision",
            format!("{:.1} bits", precision.measured),
            format!("of the trained weights, measured; {:.1} were predicted", precision.predicted),
        ),
    ];
    html! {
        section {
            h2 { "Encryption" }
            dl.facts #parameters { @for (name, value, remark) in &facts { div { dt { (name) } dd { (value) } dd.note { (remark) } } } }
        }
    }
}

/// The recipe in words.
pub fn recipe(findings: &Findings) -> Markup {
    let recipe = &findings.recipe;
    let batches = recipe.batches(findings.rows);
    let scaler = match recipe.scaler() {
        ScalerKind::None => "As they are.",
        ScalerKind::Center => "Shifted to mean zero.",
        ScalerKind::Standardize => "Shifted and scaled to mean zero and variance one.",
        ScalerKind::Whiten => "Whitened: mean zero, covariance about the identity. No label enters.",
    };
    let gradient = match (recipe.gradient(), recipe.bound()) {
        (Gradient::Plain, _) => "The plain gradient: steps of G / (n t) in iteration t.",
        (Gradient::Quadratic, Bound::Quarter) => {
            "Quadratic Gradient: steps of (1 + 1 / (n t)) G / Bbar with Bbar = n / 4, the Hessian's bound for whitened features."
        }
        (Gradient::Quadratic, Bound::RowSums) => {
            "Quadratic Gradient: steps of (1 + 1 / (n t)) G / Bbar, where Bbar bounds the Hessian's diagonal by row sums."
        }
    };
    let sigmoid = match recipe.sigmoid() {
        Sigmoid::Cubic(Cubic { c1, c3, .. }) => {
            format!("The cubic 1/2 + {c1} z {} {} z³", if c3 < 0.0 { "-" } else { "+" }, c3.abs())
        }
        fit => format!("A polynomial of degree {fit}"),
    };
    let start = match recipe.initial_weight() {
        0.0 => "All weights begin at zero, so that the first iteration needs no forward pass.".to_owned(),
        w0 => format!("All weights begin at {w0}."),
    };
    html! {
        section {
            h2 { "Recipe " (recipe.name()) }
            dl.plain {
                @if let Some(provenance) = &findings.provenance {
                    dt { "Backbone" } dd { (provenance) ". Preprocessing: " code { (provenance.preprocess) } }
                }
                dt { "Features" } dd { (scaler) }
                dt { "Gradient" } dd { (gradient) @if recipe.learning_rate() != 1.0 { " Every step times " (recipe.learning_rate()) "." }
                    @if recipe.decay() != 0.0 { " Step t is divided by t to the power of " (recipe.decay()) "." }
                    @if recipe.ridge() != 0.0 { " A ridge of " (recipe.ridge()) " pulls weights towards zero." }
                    @if batches.count() > 1 {
                        " Each iteration takes one of " (batches.count()) " batches of about " (batches.most_rows()) " rows; n is their number, and t counts epochs where steps get shorter."
                    } }
                dt { "Sigmoid" } dd {
                    (format!("{sigmoid} in its place, meant for |z| up to {}. The largest logit in training was {:.2}.",
                        recipe.sigmoid().range(), findings.largest_logit))
                }
                dt { "Start and momentum" } dd { (start) (format!(" Nesterov's sequence begins at a = {}.", recipe.momentum())) }
            }
        }
    }
}

/// What the server learned, and what the page tells.
pub fn seen(findings: &Findings) -> Markup {
    html! {
        section {
            h2 { "Who sees what" }
            dl.plain {
                dt { "The server" } dd { "saw the shape of the table (" (count(findings.rows, "row")) ", " (count(findings.features, "feature")) ", "
                    (count(findings.classes, "class")) "), the recipe and the time. It saw no feature, label, class name, scaler, weight or accuracy." }
                dt { "This page" } dd { "is for the owner of the data: it shows test rows and exact scores of a head that was decrypted without noise for publication." }
            }
        }
    }
}
