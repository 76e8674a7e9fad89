//! Some test rows on a page, right and wrong, with their pictures and what the head takes them for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciphertune_backbone::Picture;
use ciphertune_session::Result;
use ciphertune_session::examples::Examples;
use ciphertune_session::specimens::{Probability, Specimen, Specimens};
use ciphertune_session::text::thousands;
use maud::{Markup, html};

/// The longer side of a picture on the page, in pixels; smaller ones are kept as they are.
const SIDE: usize = 112;

/// The section of a page, with pictures where the test rows have some.
pub fn section(chosen: &Specimens, test: &Examples) -> Result<Markup> {
    let parts = [
        ("Wrong, the most mistaken first", &chosen.wrong, "No test row is wrong."),
        ("Right, of every class in turn", &chosen.right, "No test row is right."),
    ];
    let mut shown = Vec::new();
    for (title, specimens, none) in parts {
        let content = match specimens.as_slice() {
            [] => html! { p { (none) } },
            _ => strip(specimens, test)?,
        };
        shown.push(html! { h3 { (title) } (content) });
    }
    Ok(html! {
        section #rows {
            h2 { "Test rows" }
            @for part in &shown { (part) }
            p.note { "A probability is the sigmoid of a class's logit, divided by the sum of all classes' sigmoids. "
                "Rows count from 1." }
        }
    })
}

fn strip(specimens: &[Specimen], test: &Examples) -> Result<Markup> {
    let rows: Vec<usize> = specimens.iter().map(|specimen| specimen.row - 1).collect();
    // Empty where the rows came as features.
    let pictures = test.pictures(&rows)?;
    let uri =
        |picture: &Picture| format!("data:image/png;base64,{}", STANDARD.encode(picture.thumbnail(SIDE).to_png()));
    let is_small = |picture: &Picture| picture.width().max(picture.height()) < SIDE / 2;
    Ok(html! {
        ul.strip {
            @for (index, specimen) in specimens.iter().enumerate() {
                li {
                    @if let Some(picture) = pictures.get(index) {
                        img.pixels[is_small(picture)] src=(uri(picture)) alt=(describe(specimen));
                    }
                    p.verdict { (verdict(specimen)) }
                    (bars(specimen))
                    p.place {
                        "row " (thousands(specimen.row as u64))
                        @if let Some(name) = &specimen.name { br; (name) }
                    }
                }
            }
        }
    })
}

fn describe(specimen: &Specimen) -> String {
    match specimen.is_right() {
        true => format!("Test row {}: {}, rightly predicted", specimen.row, specimen.label),
        false => format!("Test row {}: {}, taken for {}", specimen.row, specimen.label, specimen.predicted),
    }
}

fn verdict(specimen: &Specimen) -> Markup {
    html! {
        @if specimen.is_right() { strong { (specimen.label) } }
        @else { strong { (specimen.label) } " taken for " strong.best { (specimen.predicted) } }
    }
}

fn bars(specimen: &Specimen) -> Markup {
    html! {
        ul.bars {
            @for Probability { class, probability } in &specimen.probabilities {
                li.own[*class == specimen.label].long[class.chars().count() > 5] {
                    span.class { (class) }
                    span.bar style=(format!("--share:{:.1}%", 100.0 * probability)) {}
                    span.value { (format!("{probability:.2}")) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciphertune_head::{DMatrix, FeatureTable};

    /// Two rows with names to be escaped, one of them wrong, and with pictures or without.
    fn rows(pictures: bool) -> (Specimens, Examples) {
        let probability = |class: &str, probability| Probability { class: class.to_owned(), probability };
        let specimen = |row, label: &str, predicted: &str| Specimen {
            row,
            name: None,
            label: label.to_owned(),
            predicted: predicted.to_owned(),
            probabilities: vec![probability(predicted, 0.75), probability(label, 0.25)],
        };
        let chosen = Specimens { wrong: vec![specimen(2, "\"", "&")], right: vec![specimen(1, "<b>", "<b>")] };
        let labels = Some(vec!["<b>".to_owned(), "\"".to_owned()]);
        let table = FeatureTable::new(DMatrix::zeros(2, 3), labels).unwrap();
        let picture = |grey| Picture::new(1, 1, 1, vec![grey]).unwrap();
        let examples = match pictures {
            true => Examples::of_pictures("p", table, (0..2).map(picture).collect()),
            false => Examples::of_table("t", table),
        };
        (chosen, examples)
    }

    #[test]
    fn pictures_are_in_the_page_with_what_they_are_taken_for() {
        for pictures in [true, false] {
            let (chosen, test) = rows(pictures);
            let text = section(&chosen, &test).unwrap().into_string();
            assert_eq!(text.matches("src=\"data:image/png;base64,iVBORw0KGgo").count(), if pictures { 2 } else { 0 });
            assert_eq!(text.contains("alt=\"Test row 2: &quot;, taken for &amp;\""), pictures, "{text}");
            assert!(!text.contains("<b>") && text.contains("&lt;b&gt;"), "{text}");
            assert!(text.contains("0.75") && text.contains("0.25"), "{text}");
        }
    }
}
