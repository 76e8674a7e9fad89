//! Parameters in two types: an unchecked, serialisable [`ParametersLiteral`] and the checked, shared [`Parameters`]
//! that everything else takes.

use std::sync::Arc;

use ciphertune_ring::Ring;
use ciphertune_ring::prime::{is_prime, ntt_primes};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::container::packing::{packed_bytes, width};
use crate::{Error, Result};

/// The largest log2 of QP that gives 128 bits of security against classical attacks for a uniform ternary secret and
/// noise of standard deviation 3.19, by ring dimension: "Security Guidelines for Implementing Homomorphic Encryption"
/// (Bossuat et al. 2024).
pub const SECURITY_BOUNDS: [(u32, u32); 4] = [(13, 214), (14, 430), (15, 868), (16, 1747)];

/// The security level that [`SECURITY_BOUNDS`] stands for, in bits.
pub const SECURITY_BITS: u32 = 128;

/// The bound on log2 QP for ring dimension 2^log_n, if the guidelines give one.
pub fn security_bound(log_n: u32) -> Option<u32> {
    SECURITY_BOUNDS.iter().find(|(n, _)| *n == log_n).map(|(_, bound)| *bound)
}

/// Everything that fixes a set of parameters, unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParametersLiteral {
    /// log2 of the ring dimension N.
    pub log_n: u32,
    /// Ciphertext primes q_0..q_L; a rescale at level l divides by q_l.
    pub q: Vec<u64>,
    /// Special primes; their number is the number of ciphertext primes in a key-switching digit.
    pub p: Vec<u64>,
}

impl ParametersLiteral {
    /// Primes for the given sizes: one of `base_bits`, then `levels` of `level_bits`, and `special` special primes of
    /// 50 bits.
    pub fn choose(log_n: u32, base_bits: u32, level_bits: u32, levels: usize, special: usize) -> Result<Self> {
        let n = 1usize << log_n;
        let p = ntt_primes(50, special, n, &[])?;
        let base = ntt_primes(base_bits, 1, n, &p)?;
        let taken = [p.clone(), base.clone()].concat();
        let q = [base, ntt_primes(level_bits, levels, n, &taken)?].concat();
        Ok(Self { log_n, q, p })
    }

    /// log2 of the product of all primes.
    pub fn log_qp(&self) -> f64 {
        self.q.iter().chain(&self.p).map(|&prime| (prime as f64).log2()).sum()
    }

    /// Bytes of a polynomial over the first `q_limbs` ciphertext primes and the first `p_limbs` special ones, packed as
    /// files have it.
    pub fn packed_bytes(&self, q_limbs: usize, p_limbs: usize) -> usize {
        let primes = self.q.iter().take(q_limbs).chain(self.p.iter().take(p_limbs));
        packed_bytes(1 << self.log_n, primes.map(|&prime| width(prime)))
    }

    /// Bytes of a packed ciphertext in memory, both halves, at every level.
    pub fn packed_ciphertexts(&self) -> Vec<usize> {
        (1..=self.q.len()).map(|q_limbs| 2 * self.packed_bytes(q_limbs, 0)).collect()
    }

    /// Checks the form: one to many distinct primes below 2^50 that suit a ring of a supported dimension. Cheap, and
    /// says nothing of security.
    pub fn check(&self) -> Result<()> {
        const MOST_PRIMES: usize = 64;
        let (q, p) = (self.q.len(), self.p.len());
        if q == 0 || p == 0 || q + p > MOST_PRIMES {
            return Err(Error::Parameters(format!(
                "{q} ciphertext and {p} special primes given: at least one of each and at most {MOST_PRIMES} in all are supported"
            )));
        }
        if !(4..=17).contains(&self.log_n) {
            return Err(ciphertune_ring::Error::Dimension(self.log_n).into());
        }
        let primes: Vec<u64> = self.q.iter().chain(&self.p).copied().collect();
        for (i, &prime) in primes.iter().enumerate() {
            let n = 1usize << self.log_n;
            if prime >> 50 != 0 || prime % (2 * n as u64) != 1 || !is_prime(prime) {
                return Err(ciphertune_ring::Error::Modulus { modulus: prime, n }.into());
            }
            if primes[..i].contains(&prime) {
                return Err(ciphertune_ring::Error::RepeatedPrime(prime).into());
            }
        }
        Ok(())
    }

    /// Checks the form, and log2 QP against the 128-bit bound of the ring.
    pub fn check_secure(&self) -> Result<()> {
        self.check()?;
        let (log_n, log_qp) = (self.log_n, self.log_qp());
        match security_bound(log_n) {
            None => Err(Error::Parameters(format!(
                "no 128-bit bound is known for ring dimension 2^{log_n}: choose 2^13 to 2^16"
            ))),
            Some(bound) if log_qp > bound as f64 => Err(Error::Insecure { log_qp, bound, log_n }),
            Some(_) => Ok(()),
        }
    }

    /// SHA-256 of the canonical form, as hexadecimal: artefacts carry it so that mixtures are refused.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"ciphertune parameters 1");
        hash.update(self.log_n.to_le_bytes());
        for primes in [&self.q, &self.p] {
            hash.update((primes.len() as u64).to_le_bytes());
            primes.iter().for_each(|prime| hash.update(prime.to_le_bytes()));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Checked parameters with the ring built for them. Cheap to clone.
#[derive(Clone)]
pub struct Parameters {
    shared: Arc<Shared>,
}

struct Shared {
    literal: ParametersLiteral,
    digest: String,
    ring: Ring,
    secure: bool,
}

impl Parameters {
    /// Checks the literal and builds its ring. Parameters above the 128-bit bound are refused.
    pub fn new(literal: ParametersLiteral) -> Result<Self> {
        literal.check_secure()?;
        Self::build(literal, true)
    }

    /// Builds a ring of any dimension and modulus, however weak. For tests of the arithmetic only: a ciphertext under
    /// these parameters hides nothing.
    pub fn new_insecure_for_tests(literal: ParametersLiteral) -> Result<Self> {
        Self::build(literal, false)
    }

    fn build(literal: ParametersLiteral, secure: bool) -> Result<Self> {
        literal.check()?;
        let ring = Ring::new(literal.log_n, &literal.q, &literal.p)?;
        let digest = literal.digest();
        Ok(Self { shared: Arc::new(Shared { literal, digest, ring, secure }) })
    }

    /// The literal that these were built from.
    pub fn literal(&self) -> &ParametersLiteral {
        &self.shared.literal
    }

    /// The ring.
    pub fn ring(&self) -> &Ring {
        &self.shared.ring
    }

    /// The literal's digest.
    pub fn digest(&self) -> &str {
        &self.shared.digest
    }

    /// Number of slots, N/2.
    pub fn slots(&self) -> usize {
        self.ring().n() / 2
    }

    /// The highest level: one less than the number of ciphertext primes.
    pub fn max_level(&self) -> usize {
        self.shared.literal.q.len() - 1
    }

    /// The prime that a rescale at `level` divides by.
    pub fn prime(&self, level: usize) -> f64 {
        self.shared.literal.q[level] as f64
    }

    /// Security in bits against the attacks of the guidelines: 128 (a lower bound), or 0 for insecure test parameters.
    pub fn security_bits(&self) -> u32 {
        if self.shared.secure { SECURITY_BITS } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_above_the_bound_are_refused_with_the_bound_in_the_message() {
        let literal = ParametersLiteral::choose(13, 50, 40, 3, 1).unwrap();
        let message = Parameters::new(literal.clone()).err().expect("220 bits are too many for 2^13").to_string();
        assert!(message.contains("214") && message.contains("2^13"), "{message}");
        assert_eq!(Parameters::new_insecure_for_tests(literal).unwrap().security_bits(), 0);
        let fine = ParametersLiteral::choose(13, 50, 35, 3, 1).unwrap();
        assert_eq!(Parameters::new(fine).unwrap().security_bits(), 128);
    }

    #[test]
    fn a_dimension_without_a_bound_is_refused() {
        let literal = ParametersLiteral::choose(12, 30, 25, 1, 1).unwrap();
        assert!(matches!(Parameters::new(literal), Err(Error::Parameters(_))));
    }

    #[test]
    fn the_digest_tells_any_two_literals_apart() {
        let literal = ParametersLiteral::choose(13, 50, 35, 3, 1).unwrap();
        let mut other = literal.clone();
        other.q.swap(1, 2);
        assert_ne!(literal.digest(), other.digest());
        other = literal.clone();
        let moved = other.q.pop().unwrap();
        other.p.insert(0, moved);
        assert_ne!(literal.digest(), other.digest());
    }
}
