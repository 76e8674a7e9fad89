//! Tests of the ring's basis changes against big-integer arithmetic on small cases.

use super::*;
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
fn dividing_by_dropped_primes_rounds_every_coefficient_to_nearest() {
    let ring = ring(4, 2);
    let coefficients = wide_coefficients(118);
    let a = ring.reduce_signed_wide(&coefficients, 4);
    for dropped in 1..=2 {
        let divisor: i128 = (4 - dropped..4).map(|i| ring.q(i).value() as i128).product();
        let quotient = ring.to_signed(&ring.divide_round(a.clone(), dropped));
        for (&x, &found) in coefficients.iter().zip(&quotient) {
            assert!((x - found * divisor).abs() <= divisor / 2 + 1, "{x} / {divisor} = {found}");
        }
        if dropped == 1 {
            assert_eq!(ring.rescale(&a).words(), ring.divide_round(a.clone(), 1).words());
        }
    }
}

#[test]
fn digits_times_the_gadget_give_back_the_polynomial() {
    // A key with a = 0 and no noise, b_j = P s' on digit j: the key switch must return c s' up to rounding.
    for (q_count, p_count) in [(5, 2), (4, 1), (3, 3), (4, 3)] {
        let ring = ring(q_count, p_count);
        let n = ring.n();
        let secret: Vec<i64> = (0..n as i64).map(|i| i % 3 - 1).collect();
        let source = ring.reduce_signed(&secret, q_count, 0);
        let key: Vec<_> = (0..ring.digit_count(q_count))
            .map(|j| {
                let mut b = RnsPoly::zero(n, q_count, p_count);
                ring.add_gadget(&mut b, &source, j);
                (b, RnsPoly::zero(n, q_count, p_count))
            })
            .collect();
        // At the top level and below it, with the same key.
        for q_limbs in 1..=q_count {
            let c = sampler::uniform(&ring, &[3; 32], q_limbs, 0);
            for g in [1, galois::rotation_element(LOG_N, 5)] {
                let (b, _) = ring.gather_dot(&ring.decompose(&c), &key, g);
                let mut difference = ring.divide_round(b, p_count);
                let mut expected = ring.automorphism(&c, g);
                ring.mul_assign(&mut expected, &source);
                ring.sub_assign(&mut difference, &expected);
                let worst = ring.to_signed(&difference).iter().map(|x| x.abs()).max();
                assert!(worst <= Some(1), "limbs {q_limbs} g {g}: {worst:?}");
            }
        }
    }
}

#[test]
fn a_matrix_product_equals_the_sums_of_products() {
    let ring = ring(3, 1);
    let polys: Vec<_> = (0..12u8).map(|i| sampler::uniform(&ring, &[i; 32], 3, 0)).collect();
    let pairs: Vec<PolyPair> = polys.chunks(2).map(|pair| (&pair[0], &pair[1])).collect();
    let (rows, columns) = ([pairs[..2].to_vec(), pairs[2..4].to_vec()], [pairs[4..].to_vec()]);
    let found = ring.dot_many(2, &rows, &columns);
    assert_eq!((found.len(), found[0].len()), (2, 1));
    for (row, found) in rows.iter().zip(&found) {
        let mut expected = [(); 3].map(|_| RnsPoly::zero(ring.n(), 2, 0));
        for (a, b) in row.iter().zip(&columns[0]) {
            for (d, x, y) in [(0, a.0, b.0), (1, a.0, b.1), (1, a.1, b.0), (2, a.1, b.1)] {
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
