//! Ciphertexts in containers, in groups that share a name and a level.

use ciphertune_ring::{RnsPoly, Seed};
use rayon::prelude::*;

use super::{ciphertext_limbs, pack_poly, unpack_poly, widths};
use crate::container::{Container, ContainerWriter};
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
pub fn read_full(parameters: &Parameters, container: &Container, name: &str) -> Result<Vec<Ciphertext>> {
    let (c0s, scales) = read_halves(parameters, container, name, "c0")?;
    let (c1s, _) = read_halves(parameters, container, name, "c1")?;
    if c0s.len() != c1s.len() || c0s.iter().zip(&c1s).any(|(a, b)| a.q_limbs() != b.q_limbs()) {
        return Err(Error::File(format!("holds ciphertexts {name} whose halves do not match: fetch the file again")));
    }
    Ok(c0s.into_iter().zip(c1s).zip(scales).map(|((c0, c1), scale)| Ciphertext { c0, c1, scale }).collect())
}

/// One half of every ciphertext of a group, and the scales.
fn read_halves(
    parameters: &Parameters,
    container: &Container,
    name: &str,
    half: &str,
) -> Result<(Vec<RnsPoly>, Vec<f64>)> {
    let ring = parameters.ring();
    let packed = container.packed(&format!("{name}.{half}"))?;
    let q_limbs = ciphertext_limbs(ring, &packed, 0, "ciphertexts")?;
    let rows: Vec<&[u8]> = packed.rows().collect();
    let scales: Vec<f64> = container.tensor(&format!("{name}.scale"))?.of_shape(&[rows.len()])?.f64s()?.collect();
    if scales.iter().any(|scale| !scale.is_finite() || *scale < 1.0) {
        return Err(Error::File(format!("holds ciphertexts {name} with an impossible scale: fetch the file again")));
    }
    let polys = rows.into_par_iter().map(|row| unpack_poly(ring, row, q_limbs, 0)).collect::<Result<_>>()?;
    Ok((polys, scales))
}
