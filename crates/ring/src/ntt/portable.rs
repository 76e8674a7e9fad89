//! The transform in 64-bit integers: what every other form must equal.
//!
//! One level a pass, products by Harvey's method. q < 2^50 leaves room in a word: the forward transform adds 2q to a
//! bound in every level and reduces at the end only.

use crate::modulus::{Modulus, ShoupConstant};

/// The transform of one ring dimension and one prime.
pub(super) struct PortableNtt {
    modulus: Modulus,
    /// Powers of psi in bit-reversed order: index m + i is for block i of level m.
    forward: Vec<ShoupConstant>,
    /// The same of 1/psi.
    inverse: Vec<ShoupConstant>,
    /// 1/N
    scale: ShoupConstant,
}

impl PortableNtt {
    /// The transform at the powers of `psi`, a primitive 2N-th root of unity.
    pub(super) fn new(m: &Modulus, log_n: u32, psi: u64) -> Self {
        let powers = |psi: u64| {
            let mut powers = vec![m.shoup(1); 1 << log_n];
            let mut power = 1;
            for i in 0..1usize << log_n {
                powers[i.reverse_bits() >> (usize::BITS - log_n)] = m.shoup(power);
                power = m.mul(power, psi);
            }
            powers
        };
        let scale = m.shoup(m.invert(1 << log_n));
        Self { modulus: *m, forward: powers(psi), inverse: powers(m.invert(psi)), scale }
    }

    pub(super) fn forward(&self, values: &mut [u64]) {
        let (m, twice) = (&self.modulus, 2 * self.modulus.value());
        let mut blocks = 1;
        while blocks < values.len() {
            let len = values.len() / blocks;
            for (block, &w) in values.chunks_exact_mut(len).zip(&self.forward[blocks..]) {
                let (low, high) = block.split_at_mut(len / 2);
                for (x, y) in low.iter_mut().zip(high) {
                    let product = m.mul_shoup_lazy(*y, w);
                    (*x, *y) = (*x + product, *x + twice - product);
                }
            }
            blocks *= 2;
        }
        values.iter_mut().for_each(|x| *x = m.reduce(*x));
    }

    pub(super) fn inverse(&self, values: &mut [u64]) {
        let (m, twice) = (&self.modulus, 2 * self.modulus.value());
        let mut blocks = values.len();
        while blocks > 1 {
            blocks /= 2;
            let len = values.len() / blocks;
            for (block, &w) in values.chunks_exact_mut(len).zip(&self.inverse[blocks..]) {
                let (low, high) = block.split_at_mut(len / 2);
                for (x, y) in low.iter_mut().zip(high) {
                    let (sum, difference) = (*x + *y, *x + twice - *y);
                    *x = if sum >= twice { sum - twice } else { sum };
                    *y = m.mul_shoup_lazy(difference, w);
                }
            }
        }
        values.iter_mut().for_each(|x| *x = m.mul_shoup(*x, self.scale));
    }
}
