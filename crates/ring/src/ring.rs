//! The ring Z[X]/(X^N + 1) modulo ciphertext primes q_0..q_L and special primes p_0..p_k, and the operations on its
//! polynomials that RNS schemes are built of. Nothing here knows of encryption.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, RwLock};

use rayon::prelude::*;

use crate::buffer::raise_pool_limit;
use crate::conversion::{Conversion, TARGETS_TOGETHER};
use crate::galois::Permutation;
use crate::modulus::ShoupConstant;
use crate::{Error, Modulus, Ntt, Result, RnsPoly, kernels};

/// Polynomials over all primes whose memory is kept for reuse.
const POOLED_POLYNOMIALS: usize = 32;

/// A ring with its primes, transforms and cached constants.
pub struct Ring {
    log_n: u32,
    /// q_0..q_L, then the special primes
    primes: Vec<Ntt>,
    q_count: usize,
    conversions: RwLock<HashMap<Span, Arc<Conversion>>>,
    permutations: RwLock<HashMap<usize, Arc<Permutation>>>,
    /// X^power over all ciphertext primes
    monomials: RwLock<HashMap<usize, Arc<RnsPoly>>>,
}

/// A run of ciphertext primes and a run of special primes, as the source of a conversion.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Span {
    q_start: usize,
    q_end: usize,
    p_count: usize,
}

/// The polynomials c0 and c1 of c0 + c1 s.
pub type PolyPair<'a> = (&'a RnsPoly, &'a RnsPoly);

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
    /// Limb `i` of all digits.
    fn limbs(&self, i: usize) -> Vec<&[u64]> {
        let own = (i < self.source.q_limbs()).then_some(i / self.size);
        let digits = self.raised.iter().enumerate();
        digits.map(|(j, raised)| if own == Some(j) { self.source.limb(i) } else { raised.limb(i) }).collect()
    }
}

/// Makes a limb of a quotient: modulus, a's limb, the limb to write (x on entry), D^-1, its number.
trait Finish: Fn(&Modulus, &[u64], &mut [u64], ShoupConstant, usize) + Sync {}
impl<F: Fn(&Modulus, &[u64], &mut [u64], ShoupConstant, usize) + Sync> Finish for F {}

impl Ring {
    /// Builds the ring of dimension 2^log_n with the given ciphertext and special primes, all different.
    pub fn new(log_n: u32, q: &[u64], p: &[u64]) -> Result<Self> {
        if !(4..=17).contains(&log_n) {
            return Err(Error::Dimension(log_n));
        }
        let all = [q, p].concat();
        if let Some((i, &prime)) = all.iter().enumerate().find(|(i, prime)| all[..*i].contains(prime)) {
            debug_assert!(i > 0);
            return Err(Error::RepeatedPrime(prime));
        }
        let primes = all.par_iter().map(|&prime| Ntt::new(1 << log_n, prime)).collect::<Result<_>>()?;
        // What a dozen rotations of one ciphertext, the most that are under way at once, leave behind.
        raise_pool_limit(POOLED_POLYNOMIALS * all.len() * (8 << log_n));
        Ok(Self {
            log_n,
            primes,
            q_count: q.len(),
            conversions: RwLock::default(),
            permutations: RwLock::default(),
            monomials: RwLock::default(),
        })
    }

    /// Ring dimension N.
    pub fn n(&self) -> usize {
        1 << self.log_n
    }

    /// log2 of the ring dimension.
    pub fn log_n(&self) -> u32 {
        self.log_n
    }

    /// Number of ciphertext primes.
    pub fn q_count(&self) -> usize {
        self.q_count
    }

    /// Number of special primes, which is also the number of ciphertext limbs in a digit.
    pub fn p_count(&self) -> usize {
        self.primes.len() - self.q_count
    }

    /// Modulus of the ciphertext prime q_i.
    pub fn q(&self, i: usize) -> &Modulus {
        debug_assert!(i < self.q_count);
        self.primes[i].modulus()
    }

    /// Modulus of limb `i` of polynomials with `q_limbs` ciphertext limbs.
    pub fn limb_modulus(&self, q_limbs: usize, i: usize) -> &Modulus {
        self.primes[self.prime_index(q_limbs, i)].modulus()
    }

    /// Which prime of the ring limb `i` belongs to.
    fn prime_index(&self, q_limbs: usize, i: usize) -> usize {
        if i < q_limbs { i } else { self.q_count + (i - q_limbs) }
    }

    // ---- element-wise ------------------------------------------------------------------------------------------

    fn for_each_limb(&self, a: &mut RnsPoly, work: impl Fn(usize, &Ntt, &mut [u64]) + Sync) {
        let (n, q_limbs) = (a.n(), a.q_limbs());
        a.words_mut()
            .par_chunks_mut(n)
            .enumerate()
            .for_each(|(i, limb)| work(i, &self.primes[self.prime_index(q_limbs, i)], limb));
    }

    /// a += b, over a's limbs.
    pub fn add_assign(&self, a: &mut RnsPoly, b: &RnsPoly) {
        self.for_each_limb(a, |i, prime, limb| kernels::add_assign(prime.modulus(), limb, b.limb(i)));
    }

    /// a -= b, over a's limbs.
    pub fn sub_assign(&self, a: &mut RnsPoly, b: &RnsPoly) {
        self.for_each_limb(a, |i, prime, limb| kernels::sub_assign(prime.modulus(), limb, b.limb(i)));
    }

    /// a *= b, over a's limbs. Both in evaluations.
    pub fn mul_assign(&self, a: &mut RnsPoly, b: &RnsPoly) {
        self.for_each_limb(a, |i, prime, limb| kernels::mul_assign(prime.modulus(), limb, b.limb(i)));
    }

    /// a + b, over a's limbs.
    pub fn add(&self, a: &RnsPoly, b: &RnsPoly) -> RnsPoly {
        self.copy_and(a, |i, m, range, out| kernels::add_assign(m, out, &b.limb(i)[range]))
    }

    /// a - b, over a's limbs.
    pub fn sub(&self, a: &RnsPoly, b: &RnsPoly) -> RnsPoly {
        self.copy_and(a, |i, m, range, out| kernels::sub_assign(m, out, &b.limb(i)[range]))
    }

    /// a b, over a's limbs. Both in evaluations.
    pub fn mul(&self, a: &RnsPoly, b: &RnsPoly) -> RnsPoly {
        self.copy_and(a, |i, m, range, out| kernels::mul_assign(m, out, &b.limb(i)[range]))
    }

    /// a constant.
    pub fn mul_constant(&self, a: &RnsPoly, constant: i128) -> RnsPoly {
        let residues = self.residues(a, constant);
        let constants: Vec<_> = (0..a.limbs()).map(|i| self.limb_modulus(a.q_limbs(), i).shoup(residues[i])).collect();
        self.copy_and(a, |i, m, _, out| kernels::mul_constant_assign(m, out, constants[i]))
    }

    /// -a.
    pub fn negate(&self, a: &RnsPoly) -> RnsPoly {
        self.copy_and(a, |_, m, _, out| kernels::negate_assign(m, out))
    }

    /// a + constant (a polynomial of degree zero), in evaluations.
    pub fn add_constant(&self, a: &RnsPoly, constant: i128) -> RnsPoly {
        let residues = self.residues(a, constant);
        self.copy_and(a, |i, m, _, out| out.iter_mut().for_each(|x| *x = m.add(*x, residues[i])))
    }

    /// A constant modulo the prime of each of a's limbs.
    fn residues(&self, a: &RnsPoly, constant: i128) -> Vec<u64> {
        (0..a.limbs()).map(|i| self.limb_modulus(a.q_limbs(), i).reduce_signed_wide(constant)).collect()
    }

    /// A copy of a that `work` changes, some words of a limb at a time, so that they are in the cache when it does.
    fn copy_and(&self, a: &RnsPoly, work: impl Fn(usize, &Modulus, Range<usize>, &mut [u64]) + Sync) -> RnsPoly {
        const WORDS: usize = 1024;
        let mut out = RnsPoly::dirty(a.n(), a.q_limbs(), a.p_limbs());
        self.for_each_limb(&mut out, |i, prime, limb| {
            for (part, out) in limb.chunks_mut(WORDS).enumerate() {
                let range = part * WORDS..part * WORDS + out.len();
                out.copy_from_slice(&a.limb(i)[range.clone()]);
                work(i, prime.modulus(), range, out);
            }
        });
        out
    }

    /// Sums of products of linear polynomials in s, over the first `q_limbs` limbs, in evaluations: for every row i and column j the
    /// sum over k of (a0 + a1 s)(b0 + b1 s) = d0 + d1 s + d2 s^2, with (a0, a1) = `rows[i][k]` and (b0, b1) = `columns[j][k]`. All rows and columns
    /// have one length. Every operand is read from memory once, whatever the number of rows and columns.
    pub fn dot_many(
        &self,
        q_limbs: usize,
        rows: &[Vec<PolyPair>],
        columns: &[Vec<PolyPair>],
    ) -> Vec<Vec<[RnsPoly; 3]>> {
        let n = self.n();
        let poly = || RnsPoly::dirty(n, q_limbs, 0);
        let mut out: Vec<[RnsPoly; 3]> = (0..rows.len() * columns.len()).map(|_| [poly(), poly(), poly()]).collect();
        // By limb what is to be written.
        let mut limbs: Vec<Vec<kernels::Triple>> = (0..q_limbs).map(|_| Vec::with_capacity(out.len())).collect();
        for [d0, d1, d2] in &mut out {
            let [d0, d1, d2] = [d0, d1, d2].map(|d| d.words_mut().chunks_mut(n));
            for (limb, ((d0, d1), d2)) in limbs.iter_mut().zip(d0.zip(d1).zip(d2)) {
                limb.push([d0, d1, d2]);
            }
        }
        limbs.par_iter_mut().enumerate().for_each(|(i, limb)| {
            kernels::dot_many(self.primes[i].modulus(), &limb_pairs(rows, i), &limb_pairs(columns, i), limb);
        });
        drop(limbs);
        let mut out = out.into_iter();
        rows.iter().map(|_| out.by_ref().take(columns.len()).collect()).collect()
    }

    // ---- transforms and automorphisms --------------------------------------------------------------------------

    /// Coefficients to evaluations.
    pub fn forward(&self, a: &mut RnsPoly) {
        self.for_each_limb(a, |_, prime, limb| prime.forward(limb));
    }

    /// Evaluations to coefficients.
    pub fn inverse(&self, a: &mut RnsPoly) {
        self.for_each_limb(a, |_, prime, limb| prime.inverse(limb));
    }

    /// a(X^g) for odd g, in evaluations.
    pub fn automorphism(&self, a: &RnsPoly, g: usize) -> RnsPoly {
        let permutation = self.permutation(g);
        let mut out = RnsPoly::dirty(a.n(), a.q_limbs(), a.p_limbs());
        self.for_each_limb(&mut out, |i, _, limb| kernels::permute(&permutation, a.limb(i), limb));
        out
    }

    /// a X^power for 0 <= power < 2N, in evaluations. The powers that were asked for are kept.
    pub fn mul_monomial(&self, a: &RnsPoly, power: usize) -> RnsPoly {
        let monomial = cached(&self.monomials, power, || {
            let n = self.n();
            let mut out = RnsPoly::zero(n, self.q_count, 0);
            self.for_each_limb(&mut out, |_, prime, limb| {
                limb[power % n] = if power % (2 * n) < n { 1 } else { prime.modulus().value() - 1 };
                prime.forward(limb);
            });
            out
        });
        self.mul(a, &monomial)
    }

    /// The polynomial with the given signed coefficients, in evaluations.
    pub fn reduce_signed(&self, coefficients: &[i64], q_limbs: usize, p_limbs: usize) -> RnsPoly {
        self.reduce_coefficients(q_limbs, p_limbs, |m, i| m.reduce_signed(coefficients[i]))
    }

    /// The polynomial with the given wide signed coefficients, in evaluations, over `q_limbs` limbs.
    pub fn reduce_signed_wide(&self, coefficients: &[i128], q_limbs: usize) -> RnsPoly {
        self.reduce_coefficients(q_limbs, 0, |m, i| m.reduce_signed_wide(coefficients[i]))
    }

    fn reduce_coefficients(
        &self,
        q_limbs: usize,
        p_limbs: usize,
        residue: impl Fn(&Modulus, usize) -> u64 + Sync,
    ) -> RnsPoly {
        let mut out = RnsPoly::dirty(self.n(), q_limbs, p_limbs);
        self.for_each_limb(&mut out, |_, prime, limb| {
            for (i, x) in limb.iter_mut().enumerate() {
                *x = residue(prime.modulus(), i);
            }
            prime.forward(limb);
        });
        out
    }

    /// The centred coefficients of a polynomial given in evaluations, which must be below half the product of its first
    /// two primes (of its only prime if it has one): limbs above the second are not looked at. What is copied on the way is overwritten.
    pub fn to_signed(&self, a: &RnsPoly) -> Vec<i128> {
        let mut a = a.truncated(a.q_limbs().min(2));
        self.inverse(&mut a);
        let q0 = self.q(0).value();
        let centre = |x: u128, q: u128| if x > q / 2 { x as i128 - q as i128 } else { x as i128 };
        if a.q_limbs() < 2 {
            let values = a.words().iter().map(|&x| centre(x as u128, q0 as u128)).collect();
            a.zeroize();
            return values;
        }
        let m1 = self.q(1);
        let inverse = m1.invert(m1.reduce(q0));
        let product = q0 as u128 * m1.value() as u128;
        let (low, high) = (a.limb(0), a.limb(1));
        let values = low
            .iter()
            .zip(high)
            .map(|(&x0, &x1)| {
                let k = m1.mul(m1.sub(x1, m1.reduce(x0)), inverse);
                centre(x0 as u128 + q0 as u128 * k as u128, product)
            })
            .collect();
        a.zeroize();
        values
    }

    // ---- basis changes -----------------------------------------------------------------------------------------

    /// round(a / q), q the prime of a's last limb: a rescale. In evaluations, of a polynomial over ciphertext primes.
    pub fn rescale(&self, a: &RnsPoly) -> RnsPoly {
        let kept = a.limbs() - 1;
        let span = Span { q_start: kept, q_end: a.q_limbs(), p_count: a.p_limbs() };
        self.divide_round_with(span, a, |m, a, limb, w, _| kernels::sub_mul_constant(m, a, limb, w))
    }

    /// round(a / D), D the product of the last `dropped` limbs' primes (special primes are the last): the division of a
    /// key switch (all special primes) and of a rescale with it. In evaluations.
    pub fn divide_round(&self, a: RnsPoly, dropped: usize) -> RnsPoly {
        self.divide_round_by(&a, dropped, |m, a, limb, w, _| kernels::sub_mul_constant(m, a, limb, w))
    }

    /// round(a / D) + c(X^g), as [`Self::divide_round`]: the end of a rotation.
    pub fn divide_round_add(&self, a: RnsPoly, dropped: usize, c: &RnsPoly, g: usize) -> RnsPoly {
        let permutation = self.permutation(g);
        self.divide_round_by(&a, dropped, |m, a, limb, w, i| {
            kernels::sub_mul_constant_add_permuted(m, a, limb, w, &permutation, c.limb(i));
        })
    }

    fn divide_round_by(&self, a: &RnsPoly, dropped: usize, finish: impl Finish) -> RnsPoly {
        let kept = a.limbs() - dropped;
        debug_assert!(dropped >= a.p_limbs() && kept >= 1);
        self.divide_round_with(Span { q_start: kept, q_end: a.q_limbs(), p_count: a.p_limbs() }, a, finish)
    }

    /// The division by the primes of `span`, a's last. `finish` makes limb i of the result, (a - x) / D, from a's limb and that of x, the
    /// centred representative of a modulo D.
    fn divide_round_with(&self, span: Span, a: &RnsPoly, finish: impl Finish) -> RnsPoly {
        let (n, conversion) = (self.n(), self.conversion(span));
        let (kept, dropped) = a.words().split_at(span.q_start * n);
        let halfway = conversion.halfway(&self.primes, n, dropped);
        let mut out = RnsPoly::dirty(n, span.q_start, 0);
        out.words_mut().par_chunks_mut(TARGETS_TOGETHER * n).enumerate().for_each(|(chunk, limbs)| {
            let targets: Vec<usize> = (0..limbs.len() / n).map(|k| chunk * TARGETS_TOGETHER + k).collect();
            conversion.combine(&self.primes, &halfway, &targets, limbs);
            for (&i, limb) in targets.iter().zip(limbs.chunks_mut(n)) {
                finish(self.q(i), &kept[i * n..(i + 1) * n], limb, conversion.inverse_modulo(i), i);
            }
        });
        out
    }

    /// Number of digits of a polynomial with `q_limbs` limbs: ceil(q_limbs / number of special primes).
    pub fn digit_count(&self, q_limbs: usize) -> usize {
        q_limbs.div_ceil(self.p_count())
    }

    /// Splits a polynomial over ciphertext primes into digits of `p_count` limbs, each raised (centred) to all its
    /// ciphertext primes and the special primes.
    pub fn decompose<'a>(&self, a: &'a RnsPoly) -> Digits<'a> {
        let (n, q_limbs, size) = (self.n(), a.q_limbs(), self.p_count());
        let raised = (0..self.digit_count(q_limbs))
            .into_par_iter()
            .map(|j| {
                let own = j * size..((j + 1) * size).min(q_limbs);
                let conversion = self.conversion(Span { q_start: own.start, q_end: own.end, p_count: 0 });
                let halfway = conversion.halfway(&self.primes, n, &a.words()[own.start * n..own.end * n]);
                let mut out = RnsPoly::dirty(n, q_limbs, size);
                // The limbs before the digit's own and those after it.
                let (before, rest) = out.words_mut().split_at_mut(own.start * n);
                let after = &mut rest[own.len() * n..];
                let chunks = [(0, before), (own.end, after)].map(|(first, limbs)| {
                    limbs
                        .par_chunks_mut(TARGETS_TOGETHER * n)
                        .enumerate()
                        .map(move |(chunk, limbs)| (first + chunk * TARGETS_TOGETHER, limbs))
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

    /// The inner product of a key switch, over the extended basis: sum over digits j of digit_j(X^g) key_j, for both halves
    /// of the key. Keys may have more ciphertext limbs than the digits; the surplus is not read.
    pub fn gather_dot(&self, digits: &Digits, key: &[(RnsPoly, RnsPoly)], g: usize) -> (RnsPoly, RnsPoly) {
        let (n, q_limbs, p_limbs) = (self.n(), digits.source.q_limbs(), self.p_count());
        let permutation = (g != 1).then(|| self.permutation(g));
        let mut out = (RnsPoly::dirty(n, q_limbs, p_limbs), RnsPoly::dirty(n, q_limbs, p_limbs));
        out.0.words_mut().par_chunks_mut(n).zip(out.1.words_mut().par_chunks_mut(n)).enumerate().for_each(
            |(i, (out0, out1))| {
                let digit_limbs = digits.limbs(i);
                let key_limbs: Vec<(&[u64], &[u64])> = key
                    .iter()
                    .map(|(b, a)| {
                        if i < q_limbs {
                            (b.limb(i), a.limb(i))
                        } else {
                            (b.special_limb(i - q_limbs), a.special_limb(i - q_limbs))
                        }
                    })
                    .collect();
                let m = self.limb_modulus(q_limbs, i);
                kernels::gather_dot(m, permutation.as_deref(), &digit_limbs, &key_limbs, out0, out1);
            },
        );
        out
    }

    /// P mod q_i, P the product of the special primes.
    fn special_product(&self, i: usize) -> ShoupConstant {
        let m = self.q(i);
        let product = self.primes[self.q_count..].iter().fold(1, |x, p| m.mul(x, m.reduce(p.modulus().value())));
        m.shoup(product)
    }

    /// target += P source on the ciphertext limbs (P is zero modulo the special primes), P their product.
    pub fn add_special_multiple(&self, target: &mut RnsPoly, source: &RnsPoly) {
        let q_limbs = target.q_limbs();
        self.for_each_limb(target, |i, prime, limb| {
            if i < q_limbs {
                kernels::add_mul_constant(prime.modulus(), limb, source.limb(i), self.special_product(i));
            }
        });
    }

    /// target += P source on the limbs of digit `digit` (of `target`'s ciphertext limbs), unchanged elsewhere: the gadget of a key.
    pub fn add_gadget(&self, target: &mut RnsPoly, source: &RnsPoly, digit: usize) {
        let size = self.p_count();
        let own = digit * size..((digit + 1) * size).min(target.q_limbs());
        self.for_each_limb(target, |i, prime, limb| {
            if own.contains(&i) {
                kernels::add_mul_constant(prime.modulus(), limb, source.limb(i), self.special_product(i));
            }
        });
    }

    // ---- caches ------------------------------------------------------------------------------------------------

    fn conversion(&self, span: Span) -> Arc<Conversion> {
        cached(&self.conversions, span, || {
            let special = self.q_count..self.q_count + span.p_count;
            Conversion::new(&self.primes, (span.q_start..span.q_end).chain(special).collect())
        })
    }

    fn permutation(&self, g: usize) -> Arc<Permutation> {
        cached(&self.permutations, g, || Permutation::new(self.log_n, g))
    }
}

/// Limb `i` of all operands.
fn limb_pairs<'a>(operands: &[Vec<PolyPair<'a>>], i: usize) -> Vec<Vec<kernels::Pair<'a>>> {
    operands.iter().map(|terms| terms.iter().map(|(c0, c1)| [c0.limb(i), c1.limb(i)]).collect()).collect()
}

fn cached<K: Copy + Eq + std::hash::Hash, V>(
    cache: &RwLock<HashMap<K, Arc<V>>>,
    key: K,
    make: impl FnOnce() -> V,
) -> Arc<V> {
    if let Some(found) = cache.read().expect("no code panics while it holds this lock").get(&key) {
        return found.clone();
    }
    let made = Arc::new(make());
    cache.write().expect("no code panics while it holds this lock").entry(key).or_insert(made).clone()
}

#[cfg(test)]
mod tests;
