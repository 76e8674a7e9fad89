//! Tests of masked sums: exact, void without an owner, nothing to see in a part, nothing used twice.

use super::*;
use x25519_dalek::PublicKey;

fn secrets(owners: usize) -> Vec<StaticSecret> {
    (0..owners).map(|k| StaticSecret::from([k as u8 + 1; 32])).collect()
}

fn roster(secrets: &[StaticSecret]) -> Vec<(String, [u8; 32])> {
    let public = |(k, secret)| (format!("owner-{k}"), PublicKey::from(secret).to_bytes());
    secrets.iter().enumerate().map(public).collect()
}

fn session(name: &str) -> Digest {
    Digest::of(name, [])
}

fn vector(width: Width, numbers: &[I256]) -> Vector {
    let mut vector = Vector::new(width);
    numbers.iter().for_each(|&number| vector.push(number));
    vector
}

/// What all owners send for these vectors.
fn masked(session: Digest, round: &str, vectors: &[Vector]) -> Vec<Vector> {
    let secrets = secrets(vectors.len());
    let owners = roster(&secrets);
    let mask = |(place, vector): (usize, &Vector)| {
        let masker = Masker { session, secret: &secrets[place], owners: &owners, place };
        masker.mask(round, vector.clone(), "numbers").unwrap()
    };
    vectors.iter().enumerate().map(mask).collect()
}

/// The statistic of bytes against the uniform distribution: 255 degrees of freedom, above 340 once in 3,000 times.
fn chi_square(bytes: &[u8]) -> f64 {
    let mut counts = [0.0f64; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1.0);
    let expected = bytes.len() as f64 / 256.0;
    counts.iter().map(|count| (count - expected).powi(2) / expected).sum()
}

#[test]
fn the_sum_of_all_owners_is_exact_whatever_the_signs_and_carries() {
    let wide = |text: &str| text.parse::<I256>().unwrap();
    let rows = [
        [wide("170141183460469231731687303715884105"), wide("-1"), wide("18446744073709551615"), I256::ZERO],
        [wide("-170141183460469231731687303715884105"), wide("-1"), I256::ONE, wide("-7")],
        [wide("3"), wide("2"), wide("-18446744073709551616"), wide("340282366920938463463374607431")],
    ];
    for width in [Width::Bits128, Width::Bits256] {
        let vectors: Vec<Vector> = rows.iter().map(|row| vector(width, row)).collect();
        let total: Vec<I256> = sum(masked(session("s"), "means", &vectors)).numbers().collect();
        let expected: Vec<I256> = (0..4).map(|k| rows.iter().map(|row| row[k]).sum()).collect();
        assert_eq!(total, expected);
    }
    // The full width of 256 bits, carries over all limbs.
    let large = I256::MAX / I256::new(3);
    let vectors = [large, large, -large].map(|number| vector(Width::Bits256, &[number]));
    assert_eq!(sum(masked(session("s"), "means", &vectors)).numbers().next(), Some(large));
}

#[test]
fn of_fewer_than_all_owners_the_sum_is_uniform_and_so_is_what_one_sends() {
    const NUMBERS: usize = 4096;
    let vectors = vec![Vector::zeros(Width::Bits128, NUMBERS); 3];
    let sent = masked(session("s"), "moments", &vectors);
    assert_eq!(sum(sent.clone()), vectors[0]);
    for one in &sent {
        assert!(chi_square(one.as_bytes()) < 340.0);
    }
    for missing in 0..3 {
        let rest = sent.iter().enumerate().filter(|&(place, _)| place != missing).map(|(_, vector)| vector.clone());
        let partial = sum(rest);
        assert!(chi_square(partial.as_bytes()) < 340.0, "without {missing}");
    }
}

#[test]
fn every_round_and_every_session_has_masks_of_its_own() {
    let vectors = vec![Vector::zeros(Width::Bits128, 4); 2];
    let of = |name: &str, round: &str| masked(session(name), round, &vectors)[0].clone();
    assert_eq!(of("s", "means"), of("s", "means"));
    let (a, b, c) = (of("s", "means"), of("s", "moments"), of("t", "means"));
    assert!(a != b && a != c && b != c);
}

#[test]
fn a_pair_that_colludes_learns_the_third_owners_sum_only_by_the_total() {
    // All but one know the masks among themselves, not those with the third: what it sends stays uniform for them.
    let secrets = secrets(3);
    let owners = roster(&secrets);
    let zeros = Vector::zeros(Width::Bits128, 4096);
    let third = Masker { session: session("s"), secret: &secrets[2], owners: &owners, place: 2 };
    let sent = third.mask("moments", zeros.clone(), "numbers").unwrap();
    let mut seen = sent.clone();
    let key = pair_key(
        &secrets[0],
        &owners[2].1,
        "owner-2",
        &session("s"),
        &["ciphertune mask 1", "moments", "owner-0", "owner-2"],
    );
    seen.mask(&key.unwrap(), false);
    // One of both masks gone, the other still there.
    assert!(seen != zeros && chi_square(seen.as_bytes()) < 340.0);
}

#[test]
fn a_number_that_might_wrap_around_is_refused_and_named() {
    for (width, largest) in [(Width::Bits128, I256::from(i128::MAX)), (Width::Bits256, I256::MAX)] {
        let limit = largest / I256::new(3);
        for number in [limit, -limit] {
            vector(width, &[I256::ZERO, number]).check(3, "numbers").unwrap();
        }
        for number in [limit + I256::ONE, -limit - I256::ONE] {
            let secrets = secrets(3);
            let owners = roster(&secrets);
            let masker = Masker { session: session("s"), secret: &secrets[0], owners: &owners, place: 0 };
            let error = masker.mask("means", vector(width, &[I256::ZERO, number]), "sums").unwrap_err();
            assert!(matches!(error, JointError::Range { place: 2, count: 2, what: "sums" }), "{error}");
        }
    }
}

#[test]
fn bytes_of_another_length_are_no_vector() {
    assert!(Vector::from_bytes(Width::Bits128, 2, vec![0; 31]).is_none());
    assert!(Vector::from_bytes(Width::Bits256, usize::MAX, vec![0; 32]).is_none());
    assert_eq!(Vector::from_bytes(Width::Bits256, 1, vec![0xff; 32]).unwrap().numbers().next(), Some(-I256::ONE));
}
