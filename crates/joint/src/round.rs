//! The rounds of a session: their names and order, and what owners' artefacts in them hold.
//!
//! | round | body |
//! |---|---|
//! | `join` | a nonce (32 bytes), an X25519 key for this session alone (32), and for every other owner 32 bytes sealed for it ([`Join`]) |
//! | `means`, `moments`, `gradient-1`, ... | a masked vector ([`crate::masked`]), sealed for all owners |
//! | `done` | the digest of all sums |
//!
//! Whoever is not in the roster does not even see the sums: vectors are sealed under a key that all owners put together,
//! 32 bytes of each.

use crate::error::{JointError, Result};
use crate::hash::Digest;
use crate::identity::Identity;
use crate::proposal::Proposal;
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
    /// All sums are known.
    Done,
}

impl Round {
    /// The rounds of a session, in order.
    pub fn of(proposal: &Proposal) -> Vec<Round> {
        let mut rounds = vec![Round::Join, Round::Means];
        if proposal.scaler.kind == ScalerKind::Whiten {
            rounds.push(Round::Moments);
        }
        if let Some(training) = &proposal.training {
            rounds.extend((1..=training.recipe.iterations()).map(Round::Gradient));
        }
        rounds.push(Round::Done);
        rounds
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Round::Join => f.write_str("join"),
            Round::Means => f.write_str("means"),
            Round::Moments => f.write_str("moments"),
            Round::Gradient(t) => write!(f, "gradient-{t}"),
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
    /// For every owner but itself, in the order of the roster, its sealed share.
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
        let from = identity.name();
        for owner in proposal.owners.iter().filter(|owner| owner.card.name != from) {
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

    /// Reads [`Join::body`] of a session of so many owners; `None` if it is none.
    pub fn parse(body: &[u8], owners: usize) -> Option<Self> {
        let (nonce, rest) = body.split_first_chunk()?;
        let (exchange, rest) = rest.split_first_chunk()?;
        let shares: Vec<Vec<u8>> = rest.chunks(SHARE + OVERHEAD).map(<[u8]>::to_vec).collect();
        let whole = rest.len() == (owners - 1) * (SHARE + OVERHEAD);
        whole.then_some(Join { nonce: *nonce, exchange: *exchange, shares })
    }
}

/// What the joins of all owners make together.
pub struct Group {
    /// The session.
    pub session: Digest,
    /// The owners' names and keys of this session, in the order of the roster.
    pub owners: Vec<(String, [u8; 32])>,
    key: Key,
}

impl Group {
    /// From the joins in the order of the roster, for the owner at `place`.
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
        let mut shares = Zeroizing::new(Vec::with_capacity(SHARE * joins.len()));
        let to = identity.name();
        for (other, (owner, join)) in proposal.owners.iter().zip(joins).enumerate() {
            if other == place {
                shares.extend_from_slice(secrets.share());
                continue;
            }
            let (from, seal) = (&owner.card.name, &owner.card.seal.0);
            let uses = ["ciphertune share 1", from, to];
            let key = pair_key(identity.sealing_secret(), seal, from, &proposal.digest(), &uses)?;
            // A list of all owners but the sender.
            let sealed = &join.shares[if place < other { place } else { place - 1 }];
            let opened = sealing::open(&key, &share_context(from, to), sealed);
            let refused = || JointError::Sealed { name: format!("join.{from}"), from: from.clone() };
            shares.extend_from_slice(&opened.ok_or_else(refused)?);
        }
        let owners = proposal.names().map(str::to_owned).zip(joins.iter().map(|join| join.exchange)).collect();
        let key = derive(&shares, &session, &["ciphertune group 1"]);
        Ok(Group { session, owners, key })
    }

    /// Seals a vector for all owners.
    ///
    /// # Errors
    ///
    /// [`JointError::Randomness`].
    pub fn seal(&self, file: &str, vector: &[u8]) -> Result<Vec<u8>> {
        sealing::seal(&self.key, file.as_bytes(), vector)
    }

    /// Opens [`Group::seal`].
    ///
    /// # Errors
    ///
    /// [`JointError::Sealed`].
    pub fn open(&self, file: &str, from: &str, body: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let refused = || JointError::Sealed { name: file.to_owned(), from: from.to_owned() };
        sealing::open(&self.key, file.as_bytes(), body).ok_or_else(refused)
    }
}
