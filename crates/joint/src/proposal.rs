//! `session.json`: what a session is about and who is in it. Every owner agrees on its bytes before anything is sent.
//!
//! A proposal has one spelling, the JSON that [`Proposal::to_json`] writes; other spellings of the same are refused, so
//! its digest says all. People compare its [fingerprint](Proposal::fingerprint), by telephone: who can exchange a key in
//! the roster without being noticed is that owner.

use crate::error::{JointError, Result};
use crate::hash::Digest;
use crate::identity::Card;
use ciphertune_head::recipe::{Bound, Gradient};
use ciphertune_head::{Classes, ColumnNames, FeatureTable, Provenance, Recipe, ScalerKind};
use serde::{Deserialize, Serialize};

/// The proposal's name in a store.
pub const NAME: &str = "session.json";

/// The format that is written and read.
const FORMAT: u32 = 1;
/// The largest proposal that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// The most owners of one session.
pub const MAX_OWNERS: usize = 64;
/// The most features: the sums of [`crate::moments`] take 8 bytes times their square.
pub const MAX_FEATURES: usize = 4096;
/// SHA-256 in a row behind a fingerprint: who looks for another session with the same 16 digits computes as many a try.
const STRETCH: usize = 1 << 18;

/// What a session is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    format: u32,
    /// For people.
    pub title: String,
    /// How the owners work together.
    pub mode: Mode,
    /// Whose rows: in the order that all sums are told in.
    pub owners: Vec<Owner>,
    /// What a row is.
    pub features: Features,
    /// The map of the features that is fitted to all rows together.
    pub scaler: PooledScaler,
    /// The training that follows, if there is one.
    pub training: Option<Training>,
    /// Whether all owners take it that a sum tells much of its parts: of two owners, everything.
    pub accept_disclosure: bool,
    /// When owners stop to wait for each other: seconds since 1970-01-01, UTC.
    pub deadline: u64,
}

/// How the owners work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// By masked sums ([`crate::masked`]): everyone is online in every round.
    SecureSum,
}

/// What an owner gives to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Whole rows: features and, for a training, labels.
    Rows,
}

/// A line of the roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// What it gives.
    pub role: Role,
    /// Its name and public keys.
    pub card: Card,
}

/// What a row is: the same for all owners, or the sums would mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// How many features.
    pub count: usize,
    /// What they are called, if they have names.
    pub names: Option<Vec<String>>,
    /// The backbone and preprocessing that made them, if one did.
    pub provenance: Option<Provenance>,
}

/// The scaler that is fitted to the rows of all owners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PooledScaler {
    /// Which map.
    pub kind: ScalerKind,
    /// Whitening's regularisation, if it is not the usual one.
    pub lambda: Option<f64>,
}

/// A training by sums of gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The classes' names in order: an owner may have rows of some of them only.
    pub classes: Vec<String>,
    /// The hyperparameters.
    pub recipe: Recipe,
}

/// What a proposal is made of.
#[derive(Clone, Debug)]
pub struct Contents {
    /// For people.
    pub title: String,
    /// The owners' cards, in the order of the roster.
    pub cards: Vec<Card>,
    /// What a row is.
    pub features: Features,
    /// The scaler.
    pub scaler: PooledScaler,
    /// The training, if there is one.
    pub training: Option<Training>,
    /// See [`Proposal::accept_disclosure`].
    pub accept_disclosure: bool,
    /// See [`Proposal::deadline`].
    pub deadline: u64,
}

impl Proposal {
    /// A proposal by which owners add up what they have.
    ///
    /// # Errors
    ///
    /// [`JointError::Proposal`] for what no session does, with the remedy; as [`Card::check`].
    pub fn new(contents: Contents) -> Result<Self> {
        let owners = contents.cards.into_iter().map(|card| Owner { role: Role::Rows, card }).collect();
        let Contents { title, features, scaler, training, accept_disclosure, deadline, .. } = contents;
        let mode = Mode::SecureSum;
        let proposal =
            Proposal { format: FORMAT, title, mode, owners, features, scaler, training, accept_disclosure, deadline };
        proposal.check()?;
        Ok(proposal)
    }

    /// The proposal's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names and numbers are JSON")
    }

    /// Reads [`Proposal::to_json`].
    ///
    /// # Errors
    ///
    /// [`JointError::Document`] for other bytes, another spelling of the same among them; as [`Proposal::new`].
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let refused = |reason: String| JointError::Document { what: "session", reason };
        if bytes.len() > MAX_BYTES {
            return Err(refused(format!("{} bytes are too many", bytes.len())));
        }
        let proposal: Proposal = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        if proposal.format != FORMAT {
            return Err(refused(format!("it has format {}, this program reads {FORMAT}", proposal.format)));
        }
        proposal.check()?;
        if proposal.to_json() != bytes {
            return Err(refused("it is spelled otherwise than this program writes it".to_owned()));
        }
        Ok(proposal)
    }

    fn check(&self) -> Result<()> {
        let refuse = |reason: String| Err(JointError::Proposal(reason));
        for owner in &self.owners {
            owner.card.check()?;
        }
        match self.owners.len() {
            0 | 1 => return refuse("a session has at least two owners: with one, train alone".to_owned()),
            2 if !self.accept_disclosure => {
                return refuse(
                    "of two owners each learns the other's sums exactly: let a third take part, or say --accept-disclosure if both owners want that".to_owned(),
                );
            }
            n if n > MAX_OWNERS => {
                return refuse(format!("{n} owners are too many: a session has at most {MAX_OWNERS}"));
            }
            _ => {}
        }
        for (place, owner) in self.owners.iter().enumerate() {
            let same = |other: &&Owner| {
                let (a, b) = (&owner.card, &other.card);
                a.name == b.name || a.sign == b.sign || a.seal == b.seal
            };
            if let Some(other) = self.owners[..place].iter().find(same) {
                let (a, b) = (&other.card.name, &owner.card.name);
                return refuse(format!("{a} and {b} have the same name or key: every owner has its own, once"));
            }
        }
        let count = self.features.count;
        if !(1..=MAX_FEATURES).contains(&count) {
            return refuse(format!("{count} features are not possible in a session: 1 to {MAX_FEATURES} are"));
        }
        if let Some(names) = &self.features.names {
            if names.len() != count {
                return refuse(format!("{count} features have {} names: give one a feature, or none", names.len()));
            }
            ColumnNames::new(names.clone(), None)?;
        }
        if let Some(lambda) = self.scaler.lambda
            && (self.scaler.kind != ScalerKind::Whiten || !(1e-6..=1e6).contains(&lambda))
        {
            return refuse("lambda belongs to whitening, and lies between 1e-6 and 1e6".to_owned());
        }
        let Some(training) = &self.training else {
            return match self.scaler.kind {
                ScalerKind::None => refuse("scaler none needs no session: choose whiten, or a training".to_owned()),
                _ => Ok(()),
            };
        };
        Classes::from_names(training.classes.clone())?;
        let recipe = &training.recipe;
        if (recipe.scaler(), recipe.lambda()) != (self.scaler.kind, self.scaler.lambda) {
            return refuse("the recipe names another scaler than the session: name one".to_owned());
        }
        if recipe.gradient() == Gradient::Quadratic && recipe.bound() == Bound::RowSums {
            return refuse(
                "the bound row-sums needs a sum over all owners' rows that a session does not make: choose --recipe default, or --bound quarter".to_owned(),
            );
        }
        if recipe.batch().is_some() {
            return refuse("a session takes gradients of all rows of all owners: leave out --batch".to_owned());
        }
        Ok(())
    }

    /// SHA-256 over the proposal's bytes.
    pub fn digest(&self) -> Digest {
        Digest::of("ciphertune proposal 1", [&self.to_json()[..]])
    }

    /// Sixteen digits to read aloud, in groups of four.
    pub fn fingerprint(&self) -> String {
        let mut digest = self.digest();
        for _ in 0..STRETCH {
            digest = Digest::of("ciphertune fingerprint 1", [&digest.0[..]]);
        }
        let number = u64::from_le_bytes(*digest.0.first_chunk().expect("32 bytes")) % 10_000_000_000_000_000;
        let digits = format!("{number:016}");
        [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..]].join(" ")
    }

    /// Refuses another fingerprint than the session's; spaces and hyphens do not count.
    ///
    /// # Errors
    ///
    /// [`JointError::Fingerprint`].
    pub fn check_fingerprint(&self, given: &str) -> Result<()> {
        let digits = |text: &str| text.chars().filter(|c| !matches!(c, ' ' | '-')).collect::<String>();
        let found = self.fingerprint();
        if digits(&found) == digits(given) {
            return Ok(());
        }
        Err(JointError::Fingerprint { found, given: given.to_owned() })
    }

    /// The place of an owner in the roster.
    ///
    /// # Errors
    ///
    /// [`JointError::Proposal`] if the roster does not have this card.
    pub fn place(&self, card: &Card) -> Result<usize> {
        self.owners.iter().position(|owner| owner.card == *card).ok_or_else(|| {
            let name = &card.name;
            JointError::Proposal(match self.owners.iter().any(|owner| owner.card.name == *name) {
                true => format!(
                    "the session's roster has other keys for {name} than these: do not go on, and ask the coordinator"
                ),
                false => format!("{name} is not in the session's roster: ask the coordinator"),
            })
        })
    }

    /// The owners' names, in the order of the roster.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.owners.iter().map(|owner| owner.card.name.as_str())
    }

    /// Refuses a table whose rows are not what the session is about. Where features come from must be equal, known or not.
    ///
    /// # Errors
    ///
    /// Those of [`HeadError`](ciphertune_head::HeadError) about tables and labels, [`JointError::Proposal`].
    pub fn check_table(&self, table: &FeatureTable) -> Result<()> {
        let features = &self.features;
        if table.columns() != features.count {
            let reason = format!("the table has {} features a row, the session {}", table.columns(), features.count);
            return Err(JointError::Proposal(format!("{reason}: use features of the same kind at every owner")));
        }
        if table.provenance().is_some() != features.provenance.is_some() {
            let reason = match &features.provenance {
                Some(provenance) => format!("the session's features are those of backbone {provenance}, the table's are of unknown origin: make them with ciphertune extract at every owner"),
                None => "the table's features are a backbone's, the session's are not: let the coordinator propose one with such a table".to_owned(),
            };
            return Err(JointError::Proposal(reason));
        }
        Provenance::check(table.provenance(), features.provenance.as_ref(), "training table")?;
        if let Some(names) = &features.names {
            ColumnNames::check(table.names(), Some(&ColumnNames::new(names.clone(), None)?), "training table")?;
        }
        if let Some(training) = &self.training {
            Classes::from_names(training.classes.clone())?.indices(table.require_labels()?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
