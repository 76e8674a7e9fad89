//! The operations of a circuit on the symbolic machine: level, scale, magnitude and error of each result, and what it
//! takes to have it.

use ciphertune_ckks::{Arithmetic, Complex64, Error, Result, galois};

use super::{Traced, Tracer};
use crate::plan::cost::{self, Work};

impl Arithmetic for Tracer {
    type Ciphertext = Traced;
    type Product = Traced;

    fn slots(&self) -> usize {
        1 << (self.log_n - 1)
    }

    fn prime(&self, level: usize) -> f64 {
        self.primes[level]
    }

    fn level(&self, a: &Traced) -> usize {
        a.level
    }

    fn scale(&self, a: &Traced) -> f64 {
        a.scale
    }

    fn product_scale(&self, a: &Traced) -> f64 {
        a.scale
    }

    fn product_level(&self, a: &Traced) -> usize {
        a.level
    }

    fn add(&self, a: &Traced, b: &Traced) -> Result<Traced> {
        self.sum(a, b, 2)
    }

    fn sub(&self, a: &Traced, b: &Traced) -> Result<Traced> {
        self.sum(a, b, 2)
    }

    fn negate(&self, a: &Traced) -> Traced {
        a.clone()
    }

    fn drop_to(&self, a: &Traced, level: usize) -> Result<Traced> {
        if level > a.level {
            return Err(Error::NoLevelLeft { needed: level - a.level, left: 0 });
        }
        Ok(self.made(level, a.scale, a.rms(), a.variance))
    }

    fn packed(&self, a: &Traced) -> Traced {
        self.made_in(self.packed[a.level], a.level, a.scale, a.rms(), a.variance)
    }

    fn rescale(&self, a: &Traced) -> Result<Traced> {
        if a.level == 0 {
            return Err(Error::NoLevelLeft { needed: 1, left: 0 });
        }
        self.count_work(Work { transforms: 2 * (a.level as u64 + 1), limb_products: 2 * a.level as u64 });
        let scale = a.scale / self.primes[a.level];
        Ok(self.made(a.level - 1, scale, a.rms(), a.variance + self.noise.rounding() / (scale * scale)))
    }

    fn with_scale(&self, a: &Traced, scale: f64) -> Traced {
        let factor = a.scale / scale;
        self.made(a.level, scale, a.rms() * factor, a.variance * factor * factor)
    }

    fn mul_plain(&self, a: &Traced, values: &[Complex64], scale: f64) -> Result<Traced> {
        if values.len() != self.slots() {
            return Err(Error::Length { found: values.len(), expected: self.slots() });
        }
        self.count_work(cost::plain_product(a.level));
        let mean_square = sum_of_squares(values) / values.len() as f64;
        let variance = a.variance * mean_square + a.rms().powi(2) * self.noise.encoding() / (scale * scale);
        Ok(self.made(a.level, a.scale * scale, a.rms() * mean_square.sqrt(), variance))
    }

    fn mul_scalar(&self, a: &Traced, factor: f64, scale: f64) -> Result<Traced> {
        Ok(self.scaled(a, factor, scale, 2))
    }

    fn add_scalar(&self, a: &Traced, value: f64) -> Result<Traced> {
        Ok(self.made(a.level, a.scale, a.rms().hypot(value), a.variance))
    }

    fn mul_monomial(&self, a: &Traced, _power: usize) -> Traced {
        self.count_work(cost::plain_product(a.level));
        a.clone()
    }

    fn dot(&self, pairs: &[(&Traced, &Traced)]) -> Result<Traced> {
        let Some((a, b)) = pairs.first() else {
            return Err(Error::Length { found: 0, expected: 1 });
        };
        let level = pairs.iter().map(|(a, b)| a.level.min(b.level)).min().unwrap_or(0);
        for (x, y) in pairs {
            Self::check_scales(a.scale, x.scale)?;
            Self::check_scales(b.scale, y.scale)?;
        }
        self.count(|o| {
            o.products += pairs.len() as u64;
            o.work += cost::products(pairs.len() as u64, level);
        });
        let (mut square, mut variance) = (0.0, 0.0);
        for (a, b) in pairs {
            let (ra, rb) = (a.rms().powi(2), b.rms().powi(2));
            square += ra * rb;
            variance += ra * b.variance + rb * a.variance + a.variance * b.variance;
        }
        Ok(self.made_of(3, level, a.scale * b.scale, square.sqrt(), variance))
    }

    fn add_products(&self, a: &Traced, b: &Traced) -> Result<Traced> {
        self.sum(a, b, 3)
    }

    fn mul_product_scalar(&self, a: &Traced, factor: f64, scale: f64) -> Result<Traced> {
        Ok(self.scaled(a, factor, scale, 3))
    }

    fn relinearize(&self, a: &Traced) -> Result<Traced> {
        self.relinearize_with(a, None, 0)
    }

    fn relinearize_rescale(&self, a: &Traced) -> Result<Traced> {
        self.relinearize_with(a, None, 1)
    }

    fn relinearize_add_rotated(&self, a: &Traced, b: &Traced, k: isize, rescale: bool) -> Result<Traced> {
        let element = self.element(k);
        if element == 1 {
            let sum = self.add(&self.relinearize(a)?, b)?;
            return if rescale { self.rescale(&sum) } else { Ok(sum) };
        }
        self.relinearize_with(a, Some((b, element)), rescale.into())
    }

    fn rotate(&self, a: &Traced, k: isize) -> Result<Traced> {
        let element = self.element(k);
        if element == 1 {
            return Ok(a.clone());
        }
        self.count_decomposition(a.level);
        Ok(self.automorphism(a, element))
    }

    fn rotate_hoisted(&self, a: &Traced, ks: &[isize]) -> Result<Vec<Traced>> {
        let elements: Vec<usize> = ks.iter().map(|&k| self.element(k)).collect();
        if elements.iter().any(|&element| element != 1) {
            self.count_decomposition(a.level);
        }
        Ok(elements
            .iter()
            .map(|&element| if element == 1 { a.clone() } else { self.automorphism(a, element) })
            .collect())
    }

    fn conjugate(&self, a: &Traced) -> Result<Traced> {
        self.count_decomposition(a.level);
        Ok(self.automorphism(a, galois::conjugation_element(self.log_n)))
    }

    fn expect_magnitude(&self, a: &Traced, rms: f64) {
        a.rms.store(rms.to_bits(), std::sync::atomic::Ordering::Relaxed);
    }
}

/// The sum of |v|^2, in several sums side by side: a single one would have to wait for each of its additions.
fn sum_of_squares(values: &[Complex64]) -> f64 {
    let (groups, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for group in groups {
        sums.iter_mut().zip(group).for_each(|(sum, value)| *sum += value.norm_sqr());
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| value.norm_sqr()).sum::<f64>()
}
