//! Keys and ciphertexts through bytes and back, and everything that must be refused on the way.

use ciphertune_ckks::container::{Container, ContainerWriter};
use ciphertune_ckks::files::*;
use ciphertune_ckks::*;

fn toy(levels: usize) -> Parameters {
    let literal = ParametersLiteral::choose(8, 50, 40, levels, 2).unwrap();
    Parameters::new_insecure_for_tests(literal).unwrap()
}

fn key_set() -> KeySet {
    let mut set = KeySet::default();
    set.need_relinearization(3);
    set.need_galois(galois::rotation_element(8, 3), 2);
    set
}

fn values() -> Vec<Complex64> {
    (0..128).map(|i| Complex64::new(i as f64 / 128.0, -0.5)).collect()
}

fn upload(parameters: &Parameters, owner: &SecretKey, count: usize) -> Vec<SeededCiphertext> {
    let encoder = Encoder::new(8);
    let scale = 2f64.powi(40);
    let message = encoder.encode(&values(), scale).unwrap();
    (0..count).map(|_| encrypt(parameters, owner, &message, 2, scale).unwrap()).collect()
}

fn key_bytes(keys: &EvaluationKeys) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_evaluation_keys(keys, &[], &mut bytes).unwrap();
    bytes
}

#[test]
fn keys_and_ciphertexts_that_went_through_bytes_still_work_together() {
    let parameters = toy(3);
    let owner = SecretKey::generate(&parameters).unwrap();
    let keys = EvaluationKeys::generate(&parameters, &owner, &key_set()).unwrap();
    let bytes = key_bytes(&keys);
    assert!(bytes.len() >= key_set().serialized_bytes(256, 2));
    let container = Container::parse(&bytes[..], EVALUATION_KEYS, FORMAT).unwrap();
    let server = Evaluator::new(read_evaluation_keys(&parameters, &container).unwrap());
    assert_eq!(server.keys().key_set(), key_set());

    let sent = upload(&parameters, &owner, 3);
    let job = write_seeded(ContainerWriter::new("test", 1), "data", &sent).to_bytes().unwrap();
    let received = read_seeded(&parameters, &Container::parse(&job[..], "test", 1).unwrap(), "data").unwrap();
    let results: Vec<_> = received.iter().map(|x| server.rotate(x, 3).unwrap()).collect();
    let answer = write_full(ContainerWriter::new("answer", 1), "result", &results).to_bytes().unwrap();
    let answer = read_full(&parameters, &Container::parse(&answer[..], "answer", 1).unwrap(), "result").unwrap();

    let secret = secret_key_to_bytes(&parameters, &owner).unwrap();
    let owner = secret_key_from_bytes(&parameters, &secret).unwrap();
    assert_eq!(owner.id(), server.keys().id());
    for ciphertext in &answer {
        let slots = decrypt(&parameters, &owner, &Encoder::new(8), ciphertext);
        let expected = values();
        for (s, slot) in slots.iter().enumerate() {
            assert!((slot - expected[(s + 3) % 128]).norm() < 1e-6);
        }
    }
}

#[test]
fn artefacts_of_other_parameters_are_refused() {
    let (parameters, other) = (toy(3), toy(4));
    let owner = SecretKey::generate(&parameters).unwrap();
    let secret = secret_key_to_bytes(&parameters, &owner).unwrap();
    assert!(matches!(secret_key_from_bytes(&other, &secret), Err(Error::ParameterMismatch)));
    let bytes = key_bytes(&EvaluationKeys::generate(&parameters, &owner, &key_set()).unwrap());
    let container = Container::parse(&bytes[..], EVALUATION_KEYS, FORMAT).unwrap();
    assert!(matches!(read_evaluation_keys(&other, &container), Err(Error::ParameterMismatch)));
}

#[test]
fn a_residue_above_its_modulus_is_refused() {
    let parameters = toy(3);
    let writer = ContainerWriter::new("test", 1)
        .u64("data.c0", &[1, 1, 256], vec![u64::MAX; 256])
        .u8("data.seed", &[1, 32], vec![0; 32])
        .f64("data.scale", &[1], vec![1e9]);
    let bytes = writer.to_bytes().unwrap();
    let container = Container::parse(&bytes[..], "test", 1).unwrap();
    let message = read_seeded(&parameters, &container, "data").unwrap_err().to_string();
    assert!(message.contains("residues above their modulus"), "{message}");
}

#[test]
fn wrong_shapes_scales_and_missing_tensors_are_errors_and_not_panics() {
    let parameters = toy(3);
    let read = |writer: ContainerWriter| {
        let bytes = writer.to_bytes().unwrap();
        let container = Container::parse(&bytes[..], "test", 1).unwrap();
        read_seeded(&parameters, &container, "data").map(|_| ())
    };
    let writer = || ContainerWriter::new("test", 1);
    assert!(read(writer()).is_err());
    assert!(read(writer().u64("data.c0", &[256], vec![0; 256])).is_err());
    assert!(read(writer().u64("data.c0", &[1, 1, 128], vec![0; 128]).f64("data.scale", &[1], vec![1e9])).is_err());
    assert!(read(writer().u64("data.c0", &[1, 9, 256], vec![0; 9 * 256]).f64("data.scale", &[1], vec![1e9])).is_err());
    let good = || writer().u64("data.c0", &[1, 1, 256], vec![0; 256]);
    assert!(read(good().f64("data.scale", &[1], vec![f64::NAN]).u8("data.seed", &[1, 32], vec![0; 32])).is_err());
    assert!(read(good().f64("data.scale", &[2], vec![1e9, 1e9]).u8("data.seed", &[1, 32], vec![0; 32])).is_err());
    assert!(read(good().f64("data.scale", &[1], vec![1e9]).u8("data.seed", &[1, 31], vec![0; 31])).is_err());
    assert!(read(good().f64("data.scale", &[1], vec![1e9]).u8("data.seed", &[1, 32], vec![0; 32])).is_ok());
}

#[test]
fn neither_evaluation_keys_nor_ciphertexts_contain_the_secret_key() {
    let parameters = toy(3);
    let owner = SecretKey::generate(&parameters).unwrap();
    let secret = secret_key_to_bytes(&parameters, &owner).unwrap();
    let container = Container::parse(&secret[..], SECRET_KEY, FORMAT).unwrap();
    let raw = container.tensor("secret").unwrap().bytes().to_vec();
    let keys = key_bytes(&EvaluationKeys::generate(&parameters, &owner, &key_set()).unwrap());
    let job =
        write_seeded(ContainerWriter::new("test", 1), "data", &upload(&parameters, &owner, 2)).to_bytes().unwrap();
    let contains = |bytes: &[u8], needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(contains(&secret, &raw), "the search itself works");
    // A run of 16 coefficients, as bytes or as words (reduced by any prime), is chance with probability 3^-16 a place.
    for bytes in [&keys, &job] {
        for piece in raw.chunks(32) {
            assert!(!contains(bytes, piece));
        }
        for i in 0..4 {
            let q = parameters.literal().q[i];
            let words: Vec<u8> =
                raw[..16].iter().flat_map(|&x| if x as i8 == -1 { q - 1 } else { x as u64 }.to_le_bytes()).collect();
            assert!(!contains(bytes, &words));
        }
    }
}
