//! The rounds of a session: their names and order, and what owners' artefacts in them hold.
//!
//! | round | body |
//! |---|---|
//! | `join` | a nonce (32 bytes), an X25519 key for this session alone (32), and for every other owner 32 bytes sealed for it ([`Join`]) |
//! | `means`, `moments`, `gradient-1`, ... | a masked vector ([`crate::masked`]), sealed for all owners |
//! | `keys`, `ids`, `contribution`, `model`, `verified`, `head` | with a key holder, see [`crate::held`] |
//! | `done` | the digest of all sums |
//!
//! Whoever is not in the roster does not even see the sums: vectors are sealed under a key that all owners put together,
//! 32 bytes of each.

use crate::error::{JointError, Result};
use crate::hash::Digest;
use crate::identity::Identity;
use crate::proposal::{Mode, Proposal, Role};
use crate::sealing::{self, Key, OVERHEAD, derive, pair_key};
use ciphertune_head::ScalerKind;
use std::fmt;
use x25519_dalek::PublicKey;
use zeroize::Zeroizing;

/// A round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// An owner agrees to the proposal.
    Join,
    /// Row counts, means and deviations.
    Means,
    /// Second and fourth moments.
    Moments,
    /// The gradient of an iteration, counted from 1.
    Gradient(usize),
    /// Evaluation keys, and masks for the owners' entry keys.
    Keys,
    /// Whether features and labels are of the same rows.
    Ids,
    /// Encrypted rows.
    Contribution,
    /// The encrypted model.
    Model,
    /// That a verifier made the same model.
    Verified,
    /// The weights, opened.
    Head,
    /// All sums are known.
    Done,
}

impl Round {
    /// The rounds of a session, in order.
    pub fn of(proposal: &Proposal) -> Vec<Round> {
        let mut rounds = vec![Round::Join];
        let training = proposal.training.as_ref();
        if training.is_some_and(|training| training.compare_ids) {
            rounds.push(Round::Ids);
        }
        if !proposal.summing().is_empty() {
            rounds.push(Round::Means);
            if proposal.scaler.kind == ScalerKind::Whiten {
                rounds.push(Round::Moments);
            }
        }
        match (proposal.mode, training) {
            (Mode::SecureSum, Some(training)) => {
                rounds.extend((1..=training.recipe.iterations()).map(Round::Gradient));
            }
            (Mode::SecureSum, None) => {}
            (Mode::KeyHolder, _) => {
                rounds.extend([Round::Keys, Round::Contribution, Round::Model]);
                if !Round::Verified.senders(proposal).is_empty() {
                    rounds.push(Round::Verified);
                }
                rounds.push(Round::Head);
            }
        }
        rounds.push(Round::Done);
        rounds
    }

    /// Whether artefacts of this round have a payload beside them.
    pub fn has_payload(self) -> bool {
        matches!(self, Round::Keys | Round::Contribution | Round::Model)
    }

    /// The places of those who send in this round.
    pub fn senders(self, proposal: &Proposal) -> Vec<usize> {
        match self {
            Round::Join => (0..proposal.members.len()).collect(),
            Round::Means | Round::Moments | Round::Gradient(_) => proposal.summing(),
            Round::Ids => proposal.giving().into_iter().filter(|place| proposal.partner(*place).is_some()).collect(),
            Round::Keys | Round::Head => proposal.places(|role| role == Role::Holder),
            Round::Model => proposal.places(|role| role == Role::Server),
            Round::Verified => proposal.places(|role| role == Role::Verifier),
            Round::Contribution | Round::Done => proposal.giving(),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Round::Join => f.write_str("join"),
            Round::Means => f.write_str("means"),
            Round::Moments => f.write_str("moments"),
            Round::Gradient(t) => write!(f, "gradient-{t}"),
            Round::Keys => f.write_str("keys"),
            Round::Ids => f.write_str("ids"),
            Round::Contribution => f.write_str("contribution"),
            Round::Model => f.write_str("model"),
            Round::Verified => f.write_str("verified"),
            Round::Head => f.write_str("head"),
            Round::Done => f.write_str("done"),
        }
    }
}

/// Bytes of a share of the key that all owners put together.
const SHARE: usize = 32;

/// What an owner draws for a session, and keeps until the session is forgotten.
pub struct Secrets {
    bytes: Zeroizing<[u8; Secrets::LENGTH]>,
}

impl Secrets {
    /// Bytes of [`Secrets::as_bytes`].
    const LENGTH: usize = 96;

    /// New ones.
    ///
    /// # Errors
    ///
    /// [`JointError::Randomness`].
    pub fn generate() -> Result<Self> {
        Ok(Secrets { bytes: Zeroizing::new(sealing::random()?) })
    }

    /// From [`Secrets::as_bytes`]; `None` if they are not so many.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Secrets { bytes: Zeroizing::new(bytes.try_into().ok()?) })
    }

    /// For the owner's own store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..]
    }

    fn nonce(&self) -> &[u8; 32] {
        self.bytes.first_chunk().expect("96 bytes")
    }

    /// The key that masks come from.
    pub fn exchange(&self) -> x25519_dalek::StaticSecret {
        let bytes: [u8; 32] = self.bytes[32..64].try_into().expect("32 bytes");
        bytes.into()
    }

    fn share(&self) -> &[u8] {
        &self.bytes[64..]
    }
}

/// What an owner says when it joins.
pub struct Join {
    /// Makes the session's digest new.
    pub nonce: [u8; 32],
    /// The public half of [`Secrets::exchange`].
    pub exchange: [u8; 32],
    /// For every other owner whose sums it makes, in the order of the roster, its sealed share.
    shares: Vec<Vec<u8>>,
}

/// What sealed shares are bound to.
fn share_context(from: &str, to: &str) -> Vec<u8> {
    format!("join.{from} {to}").into_bytes()
}

impl Join {
    /// The body of an owner's artefact.
    ///
    /// # Errors
    ///
    /// [`JointError::WeakKey`], [`JointError::Randomness`].
    pub fn body(proposal: &Proposal, identity: &Identity, secrets: &Secrets) -> Result<Vec<u8>> {
        let mut body = secrets.nonce().to_vec();
        body.extend(PublicKey::from(&secrets.exchange()).to_bytes());
        let (from, place) = (identity.name(), proposal.place(&identity.card())?);
        for other in others(proposal, place) {
            let owner = &proposal.members[other];
            let (to, seal) = (&owner.card.name, &owner.card.seal.0);
            let uses = ["ciphertune share 1", from, to];
            let key = pair_key(identity.sealing_secret(), seal, to, &proposal.digest(), &uses)?;
            body.extend(sealing::seal(&key, &share_context(from, to), secrets.share())?);
        }
        Ok(body)
    }

    /// Whether it was made with these secrets.
    pub fn is_of(&self, secrets: &Secrets) -> bool {
        self.nonce == *secrets.nonce() && self.exchange == PublicKey::from(&secrets.exchange()).to_bytes()
    }

    /// Reads [`Join::body`] of the member at a place; `None` if it is none.
    pub fn parse(proposal: &Proposal, place: usize, body: &[u8]) -> Option<Self> {
        let (nonce, rest) = body.split_first_chunk()?;
        let (exchange, rest) = rest.split_first_chunk()?;
        let shares: Vec<Vec<u8>> = rest.chunks(SHARE + OVERHEAD).map(<[u8]>::to_vec).collect();
        let whole = rest.len() == others(proposal, place).len() * (SHARE + OVERHEAD);
        whole.then_some(Join { nonce: *nonce, exchange: *exchange, shares })
    }
}

/// With whom the member at a place makes sums.
fn others(proposal: &Proposal, place: usize) -> Vec<usize> {
    let mut summing = proposal.summing();
    match summing.contains(&place) {
        true => summing.retain(|other| *other != place),
        false => summing.clear(),
    }
    summing
}

/// What the joins of all members make together.
pub struct Group {
    /// The session.
    pub session: Digest,
    /// Names and keys of this session of those who make sums, in the order of the roster.
    pub owners: Vec<(String, [u8; 32])>,
    /// The place among them; `None` for who is not one.
    pub place: Option<usize>,
    /// Of those who make sums.
    key: Option<Key>,
}

impl Group {
    /// From the joins in the order of the roster, for the member at `place`.
    ///
    /// # Errors
    ///
    /// [`JointError::Sealed`], [`JointError::WeakKey`].
    pub fn new(
        proposal: &Proposal,
        identity: &Identity,
        place: usize,
        secrets: &Secrets,
        joins: &[Join],
    ) -> Result<Self> {
        let json = proposal.to_json();
        let fresh = joins.iter().flat_map(|join| [&join.nonce[..], &join.exchange[..]]);
        let session = Digest::of("ciphertune session 1", [&json[..]].into_iter().chain(fresh));
        let (mut shares, to) = (Zeroizing::new(Vec::with_capacity(SHARE * joins.len())), identity.name());
        let summing = proposal.summing();
        let owners = summing.iter().map(|other| (proposal.members[*other].card.name.clone(), joins[*other].exchange));
        let owners = owners.collect();
        let Some(among) = summing.iter().position(|other| *other == place) else {
            return Ok(Group { session, owners, place: None, key: None });
        };
        for other in summing {
            if other == place {
                shares.extend_from_slice(secrets.share());
                continue;
            }
            let (owner, join) = (&proposal.members[other], &joins[other]);
            let (from, seal) = (&owner.card.name, &owner.card.seal.0);
            let uses = ["ciphertune share 1", from, to];
            let key = pair_key(identity.sealing_secret(), seal, from, &proposal.digest(), &uses)?;
            let place = others(proposal, other).iter().position(|to| *to == place).expect("it is one of them");
            let sealed = &join.shares[place];
            let opened = sealing::open(&key, &share_context(from, to), sealed);
            let refused = || JointError::Sealed { name: format!("join.{from}"), from: from.clone() };
            shares.extend_from_slice(&opened.ok_or_else(refused)?);
        }
        let key = derive(&shares, &session, &["ciphertune group 1"]);
        Ok(Group { session, owners, place: Some(among), key: Some(key) })
    }

    /// Seals a vector for all who make sums.
    ///
    /// # Errors
    ///
    /// [`JointError::Randomness`].
    ///
    /// # Panics
    ///
    /// For who does not make sums.
    pub fn seal(&self, file: &str, vector: &[u8]) -> Result<Vec<u8>> {
        sealing::seal(self.key.as_ref().expect("who makes sums has the key"), file.as_bytes(), vector)
    }

    /// Whether the sums can be read here.
    pub fn reads_sums(&self) -> bool {
        self.key.is_some()
    }

    /// Opens [`Group::seal`].
    ///
    /// # Errors
    ///
    /// [`JointError::Sealed`].
    pub fn open(&self, file: &str, from: &str, body: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let refused = || JointError::Sealed { name: file.to_owned(), from: from.to_owned() };
        let opened = self.key.as_ref().and_then(|key| sealing::open(key, file.as_bytes(), body));
        opened.ok_or_else(refused)
    }
}
