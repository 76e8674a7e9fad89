//! The model obeys the interface's contract: what it costs, what it refuses, what monomials do.

use super::*;

fn model() -> SlotModel {
    SlotModel::with_levels(8, 3, 40).expect("8 is a power of two")
}

fn ramp(m: &SlotModel, level: usize, scale: f64) -> SlotVector {
    let values: Vec<_> = (0..8).map(|j| Complex64::new(f64::from(j), 1.0)).collect();
    m.encrypt(&values, level, scale).expect("small values fit")
}

fn close(a: &[Complex64], b: &[Complex64]) -> bool {
    a.iter().zip(b).all(|(x, y)| (x - y).norm() < 1e-9)
}

#[test]
fn rotation_brings_slot_s_plus_k_to_slot_s_and_costs_one_key_switch_unless_it_is_whole() -> Result<()> {
    let m = model();
    let a = ramp(&m, 2, 2f64.powi(40));
    assert_eq!(m.rotate(&a, 3)?.values[1], a.values[4]);
    assert_eq!(m.rotate(&a, -1)?.values[0], a.values[7]);
    assert_eq!(m.rotate(&a, 8)?, a);
    let counts = m.counts();
    assert_eq!((counts.key_switches(), counts.key_switches_at[&2]), (2, 2));
    assert_eq!(counts.rotation_amounts, BTreeSet::from([3, 7]));
    assert_eq!(counts.keys.galois, BTreeMap::from([(125 % 32, 2), (5usize.pow(7) % 32, 2)]));
    Ok(())
}

#[test]
fn monomials_multiply_as_powers_of_a_root_and_a_quarter_turn_is_i() {
    let m = model();
    let a = ramp(&m, 1, 2f64.powi(40));
    let i: Vec<_> = a.values.iter().map(|v| v * Complex64::I).collect();
    assert!(close(&m.mul_i(&a).values, &i));
    assert!(close(&m.mul_monomial(&m.mul_monomial(&a, 5), 27).values, &a.values));
    // An automorphism X -> X^(5^k) takes the monomial X^p to X^(p 5^k).
    let turned = m.rotate(&m.mul_monomial(&a, 3), 2).expect("rotations do not fail");
    let power = 3 * 25 % 32;
    assert!(close(&turned.values, &m.mul_monomial(&m.rotate(&a, 2).expect("nor here"), power).values));
}

#[test]
fn additions_refuse_unlike_levels_and_scales_but_forgive_the_last_bits() {
    let m = model();
    let scale = 2f64.powi(40);
    let a = ramp(&m, 2, scale);
    assert!(matches!(m.add(&a, &ramp(&m, 1, scale)), Err(Error::LevelMismatch(2, 1))));
    assert!(matches!(m.sub(&a, &ramp(&m, 2, scale * (1.0 + 1e-8))), Err(Error::ScaleMismatch(..))));
    assert!(m.add(&a, &ramp(&m, 2, scale * (1.0 + 1e-10))).is_ok());
}

#[test]
fn rescaling_divides_scale_and_not_values_until_no_level_is_left() -> Result<()> {
    let m = model();
    let a = ramp(&m, 1, 2f64.powi(60));
    let b = m.rescale(&a)?;
    assert_eq!((b.level, b.scale, &b.values), (0, a.scale / m.prime(1), &a.values));
    assert!(matches!(m.rescale(&b), Err(Error::NoLevelLeft { needed: 1, left: 0 })));
    assert!(matches!(m.drop_to(&b, 1), Err(Error::LevelMismatch(0, 1))));
    Ok(())
}

#[test]
fn a_product_is_taken_at_the_lowest_level_and_multiplies_scales() -> Result<()> {
    let m = model();
    let (a, b) = (ramp(&m, 3, 2f64.powi(40)), ramp(&m, 2, 2f64.powi(39)));
    let product = m.dot(&[(&a, &b), (&a, &b)])?;
    assert_eq!((m.product_level(&product), m.product_scale(&product)), (2, 2f64.powi(79)));
    let sum = m.relinearize_rescale(&product)?;
    assert_eq!(sum.values[3], a.values[3] * b.values[3] * 2.0);
    assert!(matches!(m.dot(&[(&a, &b), (&b, &b)]), Err(Error::LevelMismatch(..))));
    assert!(matches!(m.dot(&[]), Err(Error::Length { found: 0, .. })));
    Ok(())
}

#[test]
fn a_value_that_would_wrap_around_the_modulus_is_refused() {
    let m = model();
    let a = ramp(&m, 3, 2f64.powi(48));
    assert!(matches!(m.drop_to(&m.with_scale(&a, 2f64.powi(20)), 0), Err(Error::TooLarge { .. })));
    assert!(matches!(m.mul_scalar(&a, 2f64.powi(50), 2f64.powi(90)), Err(Error::TooLarge { .. })));
}

#[test]
fn scalars_are_rounded_to_integers_at_their_scale() -> Result<()> {
    let m = model();
    let a = ramp(&m, 3, 2f64.powi(40));
    assert_eq!(m.mul_scalar(&a, 0.3, 8.0)?.values[4], a.values[4] * 0.25);
    let exact = m.mul_scalar_to(&a, 0.3, 1, 2f64.powi(38))?;
    assert_eq!((exact.level, exact.scale), (1, 2f64.powi(38)));
    assert!(close(&exact.values, &a.values.iter().map(|v| v * 0.3).collect::<Vec<_>>()));
    Ok(())
}
