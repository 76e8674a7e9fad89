//! Kernels that go over one or two limbs, and the automorphism.

use std::arch::x86_64::*;

use super::words::*;
use crate::galois::Permutation;
use crate::modulus::{Modulus, ShoupConstant};

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn add_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    let wide = Wide::new(m);
    for (x, y) in eights_mut(a).iter_mut().zip(eights(b)) {
        store(wide.reduce_once(_mm512_add_epi64(load(x), load(y))), x);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn sub_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    let wide = Wide::new(m);
    for (x, y) in eights_mut(a).iter_mut().zip(eights(b)) {
        // Where a < b the difference wraps, and adding q brings it back; else the sum with q is the larger.
        let difference = _mm512_sub_epi64(load(x), load(y));
        store(_mm512_min_epu64(difference, _mm512_add_epi64(difference, wide.q)), x);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn negate_assign(m: &Modulus, a: &mut [u64]) {
    let wide = Wide::new(m);
    for x in eights_mut(a) {
        store(wide.reduce_once(_mm512_sub_epi64(wide.q, load(x))), x);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn mul_assign(m: &Modulus, a: &mut [u64], b: &[u64]) {
    let folding = Folding::new(m);
    for (x, y) in eights_mut(a).iter_mut().zip(eights(b)) {
        store(folding.few(Sum::zero().add_product(load(x), load(y))), x);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn mul_constant_assign(m: &Modulus, a: &mut [u64], w: ShoupConstant) {
    let (wide, w) = (Wide::new(m), WideConstant::broadcast(w));
    for x in eights_mut(a) {
        store(wide.canonical(wide.mul_constant(load(x), w)), x);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn sub_mul_constant(m: &Modulus, a: &[u64], b: &mut [u64], w: ShoupConstant) {
    let (wide, w) = (Wide::new(m), WideConstant::broadcast(w));
    for (x, y) in eights(a).iter().zip(eights_mut(b)) {
        let difference = _mm512_add_epi64(_mm512_sub_epi64(load(x), load(y)), wide.q);
        store(wide.canonical(wide.mul_constant(difference, w)), y);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn add_mul_constant(m: &Modulus, a: &mut [u64], b: &[u64], w: ShoupConstant) {
    let (wide, w) = (Wide::new(m), WideConstant::broadcast(w));
    for (x, y) in eights_mut(a).iter_mut().zip(eights(b)) {
        store(wide.canonical_of_four(wide.add_mul_constant(load(x), load(y), w)), x);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn permute(permutation: &Permutation, a: &[u64], out: &mut [u64]) {
    let a = eights(a);
    for (out, &source) in eights_mut(out).iter_mut().zip(permutation.sources()) {
        store(permuted(permutation, a, source), out);
    }
}

/// One block of eight of a permuted limb.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn permuted(permutation: &Permutation, a: &[[u64; 8]], source: u32) -> Words {
    let (block, lanes) = permutation.source(source);
    _mm512_permutexvar_epi64(load(lanes), load(&a[block]))
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma,avx512vbmi")]
pub(super) fn unpack(m: &Modulus, limb: &[u8], first: usize, words: &mut [u64]) {
    let unpacking = Unpacking::new(m);
    for (i, out) in eights_mut(words).iter_mut().enumerate() {
        store(unpacking.at(limb, first / 8 + i), out);
    }
}
