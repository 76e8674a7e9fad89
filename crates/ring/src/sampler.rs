//! Random polynomials: uniform from a public seed, and ternary secrets and Gaussian noise from the operating system.
//!
//! ChaCha20 throughout. Public (uniform) and secret draws never share a stream: a [`Sampler`] seeds itself from the
//! operating system, and [`uniform`] is a function of a public seed alone.
//!
//! Whoever has the state of a secret stream can draw its secrets again, those of before included, so it is overwritten
//! when its sampler is dropped: the generator of secrets is that of crate `chacha20`, which does so. The public one,
//! `rand_chacha`'s, need not. Both give the same stream.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::{Error, PackedPoly, Result, Ring, RnsPoly};

/// The seed of a uniform polynomial, as it travels in files.
pub type Seed = [u8; 32];

/// Standard deviation of the noise (Bossuat et al. 2024).
pub const SIGMA: f64 = 3.19;

/// Bytes of keystream that [`uniform`] takes at once.
const DRAWN_AT_ONCE: usize = 2048;

/// The uniform polynomial of a public seed, in evaluations. Every prime has a stream of its own, so the limbs that two
/// levels share are the same.
pub fn uniform(ring: &Ring, seed: &Seed, q_limbs: usize, p_limbs: usize) -> RnsPoly {
    let mut out = RnsPoly::dirty(ring.n(), q_limbs, p_limbs);
    let limbs = out.words_mut().par_chunks_mut(ring.n()).enumerate();
    limbs.for_each(|(i, limb)| draw_limb(ring, seed, q_limbs, i, limb));
    out
}

/// [`uniform`], packed.
pub fn uniform_packed(ring: &Ring, seed: &Seed, q_limbs: usize, p_limbs: usize) -> PackedPoly {
    ring.packed_by(q_limbs, p_limbs, |i, limb| draw_limb(ring, seed, q_limbs, i, limb))
}

/// Limb `i` of a uniform polynomial with `q_limbs` ciphertext limbs.
fn draw_limb(ring: &Ring, seed: &Seed, q_limbs: usize, i: usize, limb: &mut [u64]) {
    let m = ring.limb_modulus(q_limbs, i);
    let mut rng = ChaCha20Rng::from_seed(*seed);
    // Special primes count down from the top, so that their streams do not move with the level.
    rng.set_stream(if i < q_limbs { i as u64 } else { u64::MAX - (i - q_limbs) as u64 });
    let mask = m.value().next_power_of_two() - 1;
    // Many words at once: a call for each would take as long as the cipher.
    let (mut bytes, mut drawn) = ([0; DRAWN_AT_ONCE], 0);
    while drawn < limb.len() {
        rng.fill_bytes(&mut bytes);
        let candidates = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word) & mask);
        if limb.len() - drawn >= DRAWN_AT_ONCE / 8 {
            // A rejected candidate is overwritten by the next: half of them may be, at random, and no branch foresees
            // which.
            for candidate in candidates {
                limb[drawn] = candidate;
                drawn += usize::from(candidate < m.value());
            }
        } else {
            for candidate in candidates.filter(|candidate| *candidate < m.value()).take(limb.len() - drawn) {
                limb[drawn] = candidate;
                drawn += 1;
            }
        }
    }
}

/// Overwrites its key, counter and buffered words when it is dropped.
type SecretRng = chacha20::ChaCha20Rng;

/// A source of secrets and noise; what it could draw them from again is overwritten when it is dropped.
pub struct Sampler {
    rng: SecretRng,
}

impl Sampler {
    /// A sampler seeded by the operating system.
    pub fn from_os() -> Result<Self> {
        let seed = Zeroizing::new(os_seed()?);
        Ok(Self::from_seed(*seed))
    }

    /// A sampler with a chosen seed: reproducible, so for tests only.
    pub fn from_seed(seed: Seed) -> Self {
        Self { rng: SecretRng::from_seed(seed) }
    }

    /// Uniform in {-1, 0, 1}. Rejection makes the running time depend on rejected draws only, never on the values kept.
    pub fn ternary(&mut self, n: usize) -> Vec<i64> {
        let mut out = Vec::with_capacity(n);
        while out.len() < n {
            let mut bits = self.rng.next_u64();
            for _ in 0..32 {
                if bits & 3 != 3 && out.len() < n {
                    out.push((bits & 3) as i64 - 1);
                }
                bits >>= 2;
            }
        }
        out
    }

    /// Discrete Gaussian of standard deviation [`SIGMA`]: a cumulative table of 63-bit thresholds, every one compared
    /// with every draw, so the running time does not depend on the values.
    pub fn gaussian(&mut self, n: usize) -> Vec<i64> {
        let table = gaussian_table();
        (0..n)
            .map(|_| {
                let word = self.rng.next_u64();
                let (sign, draw) = ((word & 1) as i64, word >> 1);
                let magnitude: i64 = table.iter().map(|&threshold| (draw >= threshold) as i64).sum();
                (magnitude ^ -sign) + sign
            })
            .collect()
    }

    /// A real normal variate with mean 0 and standard deviation 1 (Box-Muller), for noise that hides a released value.
    pub fn normal(&mut self) -> f64 {
        let unit = |word: u64| ((word >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let (radius, angle) = (unit(self.rng.next_u64()), unit(self.rng.next_u64()));
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

/// 32 bytes from the operating system.
pub fn os_seed() -> Result<Seed> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| Error::Randomness(e.to_string()))?;
    Ok(seed)
}

/// Thresholds 2^63 P(|x| <= k) for k = 0, 1, ... until the tail is below 2^-53.
fn gaussian_table() -> [u64; 28] {
    let weight = |k: usize| (-((k * k) as f64) / (2.0 * SIGMA * SIGMA)).exp();
    let total = 1.0 + 2.0 * (1..64).rev().map(weight).sum::<f64>();
    let mut cumulative = 0.0;
    std::array::from_fn(|k| {
        cumulative += if k == 0 { 1.0 } else { 2.0 * weight(k) } / total;
        (cumulative.min(1.0) * (1u64 << 63) as f64) as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_noise_has_the_stated_mean_deviation_and_tail() {
        let draws = Sampler::from_seed([7; 32]).gaussian(1 << 18);
        let mean = draws.iter().sum::<i64>() as f64 / draws.len() as f64;
        let variance = draws.iter().map(|&x| (x * x) as f64).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.04, "{mean}");
        assert!((variance.sqrt() - SIGMA).abs() < 0.03, "{}", variance.sqrt());
        let zeros = draws.iter().filter(|&&x| x == 0).count() as f64 / draws.len() as f64;
        assert!((zeros - 0.12506).abs() < 0.004, "{zeros}");
        assert!(draws.iter().all(|x| x.abs() <= 28));
    }

    #[test]
    fn ternary_secrets_are_balanced() {
        let draws = Sampler::from_seed([8; 32]).ternary(30_000);
        for value in [-1, 0, 1] {
            let count = draws.iter().filter(|&&x| x == value).count();
            assert!((9_500..10_500).contains(&count), "{value}: {count}");
        }
    }

    #[test]
    fn normal_variates_have_unit_deviation() {
        let mut sampler = Sampler::from_seed([9; 32]);
        let draws: Vec<f64> = (0..100_000).map(|_| sampler.normal()).collect();
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / draws.len() as f64;
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn the_state_of_a_secret_stream_is_overwritten_when_it_is_dropped() {
        // Holds for the feature `zeroize` of the crate alone.
        fn overwritten<T: zeroize::ZeroizeOnDrop>() {}
        overwritten::<SecretRng>();
    }

    #[test]
    fn secret_and_public_generators_give_the_stream_of_chacha20() {
        // RFC 8439, A.1, test vectors 1 and 2: key and nonce zero, blocks 0 and 1.
        let mut drawn = [0; 128];
        SecretRng::from_seed([0; 32]).fill_bytes(&mut drawn);
        assert_eq!(drawn[..8], [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        assert_eq!(drawn[64..72], [0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a]);
        let mut public = [0; 128];
        ChaCha20Rng::from_seed([0; 32]).fill_bytes(&mut public);
        assert_eq!(drawn, public);
    }

    #[test]
    fn two_samplers_of_the_operating_system_differ() {
        let draw = || Sampler::from_os().unwrap().ternary(256);
        assert_ne!(draw(), draw());
    }

    #[test]
    fn a_uniform_polynomial_depends_on_its_seed_and_prime_but_not_on_its_level() {
        let n = 1 << 8;
        let q = crate::prime::ntt_primes(40, 3, n, &[]).unwrap();
        let p = crate::prime::ntt_primes(45, 1, n, &[]).unwrap();
        let ring = Ring::new(8, &q, &p).unwrap();
        let high = uniform(&ring, &[1; 32], 3, 1);
        let low = uniform(&ring, &[1; 32], 2, 1);
        assert_eq!(high.limb(0), low.limb(0));
        assert_eq!(high.limb(3), low.limb(2));
        assert_ne!(high.limb(0), high.limb(1));
        assert_ne!(uniform(&ring, &[2; 32], 1, 0).limb(0), low.limb(0));
        assert_eq!(uniform_packed(&ring, &[1; 32], 2, 1).bytes(), ring.pack(&low).bytes());
        for i in 0..4 {
            let bound = ring.limb_modulus(3, i).value();
            assert!(high.limb(i).iter().all(|&x| x < bound));
            assert!(high.limb(i).iter().any(|&x| x > bound / 2));
        }
    }
}
