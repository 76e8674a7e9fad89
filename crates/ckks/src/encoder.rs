//! The canonical embedding: complex slot vectors to integer polynomials and back.
//!
//! Slot s of m(X) is m(zeta^(5^s)), zeta = exp(i pi / N). Encoding interpolates, multiplies by the scale and rounds.
//! Both directions are a fast Fourier transform over the orbit of 5 (Cheon, Kim, Kim, Song 2017; the transform of
//! HEAAN).

use std::f64::consts::TAU;

use crate::{Complex64, Error, Result};

/// The embedding of one ring dimension.
pub struct Encoder {
    slots: usize,
    /// exp(2 pi i k / 2N), k = 0..2N
    roots: Vec<Complex64>,
    /// 5^s mod 2N
    orbit: Vec<usize>,
}

impl Encoder {
    /// The embedding of the ring of dimension 2^log_n, log_n at least 1.
    pub fn new(log_n: u32) -> Self {
        let slots = 1usize << (log_n - 1);
        let order = 4 * slots;
        let roots = (0..order).map(|k| Complex64::cis(TAU * k as f64 / order as f64)).collect();
        let orbit = std::iter::successors(Some(1), |power| Some(power * 5 % order)).take(slots).collect();
        Self { slots, roots, orbit }
    }

    /// Number of slots, N/2.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The N integer coefficients of the polynomial whose slots are `values` times `scale`. Missing slots are zero. The
    /// rounding adds an error of standard deviation sqrt(N/12)/scale to every slot.
    pub fn encode(&self, values: &[Complex64], scale: f64) -> Result<Vec<i128>> {
        if values.len() > self.slots {
            return Err(Error::Length { found: values.len(), expected: self.slots });
        }
        let mut work = values.to_vec();
        work.resize(self.slots, Complex64::ZERO);
        self.interpolate(&mut work);
        let factor = scale / self.slots as f64;
        // 2^100 leaves room in i128 for sums, and no modulus of two primes is larger.
        let limit = 2f64.powi(100);
        let round = |x: f64| {
            let y = x * factor;
            if y.abs() < limit {
                Ok(y.round() as i128)
            } else {
                Err(Error::TooLarge { value: x.abs(), limit: limit / scale })
            }
        };
        work.iter().map(|x| round(x.re)).chain(work.iter().map(|x| round(x.im))).collect()
    }

    /// Like [`Self::encode`] for a whole sub-ring: `parts` are polynomials p_j in X^A, A = parts.len() a power of two,
    /// each given by its slots, a vector that repeats with period `slots / A`, of which one period is passed. The
    /// result is the sum of X^j p_j(X^A).
    pub fn encode_subring(&self, parts: &[Vec<Complex64>], scale: f64) -> Result<Vec<i128>> {
        let (copies, n) = (parts.len(), 2 * self.slots);
        if !copies.is_power_of_two() || copies > self.slots {
            return Err(Error::Length { found: copies, expected: copies.next_power_of_two().min(self.slots) });
        }
        let small = Encoder::new((n / copies).ilog2());
        let mut out = vec![0; n];
        for (j, part) in parts.iter().enumerate() {
            for (i, coefficient) in small.encode(part, scale)?.into_iter().enumerate() {
                out[i * copies + j] = coefficient;
            }
        }
        Ok(out)
    }

    /// The slots of the polynomial with the given coefficients, divided by `scale`.
    pub fn decode(&self, coefficients: &[i128], scale: f64) -> Vec<Complex64> {
        let mut work: Vec<Complex64> = (0..self.slots)
            .map(|i| Complex64::new(coefficients[i] as f64 / scale, coefficients[i + self.slots] as f64 / scale))
            .collect();
        self.evaluate(&mut work);
        work
    }

    /// Coefficients (paired as re + i im) to slots.
    fn evaluate(&self, values: &mut [Complex64]) {
        reverse_bits(values);
        let order = self.roots.len();
        let mut len = 2;
        while len <= self.slots {
            let (half, quarter_turns) = (len / 2, 4 * len);
            for block in values.chunks_mut(len) {
                let (low, high) = block.split_at_mut(half);
                for (j, (x, y)) in low.iter_mut().zip(high).enumerate() {
                    let root = self.roots[self.orbit[j] % quarter_turns * (order / quarter_turns)];
                    let turned = *y * root;
                    (*x, *y) = (*x + turned, *x - turned);
                }
            }
            len *= 2;
        }
    }

    /// Slots to coefficients, without the division by the number of slots.
    fn interpolate(&self, values: &mut [Complex64]) {
        let order = self.roots.len();
        let mut len = self.slots;
        while len >= 2 {
            let (half, quarter_turns) = (len / 2, 4 * len);
            for block in values.chunks_mut(len) {
                let (low, high) = block.split_at_mut(half);
                for (j, (x, y)) in low.iter_mut().zip(high).enumerate() {
                    let root = self.roots[(quarter_turns - self.orbit[j] % quarter_turns) * (order / quarter_turns)];
                    let difference = (*x - *y) * root;
                    (*x, *y) = (*x + *y, difference);
                }
            }
            len /= 2;
        }
        reverse_bits(values);
    }
}

fn reverse_bits(values: &mut [Complex64]) {
    let bits = values.len().ilog2();
    if bits == 0 {
        return;
    }
    for i in 0..values.len() {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            values.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(len: usize) -> Vec<Complex64> {
        (0..len).map(|i| Complex64::new((i as f64 * 0.7).sin() * 3.0, (i as f64 * 1.3).cos())).collect()
    }

    #[test]
    fn slots_are_the_values_of_the_polynomial_at_powers_of_five_of_the_root() {
        let log_n = 5;
        let (n, encoder) = (1usize << log_n, Encoder::new(log_n));
        let values = sample(n / 2);
        let coefficients = encoder.encode(&values, 2f64.powi(40)).unwrap();
        let mut exponent = 1usize;
        for value in values {
            let at_root: Complex64 = coefficients
                .iter()
                .enumerate()
                .map(|(k, &c)| c as f64 * Complex64::cis(TAU * (k * exponent % (2 * n)) as f64 / (2 * n) as f64))
                .sum();
            assert!((at_root / 2f64.powi(40) - value).norm() < 1e-10);
            exponent = exponent * 5 % (2 * n);
        }
    }

    #[test]
    fn encoding_and_decoding_lose_no_more_than_the_rounding_of_coefficients() {
        for log_n in [1, 2, 4, 10, 14] {
            let encoder = Encoder::new(log_n);
            let (values, scale) = (sample(encoder.slots()), 2f64.powi(40));
            let back = encoder.decode(&encoder.encode(&values, scale).unwrap(), scale);
            let bound = 6.0 * (2.0 * encoder.slots() as f64 / 12.0).sqrt() / scale + 1e-13;
            for (x, y) in values.iter().zip(&back) {
                assert!((x - y).norm() < bound, "2^{log_n}: {} > {bound}", (x - y).norm());
            }
        }
    }

    #[test]
    fn a_packed_subring_has_the_slots_of_its_parts_times_powers_of_the_root() {
        let (log_n, copies) = (6, 4usize);
        let encoder = Encoder::new(log_n);
        let period = encoder.slots() / copies;
        let parts: Vec<Vec<Complex64>> =
            (0..copies).map(|j| sample(period).iter().map(|x| x * (j as f64 + 1.0)).collect()).collect();
        let scale = 2f64.powi(40);
        let slots = encoder.decode(&encoder.encode_subring(&parts, scale).unwrap(), scale);
        for (s, slot) in slots.iter().enumerate() {
            let root = encoder.roots[encoder.orbit[s]];
            let expected: Complex64 =
                parts.iter().enumerate().map(|(j, part)| part[s % period] * root.powu(j as u32)).sum();
            assert!((slot - expected).norm() < 1e-9);
        }
    }

    #[test]
    fn too_many_values_and_values_beyond_any_modulus_are_refused() {
        let encoder = Encoder::new(4);
        assert!(matches!(encoder.encode(&sample(9), 1.0), Err(Error::Length { found: 9, expected: 8 })));
        assert!(matches!(encoder.encode(&[Complex64::new(1e30, 0.0)], 1e9), Err(Error::TooLarge { .. })));
        assert!(matches!(encoder.encode(&[Complex64::new(f64::NAN, 0.0)], 1e9), Err(Error::TooLarge { .. })));
    }
}
