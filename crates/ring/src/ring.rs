//! The ring Z[X]/(X^N + 1) modulo ciphertext primes q_0..q_L and special primes p_0..p_k, and the operations on its
//! polynomials that RNS schemes are built of. Nothing here knows of encryption.

mod key_switch;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, RwLock};

use rayon::prelude::*;

use crate::conversion::{Conversion, TARGETS_TOGETHER};
use crate::galois::Permutation;
use crate::{Error, Modulus, Ntt, PackedPoly, Result, RnsPoly, kernels};

pub use key_switch::{Automorphic, Digits, Switch};

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

/// A polynomial to multiply with, in evaluations.
#[derive(Clone, Copy)]
pub enum Factor<'a> {
    /// As words.
    Words(&'a RnsPoly),
    /// Bit-packed.
    Packed(&'a PackedPoly),
}

impl<'a> Factor<'a> {
    fn limb(self, i: usize) -> kernels::Limb<'a> {
        match self {
            Self::Words(poly) => kernels::Limb::Words(poly.limb(i)),
            Self::Packed(poly) => kernels::Limb::Packed(poly.limb(i)),
        }
    }
}

/// The polynomials c0 and c1 of c0 + c1 s.
pub type FactorPair<'a> = [Factor<'a>; 2];

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

    /// Sums of products of linear polynomials in s, over the first `q_limbs` limbs, in evaluations: for every row i and
    /// column j the sum over k of (a0 + a1 s)(b0 + b1 s) = d0 + d1 s + d2 s^2, with (a0, a1) = `rows[i][k]` and (b0,
    /// b1) = `columns[j][k]`. All rows and columns have one length. Every operand is read from memory once, whatever
    /// the number of rows and columns.
    ///
    /// # Panics
    ///
    /// If lengths differ, or are zero.
    pub fn dot_many(
        &self,
        q_limbs: usize,
        rows: &[Vec<FactorPair>],
        columns: &[Vec<FactorPair>],
    ) -> Vec<Vec<[RnsPoly; 3]>> {
        let n = self.n();
        let poly = || RnsPoly::dirty(n, q_limbs, 0);
        let mut out: Vec<[RnsPoly; 3]> = (0..rows.len() * columns.len()).map(|_| [poly(), poly(), poly()]).collect();
        // By part of a limb what is to be written.
        let part = part_of(n, q_limbs, rayon::current_num_threads());
        let in_limb = n / part;
        let mut parts: Vec<Vec<kernels::Triple>> =
            (0..q_limbs * in_limb).map(|_| Vec::with_capacity(out.len())).collect();
        for [d0, d1, d2] in &mut out {
            let [d0, d1, d2] = [d0, d1, d2].map(|d| d.words_mut().chunks_mut(part));
            for (part, ((d0, d1), d2)) in parts.iter_mut().zip(d0.zip(d1).zip(d2)) {
                part.push([d0, d1, d2]);
            }
        }
        parts.par_iter_mut().enumerate().for_each(|(k, out)| {
            let (i, first) = (k / in_limb, k % in_limb * part);
            let (rows, columns) = (limb_pairs(rows, i), limb_pairs(columns, i));
            kernels::matrix_product(self.primes[i].modulus(), &rows, &columns, first, out);
        });
        drop(parts);
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
    /// two primes (of its only prime if it has one): limbs above the second are not looked at. What is copied on the
    /// way is overwritten.
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
        let (n, kept) = (self.n(), a.q_limbs() - 1);
        let conversion = self.conversion(Span { q_start: kept, q_end: kept + 1, p_count: 0 });
        let halfway = conversion.halfway_from(&self.primes, n, a.limb(kept));
        let mut out = RnsPoly::dirty(n, kept, 0);
        out.words_mut().par_chunks_mut(TARGETS_TOGETHER * n).enumerate().for_each(|(chunk, limbs)| {
            let targets: Vec<usize> = (0..limbs.len() / n).map(|k| chunk * TARGETS_TOGETHER + k).collect();
            conversion.combine(&self.primes, &halfway, &targets, limbs);
            for (&i, limb) in targets.iter().zip(limbs.chunks_mut(n)) {
                kernels::sub_mul_constant(self.q(i), a.limb(i), limb, conversion.inverse_modulo(i));
            }
        });
        out
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

/// Parts of a matrix product a thread, so that no thread is idle while others do the last ones.
const PARTS_A_THREAD: usize = 8;

/// Words of a limb that are multiplied at a time: a power of two, as few as some parts a thread take, or a few tiles.
fn part_of(n: usize, limbs: usize, threads: usize) -> usize {
    let parts = if threads == 1 { 1 } else { (PARTS_A_THREAD * threads).div_ceil(limbs).next_power_of_two() };
    (n / parts).max(4 * kernels::TILE).min(n)
}

/// Limb `i` of all operands.
fn limb_pairs<'a>(operands: &[Vec<FactorPair<'a>>], i: usize) -> Vec<Vec<kernels::Pair<'a>>> {
    operands.iter().map(|terms| terms.iter().map(|pair| pair.map(|factor| factor.limb(i))).collect()).collect()
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
