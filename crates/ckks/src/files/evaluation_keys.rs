//! Evaluation keys as a file: made without their uniform halves, read with them.

use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};

use ciphertune_ring::{Seed, sampler};

use super::{EVALUATION_KEYS, EVALUATION_KEYS_FORMAT, KEY_ID, PARAMETERS_DIGEST};
use super::{check_origin, ciphertext_limbs, pack_poly, read_poly};
use crate::container::{ContainerStream, ContainerWriter};
use crate::keys::{Digit, Generated, KeyName, SwitchingKey, generate};
use crate::{Error, EvaluationKeys, KeyId, KeySet, Parameters, Result, SecretKey};

/// Evaluation keys ready to be sent: packed, with seeds in the place of their uniform halves.
pub struct EvaluationKeyFile {
    parameters: Parameters,
    id: KeyId,
    keys: Vec<Generated<(Vec<u8>, Seed)>>,
}

impl EvaluationKeyFile {
    /// Makes the keys of a set. Only the owner can, who has the secret key.
    ///
    /// # Errors
    ///
    /// [`Error::NoLevelLeft`] for a set with a level that the parameters do not have; if the random generator fails.
    pub fn generate(parameters: &Parameters, key: &SecretKey, set: &KeySet) -> Result<Self> {
        let ring = parameters.ring();
        let keep = |digit: Digit| (pack_poly(ring, &digit.b), digit.seed);
        Ok(Self { parameters: parameters.clone(), id: key.id(), keys: generate(parameters, key, set, keep)? })
    }

    /// Writes the file, with further metadata of the caller's.
    ///
    /// # Errors
    ///
    /// Whatever `out` reports.
    pub fn write(self, metadata: &[(&str, String)], out: &mut impl Write) -> Result<()> {
        let ring = self.parameters.ring();
        let mut writer = ContainerWriter::new(EVALUATION_KEYS, EVALUATION_KEYS_FORMAT)
            .metadata(PARAMETERS_DIGEST, self.parameters.digest())
            .metadata(KEY_ID, self.id.to_string());
        for (name, value) in metadata {
            writer = writer.metadata(*name, value.as_str());
        }
        for Generated { name, level, digits } in self.keys {
            let (rows, seeds): (Vec<_>, Vec<_>) = digits.into_iter().unzip();
            writer = writer
                .u8(&format!("{name}.seed"), &[seeds.len(), size_of::<Seed>()], seeds.into_flattened())
                .packed(&format!("{name}.b"), &ring.widths(level + 1, ring.p_count()), rows);
        }
        Ok(writer.write_to(out)?)
    }
}

/// What is known of a key before its rows are read.
struct Expected {
    key: KeyName,
    q_limbs: usize,
    seeds: Vec<Seed>,
}

/// Reads evaluation keys made under the given parameters, a few digits at a time.
///
/// # Errors
///
/// For a file that is damaged, made under other parameters, or holds what is no key of them.
pub fn read_evaluation_keys<R: Read + Seek + Send>(
    parameters: &Parameters,
    mut stream: ContainerStream<R>,
) -> Result<EvaluationKeys> {
    let (ring, id) = (parameters.ring(), check_origin(stream.header(), parameters)?);
    let p_limbs = ring.p_count();
    let names = stream.header().shapes().map(|(name, ..)| name).filter(|name| name.ends_with(".b"));
    let expected: BTreeMap<String, Expected> =
        names.map(|name| Ok((name.to_owned(), expect(parameters, &stream, name)?))).collect::<Result<_>>()?;
    let digits = stream.read_rows(|name, index, row| {
        let Some(Expected { q_limbs, seeds, .. }) = expected.get(name) else { return Err(unknown(name)) };
        let b = read_poly(ring, row, *q_limbs, p_limbs)?;
        Ok((b, sampler::uniform_packed(ring, &seeds[index], *q_limbs, p_limbs)))
    })?;
    let keys = digits.into_iter().filter_map(|(name, digits)| {
        let Expected { key, q_limbs, .. } = expected.get(&name)?;
        Some((*key, SwitchingKey { digits, level: q_limbs - 1 }))
    });
    Ok(EvaluationKeys::from_keys(parameters, id, keys))
}

fn expect<R: Read + Seek + Send>(parameters: &Parameters, stream: &ContainerStream<R>, name: &str) -> Result<Expected> {
    let ring = parameters.ring();
    let own = name.strip_suffix(".b").unwrap_or(name);
    let key = KeyName::parse(own, ring.n()).ok_or_else(|| unknown(name))?;
    let packed = stream.header().packed(name)?;
    let q_limbs = ciphertext_limbs(ring, packed, ring.p_count(), "keys")?;
    let count = ring.digit_count(q_limbs);
    if packed.count != count {
        return Err(Error::File(format!("holds the key {own} with digits missing: fetch the file again")));
    }
    let seeds = stream.tensor(&format!("{own}.seed"))?.of_shape(&[count, size_of::<Seed>()])?;
    let (seeds, _) = seeds.u8s()?.as_chunks::<{ size_of::<Seed>() }>();
    Ok(Expected { key, q_limbs, seeds: seeds.to_vec() })
}

fn unknown(name: &str) -> Error {
    Error::File(format!("holds a key with the unknown name {name:?}: fetch the file again"))
}
