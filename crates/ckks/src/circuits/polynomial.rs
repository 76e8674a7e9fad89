//! Evaluation of a polynomial with real coefficients on every slot, in depth ceil(log2(degree)) + 1 or less.

use crate::{Arithmetic, Error, Result};

/// c_0 + c_1 x + ... + c_d x^d on every slot, at exactly `scale` and at the level of x less [`depth`] of the degree.
///
/// Powers x^(2^i) are squared up; every term c_k x^k is the product of such a power and of c_k x^(k - 2^i), made the
/// same way down to c_k x, so that the coefficient costs no level of its own, and all terms meet at one level and
/// scale. That is the fewest levels possible; for the low degrees of sigmoid approximations it is also close to the
/// fewest products.
pub fn evaluate<M: Arithmetic>(m: &M, x: &M::Ciphertext, coefficients: &[f64], scale: f64) -> Result<M::Ciphertext> {
    let degree = coefficients.iter().rposition(|&c| c != 0.0).unwrap_or(0);
    if degree == 0 {
        return Err(Error::Length { found: coefficients.len().min(1), expected: 2 });
    }
    let needed = depth(degree);
    if m.level(x) < needed {
        return Err(Error::NoLevelLeft { needed, left: m.level(x) });
    }
    let mut powers = Powers { m, squares: vec![x.clone()] };
    let level = m.level(x) - needed;
    let mut sum: Option<M::Ciphertext> = None;
    for (k, &coefficient) in coefficients.iter().enumerate().skip(1).filter(|(_, c)| **c != 0.0) {
        let term = powers.term(k, coefficient, level, scale)?;
        sum = Some(match sum {
            Some(sum) => m.add(&sum, &term)?,
            None => term,
        });
    }
    let sum = sum.expect("the coefficient of the degree is not zero");
    m.add_scalar(&sum, coefficients[0])
}

/// Levels that [`evaluate`] consumes for a degree of at least 1: ceil(log2(degree + 1)), the same as for the powers
/// alone.
pub fn depth(degree: usize) -> usize {
    (degree + 1).next_power_of_two().ilog2() as usize
}

struct Powers<'a, M: Arithmetic> {
    m: &'a M,
    /// x^(2^i)
    squares: Vec<M::Ciphertext>,
}

impl<M: Arithmetic> Powers<'_, M> {
    fn square(&mut self, i: usize) -> Result<M::Ciphertext> {
        while self.squares.len() <= i {
            let last = self.squares.last().expect("x itself is there from the start");
            let next = self.m.mul_rescale(last, last)?;
            self.squares.push(next);
        }
        Ok(self.squares[i].clone())
    }

    /// c x^k at exactly (level, scale).
    fn term(&mut self, k: usize, c: f64, level: usize, scale: f64) -> Result<M::Ciphertext> {
        let m = self.m;
        if k.is_power_of_two() {
            // A spare level takes the coefficient directly.
            let exponent = k.ilog2() as usize;
            if exponent == 0 || m.level(&self.squares[0]) > level + exponent {
                let power = self.square(exponent)?;
                return m.mul_scalar_to(&power, c, level, scale);
            }
        }
        let high_exponent = (k - 1).ilog2() as usize;
        let high = self.square(high_exponent)?;
        let high = m.drop_to(&high, level + 1)?;
        let target = scale * m.prime(level + 1) / m.scale(&high);
        let low = self.term(k - (1 << high_exponent), c, level + 1, target)?;
        Ok(m.with_scale(&m.mul_rescale(&high, &low)?, scale))
    }
}
