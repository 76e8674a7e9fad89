//! Secret and evaluation keys, and the set of evaluation keys that a circuit asks for before any are made.

use std::collections::BTreeMap;

use ciphertune_ring::{PackedPoly, RnsPoly, Sampler, Seed, galois, sampler};
use rayon::prelude::*;
use zeroize::Zeroize;

use crate::{Error, Parameters, ParametersLiteral, Result};

/// Names the secret key that an artefact belongs to: random, and says nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub(crate) [u8; 16]);

impl KeyId {
    /// A fresh random identifier.
    pub fn random() -> Result<Self> {
        let seed = sampler::os_seed()?;
        let mut id = [0; 16];
        id.copy_from_slice(&seed[..16]);
        Ok(Self(id))
    }

    /// Parses what [`std::fmt::Display`] prints: 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The owner's secret: a uniform ternary polynomial s. It is zeroised on drop and written only by
/// [`crate::files::secret_key_to_bytes`].
///
/// It cannot be copied or printed:
///
/// ```compile_fail
/// fn copy(key: &ciphertune_ckks::SecretKey) -> ciphertune_ckks::SecretKey {
///     key.clone()
/// }
/// ```
///
/// ```compile_fail
/// fn print(key: &ciphertune_ckks::SecretKey) {
///     println!("{key:?}");
/// }
/// ```
pub struct SecretKey {
    pub(crate) coefficients: Vec<i64>,
    /// s in evaluations, over all primes
    pub(crate) evaluations: RnsPoly,
    pub(crate) id: KeyId,
}

impl SecretKey {
    /// Draws a secret key from the operating system's randomness.
    pub fn generate(parameters: &Parameters) -> Result<Self> {
        let coefficients = Sampler::from_os()?.ternary(parameters.ring().n());
        Ok(Self::from_coefficients(parameters, coefficients, KeyId::random()?))
    }

    pub(crate) fn from_coefficients(parameters: &Parameters, coefficients: Vec<i64>, id: KeyId) -> Self {
        let ring = parameters.ring();
        let evaluations = ring.reduce_signed(&coefficients, ring.q_count(), ring.p_count());
        Self { coefficients, evaluations, id }
    }

    /// The key's identifier.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.coefficients.zeroize();
        self.evaluations.zeroize();
    }
}

/// Which evaluation keys a circuit needs, and the highest level at which it uses each: a key has limbs for that level
/// only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    /// Level of the relinearisation key, if one is needed.
    pub relinearization: Option<usize>,
    /// Level of the key for every Galois element.
    pub galois: BTreeMap<usize, usize>,
}

impl KeySet {
    /// Notes a relinearisation at `level`.
    pub fn need_relinearization(&mut self, level: usize) {
        self.relinearization = self.relinearization.max(Some(level));
    }

    /// Notes an automorphism X -> X^element at `level`.
    pub fn need_galois(&mut self, element: usize, level: usize) {
        let entry = self.galois.entry(element).or_insert(level);
        *entry = level.max(*entry);
    }

    /// Number of keys.
    pub fn count(&self) -> usize {
        self.galois.len() + self.relinearization.is_some() as usize
    }

    /// The keys and their levels.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (KeyName, usize)> {
        let relinearization = self.relinearization.map(|level| (KeyName::Relinearization, level));
        let galois = self.galois.iter().map(|(&element, &level)| (KeyName::Galois(element), level));
        relinearization.into_iter().chain(galois)
    }

    /// Size of these keys when serialised, in bytes: one half of every digit, packed, the other half being a seed.
    pub fn serialized_bytes(&self, literal: &ParametersLiteral) -> usize {
        let special = literal.p.len();
        let digits = |level: usize| (level + 1).div_ceil(special);
        self.entries()
            .map(|(_, level)| digits(level) * (literal.packed_bytes(level + 1, special) + size_of::<Seed>()))
            .sum()
    }

    /// Size of these keys in memory, in bytes: both halves of every digit, packed.
    pub fn expanded_bytes(&self, literal: &ParametersLiteral) -> usize {
        let special = literal.p.len();
        let digits = |level: usize| (level + 1).div_ceil(special);
        self.entries().map(|(_, level)| 2 * digits(level) * literal.packed_bytes(level + 1, special)).sum()
    }
}

/// What a switching key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyName {
    /// From s^2 to s.
    Relinearization,
    /// From s(X^element) to s.
    Galois(usize),
}

impl KeyName {
    /// Parses what [`std::fmt::Display`] prints, for a ring of dimension `n`.
    pub(crate) fn parse(name: &str, n: usize) -> Option<Self> {
        if name == "relinearization" {
            return Some(Self::Relinearization);
        }
        let element = name.strip_prefix("galois.")?.parse::<usize>().ok()?;
        (element % 2 == 1 && element < 2 * n).then_some(Self::Galois(element))
    }
}

impl std::fmt::Display for KeyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Relinearization => f.write_str("relinearization"),
            Self::Galois(element) => write!(f, "galois.{element}"),
        }
    }
}

/// A key that switches from some secret s' to s: for every digit, b_j = -a_j s + e_j + P s' on the digit's limbs.
pub(crate) struct SwitchingKey {
    pub(crate) digits: Vec<(PackedPoly, PackedPoly)>,
    pub(crate) level: usize,
}

/// A digit of a switching key as it is made: both halves, and the seed of the second.
pub(crate) struct Digit {
    pub(crate) b: RnsPoly,
    pub(crate) a: RnsPoly,
    pub(crate) seed: Seed,
}

/// A key as it is made, with what is kept of its digits.
pub(crate) struct Generated<T> {
    pub(crate) name: KeyName,
    pub(crate) level: usize,
    pub(crate) digits: Vec<T>,
}

/// Makes the keys of a set, and keeps of every digit what `keep` makes of it.
pub(crate) fn generate<T: Send>(
    parameters: &Parameters,
    key: &SecretKey,
    set: &KeySet,
    keep: impl Fn(Digit) -> T + Sync,
) -> Result<Vec<Generated<T>>> {
    let ring = parameters.ring();
    let entries: Vec<_> = set.entries().collect();
    let highest = entries.iter().map(|(_, level)| *level).max().unwrap_or(0);
    if highest > parameters.max_level() {
        return Err(Error::NoLevelLeft { needed: highest, left: parameters.max_level() });
    }
    let make = |(name, level)| {
        let mut source = match name {
            KeyName::Galois(element) => ring.automorphism(&key.evaluations, element),
            KeyName::Relinearization => {
                let mut square = key.evaluations.clone();
                ring.mul_assign(&mut square, &key.evaluations);
                square
            }
        };
        let digits: Result<Vec<T>> = (0..ring.digit_count(level + 1))
            .map(|j| Ok(keep(generate_digit(parameters, key, &source, level, j)?)))
            .collect();
        source.zeroize();
        Ok(Generated { name, level, digits: digits? })
    };
    entries.into_par_iter().map(make).collect()
}

fn generate_digit(parameters: &Parameters, key: &SecretKey, source: &RnsPoly, level: usize, j: usize) -> Result<Digit> {
    let ring = parameters.ring();
    let (q_limbs, p_limbs) = (level + 1, ring.p_count());
    let seed = sampler::os_seed()?;
    let a = sampler::uniform(ring, &seed, q_limbs, p_limbs);
    let mut noise = Sampler::from_os()?.gaussian(ring.n());
    let mut b = ring.reduce_signed(&noise, q_limbs, p_limbs);
    noise.zeroize();
    // s is stored over all primes; its limbs must be matched by prime, not by position.
    let mut masked = restrict(parameters, &key.evaluations, q_limbs);
    ring.mul_assign(&mut masked, &a);
    ring.sub_assign(&mut b, &masked);
    masked.zeroize();
    ring.add_gadget(&mut b, source, j);
    Ok(Digit { b, a, seed })
}

/// The limbs of `full` (over all primes) for a polynomial of `q_limbs` ciphertext limbs and all special limbs.
pub(crate) fn restrict(parameters: &Parameters, full: &RnsPoly, q_limbs: usize) -> RnsPoly {
    let n = parameters.ring().n();
    let p_limbs = full.p_limbs();
    let mut out = RnsPoly::zero(n, q_limbs, p_limbs);
    let (q_part, p_part) = out.words_mut().split_at_mut(q_limbs * n);
    q_part.copy_from_slice(&full.words()[..q_limbs * n]);
    p_part.copy_from_slice(&full.words()[full.q_limbs() * n..]);
    out
}

/// The server's keys: they let it compute on ciphertexts and decrypt nothing.
pub struct EvaluationKeys {
    pub(crate) parameters: Parameters,
    pub(crate) id: KeyId,
    pub(crate) relinearization: Option<SwitchingKey>,
    pub(crate) galois: BTreeMap<usize, SwitchingKey>,
}

impl EvaluationKeys {
    /// Makes the keys of a set. Only the owner can, who has the secret key. To send them rather than use them,
    /// [`crate::files::EvaluationKeyFile`] needs less memory.
    pub fn generate(parameters: &Parameters, key: &SecretKey, set: &KeySet) -> Result<Self> {
        let ring = parameters.ring();
        let keys = generate(parameters, key, set, |digit| (ring.pack(&digit.b), ring.pack(&digit.a)))?;
        let keys = keys.into_iter().map(|key| (key.name, SwitchingKey { digits: key.digits, level: key.level }));
        Ok(Self::from_keys(parameters, key.id, keys))
    }

    pub(crate) fn from_keys(
        parameters: &Parameters,
        id: KeyId,
        keys: impl IntoIterator<Item = (KeyName, SwitchingKey)>,
    ) -> Self {
        let mut all = Self { parameters: parameters.clone(), id, relinearization: None, galois: BTreeMap::new() };
        for (name, key) in keys {
            match name {
                KeyName::Relinearization => all.relinearization = Some(key),
                KeyName::Galois(element) => drop(all.galois.insert(element, key)),
            }
        }
        all
    }

    /// The parameters that these keys were made under.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The identifier of the secret key that they belong to.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The keys that are here, and their levels.
    pub fn key_set(&self) -> KeySet {
        KeySet {
            relinearization: self.relinearization.as_ref().map(|key| key.level),
            galois: self.galois.iter().map(|(&element, key)| (element, key.level)).collect(),
        }
    }

    pub(crate) fn relinearization(&self, level: usize) -> Result<&SwitchingKey> {
        let missing = || Error::MissingKey(format!("relinearisation at level {level}"));
        self.relinearization.as_ref().filter(|key| key.level >= level).ok_or_else(missing)
    }

    pub(crate) fn galois(&self, element: usize, level: usize) -> Result<&SwitchingKey> {
        let missing = || {
            let log_n = self.parameters.ring().log_n();
            if element == galois::conjugation_element(log_n) {
                return Error::MissingKey(format!("conjugation at level {level}"));
            }
            let slots = self.parameters.slots() as isize;
            match (0..slots).find(|&k| galois::rotation_element(log_n, k) == element) {
                Some(k) => Error::MissingKey(format!("rotation by {k} at level {level}")),
                None => Error::MissingKey(format!("the automorphism X^{element} at level {level}")),
            }
        };
        self.galois.get(&element).filter(|key| key.level >= level).ok_or_else(missing)
    }
}
