//! Runs every kernel that training time depends on, each in a function of its own that `.ci/instructions` counts the
//! instructions of.
//!
//! One thread, N = 2^14, primes of 48 bits and special primes of 50: the ring of two iterations on 128 rows of 400
//! features. Transforms are of one limb; what follows them is of all limbs. Every case runs twice, because the first
//! time also allocates.

use std::hint::black_box;

use ciphertune_ring::{Digits, Factor, FactorPair, Ntt, PackedPoly, Ring, RnsPoly, Switch, prime::ntt_primes, sampler};

const LOG_N: u32 = 14;
const Q_LIMBS: usize = 6;
const SPECIAL: usize = 2;
/// An automorphism other than the identity.
const ELEMENT: usize = 5;

#[inline(never)]
fn count_forward(ntt: &Ntt, limb: &mut [u64]) {
    ntt.forward(black_box(limb));
}

#[inline(never)]
fn count_inverse(ntt: &Ntt, limb: &mut [u64]) {
    ntt.inverse(black_box(limb));
}

#[inline(never)]
fn count_multiply(ring: &Ring, a: &mut RnsPoly, b: &RnsPoly) {
    ring.mul_assign(black_box(a), b);
}

#[inline(never)]
fn count_decompose<'a>(ring: &Ring, a: &'a RnsPoly) -> Digits<'a> {
    ring.decompose(black_box(a))
}

#[inline(never)]
fn count_switch(ring: &Ring, digits: &Digits, key: &[(PackedPoly, PackedPoly)], c: &RnsPoly) -> [RnsPoly; 2] {
    ring.switch(black_box(&[Switch { digits, key, element: ELEMENT }]), [&[(c, ELEMENT)], &[]], 0)
}

#[inline(never)]
fn count_rescale(ring: &Ring, a: &RnsPoly) -> RnsPoly {
    ring.rescale(black_box(a))
}

#[inline(never)]
fn count_matrix_product(ring: &Ring, rows: &[Vec<FactorPair>], columns: &[Vec<FactorPair>]) {
    black_box(ring.dot_many(Q_LIMBS, black_box(rows), columns));
}

#[inline(never)]
fn count_uniform(ring: &Ring) -> RnsPoly {
    sampler::uniform(ring, black_box(&[7; 32]), Q_LIMBS, 0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // This thread does all the work, so that callgrind sees it as called from here.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let n = 1usize << LOG_N;
    let p = ntt_primes(50, SPECIAL, n, &[])?;
    let q = ntt_primes(48, Q_LIMBS, n, &p)?;
    let ring = Ring::new(LOG_N, &q, &p)?;
    let ntt = Ntt::new(n, q[0])?;
    let poly = |seed: u8, p_limbs: usize| sampler::uniform(&ring, &[seed; 32], Q_LIMBS, p_limbs);
    let (mut a, b) = (poly(1, 0), poly(2, 0));
    let half = |seed: u8| ring.pack(&poly(seed, SPECIAL));
    let key: Vec<(PackedPoly, PackedPoly)> =
        (0..ring.digit_count(Q_LIMBS) as u8).map(|j| (half(3 + 2 * j), half(4 + 2 * j))).collect();
    let mut limb = a.limb(0).to_vec();
    let operands: Vec<RnsPoly> = (20..36).map(|seed| poly(seed, 0)).collect();
    // Data, which are packed, with weights.
    let packed: Vec<PackedPoly> = operands[..8].iter().map(|operand| ring.pack(operand)).collect();
    let data: Vec<FactorPair> =
        packed.as_chunks().0.iter().map(|pair: &[_; 2]| pair.each_ref().map(Factor::Packed)).collect();
    let weights: Vec<FactorPair> =
        operands[8..].as_chunks().0.iter().map(|pair: &[_; 2]| pair.each_ref().map(Factor::Words)).collect();
    let (rows, columns) = (vec![data; 4], vec![weights; 2]);
    for _ in 0..2 {
        count_forward(&ntt, &mut limb);
        count_inverse(&ntt, &mut limb);
        count_multiply(&ring, &mut a, &b);
        let digits = count_decompose(&ring, &b);
        black_box(count_switch(&ring, &digits, &key, &a));
        black_box(count_rescale(&ring, &b));
        count_matrix_product(&ring, &rows, &columns);
        black_box(count_uniform(&ring));
    }
    println!("{}", ciphertune_ring::kernels::backend_name());
    Ok(())
}
