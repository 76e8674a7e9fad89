//! The directory of a ZIP archive against the entries themselves.
//!
//! Every entry has its name twice: in front of its content and in the directory at the archive's end, which alone has the
//! say and is covered by no checksum. Damage to the directory would take an array away, or give it another name, without
//! a word; so both are compared.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

use zip::ZipArchive;
use zip::result::{ZipError, ZipResult};

/// What an entry begins with.
const SIGNATURE: &[u8; 4] = b"PK\x03\x04";
/// Bytes in front of an entry's name.
const HEADER: usize = 30;
/// Between an entry's content and the next may stand its sizes and checksum: with or without a signature of its own, with
/// sizes of four or eight bytes.
const GAPS: [usize; 5] = [0, 12, 16, 20, 24];

/// The archive, if its directory names just the entries that it has.
pub fn checked<R: Read + Seek>(source: R) -> ZipResult<ZipArchive<R>> {
    let mut archive = ZipArchive::new(source)?;
    let mut entries = Vec::with_capacity(archive.len());
    for place in 0..archive.len() {
        let entry = archive.by_index_raw(place)?;
        let end = entry.data_start().and_then(|start| start.checked_add(entry.compressed_size()));
        entries.push((entry.header_start(), end.ok_or(damaged())?, entry.name_raw().to_vec()));
    }
    let starts: BTreeSet<u64> = entries.iter().map(|&(start, ..)| start).collect();
    let mut source = archive.into_inner();
    for (start, end, name) in &entries {
        let head = bytes_at(&mut source, *start, HEADER + name.len())?;
        let length = head.get(26..28).map(|length| usize::from(u16::from_le_bytes([length[0], length[1]])));
        if !head.starts_with(SIGNATURE) || length != Some(name.len()) || head[HEADER..] != name[..] {
            return Err(damaged());
        }
        let after = bytes_at(&mut source, *end, GAPS[GAPS.len() - 1] + SIGNATURE.len())?;
        let unlisted = |gap: &usize| {
            after.get(*gap..).is_some_and(|rest| rest.starts_with(SIGNATURE)) && !starts.contains(&(end + *gap as u64))
        };
        if GAPS.iter().any(unlisted) {
            return Err(damaged());
        }
    }
    ZipArchive::new(source)
}

fn damaged() -> ZipError {
    ZipError::InvalidArchive("its directory does not fit its entries".into())
}

/// Up to `count` bytes: fewer where the source ends.
fn bytes_at(source: &mut (impl Read + Seek), start: u64, count: usize) -> ZipResult<Vec<u8>> {
    source.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    source.by_ref().take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn archive() -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a.npy", "b.npy"] {
            writer.start_file(name, SimpleFileOptions::default()).unwrap();
            writer.write_all(&[7; 40]).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn a_directory_that_names_other_entries_or_leaves_one_out_is_refused() {
        let bytes = archive();
        assert_eq!(checked(Cursor::new(&bytes)).unwrap().len(), 2);
        let last = |name: &[u8]| bytes.windows(name.len()).rposition(|window| window == name).unwrap();
        let renamed = |name: &str| {
            let mut damaged = bytes.clone();
            damaged[last(b"b.npy")..][..5].copy_from_slice(name.as_bytes());
            checked(Cursor::new(damaged)).is_err()
        };
        // Another name, and one that is there twice, so that one entry goes lost.
        assert!(renamed("c.npy") && renamed("a.npy"));
        // The directory's own count of entries says one: the second entry is not listed.
        let mut damaged = bytes.clone();
        let end = last(b"PK\x05\x06");
        damaged[end + 8] = 1;
        damaged[end + 10] = 1;
        assert!(checked(Cursor::new(damaged)).is_err());
    }
}
