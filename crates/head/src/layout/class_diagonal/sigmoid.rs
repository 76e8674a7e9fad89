//! The sigmoid of the class-diagonal layout: -rate (q(a) - i q(c)) from logits z = a + i c, where p = 1/2 + q, q odd.
//!
//! A cubic needs no parts of z: a^3 - i c^3 = z (3 conj(z)^2 + z^2) / 4, two levels. Polynomials of degree 7 and 15 are
//! taken of a and of c apart, three and four levels, after one conjugation. With u = a / range in [-1, 1], y1 = 2 u^2 - 1
//! and y2, y4 its Chebyshev polynomials T_2 = 2 y1^2 - 1 and T_4 = 2 y2^2 - 1 (Paterson and Stockmeyer 1973, in a basis in
//! which nothing is larger than 1),
//!
//! ```text
//! q = u h(y1),    degree 7    h = y2 A(y1) + B(y1)
//!                 degree 15   h = (y4 + s) (y2 A(y1) + B(y1)) + y2 r + D(y1)
//! ```
//!
//! A, B, D are linear. The s of the second makes r a number, which saves a product. All coefficients but those of s and of
//! the zeros of A, B, D stand in masks that multiply u: as many as there are letters A, B, r, D. What lies in slots m >= B
//! are partial sums of logits, no logits; they pass through y1, y2, y4 and meet zeros of the masks. The last sum takes
//! both parts before it is relinearised.
//!
//! Key switches, with z at level l: conjugation 1 [l]; of each part y1 [l], y2 and u A [l - 1], and for degree 15 y4 and
//! the inner sum [l - 2]; the last sum 1 [l - 2], [l - 3].

use super::*;
use crate::recipe::{Fit, Sigmoid};

/// The masks of a step, one a product with u: see the head of the file.
pub(super) enum Masks {
    /// What multiplies z^3 and z.
    Cubic([Vec<Complex64>; 2]),
    /// What multiplies the real and the imaginary part.
    Fit(Division, [Vec<Vec<Complex64>>; 2]),
}

/// lead (y + zero).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Linear {
    lead: f64,
    zero: f64,
}

impl Linear {
    fn new(coefficients: &[f64]) -> Self {
        Self { lead: coefficients[1], zero: coefficients[0] / coefficients[1] }
    }
}

/// h of an odd polynomial, divided by y2 and y4.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Division {
    /// Of u to a logit.
    range: f64,
    /// A and B.
    inner: [Linear; 2],
    /// s, r and D of degree 15.
    outer: Option<(f64, f64, Linear)>,
}

impl Division {
    /// Of q(z) = sum of c_(2k + 1) z^(2k + 1), for 4 or 8 coefficients.
    fn new(fit: Fit) -> Self {
        let (range, c) = (Sigmoid::Fit(fit).range(), fit.coefficients());
        // h in powers of y1, by Horner's rule in u^2 = (y1 + 1) / 2.
        let mut h = vec![0.0];
        for (k, c) in c.iter().enumerate().rev() {
            let mut next = vec![0.0; h.len() + 1];
            for (power, value) in h.iter().enumerate() {
                next[power] += value / 2.0;
                next[power + 1] += value / 2.0;
            }
            next[0] += c * range.powi(2 * k as i32 + 1);
            h = next;
        }
        h.truncate(c.len());
        let halves = |h: &[f64]| {
            let [quotient, rest] = divide(h, &[-1.0, 0.0, 2.0]);
            [Linear::new(&quotient), Linear::new(&rest)]
        };
        match fit {
            Fit::Seven => Self { range, inner: halves(&h), outer: None },
            Fit::Fifteen => {
                let [quotient, mut rest] = divide(&h, &[1.0, 0.0, -8.0, 0.0, 8.0]);
                let shift = rest[3] / quotient[3];
                rest.iter_mut().zip(&quotient).for_each(|(rest, quotient)| *rest -= shift * quotient);
                let [r, rest] = divide(&rest[..3], &[-1.0, 0.0, 2.0]);
                Self { range, inner: halves(&quotient), outer: Some((shift, r[0], Linear::new(&rest))) }
            }
        }
    }

    /// What multiplies u, in the order A, B, r, D.
    fn factors(&self) -> Vec<f64> {
        let [a, b] = self.inner;
        let outer = self.outer.map(|(_, r, d)| [r, d.lead]);
        [a.lead, b.lead].into_iter().chain(outer.into_iter().flatten()).collect()
    }
}

/// Quotient and rest of a division of polynomials, lowest coefficients first.
fn divide(dividend: &[f64], divisor: &[f64]) -> [Vec<f64>; 2] {
    let (degree, mut rest) = (divisor.len() - 1, dividend.to_vec());
    let mut quotient = vec![0.0; dividend.len() - degree];
    for power in (0..quotient.len()).rev() {
        quotient[power] = rest[power + degree] / divisor[degree];
        for (k, value) in divisor.iter().enumerate() {
            rest[power + k] -= quotient[power] * value;
        }
    }
    rest.truncate(degree);
    [quotient, rest]
}

impl ClassDiagonal {
    /// The masks of a step.
    pub(super) fn masks(&self, step: &GradientStep) -> Masks {
        match step.sigmoid {
            Sigmoid::Cubic(cubic) => {
                let values = [-step.rate * cubic.c3 / 4.0, -step.rate * cubic.c1];
                Masks::Cubic(values.map(|value| self.head_mask(value.into())))
            }
            Sigmoid::Fit(fit) => {
                let division = Division::new(fit);
                let parts = [Complex64::new(-step.rate, 0.0), Complex64::new(0.0, step.rate)];
                let masks = parts.map(|part| division.factors().iter().map(|f| self.head_mask(part * f)).collect());
                Masks::Fit(division, masks)
            }
        }
    }

    /// `value` at m < B, zero elsewhere.
    fn head_mask(&self, value: Complex64) -> Vec<Complex64> {
        let mut mask = vec![Complex64::ZERO; self.slots];
        mask.chunks_exact_mut(self.width).for_each(|row| row[..self.block].fill(value));
        mask
    }

    /// -rate (q(a) - i q(c)) at m < B and zero elsewhere, from z = a + i c, at the scale at which the labels can be added
    /// and as many levels below z as the degree takes.
    pub(super) fn negative_sigmoid<M: Arithmetic>(
        &self,
        m: &M,
        z: &M::Ciphertext,
        step: &GradientStep,
        label_scale: f64,
        masks: &Masks,
    ) -> Result<M::Ciphertext> {
        let target = label_scale * step.first_rate / step.rate;
        let sum = match masks {
            Masks::Cubic(masks) => negative_cubic(m, z, step.sigmoid.range(), target, masks)?,
            Masks::Fit(division, masks) => negative_fit(m, z, division, target, masks)?,
        };
        m.expect_magnitude(&sum, 0.5 * step.rate);
        Ok(sum)
    }
}

/// -rate ((c1 a + c3 a^3) - i (c1 c + c3 c^3)): z (3 conj(z)^2 + z^2) c3/4 + c1 conj(z).
fn negative_cubic<M: Arithmetic>(
    m: &M,
    z: &M::Ciphertext,
    range: f64,
    target: f64,
    masks: &[Vec<Complex64>; 2],
) -> Result<M::Ciphertext> {
    let level = m.level(z);
    let conjugate = m.conjugate(z)?;
    let thrice = m.mul_scalar(&conjugate, 3.0, 1.0)?;
    let square = m.relinearize_rescale(&m.dot(&[(&thrice, &conjugate), (z, z)])?)?;
    m.expect_magnitude(&square, range * range / 2.0);
    // The masked factor's plaintext scale is chosen so that the residual lands on the labels' scale exactly.
    let product_scale = target * m.prime(level - 1);
    let masked_scale = product_scale / m.scale(&square) * m.prime(level);
    let masked = m.mul_plain(z, &masks[0], masked_scale / m.scale(z))?;
    let cubic = m.mul_rescale(&m.rescale(&masked)?, &square)?;
    let conjugate = m.drop_to(&conjugate, level - 1)?;
    let linear = m.mul_plain(&conjugate, &masks[1], product_scale / m.scale(&conjugate))?;
    m.add(&m.with_scale(&cubic, target), &m.with_scale(&m.rescale(&linear)?, target))
}

/// A product that waits to be summed: its factors.
type Pair<C> = (C, C);

/// -rate (q(a) - i q(c)) of a fit of degree 7 or 15.
fn negative_fit<M: Arithmetic>(
    m: &M,
    z: &M::Ciphertext,
    division: &Division,
    target: f64,
    masks: &[Vec<Vec<Complex64>>; 2],
) -> Result<M::Ciphertext> {
    let conjugate = m.conjugate(z)?;
    // Twice the real and twice the imaginary part.
    let parts = [m.add(z, &conjugate)?, m.mul_i(&m.sub(&conjugate, z)?)];
    let depth = if division.outer.is_some() { 3 } else { 2 };
    let product_scale = target * m.prime(m.level(z) - depth);
    let terms = parts.iter().zip(masks).map(|(part, masks)| last_terms(m, part, division, product_scale, masks));
    let terms: Vec<_> = terms.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    Ok(m.with_scale(&m.relinearize_rescale(&sum_of(m, &terms)?)?, target))
}

/// The terms of the last sum from twice a part of the logits; the scales of the factors of each multiply to
/// `product_scale`.
fn last_terms<M: Arithmetic>(
    m: &M,
    twice: &M::Ciphertext,
    division: &Division,
    product_scale: f64,
    masks: &[Vec<Complex64>],
) -> Result<Vec<Pair<M::Ciphertext>>> {
    let level = m.level(twice);
    let u = lifted(m, &m.with_scale(twice, m.scale(twice) * 2.0 * division.range))?;
    m.expect_magnitude(&u, 0.5);
    let y1 = chebyshev(m, &u)?;
    let y2 = chebyshev(m, &y1)?;
    // u times a mask, at the scale with which a product with `partner` has scale `product`.
    let masked = |mask: &[Complex64], product: f64, partner: &M::Ciphertext| -> Result<M::Ciphertext> {
        let scale = product / m.scale(partner);
        let masked = m.rescale(&m.mul_plain(&u, mask, scale * m.prime(level) / m.scale(&u))?)?;
        Ok(m.with_scale(&masked, scale))
    };
    let [a, b] = division.inner;
    // u (y2 A(y1) + B(y1)) as a sum of two products.
    let inner = |product: f64| -> Result<Vec<Pair<M::Ciphertext>>> {
        let scale = product / m.scale(&y2);
        let factor = m.add_scalar(&y1, a.zero)?;
        let t = m.mul_rescale(&masked(&masks[0], scale * m.prime(level - 1), &factor)?, &factor)?;
        let factor = m.add_scalar(&y1, b.zero)?;
        Ok(vec![(m.with_scale(&t, scale), y2.clone()), (masked(&masks[1], product, &factor)?, factor)])
    };
    let Some((shift, _, d)) = division.outer else { return inner(product_scale) };
    let y4 = m.add_scalar(&chebyshev(m, &y2)?, shift)?;
    let scale = product_scale / m.scale(&y4);
    let nested = m.relinearize_rescale(&sum_of(m, &inner(scale * m.prime(level - 2))?)?)?;
    let factor = m.add_scalar(&y1, d.zero)?;
    Ok(vec![
        (m.with_scale(&nested, scale), y4),
        (masked(&masks[2], product_scale, &y2)?, y2.clone()),
        (masked(&masks[3], product_scale, &factor)?, factor),
    ])
}

/// 2 x^2 - 1, a level below.
fn chebyshev<M: Arithmetic>(m: &M, x: &M::Ciphertext) -> Result<M::Ciphertext> {
    let square = m.mul_rescale(x, x)?;
    let y = m.add_scalar(&m.with_scale(&square, m.scale(&square) / 2.0), -1.0)?;
    m.expect_magnitude(&y, 0.75);
    lifted(m, &y)
}

/// The same values at a scale of nearly twice the prime, if it is smaller: then it stays there from one squaring to the
/// next, whose half has scale^2 / (2 prime).
fn lifted<M: Arithmetic>(m: &M, x: &M::Ciphertext) -> Result<M::Ciphertext> {
    let factor = (2.0 * m.prime(m.level(x)) / m.scale(x)).floor();
    if factor < 2.0 { Ok(x.clone()) } else { m.mul_scalar(x, 1.0, factor) }
}

/// The sum of products whose scales agree, not relinearised.
fn sum_of<M: Arithmetic>(m: &M, terms: &[Pair<M::Ciphertext>]) -> Result<M::Product> {
    // Sums of products want every first factor at one scale and every second one at another.
    let (first, second) = (m.scale(&terms[0].0), m.scale(&terms[0].1));
    let level = terms.iter().map(|(x, y)| m.level(x).min(m.level(y))).min().unwrap_or(0);
    let at = |x: &M::Ciphertext, scale| m.drop_to(&m.with_scale(x, scale), level);
    let terms = terms.iter().map(|(x, y)| Ok((at(x, first)?, at(y, second)?))).collect::<Result<Vec<_>>>()?;
    m.dot(&terms.iter().map(|(x, y)| (x, y)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Cubic;
    use ciphertune_ckks::{
        Encoder, EvaluationKeys, Evaluator, KeySet, Parameters, ParametersLiteral, SecretKey, decrypt, encrypt, galois,
    };

    /// The largest errors of the encrypted sigmoid over its range, in both parts of slots, and in the other half of them,
    /// which hold sums that are half as large again, in the ring, with the primes and at about the scale of refreshed plans.
    fn largest_errors(sigmoid: Sigmoid, prime_bits: u32) -> [f64; 2] {
        let (log_n, level, scale) = (14, sigmoid.degree().levels() + 1, f64::from(prime_bits - 6).exp2());
        let shape = Shape { rows: 1, features: 1, classes: 1 };
        let (slots, block) = (1 << (log_n - 1), 1 << (log_n - 2));
        let layout = ClassDiagonal::new(shape, slots, slots, block, 1, 1).unwrap().with_degree(sigmoid.degree());
        let literal = ParametersLiteral::choose(log_n, 50, prime_bits, level, 2).unwrap();
        let parameters = Parameters::new(literal).unwrap();
        let (secret, encoder) = (SecretKey::generate(&parameters).unwrap(), Encoder::new(log_n));
        let mut keys = KeySet::default();
        keys.need_galois(galois::conjugation_element(log_n), level);
        keys.need_relinearization(level);
        let m = Evaluator::new(EvaluationKeys::generate(&parameters, &secret, &keys).unwrap());

        let z: Vec<Complex64> = (0..slots)
            .map(|slot| {
                let along = 2.0 * (slot % block) as f64 / (block - 1) as f64 - 1.0;
                let size = sigmoid.range() * if slot < block { 1.0 } else { 1.5 };
                Complex64::new(size * along, size * (7.0 * along).sin())
            })
            .collect();
        let message = encoder.encode(&z, scale).unwrap();
        let z_encrypted = encrypt(&parameters, &secret, &message, level, scale).unwrap().expand(parameters.ring());
        let step = GradientStep { batch: 0, sigmoid, rate: 1.0, first_rate: 1.0, stride: 1.0, raise: 1.0, last: true };
        let target = f64::from(prime_bits).exp2();
        let found = layout.negative_sigmoid(&m, &z_encrypted, &step, target, &layout.masks(&step)).unwrap();
        assert_eq!((m.level(&found), m.scale(&found)), (1, target));
        let found = decrypt(&parameters, &secret, &encoder, &found);
        let error = |slot: usize| {
            let q = |z: f64| sigmoid.evaluate(z) - 0.5;
            let expected = if slot < block { Complex64::new(-q(z[slot].re), q(z[slot].im)) } else { Complex64::ZERO };
            (found[slot] - expected).norm()
        };
        let largest = |slots: std::ops::Range<usize>| slots.map(error).fold(0.0, f64::max);
        [largest(0..block), largest(block..slots)]
    }

    #[test]
    fn encrypted_sigmoids_are_those_in_double_precision_over_their_whole_range() {
        // What lies beside the logits is raised to powers before it is cleared, and its noise with it.
        for (sigmoid, prime_bits, bound, beside) in [
            (Cubic::WIDE.into(), 48, -20, -20),
            (Sigmoid::Fit(Fit::Seven), 48, -20, -20),
            (Sigmoid::Fit(Fit::Fifteen), 46, -16, -12),
        ] {
            let errors = largest_errors(sigmoid, prime_bits);
            println!("{sigmoid}: 2^{:.1}, beside them 2^{:.1}", errors[0].log2(), errors[1].log2());
            assert!(errors[0] <= f64::from(bound).exp2(), "{sigmoid}: 2^{:.1}", errors[0].log2());
            assert!(errors[1] <= f64::from(beside).exp2(), "{sigmoid}: 2^{:.1} beside them", errors[1].log2());
        }
    }

    #[test]
    fn the_divided_polynomial_is_the_polynomial() {
        for fit in [Fit::Seven, Fit::Fifteen] {
            let division = Division::new(fit);
            let at = |linear: Linear, y: f64| linear.lead * (y + linear.zero);
            for step in -40..=40 {
                let u = f64::from(step) / 40.0;
                let y1 = 2.0 * u * u - 1.0;
                let y2 = 2.0 * y1 * y1 - 1.0;
                let y4 = 2.0 * y2 * y2 - 1.0;
                let inner = y2 * at(division.inner[0], y1) + at(division.inner[1], y1);
                let h = match division.outer {
                    None => inner,
                    Some((shift, r, d)) => (y4 + shift) * inner + y2 * r + at(d, y1),
                };
                let expected = Sigmoid::Fit(fit).evaluate(u * division.range) - 0.5;
                assert!((u * h - expected).abs() < 1e-12, "{fit:?} at {u}: {} for {expected}", u * h);
            }
            assert!(division.factors().iter().all(|factor| factor.abs() < 1.0), "nothing is lost by cancellation");
        }
    }
}
