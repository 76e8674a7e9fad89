//! The contributions of several owners become one job: each ciphertext is switched from its owner's secret to the key
//! holder's, and those of one block are added up.
//!
//! The job that is written has both halves of every ciphertext. It is trained as any other is, and it is the same byte for
//! byte whoever makes it of the same contributions and entry keys.

use std::io::{Read, Seek, Write};

use ciphertune_ckks::container::ContainerStream;
use ciphertune_ckks::files::{Group, GroupReader};
use ciphertune_ckks::{Ciphertext, EntryKey, KeyId, Parameters, enter_all, files};
use rayon::prelude::*;

use super::super::{
    CONTRIBUTION, CONTRIBUTION_FORMAT, CONTRIBUTION_INDEX, JOB, JOB_FORMATS, JobId, document, in_groups, job_id_of,
    origin,
};
use crate::{HeadError, Plan, Result};

/// A contribution of which only the header was read.
pub struct ContributionReader<R> {
    stream: ContainerStream<R>,
    plan: Plan,
    parameters: Parameters,
    job: JobId,
    key: KeyId,
    index: usize,
}

impl<R: Read + Seek + Send> ContributionReader<R> {
    /// Reads the header of a contribution.
    ///
    /// # Errors
    ///
    /// For a source that is no contribution, or one that its plan does not have.
    pub fn open(source: R) -> Result<Self> {
        let stream = ContainerStream::open(source, CONTRIBUTION, CONTRIBUTION_FORMAT)?;
        let header = stream.header();
        let (plan, parameters, key) = origin(header)?;
        let job = job_id_of(header)?;
        let index: usize = header.parse_metadata(CONTRIBUTION_INDEX)?;
        if index >= plan.contributions().len() {
            let message = format!("the contribution is number {index}, of {} in its plan", plan.contributions().len());
            return Err(HeadError::InvalidArtefact(message));
        }
        Ok(Self { stream, plan, parameters, job, key, index })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Which contribution of the plan it is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The job that it belongs to.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The owner's key that it is encrypted under.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Reads and checks the ciphertexts, and keeps none: they are read again when they are entered.
    ///
    /// # Errors
    ///
    /// For a contribution that is damaged or does not hold what its plan says.
    pub fn read(self) -> Result<ContributionUpload<R>> {
        let inputs = self.plan.inputs();
        let given = self.plan.given(self.plan.contributions()[self.index]);
        let groups = in_groups(&inputs, &given);
        let names: Vec<&str> = groups.iter().map(|(_, group)| group.name.as_str()).collect();
        let wrong = || {
            let message = "the contribution's ciphertexts are not those that its plan asks for: encrypt them again with this version";
            HeadError::InvalidArtefact(message.into())
        };
        let mut reader = GroupReader::new(&self.parameters, self.stream, &names)?;
        let matches = |(place, (_, group)): (usize, &(&[usize], Group))| {
            reader.forms(place).eq(group.scales.iter().map(|scale| (group.level, *scale)))
        };
        if !groups.iter().enumerate().all(matches) {
            return Err(wrong());
        }
        reader.read_all(|_, _| false)?;
        let runs = groups.iter().map(|(run, _)| run.to_vec()).collect();
        let Self { plan, parameters, job, key, index, .. } = self;
        Ok(ContributionUpload { plan, parameters, job, key, index, reader, runs })
    }
}

/// A contribution that was read and checked as a whole.
pub struct ContributionUpload<R> {
    plan: Plan,
    parameters: Parameters,
    job: JobId,
    key: KeyId,
    index: usize,
    reader: GroupReader<R>,
    /// Of every group, what of the upload its ciphertexts are.
    runs: Vec<Vec<usize>>,
}

impl<R: Read + Seek + Send> ContributionUpload<R> {
    /// Those of some ciphertexts of the upload that are there, each with its place in the upload.
    fn read_again(&mut self, wanted: std::ops::Range<usize>) -> Result<Vec<(usize, Ciphertext)>> {
        let mut found = Vec::new();
        for (group, run) in self.runs.iter().enumerate() {
            let places =
                run.partition_point(|index| *index < wanted.start)..run.partition_point(|index| *index < wanted.end);
            if !places.is_empty() {
                let indices: Vec<usize> = places.clone().collect();
                let read = self.reader.read_again(group, &indices, usize::MAX)?;
                found.extend(run[places].iter().copied().zip(read));
            }
        }
        Ok(found)
    }
}

/// Enters the contributions of one job, each with its owner's entry key, and writes the job to `out`. `progress` is told
/// ciphertexts that were entered, and in all. Returns bytes and ciphertexts of the job.
///
/// # Errors
///
/// [`HeadError::Mismatch`] for contributions and keys that do not belong together, or of which one is missing or there twice;
/// for what is damaged; if `out` fails.
pub fn enter<R: Read + Seek + Send>(
    contributions: Vec<(ContributionUpload<R>, EntryKey)>,
    out: &mut (impl Write + Seek),
    progress: &(dyn Fn(usize, usize) -> Result<()> + Sync),
) -> Result<(u64, usize)> {
    let mismatch = |reason: String| HeadError::Mismatch(reason);
    let Some((first, key)) = contributions.first() else {
        return Err(mismatch("there is no contribution".into()));
    };
    let (plan, parameters, job, holder) = (first.plan.clone(), first.parameters.clone(), first.job, key.holder());
    let mut found = vec![false; plan.contributions().len()];
    for (contribution, key) in &contributions {
        let number = contribution.index;
        if contribution.plan != plan || contribution.job != job {
            return Err(mismatch(format!("contribution {number} is of another plan or job than the first")));
        }
        if key.from() != contribution.key || key.holder() != holder {
            return Err(mismatch(format!("the entry key of contribution {number} is of another owner or key holder")));
        }
        if key.level() < plan.entry_level() {
            return Err(mismatch(format!("the entry key of contribution {number} is for another plan")));
        }
        if std::mem::replace(&mut found[number], true) {
            return Err(mismatch(format!("contribution {number} is there twice")));
        }
    }
    if let Some(missing) = found.iter().position(|found| !found) {
        return Err(mismatch(format!("contribution {missing} is missing")));
    }
    let inputs = plan.inputs();
    let everything: Vec<usize> = (0..inputs.len()).collect();
    let (runs, groups): (Vec<&[usize]>, Vec<Group>) = in_groups(&inputs, &everything).into_iter().unzip();
    let (mut uploads, keys): (Vec<ContributionUpload<R>>, Vec<EntryKey>) = contributions.into_iter().unzip();
    let writer = document(JOB, *JOB_FORMATS.end(), &plan, job, holder);
    let bytes = files::write_full_streamed(writer, &parameters, &groups, out, |place, range| {
        let first = runs[place][range.start];
        let wanted = first..first + range.len();
        let mut sent: Vec<Vec<(&EntryKey, Ciphertext)>> = wanted.clone().map(|_| Vec::new()).collect();
        for (upload, key) in uploads.iter_mut().zip(&keys) {
            for (index, ciphertext) in upload.read_again(wanted.clone())? {
                sent[index - wanted.start].push((key, ciphertext));
            }
        }
        let entered = sent.into_par_iter().map(|sent| Ok(enter_all(&parameters, &sent)?));
        let entered = entered.collect::<Result<Vec<_>>>()?;
        progress(wanted.end, inputs.len())?;
        Ok::<_, HeadError>(entered)
    })?;
    Ok((bytes, inputs.len()))
}
