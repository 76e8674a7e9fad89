//! What the columns of a table are called: kept with the features, so that a head meets the columns it was trained on.
//!
//! Names are the owner's. They stand in tables, in the record of a job and in heads; plans, jobs and keys have none.

use crate::error::{HeadError, Result};

/// The key under which files keep the features' names: a JSON list in metadata and exports, an array in `.npz`.
pub const FEATURE_NAMES: &str = "feature_names";

/// The key under which files keep the name of the label's column.
pub const LABEL_NAME: &str = "label_name";

/// The most features that are named.
pub const MAX_NAMES: usize = 1 << 16;

/// The most characters of a name.
pub const MAX_CHARACTERS: usize = 256;

/// The most bytes of all names together: they have to fit into the header of a file.
pub const MAX_BYTES: usize = 1 << 20;

/// The names of a table's features, in order, and of its label's column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnNames {
    features: Vec<String>,
    label: Option<String>,
}

impl ColumnNames {
    /// Names of features, and of the label if it has one. They need not differ.
    ///
    /// # Errors
    ///
    /// [`HeadError::Columns`] for more than [`MAX_NAMES`], for one of more than [`MAX_CHARACTERS`], and for more than
    /// [`MAX_BYTES`] of all.
    pub fn new(features: Vec<String>, label: Option<String>) -> Result<Self> {
        let refuse = |reason: String| Err(HeadError::Columns(reason));
        if features.len() > MAX_NAMES {
            return refuse(format!(
                "{} features have names, at most {MAX_NAMES} are kept: leave the names out",
                features.len()
            ));
        }
        if let Some(long) = features.iter().chain(&label).find(|name| name.chars().count() > MAX_CHARACTERS) {
            return refuse(format!(
                "the name that begins with {} has more than {MAX_CHARACTERS} characters: shorten it",
                quoted(long)
            ));
        }
        let bytes: usize = features.iter().map(String::len).sum();
        if bytes > MAX_BYTES {
            return refuse(format!(
                "the features' names have {bytes} bytes, at most {MAX_BYTES} are kept: shorten them, or leave them out"
            ));
        }
        Ok(Self { features, label })
    }

    /// The features' names, in the order of the columns.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// The name of the label's column, if it has one.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Refuses features of other names, or in another order, than those of a `what` (`head`, `training table`); the
    /// error names the first difference. What has no names is not refused, and labels are not compared.
    ///
    /// # Errors
    ///
    /// [`HeadError::OtherNames`].
    pub fn check(found: Option<&Self>, expected: Option<&Self>, what: &'static str) -> Result<()> {
        let (Some(found), Some(expected)) = (found, expected) else { return Ok(()) };
        if found.features == expected.features {
            return Ok(());
        }
        Err(HeadError::OtherNames(first_difference(&found.features, &expected.features, what)))
    }

    /// As entries of a file's metadata.
    pub(crate) fn entries(&self) -> Vec<(&'static str, String)> {
        let features = serde_json::to_string(&self.features).expect("a list of strings is JSON");
        let label = self.label.iter().map(|label| (LABEL_NAME, label.clone()));
        [(FEATURE_NAMES, features)].into_iter().chain(label).collect()
    }

    /// Reads [`ColumnNames::entries`], of a file with so many features; `None` if it has none.
    pub(crate) fn from_entries<'a>(entry: impl Fn(&str) -> Option<&'a str>, features: usize) -> Result<Option<Self>> {
        let Some(text) = entry(FEATURE_NAMES) else { return Ok(None) };
        let names: Vec<String> = serde_json::from_str(text)
            .map_err(|_| HeadError::InvalidArtefact(format!("its {FEATURE_NAMES} are no JSON list of names")))?;
        if names.len() != features {
            let reason = format!("it has {features} features and {} {FEATURE_NAMES}", names.len());
            return Err(HeadError::InvalidArtefact(reason));
        }
        Self::new(names, entry(LABEL_NAME).map(str::to_owned)).map(Some)
    }
}

/// What differs first between two lists that are not equal, and what to do about it.
fn first_difference(found: &[String], expected: &[String], what: &str) -> String {
    let place = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let (here, there) = (found.get(place), expected.get(place));
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    let number = place + 1;
    match (here, there) {
        (Some(here), Some(there)) if sorted(found) == sorted(expected) => format!(
            "the features are those of the {what} in another order: feature {number} is {}, where the {what} has {}: \
             put the columns into its order",
            quoted(here),
            quoted(there)
        ),
        (Some(here), _) if is_without(found, place, expected) => {
            format!("feature {number} is {}, which the {what} does not have: leave it out with --drop", quoted(here))
        }
        (_, Some(there)) if is_without(expected, place, found) => format!(
            "the {what} has a feature {} in place {number}, which the table does not have: add that column",
            quoted(there)
        ),
        (Some(here), Some(there)) => format!(
            "feature {number} is {}, where the {what} has {}: give the columns of the {what}, in its order; --label \
             names the label's column, --drop leaves others out",
            quoted(here),
            quoted(there)
        ),
        (Some(here), None) => format!(
            "feature {number} is {}, where the {what} has only {}: leave what it does not have out with --drop",
            quoted(here),
            expected.len()
        ),
        (None, _) => format!(
            "the table has only {} features, the {what} has {}: give all of its columns",
            found.len(),
            expected.len()
        ),
    }
}

/// Whether a list without its entry at a place, and without any others that the second does not have, is the second.
fn is_without(list: &[String], place: usize, other: &[String]) -> bool {
    let mut rest = list[place..].iter();
    !other[place..].contains(&list[place]) && other[place..].iter().all(|name| rest.any(|found| found == name))
}

/// A name for a message: at most 40 characters, control characters escaped.
fn quoted(name: &str) -> String {
    let start: String = name.chars().take(40).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> ColumnNames {
        ColumnNames::new(text.split_whitespace().map(str::to_owned).collect(), None).unwrap()
    }

    fn difference(found: &str, expected: &str) -> String {
        ColumnNames::check(Some(&names(found)), Some(&names(expected)), "head").unwrap_err().to_string()
    }

    #[test]
    fn equal_names_and_tables_without_names_are_not_refused() {
        let head = names("a b c");
        let labelled = ColumnNames::new(head.features().to_vec(), Some("kind".into())).unwrap();
        for found in [None, Some(&head), Some(&labelled)] {
            assert!(ColumnNames::check(found, Some(&head), "head").is_ok());
        }
        assert!(ColumnNames::check(Some(&head), None, "head").is_ok());
    }

    #[test]
    fn the_first_difference_is_named_and_whether_it_is_the_order_alone() {
        let order = difference("a c b", "a b c");
        assert!(order.contains("another order: feature 2 is \"c\", where the head has \"b\""), "{order}");
        let extra = difference("a id b c", "a b c");
        assert!(extra.starts_with("feature 2 is \"id\", which the head does not have") && extra.contains("--drop"));
        assert!(difference("a b c id", "a b c").starts_with("feature 4 is \"id\", which the head does not have"));
        assert!(difference("id a t b c", "a b c").starts_with("feature 1 is \"id\", which the head does not have"));
        let missing = difference("a c", "a b c");
        assert!(missing.starts_with("the head has a feature \"b\" in place 2"), "{missing}");
        assert!(difference("a b", "a b c").starts_with("the head has a feature \"c\" in place 3"));
        let other = difference("a x c", "a b c");
        assert!(other.starts_with("feature 2 is \"x\", where the head has \"b\"") && !other.contains("another order"));
        assert!(difference("a b c c", "a b c").starts_with("feature 4 is \"c\""));
        assert!(difference("a b", "a b b").contains("place 3"));
        // Names are a file's: no control character reaches a terminal, and no page of text.
        let hostile = difference(&format!("\u{1b}[31m{}", "x".repeat(200)), "a");
        assert!(!hostile.contains('\u{1b}') && hostile.len() < 300, "{hostile}");
    }

    #[test]
    fn names_survive_metadata_and_damaged_ones_are_refused() {
        let names =
            ColumnNames::new(vec!["a \"b\"".into(), "ü,\n".into(), String::new()], Some("kind".into())).unwrap();
        let read = |entries: &[(&str, String)], features| {
            let entry = |key: &str| entries.iter().find(|(name, _)| *name == key).map(|(_, text)| text.as_str());
            ColumnNames::from_entries(entry, features)
        };
        assert_eq!(read(&names.entries(), 3).unwrap(), Some(names.clone()));
        assert_eq!(read(&[], 3).unwrap(), None);
        let error = read(&names.entries(), 4).unwrap_err().to_string();
        assert!(error.contains("4 features and 3 feature_names"), "{error}");
        assert!(read(&[(FEATURE_NAMES, "[1, 2]".into())], 2).is_err());
    }

    #[test]
    fn number_length_and_size_of_names_are_bounded() {
        let refused =
            |features: Vec<String>, label: Option<String>| ColumnNames::new(features, label).unwrap_err().to_string();
        assert!(ColumnNames::new(vec!["é".repeat(MAX_CHARACTERS)], None).is_ok());
        assert!(refused(vec!["é".repeat(MAX_CHARACTERS + 1)], None).contains("256 characters"));
        assert!(refused(vec!["a".into()], Some("é".repeat(MAX_CHARACTERS + 1))).contains("256 characters"));
        assert!(ColumnNames::new(vec!["a".into(); MAX_NAMES], None).is_ok());
        assert!(refused(vec!["a".into(); MAX_NAMES + 1], None).contains("at most 65536"));
        assert!(refused(vec!["a".repeat(MAX_CHARACTERS); MAX_BYTES / MAX_CHARACTERS + 1], None).contains("bytes"));
    }
}
