//! The page of `evaluate`.

use ciphertune_head::Provenance;
use ciphertune_head::metrics::{Evaluation, accuracy_interval};
use maud::html;

use crate::page;
use crate::scores::{Figure, confusion, figures, interval};
use crate::specimens::section;
use ciphertune_session::Result;
use ciphertune_session::examples::Examples;
use ciphertune_session::files::Privacy;
use ciphertune_session::specimens::Specimens;
use ciphertune_session::text::{count, thousands};

/// What a page says of a head, beside its scores.
pub struct About<'a> {
    /// Its classes, in order.
    pub names: &'a [String],
    /// Features a row.
    pub features: usize,
    /// Name and iterations of its recipe, if known.
    pub recipe: Option<(&'a str, usize)>,
    /// The backbone and preprocessing that made its features, if known.
    pub provenance: Option<&'a Provenance>,
    /// Who may see the page.
    pub privacy: Privacy,
}

/// The page of a head's scores on `test`.
pub fn page(
    about: &About,
    evaluation: &Evaluation,
    specimens: &Specimens,
    test: &Examples,
    json: &str,
) -> Result<String> {
    let rows = evaluation.rows.max(1) as f64;
    let trained = match about.recipe {
        Some((name, iterations)) => format!(", trained with {} of recipe {name}", count(iterations, "iteration")),
        None => String::new(),
    };
    let subtitle = format!(
        "A linear head for {} and {}{trained}, on {}.",
        count(about.features, "feature"),
        count(about.names.len(), "class"),
        count(evaluation.rows, "test row")
    );
    let figure = Figure {
        id: "accuracy",
        name: "On the test rows",
        right: evaluation.right,
        rows: evaluation.rows,
        remark: interval(accuracy_interval(evaluation.right, evaluation.rows)),
    };
    let body = html! {
        section {
            h2 { "Accuracy" }
            (figures(&[figure]))
            dl.facts {
                div { dt { "Log-likelihood" } dd #log-likelihood { (format!("{:.2}", evaluation.log_likelihood)) } dd.note { "of a softmax; "
                    (format!("{:.4}", evaluation.log_likelihood / rows)) " a row" } }
                div { dt { "SLE" } dd #sle { (format!("{:.2}", evaluation.sle)) } dd.note { "squared likelihood error, of a sigmoid a class; "
                    (format!("{:.4}", evaluation.sle / rows)) " a row, 0 is perfect" } }
            }
            @if let Some(provenance) = about.provenance {
                dl.plain { dt { "Backbone" } dd { (provenance) ". Preprocessing: " code { (provenance.preprocess) } } }
            }
            @if about.privacy == Privacy::Private {
                p.note { strong { "Keep this page to yourself. " } "The head was decrypted without " code { "--publish" }
                    ": its exact outputs on " (thousands(evaluation.rows as u64)) " rows tell about the noise in it, and that noise depends on the secret key." }
            }
        }
        (confusion(about.names, &evaluation.confusion))
        (section(specimens, test)?)
    };
    Ok(page::page("A head's scores", &subtitle, body, json))
}
