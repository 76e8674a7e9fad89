//! Artefacts: what owners send. Each is a container with a body of bytes, signed by its owner, and written once.
//!
//! The metadata are `name` (what it is, such as `join`), `session` (a digest), `from` (an owner), `seq` (the round, from
//! 0), `transcript` (a digest of all that its owner had read before) and `signature`; the tensor `body` has the rest.
//! The Ed25519 signature is over
//!
//! ```text
//! SHA-256( |"ciphertune artefact 1"| ... | |name| name | |session| session | |from| from | |seq| seq | |transcript| ... | |body| body )
//! ```
//!
//! with lengths and seq as 64-bit little-endian numbers ([`Digest::of`]). So an artefact says everything about its place,
//! and none can be taken for that of another owner, round or session.

use crate::error::{JointError, Result};
use crate::hash::{Digest, from_hex, to_hex};
use crate::identity::{Card, Identity, check_name};
use ciphertune_ckks::container::{Container, ContainerWriter};

/// The kind that an artefact's container names.
pub const KIND: &str = "joint artefact";
const VERSION: u32 = 1;

/// The largest artefact that is read, in bytes: the second moments of [`crate::proposal::MAX_FEATURES`] features are
/// half of that.
pub const MAX_BYTES: usize = 256 << 20;

/// Where an artefact belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is: the round's name.
    pub name: String,
    /// The session, or, before there is one, the proposal.
    pub session: Digest,
    /// The owner.
    pub from: String,
    /// The round's number.
    pub seq: u64,
}

impl Place {
    /// The artefact's name in a store.
    pub fn file(&self) -> String {
        format!("{}.{}", self.name, self.from)
    }
}

/// What an owner sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// Where it belongs.
    pub place: Place,
    /// A digest of all that its owner had read before.
    pub transcript: Digest,
    /// The content.
    pub body: Vec<u8>,
}

impl Artefact {
    /// What is signed; equal digests mean equal artefacts.
    pub fn digest(&self) -> Digest {
        let Place { name, session, from, seq } = &self.place;
        let seq = seq.to_le_bytes();
        let fields: [&[u8]; 6] = [name.as_bytes(), &session.0, from.as_bytes(), &seq, &self.transcript.0, &self.body];
        Digest::of("ciphertune artefact 1", fields)
    }

    /// The artefact's bytes, signed.
    ///
    /// # Errors
    ///
    /// [`JointError::Container`].
    pub fn to_bytes(&self, identity: &Identity) -> Result<Vec<u8>> {
        let Place { name, session, from, seq } = &self.place;
        let writer = ContainerWriter::new(KIND, VERSION)
            .metadata("name", name)
            .metadata("session", *session)
            .metadata("from", from)
            .metadata("seq", seq.to_string())
            .metadata("transcript", self.transcript)
            .metadata("signature", to_hex(&identity.sign(&self.digest())));
        Ok(writer.u8("body", &[self.body.len()], &self.body[..]).to_bytes()?)
    }

    /// Reads [`Artefact::to_bytes`] of one owner, for one place.
    ///
    /// # Errors
    ///
    /// [`JointError::TooLarge`], [`JointError::Container`], [`JointError::Misplaced`], [`JointError::Signature`].
    pub fn from_bytes(bytes: &[u8], place: &Place, card: &Card) -> Result<Self> {
        let (artefact, signature) = Self::parse(bytes)?;
        if artefact.place != *place {
            let found = artefact.place.describe_against(place);
            return Err(JointError::Misplaced { expected: place.file(), found });
        }
        if !card.verifies(&artefact.digest(), &signature) {
            return Err(JointError::Signature { name: place.file(), from: card.name.clone() });
        }
        Ok(artefact)
    }

    /// Reads an artefact and its signature, which nobody has checked.
    ///
    /// # Errors
    ///
    /// [`JointError::TooLarge`], [`JointError::Container`], [`JointError::Name`], [`JointError::Hex`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, [u8; 64])> {
        if bytes.len() > MAX_BYTES {
            return Err(JointError::TooLarge(bytes.len()));
        }
        let container = Container::parse(bytes, KIND, VERSION)?;
        let (name, from) = (container.metadata("name")?, container.metadata("from")?);
        check_name(name)?;
        check_name(from)?;
        let place = Place {
            name: name.to_owned(),
            session: container.metadata("session")?.parse()?,
            from: from.to_owned(),
            seq: container.parse_metadata("seq")?,
        };
        let transcript = container.metadata("transcript")?.parse()?;
        let signature = from_hex(container.metadata("signature")?)?;
        let body = container.tensor("body")?;
        let body = body.of_shape(&[body.len()])?.u8s()?.to_vec();
        Ok((Artefact { place, transcript, body }, signature))
    }
}

impl Place {
    /// In what this place, which was found, differs from the one that was expected.
    fn describe_against(&self, expected: &Place) -> String {
        if self.session != expected.session {
            return format!("another session ({})", &self.session.to_string()[..16]);
        }
        if self.name == expected.name && self.from == expected.from {
            return format!("round {} in place of {}", self.seq, expected.seq);
        }
        self.file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { name: "means".into(), session: Digest::of("s", []), from: "a".into(), seq: 1 }
    }

    fn artefact() -> Artefact {
        Artefact { place: place(), transcript: Digest::of("t", []), body: vec![1, 2, 3] }
    }

    #[test]
    fn an_artefact_survives_its_bytes_and_is_the_same_every_time() {
        let identity = Identity::generate("a").unwrap();
        let bytes = artefact().to_bytes(&identity).unwrap();
        assert_eq!(artefact().to_bytes(&identity).unwrap(), bytes);
        assert_eq!(Artefact::from_bytes(&bytes, &place(), &identity.card()).unwrap(), artefact());
        assert_eq!(place().file(), "means.a");
    }

    #[test]
    fn an_artefact_of_another_place_is_refused_by_its_name() {
        let identity = Identity::generate("a").unwrap();
        let bytes = artefact().to_bytes(&identity).unwrap();
        let message = |place: Place| Artefact::from_bytes(&bytes, &place, &identity.card()).unwrap_err().to_string();
        assert!(
            message(Place { name: "moments".into(), ..place() })
                .contains("moments.a is refused, since it names means.a")
        );
        assert!(message(Place { from: "b".into(), ..place() }).contains("names means.a"));
        assert!(message(Place { seq: 2, ..place() }).contains("round 1 in place of 2"));
        assert!(message(Place { session: Digest::of("other", []), ..place() }).contains("another session"));
    }

    #[test]
    fn whatever_is_changed_the_signature_says_so() {
        let identity = Identity::generate("a").unwrap();
        let card = identity.card();
        let signed = identity.sign(&artefact().digest());
        let resealed = |artefact: &Artefact| {
            // As someone without the key renews the container's digest.
            let mut writer = ContainerWriter::new(KIND, VERSION);
            let Place { name, session, from, seq } = &artefact.place;
            for (key, value) in [("name", name.clone()), ("session", session.to_string()), ("from", from.clone())] {
                writer = writer.metadata(key, value);
            }
            writer = writer.metadata("seq", seq.to_string()).metadata("transcript", artefact.transcript);
            writer = writer.metadata("signature", to_hex(&signed));
            writer.u8("body", &[artefact.body.len()], &artefact.body[..]).to_bytes().unwrap()
        };
        let read = |artefact: &Artefact| Artefact::from_bytes(&resealed(artefact), &artefact.place, &card);
        assert_eq!(read(&artefact()).unwrap(), artefact());
        let others = [
            Artefact { body: vec![1, 2, 4], ..artefact() },
            Artefact { body: vec![1, 2, 3, 0], ..artefact() },
            Artefact { transcript: Digest::of("u", []), ..artefact() },
            Artefact { place: Place { seq: 2, ..place() }, ..artefact() },
            Artefact { place: Place { name: "moments".into(), ..place() }, ..artefact() },
            Artefact { place: Place { from: "b".into(), ..place() }, ..artefact() },
            Artefact { place: Place { session: Digest::of("x", []), ..place() }, ..artefact() },
        ];
        for other in others {
            let error = read(&other).unwrap_err();
            assert!(matches!(error, JointError::Signature { .. }), "{error}");
        }
        let mallory = Card { name: "a".into(), ..Identity::generate("m").unwrap().card() };
        let error = Artefact::from_bytes(&resealed(&artefact()), &place(), &mallory).unwrap_err();
        assert!(error.to_string().contains("the signature of means.a is not a's"), "{error}");
    }
}
