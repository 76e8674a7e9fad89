//! The transform against its definition, and every form of it against the portable one.

use super::*;
use crate::prime::ntt_primes;

fn transform(log_n: u32) -> (usize, Ntt) {
    let n = 1 << log_n;
    (n, Ntt::new(n, ntt_primes(49, 1, n, &[]).unwrap()[0]).unwrap())
}

#[test]
fn evaluation_i_is_at_the_root_with_exponent_twice_the_reversed_index_plus_one() {
    for log_n in [4, 5, 8, 13] {
        let (n, ntt) = transform(log_n);
        let mut x = vec![0; n];
        x[1] = 1;
        ntt.forward(&mut x);
        let psi = x[0];
        for (i, &value) in x.iter().enumerate() {
            let exponent = 2 * (i.reverse_bits() >> (usize::BITS - log_n)) + 1;
            assert_eq!(value, ntt.modulus().pow(psi, exponent as u64));
        }
    }
}

#[test]
fn all_forms_of_the_transform_agree_bit_for_bit() {
    for log_n in 4..=16 {
        let n = 1usize << log_n;
        for bits in [32, 48, 49, 50] {
            let q = ntt_primes(bits, 1, n, &[]).unwrap()[0];
            let m = Modulus::new(q).unwrap();
            let portable = Form::new(Backend::Portable, &m, n);
            // Random, all at the largest residue, and alternating extremes, which make the largest intermediates.
            let random = (0..n as u64).map(|i| m.reduce((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2)).collect();
            let inputs: [Vec<u64>; 4] = [
                random,
                vec![q - 1; n],
                vec![q / 2; n],
                (0..n as u64).map(|i| if i % 3 == 0 { 0 } else { q - 1 }).collect(),
            ];
            for input in inputs {
                let (mut evaluations, mut coefficients) = (input.clone(), input.clone());
                portable.forward(&mut evaluations);
                portable.inverse(&mut coefficients);
                let mut back = evaluations.clone();
                portable.inverse(&mut back);
                assert_eq!(back, input, "portable, 2^{log_n}, {bits} bits");
                for backend in Backend::available() {
                    let form = Form::new(backend, &m, n);
                    let what = format!("{}, 2^{log_n}, {bits} bits", backend.name());
                    let mut ours = input.clone();
                    form.forward(&mut ours);
                    assert!(ours == evaluations, "forward, {what}");
                    ours.copy_from_slice(&input);
                    form.inverse(&mut ours);
                    assert!(ours == coefficients, "inverse, {what}");
                }
            }
        }
    }
}

#[test]
fn a_product_of_transforms_is_the_negacyclic_product() {
    let (n, ntt) = transform(6);
    let m = *ntt.modulus();
    let a: Vec<u64> = (0..n as u64).map(|i| m.reduce(i * i * 987_654_321 + 5)).collect();
    let b: Vec<u64> = (0..n as u64).map(|i| m.reduce((i + 3) * 1_234_567_891_011)).collect();
    let mut expected = vec![0; n];
    for i in 0..n {
        for j in 0..n {
            let product = m.mul(a[i], b[j]);
            let slot = &mut expected[(i + j) % n];
            *slot = if i + j < n { m.add(*slot, product) } else { m.sub(*slot, product) };
        }
    }
    let (mut fa, mut fb) = (a, b);
    ntt.forward(&mut fa);
    ntt.forward(&mut fb);
    let mut c: Vec<u64> = fa.iter().zip(&fb).map(|(&x, &y)| m.mul(x, y)).collect();
    ntt.inverse(&mut c);
    assert_eq!(c, expected);
}

#[test]
fn a_modulus_that_has_no_transform_is_refused() {
    for q in [15, 97, (1 << 50) - 27, 1 << 40] {
        assert!(matches!(Ntt::new(1 << 10, q), Err(Error::Modulus { .. })), "{q}");
    }
}
