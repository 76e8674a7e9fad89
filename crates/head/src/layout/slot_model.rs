//! CKKS without encryption: the moves of [`Arithmetic`] on plain slot vectors, for tests of circuits.
//!
//! [`SlotModel`] checks levels, scales and the size of values as strictly as ciphertexts demand, computes the slots in
//! floating point, and counts what the circuit spent. It offers nothing that a machine on ciphertexts could not do,
//! so a circuit that agrees with its reference here is right; what is left to the real evaluator is noise.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::PI;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ciphertune_ckks::{Arithmetic, Complex64, Error, KeySet, Result};

/// Relative tolerance for the scales of two summands, as [`Arithmetic`] states it.
const SCALE_TOLERANCE: f64 = 1.0 / (1u64 << 30) as f64;

/// A vector of complex slots that behaves as a ciphertext: it has a level and a scale.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotVector {
    /// The slots' values, not multiplied by the scale.
    pub values: Vec<Complex64>,
    /// Level: how many rescales are left.
    pub level: usize,
    /// The factor between a slot's value and the integer that carries it.
    pub scale: f64,
}

/// A sum of products that waits for relinearisation. A type of its own, so that no circuit can forget to.
#[derive(Clone, Debug)]
pub struct SlotProduct(SlotVector);

/// What a circuit spent since the machine was made or [`SlotModel::reset`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Rotations by a non-zero amount, hoisted ones included.
    pub rotations: usize,
    /// Those of the rotations that shared a decomposition.
    pub hoisted: usize,
    /// Complex conjugations.
    pub conjugations: usize,
    /// Relinearisations, with or without rescaling.
    pub relinearizations: usize,
    /// Products of two ciphertexts.
    pub products: usize,
    /// Products of a ciphertext and a plaintext vector.
    pub plain_products: usize,
    /// Products of a ciphertext (or a waiting product) and a scalar.
    pub scalar_products: usize,
    /// Rescales, those inside relinearisations included.
    pub rescales: usize,
    /// Key switches at each level.
    pub key_switches_at: BTreeMap<usize, usize>,
    /// The rotations used, each in `1..slots`.
    pub rotation_amounts: BTreeSet<usize>,
    /// The keys that these operations need, at the highest levels at which they were used.
    pub keys: KeySet,
}

impl Counts {
    /// Rotations, conjugations and relinearisations together.
    pub fn key_switches(&self) -> usize {
        self.key_switches_at.values().sum()
    }

    fn key_switch(&mut self, level: usize) {
        *self.key_switches_at.entry(level).or_default() += 1;
    }
}

/// A machine that computes on [`SlotVector`]s. Shared references suffice; the counters are behind a lock.
#[derive(Debug)]
pub struct SlotModel {
    primes: Vec<f64>,
    /// log2 of the modulus at each level.
    log_modulus: Vec<f64>,
    /// 5^j mod 4 `slots`: slot j is the value at zeta^(5^j), zeta = exp(i pi / N), N = 2 `slots`.
    exponents: Vec<usize>,
    counts: Mutex<Counts>,
}

impl SlotModel {
    /// A machine with `slots` slots (a power of two) whose level l has modulus `primes[0]` ... `primes[l]`.
    ///
    /// Errors: [`Error::Parameters`] where `slots` is not a power of two or `primes` is empty.
    pub fn new(slots: usize, primes: Vec<f64>) -> Result<Self> {
        if !slots.is_power_of_two() {
            return Err(Error::Parameters(format!("{slots} slots: the number of slots must be a power of two")));
        }
        if primes.is_empty() {
            return Err(Error::Parameters("no primes: give one more than the levels the circuit needs".into()));
        }
        let exponents = std::iter::successors(Some(1), |e| Some(e * 5 % (4 * slots))).take(slots).collect();
        let log_modulus = primes
            .iter()
            .scan(0.0, |sum, prime| {
                *sum += prime.log2();
                Some(*sum)
            })
            .collect();
        Ok(Self { primes, log_modulus, exponents, counts: Mutex::default() })
    }

    /// A machine of `levels` levels over primes that differ a little from 2^`bits`, as real ones do, above a first
    /// prime of 2^(`bits` + 10).
    pub fn with_levels(slots: usize, levels: usize, bits: u32) -> Result<Self> {
        let unlike = |l: usize| 1.0 + (l as f64 - levels as f64 / 2.0) * 1e-6;
        let mut primes = vec![f64::from(bits + 10).exp2()];
        primes.extend((0..levels).map(|l| f64::from(bits).exp2() * unlike(l)));
        Self::new(slots, primes)
    }

    /// The highest level.
    pub fn top(&self) -> usize {
        self.primes.len() - 1
    }

    /// A ciphertext of these values, as if freshly encrypted.
    ///
    /// Errors: [`Error::Length`] unless there is one value a slot, [`Error::Parameters`] for a level above the top,
    /// [`Error::TooLarge`].
    pub fn encrypt(&self, values: &[Complex64], level: usize, scale: f64) -> Result<SlotVector> {
        self.check_length(values)?;
        if level > self.top() {
            return Err(Error::Parameters(format!("level {level} is above the highest, {}", self.top())));
        }
        self.fitting(SlotVector { values: values.to_vec(), level, scale })
    }

    /// What has been spent so far.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Sets all counters to zero.
    pub fn reset(&self) {
        *self.lock() = Counts::default();
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counters hold no invariant that a panic elsewhere could break.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_length(&self, values: &[Complex64]) -> Result<()> {
        match values.len() {
            found if found == self.slots() => Ok(()),
            found => Err(Error::Length { found, expected: self.slots() }),
        }
    }

    /// Refuses what a ciphertext would wrap around modulo Q without a word.
    fn fitting(&self, a: SlotVector) -> Result<SlotVector> {
        let value = a.values.iter().map(|v| v.norm()).fold(0.0, f64::max);
        let limit = (self.log_modulus[a.level] - 1.0 - a.scale.log2()).exp2();
        match value < limit {
            true => Ok(a),
            false => Err(Error::TooLarge { value, limit }),
        }
    }

    fn sum(&self, a: &SlotVector, b: &SlotVector, sign: f64) -> Result<SlotVector> {
        check_level(a, b)?;
        check_scale(a, b)?;
        let values = a.values.iter().zip(&b.values).map(|(x, y)| x + y * sign).collect();
        self.fitting(SlotVector { values, ..*a })
    }

    fn divide(&self, a: &SlotVector) -> Result<SlotVector> {
        if a.level == 0 {
            return Err(Error::NoLevelLeft { needed: 1, left: 0 });
        }
        self.lock().rescales += 1;
        let values = a.values.clone();
        self.fitting(SlotVector { values, level: a.level - 1, scale: a.scale / self.primes[a.level] })
    }

    fn scaled(&self, a: &SlotVector, factor: f64, scale: f64) -> Result<SlotVector> {
        self.lock().scalar_products += 1;
        let factor = (factor * scale).round() / scale;
        let values = a.values.iter().map(|v| v * factor).collect();
        self.fitting(SlotVector { values, level: a.level, scale: a.scale * scale })
    }

    fn turned(&self, a: &SlotVector, k: isize) -> SlotVector {
        let k = k.rem_euclid(self.slots() as isize) as usize;
        let mut turned = a.clone();
        if k != 0 {
            turned.values.rotate_left(k);
            let mut counts = self.lock();
            counts.rotations += 1;
            counts.rotation_amounts.insert(k);
            counts.keys.need_galois(self.exponents[k], a.level);
            counts.key_switch(a.level);
        }
        turned
    }
}

fn check_level(a: &SlotVector, b: &SlotVector) -> Result<()> {
    match a.level == b.level {
        true => Ok(()),
        false => Err(Error::LevelMismatch(a.level, b.level)),
    }
}

fn check_scale(a: &SlotVector, b: &SlotVector) -> Result<()> {
    match (a.scale / b.scale - 1.0).abs() <= SCALE_TOLERANCE {
        true => Ok(()),
        false => Err(Error::ScaleMismatch(a.scale.log2(), b.scale.log2())),
    }
}

impl Arithmetic for SlotModel {
    type Ciphertext = SlotVector;
    type Product = SlotProduct;

    fn slots(&self) -> usize {
        self.exponents.len()
    }

    fn prime(&self, level: usize) -> f64 {
        self.primes[level]
    }

    fn level(&self, a: &SlotVector) -> usize {
        a.level
    }

    fn scale(&self, a: &SlotVector) -> f64 {
        a.scale
    }

    fn product_scale(&self, a: &SlotProduct) -> f64 {
        a.0.scale
    }

    fn product_level(&self, a: &SlotProduct) -> usize {
        a.0.level
    }

    fn add(&self, a: &SlotVector, b: &SlotVector) -> Result<SlotVector> {
        self.sum(a, b, 1.0)
    }

    fn sub(&self, a: &SlotVector, b: &SlotVector) -> Result<SlotVector> {
        self.sum(a, b, -1.0)
    }

    fn negate(&self, a: &SlotVector) -> SlotVector {
        SlotVector { values: a.values.iter().map(|v| -v).collect(), ..*a }
    }

    fn drop_to(&self, a: &SlotVector, level: usize) -> Result<SlotVector> {
        if level > a.level {
            return Err(Error::LevelMismatch(a.level, level));
        }
        self.fitting(SlotVector { level, ..a.clone() })
    }

    fn rescale(&self, a: &SlotVector) -> Result<SlotVector> {
        self.divide(a)
    }

    fn with_scale(&self, a: &SlotVector, scale: f64) -> SlotVector {
        let factor = a.scale / scale;
        SlotVector { values: a.values.iter().map(|v| v * factor).collect(), level: a.level, scale }
    }

    fn mul_plain(&self, a: &SlotVector, values: &[Complex64], scale: f64) -> Result<SlotVector> {
        self.check_length(values)?;
        self.lock().plain_products += 1;
        let values = a.values.iter().zip(values).map(|(x, y)| x * y).collect();
        self.fitting(SlotVector { values, level: a.level, scale: a.scale * scale })
    }

    fn mul_scalar(&self, a: &SlotVector, factor: f64, scale: f64) -> Result<SlotVector> {
        self.scaled(a, factor, scale)
    }

    fn add_scalar(&self, a: &SlotVector, value: f64) -> Result<SlotVector> {
        Ok(SlotVector { values: a.values.iter().map(|v| v + value).collect(), ..*a })
    }

    fn mul_monomial(&self, a: &SlotVector, power: usize) -> SlotVector {
        let order = 4 * self.slots();
        let at = |e: usize| Complex64::cis(2.0 * PI * (power % order * e % order) as f64 / order as f64);
        SlotVector { values: a.values.iter().zip(&self.exponents).map(|(v, &e)| v * at(e)).collect(), ..*a }
    }

    fn dot(&self, pairs: &[(&SlotVector, &SlotVector)]) -> Result<SlotProduct> {
        let Some(((a, b), rest)) = pairs.split_first() else {
            return Err(Error::Length { found: 0, expected: 1 });
        };
        for (x, y) in rest {
            check_level(a, x)?;
            check_level(b, y)?;
            check_scale(a, x)?;
            check_scale(b, y)?;
        }
        self.lock().products += pairs.len();
        let mut values = vec![Complex64::ZERO; self.slots()];
        for (x, y) in pairs {
            for (sum, (u, v)) in values.iter_mut().zip(x.values.iter().zip(&y.values)) {
                *sum += u * v;
            }
        }
        let product = SlotVector { values, level: a.level.min(b.level), scale: a.scale * b.scale };
        self.fitting(product).map(SlotProduct)
    }

    fn add_products(&self, a: &SlotProduct, b: &SlotProduct) -> Result<SlotProduct> {
        self.sum(&a.0, &b.0, 1.0).map(SlotProduct)
    }

    fn mul_product_scalar(&self, a: &SlotProduct, factor: f64, scale: f64) -> Result<SlotProduct> {
        self.scaled(&a.0, factor, scale).map(SlotProduct)
    }

    fn relinearize(&self, a: &SlotProduct) -> Result<SlotVector> {
        let mut counts = self.lock();
        counts.relinearizations += 1;
        counts.keys.need_relinearization(a.0.level);
        counts.key_switch(a.0.level);
        Ok(a.0.clone())
    }

    fn relinearize_rescale(&self, a: &SlotProduct) -> Result<SlotVector> {
        let a = self.relinearize(a)?;
        self.divide(&a)
    }

    fn rotate(&self, a: &SlotVector, k: isize) -> Result<SlotVector> {
        Ok(self.turned(a, k))
    }

    fn rotate_hoisted(&self, a: &SlotVector, ks: &[isize]) -> Result<Vec<SlotVector>> {
        let slots = self.slots() as isize;
        self.lock().hoisted += ks.iter().filter(|&k| k % slots != 0).count();
        Ok(ks.iter().map(|&k| self.turned(a, k)).collect())
    }

    fn conjugate(&self, a: &SlotVector) -> Result<SlotVector> {
        let mut counts = self.lock();
        counts.conjugations += 1;
        counts.keys.need_galois(4 * self.slots() - 1, a.level);
        counts.key_switch(a.level);
        Ok(SlotVector { values: a.values.iter().map(|v| v.conj()).collect(), ..*a })
    }
}

#[cfg(test)]
mod tests;
