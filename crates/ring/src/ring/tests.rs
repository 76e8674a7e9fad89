//! Tests of the ring's basis changes against big-integer arithmetic on small cases.

use super::*;
use crate::PackedPoly;
use crate::galois;
use crate::prime::ntt_primes;
use crate::sampler;

const LOG_N: u32 = 6;

fn ring(q_count: usize, p_count: usize) -> Ring {
    let n = 1 << LOG_N;
    let q = ntt_primes(40, q_count, n, &[]).unwrap();
    let p = ntt_primes(45, p_count, n, &q).unwrap();
    Ring::new(LOG_N, &q, &p).unwrap()
}

fn wide_coefficients(bound_bits: u32) -> Vec<i128> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u128;
    (0..1 << LOG_N)
        .map(|i| {
            state = state.wrapping_mul(0xDA94_2042_E4DD_58B5).wrapping_add(0x1234_5678_9ABC_DEF1);
            let magnitude = (state >> (128 - bound_bits)) as i128;
            if i % 2 == 0 { magnitude } else { -magnitude }
        })
        .collect()
}

#[test]
fn signed_coefficients_survive_the_way_into_residues_and_back() {
    let ring = ring(3, 1);
    let coefficients = wide_coefficients(78);
    assert_eq!(ring.to_signed(&ring.reduce_signed_wide(&coefficients, 3)), coefficients);
    let small: Vec<i128> = coefficients.iter().map(|x| x >> 42).collect();
    assert_eq!(ring.to_signed(&ring.reduce_signed_wide(&small, 1)), small);
}

#[test]
fn a_rescale_rounds_every_coefficient_to_nearest() {
    let ring = ring(3, 1);
    let coefficients = wide_coefficients(100);
    let divisor = ring.q(2).value() as i128;
    let quotient = ring.to_signed(&ring.rescale(&ring.reduce_signed_wide(&coefficients, 3)));
    for (&x, &found) in coefficients.iter().zip(&quotient) {
        assert!((x - found * divisor).abs() <= divisor / 2 + 1, "{x} / {divisor} = {found}");
    }
}

/// A key with a = 0 and no noise, b_j = P s' on digit j: what it switches comes out multiplied with s', up to rounding.
fn transparent_key(ring: &Ring, source: &RnsPoly) -> Vec<(PackedPoly, PackedPoly)> {
    let zero = || RnsPoly::zero(ring.n(), ring.q_count(), ring.p_count());
    (0..ring.digit_count(ring.q_count()))
        .map(|j| {
            let mut b = zero();
            ring.add_gadget(&mut b, source, j);
            (ring.pack(&b), ring.pack(&zero()))
        })
        .collect()
}

/// The largest coefficient of a difference.
fn distance(ring: &Ring, a: &RnsPoly, b: &RnsPoly) -> i128 {
    ring.to_signed(&ring.sub(a, b)).into_iter().map(i128::abs).max().unwrap_or(0)
}

#[test]
fn a_key_switch_multiplies_with_the_keys_secret() {
    for (q_count, p_count) in [(5, 2), (4, 1), (3, 3), (4, 3)] {
        let ring = ring(q_count, p_count);
        let secret: Vec<i64> = (0..ring.n() as i64).map(|i| i % 3 - 1).collect();
        let source = ring.reduce_signed(&secret, q_count, 0);
        let key = transparent_key(&ring, &source);
        // At the top level and below it, with the same key.
        for q_limbs in 1..=q_count {
            let c = sampler::uniform(&ring, &[3; 32], q_limbs, 0);
            for element in [1, galois::rotation_element(LOG_N, 5)] {
                let digits = ring.decompose(&c);
                let [found, other] = ring.switch(&[Switch { digits: &digits, key: &key, element }], [&[], &[]], 0);
                let expected = ring.mul(&ring.automorphism(&c, element), &source);
                let worst = distance(&ring, &found, &expected);
                assert!(worst <= 1, "limbs {q_limbs} element {element}: {worst}");
                assert!(other.words().iter().all(|&word| word == 0));
            }
        }
    }
}

#[test]
fn a_sum_of_key_switches_is_divided_once_and_rescaled_with_what_is_added() {
    // Rings that are too small for the AVX-512 transform, and others; primes below and above 2^48; digits that divide
    // the limbs or do not.
    for (log_n, (q_bits, p_bits)) in
        [4, LOG_N, 8, 10].into_iter().flat_map(|n| [(40, 45), (48, 50), (50, 50)].map(|bits| (n, bits)))
    {
        for (q_count, p_count) in [(5, 2), (6, 3), (4, 5), (14, 1)] {
            let n = 1 << log_n;
            let q = ntt_primes(q_bits, q_count, n, &[]).unwrap();
            let ring = Ring::new(log_n, &q, &ntt_primes(p_bits, p_count, n, &q).unwrap()).unwrap();
            let source = ring.reduce_signed(&(0..n as i64).map(|i| i % 3 - 1).collect::<Vec<_>>(), q_count, 0);
            let halves = || transparent_key(&ring, &source).into_iter().map(|(b, _)| b);
            let key: Vec<_> = halves().zip(halves()).collect();
            for q_limbs in [q_count, q_count - 1, 3] {
                let polys: Vec<_> = (0..4u8).map(|i| sampler::uniform(&ring, &[i; 32], q_limbs, 0)).collect();
                let (first, second) = (ring.decompose(&polys[0]), ring.decompose(&polys[1]));
                let g = galois::rotation_element(log_n, -3);
                let switches = [
                    Switch { digits: &first, key: &key, element: 1 },
                    Switch { digits: &second, key: &key, element: g },
                ];
                let mut expected = ring.mul(&polys[0], &source);
                ring.add_assign(&mut expected, &ring.mul(&ring.automorphism(&polys[1], g), &source));
                let mut with_added = ring.add(&expected, &polys[2]);
                ring.add_assign(&mut with_added, &ring.automorphism(&polys[3], g));
                for rescale in 0..3 {
                    let added = [&[(&polys[2], 1), (&polys[3], g)][..], &[]];
                    let halves = ring.switch(&switches, added, rescale);
                    for (found, expected) in halves.iter().zip([&with_added, &expected]) {
                        let rescaled = (0..rescale).fold(expected.clone(), |x, _| ring.rescale(&x));
                        let worst = distance(&ring, found, &rescaled);
                        assert!(
                            worst <= 2,
                            "2^{log_n}, {q_bits} bits, {q_limbs} limbs + {p_count}, {rescale}: {worst}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_matrix_product_equals_the_sums_of_products() {
    let ring = ring(3, 1);
    let polys: Vec<_> = (0..12u8).map(|i| sampler::uniform(&ring, &[i; 32], 3, 0)).collect();
    let (pairs, _) = polys.as_chunks::<2>();
    // One row of words, one of packed polynomials.
    let packed: Vec<_> = pairs[2..4].iter().map(|pair| pair.each_ref().map(|half| ring.pack(half))).collect();
    let words: Vec<FactorPair> = pairs.iter().map(|pair| pair.each_ref().map(Factor::Words)).collect();
    let rows = [words[..2].to_vec(), packed.iter().map(|pair| pair.each_ref().map(Factor::Packed)).collect()];
    let found = ring.dot_many(2, &rows, &[words[4..].to_vec()]);
    assert_eq!((found.len(), found[0].len()), (2, 1));
    for (row, found) in [&pairs[..2], &pairs[2..4]].iter().zip(&found) {
        let mut expected = [(); 3].map(|_| RnsPoly::zero(ring.n(), 2, 0));
        for (a, b) in row.iter().zip(&pairs[4..]) {
            for (d, x, y) in [(0, &a[0], &b[0]), (1, &a[0], &b[1]), (1, &a[1], &b[0]), (2, &a[1], &b[1])] {
                let mut product = x.truncated(2);
                ring.mul_assign(&mut product, y);
                ring.add_assign(&mut expected[d], &product);
            }
        }
        for (found, expected) in found[0].iter().zip(&expected) {
            assert_eq!(found.words(), expected.words());
        }
    }
}

#[test]
fn a_monomial_multiplies_by_a_power_of_x() {
    let ring = ring(2, 1);
    let n = ring.n();
    let coefficients: Vec<i128> = (1..=n as i128).collect();
    for power in [0, 1, n / 2, n, 2 * n - 1] {
        let product = ring.mul_monomial(&ring.reduce_signed_wide(&coefficients, 2), power);
        let mut expected = vec![0; n];
        for (i, &x) in coefficients.iter().enumerate() {
            let to = (i + power) % (2 * n);
            expected[to % n] = if to < n { x } else { -x };
        }
        assert_eq!(ring.to_signed(&product), expected);
    }
}

#[test]
fn a_ring_refuses_repeated_primes_and_unsupported_dimensions() {
    let q = ntt_primes(40, 2, 64, &[]).unwrap();
    assert!(matches!(Ring::new(6, &q, &q[..1]), Err(Error::RepeatedPrime(_))));
    assert!(matches!(Ring::new(3, &q, &[]), Err(Error::Dimension(3))));
    assert!(matches!(Ring::new(18, &q, &[]), Err(Error::Dimension(18))));
}
