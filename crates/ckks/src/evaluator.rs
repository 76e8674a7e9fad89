//! The evaluator: [`Arithmetic`] on real ciphertexts, by whoever holds evaluation keys.
//!
//! A key switch is: decompose into digits, raise them to the extended basis, multiply with the key, divide by the
//! special primes (hybrid key switching, Han and Ki 2020). A division by the special primes and the division of a
//! rescale are one, and key switches whose results are added share it.

mod plain;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ciphertune_ring::{Digits, FactorPair, RnsPoly, Switch, galois};
use rayon::prelude::*;

use crate::ciphertext::Half;
use crate::{Arithmetic, Ciphertext, Complex64, Encoder, Error, EvaluationKeys, Parameters, Product, Result};

pub use plain::Plaintext;

/// How many of the expensive operations have been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Key switches: rotations, conjugations, relinearisations.
    pub key_switches: u64,
    /// Ciphertext by ciphertext products.
    pub products: u64,
}

/// Computes on ciphertexts with evaluation keys.
pub struct Evaluator {
    keys: EvaluationKeys,
    encoder: Encoder,
    /// The last plaintexts that ciphertexts were multiplied with: circuits use the same ones again and again.
    encoded: Mutex<VecDeque<Encoded>>,
    key_switches: AtomicU64,
    products: AtomicU64,
    stopped: AtomicBool,
}

/// An encoded plaintext, and what it was made of.
struct Encoded {
    values: Vec<Complex64>,
    scale: f64,
    poly: Arc<RnsPoly>,
}

/// Plaintexts that are kept.
const KEPT_PLAINTEXTS: usize = 4;

/// Two scales count as equal when they agree to this relative difference, far below any noise.
const SCALE_TOLERANCE: f64 = 1.0 / (1u64 << 30) as f64;

impl Evaluator {
    /// An evaluator with the given keys.
    pub fn new(keys: EvaluationKeys) -> Self {
        let encoder = Encoder::new(keys.parameters().ring().log_n());
        Self {
            keys,
            encoder,
            encoded: Mutex::default(),
            key_switches: AtomicU64::new(0),
            products: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// The keys.
    pub fn keys(&self) -> &EvaluationKeys {
        &self.keys
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        self.keys.parameters()
    }

    /// Operations done so far.
    pub fn counts(&self) -> Counts {
        Counts {
            key_switches: self.key_switches.load(Ordering::Relaxed),
            products: self.products.load(Ordering::Relaxed),
        }
    }

    /// From now on every key switch is refused with [`Error::Stopped`]: whoever waits for a circuit on another thread has
    /// it end within some operations.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Counts a key switch, unless the evaluator was stopped.
    fn count_key_switch(&self) -> Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        self.key_switches.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A key switch with the relinearisation key.
    fn relinearization<'a>(&'a self, digits: &'a Digits, level: usize) -> Result<Switch<'a>> {
        let key = &self.keys.relinearization(level)?.digits;
        self.count_key_switch()?;
        Ok(Switch { digits, key, element: 1 })
    }

    /// A key switch with the key of an automorphism.
    fn automorphism<'a>(&'a self, digits: &'a Digits, element: usize, level: usize) -> Result<Switch<'a>> {
        let key = &self.keys.galois(element, level)?.digits;
        self.count_key_switch()?;
        Ok(Switch { digits, key, element })
    }

    fn apply(&self, a: &Ciphertext, digits: &Digits, element: usize) -> Result<Ciphertext> {
        let switch = self.automorphism(digits, element, a.level())?;
        let ring = self.parameters().ring();
        let [c0, c1] = ring.switch(&[switch], [&[(&*a.c0.words(ring), element)], &[]], 0);
        Ok(Ciphertext::new(c0, c1, a.scale))
    }

    /// Both polynomials of a ciphertext, as words.
    fn words(&self, a: &Ciphertext) -> [Arc<RnsPoly>; 2] {
        let ring = self.parameters().ring();
        [a.c0.words(ring), a.c1.words(ring)]
    }

    /// A ciphertext whose polynomials are made of those of another, at the same scale.
    fn map(&self, a: &Ciphertext, make: impl Fn(&RnsPoly) -> RnsPoly) -> Ciphertext {
        let [c0, c1] = self.words(a).map(|half| make(&half));
        Ciphertext::new(c0, c1, a.scale)
    }

    /// A ciphertext whose polynomials are made of those of two others at the same level and scale.
    fn combine(
        &self,
        a: &Ciphertext,
        b: &Ciphertext,
        make: impl Fn(&RnsPoly, &RnsPoly) -> RnsPoly,
    ) -> Result<Ciphertext> {
        self.check_aligned((a.level(), a.scale), (b.level(), b.scale))?;
        let ([a0, a1], [b0, b1]) = (self.words(a), self.words(b));
        Ok(Ciphertext::new(make(&a0, &b0), make(&a1, &b1), a.scale))
    }

    /// d0 + d1 s + d2 s^2 to two polynomials, plus a turned ciphertext, with the last `rescale` primes divided out, all
    /// in one division.
    fn relinearize_with(
        &self,
        a: &Product,
        turned: Option<(&Ciphertext, usize)>,
        rescale: usize,
    ) -> Result<Ciphertext> {
        let ring = self.parameters().ring();
        let level = a.level();
        if level < rescale {
            return Err(Error::NoLevelLeft { needed: rescale, left: level });
        }
        if let Some((b, _)) = turned {
            self.check_aligned((level, a.scale), (b.level(), b.scale))?;
        }
        let digits = ring.decompose(&a.d2);
        let relinearization = self.relinearization(&digits, level)?;
        let [c0, c1] = match turned {
            None => ring.switch(&[relinearization], [&[(&a.d0, 1)], &[(&a.d1, 1)]], rescale),
            Some((b, element)) => {
                let [b0, b1] = self.words(b);
                let digits = ring.decompose(&b1);
                let switches = [relinearization, self.automorphism(&digits, element, level)?];
                ring.switch(&switches, [&[(&a.d0, 1), (&*b0, element)], &[(&a.d1, 1)]], rescale)
            }
        };
        let scale = (0..rescale).fold(a.scale, |scale, k| scale / self.prime(level - k));
        Ok(Ciphertext::new(c0, c1, scale))
    }

    /// A plaintext with so many limbs.
    fn encoded(&self, values: &[Complex64], scale: f64, limbs: usize) -> Result<Arc<RnsPoly>> {
        let kept = || self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |e: &&Encoded| e.scale == scale && e.poly.q_limbs() == limbs && e.values == values;
        if let Some(found) = kept().iter().find(same) {
            return Ok(found.poly.clone());
        }
        // Not under the lock: other threads may have the same to do, and nothing waits for another.
        let poly = Arc::new(self.parameters().ring().reduce_signed_wide(&self.encoder.encode(values, scale)?, limbs));
        let mut kept = kept();
        if !kept.iter().any(|e| same(&e)) {
            kept.truncate(KEPT_PLAINTEXTS - 1);
            kept.push_front(Encoded { values: values.to_vec(), scale, poly: poly.clone() });
        }
        Ok(poly)
    }

    fn check_aligned(&self, a: (usize, f64), b: (usize, f64)) -> Result<()> {
        if a.0 != b.0 {
            return Err(Error::LevelMismatch(a.0, b.0));
        }
        if (a.1 / b.1 - 1.0).abs() > SCALE_TOLERANCE {
            return Err(Error::ScaleMismatch(a.1.log2(), b.1.log2()));
        }
        Ok(())
    }

    fn integer(&self, factor: f64, scale: f64) -> Result<i128> {
        let value = factor * scale;
        let limit = 2f64.powi(100);
        if value.abs() < limit {
            Ok(value.round() as i128)
        } else {
            Err(Error::TooLarge { value: factor, limit: limit / scale })
        }
    }
}

impl Arithmetic for Evaluator {
    type Ciphertext = Ciphertext;
    type Product = Product;

    fn slots(&self) -> usize {
        self.parameters().slots()
    }

    fn prime(&self, level: usize) -> f64 {
        self.parameters().prime(level)
    }

    fn level(&self, a: &Ciphertext) -> usize {
        a.level()
    }

    fn scale(&self, a: &Ciphertext) -> f64 {
        a.scale
    }

    fn product_scale(&self, a: &Product) -> f64 {
        a.scale
    }

    fn product_level(&self, a: &Product) -> usize {
        a.level()
    }

    fn add(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.combine(a, b, |a, b| self.parameters().ring().add(a, b))
    }

    fn sub(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext> {
        self.combine(a, b, |a, b| self.parameters().ring().sub(a, b))
    }

    fn negate(&self, a: &Ciphertext) -> Ciphertext {
        self.map(a, |half| self.parameters().ring().negate(half))
    }

    fn drop_to(&self, a: &Ciphertext, level: usize) -> Result<Ciphertext> {
        if level > a.level() {
            return Err(Error::NoLevelLeft { needed: level - a.level(), left: 0 });
        }
        let ring = self.parameters().ring();
        let [c0, c1] = [&a.c0, &a.c1].map(|half| Half::Words(half.first_words(ring, level + 1)));
        Ok(Ciphertext::new(c0, c1, a.scale))
    }

    fn packed(&self, a: &Ciphertext) -> Ciphertext {
        let ring = self.parameters().ring();
        Ciphertext::new(a.c0.packed(ring), a.c1.packed(ring), a.scale)
    }

    fn rescale(&self, a: &Ciphertext) -> Result<Ciphertext> {
        if a.level() == 0 {
            return Err(Error::NoLevelLeft { needed: 1, left: 0 });
        }
        let rescaled = self.map(a, |half| self.parameters().ring().rescale(half));
        Ok(self.with_scale(&rescaled, a.scale / self.prime(a.level())))
    }

    fn with_scale(&self, a: &Ciphertext, scale: f64) -> Ciphertext {
        Ciphertext { scale, ..a.clone() }
    }

    fn mul_plain(&self, a: &Ciphertext, values: &[Complex64], scale: f64) -> Result<Ciphertext> {
        let ring = self.parameters().ring();
        if values.len() != self.slots() {
            return Err(Error::Length { found: values.len(), expected: self.slots() });
        }
        let plain = self.encoded(values, scale, a.level() + 1)?;
        Ok(self.with_scale(&self.map(a, |half| ring.mul(half, &plain)), a.scale * scale))
    }

    fn mul_scalar(&self, a: &Ciphertext, factor: f64, scale: f64) -> Result<Ciphertext> {
        let (ring, constant) = (self.parameters().ring(), self.integer(factor, scale)?);
        Ok(self.with_scale(&self.map(a, |half| ring.mul_constant(half, constant)), a.scale * scale))
    }

    fn add_scalar(&self, a: &Ciphertext, value: f64) -> Result<Ciphertext> {
        let (ring, constant) = (self.parameters().ring(), self.integer(value, a.scale)?);
        Ok(Ciphertext { c0: ring.add_constant(&a.c0.words(ring), constant).into(), ..a.clone() })
    }

    fn mul_monomial(&self, a: &Ciphertext, power: usize) -> Ciphertext {
        self.map(a, |half| self.parameters().ring().mul_monomial(half, power))
    }

    fn dot(&self, pairs: &[(&Ciphertext, &Ciphertext)]) -> Result<Product> {
        let (row, column) = pairs.iter().copied().unzip();
        let product = self.dot_many(&[row], &[column])?.pop().and_then(|mut row| row.pop());
        product.ok_or(Error::Length { found: 0, expected: 1 })
    }

    fn dot_many(&self, rows: &[Vec<&Ciphertext>], columns: &[Vec<&Ciphertext>]) -> Result<Vec<Vec<Product>>> {
        let (Some(row), Some(column)) = (rows.first(), columns.first()) else {
            return Ok(rows.iter().map(|_| Vec::new()).collect());
        };
        if let Some(other) = rows.iter().chain(columns).find(|terms| terms.len() != row.len() || terms.is_empty()) {
            return Err(Error::Length { found: other.len(), expected: row.len().max(1) });
        }
        for (first, operands) in [(row[0], rows), (column[0], columns)] {
            for operand in operands.iter().flatten() {
                self.check_aligned((0, first.scale), (0, operand.scale))?;
            }
        }
        self.products.fetch_add((rows.len() * columns.len() * row.len()) as u64, Ordering::Relaxed);
        let lowest = rows.iter().chain(columns).flatten().map(|operand| operand.level()).min().unwrap_or(0);
        let scale = row[0].scale * column[0].scale;
        let products = self.parameters().ring().dot_many(lowest + 1, &factors(rows), &factors(columns));
        let product = |[d0, d1, d2]: [RnsPoly; 3]| Product { d0, d1, d2, scale };
        Ok(products.into_iter().map(|row| row.into_iter().map(product).collect()).collect())
    }

    fn add_products(&self, a: &Product, b: &Product) -> Result<Product> {
        self.check_aligned((a.level(), a.scale), (b.level(), b.scale))?;
        let ring = self.parameters().ring();
        let (d0, d1, d2) = (ring.add(&a.d0, &b.d0), ring.add(&a.d1, &b.d1), ring.add(&a.d2, &b.d2));
        Ok(Product { d0, d1, d2, scale: a.scale })
    }

    fn mul_product_scalar(&self, a: &Product, factor: f64, scale: f64) -> Result<Product> {
        let (ring, constant) = (self.parameters().ring(), self.integer(factor, scale)?);
        let multiply = |d: &RnsPoly| ring.mul_constant(d, constant);
        Ok(Product { d0: multiply(&a.d0), d1: multiply(&a.d1), d2: multiply(&a.d2), scale: a.scale * scale })
    }

    fn relinearize(&self, a: &Product) -> Result<Ciphertext> {
        self.relinearize_with(a, None, 0)
    }

    fn relinearize_rescale(&self, a: &Product) -> Result<Ciphertext> {
        self.relinearize_with(a, None, 1)
    }

    fn relinearize_add_rotated(&self, a: &Product, b: &Ciphertext, k: isize, rescale: bool) -> Result<Ciphertext> {
        let element = galois::rotation_element(self.parameters().ring().log_n(), k);
        if element == 1 {
            let sum = self.add(&self.relinearize(a)?, b)?;
            return if rescale { self.rescale(&sum) } else { Ok(sum) };
        }
        self.relinearize_with(a, Some((b, element)), rescale.into())
    }

    fn rotate(&self, a: &Ciphertext, k: isize) -> Result<Ciphertext> {
        let element = galois::rotation_element(self.parameters().ring().log_n(), k);
        if element == 1 {
            return Ok(a.clone());
        }
        let ring = self.parameters().ring();
        self.apply(a, &ring.decompose(&a.c1.words(ring)), element)
    }

    fn rotate_hoisted(&self, a: &Ciphertext, ks: &[isize]) -> Result<Vec<Ciphertext>> {
        let ring = self.parameters().ring();
        let elements: Vec<usize> = ks.iter().map(|&k| galois::rotation_element(ring.log_n(), k)).collect();
        if elements.iter().all(|&element| element == 1) {
            return Ok(vec![a.clone(); ks.len()]);
        }
        // Unpacked once for all rotations.
        let a = &self.drop_to(a, a.level())?;
        let c1 = a.c1.words(ring);
        let digits = ring.decompose(&c1);
        elements
            .par_iter()
            .map(|&element| if element == 1 { Ok(a.clone()) } else { self.apply(a, &digits, element) })
            .collect()
    }

    fn conjugate(&self, a: &Ciphertext) -> Result<Ciphertext> {
        let ring = self.parameters().ring();
        self.apply(a, &ring.decompose(&a.c1.words(ring)), galois::conjugation_element(ring.log_n()))
    }

    fn each<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> Result<R> + Send + Sync) -> Result<Vec<R>> {
        items.into_par_iter().map(work).collect()
    }
}

fn factors<'a>(operands: &[Vec<&'a Ciphertext>]) -> Vec<Vec<FactorPair<'a>>> {
    operands.iter().map(|terms| terms.iter().map(|c| c.factors()).collect()).collect()
}
