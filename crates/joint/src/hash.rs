//! SHA-256 of fields: every digest of a session begins with its domain, and every field with its length, so that no two
//! different lists of fields have the same bytes.

use crate::error::{JointError, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest; 64 hexadecimal digits in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256(|domain| domain |field| field ...), lengths as 64-bit little-endian numbers.
    pub fn of<'a>(domain: &'a str, fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for field in [domain.as_bytes()].into_iter().chain(fields) {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        Digest(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl FromStr for Digest {
    type Err = JointError;

    fn from_str(text: &str) -> Result<Self> {
        from_hex(text).map(Digest)
    }
}

impl TryFrom<String> for Digest {
    type Error = JointError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// Bytes as hexadecimal digits in small letters.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads [`to_hex`], and nothing else: equal bytes have one spelling.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N]> {
    let refused = || JointError::Hex(text.chars().take(2 * N).collect(), 2 * N);
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(refused());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
        *byte = digit(pair[0]) << 4 | digit(pair[1]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_cut_elsewhere_have_another_digest() {
        let of = |fields: &[&str]| Digest::of("test", fields.iter().map(|field| field.as_bytes()));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["abc"]), of(&["abc", ""]));
        assert_ne!(Digest::of("test", [&b"x"[..]]), Digest::of("tes", [&b"tx"[..]]));
    }

    #[test]
    fn digests_have_one_spelling() {
        let digest = Digest::of("test", []);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for text in [digest.to_string().to_uppercase(), digest.to_string()[1..].to_owned(), "é".repeat(32)] {
            assert!(matches!(text.parse::<Digest>(), Err(JointError::Hex(_, 64))), "{text}");
        }
    }
}
