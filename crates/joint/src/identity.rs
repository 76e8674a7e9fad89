//! An owner's keys: Ed25519 to sign with, X25519 to be sealed for; and the card that shows their public halves.

use crate::error::{JointError, Result};
use crate::hash::{Digest, from_hex, to_hex};
use crate::sealing::random;
use ciphertune_ckks::container::{Container, ContainerWriter};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The kind that an identity's container names.
pub const KIND: &str = "joint identity";
const VERSION: u32 = 1;

/// The most characters of an owner's name.
pub const MAX_NAME: usize = 32;

/// The largest card that is read, in bytes.
const MAX_CARD: usize = 4096;

/// A public key in text: 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicBytes(pub [u8; 32]);

impl TryFrom<String> for PublicBytes {
    type Error = JointError;

    fn try_from(text: String) -> Result<Self> {
        from_hex(&text).map(PublicBytes)
    }
}

impl From<PublicBytes> for String {
    fn from(key: PublicBytes) -> String {
        to_hex(&key.0)
    }
}

/// What an owner shows of its keys, before there is a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The owner's name in sessions.
    pub name: String,
    /// The Ed25519 key that signs its artefacts.
    pub sign: PublicBytes,
    /// The X25519 key that secrets are sealed for.
    pub seal: PublicBytes,
}

impl Card {
    /// The card as one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("three strings are JSON")
    }

    /// Reads [`Card::to_json`].
    ///
    /// # Errors
    ///
    /// [`JointError::Document`]; as [`Card::check`].
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let refused = |reason: String| JointError::Document { what: "card", reason };
        if bytes.len() > MAX_CARD {
            return Err(refused(format!("{} bytes are too many", bytes.len())));
        }
        let card: Card = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        card.check()?;
        Ok(card)
    }

    /// Refuses a name that is none and a key that signs nothing.
    ///
    /// # Errors
    ///
    /// [`JointError::Name`], [`JointError::WeakKey`].
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        let weak = VerifyingKey::from_bytes(&self.sign.0).map_or(true, |key| key.is_weak());
        if weak { Err(JointError::WeakKey(self.name.clone())) } else { Ok(()) }
    }

    /// Whether this owner signed a digest.
    pub fn verifies(&self, digest: &Digest, signature: &[u8; 64]) -> bool {
        let key = VerifyingKey::from_bytes(&self.sign.0);
        key.is_ok_and(|key| key.verify_strict(&digest.0, &Signature::from_bytes(signature)).is_ok())
    }
}

/// Refuses what is no owner's name: it stands in the names of files.
///
/// # Errors
///
/// [`JointError::Name`].
pub fn check_name(name: &str) -> Result<()> {
    let fine = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.starts_with('-');
    if fine { Ok(()) } else { Err(JointError::Name(name.chars().take(MAX_NAME).collect())) }
}

/// An owner's keys. They cannot be cloned or printed, and are overwritten when dropped.
pub struct Identity {
    name: String,
    sign: SigningKey,
    seal: StaticSecret,
}

impl Identity {
    /// New keys, from the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`JointError::Name`], [`JointError::Randomness`].
    pub fn generate(name: &str) -> Result<Self> {
        check_name(name)?;
        let (sign, seal) = (Zeroizing::new(random()?), Zeroizing::new(random()?));
        Ok(Self::from_secrets(name, &sign, &seal))
    }

    fn from_secrets(name: &str, sign: &[u8; 32], seal: &[u8; 32]) -> Self {
        Identity { name: name.to_owned(), sign: SigningKey::from_bytes(sign), seal: StaticSecret::from(*seal) }
    }

    /// The public halves.
    pub fn card(&self) -> Card {
        let (sign, seal) = (self.sign.verifying_key().to_bytes(), PublicKey::from(&self.seal).to_bytes());
        Card { name: self.name.clone(), sign: PublicBytes(sign), seal: PublicBytes(seal) }
    }

    /// The owner's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Signs a digest.
    pub fn sign(&self, digest: &Digest) -> [u8; 64] {
        self.sign.sign(&digest.0).to_bytes()
    }

    /// The secret that what is sealed for this owner opens with.
    pub fn sealing_secret(&self) -> &StaticSecret {
        &self.seal
    }

    /// The keys as a container of kind `joint identity`: a secret, for a file of mode 0600.
    ///
    /// # Errors
    ///
    /// [`JointError::Container`].
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        let (sign, seal) = (Zeroizing::new(self.sign.to_bytes()), Zeroizing::new(self.seal.to_bytes()));
        let writer = ContainerWriter::new(KIND, VERSION).metadata("name", &self.name);
        let bytes = writer.u8("sign", &[32], &sign[..]).u8("seal", &[32], &seal[..]).to_bytes()?;
        Ok(Zeroizing::new(bytes))
    }

    /// Reads [`Identity::to_bytes`].
    ///
    /// # Errors
    ///
    /// [`JointError::Container`], [`JointError::Name`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let container = Container::parse(bytes, KIND, VERSION)?;
        let name = container.metadata("name")?;
        check_name(name)?;
        let secret = |name| -> Result<Zeroizing<[u8; 32]>> {
            let bytes = container.tensor(name)?.of_shape(&[32])?.u8s()?;
            Ok(Zeroizing::new(bytes.try_into().expect("a tensor of 32 bytes")))
        };
        Ok(Self::from_secrets(name, &*secret("sign")?, &*secret("seal")?))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, ..)", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_file_and_signs_as_its_card_says() {
        let identity = Identity::generate("clinic-1").unwrap();
        let read = Identity::from_bytes(&identity.to_bytes().unwrap()).unwrap();
        assert_eq!(read.card(), identity.card());
        let digest = Digest::of("test", []);
        let signature = read.sign(&digest);
        assert!(identity.card().verifies(&digest, &signature));
        assert!(!identity.card().verifies(&Digest::of("other", []), &signature));
        assert!(!Identity::generate("clinic-1").unwrap().card().verifies(&digest, &signature));
        assert_eq!(format!("{identity:?}"), "Identity(clinic-1, ..)");
    }

    #[test]
    fn a_card_survives_its_text_and_names_and_keys_that_are_none_are_refused() {
        let card = Identity::generate("a").unwrap().card();
        assert_eq!(Card::from_json(card.to_json().as_bytes()).unwrap(), card);
        for name in ["", "A", "a/b", "-a", "a.b", &"a".repeat(33)] {
            assert!(matches!(Identity::generate(name), Err(JointError::Name(_))), "{name}");
            assert!(Card::from_json(Card { name: name.into(), ..card.clone() }.to_json().as_bytes()).is_err());
        }
        // The point of order one: everything is signed with it.
        let mut identity = [0; 32];
        identity[0] = 1;
        let weak = Card { sign: PublicBytes(identity), ..card.clone() };
        assert!(matches!(weak.check(), Err(JointError::WeakKey(name)) if name == "a"));
        assert!(Card::from_json(&[b' '; MAX_CARD + 1]).is_err());
    }
}
