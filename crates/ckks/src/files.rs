//! Keys and ciphertexts as bytes, in [`crate::container`]s. Everything read is checked: shape, every residue's range, parameters.
//!
//! | kind | tensors |
//! |---|---|
//! | `secret-key` | `secret` i8 `[N]`, coefficients in {-1, 0, 1} |
//! | `evaluation-keys` | per key `KEY.b` u64 [digits, limbs, N] and `KEY.seed` u8 [digits, 32], KEY = `relinearization` or `galois.ELEMENT` |
//! | others | [`write_seeded`], [`write_full`] and [`read_seeded`], [`read_full`] put ciphertexts in containers of any kind |
//!
//! The uniform half of keys and of fresh ciphertexts is not stored: its seed is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use ciphertune_ring::{Ring, RnsPoly, Seed, sampler};
use rayon::prelude::*;
use zeroize::Zeroize;

use crate::container::{Container, ContainerWriter};
use crate::keys::SwitchingKey;
use crate::{Ciphertext, Error, EvaluationKeys, KeyId, Parameters, Result, SecretKey, SeededCiphertext};

/// Kind of a secret-key file.
pub const SECRET_KEY: &str = "secret-key";
/// Kind of an evaluation-key file.
pub const EVALUATION_KEYS: &str = "evaluation-keys";
/// The format version that this crate writes and the newest that it reads.
pub const FORMAT: u32 = 1;

/// Metadata key of the parameters' digest.
pub const PARAMETERS_DIGEST: &str = "parameters";
/// Metadata key of the key identifier.
pub const KEY_ID: &str = "key-id";

/// The secret key as a file of its own. The only way out of memory for it; the caller must overwrite the bytes when
/// they are written (they are wrapped so that dropping does it).
pub fn secret_key_to_bytes(parameters: &Parameters, key: &SecretKey) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let secret: zeroize::Zeroizing<Vec<i8>> = key.coefficients.iter().map(|&x| x as i8).collect::<Vec<_>>().into();
    let writer = ContainerWriter::new(SECRET_KEY, FORMAT)
        .metadata(PARAMETERS_DIGEST, parameters.digest())
        .metadata(KEY_ID, key.id.to_string())
        .i8("secret", &[secret.len()], secret.as_slice());
    Ok(zeroize::Zeroizing::new(writer.to_bytes()?))
}

/// Reads a secret key made under the given parameters.
pub fn secret_key_from_bytes(parameters: &Parameters, bytes: &[u8]) -> Result<SecretKey> {
    let container = Container::parse(bytes, SECRET_KEY, FORMAT)?;
    let id = check_origin(&container, parameters)?;
    let tensor = container.tensor("secret")?.of_shape(&[parameters.ring().n()])?;
    let mut coefficients: Vec<i64> = tensor.i8s()?.map(i64::from).collect();
    if coefficients.iter().any(|x| x.abs() > 1) {
        coefficients.zeroize();
        return Err(Error::File("holds a secret that is not ternary: it was not made by this program".into()));
    }
    Ok(SecretKey::from_coefficients(parameters, coefficients, id))
}

/// Writes evaluation keys, with further metadata of the caller's.
pub fn write_evaluation_keys(keys: &EvaluationKeys, metadata: &[(&str, String)], out: &mut impl Write) -> Result<()> {
    let n = keys.parameters.ring().n();
    let mut writer = ContainerWriter::new(EVALUATION_KEYS, FORMAT)
        .metadata(PARAMETERS_DIGEST, keys.parameters.digest())
        .metadata(KEY_ID, keys.id.to_string());
    for (name, value) in metadata {
        writer = writer.metadata(*name, value.as_str());
    }
    let galois = keys.galois.iter().map(|(element, key)| (format!("galois.{element}"), key));
    let relinearization = keys.relinearization.iter().map(|key| ("relinearization".to_string(), key));
    for (name, key) in relinearization.chain(galois) {
        let shape = [key.digits.len(), key.level + 1 + keys.parameters.ring().p_count(), n];
        let parts: Vec<&[u64]> = key.digits.iter().map(|(b, _)| b.words()).collect();
        writer = writer.u64_parts(&format!("{name}.b"), &shape, parts);
        writer = writer.u8(&format!("{name}.seed"), &[key.seeds.len(), size_of::<Seed>()], key.seeds.as_flattened());
    }
    Ok(writer.write_to(out)?)
}

/// Reads evaluation keys made under the given parameters.
pub fn read_evaluation_keys(parameters: &Parameters, container: &Container) -> Result<EvaluationKeys> {
    let id = check_origin(container, parameters)?;
    let (mut relinearization, mut galois) = (None, BTreeMap::new());
    let names: Vec<&str> = container.tensor_names().filter_map(|name| name.strip_suffix(".b")).collect();
    let keys: Vec<_> = names
        .par_iter()
        .map(|&name| Ok((name, read_switching_key(parameters, container, name)?)))
        .collect::<Result<_>>()?;
    for (name, key) in keys {
        let element = name.strip_prefix("galois.").and_then(|element| element.parse::<usize>().ok());
        match element {
            Some(element) if element % 2 == 1 && element < 2 * parameters.ring().n() => {
                galois.insert(element, key);
            }
            None if name == "relinearization" => relinearization = Some(key),
            _ => return Err(Error::File(format!("holds a key with the unknown name {name:?}: fetch the file again"))),
        }
    }
    Ok(EvaluationKeys { parameters: parameters.clone(), id, relinearization, galois })
}

fn read_switching_key(parameters: &Parameters, container: &Container, name: &str) -> Result<SwitchingKey> {
    let ring = parameters.ring();
    let (n, p_limbs) = (ring.n(), ring.p_count());
    let tensor = container.tensor(&format!("{name}.b"))?;
    let limbs = tensor.shape().get(1).copied().unwrap_or(0);
    if limbs <= p_limbs || limbs > p_limbs + ring.q_count() {
        return Err(Error::File(format!(
            "holds the key {name} with {limbs} limbs, which its parameters do not allow: fetch the file again"
        )));
    }
    let q_limbs = limbs - p_limbs;
    let count = ring.digit_count(q_limbs);
    let tensor = tensor.of_shape(&[count, limbs, n])?;
    let seeds = container.tensor(&format!("{name}.seed"))?.of_shape(&[count, size_of::<Seed>()])?;
    let (seeds, _) = seeds.u8s()?.as_chunks::<{ size_of::<Seed>() }>();
    let digits = seeds
        .iter()
        .enumerate()
        .map(|(j, seed)| {
            let mut b = RnsPoly::zero(n, q_limbs, p_limbs);
            tensor.read_u64_into(j * limbs * n, b.words_mut())?;
            check_residues(ring, &b)?;
            Ok((b, sampler::uniform(ring, seed, q_limbs, p_limbs)))
        })
        .collect::<Result<_>>()?;
    Ok(SwitchingKey { digits, seeds: seeds.to_vec(), level: q_limbs - 1 })
}

/// Adds seeded ciphertexts that share a level under `name`: `name.c0` u64 `[count, limbs, N]`, `name.seed` u8 `[count, 32]`, `name.scale` f64 `[count]`.
pub fn write_seeded<'a>(
    writer: ContainerWriter<'a>,
    name: &str,
    ciphertexts: &'a [SeededCiphertext],
) -> ContainerWriter<'a> {
    let Some(first) = ciphertexts.first() else { return writer };
    debug_assert!(ciphertexts.iter().all(|c| c.level() == first.level()));
    let shape = [ciphertexts.len(), first.c0.q_limbs(), first.c0.n()];
    let parts: Vec<&[u64]> = ciphertexts.iter().map(|c| c.c0.words()).collect();
    let seeds: Vec<u8> = ciphertexts.iter().flat_map(|c| c.seed).collect();
    writer
        .u64_parts(&format!("{name}.c0"), &shape, parts)
        .u8(&format!("{name}.seed"), &[ciphertexts.len(), size_of::<Seed>()], seeds)
        .f64(&format!("{name}.scale"), &[ciphertexts.len()], scales(ciphertexts.iter().map(|c| c.scale)))
}

/// Reads what [`write_seeded`] wrote, checks it and draws the uniform halves.
pub fn read_seeded(parameters: &Parameters, container: &Container, name: &str) -> Result<Vec<Ciphertext>> {
    let ring = parameters.ring();
    let (c0s, scales) = read_halves(parameters, container, name, "c0")?;
    let seeds = container.tensor(&format!("{name}.seed"))?.of_shape(&[c0s.len(), size_of::<Seed>()])?;
    let (seeds, _) = seeds.u8s()?.as_chunks::<{ size_of::<Seed>() }>();
    Ok(c0s
        .into_par_iter()
        .zip(scales)
        .zip(seeds)
        .map(|((c0, scale), &seed)| SeededCiphertext { c0, seed, scale }.expand(ring))
        .collect())
}

/// Adds ciphertexts that share a level under `name`: `name.c0`, `name.c1` u64 `[count, limbs, N]` and `name.scale` f64 `[count]`.
pub fn write_full<'a>(writer: ContainerWriter<'a>, name: &str, ciphertexts: &'a [Ciphertext]) -> ContainerWriter<'a> {
    let Some(first) = ciphertexts.first() else { return writer };
    debug_assert!(ciphertexts.iter().all(|c| c.level() == first.level()));
    let shape = [ciphertexts.len(), first.c0.q_limbs(), first.c0.n()];
    let half = |c: fn(&Ciphertext) -> &RnsPoly| ciphertexts.iter().map(|x| c(x).words()).collect::<Vec<_>>();
    writer
        .u64_parts(&format!("{name}.c0"), &shape, half(|c| &c.c0))
        .u64_parts(&format!("{name}.c1"), &shape, half(|c| &c.c1))
        .f64(&format!("{name}.scale"), &[ciphertexts.len()], scales(ciphertexts.iter().map(|c| c.scale)))
}

/// Reads what [`write_full`] wrote and checks it.
pub fn read_full(parameters: &Parameters, container: &Container, name: &str) -> Result<Vec<Ciphertext>> {
    let (c0s, scales) = read_halves(parameters, container, name, "c0")?;
    let (c1s, _) = read_halves(parameters, container, name, "c1")?;
    if c0s.len() != c1s.len() || c0s.iter().zip(&c1s).any(|(a, b)| a.q_limbs() != b.q_limbs()) {
        return Err(Error::File(format!("holds ciphertexts {name} whose halves do not match: fetch the file again")));
    }
    Ok(c0s.into_iter().zip(c1s).zip(scales).map(|((c0, c1), scale)| Ciphertext { c0, c1, scale }).collect())
}

fn scales(scales: impl Iterator<Item = f64>) -> Cow<'static, [f64]> {
    Cow::Owned(scales.collect())
}

/// One half of every ciphertext of a group, and the scales.
fn read_halves(
    parameters: &Parameters,
    container: &Container,
    name: &str,
    half: &str,
) -> Result<(Vec<RnsPoly>, Vec<f64>)> {
    let ring = parameters.ring();
    let n = ring.n();
    let tensor = container.tensor(&format!("{name}.{half}"))?;
    let &[count, limbs, length] = tensor.shape() else {
        return Err(Error::File(format!("holds ciphertexts {name} of a wrong shape: fetch the file again")));
    };
    if length != n || limbs == 0 || limbs > ring.q_count() {
        return Err(Error::ParameterMismatch);
    }
    let polys = (0..count)
        .into_par_iter()
        .map(|i| {
            let mut poly = RnsPoly::zero(n, limbs, 0);
            tensor.read_u64_into(i * limbs * n, poly.words_mut())?;
            check_residues(ring, &poly)?;
            Ok(poly)
        })
        .collect::<Result<_>>()?;
    let scales: Vec<f64> = container.tensor(&format!("{name}.scale"))?.of_shape(&[count])?.f64s()?.collect();
    if scales.iter().any(|scale| !scale.is_finite() || *scale < 1.0) {
        return Err(Error::File(format!("holds ciphertexts {name} with an impossible scale: fetch the file again")));
    }
    Ok((polys, scales))
}

fn check_residues(ring: &Ring, poly: &RnsPoly) -> Result<()> {
    let reduced = (0..poly.limbs()).all(|i| {
        let bound = ring.limb_modulus(poly.q_limbs(), i).value();
        poly.limb(i).iter().all(|&x| x < bound)
    });
    if reduced { Ok(()) } else { Err(Error::File("holds residues above their modulus: fetch the file again".into())) }
}

/// The key identifier of a container, after a check that it was made under `parameters`.
pub fn check_origin(container: &Container, parameters: &Parameters) -> Result<KeyId> {
    if container.metadata(PARAMETERS_DIGEST)? != parameters.digest() {
        return Err(Error::ParameterMismatch);
    }
    KeyId::parse(container.metadata(KEY_ID)?).ok_or_else(|| {
        Error::File("holds a key identifier that is not 32 hexadecimal digits: fetch the file again".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoder, KeySet, ParametersLiteral, encrypt};

    #[test]
    fn no_document_for_the_server_holds_the_secret_key_in_any_form_that_memory_has_it_in() {
        let literal = ParametersLiteral::choose(8, 50, 40, 2, 2).unwrap();
        let parameters = Parameters::new_insecure_for_tests(literal).unwrap();
        let key = SecretKey::generate(&parameters).unwrap();
        let mut set = KeySet::default();
        set.need_relinearization(2);
        set.need_galois(5, 2);
        let mut documents = Vec::new();
        write_evaluation_keys(&EvaluationKeys::generate(&parameters, &key, &set).unwrap(), &[], &mut documents)
            .unwrap();
        let message = Encoder::new(8).encode(&[crate::Complex64::ONE], 1e9).unwrap();
        let sent = [encrypt(&parameters, &key, &message, 2, 1e9).unwrap()];
        documents.extend(write_seeded(ContainerWriter::new("test", 1), "data", &sent).to_bytes().unwrap());

        // Evaluations and residues modulo every prime, and the coefficients as signed words: no run of four words of any.
        let ring = parameters.ring();
        let mut coefficients = key.evaluations.clone();
        ring.inverse(&mut coefficients);
        let signed: Vec<u64> = key.coefficients.iter().map(|&x| x as u64).collect();
        let forms = [key.evaluations.words(), coefficients.words(), &signed];
        let runs: std::collections::HashSet<&[u64]> = forms.iter().flat_map(|words| words.chunks_exact(4)).collect();
        // Tensors start at any byte, so every alignment is looked at.
        for offset in 0..8 {
            let words: Vec<u64> = documents[offset..]
                .chunks_exact(8)
                .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("chunks of eight")))
                .collect();
            assert!(words.windows(4).all(|window| !runs.contains(window)));
        }
        assert!(runs.contains(&signed[4..8]), "the search itself works");
    }
}
