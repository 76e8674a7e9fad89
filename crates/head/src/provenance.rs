//! Where features come from: the backbone and the preprocessing that made them.

use crate::error::{HeadError, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The backbone and the preprocessing of a table's features, where they are known. Features of one say nothing to a
/// head that was trained on those of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The backbone's name; for people, and not compared.
    pub backbone: String,
    /// A digest of the backbone: weights, structure and output, in hexadecimal.
    pub digest: String,
    /// The preprocessing, in any form in which equal settings are equal text.
    pub preprocess: String,
}

/// The key under which documents and tables keep it, as JSON.
pub(crate) const KEY: &str = "provenance";

impl Provenance {
    /// As one JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("three strings are JSON")
    }

    /// Reads [`Provenance::to_json`].
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidArtefact`].
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| HeadError::InvalidArtefact(format!("its features' provenance: {error}")))
    }

    /// Refuses features of another backbone or preprocessing than `expected`, that of a `what` (`head`, `training
    /// table`). What is unknown is not refused.
    ///
    /// # Errors
    ///
    /// [`HeadError::OtherBackbone`], [`HeadError::OtherPreprocess`].
    pub fn check(found: Option<&Self>, expected: Option<&Self>, what: &'static str) -> Result<()> {
        let (Some(found), Some(expected)) = (found, expected) else { return Ok(()) };
        if found.digest != expected.digest {
            let (found, expected) = (found.to_string(), expected.to_string());
            return Err(HeadError::OtherBackbone { found, expected, what });
        }
        if found.preprocess != expected.preprocess {
            let (found, expected) = (found.preprocess.clone(), expected.preprocess.clone());
            return Err(HeadError::OtherPreprocess { found, expected, what });
        }
        Ok(())
    }
}

/// The backbone's name and the first digits of its digest.
impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = self.digest.chars().take(8).collect();
        write!(f, "{} ({digits})", self.backbone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_differ_is_refused_and_names_are_not_compared() {
        let one = |backbone: &str, digest: &str, preprocess: &str| Provenance {
            backbone: backbone.to_owned(),
            digest: digest.to_owned(),
            preprocess: preprocess.to_owned(),
        };
        let a = one("a", "0123456789", "{}");
        let check = |found: &Provenance| Provenance::check(Some(found), Some(&a), "head");
        assert!(check(&one("b", "0123456789", "{}")).is_ok());
        assert!(Provenance::check(None, Some(&a), "head").is_ok() && Provenance::check(Some(&a), None, "head").is_ok());
        let message = check(&one("b", "9876543210", "{}")).unwrap_err().to_string();
        assert!(message.contains("b (98765432)") && message.contains("a (01234567)"), "{message}");
        assert!(matches!(check(&one("a", "0123456789", "{1}")), Err(HeadError::OtherPreprocess { .. })));
        assert_eq!(Provenance::from_json(&a.to_json()).unwrap(), a);
        assert!(Provenance::from_json("{}").is_err());
    }
}
