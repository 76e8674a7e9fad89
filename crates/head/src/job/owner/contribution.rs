//! An owner's contribution to a training of several: encrypted under a key of its own, for the server to enter.

use std::io::{Seek, Write};

use ciphertune_ckks::container::ContainerWriter;

use super::super::{CONTRIBUTION, CONTRIBUTION_FORMAT, CONTRIBUTION_INDEX, JobId, document};
use super::encryption::{magnitude_of, write_upload};
use super::{Keys, MOST_MAGNITUDE};
use crate::layout::Source;
use crate::plan::Contribution;
use crate::{Classes, FeatureTable, HeadError, Preconditioned, Result, Scaler};

/// What an owner has of its rows.
#[derive(Clone, Copy, Debug)]
pub struct OwnRows<'a> {
    /// The features, and the scaler that all owners use; only for a contribution of features.
    pub features: Option<(&'a FeatureTable, &'a Scaler)>,
    /// A label a row; only for a contribution of labels.
    pub labels: Option<&'a [String]>,
    /// The classes of all owners' rows, in their order.
    pub classes: &'a Classes,
}

impl OwnRows<'_> {
    fn check(&self, contribution: Contribution, keys: &Keys) -> Result<()> {
        let refuse = |reason: String| Err(HeadError::Contributions(reason));
        let Contribution { gives, rows, .. } = contribution;
        if (self.features.is_some(), self.labels.is_some()) != (gives.features(), gives.labels()) {
            let what = if gives.labels() { "labels" } else { "features" };
            return refuse(format!("the plan has {what} of this owner: give it a table with what it agreed to"));
        }
        let found = self.features.map(|(table, _)| table.rows()).or(self.labels.map(<[String]>::len)).unwrap_or(0);
        if found != rows || self.labels.is_some_and(|labels| labels.len() != rows) {
            return refuse(format!(
                "the table has {found} rows, and the plan {rows} of this owner: agree on another plan"
            ));
        }
        let shape = keys.plan.shape();
        if self.classes.len() != shape.classes || self.features.is_some_and(|(t, _)| t.columns() != shape.features) {
            return refuse("the table has other features or classes than the plan: agree on another plan".into());
        }
        Ok(())
    }
}

/// Encrypts a contribution of the keys' plan under the owner's keys and writes it to `out`, a few ciphertexts at a time.
/// `progress` as in [`super::encrypt`]. Returns bytes and ciphertexts.
///
/// # Errors
///
/// [`HeadError::Contributions`] if the rows are not those of the plan; [`HeadError::Unbounded`] if one owner has all features
/// and they are larger than plans take for granted; as [`super::encrypt`].
pub fn contribute(
    keys: &Keys,
    index: usize,
    job: JobId,
    own: &OwnRows<'_>,
    out: &mut (impl Write + Seek),
    progress: &(dyn Fn(usize, usize) -> Result<()> + Sync),
) -> Result<(u64, usize)> {
    let plan = &keys.plan;
    let contribution = *plan.contributions().get(index).ok_or_else(|| {
        HeadError::Contributions(format!(
            "the plan has {} contribution(s), none of number {index}",
            plan.contributions().len()
        ))
    })?;
    own.check(contribution, keys)?;
    let labels = own.labels.map(|labels| own.classes.indices(labels)).transpose()?.unwrap_or_default();
    let x_hat = match own.features {
        Some((table, scaler)) => {
            let x = scaler.apply_with_ones(table.features())?;
            let problem = Preconditioned::new(plan.recipe(), &x)?;
            // Of several owners' rows the pooled scaler bounds all together, and one's alone say nothing.
            if contribution.rows == plan.shape().rows {
                let magnitude = magnitude_of(plan, &problem.x_hat);
                if magnitude > MOST_MAGNITUDE {
                    return Err(HeadError::Unbounded { magnitude });
                }
            }
            problem.x_hat
        }
        None => nalgebra::DMatrix::zeros(0, 0),
    };
    let source = Source {
        x_hat: &x_hat,
        labels: &labels,
        order: None,
        start: contribution.start,
        offset: None,
        first_rate: plan.schedule().first_rate(),
    };
    let writer: ContainerWriter = document(CONTRIBUTION, CONTRIBUTION_FORMAT, plan, job, keys.id());
    let writer = writer.metadata(CONTRIBUTION_INDEX, index.to_string());
    write_upload(keys, &source, &plan.given(contribution), writer, out, progress)
}
