//! Keys and ciphertexts as bytes, in [`crate::container`]s. Everything read is checked: shape, every residue's range,
//! parameters.
//!
//! | kind | tensors |
//! |---|---|
//! | `secret-key` | `secret` i8 `[N]`, coefficients in {-1, 0, 1} |
//! | `evaluation-keys` | per key `KEY.b`, a packed row a digit, and `KEY.seed` u8 [digits, 32], KEY = `relinearization` or `galois.ELEMENT` |
//! | others | [`write_seeded`], [`write_full`] and [`read_seeded`], [`read_full`] put ciphertexts in containers of any kind and take them out |
//!
//! Polynomials are packed: a residue takes as many bits as its prime has ([`crate::container::packing`]). The uniform
//! half of keys and of fresh ciphertexts is not stored: its seed is.

mod ciphertexts;
mod evaluation_keys;

use ciphertune_ring::{PackedPoly, Ring, RnsPoly, Seed};
use zeroize::Zeroize;

use crate::container::packing::packed_bytes;
use crate::container::{Container, ContainerWriter, Header, PackedShape};
use crate::{Error, KeyId, Parameters, Result, SecretKey};

pub use ciphertexts::{
    Group, GroupReader, read_full, read_seeded, write_full, write_full_streamed, write_seeded, write_seeded_streamed,
};
pub use evaluation_keys::{EvaluationKeyFile, read_evaluation_keys};

/// Kind of a secret-key file.
pub const SECRET_KEY: &str = "secret-key";
/// The format version of secret-key files.
pub const SECRET_KEY_FORMAT: u32 = 1;
/// Kind of an evaluation-key file.
pub const EVALUATION_KEYS: &str = "evaluation-keys";
/// The format version of evaluation-key files.
pub const EVALUATION_KEYS_FORMAT: u32 = 2;

/// Metadata key of the parameters' digest.
pub const PARAMETERS_DIGEST: &str = "parameters";
/// Metadata key of the key identifier.
pub const KEY_ID: &str = "key-id";

/// The secret key as a file of its own. The only way out of memory for it; the caller must overwrite the bytes when
/// they are written (they are wrapped so that dropping does it).
pub fn secret_key_to_bytes(parameters: &Parameters, key: &SecretKey) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let secret: zeroize::Zeroizing<Vec<i8>> = key.coefficients.iter().map(|&x| x as i8).collect::<Vec<_>>().into();
    let writer = ContainerWriter::new(SECRET_KEY, SECRET_KEY_FORMAT)
        .metadata(PARAMETERS_DIGEST, parameters.digest())
        .metadata(KEY_ID, key.id.to_string())
        .i8("secret", &[secret.len()], secret.as_slice());
    Ok(zeroize::Zeroizing::new(writer.to_bytes()?))
}

/// Reads a secret key made under the given parameters.
pub fn secret_key_from_bytes(parameters: &Parameters, bytes: &[u8]) -> Result<SecretKey> {
    let container = Container::parse(bytes, SECRET_KEY, SECRET_KEY_FORMAT)?;
    let id = check_origin(container.header(), parameters)?;
    let tensor = container.tensor("secret")?.of_shape(&[parameters.ring().n()])?;
    let mut coefficients: Vec<i64> = tensor.i8s()?.map(i64::from).collect();
    if coefficients.iter().any(|x| x.abs() > 1) {
        coefficients.zeroize();
        return Err(Error::File("holds a secret that is not ternary: it was not made by this program".into()));
    }
    Ok(SecretKey::from_coefficients(parameters, coefficients, id))
}

/// The key identifier in a header, after a check that it was made under `parameters`.
pub fn check_origin(header: &Header, parameters: &Parameters) -> Result<KeyId> {
    if header.metadata(PARAMETERS_DIGEST)? != parameters.digest() {
        return Err(Error::ParameterMismatch);
    }
    KeyId::parse(header.metadata(KEY_ID)?).ok_or_else(|| {
        Error::File("holds a key identifier that is not 32 hexadecimal digits: fetch the file again".into())
    })
}

/// A polynomial as a packed row.
pub(crate) fn pack_poly(ring: &Ring, poly: &RnsPoly) -> Vec<u8> {
    let mut row = vec![0; packed_bytes(poly.n(), ring.widths(poly.q_limbs(), poly.p_limbs()))];
    ring.pack_into(poly, &mut row);
    row
}

/// The polynomial of a packed row, whose length and widths are known to fit; residues that are not reduced are refused.
fn read_poly(ring: &Ring, row: &[u8], q_limbs: usize, p_limbs: usize) -> Result<PackedPoly> {
    let not_reduced = || Error::File("holds residues above their modulus: fetch the file again".into());
    ring.packed_row(row, q_limbs, p_limbs).ok_or_else(not_reduced)
}

/// The number of ciphertext limbs of the polynomials of a packed tensor, which all have `p_limbs` special ones; `what`
/// they are.
fn ciphertext_limbs(ring: &Ring, packed: PackedShape, p_limbs: usize, what: &str) -> Result<usize> {
    let limbs = packed.widths.len();
    let known = (p_limbs + 1..=p_limbs + ring.q_count()).contains(&limbs);
    let fits = || {
        let expected = ring.widths(limbs - p_limbs, p_limbs);
        packed.widths == expected && packed.row_bytes == packed_bytes(ring.n(), expected)
    };
    if known && fits() {
        return Ok(limbs - p_limbs);
    }
    Err(Error::File(format!("holds {what} in limbs that its parameters do not have: fetch the file again")))
}

/// The digits of a switching key in a container of its own: level, one half of every digit, the seeds of the other.
pub(crate) fn packed_digits(
    parameters: &Parameters,
    container: &Container,
    half: &str,
    seed: &str,
) -> Result<(usize, Vec<PackedPoly>, Vec<Seed>)> {
    let ring = parameters.ring();
    let packed = container.packed(half)?;
    let q_limbs = ciphertext_limbs(ring, packed.shape(), ring.p_count(), "keys")?;
    let count = ring.digit_count(q_limbs);
    if packed.shape().count != count {
        return Err(Error::File("holds a key with digits missing: fetch the file again".into()));
    }
    let rows = packed.rows().map(|row| read_poly(ring, row, q_limbs, ring.p_count())).collect::<Result<_>>()?;
    let seeds = container.tensor(seed)?.of_shape(&[count, size_of::<Seed>()])?;
    let (seeds, _) = seeds.u8s()?.as_chunks::<{ size_of::<Seed>() }>();
    Ok((q_limbs - 1, rows, seeds.to_vec()))
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
        EvaluationKeyFile::generate(&parameters, &key, &set).unwrap().write(&[], &mut documents).unwrap();
        let message = Encoder::new(8).encode(&[crate::Complex64::ONE], 1e9).unwrap();
        let sent = vec![encrypt(&parameters, &key, &message, 2, 1e9).unwrap()];
        let writer = ContainerWriter::new("test", 1);
        documents.extend(write_seeded(writer, &parameters, "data", sent).to_bytes().unwrap());

        // Evaluations and residues modulo every prime, and the coefficients as signed words: no run of four words of
        // any.
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
