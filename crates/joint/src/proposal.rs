//! `session.json`: what a session is about and who is in it. Every owner agrees on its bytes before anything is sent.
//!
//! A proposal has one spelling, the JSON that [`Proposal::to_json`] writes; other spellings of the same are refused, so
//! its digest says all. People compare its [fingerprint](Proposal::fingerprint), by telephone: who can exchange a key in
//! the roster without being noticed is that owner.

use crate::error::{JointError, Result};
use crate::hash::Digest;
use crate::identity::Card;
use ciphertune_head::plan::{Contribution, Gives};
use ciphertune_head::recipe::{Bound, Gradient};
use ciphertune_head::{Classes, ColumnNames, FeatureTable, Head, Plan, Provenance, Recipe, ScalerKind};
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
    /// Who takes part: in the order that all sums are told in.
    pub members: Vec<Member>,
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
    /// Owners encrypt under keys of their own, a server trains on the ciphertexts, and a key holder, who has no data, opens
    /// the model ([`crate::held`]).
    KeyHolder,
}

/// What a member does in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Has whole rows: features and, for a training, labels.
    Rows,
    /// Has features, whose labels another owner has.
    Features,
    /// Has labels, whose features another owner has.
    Labels,
    /// Has the key that models are encrypted under, and no data.
    Holder,
    /// Trains on ciphertexts.
    Server,
    /// Repeats what the server does, before the model is opened.
    Verifier,
}

impl Training {
    /// The classes.
    ///
    /// # Errors
    ///
    /// As [`Classes::from_names`]; a proposal that was checked has none.
    pub fn all_classes(&self) -> Result<Classes> {
        Ok(Classes::from_names(self.classes.clone())?)
    }
}

impl Features {
    /// The head of a training on these features, with what is known of them.
    ///
    /// # Errors
    ///
    /// As [`Head::with_names`].
    pub fn mark(&self, head: Head) -> Result<Head> {
        let names = self.names.clone().map(|names| ColumnNames::new(names, None)).transpose()?;
        Ok(head.with_provenance(self.provenance.clone()).with_names(names)?)
    }
}

impl Role {
    /// What an owner with this role gives to a training; `None` for who is no owner.
    pub fn gives(self) -> Option<Gives> {
        match self {
            Role::Rows => Some(Gives::Rows),
            Role::Features => Some(Gives::Features),
            Role::Labels => Some(Gives::Labels),
            Role::Holder | Role::Server | Role::Verifier => None,
        }
    }
}

/// A line of the roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// What it does.
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

/// A training: by sums of gradients, or on ciphertexts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The classes' names in order: an owner may have rows of some of them only.
    pub classes: Vec<String>,
    /// The hyperparameters.
    pub recipe: Recipe,
    /// With a key holder, the plan: who gives which rows, ring and layout. Its contributions are the owners', in the order of
    /// the roster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// Whether owners of features and of their labels compare the identifiers of their rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compare_ids: bool,
}

/// What a proposal is made of.
#[derive(Clone, Debug)]
pub struct Contents {
    /// For people.
    pub title: String,
    /// How the owners work together.
    pub mode: Mode,
    /// Roles and cards, in the order of the roster.
    pub members: Vec<Member>,
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
    /// A proposal.
    ///
    /// # Errors
    ///
    /// [`JointError::Proposal`] for what no session does, with the remedy; as [`Card::check`].
    pub fn new(contents: Contents) -> Result<Self> {
        let Contents { title, mode, members, features, scaler, training, accept_disclosure, deadline } = contents;
        let proposal =
            Proposal { format: FORMAT, title, mode, members, features, scaler, training, accept_disclosure, deadline };
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
        for owner in &self.members {
            owner.card.check()?;
        }
        match self.giving().len() {
            0 | 1 => return refuse("a session has at least two owners: with one, train alone".to_owned()),
            n if n > MAX_OWNERS => {
                return refuse(format!("{n} owners are too many: a session has at most {MAX_OWNERS}"));
            }
            _ => {}
        }
        if self.summing().len() == 2 && !self.accept_disclosure {
            return refuse(
                "of two owners each learns the other's sums exactly: let a third take part, or say --accept-disclosure if both owners want that".to_owned(),
            );
        }
        for (place, owner) in self.members.iter().enumerate() {
            let same = |other: &&Member| {
                let (a, b) = (&owner.card, &other.card);
                a.name == b.name || a.sign == b.sign || a.seal == b.seal
            };
            if let Some(other) = self.members[..place].iter().find(same) {
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
        self.check_roles()?;
        let Some(training) = &self.training else {
            return match self.scaler.kind {
                ScalerKind::None => refuse("scaler none needs no session: choose whiten, or a training".to_owned()),
                _ => Ok(()),
            };
        };
        training.all_classes()?;
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
        match (self.mode, &training.plan) {
            (Mode::SecureSum, None) => Ok(()),
            (Mode::SecureSum, Some(_)) => refuse("a training by sums has no plan".to_owned()),
            (Mode::KeyHolder, None) => refuse("a training on ciphertexts needs a plan".to_owned()),
            (Mode::KeyHolder, Some(plan)) => self.check_plan(training, plan),
        }
    }

    /// Refuses members that do not make a session of its mode.
    fn check_roles(&self) -> Result<()> {
        let refuse = |reason: &str| Err(JointError::Proposal(reason.to_owned()));
        let count = |role| self.members.iter().filter(|member| member.role == role).count();
        match self.mode {
            Mode::SecureSum if count(Role::Rows) < self.members.len() => {
                refuse("sums are of owners with whole rows, and of nobody else: leave out all other roles")
            }
            Mode::SecureSum => Ok(()),
            Mode::KeyHolder if self.training.is_none() => refuse("a key holder is there for a training: say which"),
            Mode::KeyHolder if count(Role::Holder) != 1 || count(Role::Server) != 1 => {
                refuse("a session with a key holder has one key holder and one server")
            }
            // Whitening of all rows keeps what is encrypted as large as plans take for granted.
            Mode::KeyHolder if self.summing().len() > 1 && self.scaler.kind != ScalerKind::Whiten => {
                refuse("features of several owners are whitened together here: choose --scaler whiten")
            }
            Mode::KeyHolder => Ok(()),
        }
    }

    /// Refuses a plan that is not of this training and these owners.
    fn check_plan(&self, training: &Training, plan: &Plan) -> Result<()> {
        let refuse = |reason: &str| Err(JointError::Proposal(reason.to_owned()));
        let shape = plan.shape();
        if (shape.features, shape.classes) != (self.features.count, training.classes.len())
            || *plan.recipe() != training.recipe
        {
            return refuse("the session's plan is of another training: let the coordinator propose it again");
        }
        let given = plan.contributions().iter().map(|contribution| Some(contribution.gives));
        if !given.eq(self.giving().into_iter().map(|place| self.members[place].role.gives())) {
            return refuse("the session's plan is of other owners: let the coordinator propose it again");
        }
        // Only tests may do without security.
        if plan.is_toy() && !cfg!(test) {
            return refuse("the session's plan hides nothing: do not go on");
        }
        Ok(())
    }

    /// The plan of a training on ciphertexts.
    pub fn plan(&self) -> Option<&Plan> {
        self.training.as_ref()?.plan.as_ref()
    }

    /// The owners' places in the roster: who gives features, labels, or both.
    pub fn giving(&self) -> Vec<usize> {
        self.places(|role| role.gives().is_some())
    }

    /// The places of those with whom sums are made: all owners of features, if there are several.
    pub fn summing(&self) -> Vec<usize> {
        let places = self.places(|role| role.gives().is_some_and(Gives::features));
        if self.mode == Mode::SecureSum || places.len() > 1 { places } else { Vec::new() }
    }

    /// The places of the members whose role is of some kind.
    pub fn places(&self, is: impl Fn(Role) -> bool) -> Vec<usize> {
        (0..self.members.len()).filter(|place| is(self.members[*place].role)).collect()
    }

    /// What a member gives to the plan's training: number and contribution.
    pub fn contribution(&self, place: usize) -> Option<(usize, Contribution)> {
        let plan = self.plan()?;
        let number = self.giving().iter().position(|giving| *giving == place)?;
        Some((number, plan.contributions()[number]))
    }

    /// Of an owner of features or labels, who has the other half of its rows.
    pub fn partner(&self, place: usize) -> Option<usize> {
        let (_, own) = self.contribution(place)?;
        let other = |role: Role| match own.gives {
            Gives::Rows => false,
            Gives::Features => role == Role::Labels,
            Gives::Labels => role == Role::Features,
        };
        let meets = |place: &usize| self.contribution(*place).is_some_and(|(_, c)| c.start == own.start);
        self.places(other).into_iter().find(meets)
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
        self.members.iter().position(|owner| owner.card == *card).ok_or_else(|| {
            let name = &card.name;
            JointError::Proposal(match self.members.iter().any(|owner| owner.card.name == *name) {
                true => format!(
                    "the session's roster has other keys for {name} than these: do not go on, and ask the coordinator"
                ),
                false => format!("{name} is not in the session's roster: ask the coordinator"),
            })
        })
    }

    /// The owners' names, in the order of the roster.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|owner| owner.card.name.as_str())
    }

    /// Refuses a table of features whose rows are not what the session is about, for a member of this role. Where features come from must be equal, known or not.
    ///
    /// # Errors
    ///
    /// Those of [`HeadError`](ciphertune_head::HeadError) about tables and labels, [`JointError::Proposal`].
    pub fn check_table(&self, role: Role, table: &FeatureTable) -> Result<()> {
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
        if let Some(training) = &self.training
            && role == Role::Rows
        {
            training.all_classes()?.indices(table.require_labels()?)?;
        }
        Ok(())
    }

    /// Refuses another number of rows than the plan has of a member.
    ///
    /// # Errors
    ///
    /// [`JointError::Proposal`].
    pub fn check_rows(&self, place: usize, rows: usize) -> Result<()> {
        match self.contribution(place) {
            Some((_, contribution)) if contribution.rows != rows => Err(JointError::Proposal(format!(
                "the table has {rows} rows, and the session's plan {} of this owner: ask the coordinator for another session",
                contribution.rows
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
