//! Every operation of the evaluator against complex arithmetic, with its error bounded in bits and by the noise model.
//!
//! One table of parameters times all test functions: a toy ring, a ring where digits do not divide the limbs evenly,
//! and a secure ring.

use ciphertune_ckks::circuits::polynomial;
use ciphertune_ckks::noise::NoiseModel;
use ciphertune_ckks::*;

const LEVEL_BITS: u32 = 40;

struct Fixture {
    name: &'static str,
    parameters: Parameters,
    owner: SecretKey,
    encoder: Encoder,
    server: Evaluator,
    noise: NoiseModel,
    scale: f64,
}

const ROTATIONS: [isize; 4] = [1, -3, 8, 100];

fn fixtures() -> Vec<Fixture> {
    let toy = |log_n, levels, special| ParametersLiteral::choose(log_n, 50, LEVEL_BITS, levels, special).unwrap();
    let build = |name, literal: ParametersLiteral, secure: bool| {
        let noise = NoiseModel::new(&literal);
        let parameters =
            if secure { Parameters::new(literal) } else { Parameters::new_insecure_for_tests(literal) }.unwrap();
        let log_n = parameters.ring().log_n();
        let top = parameters.max_level();
        let owner = SecretKey::generate(&parameters).unwrap();
        let mut set = KeySet::default();
        set.need_relinearization(top);
        set.need_galois(galois::conjugation_element(log_n), top);
        for k in ROTATIONS {
            set.need_galois(galois::rotation_element(log_n, k), top);
        }
        let server = Evaluator::new(EvaluationKeys::generate(&parameters, &owner, &set).unwrap());
        Fixture {
            name,
            parameters,
            owner,
            encoder: Encoder::new(log_n),
            server,
            noise,
            scale: f64::from(LEVEL_BITS).exp2(),
        }
    };
    vec![
        build("toy, 2 special primes", toy(10, 5, 2), false),
        build("toy, 4 limbs in digits of 3", toy(9, 3, 3), false),
        build("secure, N = 2^14", toy(14, 5, 2), true),
    ]
}

impl Fixture {
    fn values(&self, seed: f64) -> Vec<Complex64> {
        (0..self.encoder.slots())
            .map(|i| Complex64::new((i as f64 * 0.37 + seed).sin(), (i as f64 * 0.73 - seed).cos()) * 0.7)
            .collect()
    }

    fn encrypt(&self, values: &[Complex64], level: usize) -> Ciphertext {
        let message = self.encoder.encode(values, self.scale).unwrap();
        encrypt(&self.parameters, &self.owner, &message, level, self.scale).unwrap().expand(self.parameters.ring())
    }

    fn decrypt(&self, a: &Ciphertext) -> Vec<Complex64> {
        decrypt(&self.parameters, &self.owner, &self.encoder, a)
    }

    /// Checks the error of `result` against a predicted variance (of the slot's integer) and an absolute bound in bits.
    fn check(&self, what: &str, result: &Ciphertext, expected: &[Complex64], variance: f64, bits: f64) {
        let found = self.decrypt(result);
        let errors: Vec<f64> = found.iter().zip(expected).map(|(x, y)| (x - y).norm()).collect();
        let deviation = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
        let predicted = variance.sqrt() / result.scale();
        let worst = errors.iter().copied().fold(0.0, f64::max);
        let context = format!(
            "{} on {}: deviation 2^{:.2}, predicted 2^{:.2}, worst 2^{:.2}",
            what,
            self.name,
            deviation.log2(),
            predicted.log2(),
            worst.log2()
        );
        assert!(deviation < 1.5 * predicted, "{context}");
        // A prediction that is far too large would reserve bits for nothing.
        assert!(deviation > predicted / 4.0, "{context}");
        assert!(worst.log2() < -bits, "{context}");
    }
}

fn zip(a: &[Complex64], b: &[Complex64], f: impl Fn(Complex64, Complex64) -> Complex64) -> Vec<Complex64> {
    a.iter().zip(b).map(|(&x, &y)| f(x, y)).collect()
}

fn rotated(a: &[Complex64], k: isize) -> Vec<Complex64> {
    let n = a.len() as isize;
    (0..n).map(|s| a[(s + k).rem_euclid(n) as usize]).collect()
}

#[test]
fn a_fresh_ciphertext_decrypts_to_its_values_at_every_level() {
    for f in fixtures() {
        let a = f.values(0.1);
        for level in 0..=f.parameters.max_level() {
            f.check("encryption", &f.encrypt(&a, level), &a, f.noise.fresh(), 27.0);
        }
    }
}

#[test]
fn sums_differences_and_negatives_add_the_errors_of_their_operands() {
    for f in fixtures() {
        let (a, b) = (f.values(0.1), f.values(2.0));
        let (x, y) = (f.encrypt(&a, 2), f.encrypt(&b, 2));
        f.check("add", &f.server.add(&x, &y).unwrap(), &zip(&a, &b, |p, q| p + q), 2.0 * f.noise.fresh(), 27.0);
        f.check("sub", &f.server.sub(&x, &y).unwrap(), &zip(&a, &b, |p, q| p - q), 2.0 * f.noise.fresh(), 27.0);
        f.check("negate", &f.server.negate(&x), &zip(&a, &b, |p, _| -p), f.noise.fresh(), 27.0);
    }
}

#[test]
fn rotations_and_conjugation_move_slots_and_cost_one_key_switch_of_noise() {
    for f in fixtures() {
        for level in [f.parameters.max_level(), 1] {
            let a = f.values(0.4);
            let x = f.encrypt(&a, level);
            let variance = f.noise.fresh() + f.noise.key_switch(level);
            let hoisted = f.server.rotate_hoisted(&x, &ROTATIONS).unwrap();
            for (k, together) in ROTATIONS.into_iter().zip(hoisted) {
                f.check("rotate", &f.server.rotate(&x, k).unwrap(), &rotated(&a, k), variance, 25.0);
                f.check("hoisted rotate", &together, &rotated(&a, k), variance, 25.0);
            }
            let conjugated: Vec<_> = a.iter().map(|v| v.conj()).collect();
            f.check("conjugate", &f.server.conjugate(&x).unwrap(), &conjugated, variance, 25.0);
        }
    }
}

#[test]
fn a_product_is_relinearised_and_rescaled_in_one_division_or_two() {
    for f in fixtures() {
        let (a, b) = (f.values(0.1), f.values(1.0));
        for level in 1..=f.parameters.max_level() {
            let (x, y) = (f.encrypt(&a, level), f.encrypt(&b, level));
            let product = f.server.dot(&[(&x, &y)]).unwrap();
            let expected = zip(&a, &b, |p, q| p * q);
            // |a|^2 is 0.49 on average; the errors of both factors are carried by the other.
            let carried = 2.0 * 0.49 * f.noise.fresh() * f.scale * f.scale;
            let prime = f.server.prime(level);
            let after = |variance: f64| variance / (prime * prime) + f.noise.rounding();
            let merged = f.server.relinearize_rescale(&product).unwrap();
            f.check("multiply, merged", &merged, &expected, after(carried), 24.0);
            let relinearized = f.server.relinearize(&product).unwrap();
            let separate = f.server.rescale(&relinearized).unwrap();
            f.check("multiply, separate", &separate, &expected, after(carried + f.noise.key_switch(level)), 24.0);
            assert_eq!(merged.level(), level - 1);
        }
    }
}

#[test]
fn a_product_and_a_turned_ciphertext_are_added_as_one_by_one() {
    for f in fixtures() {
        let (a, b, c) = (f.values(0.1), f.values(2.0), f.values(3.0));
        let level = f.parameters.max_level();
        let product = f.server.dot(&[(&f.encrypt(&a, level), &f.encrypt(&b, level))]).unwrap();
        let other = f.server.relinearize(&f.server.dot(&[(&f.encrypt(&c, level), &f.encrypt(&a, level))]).unwrap());
        let other = other.unwrap();
        for k in [0, 1, -3] {
            let turned = rotated(&zip(&c, &a, |p, q| p * q), k);
            let expected = zip(&zip(&a, &b, |p, q| p * q), &turned, |p, q| p + q);
            for rescale in [false, true] {
                let before = f.server.counts().key_switches;
                let sum = f.server.relinearize_add_rotated(&product, &other, k, rescale).unwrap();
                assert_eq!(f.server.counts().key_switches - before, if k == 0 { 1 } else { 2 });
                assert_eq!(sum.level(), level - usize::from(rescale));
                let unit = if rescale { f.server.prime(level) } else { 1.0 };
                assert!((sum.scale() * unit / product.scale() - 1.0).abs() < 1e-12);
                // Two products of fresh operands of size 0.7, and three key switches, then the rounding of the rescale.
                let carried = 4.0 * 0.49 * f.noise.fresh() * f.scale * f.scale + 3.0 * f.noise.key_switch(level);
                let variance = carried / (unit * unit) + if rescale { f.noise.rounding() } else { 0.0 };
                f.check("product plus turned", &sum, &expected, variance, 24.0);
            }
        }
        let lower = f.server.drop_to(&other, level - 1).unwrap();
        assert!(matches!(f.server.relinearize_add_rotated(&product, &lower, 1, false), Err(Error::LevelMismatch(..))));
        let other = f.server.with_scale(&other, 1.5 * other.scale());
        assert!(matches!(f.server.relinearize_add_rotated(&product, &other, 1, false), Err(Error::ScaleMismatch(..))));
    }
}

#[test]
fn a_dot_product_of_many_pairs_at_mixed_levels_is_taken_at_the_lowest() {
    for f in fixtures() {
        let count = 20;
        let left: Vec<_> = (0..count).map(|k| f.values(k as f64)).collect();
        let right: Vec<_> = (0..count).map(|k| f.values(0.5 - k as f64)).collect();
        let x: Vec<_> = left.iter().enumerate().map(|(k, v)| f.encrypt(v, 2 + k % 2)).collect();
        let y: Vec<_> = right.iter().map(|v| f.encrypt(v, 2)).collect();
        let pairs: Vec<_> = x.iter().zip(&y).collect();
        let product = f.server.dot(&pairs).unwrap();
        assert_eq!(product.level(), 2);
        let expected: Vec<Complex64> =
            (0..f.encoder.slots()).map(|s| (0..count).map(|k| left[k][s] * right[k][s]).sum()).collect();
        let prime = f.server.prime(2);
        let carried = count as f64 * 2.0 * 0.49 * f.noise.fresh() * f.scale * f.scale;
        let variance = carried / (prime * prime) + f.noise.rounding();
        f.check("dot", &f.server.relinearize_rescale(&product).unwrap(), &expected, variance, 23.0);
    }
}

#[test]
fn a_matrix_product_of_ciphertexts_has_the_dot_product_of_every_row_and_column() {
    for f in fixtures() {
        let matrix = |count: usize, seed: f64| -> Vec<Vec<Vec<Complex64>>> {
            (0..count).map(|i| (0..5).map(|k| f.values(seed + (5 * i + k) as f64)).collect()).collect()
        };
        let (left, right) = (matrix(3, 0.1), matrix(2, -4.0));
        let encrypted = |values: &[Vec<Vec<Complex64>>], level: usize| -> Vec<Vec<Ciphertext>> {
            values.iter().map(|row| row.iter().map(|v| f.encrypt(v, level)).collect()).collect()
        };
        let (x, y) = (encrypted(&left, 3), encrypted(&right, 2));
        let rows: Vec<Vec<&Ciphertext>> = x.iter().map(|row| row.iter().collect()).collect();
        let columns: Vec<Vec<&Ciphertext>> = y.iter().map(|column| column.iter().collect()).collect();
        let before = f.server.counts();
        let products = f.server.dot_many(&rows, &columns).unwrap();
        assert_eq!(f.server.counts().products - before.products, 3 * 2 * 5);
        let prime = f.server.prime(2);
        let carried = 5.0 * 2.0 * 0.49 * f.noise.fresh() * f.scale * f.scale;
        let variance = carried / (prime * prime) + f.noise.rounding();
        for (i, row) in products.iter().enumerate() {
            for (j, product) in row.iter().enumerate() {
                let expected: Vec<Complex64> =
                    (0..f.encoder.slots()).map(|s| (0..5).map(|k| left[i][k][s] * right[j][k][s]).sum()).collect();
                assert_eq!(product.level(), 2);
                f.check("matrix", &f.server.relinearize_rescale(product).unwrap(), &expected, variance, 23.0);
            }
        }
        let uneven = f.server.dot_many(&rows, &[columns[0][..4].to_vec()]);
        assert!(matches!(uneven, Err(Error::Length { found: 4, expected: 5 })));
    }
}

#[test]
fn plaintexts_scalars_and_monomials_multiply_as_they_should() {
    for f in fixtures() {
        let (a, mask) = (f.values(0.1), f.values(5.0));
        let x = f.encrypt(&a, 2);
        let prime = f.server.prime(2);
        let after = |carried: f64| carried / (prime * prime) + f.noise.rounding();
        let masked = f.server.mul_plain(&x, &mask, f.scale).unwrap();
        let carried = 0.49 * (f.noise.fresh() + f.noise.encoding()) * f.scale * f.scale;
        f.check(
            "multiply by a plaintext",
            &f.server.rescale(&masked).unwrap(),
            &zip(&a, &mask, |p, q| p * q),
            after(carried),
            25.0,
        );
        let third = f.server.mul_scalar_to(&x, -1.0 / 3.0, 1, f.scale).unwrap();
        assert!((third.scale() / f.scale - 1.0).abs() < 1e-12);
        f.check(
            "multiply by a scalar",
            &third,
            &zip(&a, &a, |p, _| p / -3.0),
            after(f.noise.fresh() / 9.0 * prime * prime),
            25.0,
        );
        let i = Complex64::I;
        f.check("multiply by i", &f.server.mul_i(&x), &zip(&a, &a, |p, _| p * i), f.noise.fresh(), 27.0);
        f.check(
            "add a scalar",
            &f.server.add_scalar(&x, -2.5).unwrap(),
            &zip(&a, &a, |p, _| p - 2.5),
            f.noise.fresh(),
            27.0,
        );
        let halved = f.server.with_scale(&x, 2.0 * x.scale());
        f.check("relabelled scale", &halved, &zip(&a, &a, |p, _| p / 2.0), f.noise.fresh(), 27.0);
        let dropped = f.server.drop_to(&x, 0).unwrap();
        f.check("dropped level", &dropped, &a, f.noise.fresh(), 27.0);
    }
}

#[test]
fn a_fold_sums_all_rotations_by_multiples_of_its_step() {
    for f in fixtures() {
        let a = f.values(0.2);
        let x = f.encrypt(&a, 1);
        // Rotations by 8 only: a fold over two.
        let folded = f.server.fold(&x, 8, 2).unwrap();
        let variance = 2.0 * f.noise.fresh() + f.noise.key_switch(1);
        f.check("fold", &folded, &zip(&a, &rotated(&a, 8), |p, q| p + q), variance, 25.0);
    }
}

#[test]
fn a_polynomial_is_evaluated_at_the_promised_level_and_scale_to_twenty_bits() {
    let f = &fixtures()[0];
    let a: Vec<Complex64> = f.values(0.3).iter().map(|v| Complex64::from(v.re * 1.4)).collect();
    let x = f.encrypt(&a, f.parameters.max_level());
    let cases: [&[f64]; 7] = [
        &[0.5, 0.197, 0.0, -0.004],
        &[0.0, 2.0],
        &[1.0, 0.0, 3.0],
        &[0.0, 1.0, 0.0, 0.0, 0.5],
        &[0.1, -0.2, 0.3, -0.4, 0.5, -0.6],
        &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        &[0.5, 0.3, 0.0, -0.1, 0.0, 0.02, 0.0, -0.003, 0.0, 0.0004],
    ];
    for coefficients in cases {
        let scale = f.scale * 1.25;
        let y = polynomial::evaluate(&f.server, &x, coefficients, scale).unwrap();
        assert_eq!(y.level(), f.parameters.max_level() - polynomial::depth(coefficients.len() - 1));
        assert!((y.scale() / scale - 1.0).abs() < 1e-9);
        for (found, v) in f.decrypt(&y).iter().zip(&a) {
            let expected = coefficients.iter().rev().fold(0.0, |sum, c| sum * v.re + c);
            assert!((found.re - expected).abs() < 2f64.powi(-20), "{coefficients:?}: {found} instead of {expected}");
        }
    }
    let low = f.encrypt(&a, 1);
    assert!(matches!(
        polynomial::evaluate(&f.server, &low, &[0.5, 0.2, 0.0, 0.1], f.scale),
        Err(Error::NoLevelLeft { needed: 2, left: 1 })
    ));
    assert!(matches!(polynomial::evaluate(&f.server, &low, &[0.5], f.scale), Err(Error::Length { .. })));
}

#[test]
fn misuse_is_an_error_that_names_what_is_wrong() {
    let f = &fixtures()[0];
    let a = f.values(0.0);
    let (x, low) = (f.encrypt(&a, 2), f.encrypt(&a, 1));
    assert!(matches!(f.server.add(&x, &low), Err(Error::LevelMismatch(2, 1))));
    let other = f.server.with_scale(&x, f.scale * 1.001);
    assert!(matches!(f.server.add(&x, &other), Err(Error::ScaleMismatch(..))));
    assert!(matches!(f.server.drop_to(&low, 2), Err(Error::NoLevelLeft { .. })));
    assert!(matches!(f.server.rescale(&f.encrypt(&a, 0)), Err(Error::NoLevelLeft { .. })));
    assert!(matches!(f.server.dot(&[]), Err(Error::Length { .. })));
    assert!(matches!(f.server.mul_plain(&x, &a[1..], f.scale), Err(Error::Length { .. })));
    let message = f.server.rotate(&x, 7).unwrap_err().to_string();
    assert!(message.contains("rotation by 7"), "{message}");
    let too_large = f.encoder.encode(&[Complex64::from(1e6)], f.scale).unwrap();
    assert!(matches!(encrypt(&f.parameters, &f.owner, &too_large, 0, f.scale), Err(Error::TooLarge { .. })));
    assert!(matches!(encrypt(&f.parameters, &f.owner, &too_large, 9, f.scale), Err(Error::NoLevelLeft { .. })));
}

#[test]
fn a_key_serves_its_level_and_those_below_but_not_above() {
    let f = &fixtures()[0];
    let mut set = KeySet::default();
    set.need_galois(galois::rotation_element(10, 1), 2);
    let server = Evaluator::new(EvaluationKeys::generate(&f.parameters, &f.owner, &set).unwrap());
    let a = f.values(0.9);
    for level in 0..=2 {
        let x = f.encrypt(&a, level);
        let variance = f.noise.fresh() + f.noise.key_switch(level);
        f.check("rotate with a low key", &server.rotate(&x, 1).unwrap(), &rotated(&a, 1), variance, 25.0);
    }
    assert!(matches!(server.rotate(&f.encrypt(&a, 3), 1), Err(Error::MissingKey(_))));
    assert!(matches!(server.conjugate(&f.encrypt(&a, 1)), Err(Error::MissingKey(_))));
}

#[test]
fn operations_are_counted() {
    let f = &fixtures()[0];
    let before = f.server.counts();
    let x = f.encrypt(&f.values(0.0), 2);
    f.server.rotate_hoisted(&x, &[0, 1, -3]).unwrap();
    f.server.rotate(&x, 0).unwrap();
    f.server.mul_rescale(&x, &x).unwrap();
    let after = f.server.counts();
    assert_eq!(after.key_switches - before.key_switches, 3);
    assert_eq!(after.products - before.products, 1);
}

#[test]
fn a_packed_ciphertext_gives_what_its_words_give_in_every_operation() {
    for f in fixtures() {
        let (server, level) = (&f.server, f.parameters.max_level());
        let (a, b) = (f.encrypt(&f.values(1.0), level), f.encrypt(&f.values(2.0), level));
        let (x, y) = (server.packed(&a), server.packed(&b));
        let mask = f.values(3.0);
        type Operation<'a> = &'a dyn Fn(&Ciphertext, &Ciphertext) -> Result<Ciphertext>;
        let operations: &[(&str, Operation)] = &[
            ("add", &|a, b| server.add(a, b)),
            ("subtract", &|a, b| server.sub(a, b)),
            ("negate", &|a, _| Ok(server.negate(a))),
            ("drop", &|a, _| server.drop_to(a, 1)),
            ("lowered", &|a, _| Ok(a.lowered(1))),
            ("rescale", &|a, _| server.rescale(a)),
            ("multiply by slots", &|a, _| server.mul_plain(a, &mask, f.scale)),
            ("multiply by a number", &|a, _| server.mul_scalar(a, 0.3, f.scale)),
            ("add a number", &|a, b| server.add(&server.add_scalar(a, 0.3)?, b)),
            ("multiply by X^5", &|a, _| Ok(server.mul_monomial(a, 5))),
            ("multiply", &|a, b| server.mul_rescale(a, b)),
            ("rotate", &|a, _| server.rotate(a, 1)),
            ("rotate by nothing", &|a, _| Ok(server.rotate_hoisted(a, &[0, 8])?.swap_remove(0))),
            ("rotate hoisted", &|a, _| Ok(server.rotate_hoisted(a, &[0, 8])?.swap_remove(1))),
            ("conjugate", &|a, _| server.conjugate(a)),
            ("relinearise and turn", &|a, b| {
                let product = server.dot(&[(a, b)])?;
                let other = server.with_scale(&server.drop_to(b, level)?, server.product_scale(&product));
                server.relinearize_add_rotated(&product, &other, -3, true)
            }),
        ];
        for (name, operation) in operations {
            let expected = operation(&a, &b).unwrap();
            for (a, b) in [(&x, &y), (&x, &b), (&a, &y)] {
                let found = operation(a, b).unwrap();
                assert_eq!((found.level(), found.scale()), (expected.level(), expected.scale()), "{}: {name}", f.name);
                // Nothing is random here, so decryptions are equal to the last bit.
                assert!(f.decrypt(&found) == f.decrypt(&expected), "{}: {name}", f.name);
            }
        }
    }
}

#[test]
fn products_with_turned_plaintexts_are_sums_of_slots_and_need_no_key() {
    for f in fixtures() {
        let (slots, level) = (f.parameters.slots(), f.parameters.max_level());
        let wave = |k: f64| -> Vec<Complex64> {
            (0..slots).map(|s| Complex64::new((s as f64 * k).sin(), (s as f64 * k * 0.7).cos())).collect()
        };
        let bare = Evaluator::new(EvaluationKeys::generate(&f.parameters, &f.owner, &KeySet::default()).unwrap());
        let (x, w) = ([wave(0.3), wave(1.1)], [wave(0.9), wave(0.2)]);
        let encrypted: Vec<Ciphertext> = x
            .iter()
            .map(|values| {
                let message = f.encoder.encode(values, f.scale).unwrap();
                encrypt(&f.parameters, &f.owner, &message, level, f.scale).unwrap().expand(f.parameters.ring())
            })
            .collect();
        let plain: Vec<Plaintext> =
            w.iter().map(|v| Plaintext::encode(&f.parameters, &f.encoder, v, 1, f.scale).unwrap()).collect();
        let turned: Vec<Plaintext> = plain.iter().map(|v| v.rotated(&f.parameters, 3)).collect();
        let columns = [plain.iter().collect(), turned.iter().collect::<Vec<_>>()];
        let found = bare.dot_plain_many(&[encrypted.iter().collect()], &columns).unwrap();
        assert_eq!((bare.counts().key_switches, bare.counts().products), (0, 4));
        for (turn, sum) in [0, 3].into_iter().zip(&found[0]) {
            assert_eq!((sum.level(), sum.scale()), (1, f.scale * f.scale));
            let slots_found = decrypt(&f.parameters, &f.owner, &f.encoder, sum);
            let bound = 12.0 * (4.0 * f.noise.fresh()).sqrt() / f.scale;
            for (s, slot) in slots_found.iter().enumerate() {
                let expected: Complex64 = (0..2).map(|k| x[k][s] * w[k][(s + turn) % slots]).sum();
                assert!((slot - expected).norm() < bound, "{}: {} > {bound}", f.name, (slot - expected).norm());
            }
        }
        let wrong = bare.dot_plain_many(&[vec![&encrypted[0]]], &columns);
        assert!(matches!(wrong, Err(Error::Length { .. })));
        bare.stop();
        let stopped = bare.dot_plain_many(&[encrypted.iter().collect()], &columns);
        assert!(matches!(stopped, Err(Error::Stopped)));
    }
}

#[test]
fn plaintexts_that_come_again_multiply_as_they_did_at_first() {
    let f = &fixtures()[0];
    let x = f.encrypt(&f.values(1.0), f.parameters.max_level());
    // More of them than are kept, at two scales and levels.
    let masks: Vec<Vec<Complex64>> = (0..6).map(|k| f.values(10.0 + f64::from(k))).collect();
    let low = f.server.drop_to(&x, 2).unwrap();
    let products = || {
        let all = masks.iter().flat_map(|mask| {
            [(&x, f.scale), (&x, f.scale / 4.0), (&low, f.scale)].map(|(x, scale)| f.server.mul_plain(x, mask, scale))
        });
        all.map(|product| f.decrypt(&product.unwrap())).collect::<Vec<_>>()
    };
    let first = products();
    assert_eq!(first, products());
    for (slots, mask) in first.iter().step_by(3).zip(&masks) {
        let expected = f.values(1.0).into_iter().zip(mask).map(|(x, mask)| x * mask);
        assert!(slots.iter().zip(expected).all(|(found, expected)| (found - expected).norm() < 1e-6));
    }
}
