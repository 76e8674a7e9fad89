//! Keys and ciphertexts through bytes and back, and everything that must be refused on the way.

use std::io::Cursor;

use ciphertune_ckks::container::{Container, ContainerStream, ContainerWriter, packing};
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

fn key_bytes(parameters: &Parameters, owner: &SecretKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    EvaluationKeyFile::generate(parameters, owner, &key_set()).unwrap().write(&[], &mut bytes).unwrap();
    bytes
}

fn read_keys(parameters: &Parameters, bytes: &[u8]) -> Result<EvaluationKeys> {
    let stream = ContainerStream::open(Cursor::new(bytes), EVALUATION_KEYS, EVALUATION_KEYS_FORMAT)?;
    read_evaluation_keys(parameters, stream)
}

fn read_data(parameters: &Parameters, bytes: &[u8]) -> Result<Vec<Ciphertext>> {
    let stream = ContainerStream::open(Cursor::new(bytes), "test", 1)?;
    Ok(read_seeded(parameters, stream, &["data"])?.remove(0))
}

#[test]
fn keys_and_ciphertexts_that_went_through_bytes_still_work_together() {
    let parameters = toy(3);
    let owner = SecretKey::generate(&parameters).unwrap();
    let bytes = key_bytes(&parameters, &owner);
    let predicted = key_set().serialized_bytes(parameters.literal());
    assert!((predicted..predicted + 2000).contains(&bytes.len()), "{} for {predicted}", bytes.len());
    let server = Evaluator::new(read_keys(&parameters, &bytes).unwrap());
    assert_eq!(server.keys().key_set(), key_set());

    let sent = upload(&parameters, &owner, 3);
    let job = write_seeded(ContainerWriter::new("test", 1), &parameters, "data", sent).to_bytes().unwrap();
    let received = read_data(&parameters, &job).unwrap();
    let results: Vec<_> = received.iter().map(|x| server.rotate(x, 3).unwrap()).collect();
    let answer = write_full(ContainerWriter::new("answer", 1), &parameters, "result", &results).to_bytes().unwrap();
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
    let bytes = key_bytes(&parameters, &owner);
    assert!(matches!(read_keys(&other, &bytes), Err(Error::ParameterMismatch)));
}

/// A polynomial of one limb of 50 bits, all zeros but for its first residue.
fn row(first: u64) -> Vec<u8> {
    let mut row = vec![0; 50 * 256 / 8];
    row[..8].copy_from_slice(&first.to_le_bytes());
    row
}

#[test]
fn a_residue_at_or_above_its_modulus_is_refused() {
    let parameters = toy(3);
    let read = |residue: u64| {
        let writer = ContainerWriter::new("test", 1)
            .packed("data.c0", &[50], vec![row(residue)])
            .u8("data.seed", &[1, 32], vec![0; 32])
            .f64("data.scale", &[1], vec![1e9]);
        let bytes = writer.to_bytes().unwrap();
        read_data(&parameters, &bytes).map(|_| ())
    };
    let modulus = parameters.literal().q[0];
    assert!(read(modulus - 1).is_ok());
    for residue in [modulus, modulus + 1, (1 << 50) - 1] {
        let message = read(residue).unwrap_err().to_string();
        assert!(message.contains("residues above their modulus"), "{message}");
    }
}

#[test]
fn wrong_shapes_widths_scales_and_missing_tensors_are_errors_and_not_panics() {
    let parameters = toy(3);
    let read = |writer: ContainerWriter| {
        let bytes = writer.to_bytes().unwrap();
        read_data(&parameters, &bytes).map(|_| ())
    };
    let writer = || ContainerWriter::new("test", 1);
    let with = |writer: ContainerWriter<'static>, scales: Vec<f64>, seed: usize| {
        writer.f64("data.scale", &[scales.len()], scales).u8("data.seed", &[1, seed], vec![0; seed])
    };
    let packed = |widths: &[u32], bytes: usize| writer().packed("data.c0", widths, vec![vec![0; bytes]]);
    assert!(read(writer()).is_err());
    let widths: Vec<u32> = parameters.literal().q.iter().map(|&q| packing::width(q)).collect();
    let all = packing::packed_bytes(256, widths.iter().copied());
    assert!(read(with(packed(&widths, all), vec![1e9], 32)).is_ok());
    // Not packed, no limb, a limb too short, widths of other primes, more limbs than primes.
    assert!(read(with(writer().u64("data.c0", &[1, 1, 256], vec![0; 256]), vec![1e9], 32)).is_err());
    assert!(read(with(packed(&[], 0), vec![1e9], 32)).is_err());
    assert!(read(with(packed(&[50], 1599), vec![1e9], 32)).is_err());
    assert!(read(with(packed(&[widths[1]], 32 * widths[1] as usize), vec![1e9], 32)).is_err());
    assert!(read(with(packed(&[&widths[..], &[40]].concat(), all + 1280), vec![1e9], 32)).is_err());
    let good = || packed(&[50], 1600);
    assert!(read(with(good(), vec![f64::NAN], 32)).is_err());
    assert!(read(with(good(), vec![1e9, 1e9], 32)).is_err());
    assert!(read(with(good(), vec![1e9], 31)).is_err());
    assert!(read(with(good(), vec![1e9], 32)).is_ok());
}

#[test]
fn neither_evaluation_keys_nor_ciphertexts_contain_the_secret_key() {
    let parameters = toy(3);
    let owner = SecretKey::generate(&parameters).unwrap();
    let secret = secret_key_to_bytes(&parameters, &owner).unwrap();
    let container = Container::parse(&secret[..], SECRET_KEY, SECRET_KEY_FORMAT).unwrap();
    let raw = container.tensor("secret").unwrap().bytes().to_vec();
    let keys = key_bytes(&parameters, &owner);
    let writer = ContainerWriter::new("test", 1);
    let job = write_seeded(writer, &parameters, "data", upload(&parameters, &owner, 2)).to_bytes().unwrap();
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
            // As a packed limb would have them.
            let mut packed = vec![0; packing::packed_bytes(16, [packing::width(q)])];
            let residues: Vec<u64> = raw[..16].iter().map(|&x| if x as i8 == -1 { q - 1 } else { x as u64 }).collect();
            packing::pack(&residues, packing::width(q), &mut packed);
            assert!(!contains(bytes, &packed));
        }
    }
}

#[test]
fn ciphertexts_written_while_they_are_made_are_those_written_at_once() {
    let parameters = toy(3);
    let owner = SecretKey::generate(&parameters).unwrap();
    let (data, labels) = (upload(&parameters, &owner, 40), upload(&parameters, &owner, 3));
    let writer = || ContainerWriter::new("test", 1).metadata("plan", "none");
    let at_once = write_seeded(writer().with_row_digests(), &parameters, "data", data.clone());
    let at_once = write_seeded(at_once, &parameters, "labels", labels.clone()).to_bytes().unwrap();
    let group = |name: &str, made: &[SeededCiphertext]| Group {
        name: name.into(),
        level: 2,
        scales: vec![2f64.powi(40); made.len()],
    };
    let groups = [group("data", &data), group("labels", &labels)];
    // Behind something that is there already.
    let mut out = Cursor::new(vec![7; 5]);
    out.set_position(5);
    let written = write_seeded_streamed(writer(), &parameters, &groups, &mut out, |place, range| {
        Ok::<_, Error>([&data, &labels][place][range].to_vec())
    });
    assert_eq!(written.unwrap() as usize, at_once.len());
    assert!(out.into_inner()[5..] == at_once);

    let short = |_, _: std::ops::Range<usize>| Ok::<_, Error>(Vec::new());
    let refused = write_seeded_streamed(writer(), &parameters, &groups, &mut Cursor::new(Vec::new()), short);
    assert!(refused.unwrap_err().to_string().contains("data"));
}

#[test]
fn what_was_not_kept_is_read_again_at_any_lower_level_and_refused_if_it_has_changed() {
    let parameters = toy(3);
    let owner = SecretKey::generate(&parameters).unwrap();
    let sent = upload(&parameters, &owner, 5);
    let writer = write_seeded(ContainerWriter::new("test", 1), &parameters, "data", sent);
    let bytes = writer.to_bytes().unwrap();
    let mut changed = bytes.clone();
    let reader = |bytes| {
        let stream = ContainerStream::open(Cursor::new(bytes), "test", 1).unwrap();
        GroupReader::new(&parameters, stream, &["data"]).unwrap()
    };
    let mut whole = reader(bytes.clone());
    assert!(whole.read_again(0, &[0], 2).is_err(), "nothing was checked yet");
    let read = whole.read_all(|group, index| group == 0 && index < 2).unwrap();
    assert_eq!(read[0].iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, false, false]);
    let encoder = Encoder::new(8);
    for level in [0, 1, 2, usize::MAX] {
        let again = whole.read_again(0, &[4, 2], level).unwrap();
        assert!(again.len() == 2 && again.iter().all(|c| c.level() == level.min(2)));
        for found in again.iter().map(|c| decrypt(&parameters, &owner, &encoder, c)) {
            assert!(found.iter().zip(values()).all(|(found, sent)| (found - sent).norm() < 1e-6));
        }
    }
    assert!(whole.read_again(0, &[1], 2).is_err(), "it was kept");
    assert!(whole.read_again(0, &[5], 2).is_err(), "there is no sixth");

    // The last row's last limb, between the two readings.
    struct Swapped(Cursor<Vec<u8>>, std::sync::Arc<std::sync::Mutex<Option<Vec<u8>>>>);
    impl std::io::Read for Swapped {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if let Some(bytes) = self.1.lock().unwrap().take() {
                *self.0.get_mut() = bytes;
            }
            self.0.read(buffer)
        }
    }
    impl std::io::Seek for Swapped {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }
    let seeds = 5 * size_of::<[u8; 32]>();
    let at = changed.len() - seeds - 1;
    changed[at] ^= 1;
    let other = std::sync::Arc::default();
    let stream = ContainerStream::open(Swapped(Cursor::new(bytes), std::sync::Arc::clone(&other)), "test", 1).unwrap();
    let mut reader = GroupReader::new(&parameters, stream, &["data"]).unwrap();
    reader.read_all(|_, _| false).unwrap();
    *other.lock().unwrap() = Some(changed);
    assert!(reader.read_again(0, &[4], 1).is_ok(), "the limb that changed is not wanted");
    let error = reader.read_again(0, &[4], 2).unwrap_err();
    assert!(error.to_string().contains("has changed in ciphertext 5 of 5 of its data"), "{error}");
}

#[test]
fn a_damaged_ciphertext_is_named() {
    let parameters = toy(3);
    let owner = SecretKey::generate(&parameters).unwrap();
    let writer = ContainerWriter::new("test", 1).with_row_digests();
    let bytes = write_seeded(writer, &parameters, "data", upload(&parameters, &owner, 5)).to_bytes().unwrap();
    assert_eq!(read_data(&parameters, &bytes).unwrap().len(), 5);
    // Rows are the last thing in the file, the one that is damaged the last but one.
    let container = Container::parse(&bytes[..], "test", 1).unwrap();
    let row = container.packed("data.c0").unwrap().shape().row_bytes;
    let mut changed = bytes.clone();
    changed[bytes.len() - 2 * row] ^= 1;
    let message = read_data(&parameters, &changed).unwrap_err().to_string();
    assert!(message.contains("ciphertext 4 of 5 of its data"), "{message}");
}
