//! Exact centred basis conversion between sets of primes, and the constants that it needs.
//!
//! For x modulo D = d_1 ... d_k with residues x_i, and y_i = x_i (D/d_i)^-1 mod d_i, the sum of y_i D/d_i is x + v D;
//! v = round(sum of y_i / d_i) in double precision makes x the representative in [-D/2, D/2) (off by D only when x lies
//! within about 2^-50 D of the border, which is harmless: the result is still congruent to x). Halevi, Polyakov and Shoup 2018, section 2.2.

use rayon::prelude::*;

use crate::modulus::ShoupConstant;
use crate::{Buffer, Ntt, kernels};

/// The constants of a conversion from one set of primes to every other prime of the ring.
pub(crate) struct Conversion {
    /// Indices of the source primes.
    from: Vec<usize>,
    /// (D/d_i)^-1 mod d_i
    inverses: Vec<ShoupConstant>,
    /// For every prime of the ring (`None` for the source's own).
    targets: Vec<Option<Target>>,
}

struct Target {
    /// D/d_i mod t
    weights: Vec<u64>,
    /// -D mod t
    negated_product: u64,
    /// D^-1 mod t
    inverse: ShoupConstant,
}

/// Ranges of coefficients that the first half of a conversion is split into, for threads to share.
const CONVERSION_PARTS: usize = 4;

/// Coefficients of the source limbs that are read for all targets before the next ones.
const TILE: usize = 1024;

/// Targets of the second half that share the reading of the source: these and the source stay in the L2 cache together.
pub(crate) const TARGETS_TOGETHER: usize = 4;

impl Conversion {
    pub(crate) fn new(primes: &[Ntt], from: Vec<usize>) -> Self {
        let product_without = |skip: Option<usize>, t: &crate::Modulus| {
            from.iter()
                .filter(|&&j| Some(j) != skip)
                .fold(1, |product, &j| t.mul(product, t.reduce(primes[j].modulus().value())))
        };
        let inverses = from
            .iter()
            .map(|&i| {
                let m = primes[i].modulus();
                m.shoup(m.invert(product_without(Some(i), m)))
            })
            .collect();
        let targets = (0..primes.len())
            .map(|t| {
                let m = primes[t].modulus();
                (!from.contains(&t)).then(|| {
                    let product = product_without(None, m);
                    Target {
                        weights: from.iter().map(|&i| product_without(Some(i), m)).collect(),
                        negated_product: m.negate(product),
                        inverse: m.shoup(m.invert(product)),
                    }
                })
            })
            .collect();
        Self { from, inverses, targets }
    }

    /// First half, in place: source limbs one after another from evaluations to y_i; the result is v.
    pub(crate) fn digits(&self, primes: &[Ntt], n: usize, words: &mut [u64]) -> Buffer {
        words.par_chunks_mut(n).zip(self.from.par_iter()).for_each(|(limb, &i)| primes[i].inverse(limb));
        let moduli: Vec<_> = self.from.iter().map(|&i| primes[i].modulus()).collect();
        let mut overflow = Buffer::dirty(n);
        // By ranges of coefficients, of every limb the same.
        let range = n / CONVERSION_PARTS.min(n / 8);
        let mut parts: Vec<Vec<&mut [u64]>> = overflow.chunks(range).map(|_| Vec::new()).collect();
        for limb in words.chunks_mut(n) {
            parts.iter_mut().zip(limb.chunks_mut(range)).for_each(|(part, limb)| part.push(limb));
        }
        parts
            .par_iter_mut()
            .zip(overflow.par_chunks_mut(range))
            .for_each(|(limbs, overflow)| kernels::convert_digits(&moduli, &self.inverses, limbs, overflow));
        overflow
    }

    /// Second half, from what [`Self::digits`] leaves: the centred representative modulo each of the primes `targets`, as evaluations,
    /// to their limbs in `out`. Several targets at a time share the reading of the source limbs, [`TILE`] coefficients at a time.
    pub(crate) fn combine(&self, primes: &[Ntt], words: &[u64], overflow: &[u64], targets: &[usize], out: &mut [u64]) {
        let n = overflow.len();
        for start in (0..n).step_by(TILE) {
            let range = start..(start + TILE).min(n);
            let limbs: Vec<&[u64]> = words.chunks(n).map(|limb| &limb[range.clone()]).collect();
            for (&t, out) in targets.iter().zip(out.chunks_mut(n)) {
                let (m, target) = (primes[t].modulus(), self.target(t));
                let (overflow, out) = (&overflow[range.clone()], &mut out[range.clone()]);
                kernels::convert_combine(m, &limbs, &target.weights, overflow, target.negated_product, out);
            }
        }
        targets.iter().zip(out.chunks_mut(n)).for_each(|(&t, out)| primes[t].forward(out));
    }

    /// D^-1 modulo prime `t`.
    pub(crate) fn inverse_modulo(&self, t: usize) -> ShoupConstant {
        self.target(t).inverse
    }

    fn target(&self, t: usize) -> &Target {
        self.targets[t].as_ref().expect("a conversion is only asked for primes outside of its source")
    }
}
