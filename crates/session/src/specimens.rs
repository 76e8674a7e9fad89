//! Some test rows, right and wrong, with what the head takes them for: a look at what the scores count.

use ciphertune_head::Head;
use ciphertune_head::metrics::{predicted_classes, probabilities};
use serde::Serialize;

use crate::error::{InFile, Result};
use crate::examples::Examples;

/// Rows of either kind that are shown.
const SHOWN: usize = 12;

/// Classes whose probability is shown with a picture.
const PROBABILITIES: usize = 3;

/// Chosen test rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Specimens {
    /// Rows whose class is not predicted, the most mistaken first: those whose logits of the two classes differ most.
    pub wrong: Vec<Specimen>,
    /// Rows whose class is predicted: the first of every class, then the second, and so on.
    pub right: Vec<Specimen>,
}

/// A test row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Specimen {
    /// Its place in the test table, from 1.
    pub row: usize,
    /// What it is called within the images, if it is one.
    pub name: Option<String>,
    /// Its class.
    pub label: String,
    /// The predicted class.
    pub predicted: String,
    /// The largest probabilities, largest first, and that of its own class.
    pub probabilities: Vec<Probability>,
}

/// How sure a head is of a class, among all classes: see [`probabilities`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probability {
    /// The class.
    pub class: String,
    /// Its share of the row; those of all classes add up to one.
    pub probability: f64,
}

impl Specimens {
    /// Chooses from the rows that a head was tested on.
    pub fn choose(head: &Head, test: &Examples) -> Result<Self> {
        let logits = head.logits(test.table.features()).in_file(&test.path)?;
        let names = head.classes().names();
        let labels = test.table.require_labels().in_file(&test.path)?;
        let truth = head.classes().indices(labels).in_file(&test.path)?;
        let predicted = predicted_classes(&logits);
        let mistake = |&row: &usize| logits[(row, predicted[row])] - logits[(row, truth[row])];

        let (mut right, mut wrong): (Vec<usize>, Vec<usize>) =
            (0..truth.len()).partition(|&row| predicted[row] == truth[row]);
        wrong.sort_by(|a, b| mistake(b).total_cmp(&mistake(a)));
        let mut seen = vec![0; names.len()];
        let mut turn = vec![0; truth.len()];
        for &row in &right {
            turn[row] = seen[truth[row]];
            seen[truth[row]] += 1;
        }
        right.sort_by_key(|&row| (turn[row], truth[row]));

        let specimen = |row: usize| {
            let mut order: Vec<usize> = (0..names.len()).collect();
            order.sort_by(|&a, &b| logits[(row, b)].total_cmp(&logits[(row, a)]));
            let shares = probabilities(logits.row(row).iter().copied());
            let kept = |(rank, class): &(usize, usize)| *rank < PROBABILITIES || *class == truth[row];
            let probability =
                |(_, class): (usize, usize)| Probability { class: names[class].clone(), probability: shares[class] };
            Specimen {
                row: row + 1,
                name: test.names.as_ref().and_then(|names| Some(within(names.get(row)?, test))),
                label: names[truth[row]].clone(),
                predicted: names[predicted[row]].clone(),
                probabilities: order.into_iter().enumerate().filter(kept).map(probability).collect(),
            }
        };
        let chosen = |rows: Vec<usize>| rows.into_iter().take(SHOWN).map(specimen).collect();
        Ok(Specimens { wrong: chosen(wrong), right: chosen(right) })
    }
}

/// An image's name without that of the folder or file that all of them are in.
fn within(name: &str, test: &Examples) -> String {
    let path = test.path.display().to_string();
    let rest = name.strip_prefix(&path).unwrap_or(name).trim_start_matches(['/', '\\', ',', ' ']);
    if rest.is_empty() { name.to_owned() } else { rest.to_owned() }
}

impl Specimen {
    /// Whether its class is predicted.
    pub fn is_right(&self) -> bool {
        self.label == self.predicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciphertune_head::{Classes, DMatrix, DVector, FeatureTable};

    /// Three classes; the logit of class k is feature k.
    fn head() -> Head {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        Head::new(DMatrix::identity(3, 3), DVector::zeros(3), Classes::from_names(names).unwrap()).unwrap()
    }

    fn table() -> Examples {
        let features = [[3.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 3.0, -3.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]];
        let labels = ["a", "c", "c", "c", "b"].map(str::to_owned).to_vec();
        let features = DMatrix::from_row_slice(5, 3, features.as_flattened());
        Examples::of_table("t", FeatureTable::new(features, Some(labels)).unwrap())
    }

    #[test]
    fn the_most_mistaken_come_first_and_every_class_has_its_turn() {
        let chosen = Specimens::choose(&head(), &table()).unwrap();
        let rows = |specimens: &[Specimen]| specimens.iter().map(|specimen| specimen.row).collect::<Vec<_>>();
        assert_eq!(rows(&chosen.wrong), [3, 2]);
        assert_eq!(rows(&chosen.right), [1, 5, 4]);
        assert_eq!((chosen.wrong[0].label.as_str(), chosen.wrong[0].predicted.as_str()), ("c", "b"));
        assert_eq!(chosen.wrong[0].probabilities.len(), 3);
        let sigmoid = 1.0 / (1.0 + (-3f64).exp());
        assert!((chosen.right[0].probabilities[0].probability - sigmoid / (sigmoid + 2.0 * 0.5)).abs() < 1e-15);
    }

    #[test]
    fn images_are_named_within_their_folder() {
        let test = Examples::of_table("p", table().table);
        assert_eq!(within("p/cats/1.png", &test), "cats/1.png");
        assert_eq!(within("p, image 7", &test), "image 7");
        assert_eq!([within("q/1.png", &test), within("p", &test)], ["q/1.png", "p"]);
    }
}
