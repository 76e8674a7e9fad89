//! A job's upload on the server: checked as a whole once, kept as far as there is room, and read again from its source
//! beyond that.

use std::io::{Read, Seek};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ciphertune_ckks::container::ContainerStream;
use ciphertune_ckks::files::GroupReader;
use ciphertune_ckks::{Ciphertext, Parameters};

use super::group_name;
use crate::layout::upload::{Kept, Room, Store};
use crate::layout::{Input, Role};
use crate::{HeadError, Plan, Result};

/// An upload that was read once.
pub(super) struct StoredUpload<R> {
    store: JobStore<R>,
    inputs: Vec<Input>,
    /// Bytes of a ciphertext in memory at every level.
    sizes: Vec<usize>,
    room: Room,
    kept: Vec<Option<Ciphertext>>,
}

impl<R: Read + Seek + Send> StoredUpload<R> {
    /// Reads and checks the upload of a plan.
    pub(super) fn read(plan: &Plan, job: ContainerStream<R>, parameters: &Parameters, room: Room) -> Result<Self> {
        let inputs = plan.inputs();
        let of = |role| inputs.iter().filter(move |input| input.role == role).count();
        let roles = [Role::Data, Role::Labels, Role::Offset].map(|role| (role, of(role)));
        let groups: Vec<(Role, usize)> = roles.into_iter().filter(|(_, count)| *count > 0).collect();
        let wrong = || {
            HeadError::InvalidArtefact(
                "the job's ciphertexts are not those that its plan asks for: encrypt the table again with this version"
                    .into(),
            )
        };
        let names: Vec<&str> = groups.iter().map(|(role, _)| group_name(*role)).collect();
        let mut reader = GroupReader::new(parameters, job, &names)?;
        if groups.iter().enumerate().any(|(group, (_, count))| reader.forms(group).len() != *count) {
            return Err(wrong());
        }
        let starts: Vec<usize> = groups
            .iter()
            .scan(0, |next, (_, count)| {
                let start = *next;
                *next += count;
                Some(start)
            })
            .collect();
        let forms = (0..groups.len()).flat_map(|group| reader.forms(group));
        let fits = |((level, scale), input): ((usize, f64), &Input)| level == input.level && scale == input.scale;
        if !forms.zip(&inputs).all(fits) {
            return Err(wrong());
        }
        let levels: Vec<usize> = inputs.iter().map(|input| input.level).collect();
        let sizes = plan.literal().packed_ciphertexts();
        let count = Kept::<JobStore<R>>::from_the_beginning(&levels, &sizes, room);
        let kept: Vec<Option<Ciphertext>> =
            reader.read_all(|group, index| starts[group] + index < count)?.into_iter().flatten().collect();
        // What is not read again need not stay open.
        let source = (count < inputs.len()).then(|| Mutex::new(reader));
        let store = JobStore { source, starts, read_again: Arc::default() };
        Ok(Self { store, inputs, sizes, room, kept })
    }

    /// Ciphertexts in memory, and in all.
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.kept.iter().flatten().count(), self.kept.len())
    }

    /// Counts ciphertexts that are read again.
    pub(super) fn read_again(&self) -> Arc<AtomicU64> {
        self.store.read_again.clone()
    }

    /// As circuits take it.
    pub(super) fn into_upload(self) -> Kept<JobStore<R>> {
        let levels = self.inputs.iter().map(|input| input.level).collect();
        Kept::new(self.store, levels, self.sizes, self.room, self.kept)
    }
}

/// What is read again.
pub(super) struct JobStore<R> {
    /// `None` if everything is kept.
    source: Option<Mutex<GroupReader<R>>>,
    /// The first place of every group.
    starts: Vec<usize>,
    read_again: Arc<AtomicU64>,
}

impl<R: Read + Seek + Send> Store for JobStore<R> {
    type Ciphertext = Ciphertext;

    fn read(&self, places: &[usize], level: usize) -> ciphertune_ckks::Result<Vec<Ciphertext>> {
        let gone = || ciphertune_ckks::Error::Length { found: 0, expected: places.len() };
        let mut source = self.source.as_ref().ok_or_else(gone)?.lock().unwrap_or_else(PoisonError::into_inner);
        let group = |place: usize| self.starts.partition_point(|start| *start <= place) - 1;
        let mut read = Vec::with_capacity(places.len());
        for run in places.chunk_by(|a, b| group(*a) == group(*b)) {
            let group = group(run[0]);
            let indices: Vec<usize> = run.iter().map(|place| place - self.starts[group]).collect();
            read.extend(source.read_again(group, &indices, level)?);
            self.read_again.fetch_add(run.len() as u64, Ordering::Relaxed);
        }
        Ok(read)
    }

    fn lowered(&self, ciphertext: &Ciphertext, level: usize) -> Ciphertext {
        ciphertext.lowered(level)
    }
}
