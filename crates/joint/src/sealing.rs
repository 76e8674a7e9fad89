//! Keys that two owners share, what only one of them can open, and what all owners and nobody else can open.
//!
//! * A pair's secret is X25519 of one's secret and the other's public key; every use takes a key of its own from it by
//!   HKDF-SHA256 with the session's digest as salt and the use as info.
//! * Sealed bytes are XChaCha20-Poly1305 under such a key: 24 random bytes of nonce, then ciphertext and tag. What they
//!   belong to is authenticated beside them.

use crate::error::{JointError, Result};
use crate::hash::Digest;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// A symmetric key, overwritten when dropped.
pub type Key = Zeroizing<[u8; 32]>;

/// Bytes that sealing adds: nonce and tag.
pub const OVERHEAD: usize = NONCE + 16;

const NONCE: usize = 24;

/// Random bytes of the operating system.
///
/// # Errors
///
/// [`JointError::Randomness`].
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(JointError::Randomness)?;
    Ok(bytes)
}

/// The key of one use that two owners share: HKDF-SHA256(X25519(mine, theirs), salt = session, info = the parts of `uses`,
/// each with its length). The same for both if they name the use alike.
///
/// # Errors
///
/// [`JointError::WeakKey`], naming `owner`, if the other's key is of small order.
pub fn pair_key(mine: &StaticSecret, theirs: &[u8; 32], owner: &str, session: &Digest, uses: &[&str]) -> Result<Key> {
    let shared = mine.diffie_hellman(&PublicKey::from(*theirs));
    if !shared.was_contributory() {
        return Err(JointError::WeakKey(owner.to_owned()));
    }
    Ok(derive(shared.as_bytes(), session, uses))
}

/// HKDF-SHA256 of a secret, with the session as salt and the use as info.
pub fn derive(secret: &[u8], session: &Digest, uses: &[&str]) -> Key {
    let info: Vec<u8> =
        uses.iter().flat_map(|part| (part.len() as u64).to_le_bytes().into_iter().chain(part.bytes())).collect();
    let mut key = Key::default();
    let expanded = Hkdf::<Sha256>::new(Some(&session.0), secret).expand(&info, &mut key[..]);
    expanded.expect("32 bytes are fewer than HKDF gives");
    key
}

/// Seals bytes under a key, bound to `context`.
///
/// # Errors
///
/// [`JointError::Randomness`].
pub fn seal(key: &Key, context: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE] = random()?;
    let cipher = XChaCha20Poly1305::new((&**key).into());
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: context });
    let sealed = sealed.expect("messages of less than 256 GiB");
    Ok([&nonce[..], &sealed].concat())
}

/// Opens [`seal`]ed bytes; `None` if they are not what was sealed under this key and context.
pub fn open(key: &Key, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let cipher = XChaCha20Poly1305::new((&**key).into());
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: context }).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> StaticSecret {
        StaticSecret::from([byte; 32])
    }

    #[test]
    fn two_owners_share_a_key_a_session_and_a_use_and_a_third_has_another() {
        let public = |byte| PublicKey::from(&secret(byte)).to_bytes();
        let session = Digest::of("test", []);
        let key = |mine, theirs, session, uses: &[&str]| {
            pair_key(&secret(mine), &public(theirs), "b", session, uses).unwrap().to_vec()
        };
        assert_eq!(key(1, 2, &session, &["x", "y"]), key(2, 1, &session, &["x", "y"]));
        assert_ne!(key(1, 2, &session, &["x", "y"]), key(1, 2, &session, &["xy"]));
        let other = Digest::of("other", []);
        assert_ne!(key(1, 2, &session, &["x"]), key(1, 2, &other, &["x"]));
        assert_ne!(key(1, 2, &session, &["x"]), key(3, 2, &session, &["x"]));
    }

    #[test]
    fn a_key_of_small_order_is_refused_by_its_owners_name() {
        let error = pair_key(&secret(1), &[0; 32], "mallory", &Digest::of("test", []), &[]).unwrap_err();
        assert!(matches!(error, JointError::WeakKey(name) if name == "mallory"));
    }

    #[test]
    fn what_is_sealed_opens_under_its_key_and_context_alone() {
        let (key, other) = (Key::new([1; 32]), Key::new([2; 32]));
        let sealed = seal(&key, b"moments", b"secret").unwrap();
        assert_eq!(sealed.len(), 6 + OVERHEAD);
        assert_eq!(**open(&key, b"moments", &sealed).unwrap(), *b"secret");
        assert!(open(&other, b"moments", &sealed).is_none() && open(&key, b"means", &sealed).is_none());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(open(&key, b"moments", &changed).is_none(), "{place}");
        }
        assert!(open(&key, b"moments", &sealed[..NONCE - 1]).is_none());
        assert_ne!(seal(&key, b"moments", b"secret").unwrap(), sealed, "nonces are drawn anew");
    }
}
