//! Key switches (hybrid, Han and Ki 2020): digits, their inner product with keys over the extended basis, and the
//! division by the special primes that ends them.
//!
//! For the digits d_j of a polynomial d and a key (b_j, a_j) with b_j + a_j s = P s' on digit j, the sums of d_j(X^g)
//! b_j and of d_j(X^g) a_j, divided by P, are c0 and c1 with c0 + c1 s = d(X^g) s'. Several switches may share one
//! division, that of their sum.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::{Ring, Span};
use crate::conversion::TARGETS_TOGETHER;
use crate::galois::Permutation;
use crate::kernels::{MOST_ADDED, SwitchLimb, Turned};
use crate::modulus::ShoupConstant;
use crate::{Buffer, PackedPoly, RnsPoly, kernels};

/// Limbs of each half of a result that share the reading of what is divided away.
const LIMBS_TOGETHER: usize = 4;

/// How many limbs of so many are finished together: up to `most`, but so that every thread has some.
fn together(limbs: usize, most: usize) -> usize {
    limbs.div_ceil(rayon::current_num_threads()).clamp(1, most)
}

/// A polynomial split into digits and raised to the extended basis, ready for any number of key switches.
pub struct Digits<'a> {
    /// Whose limbs are each digit's own.
    source: &'a RnsPoly,
    /// The other limbs of every digit; its own are arbitrary.
    raised: Vec<RnsPoly>,
    /// Ciphertext limbs of a digit.
    size: usize,
}

impl Digits<'_> {
    /// Limb `i` of digit `j`.
    fn limb(&self, j: usize, i: usize) -> &[u64] {
        let own = i < self.source.q_limbs() && i / self.size == j;
        if own { self.source.limb(i) } else { self.raised[j].limb(i) }
    }
}

/// One key switch of a sum: of the digits' polynomial under X -> X^element.
#[derive(Clone, Copy)]
pub struct Switch<'a> {
    /// The digits.
    pub digits: &'a Digits<'a>,
    /// The halves of the key, a pair a digit. It may have more ciphertext limbs than the digits; the surplus is not
    /// read.
    pub key: &'a [(PackedPoly, PackedPoly)],
    /// The Galois element, 1 for none.
    pub element: usize,
}

/// A polynomial under X -> X^element.
pub type Automorphic<'a> = (&'a RnsPoly, usize);

/// A sum of key switches over the extended basis, which is computed limb by limb.
struct Sum<'a> {
    ring: &'a Ring,
    switches: &'a [Switch<'a>],
    added: [&'a [Automorphic<'a>]; 2],
    permutations: HashMap<usize, Arc<Permutation>>,
    q_limbs: usize,
}

impl<'a> Sum<'a> {
    fn new(ring: &'a Ring, switches: &'a [Switch<'a>], added: [&'a [Automorphic<'a>]; 2], q_limbs: usize) -> Self {
        let of_switches = switches.iter().map(|switch| switch.element);
        let of_added = added.iter().flat_map(|added| added.iter().map(|(_, element)| *element));
        let elements = of_switches.chain(of_added).filter(|&element| element != 1);
        let permutations = elements.map(|element| (element, ring.permutation(element))).collect();
        Self { ring, switches, added, permutations, q_limbs }
    }

    /// Limb `i` of both halves, ended as [`kernels::switch`] says.
    fn limb(&self, i: usize, end: Option<ShoupConstant>, out: [&mut [u64]; 2]) {
        let of_q = i < self.q_limbs;
        // A key may have been made for a higher level.
        let key_limb = |half: &'a PackedPoly| half.limb(if of_q { i } else { half.q_limbs() + i - self.q_limbs });
        let turned = |limb, element: usize| Turned { limb, permutation: self.permutations.get(&element).map(|p| &**p) };
        let digits = self.switches.iter().flat_map(|Switch { digits, key, element }| {
            let digits = (0..digits.raised.len()).map(|j| turned(digits.limb(j, i), *element));
            digits.zip(key.iter().map(|(b, a)| [key_limb(b), key_limb(a)]))
        });
        // P is zero modulo the special primes.
        let added = self.added.map(|added| {
            let added = added.iter().filter(|_| of_q);
            added.map(|(poly, element)| turned(poly.limb(i), *element)).collect()
        });
        let factor = if of_q { self.ring.special_product(i) } else { 0 };
        let sum = SwitchLimb { digits: digits.collect(), added, factor };
        kernels::switch(self.ring.limb_modulus(self.q_limbs, i), &sum, end, out);
    }
}

impl Ring {
    /// Number of digits of a polynomial with `q_limbs` limbs: ceil(q_limbs / number of special primes).
    pub fn digit_count(&self, q_limbs: usize) -> usize {
        q_limbs.div_ceil(self.p_count())
    }

    /// Splits a polynomial over ciphertext primes into digits of `p_count` limbs, each raised (centred) to all its
    /// ciphertext primes and the special primes.
    pub fn decompose<'a>(&self, a: &'a RnsPoly) -> Digits<'a> {
        let (n, q_limbs, size) = (self.n(), a.q_limbs(), self.p_count());
        let digits = self.digit_count(q_limbs);
        let together = together(digits * q_limbs, TARGETS_TOGETHER);
        let raised = (0..digits)
            .into_par_iter()
            .map(|j| {
                let own = j * size..((j + 1) * size).min(q_limbs);
                let conversion = self.conversion(Span { q_start: own.start, q_end: own.end, p_count: 0 });
                let halfway = conversion.halfway_from(&self.primes, n, &a.words()[own.start * n..own.end * n]);
                let mut out = RnsPoly::dirty(n, q_limbs, size);
                // The limbs before the digit's own and those after it.
                let (before, rest) = out.words_mut().split_at_mut(own.start * n);
                let after = &mut rest[own.len() * n..];
                let chunks = [(0, before), (own.end, after)].map(|(first, limbs)| {
                    limbs
                        .par_chunks_mut(together * n)
                        .enumerate()
                        .map(move |(chunk, limbs)| (first + chunk * together, limbs))
                });
                let [before, after] = chunks;
                before.chain(after).for_each(|(first, limbs)| {
                    let targets: Vec<usize> =
                        (0..limbs.len() / n).map(|k| self.prime_index(q_limbs, first + k)).collect();
                    conversion.combine(&self.primes, &halfway, &targets, limbs);
                });
                out
            })
            .collect();
        Digits { source: a, raised, size }
    }

    /// For both halves h: the sum of the switches' inner products with half h of their keys, plus P times the sum of
    /// `added[h]`, divided by P and by the last `rescale` ciphertext primes, rounded. So added polynomials come out as
    /// they are, but for the rescale. In evaluations; all digits and added polynomials have the same ciphertext limbs,
    /// of which the result has `rescale` less.
    ///
    /// What is divided away is computed first. Every other limb is then finished in one go: its share of what is
    /// divided away is converted, the inner products are summed, their difference is divided. No sum over the extended
    /// basis is ever in memory.
    ///
    /// # Panics
    ///
    /// If there is no switch, if their digits differ in limbs or would have none left, or if more than four polynomials
    /// are added to a half.
    pub fn switch(&self, switches: &[Switch], added: [&[Automorphic]; 2], rescale: usize) -> [RnsPoly; 2] {
        let (n, special) = (self.n(), self.p_count());
        let q_limbs = switches.first().map_or(0, |switch| switch.digits.source.q_limbs());
        let same = switches.iter().all(|switch| switch.digits.source.q_limbs() == q_limbs);
        assert!(same && rescale < q_limbs, "switches of one level, with a limb left");
        assert!(added.iter().all(|added| added.len() <= MOST_ADDED), "at most {MOST_ADDED} added polynomials");
        let kept = q_limbs - rescale;
        let sum = Sum::new(self, switches, added, q_limbs);
        let conversion = self.conversion(Span { q_start: kept, q_end: q_limbs, p_count: special });

        let mut words = [(); 2].map(|_| Buffer::dirty((rescale + special) * n));
        let [words0, words1] = &mut words;
        words0.par_chunks_mut(n).zip(words1.par_chunks_mut(n)).enumerate().for_each(|(k, (words0, words1))| {
            let mut halves = Buffer::dirty(2 * n);
            let (half0, half1) = halves.split_at_mut(n);
            sum.limb(kept + k, None, [half0, half1]);
            conversion.start(&self.primes, k, half0, words0);
            conversion.start(&self.primes, k, half1, words1);
        });
        let halfway = words.map(|words| conversion.halfway(&self.primes, n, words));

        let mut out = [(); 2].map(|_| RnsPoly::dirty(n, kept, 0));
        let [out0, out1] = &mut out;
        let together = together(kept, LIMBS_TOGETHER);
        let chunks = [out0, out1].map(|out| out.words_mut().par_chunks_mut(together * n));
        let [chunks0, chunks1] = chunks;
        chunks0.zip(chunks1).enumerate().for_each(|(chunk, (limbs0, limbs1))| {
            let targets: Vec<usize> = (0..limbs0.len() / n).map(|k| chunk * together + k).collect();
            conversion.combine(&self.primes, &halfway[0], &targets, limbs0);
            conversion.combine(&self.primes, &halfway[1], &targets, limbs1);
            for (&i, (limb0, limb1)) in targets.iter().zip(limbs0.chunks_mut(n).zip(limbs1.chunks_mut(n))) {
                sum.limb(i, Some(conversion.inverse_modulo(i)), [limb0, limb1]);
            }
        });
        out
    }

    /// target += P source on the limbs of digit `digit` (of `target`'s ciphertext limbs), unchanged elsewhere: the
    /// gadget of a key.
    pub fn add_gadget(&self, target: &mut RnsPoly, source: &RnsPoly, digit: usize) {
        let size = self.p_count();
        let own = digit * size..((digit + 1) * size).min(target.q_limbs());
        self.for_each_limb(target, |i, prime, limb| {
            if own.contains(&i) {
                let factor = prime.modulus().shoup(self.special_product(i));
                kernels::add_mul_constant(prime.modulus(), limb, source.limb(i), factor);
            }
        });
    }

    /// P mod q_i, P the product of the special primes.
    fn special_product(&self, i: usize) -> u64 {
        let m = self.q(i);
        self.primes[self.q_count..].iter().fold(1, |x, p| m.mul(x, m.reduce(p.modulus().value())))
    }
}
