//! A release: a head with noise that makes it safe to show, checked before anybody sees it.
//!
//! ```text
//! model ─ flood ─► Flooded ─┬─ check(rows) ─► Released: scored on rows that the owner knows
//!                           └─ unchecked() ─► Released: the owner says so
//! ```
//!
//! A [`Flooded`] head cannot be read, so nobody publishes one without having decided.

use ciphertune_ckks::Sampler;
use nalgebra::DMatrix;

use super::check::Check;
use super::decryption::{decrypt_of_job, head_for_raw_features};
use super::{Keys, Record};
use crate::plan::estimate::bits_lost_in_a_logit;
use crate::{FeatureTable, Head, HeadError, Plan, Result};

/// Noise added to a model so that it may be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Release {
    /// Standard deviation of the noise in the coordinates that were decrypted.
    pub deviation: f64,
    /// log2 of the largest weight over that deviation: the bits of the weights that are left.
    pub precision_bits: f64,
    /// Features of the head.
    pub features: usize,
    /// Whether noise was taken off again where the weights hold little else. It was not if the record of the job does
    /// not hold the covariance of its features: it was written by an earlier version, or there are more than 2,048.
    pub cleaned: bool,
}

impl Release {
    /// Bits that are left in a logit: [`Self::precision_bits`] - log2 sqrt(d + 1) for d features. A logit of a row of
    /// whitened features sums d + 1 noises of the weights, and so carries sqrt(d + 1) times the noise of one.
    pub fn logit_bits(&self) -> f64 {
        self.precision_bits - bits_lost_in_a_logit(self.features)
    }
}

/// A head with the noise of a release, which nobody has seen.
#[derive(Debug)]
pub struct Flooded {
    head: Head,
    release: Release,
}

/// A head that may be shown to anyone.
#[derive(Clone, Debug)]
pub struct Released {
    /// The head.
    pub head: Head,
    /// The noise that was added to it.
    pub release: Release,
    /// What it was checked by; `None` if its owner did without.
    pub check: Option<Check>,
}

impl Flooded {
    /// The noise that was added.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Scores the head on rows that the owner knows, such as [`Record::kept_rows`]. That it is refused is for the owner's
    /// eyes only: who learns of it learns one bit about the weights.
    ///
    /// # Errors
    ///
    /// [`HeadError::NotBetter`] for a head that says hardly more about the rows than their most frequent class;
    /// for a table that is not one to score this head on.
    pub fn check(self, rows: &FeatureTable) -> Result<Released> {
        let check = Check::of(&self.head, rows)?;
        Ok(Released { check: Some(check), ..self.unchecked() })
    }

    /// The head without a check: what a server that deviates made of it may show what was encrypted.
    pub fn unchecked(self) -> Released {
        Released { head: self.head, release: self.release, check: None }
    }
}

/// The least precision that a model is published with.
const LEAST_PUBLISHED_BITS: f64 = 1.0;

/// Decrypts a model's last iterate, adds the Gaussian noise to its weights that makes `releases` decrypted models safe to
/// show ([`crate::plan::Estimate::flooding_deviation`]), and takes it off again where the weights hold little else.
///
/// # Errors
///
/// As [`super::decrypt`]; [`HeadError::Unbounded`] if the job's numbers are larger than its plan takes for granted;
/// [`HeadError::NothingLeft`].
pub fn flood(keys: &Keys, record: &Record, model: &[u8], releases: u32) -> Result<Flooded> {
    if !record.is_within_plan() {
        return Err(HeadError::Unbounded { magnitude: record.magnitude });
    }
    // The last only: every iterate that is shown would be a release of its own.
    let (_, mut u) = decrypt_of_job(keys, record, model)?.pop().expect("a model holds at least one iterate");
    let noise = add_noise(&keys.plan, releases, &mut u)?;
    let cleaned = record.covariance.as_ref().is_some_and(|covariance| covariance.clean(&mut u, noise.deviation));
    let release = Release { cleaned, ..noise };
    let head = head_for_raw_features(keys, record, &u)?.mark_published(release.precision_bits);
    Ok(Flooded { head, release })
}

pub(super) fn add_noise(plan: &Plan, releases: u32, u: &mut DMatrix<f64>) -> Result<Release> {
    let deviation = plan.estimate()?.flooding_deviation(releases);
    let mut sampler = Sampler::from_os().map_err(ciphertune_ckks::Error::from)?;
    u.apply(|x| *x += deviation * sampler.normal());
    // From the weights with their noise: anything computed from those without it would be a release without noise.
    let precision_bits = (u.amax() / deviation).log2();
    if precision_bits < LEAST_PUBLISHED_BITS {
        return Err(HeadError::NothingLeft { bits: precision_bits, least: LEAST_PUBLISHED_BITS });
    }
    Ok(Release { deviation, precision_bits, features: plan.shape().features, cleaned: false })
}
