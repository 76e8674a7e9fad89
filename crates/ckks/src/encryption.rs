//! Encryption and decryption: the owner's operations, both with the secret key.

use std::sync::Arc;

use ciphertune_ring::{Sampler, sampler};
use zeroize::Zeroize;

use crate::{Ciphertext, Complex64, Encoder, Error, Parameters, Result, SecretKey, SeededCiphertext};

/// Encrypts integer coefficients (as the encoder makes them) at `level`, whatever scale they were encoded with: (c0,
/// c1) = (-a s + e + m, a) with a drawn from a fresh public seed.
pub fn encrypt(
    parameters: &Parameters,
    key: &SecretKey,
    coefficients: &[i128],
    level: usize,
    scale: f64,
) -> Result<SeededCiphertext> {
    let ring = parameters.ring();
    if level > parameters.max_level() {
        return Err(Error::NoLevelLeft { needed: level, left: parameters.max_level() });
    }
    check_magnitude(parameters, coefficients, level, scale)?;
    let q_limbs = level + 1;
    let seed = sampler::os_seed()?;
    let mut masked = sampler::uniform(ring, &seed, q_limbs, 0);
    ring.mul_assign(&mut masked, &key.evaluations);
    let mut noise = Sampler::from_os()?.gaussian(ring.n());
    let mut message: Vec<i128> = coefficients.iter().zip(&noise).map(|(&m, &e)| m + e as i128).collect();
    noise.zeroize();
    let mut c0 = ring.reduce_signed_wide(&message, q_limbs);
    message.zeroize();
    ring.sub_assign(&mut c0, &masked);
    // a s and a, which is public, would give s away; so would c1 s below.
    masked.zeroize();
    Ok(SeededCiphertext { c0, seed, scale })
}

/// A message must stay below half the modulus with a factor of two to spare, or decryption would wrap around silently.
fn check_magnitude(parameters: &Parameters, coefficients: &[i128], level: usize, scale: f64) -> Result<()> {
    let log_modulus: f64 = (0..=level).map(|i| parameters.prime(i).log2()).sum();
    let limit = (log_modulus - 2.0).exp2();
    match coefficients.iter().map(|x| x.unsigned_abs()).max() {
        Some(largest) if largest as f64 > limit => {
            Err(Error::TooLarge { value: largest as f64 / scale, limit: limit / scale })
        }
        _ => Ok(()),
    }
}

/// The slots of a ciphertext. The message must be below half the product of the two lowest primes.
///
/// The result carries noise that depends on the secret key: it is for the owner's eyes, and must not be shown to
/// anyone else as it is (Li and Micciancio 2021).
pub fn decrypt(parameters: &Parameters, key: &SecretKey, encoder: &Encoder, ciphertext: &Ciphertext) -> Vec<Complex64> {
    let ring = parameters.ring();
    // Limbs above the second are not looked at.
    let limbs = ciphertext.level().min(1) + 1;
    let mut message = Arc::unwrap_or_clone(ciphertext.c1.first_words(ring, limbs));
    ring.mul_assign(&mut message, &key.evaluations);
    ring.add_assign(&mut message, &ciphertext.c0.first_words(ring, limbs));
    let mut coefficients = ring.to_signed(&message);
    message.zeroize();
    let slots = encoder.decode(&coefficients, ciphertext.scale);
    coefficients.zeroize();
    slots
}
