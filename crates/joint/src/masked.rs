//! Sums of integers of which nobody sees a part: pairwise masks over Z_2^k (Bonawitz et al. 2017, without recovery).
//!
//! Owners are in the order of the roster. Owner i sends, for every number of its vector v_i,
//!
//! ```text
//! v_i + sum_(j > i) m_ij - sum_(j < i) m_ji    modulo 2^k, k = 128 or 256
//! ```
//!
//! where m_ij is a ChaCha20 stream whose key owners i and j share, and which is of this session, this round and this pair
//! alone ([`pair_key`]). The masks cancel in the sum of *all* owners; without one of them every number is uniform. So a
//! missing owner voids the sum: there is no recovery, as whatever gives a mask back to others also gives away what it hid.
//!
//! Numbers are signed and must be below 2^(k-1) / owners in size ([`Vector::check`]): then no sum wraps around, and it is
//! exact. What is larger is refused, never cut.

use crate::error::{JointError, Result};
use crate::hash::Digest;
use crate::sealing::{Key, pair_key};
use chacha20::ChaCha20Rng;
use ethnum::I256;
use rand_core::{Rng, SeedableRng};
use x25519_dalek::StaticSecret;
use zeroize::Zeroize;

/// How many bits k a number of a sum has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 128.
    Bits128,
    /// 256.
    Bits256,
}

impl Width {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Width::Bits128 => 16,
            Width::Bits256 => 32,
        }
    }
}

/// Signed integers, each of one width, little-endian in two's complement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    width: Width,
    bytes: Vec<u8>,
}

impl Vector {
    /// An empty vector.
    pub fn new(width: Width) -> Self {
        Vector { width, bytes: Vec::new() }
    }

    /// Zeros.
    pub fn zeros(width: Width, len: usize) -> Self {
        Vector { width, bytes: vec![0; len * width.bytes()] }
    }

    /// A vector of so many numbers from its bytes; `None` if there are more or fewer.
    pub fn from_bytes(width: Width, len: usize, bytes: Vec<u8>) -> Option<Self> {
        (len.checked_mul(width.bytes()) == Some(bytes.len())).then_some(Vector { width, bytes })
    }

    /// The numbers' bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many numbers.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.width.bytes()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a number at the end; its bits above the vector's width must be copies of its sign.
    pub fn push(&mut self, number: I256) {
        debug_assert!(self.width == Width::Bits256 || I256::from(number.as_i128()) == number);
        self.bytes.extend_from_slice(&number.to_le_bytes()[..self.width.bytes()]);
    }

    /// The numbers.
    pub fn numbers(&self) -> impl ExactSizeIterator<Item = I256> + '_ {
        self.bytes.chunks_exact(self.width.bytes()).map(|bytes| match self.width {
            Width::Bits128 => I256::from(i128::from_le_bytes(bytes.try_into().expect("16 bytes"))),
            Width::Bits256 => I256::from_le_bytes(bytes.try_into().expect("32 bytes")),
        })
    }

    /// Refuses numbers whose sum over so many owners might wrap around: the place of the first one.
    ///
    /// # Errors
    ///
    /// [`JointError::Range`].
    pub fn check(&self, owners: usize, what: &'static str) -> Result<()> {
        let largest = match self.width {
            Width::Bits128 => I256::from(i128::MAX),
            Width::Bits256 => I256::MAX,
        };
        let limit = largest / I256::from(owners as u64);
        match self.numbers().position(|number| number > limit || number < -limit) {
            None => Ok(()),
            Some(place) => Err(JointError::Range { place: place + 1, count: self.len(), what }),
        }
    }

    /// Adds another vector of this width and length, modulo 2^k.
    pub fn add(&mut self, other: &Vector) {
        assert_eq!((self.width, self.len()), (other.width, other.len()), "vectors of one sum are alike");
        self.combine(&other.bytes, false);
    }

    /// Adds the numbers whose bytes these are, or subtracts them.
    fn combine(&mut self, other: &[u8], subtract: bool) {
        let limbs = self.width.bytes() / 8;
        let words = self.bytes.as_chunks_mut::<8>().0.iter_mut().zip(other.as_chunks::<8>().0);
        let mut carry = false;
        for (place, (word, other)) in words.enumerate() {
            carry &= place % limbs != 0;
            let (a, b) = (u64::from_le_bytes(*word), u64::from_le_bytes(*other));
            let (result, next) = if subtract { a.borrowing_sub(b, carry) } else { a.carrying_add(b, carry) };
            (*word, carry) = (result.to_le_bytes(), next);
        }
    }

    /// Adds the stream of a key, or subtracts it.
    fn mask(&mut self, key: &Key, subtract: bool) {
        let mut stream = vec![0; self.bytes.len()];
        ChaCha20Rng::from_seed(**key).fill_bytes(&mut stream);
        self.combine(&stream, subtract);
        stream.zeroize();
    }
}

/// An owner's side of the masks of one session.
pub struct Masker<'a> {
    /// The session.
    pub session: Digest,
    /// The owner's secret of this session.
    pub secret: &'a StaticSecret,
    /// The owners' names and public keys of this session, in the order of the roster.
    pub owners: &'a [(String, [u8; 32])],
    /// This owner's place among them.
    pub place: usize,
}

impl Masker<'_> {
    /// Masks this owner's vector for a round.
    ///
    /// **Never for two different vectors of one round**: their difference would show. Whoever calls this keeps what it
    /// gave, and gives the same again.
    ///
    /// # Errors
    ///
    /// [`JointError::Range`]; [`JointError::WeakKey`].
    pub fn mask(&self, round: &str, mut vector: Vector, what: &'static str) -> Result<Vector> {
        vector.check(self.owners.len(), what)?;
        let name = |place: usize| self.owners[place].0.as_str();
        for (other, (owner, public)) in self.owners.iter().enumerate().filter(|&(other, _)| other != self.place) {
            let (low, high) = (name(other.min(self.place)), name(other.max(self.place)));
            let key = pair_key(self.secret, public, owner, &self.session, &["ciphertune mask 1", round, low, high])?;
            vector.mask(&key, other < self.place);
        }
        Ok(vector)
    }
}

/// The sum of all owners' masked vectors. Of fewer, it is random.
///
/// # Panics
///
/// If there is none, or they are not alike.
pub fn sum(vectors: impl IntoIterator<Item = Vector>) -> Vector {
    vectors
        .into_iter()
        .reduce(|mut sum, vector| {
            sum.add(&vector);
            sum
        })
        .expect("a session has owners")
}

#[cfg(test)]
mod tests;
