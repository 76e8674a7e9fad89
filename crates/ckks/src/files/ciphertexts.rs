//! Ciphertexts in containers, in groups that share a name and a level.

use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};
use std::ops::Range;

use ciphertune_ring::{PackedPoly, Ring, Seed, sampler};
use rayon::prelude::*;
use twox_hash::XxHash3_128;

use super::{ciphertext_limbs, pack_poly, read_poly};
use crate::ciphertext::Half;
use crate::container::packing::packed_bytes;
use crate::container::{Container, ContainerError, ContainerStream, ContainerWriter, Packed, Sink, Tensor};
use crate::{Ciphertext, Error, Parameters, Result, SeededCiphertext};

/// Adds seeded ciphertexts that share a level under `name`: `name.c0`, a packed row each, `name.seed` u8 `[count, 32]`,
/// `name.scale` f64 `[count]`. Every ciphertext is dropped when it is packed.
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
        .packed(&format!("{name}.c0"), &ring.widths(q_limbs, 0), rows)
        .u8(&format!("{name}.seed"), &[count, size_of::<Seed>()], seeds)
        .f64(&format!("{name}.scale"), &[count], scales)
}

/// A group of ciphertexts that are to be made while they are written.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// The level of all of them.
    pub level: usize,
    /// The scale of each.
    pub scales: Vec<f64>,
}

/// Ciphertexts that are made, packed and written at once.
const AT_ONCE: usize = 16;

impl Group {
    /// Writes the packed rows of all ciphertexts, a few at a time, which have to be of the `form` that was announced.
    fn write<C, E: From<Error> + From<ContainerError>>(
        &self,
        sink: &mut Sink<'_>,
        mut make: impl FnMut(Range<usize>) -> std::result::Result<Vec<C>, E>,
        form: impl Fn(&C) -> (usize, f64),
        mut pack: impl FnMut(Vec<C>) -> Vec<Vec<u8>>,
    ) -> std::result::Result<(), E> {
        for first in (0..self.scales.len()).step_by(AT_ONCE) {
            let range = first..(first + AT_ONCE).min(self.scales.len());
            let made = make(range.clone())?;
            let announced = self.scales[range.clone()].iter().map(|scale| (self.level, *scale));
            if made.len() != range.len() || !made.iter().map(&form).eq(announced) {
                let message = format!("would hold other ciphertexts {} than announced", self.name);
                return Err(Error::File(message).into());
            }
            pack(made).iter().try_for_each(|row| sink(row))?;
        }
        Ok(())
    }
}

/// Writes a container whose ciphertexts [`read_seeded`] reads, a few at a time: `make` is asked for some of a group (by
/// its place in `groups`), and they are dropped when they are written. Each ciphertext's row gets a digest of its own
/// ([`crate::container`]). Returns the number of bytes written.
///
/// # Errors
///
/// Whatever `out` and `make` report; [`Error::File`] if `make` gives others than were announced.
pub fn write_seeded_streamed<E: From<Error> + From<ContainerError>>(
    mut writer: ContainerWriter<'_>,
    parameters: &Parameters,
    groups: &[Group],
    out: &mut (impl Write + Seek),
    mut make: impl FnMut(usize, Range<usize>) -> std::result::Result<Vec<SeededCiphertext>, E>,
) -> std::result::Result<u64, E> {
    let ring = parameters.ring();
    writer = writer.with_row_digests();
    for group in groups {
        let (name, count, widths) = (&group.name, group.scales.len(), ring.widths(group.level + 1, 0));
        let row_bytes = packed_bytes(ring.n(), widths.iter().copied());
        writer = writer
            .packed_later(&format!("{name}.c0"), &widths, count, row_bytes)
            .u8_later(&format!("{name}.seed"), &[count, size_of::<Seed>()])
            .f64(&format!("{name}.scale"), &[count], group.scales.clone());
    }
    let mut seeds: Vec<Vec<u8>> = vec![Vec::new(); groups.len()];
    writer.write_streamed(out, |tensor, sink| {
        let Some((name, part)) = tensor.rsplit_once('.') else { return Ok(()) };
        let Some(place) = groups.iter().position(|group| group.name == name) else { return Ok(()) };
        if part == "seed" {
            return Ok(sink(&std::mem::take(&mut seeds[place]))?);
        }
        let form = |c: &SeededCiphertext| (c.level(), c.scale);
        groups[place].write(
            sink,
            |range| make(place, range),
            form,
            |made| {
                seeds[place].extend(made.iter().flat_map(|c| c.seed));
                made.into_par_iter().map(|c| pack_poly(ring, &c.c0)).collect()
            },
        )
    })
}

/// Writes a container of ciphertexts that are seeded no more, as computed ones are: `name.halves`, two packed rows each,
/// c0 and c1, and `name.scale` f64 `[count]`. `make`, digests and what is returned as in [`write_seeded_streamed`].
///
/// # Errors
///
/// As [`write_seeded_streamed`].
pub fn write_full_streamed<E: From<Error> + From<ContainerError>>(
    mut writer: ContainerWriter<'_>,
    parameters: &Parameters,
    groups: &[Group],
    out: &mut (impl Write + Seek),
    mut make: impl FnMut(usize, Range<usize>) -> std::result::Result<Vec<Ciphertext>, E>,
) -> std::result::Result<u64, E> {
    let ring = parameters.ring();
    writer = writer.with_row_digests();
    for group in groups {
        let (name, count, widths) = (&group.name, group.scales.len(), ring.widths(group.level + 1, 0));
        let row_bytes = packed_bytes(ring.n(), widths.iter().copied());
        writer = writer.packed_later(&format!("{name}.{HALVES}"), &widths, 2 * count, row_bytes).f64(
            &format!("{name}.scale"),
            &[count],
            group.scales.clone(),
        );
    }
    writer.write_streamed(out, |tensor, sink| {
        let Some((name, HALVES)) = tensor.rsplit_once('.') else { return Ok(()) };
        let Some(place) = groups.iter().position(|group| group.name == name) else { return Ok(()) };
        let form = |c: &Ciphertext| (c.level(), c.scale);
        groups[place].write(
            sink,
            |range| make(place, range),
            form,
            |made| {
                let halves: Vec<&Half> = made.iter().flat_map(|c| [&c.c0, &c.c1]).collect();
                halves.into_par_iter().map(|half| pack_poly(ring, &half.words(ring))).collect()
            },
        )
    })
}

/// What a tensor with both halves of every ciphertext is called.
const HALVES: &str = "halves";

/// What is known of a group of ciphertexts before their rows are read.
struct Expected {
    tensor: String,
    q_limbs: usize,
    /// Of the uniform halves; `None` where both halves are in the file, c0 and c1 of one ciphertext after the other.
    seeds: Option<Vec<Seed>>,
    scales: Vec<f64>,
    /// Of every row that was not kept, once all have been read; empty for the others.
    digests: Vec<Vec<LimbDigest>>,
}

/// XXH3 of a packed limb: tells a file that was changed by mistake. Against an owner who sends what was not agreed on
/// no digest helps, and all that is read is validated anyway.
type LimbDigest = u128;

/// Reads the groups that [`write_seeded`] wrote under `names`, a few ciphertexts at a time, checks them and draws the
/// uniform halves.
///
/// # Errors
///
/// For a file that is damaged, lacks one of the groups or holds others, or holds what is no ciphertext under the
/// parameters.
pub fn read_seeded<R: Read + Seek + Send>(
    parameters: &Parameters,
    stream: ContainerStream<R>,
    names: &[&str],
) -> Result<Vec<Vec<Ciphertext>>> {
    let groups = GroupReader::new(parameters, stream, names)?.read_all(|_, _| true)?;
    Ok(groups.into_iter().map(|group| group.into_iter().flatten().collect()).collect())
}

/// The groups that [`write_seeded`] or [`write_full_streamed`] wrote, in a source that stays open: read and checked once as
/// a whole, and then again whatever was not kept.
pub struct GroupReader<R> {
    parameters: Parameters,
    stream: ContainerStream<R>,
    groups: Vec<Expected>,
}

impl<R: Read + Seek + Send> GroupReader<R> {
    /// A reader of the groups under `names`, none of whose rows have been read.
    ///
    /// # Errors
    ///
    /// For a file that lacks one of the groups, or holds what is no ciphertext under the parameters.
    pub fn new(parameters: &Parameters, stream: ContainerStream<R>, names: &[&str]) -> Result<Self> {
        let groups = names.iter().map(|name| Expected::new(parameters, &stream, name)).collect::<Result<_>>()?;
        Ok(Self { parameters: parameters.clone(), stream, groups })
    }

    /// Level and scale of the ciphertexts of a group.
    pub fn forms(&self, group: usize) -> impl ExactSizeIterator<Item = (usize, f64)> + '_ {
        let group = &self.groups[group];
        group.scales.iter().map(|scale| (group.q_limbs - 1, *scale))
    }

    /// Reads everything, a few ciphertexts at a time, checks it, and draws the uniform halves of those that `keep`
    /// (given group and index) wants to have. The others are remembered by their digests and can be [read
    /// again](Self::read_again).
    ///
    /// # Errors
    ///
    /// For a file that is damaged, holds further groups, or residues that are not reduced.
    pub fn read_all(&mut self, keep: impl Fn(usize, usize) -> bool + Sync) -> Result<Vec<Vec<Option<Ciphertext>>>> {
        let ring = self.parameters.ring();
        let places: BTreeMap<&str, usize> =
            self.groups.iter().enumerate().map(|(i, group)| (group.tensor.as_str(), i)).collect();
        let read = self.stream.read_rows(|name, index, row| {
            let place = *places
                .get(name)
                .ok_or_else(|| Error::File(format!("holds ciphertexts {name:?} that are not known: fetch it again")))?;
            let group = &self.groups[place];
            let half = read_poly(ring, row, group.q_limbs, 0)?;
            if !keep(place, index / group.rows_each()) {
                return Ok((None, digests(&half)));
            }
            Ok::<_, Error>((Some(group.row(ring, index, half)), Vec::new()))
        });
        let mut read = read.map_err(named)?;
        let mut made = Vec::with_capacity(self.groups.len());
        for group in &mut self.groups {
            let (rows, digests) = read.remove(&group.tensor).unwrap_or_default().into_iter().unzip();
            group.digests = digests;
            made.push(group.ciphertexts(0..group.scales.len(), rows));
        }
        Ok(made)
    }

    /// Reads some ciphertexts of a group once more, without the limbs above `level`, and checks that they are what they
    /// were.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for a file that has changed or become shorter since, or for ciphertexts that were kept.
    pub fn read_again(&mut self, group: usize, indices: &[usize], level: usize) -> Result<Vec<Ciphertext>> {
        let ring = self.parameters.ring();
        let group = &self.groups[group];
        let q_limbs = level.min(group.q_limbs - 1) + 1;
        let prefix = packed_bytes(ring.n(), ring.widths(q_limbs, 0));
        let each = group.rows_each();
        let rows: Vec<usize> = indices.iter().flat_map(|index| each * index..each * (index + 1)).collect();
        let read = self.stream.read_some(&group.tensor, &rows, prefix, |row, bytes| {
            let seen = group.digests.get(row).filter(|digests| digests.len() >= q_limbs);
            let half =
                ring.packed_row(bytes, q_limbs, 0).filter(|half| seen.is_some_and(|d| digests(half) == d[..q_limbs]));
            let changed = || {
                let which = place_of(&group.tensor, row / each, group.scales.len());
                Error::File(format!(
                    "has changed in {which} while it was being used: leave it alone until training is done, and start again"
                ))
            };
            half.ok_or_else(changed).map(|half| Some(group.row(ring, row, half)))
        })?;
        Ok(group.ciphertexts(indices.iter().copied(), read).into_iter().flatten().collect())
    }
}

impl Expected {
    fn new<R: Read + Seek + Send>(parameters: &Parameters, stream: &ContainerStream<R>, name: &str) -> Result<Self> {
        let [c0, halves] = ["c0", HALVES].map(|part| format!("{name}.{part}"));
        let is_full = stream.header().packed(&halves).is_ok();
        let tensor = if is_full { halves } else { c0 };
        let packed = stream.header().packed(&tensor)?;
        let q_limbs = ciphertext_limbs(parameters.ring(), packed, 0, "ciphertexts")?;
        let (count, seeds) = if is_full {
            if packed.count % 2 == 1 {
                let message = format!("holds ciphertexts {name} of which one has a half only: fetch the file again");
                return Err(Error::File(message));
            }
            (packed.count / 2, None)
        } else {
            let seeds = stream.tensor(&format!("{name}.seed"))?.of_shape(&[packed.count, size_of::<Seed>()])?;
            let (seeds, _) = seeds.u8s()?.as_chunks::<{ size_of::<Seed>() }>();
            (packed.count, Some(seeds.to_vec()))
        };
        let scales = scales(stream.tensor(&format!("{name}.scale"))?, count, name)?;
        Ok(Self { tensor, q_limbs, seeds, scales, digests: Vec::new() })
    }

    /// Rows of a ciphertext.
    fn rows_each(&self) -> usize {
        if self.seeds.is_some() { 1 } else { 2 }
    }

    /// A row that was read, with the uniform half of its ciphertext, if that is drawn from a seed.
    fn row(&self, ring: &Ring, row: usize, half: PackedPoly) -> (PackedPoly, Option<PackedPoly>) {
        let drawn = self.seeds.as_ref().map(|seeds| sampler::uniform_packed(ring, &seeds[row], half.q_limbs(), 0));
        (half, drawn)
    }

    /// The ciphertexts of these places, from all their rows; `None` where rows were not kept.
    fn ciphertexts(
        &self,
        places: impl IntoIterator<Item = usize>,
        rows: Vec<Option<(PackedPoly, Option<PackedPoly>)>>,
    ) -> Vec<Option<Ciphertext>> {
        let mut rows = rows.into_iter();
        let mut next = |place: usize| {
            let first = rows.next()?;
            let second = if self.seeds.is_none() { rows.next()? } else { None };
            let (c0, drawn) = first?;
            Some(Ciphertext::new(c0, drawn.or(second.map(|(c1, _)| c1))?, self.scales[place]))
        };
        places.into_iter().map(&mut next).collect()
    }
}

/// A ciphertext in words.
fn place_of(tensor: &str, index: usize, count: usize) -> String {
    let group = tensor.rsplit_once('.').map_or(tensor, |(group, _)| group);
    format!("ciphertext {} of {count} of its {group}", index + 1)
}

/// Calls a damaged row what it is.
fn named(error: Error) -> Error {
    match error {
        Error::Container(ContainerError::DamagedRow { tensor, row, count }) => {
            let each = if tensor.ends_with(HALVES) { 2 } else { 1 };
            let which = place_of(&tensor, row / each, count / each);
            Error::File(format!("is damaged in {which} (its digest does not match): fetch or write the file again"))
        }
        error => error,
    }
}

fn digests(poly: &PackedPoly) -> Vec<LimbDigest> {
    (0..poly.limbs()).into_par_iter().map(|i| XxHash3_128::oneshot(poly.limb_bytes(i))).collect()
}

fn scales(tensor: Tensor<'_>, count: usize, name: &str) -> Result<Vec<f64>> {
    let scales: Vec<f64> = tensor.of_shape(&[count])?.f64s()?.collect();
    if scales.iter().any(|scale| !scale.is_finite() || *scale < 1.0) {
        return Err(Error::File(format!("holds ciphertexts {name} with an impossible scale: fetch the file again")));
    }
    Ok(scales)
}

/// Adds ciphertexts that share a level under `name`: `name.c0`, `name.c1`, a packed row each, and `name.scale` f64
/// `[count]`.
pub fn write_full<'a>(
    writer: ContainerWriter<'a>,
    parameters: &Parameters,
    name: &str,
    ciphertexts: &[Ciphertext],
) -> ContainerWriter<'a> {
    let Some(first) = ciphertexts.first() else { return writer };
    let (ring, q_limbs) = (parameters.ring(), first.level() + 1);
    debug_assert!(ciphertexts.iter().all(|c| c.level() + 1 == q_limbs));
    let half =
        |c: fn(&Ciphertext) -> &Half| ciphertexts.par_iter().map(|x| pack_poly(ring, &c(x).words(ring))).collect();
    let (widths, scales) = (ring.widths(q_limbs, 0), ciphertexts.iter().map(|c| c.scale).collect::<Vec<_>>());
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
    if c0s.len() != c1s.len() || c0s.iter().zip(&c1s).any(|(a, b)| a.limbs() != b.limbs()) {
        return Err(Error::File(format!("holds ciphertexts {name} whose halves do not match: fetch the file again")));
    }
    let scales = scales(container.tensor(&format!("{name}.scale"))?, c0s.len(), name)?;
    Ok(c0s.into_iter().zip(c1s).zip(scales).map(|((c0, c1), scale)| Ciphertext::new(c0, c1, scale)).collect())
}

/// One half of every ciphertext of a group.
fn read_half(parameters: &Parameters, packed: Packed<'_>) -> Result<Vec<PackedPoly>> {
    let ring = parameters.ring();
    let q_limbs = ciphertext_limbs(ring, packed.shape(), 0, "ciphertexts")?;
    let rows: Vec<&[u8]> = packed.rows().collect();
    rows.into_par_iter().map(|row| read_poly(ring, row, q_limbs, 0)).collect()
}
