//! Ciphertexts in containers, in groups that share a name and a level.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use ciphertune_ring::{RnsPoly, Seed};
use rayon::prelude::*;

use super::{ciphertext_limbs, pack_poly, unpack_poly, widths};
use crate::container::{Container, ContainerStream, ContainerWriter, Packed, Tensor};
use crate::{Ciphertext, Error, Parameters, Result, SeededCiphertext};

/// Adds seeded ciphertexts that share a level under `name`: `name.c0`, a packed row each, `name.seed` u8 `[count, 32]`, `name.scale` f64
/// `[count]`. Every ciphertext is dropped when it is packed.
pub fn write_seeded<'a>(
    writer: ContainerWriter<'a>,
    parameters: &Parameters,
    name: &str,
    ciphertexts: Vec<SeededCiphertext>,
) -> ContainerWriter<'a> {
    let Some(first) = ciphertexts.first() else { return writer };
    let (ring, q_limbs, count) = (parameters.ring(), first.c0.q_limbs(), ciphertexts.len());
    debug_assert!(ciphertexts.iter().all(|c| c.c0.q_limbs() == q_limbs));
    let seeds: Vec<u8> = ciphertexts.iter().flat_map(|c| c.seed).collect();
    let scales: Vec<f64> = ciphertexts.iter().map(|c| c.scale).collect();
    let rows = ciphertexts.into_par_iter().map(|c| pack_poly(ring, &c.c0)).collect();
    writer
        .packed(&format!("{name}.c0"), &widths(ring, q_limbs, 0), rows)
        .u8(&format!("{name}.seed"), &[count, size_of::<Seed>()], seeds)
        .f64(&format!("{name}.scale"), &[count], scales)
}

/// What is known of a group of seeded ciphertexts before their rows are read.
struct Expected {
    q_limbs: usize,
    seeds: Vec<Seed>,
    scales: Vec<f64>,
}

/// Reads the groups that [`write_seeded`] wrote under `names`, a few ciphertexts at a time, checks them and draws the uniform halves.
///
/// # Errors
///
/// For a file that is damaged, lacks one of the groups or holds others, or holds what is no ciphertext under the parameters.
pub fn read_seeded<R: Read + Seek + Send>(
    parameters: &Parameters,
    stream: ContainerStream<R>,
    names: &[&str],
) -> Result<Vec<Vec<Ciphertext>>> {
    let ring = parameters.ring();
    let tensor = |name: &str| format!("{name}.c0");
    let expected: BTreeMap<String, Expected> =
        names.iter().map(|name| Ok((tensor(name), expect(parameters, &stream, name)?))).collect::<Result<_>>()?;
    let mut groups = stream.read_rows(|name, index, row| {
        let group = expected
            .get(name)
            .ok_or_else(|| Error::File(format!("holds ciphertexts {name:?} that are not known: fetch it again")))?;
        let c0 = unpack_poly(ring, row, group.q_limbs, 0)?;
        Ok::<_, Error>(SeededCiphertext { c0, seed: group.seeds[index], scale: group.scales[index] }.expand(ring))
    })?;
    Ok(names.iter().map(|name| groups.remove(&tensor(name)).unwrap_or_default()).collect())
}

fn expect<R: Read + Seek + Send>(parameters: &Parameters, stream: &ContainerStream<R>, name: &str) -> Result<Expected> {
    let packed = stream.header().packed(&format!("{name}.c0"))?;
    let q_limbs = ciphertext_limbs(parameters.ring(), packed, 0, "ciphertexts")?;
    let seeds = stream.tensor(&format!("{name}.seed"))?.of_shape(&[packed.count, size_of::<Seed>()])?;
    let (seeds, _) = seeds.u8s()?.as_chunks::<{ size_of::<Seed>() }>();
    let scales = scales(stream.tensor(&format!("{name}.scale"))?, packed.count, name)?;
    Ok(Expected { q_limbs, seeds: seeds.to_vec(), scales })
}

fn scales(tensor: Tensor<'_>, count: usize, name: &str) -> Result<Vec<f64>> {
    let scales: Vec<f64> = tensor.of_shape(&[count])?.f64s()?.collect();
    if scales.iter().any(|scale| !scale.is_finite() || *scale < 1.0) {
        return Err(Error::File(format!("holds ciphertexts {name} with an impossible scale: fetch the file again")));
    }
    Ok(scales)
}

/// Adds ciphertexts that share a level under `name`: `name.c0`, `name.c1`, a packed row each, and `name.scale` f64 `[count]`.
pub fn write_full<'a>(
    writer: ContainerWriter<'a>,
    parameters: &Parameters,
    name: &str,
    ciphertexts: &[Ciphertext],
) -> ContainerWriter<'a> {
    let Some(first) = ciphertexts.first() else { return writer };
    let (ring, q_limbs) = (parameters.ring(), first.c0.q_limbs());
    debug_assert!(ciphertexts.iter().all(|c| c.c0.q_limbs() == q_limbs));
    let half = |c: fn(&Ciphertext) -> &RnsPoly| ciphertexts.par_iter().map(|x| pack_poly(ring, c(x))).collect();
    let (widths, scales) = (widths(ring, q_limbs, 0), ciphertexts.iter().map(|c| c.scale).collect::<Vec<_>>());
    writer
        .packed(&format!("{name}.c0"), &widths, half(|c| &c.c0))
        .packed(&format!("{name}.c1"), &widths, half(|c| &c.c1))
        .f64(&format!("{name}.scale"), &[scales.len()], scales)
}

/// Reads what [`write_full`] wrote and checks it.
///
/// # Errors
///
/// For a container that lacks the group, or holds what is no ciphertext under the parameters.
pub fn read_full(parameters: &Parameters, container: &Container, name: &str) -> Result<Vec<Ciphertext>> {
    let c0s = read_half(parameters, container.packed(&format!("{name}.c0"))?)?;
    let c1s = read_half(parameters, container.packed(&format!("{name}.c1"))?)?;
    if c0s.len() != c1s.len() || c0s.iter().zip(&c1s).any(|(a, b)| a.q_limbs() != b.q_limbs()) {
        return Err(Error::File(format!("holds ciphertexts {name} whose halves do not match: fetch the file again")));
    }
    let scales = scales(container.tensor(&format!("{name}.scale"))?, c0s.len(), name)?;
    Ok(c0s.into_iter().zip(c1s).zip(scales).map(|((c0, c1), scale)| Ciphertext::new(c0, c1, scale)).collect())
}

/// One half of every ciphertext of a group.
fn read_half(parameters: &Parameters, packed: Packed<'_>) -> Result<Vec<RnsPoly>> {
    let ring = parameters.ring();
    let q_limbs = ciphertext_limbs(ring, packed.shape(), 0, "ciphertexts")?;
    let rows: Vec<&[u8]> = packed.rows().collect();
    rows.into_par_iter().map(|row| unpack_poly(ring, row, q_limbs, 0)).collect()
}
