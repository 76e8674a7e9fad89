//! New digests for damaged containers, so that what is damaged reaches the readers behind the digest.
//!
//! Written after the description of the format (`ciphertune_ckks::container`), not with its writer, which would refuse
//! what is made here.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The container with a digest that fits the rest of it; `None` if it is not in one piece enough to have one.
pub fn reseal(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?)).ok()?;
    let header = bytes.get(8..8usize.checked_add(length)?)?;
    let content = &bytes[8 + length..];
    let parsed: Value = serde_json::from_slice(header).ok()?;
    let object = parsed.as_object()?;
    let metadata = object.get("__metadata__")?.as_object()?;
    let mut digest = Hasher(Sha256::new());
    let entries = || metadata.iter().filter(|(key, _)| *key != "digest");
    digest.number(entries().count());
    // Objects of this crate are sorted by their keys.
    for (key, value) in entries() {
        digest.text(key);
        digest.text(value.as_str()?);
    }
    let rows_have_digests = metadata.contains_key("row-digests");
    let packed: Value = serde_json::from_str(metadata.get("packed").and_then(Value::as_str).unwrap_or("{}")).ok()?;
    for (name, tensor) in object.iter().filter(|(name, _)| *name != "__metadata__") {
        digest.text(name);
        digest.text(tensor.get("dtype")?.as_str()?);
        let shape = tensor.get("shape")?.as_array()?;
        digest.number(shape.len());
        for length in shape {
            digest.number(length.as_u64()? as usize);
        }
        let at = |k: usize| tensor.get("data_offsets")?.get(k)?.as_u64();
        if !(rows_have_digests && packed.get(name).is_some()) {
            digest.0.update(content.get(at(0)? as usize..at(1)? as usize)?);
        }
    }
    let sealed: String = digest.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let before = metadata.get("digest")?.as_str()?;
    let place = header.windows(before.len()).position(|window| window == before.as_bytes())?;
    let mut resealed = bytes.to_vec();
    if before.len() != sealed.len() {
        return None;
    }
    resealed[8 + place..8 + place + sealed.len()].copy_from_slice(sealed.as_bytes());
    Some(resealed)
}

struct Hasher(Sha256);

impl Hasher {
    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciphertune_ckks::container::{Container, ContainerWriter};

    #[test]
    fn a_resealed_container_is_read_and_an_undamaged_one_stays_as_it_is() {
        let writer = ContainerWriter::new("test", 1).metadata("word", "a").u8("b", &[2], vec![1, 2]);
        let bytes = writer.f64("a", &[1], vec![0.5]).to_bytes().unwrap();
        assert_eq!(reseal(&bytes).unwrap(), bytes);
        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(Container::parse(&damaged[..], "test", 1).is_err());
        assert!(Container::parse(reseal(&damaged).unwrap(), "test", 1).is_ok());
        assert_eq!(reseal(b"no container"), None);
    }
}
