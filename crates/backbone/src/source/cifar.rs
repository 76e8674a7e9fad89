//! CIFAR-10's binary batches: records of one label byte and 32 x 32 pixels as red, green and blue planes
//! (A. Krizhevsky, "The CIFAR-10 dataset"). A folder gives its training batches in order.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::{Sample, Source, length, records};
use crate::error::{BackboneError, Result};
use crate::picture::Picture;

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + 3 * PLANE;

/// The files `data_batch_1.bin`, `data_batch_2.bin`, ... in a folder; none if it is no CIFAR-10 folder.
pub(super) fn batches_of(folder: &Path) -> Vec<PathBuf> {
    (1..).map(|batch| folder.join(format!("data_batch_{batch}.bin"))).take_while(|path| path.is_file()).collect()
}

pub(super) fn open(path: &Path, batches: Vec<PathBuf>) -> Result<Source> {
    let mut images = 0;
    let mut parts = Vec::new();
    for batch in batches {
        let mut file = File::open(&batch).map_err(BackboneError::file(&batch))?;
        let bytes = length(&mut file).map_err(BackboneError::file(&batch))?;
        if bytes == 0 || bytes % RECORD as u64 != 0 {
            let reason =
                format!("{bytes} bytes are no whole number of CIFAR-10 records of {RECORD}: copy the file again");
            return Err(BackboneError::source(&batch, reason));
        }
        let count = usize::try_from(bytes / RECORD as u64)
            .map_err(|_| BackboneError::source(path, "too large for this machine"))?;
        images += count;
        parts.push((batch, count, BufReader::new(file)));
    }
    let mut parts = parts.into_iter();
    let mut current = parts.next();
    let mut done = 0;
    Ok(records(images, move |record| {
        if current.as_ref().is_some_and(|(_, count, _)| record - done == *count) {
            done = record;
            current = parts.next();
        }
        let (path, _, file) = current.as_mut().expect("the counts of the parts add up to the images");
        let mut bytes = [0u8; RECORD];
        file.read_exact(&mut bytes).map_err(BackboneError::file(path))?;
        let (label, planes) = (bytes[0], &bytes[1..]);
        if label > 9 {
            let reason = format!("record {} has the label {label}: CIFAR-10 has 0 to 9", record - done + 1);
            return Err(BackboneError::source(path, reason));
        }
        let pixels = (0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]).collect();
        let picture = Picture::new(SIDE, SIDE, 3, pixels).expect("32 x 32 x 3 bytes");
        Ok(Sample::pixels(format!("{}, image {}", path.display(), record - done + 1), Some(label.to_string()), picture))
    }))
}
