//! What can go wrong in a session.

use ciphertune_ckks::container::ContainerError;
use ciphertune_head::HeadError;
use thiserror::Error;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, JointError>;

/// An error of this crate. Names are those of owners and artefacts; rows and features count from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JointError {
    /// A container that is none, or damaged.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A table, a scaler or a recipe.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A key or ciphertext.
    #[error(transparent)]
    Ckks(#[from] ciphertune_ckks::Error),
    /// A name that is no owner's.
    #[error("{0:?} is no name of an owner: use 1 to 32 of a-z, 0-9 and -, and begin with a letter or digit")]
    Name(String),
    /// Text that is no digest or key.
    #[error("{0:?} is not {1} hexadecimal digits in small letters: copy it again")]
    Hex(String, usize),
    /// A `session.json` or a card that is not valid.
    #[error("the {what} is not valid ({reason}): ask who made it for another")]
    Document {
        /// `session` or `card`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A session that nobody can run.
    #[error("{0}")]
    Proposal(String),
    /// A fingerprint that somebody read aloud, and another here.
    #[error(
        "the session's fingerprint is {found}, not {given}: do not go on; ask the coordinator, by telephone, and compare again"
    )]
    Fingerprint {
        /// That of the session that is here.
        found: String,
        /// The one that was given.
        given: String,
    },
    /// An artefact larger than any that is sent.
    #[error("the artefact has {0} bytes, more than any that a session sends: fetch it again")]
    TooLarge(usize),
    /// An artefact that is not what its place says.
    #[error("the artefact {expected} is refused, since it names {found}: ask its owner to send it again")]
    Misplaced {
        /// What should be here.
        expected: String,
        /// What is.
        found: String,
    },
    /// A signature that is not its sender's.
    #[error(
        "the signature of {name} is not {from}'s: someone changed it on its way, or it was signed with other keys; ask {from}"
    )]
    Signature {
        /// The artefact's name.
        name: String,
        /// Who is said to have sent it.
        from: String,
    },
    /// Sealed bytes that do not open.
    #[error("what {from} sealed in {name} does not open: it was damaged, or sealed for someone else; ask {from}")]
    Sealed {
        /// The artefact's name.
        name: String,
        /// Who sealed it.
        from: String,
    },
    /// A public key of X25519 with which no secret can be shared.
    #[error("the key of {0} is not usable (it gives no shared secret): do not go on, and ask {0} for its card")]
    WeakKey(String),
    /// A number too large for a sum of so many owners.
    #[error(
        "number {place} of the {count} {what} is too large to be added up: look for rows that are far from all others, or divide the features by a constant at every owner"
    )]
    Range {
        /// Its place, from 1.
        place: usize,
        /// How many there are.
        count: usize,
        /// What they are.
        what: &'static str,
    },
    /// A feature whose units do not suit sums of integers.
    #[error(
        "feature {feature} {what} {size:e}: sums are of features below 2^56 in size with deviations of at least 2^-24; multiply it by the same constant at every owner, or leave it out"
    )]
    Feature {
        /// Its place, from 1.
        feature: usize,
        /// What is said of it.
        what: &'static str,
        /// Its size or deviation.
        size: f64,
    },
    /// No row, or more than an owner may have.
    #[error("the table has {0} rows: an owner has 1 to 16,777,216 in a session")]
    Rows(usize),
    /// Sums that no rows have.
    #[error(
        "the sums of round {0} are not those of any rows that agree with the rounds before: an owner sent numbers of another table, or made them up; make a new session with those whom you trust"
    )]
    Sums(&'static str),
    /// An artefact whose owner had read others than are here.
    #[error(
        "{name} does not fit: {from} had read other artefacts than are here now; someone shows different things to different owners, or changed one. Do not go on, and compare the folders"
    )]
    Transcript {
        /// The artefact's name.
        name: String,
        /// Its owner.
        from: String,
    },
    /// An artefact whose body is not what its round sends.
    #[error(
        "the content of {name} is not what is sent in its round: ask {from}, whose program may be of another version"
    )]
    Body {
        /// The artefact's name.
        name: String,
        /// Its owner.
        from: String,
    },
    /// An artefact whose content does not pass.
    #[error("{name} of {from} is refused: {error}")]
    Refused {
        /// The artefact's name.
        name: String,
        /// Its owner.
        from: String,
        /// Why.
        error: Box<HeadError>,
    },
    /// A payload that is missing, or another than its artefact says.
    #[error("{name} is missing or not what {from} signed: ask {from} to send it again")]
    Payload {
        /// Its name.
        name: String,
        /// Who made it.
        from: String,
    },
    /// Features and labels of different rows.
    #[error(
        "the rows of {one} and of {other} are not the same, or not in the same order: sort both by the identifier, leave out what only one has, and make a new session"
    )]
    OtherRows {
        /// An owner.
        one: String,
        /// Its partner.
        other: String,
    },
    /// A model that a verifier made otherwise.
    #[error(
        "the server's model is not the one that {verifier} made of the same contributions: nobody may open it; ask both for their versions of this program"
    )]
    NotVerified {
        /// The verifier.
        verifier: String,
    },
    /// A second table in one session.
    #[error(
        "this is another table than the one that this session began with: the difference of two tables could show; go on with the first, or ask for a new session"
    )]
    OtherTable,
    /// A table that was summed with other owners before.
    #[error(
        "this table was summed before, in the session {title:?} with other owners: the difference of both sums is what those have who are not in both; take part in a session of the same owners, or with other rows"
    )]
    UsedTable {
        /// The other session's title.
        title: String,
    },
    /// Few rows for so many features.
    #[error(
        "all owners together have {rows} rows: below {least}, ten a feature, second moments tell too much of single rows; use fewer features or more rows, or make a session with --accept-disclosure if all owners want that"
    )]
    FewRows {
        /// Rows of all owners.
        rows: usize,
        /// The least that is needed.
        least: usize,
    },
    /// A session whose secrets are gone.
    #[error("this session was forgotten: its secrets are gone, and it cannot go on")]
    Forgotten,
    /// A gradient that is not finite, or as good as.
    #[error(
        "training diverged: choose fewer iterations, a smaller --learning-rate or a larger --ridge in a new session"
    )]
    Diverged,
    /// The operating system's generator failed.
    #[error("the operating system gives no random numbers: {0}")]
    Randomness(getrandom::Error),
    /// A store that cannot be read or written.
    #[error("{0}")]
    Store(String),
    /// An artefact that exists with other content: each is written once.
    #[error("{0} is there already, with other content: nothing in a session is written twice; ask who wrote it")]
    Rewritten(String),
}
