//! What a page says of accuracy: the figures, and which classes are taken for which.

use maud::{Markup, html};

use crate::page::wide;
use ciphertune_session::text::{percent, thousands};

/// One large figure.
pub struct Figure<'a> {
    /// Its identifier on the page.
    pub id: &'a str,
    /// What it is.
    pub name: &'a str,
    /// Rows right.
    pub right: usize,
    /// Of so many.
    pub rows: usize,
    /// What else is to be said.
    pub remark: String,
}

/// Accuracies side by side, the first in the accent colour.
pub fn figures(figures: &[Figure]) -> Markup {
    html! {
        dl.figures {
            @for figure in figures {
                div {
                    dt { (figure.name) }
                    dd {
                        strong id=(figure.id) { (percent(figure.right as f64 / figure.rows.max(1) as f64)) }
                        span { (thousands(figure.right as u64)) " of " (thousands(figure.rows as u64)) " test rows right" }
                        @if !figure.remark.is_empty() { span { (figure.remark) } }
                    }
                }
            }
        }
    }
}

/// The interval of an accuracy in words.
pub fn interval((low, high): (f64, f64)) -> String {
    format!("95 % interval: {:.1} to {:.1} %", 100.0 * low, 100.0 * high)
}

const CONFUSION: &str = "Test rows by their class (down) and the predicted one (across). Recall: share of a class's rows that are right. \
    Precision: share of the rows taken for a class that are of it.";

/// The confusion matrix with every class's recall and precision.
pub fn confusion(names: &[String], counts: &[Vec<usize>]) -> Markup {
    let of_class: Vec<usize> = counts.iter().map(|row| row.iter().sum()).collect();
    let taken: Vec<usize> = (0..names.len()).map(|class| counts.iter().map(|row| row[class]).sum()).collect();
    let right = |class: usize| counts[class][class];
    let rows: usize = of_class.iter().sum();
    let all_right: usize = (0..names.len()).map(right).sum();
    // Long names stand upright, so that the columns stay narrow.
    let tall = names.iter().any(|name| name.chars().count() > 5);
    let miss =
        |class: usize| (0..names.len()).filter(move |&other| other != class).map(move |other| counts[class][other]);
    let worst =
        (0..names.len()).filter_map(|class| Some(part(miss(class).max()?, of_class[class]))).fold(0.0, f64::max);
    html! {
        section {
            h2 { "Which classes are taken for which" }
            (wide("Confusion matrix", CONFUSION, html! {
                table.confusion #confusion {
                    thead { tr {
                        th scope="col" { "class" }
                        @for name in names { th.number scope="col" { span.upright[tall] { (name) } } }
                        th.number.total scope="col" { "rows" } th.number scope="col" { "recall" }
                    } }
                    tbody {
                        @for (class, name) in names.iter().enumerate() {
                            tr {
                                th scope="row" { (name) }
                                @for (other, &n) in counts[class].iter().enumerate() { (cell(n, of_class[class], (class != other).then_some(worst))) }
                                td.number.total { (thousands(of_class[class] as u64)) }
                                td.number { (share(right(class), of_class[class])) }
                            }
                        }
                    }
                    tfoot {
                        tr {
                            th scope="row" { "taken for" }
                            @for &n in &taken { td.number { (thousands(n as u64)) } }
                            td.number.total { (thousands(rows as u64)) } td {}
                        }
                        tr {
                            th scope="row" { "precision" }
                            @for class in 0..names.len() { td.number { (share(right(class), taken[class])) } }
                            td.number.total {} td.number { (share(all_right, rows)) }
                        }
                    }
                }
            }))
        }
    }
}

/// Tinted by the share of the class's rows: hits in the accent colour, mistakes in ink and against the `worst` share of
/// any, since they are few.
fn cell(n: usize, of: usize, worst: Option<f64>) -> Markup {
    let share = part(n, of);
    let (class, tint) = match worst {
        None => ("hit", 42.0 * share),
        Some(worst) => ("miss", 36.0 * (share / worst).sqrt()),
    };
    html! {
        @if n == 0 { td.number.zero { "0" } }
        @else { td class={ "number " (class) } style=(format!("--tint:{tint:.1}%")) { (thousands(n as u64)) } }
    }
}

fn part(n: usize, of: usize) -> f64 {
    n as f64 / of.max(1) as f64
}

fn share(n: usize, of: usize) -> Markup {
    html! { @if of == 0 { abbr title="no such row" { "none" } } @else { (format!("{:.1} %", 100.0 * part(n, of))) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_and_precision_follow_from_the_counts() {
        let names = ["a".to_owned(), "<b>".to_owned(), "never".to_owned()];
        let text = confusion(&names, &[vec![3, 1, 0], vec![0, 4, 0], vec![0, 0, 0]]).into_string();
        for part in ["75.0 %", "100.0 %", "80.0 %", "87.5 %", "no such row", "&lt;b&gt;"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("class=\"number miss\"").count(), 1);
    }
}
