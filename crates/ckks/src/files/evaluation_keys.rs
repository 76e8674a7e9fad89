//! Evaluation keys as a file: made without their uniform halves, read with them.

use std::io::Write;

use ciphertune_ring::{Seed, sampler};
use rayon::prelude::*;

use super::{EVALUATION_KEYS, EVALUATION_KEYS_FORMAT, KEY_ID, PARAMETERS_DIGEST};
use super::{check_origin, ciphertext_limbs, pack_poly, unpack_poly, widths};
use crate::container::{Container, ContainerWriter};
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
                .packed(&format!("{name}.b"), &widths(ring, level + 1, ring.p_count()), rows);
        }
        Ok(writer.write_to(out)?)
    }
}

/// Reads evaluation keys made under the given parameters.
pub fn read_evaluation_keys(parameters: &Parameters, container: &Container) -> Result<EvaluationKeys> {
    let id = check_origin(container, parameters)?;
    let names: Vec<&str> = container.tensor_names().filter_map(|name| name.strip_suffix(".b")).collect();
    let keys: Vec<_> = names
        .into_par_iter()
        .map(|name| {
            let unknown = || Error::File(format!("holds a key with the unknown name {name:?}: fetch the file again"));
            let known = KeyName::parse(name, parameters.ring().n()).ok_or_else(unknown)?;
            Ok((known, read_switching_key(parameters, container, name)?))
        })
        .collect::<Result<_>>()?;
    Ok(EvaluationKeys::from_keys(parameters, id, keys))
}

fn read_switching_key(parameters: &Parameters, container: &Container, name: &str) -> Result<SwitchingKey> {
    let ring = parameters.ring();
    let p_limbs = ring.p_count();
    let packed = container.packed(&format!("{name}.b"))?;
    let q_limbs = ciphertext_limbs(ring, &packed, p_limbs, "keys")?;
    let count = ring.digit_count(q_limbs);
    let seeds = container.tensor(&format!("{name}.seed"))?.of_shape(&[count, size_of::<Seed>()])?;
    if packed.shape()[0] != count {
        return Err(Error::File(format!("holds the key {name} with digits missing: fetch the file again")));
    }
    let (seeds, _) = seeds.u8s()?.as_chunks::<{ size_of::<Seed>() }>();
    let digits = packed
        .rows()
        .zip(seeds)
        .map(|(row, seed)| {
            Ok((unpack_poly(ring, row, q_limbs, p_limbs)?, sampler::uniform(ring, seed, q_limbs, p_limbs)))
        })
        .collect::<Result<_>>()?;
    Ok(SwitchingKey { digits, level: q_limbs - 1 })
}
