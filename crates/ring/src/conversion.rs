//! Exact centred basis conversion between sets of primes, and the constants that it needs.
//!
//! For x modulo D = d_1 ... d_k with residues x_i, and y_i = x_i (D/d_i)^-1 mod d_i, the sum of y_i D/d_i is x + v D; v
//! = round(sum of y_i / d_i) in double precision makes x the representative in [-D/2, D/2) (off by D only when x lies
//! within about 2^-50 D of the border, which is harmless: the result is still congruent to x). Halevi, Polyakov and
//! Shoup 2018, section 2.2. The factors (D/d_i)^-1 ride in the inverse transforms' 1/N.

use rayon::prelude::*;

use crate::modulus::ShoupConstant;
use crate::ntt::Scale;
use crate::{Buffer, Ntt, kernels};

/// The constants of a conversion from one set of primes to every other prime of the ring.
pub(crate) struct Conversion {
    /// Indices of the source primes.
    from: Vec<usize>,
    /// (D/d_i)^-1 mod d_i
    inverses: Vec<Scale>,
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

/// A polynomial between the two halves of a conversion.
pub(crate) struct Halfway {
    /// y_i, limb after limb
    words: Buffer,
    /// v
    overflow: Buffer,
}

/// Ranges of coefficients that v is made in, for threads to share.
const OVERFLOW_PARTS: usize = 4;

/// Coefficients of the source limbs that are read for all targets before the next ones: they stay in the L1 cache.
const TILE: usize = 512;

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
                primes[i].scale(m.invert(product_without(Some(i), m)))
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

    /// First half, of source limb `k`: from evaluations to y_k.
    pub(crate) fn start(&self, primes: &[Ntt], k: usize, evaluations: &[u64], out: &mut [u64]) {
        primes[self.from[k]].inverse_scaled(evaluations, out, &self.inverses[k]);
    }

    /// First half, from all y_i, limb after limb.
    pub(crate) fn halfway(&self, primes: &[Ntt], n: usize, words: Buffer) -> Halfway {
        let moduli: Vec<_> = self.from.iter().map(|&i| primes[i].modulus()).collect();
        let mut overflow = Buffer::dirty(n);
        let part = n / OVERFLOW_PARTS.min(n / 8);
        overflow.par_chunks_mut(part).enumerate().for_each(|(k, overflow)| {
            let limbs: Vec<&[u64]> = words.chunks(n).map(|limb| &limb[k * part..(k + 1) * part]).collect();
            kernels::convert_overflow(&moduli, &limbs, overflow);
        });
        Halfway { words, overflow }
    }

    /// First half, from the evaluations of all source limbs.
    pub(crate) fn halfway_from(&self, primes: &[Ntt], n: usize, source: &[u64]) -> Halfway {
        let mut words = Buffer::dirty(source.len());
        let limbs = words.par_chunks_mut(n).zip(source.par_chunks(n));
        limbs.enumerate().for_each(|(k, (words, evaluations))| self.start(primes, k, evaluations, words));
        self.halfway(primes, n, words)
    }

    /// Second half: the centred representative modulo each of the primes `targets`, as evaluations, to their limbs in
    /// `out`. Several targets at a time share the reading of the source limbs, [`TILE`] coefficients at a time.
    pub(crate) fn combine(
        &self,
        primes: &[Ntt],
        Halfway { words, overflow }: &Halfway,
        targets: &[usize],
        out: &mut [u64],
    ) {
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
        targets.iter().zip(out.chunks_mut(n)).for_each(|(&t, out)| primes[t].forward_unreduced(out));
    }

    /// D^-1 modulo prime `t`.
    pub(crate) fn inverse_modulo(&self, t: usize) -> ShoupConstant {
        self.target(t).inverse
    }

    fn target(&self, t: usize) -> &Target {
        self.targets[t].as_ref().expect("a conversion is only asked for primes outside of its source")
    }
}
