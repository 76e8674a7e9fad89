//! The classes of a training: their names, in a fixed order.

use crate::error::{HeadError, Result};
use std::collections::HashMap;

/// The most classes that one head holds.
pub const MAX_CLASSES: usize = 64;

/// Distinct class names in order: by value if all are whole numbers, else by their letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    names: Vec<String>,
}

impl Classes {
    /// The classes that a training table's labels name.
    ///
    /// # Errors
    ///
    /// [`HeadError::NoLabels`] for no label, [`HeadError::OneClass`], [`HeadError::TooManyClasses`].
    pub fn from_labels(labels: &[String]) -> Result<Self> {
        let mut names = labels.to_vec();
        names.sort_unstable();
        names.dedup();
        let numbers: Option<Vec<i128>> = names.iter().map(|name| name.parse().ok()).collect();
        if numbers.is_some() {
            names.sort_by_key(|name| name.parse::<i128>().ok());
        }
        Self::from_names(names)
    }

    /// Classes in the given order, for a head or job that was written before.
    ///
    /// # Errors
    ///
    /// As [`Classes::from_labels`], and [`HeadError::RepeatedClass`].
    pub fn from_names(names: Vec<String>) -> Result<Self> {
        match names.as_slice() {
            [] => return Err(HeadError::NoLabels),
            [only] => return Err(HeadError::OneClass(only.clone())),
            _ if names.len() > MAX_CLASSES => {
                return Err(HeadError::TooManyClasses { found: names.len(), limit: MAX_CLASSES });
            }
            _ => {}
        }
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(HeadError::RepeatedClass(pair[0].clone()));
        }
        Ok(Classes { names })
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of classes, from 2 to [`MAX_CLASSES`].
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The index of a class, if there is one of that name.
    pub fn index(&self, label: &str) -> Option<usize> {
        self.names.iter().position(|name| name == label)
    }

    /// The class index of every label.
    ///
    /// # Errors
    ///
    /// [`HeadError::UnknownLabel`] for the first label that is no class.
    pub fn indices(&self, labels: &[String]) -> Result<Vec<usize>> {
        let index: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let known = || self.names.join(", ");
        labels
            .iter()
            .enumerate()
            .map(|(row, label)| {
                index.get(label.as_str()).copied().ok_or_else(|| HeadError::UnknownLabel {
                    row: row + 1,
                    label: label.clone(),
                    known: known(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn whole_numbers_are_ordered_by_value_and_words_by_letters() {
        let numbers = Classes::from_labels(&labels(&["10", "9", "-3", "9", "18446744073709551615"])).unwrap();
        assert_eq!(numbers.names(), ["-3", "9", "10", "18446744073709551615"]);
        let words = Classes::from_labels(&labels(&["oak", "10", "9", "elm"])).unwrap();
        assert_eq!(words.names(), ["10", "9", "elm", "oak"]);
        assert_eq!(words.index("elm"), Some(2));
        assert_eq!(words.indices(&labels(&["oak", "9"])).unwrap(), [3, 1]);
    }

    #[test]
    fn one_class_and_more_than_sixty_four_are_refused() {
        let error = Classes::from_labels(&labels(&["7", "7"])).unwrap_err();
        assert_eq!(error.to_string(), "every row has the label \"7\": training needs at least two classes");
        let many: Vec<String> = (0..65).map(|i| i.to_string()).collect();
        assert!(matches!(Classes::from_labels(&many), Err(HeadError::TooManyClasses { found: 65, .. })));
        assert_eq!(Classes::from_labels(&many[1..]).unwrap().len(), 64);
        assert!(matches!(Classes::from_labels(&[]), Err(HeadError::NoLabels)));
    }

    #[test]
    fn a_label_that_training_never_saw_is_named() {
        let classes = Classes::from_labels(&labels(&["cat", "dog"])).unwrap();
        let error = classes.indices(&labels(&["cat", "cow"])).unwrap_err();
        assert!(
            error.to_string().starts_with("row 2 has the label \"cow\", which training never saw (it knows cat, dog)")
        );
    }

    #[test]
    fn repeated_names_are_refused() {
        assert!(
            matches!(Classes::from_names(labels(&["a", "b", "a"])), Err(HeadError::RepeatedClass(name)) if name == "a")
        );
    }
}
