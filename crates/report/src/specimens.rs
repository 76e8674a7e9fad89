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
    use ciphertune_head::{Classes, DMatrix, DVector, FeatureTable, Head};

    /// Three classes named to be escaped; the logit of class k is feature k.
    fn head() -> Head {
        let names = ["<b>", "&", "\""].map(str::to_owned).to_vec();
        Head::new(DMatrix::identity(3, 3), DVector::zeros(3), Classes::from_names(names).unwrap()).unwrap()
    }

    fn table(pictures: bool) -> Examples {
        let features = [[3.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 3.0, -3.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
        let labels = ["<b>", "\"", "\"", "\"", "&"].map(str::to_owned).to_vec();
        let features = DMatrix::from_row_slice(5, 3, features.as_flattened());
        let table = FeatureTable::new(features, Some(labels)).unwrap();
        let picture = |grey| Picture::new(1, 1, 1, vec![grey]).unwrap();
        match pictures {
            true => Examples::of_pictures("p", table, (0..5).map(picture).collect()),
            false => Examples::of_table("t", table),
        }
    }

    #[test]
    fn pictures_are_in_the_page_with_what_they_are_taken_for() {
        for pictures in [true, false] {
            let test = table(pictures);
            let text = section(&Specimens::choose(&head(), &test).unwrap(), &test).unwrap().into_string();
            assert_eq!(text.matches("src=\"data:image/png;base64,iVBORw0KGgo").count(), if pictures { 5 } else { 0 });
            assert_eq!(text.contains("alt=\"Test row 3: &quot;, taken for &amp;\""), pictures, "{text}");
            assert!(!text.contains("<b>") && text.contains("&lt;b&gt;"), "{text}");
        }
    }
}
