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

#[cfg(target_arch = "x86_64")]
#[test]
fn the_avx512_transform_takes_unreduced_words_with_carries_and_scales_on_its_way_back() {
    let Some(backend) = Backend::available().into_iter().find(|backend| matches!(backend, Backend::Ifma(_))) else {
        println!("this processor has no AVX-512: nothing was tested");
        return;
    };
    for (log_n, bits) in (8..=17).flat_map(|log_n| [32, 47, 48, 49, 50].map(|bits| (log_n, bits))) {
        let n = 1usize << log_n;
        let q = ntt_primes(bits, 1, n, &[]).unwrap()[0];
        let m = Modulus::new(q).unwrap();
        let portable = Form::new(Backend::Portable, &m, n);
        let ours = Ntt { modulus: m, form: Form::new(backend, &m, n) };
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11
        };
        let inputs: [Vec<u64>; 4] = [
            vec![4 * q - 1; n],
            (0..n).map(|i| if i % 2 == 0 { 4 * q - 1 } else { 0 }).collect(),
            (0..n).map(|_| if random() % 2 == 0 { 4 * q - 1 } else { 0 }).collect(),
            (0..n).map(|_| random() % (4 * q)).collect(),
        ];
        for input in inputs {
            let reduced: Vec<u64> = input.iter().map(|x| x % q).collect();
            let mut expected = reduced.clone();
            portable.forward(&mut expected);
            let mut values: Vec<u64> = input.iter().map(|x| x | random() << 52).collect();
            ours.forward_unreduced(&mut values);
            assert!(values == expected, "forward, 2^{log_n}, {bits} bits");
            for factor in [1, q / 2, q - 1] {
                let mut expected = reduced.clone();
                portable.inverse(&mut expected);
                expected.iter_mut().for_each(|x| *x = m.mul(*x, factor));
                ours.inverse_scaled(&reduced, &mut values, &ours.scale(factor));
                assert!(values == expected, "inverse, 2^{log_n}, {bits} bits");
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
