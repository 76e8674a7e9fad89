//! A symbolic machine: runs a circuit on nothing, and records what it would take.
//!
//! Every traced ciphertext carries level, scale, the root mean square of its values and the variance of its error;
//! every operation counts itself, the transforms and word products that it consists of, the key that it needs, and the
//! memory that is live. The error's variance follows [`ciphertune_ckks::noise`] with errors taken as independent;
//! circuits vouch for magnitudes with [`ciphertune_ckks::Arithmetic::expect_magnitude`].

mod arithmetic;
mod memory;
mod store;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ciphertune_ckks::noise::NoiseModel;
use ciphertune_ckks::{Error, KeySet, ParametersLiteral, Result, galois};

use self::memory::{Held, Memory};
use super::cost::{self, Work};
use crate::layout::Input;

pub use store::TracedStore;

/// What a traced circuit consists of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operations {
    /// Rotations, conjugations and relinearisations.
    pub key_switches: u64,
    /// Ciphertext by ciphertext products.
    pub products: u64,
    /// What all operations consist of.
    pub work: Work,
    /// Highest number of bytes of ciphertexts alive at one time.
    pub peak_bytes: usize,
    /// The evaluation keys.
    pub keys: KeySet,
}

impl Operations {
    /// With `more` times what these do more than `less`. Keys and memory are the same.
    pub(super) fn extended(&self, less: &Self, more: u64) -> Self {
        let along = |here: u64, less: u64| here.saturating_add(more.saturating_mul(here.saturating_sub(less)));
        Self {
            key_switches: along(self.key_switches, less.key_switches),
            products: along(self.products, less.products),
            work: Work {
                transforms: along(self.work.transforms, less.work.transforms),
                limb_products: along(self.work.limb_products, less.work.limb_products),
            },
            ..self.clone()
        }
    }
}

#[cfg(test)]
thread_local! {
    /// How many ciphertexts the machines of this thread have made: what planning takes, however fast the computer.
    pub(super) static MADE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The symbolic machine.
pub struct Tracer {
    log_n: u32,
    primes: Vec<f64>,
    special: usize,
    /// Bytes of a packed ciphertext at every level.
    packed: Vec<usize>,
    noise: NoiseModel,
    operations: Mutex<Operations>,
    memory: Arc<Memory>,
}

/// A ciphertext of which only the public facts and predictions are known.
#[derive(Clone, Debug)]
pub struct Traced {
    level: usize,
    scale: f64,
    /// Root mean square of the values, as bits; shared and changeable because circuits vouch for it after the fact.
    rms: Arc<AtomicU64>,
    /// Variance of the error of a slot's value.
    variance: f64,
    /// Shared by copies, as polynomials are.
    _held: Arc<Held>,
}

impl Traced {
    /// Predicted variance of the (complex) error of a slot.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    fn rms(&self) -> f64 {
        f64::from_bits(self.rms.load(Ordering::Relaxed))
    }
}

impl Tracer {
    /// A machine for the given parameters.
    pub fn new(literal: &ParametersLiteral) -> Self {
        Self {
            log_n: literal.log_n,
            primes: literal.q.iter().map(|&q| q as f64).collect(),
            special: literal.p.len(),
            packed: literal.packed_ciphertexts(),
            noise: NoiseModel::new(literal),
            operations: Mutex::default(),
            memory: Arc::default(),
        }
    }

    /// What has been done so far.
    pub fn operations(&self) -> Operations {
        let operations = self.operations.lock().expect("no code panics while it holds this lock").clone();
        Operations { peak_bytes: self.memory.peak(), ..operations }
    }

    /// [`Operations::peak_bytes`] since the beginning or the last call.
    pub(super) fn take_peak(&self) -> usize {
        let peak = self.memory.peak();
        self.memory.restart();
        peak
    }

    /// A fresh ciphertext.
    pub fn fresh(&self, input: &Input) -> Traced {
        self.fresh_at(input, input.level)
    }

    /// A fresh ciphertext without the limbs above `level`, packed as uploads are.
    fn fresh_at(&self, input: &Input, level: usize) -> Traced {
        let noise = match input.senders {
            0 => self.noise.fresh(),
            senders => senders as f64 * (self.noise.fresh() + self.noise.entry(input.level)),
        };
        let (level, variance) = (level.min(input.level), noise / (input.scale * input.scale));
        self.made_in(self.packed[level], level, input.scale, input.rms, variance)
    }

    fn made(&self, level: usize, scale: f64, rms: f64, variance: f64) -> Traced {
        self.made_of(2, level, scale, rms, variance)
    }

    fn made_of(&self, polynomials: usize, level: usize, scale: f64, rms: f64, variance: f64) -> Traced {
        self.made_in(polynomials * (level + 1) * (8 << self.log_n), level, scale, rms, variance)
    }

    /// A ciphertext that takes so many bytes.
    fn made_in(&self, bytes: usize, level: usize, scale: f64, rms: f64, variance: f64) -> Traced {
        #[cfg(test)]
        MADE.set(MADE.get() + 1);
        let (rms, held) = (AtomicU64::new(rms.to_bits()).into(), Held::new(bytes, &self.memory).into());
        Traced { level, scale, rms, variance, _held: held }
    }

    fn count(&self, work: impl FnOnce(&mut Operations)) {
        work(&mut self.operations.lock().expect("no code panics while it holds this lock"));
    }

    fn count_work(&self, work: Work) {
        self.count(|o| o.work += work);
    }

    /// Counts a key switch but for the decomposition.
    fn count_switch(&self, level: usize) {
        self.count(|o| {
            o.key_switches += 1;
            o.work += cost::switch(level, self.special, 0);
        });
    }

    fn count_decomposition(&self, level: usize) {
        self.count_work(cost::decomposition(level, self.special));
    }

    fn automorphism(&self, a: &Traced, element: usize) -> Traced {
        self.count(|o| o.keys.need_galois(element, a.level));
        self.count_switch(a.level);
        let added = self.noise.key_switch(a.level) / (a.scale * a.scale);
        self.made(a.level, a.scale, a.rms(), a.variance + added)
    }

    /// A relinearisation, of which `rotated` is the other part of the sum that is divided: a ciphertext under an
    /// automorphism.
    fn relinearize_with(&self, a: &Traced, rotated: Option<(&Traced, usize)>, rescale: usize) -> Result<Traced> {
        if a.level < rescale {
            return Err(Error::NoLevelLeft { needed: rescale, left: a.level });
        }
        let scale = if rescale == 1 { a.scale / self.primes[a.level] } else { a.scale };
        let switched = (self.noise.key_switch(a.level) - self.noise.rounding()) / (a.scale * a.scale);
        let (mut rms, mut variance) = (a.rms(), a.variance + switched + self.noise.rounding() / (scale * scale));
        if let Some((b, _)) = rotated {
            Self::check_aligned(a, b)?;
            (rms, variance) = (rms.hypot(b.rms()), variance + b.variance + switched);
        }
        self.count(|o| {
            let parts = 1 + u64::from(rotated.is_some());
            let part = cost::decomposition(a.level, self.special) + cost::inner_product(a.level, self.special);
            o.key_switches += parts;
            o.work += parts * part + cost::division(a.level, self.special, rescale);
            o.keys.need_relinearization(a.level);
            if let Some((_, element)) = rotated {
                o.keys.need_galois(element, a.level);
            }
        });
        Ok(self.made(a.level - rescale, scale, rms, variance))
    }

    fn check_aligned(a: &Traced, b: &Traced) -> Result<()> {
        if a.level != b.level {
            return Err(Error::LevelMismatch(a.level, b.level));
        }
        Self::check_scales(a.scale, b.scale)
    }

    fn check_scales(a: f64, b: f64) -> Result<()> {
        if (a / b - 1.0).abs() > 2f64.powi(-30) { Err(Error::ScaleMismatch(a.log2(), b.log2())) } else { Ok(()) }
    }

    fn sum(&self, a: &Traced, b: &Traced, polynomials: usize) -> Result<Traced> {
        Self::check_aligned(a, b)?;
        let rms = a.rms().hypot(b.rms());
        Ok(self.made_of(polynomials, a.level, a.scale, rms, a.variance + b.variance))
    }

    fn scaled(&self, a: &Traced, factor: f64, scale: f64, polynomials: usize) -> Traced {
        self.count_work(Work { transforms: 0, limb_products: polynomials as u64 * (a.level as u64 + 1) });
        let rounding = ((factor * scale).round() / scale - factor).powi(2) * a.rms().powi(2);
        let variance = a.variance * factor * factor + rounding;
        self.made_of(polynomials, a.level, a.scale * scale, a.rms() * factor.abs(), variance)
    }

    fn element(&self, k: isize) -> usize {
        galois::rotation_element(self.log_n, k)
    }
}
