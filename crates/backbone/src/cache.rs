//! Features already extracted, by content: a file for each backbone and preprocessing, a record for each image.
//!
//! A file is a header (8 bytes `CTBBFEA1`, then the number of features d as a little-endian u64) and records of equal
//! length: the SHA-256 of the image's content, d little-endian 32-bit floats, and the first 8 bytes of the SHA-256 of
//! both. Records are only ever appended. A record that was cut short or damaged counts as absent, and is cut off with
//! all that follows it. The file is the owner's and secret like the images: it is created readable by its owner alone.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{BackboneError, Result};

const MAGIC: &[u8; 8] = b"CTBBFEA1";
const HEADER: u64 = 16;
const KEY: usize = 32;
const CHECK: usize = 8;
const EXTENSION: &str = "features";

/// The open cache of one backbone with one preprocessing. While it is open no other process can use it.
pub(crate) struct Cache {
    path: PathBuf,
    file: File,
    features: usize,
    /// Where an image's record starts.
    records: HashMap<[u8; KEY], u64>,
    end: u64,
}

impl Cache {
    /// Opens or creates the cache of `owner` (a digest of backbone and preprocessing) in the folder `folder`.
    pub(crate) fn open(folder: &Path, owner: [u8; 32], features: usize) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(unusable(folder))?;
        let name: String = owner[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("{name}.{EXTENSION}"));
        let file = private_file(&path).map_err(unusable(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(BackboneError::Cache { path, reason: "in use by another process".into() });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&path)(error)),
        }
        let mut cache = Self { path: path.clone(), file, features, records: HashMap::new(), end: HEADER };
        cache.index().map_err(unusable(&path))?;
        Ok(cache)
    }

    /// The features of the image with the content `key`, if they are here.
    pub(crate) fn look_up(&mut self, key: &[u8; KEY]) -> Option<Vec<f32>> {
        let &start = self.records.get(key)?;
        let mut record = vec![0; self.record()];
        self.file.seek(SeekFrom::Start(start)).ok()?;
        self.file.read_exact(&mut record).ok()?;
        if !intact(&record) {
            self.records.remove(key);
            return None;
        }
        let values = record[KEY..record.len() - CHECK].chunks_exact(4);
        Some(values.map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
    }

    /// Adds the features of images.
    pub(crate) fn add(&mut self, rows: &[([u8; KEY], &[f32])]) -> Result<()> {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for (key, values) in rows.iter().filter(|(key, _)| !self.records.contains_key(key)) {
            let start = bytes.len();
            starts.push((*key, self.end + start as u64));
            bytes.extend_from_slice(key);
            values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
            let check = Sha256::digest(&bytes[start..]);
            bytes.extend_from_slice(&check[..CHECK]);
        }
        let written = self.file.seek(SeekFrom::Start(self.end)).and_then(|_| self.file.write_all(&bytes));
        written.map_err(unusable(&self.path))?;
        self.end += bytes.len() as u64;
        self.records.extend(starts);
        Ok(())
    }

    fn record(&self) -> usize {
        KEY + 4 * self.features + CHECK
    }

    /// Reads where the records are; starts anew when the header is not what it should be.
    fn index(&mut self) -> std::io::Result<()> {
        let mut header = MAGIC.to_vec();
        header.extend((self.features as u64).to_le_bytes());
        let length = self.file.metadata()?.len();
        let mut found = Vec::new();
        (&self.file).take(HEADER).read_to_end(&mut found)?;
        if found != header {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            return self.file.write_all(&header);
        }
        let size = self.record();
        let mut reader = BufReader::with_capacity(1 << 20, &self.file);
        let mut record = vec![0; size];
        while self.end + size as u64 <= length {
            reader.read_exact(&mut record)?;
            if !intact(&record) {
                break;
            }
            let key = record[..KEY].try_into().expect("a key has KEY bytes");
            self.records.insert(key, self.end);
            self.end += size as u64;
        }
        self.file.set_len(self.end)
    }
}

/// The number of caches in a folder (one for each backbone with its preprocessing) and their bytes; 0 if there is no
/// such folder.
///
/// # Errors
/// [`BackboneError::File`].
pub fn cache_size(folder: &Path) -> Result<(usize, u64)> {
    let files = cache_files(folder)?;
    let mut bytes = 0;
    for path in &files {
        bytes += std::fs::metadata(path).map_err(BackboneError::file(path))?.len();
    }
    Ok((files.len(), bytes))
}

/// Removes every cache in a folder, and returns how many bytes became free. Other files stay; no folder, no error.
///
/// # Errors
/// [`BackboneError::File`].
pub fn clear_cache(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for path in cache_files(folder)? {
        bytes += std::fs::metadata(&path).map_err(BackboneError::file(&path))?.len();
        std::fs::remove_file(&path).map_err(BackboneError::file(&path))?;
    }
    Ok(bytes)
}

fn cache_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BackboneError::file(folder))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(BackboneError::file(folder))?.path();
        if is_cache(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

/// A file that begins as ours do: a folder that is named by mistake loses nothing else.
fn is_cache(path: &Path) -> bool {
    let begins = || {
        let mut start = [0; MAGIC.len()];
        File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *MAGIC
    };
    path.extension().is_some_and(|extension| extension == EXTENSION) && path.is_file() && begins()
}

fn unusable(path: &Path) -> impl FnOnce(std::io::Error) -> BackboneError + '_ {
    move |error| BackboneError::Cache { path: path.to_owned(), reason: error.to_string() }
}

fn intact(record: &[u8]) -> bool {
    let (body, check) = record.split_at(record.len() - CHECK);
    Sha256::digest(body)[..CHECK] == *check
}

/// Opens or creates a file to read and write, of which nobody but its owner can read anything.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: [u8; 32] = [7; 32];

    fn only_file(folder: &Path) -> PathBuf {
        std::fs::read_dir(folder).expect("a folder").next().expect("a file").expect("readable").path()
    }

    #[test]
    fn what_was_added_is_found_after_reopening() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut cache = Cache::open(folder.path(), OWNER, 2).expect("a new cache");
        assert!(cache.look_up(&[1; 32]).is_none());
        cache.add(&[([1; 32], &[1.0, 2.0]), ([2; 32], &[3.0, 4.0])]).expect("written");
        drop(cache);
        let mut cache = Cache::open(folder.path(), OWNER, 2).expect("the cache");
        assert_eq!(cache.look_up(&[2; 32]), Some(vec![3.0, 4.0]));
        cache.add(&[([3; 32], &[5.0, 6.0])]).expect("written");
        assert_eq!(cache.look_up(&[3; 32]), Some(vec![5.0, 6.0]));
        drop(cache);
        assert_eq!(clear_cache(folder.path()).expect("cleared"), 16 + 3 * 48);
    }

    #[test]
    fn damaged_and_cut_records_count_as_absent() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut cache = Cache::open(folder.path(), OWNER, 1).expect("a new cache");
        cache.add(&[([1; 32], &[1.0]), ([2; 32], &[2.0]), ([3; 32], &[3.0])]).expect("written");
        drop(cache);
        let path = only_file(folder.path());
        let mut bytes = std::fs::read(&path).expect("the cache's file");
        bytes[16 + 44 + 33] ^= 1;
        std::fs::write(&path, &bytes[..bytes.len() - 5]).expect("written");
        let mut cache = Cache::open(folder.path(), OWNER, 1).expect("the cache");
        assert_eq!(cache.look_up(&[1; 32]), Some(vec![1.0]));
        assert!(cache.look_up(&[2; 32]).is_none() && cache.look_up(&[3; 32]).is_none());
        cache.add(&[([2; 32], &[2.0])]).expect("written");
        assert_eq!(cache.look_up(&[2; 32]), Some(vec![2.0]));
    }

    #[test]
    fn a_cache_in_use_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let _open = Cache::open(folder.path(), OWNER, 1).expect("a new cache");
        let error = Cache::open(folder.path(), OWNER, 1).map(drop).expect_err("locked");
        assert!(error.to_string().contains("in use"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_cache() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let _cache = Cache::open(folder.path(), OWNER, 1).expect("a new cache");
        let mode = std::fs::metadata(only_file(folder.path())).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
