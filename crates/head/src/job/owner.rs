//! The owner's side: keys, encryption of a table, decryption of a model.

use std::io::{Seek, Write};

use ciphertune_ckks::container::{Container, ContainerError, ContainerWriter};
use ciphertune_ckks::files::{EvaluationKeyFile, SeededGroup};
use ciphertune_ckks::{
    Ciphertext, Complex64, Encoder, KeyId, Parameters, Sampler, SecretKey, decrypt as decrypt_slots,
    encrypt as encrypt_slots, files,
};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::cleanup::Covariance;
use super::server::{carry_name, gradient_name};
use super::{
    FIRST_RECORD_FORMAT, ITERATIONS, JOB, JOB_FORMATS, JOB_ID, JobId, MODEL, MODEL_FORMAT, PLAN, RECORD, RECORD_FORMAT,
};
use super::{group_name, job_id_of, origin};
use crate::layout::{Input, Layout, Plain, Source};
use crate::plan::Estimate;
use crate::plan::estimate::{ReturnedForm, bits_lost_in_a_logit};
use crate::provenance::{self, Provenance};
use crate::{Classes, FeatureTable, Head, HeadError, Plan, Preconditioned, Result, Scaler, precondition};

/// The owner's keys for a plan.
pub struct Keys {
    plan: Plan,
    parameters: Parameters,
    secret: SecretKey,
}

impl Keys {
    /// Draws a secret key for a plan.
    ///
    /// # Errors
    ///
    /// If the operating system's random generator fails.
    pub fn generate(plan: &Plan) -> Result<Self> {
        let parameters = plan.parameters()?;
        let secret = SecretKey::generate(&parameters)?;
        Ok(Self { plan: plan.clone(), parameters, secret })
    }

    /// Reads the secret key of a plan.
    ///
    /// # Errors
    ///
    /// For a file that is damaged, no secret key, or made for another plan's parameters.
    pub fn from_bytes(plan: &Plan, secret_key: &[u8]) -> Result<Self> {
        let parameters = plan.parameters()?;
        let secret = files::secret_key_from_bytes(&parameters, secret_key)?;
        Ok(Self { plan: plan.clone(), parameters, secret })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The identifier of the secret key.
    pub fn id(&self) -> KeyId {
        self.secret.id()
    }

    /// The secret key as a file; overwritten in memory when dropped.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn secret_key_to_bytes(&self) -> Result<impl std::ops::Deref<Target = Vec<u8>> + use<>> {
        Ok(files::secret_key_to_bytes(&self.parameters, &self.secret)?)
    }

    /// Makes the evaluation keys that the plan's training needs and writes them as a file for the server.
    ///
    /// # Errors
    ///
    /// If the random generator or `out` fails.
    pub fn write_evaluation_keys(&self, out: &mut impl std::io::Write) -> Result<()> {
        let needed = &self.plan.estimate()?.operations.keys;
        let keys = EvaluationKeyFile::generate(&self.parameters, &self.secret, needed)?;
        Ok(keys.write(&[(PLAN, self.plan.to_json())], out)?)
    }
}

/// What the owner keeps of a job, to turn the decrypted weights into a head for raw features.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    job: JobId,
    scaler: Scaler,
    unscale: Vec<f64>,
    w0: f64,
    classes: Classes,
    magnitude: f64,
    provenance: Option<Provenance>,
    /// For the clean-up of a release.
    covariance: Option<Covariance>,
}

impl Record {
    /// The job's identifier.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The scaler that was fitted or given.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The classes, in the order of the labels.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// How large the encrypted numbers are in units of what plans take for granted: the larger of the root mean square
    /// of x^ and of the square root of the largest eigenvalue of x^T x^ / n, times the first rate over 4/n where that
    /// is above one. Whitened features and the paper's preconditioning keep it at one or below.
    pub fn magnitude(&self) -> f64 {
        self.magnitude
    }

    /// Whether the plan's prediction of errors holds for this job, and with it the noise that makes a model safe to
    /// show.
    pub fn is_within_plan(&self) -> bool {
        self.magnitude <= MOST_MAGNITUDE
    }

    /// The record as a file.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let scaler = self.scaler.to_bytes()?;
        let names = serde_json::to_string(self.classes.names()).expect("a list of strings");
        let mut writer = ContainerWriter::new(RECORD, RECORD_FORMAT)
            .metadata(JOB_ID, self.job.to_string())
            .metadata("classes", names);
        if let Some(provenance) = &self.provenance {
            writer = writer.metadata(provenance::KEY, provenance.to_json());
        }
        if let Some(covariance) = &self.covariance {
            writer = covariance.write(writer);
        }
        Ok(writer
            .f64("unscale", &[self.unscale.len()], &self.unscale[..])
            .f64("initial-weight", &[1], vec![self.w0])
            .f64("magnitude", &[1], vec![self.magnitude])
            .u8("scaler", &[scaler.len()], scaler)
            .to_bytes()?)
    }

    /// Reads a record, also of the first format, which lacks what releases are cleaned with.
    ///
    /// # Errors
    ///
    /// For a file that is damaged or no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let container = match Container::parse(bytes, RECORD, RECORD_FORMAT) {
            Err(ContainerError::OlderVersion { found: FIRST_RECORD_FORMAT, .. }) => {
                Container::parse(bytes, RECORD, FIRST_RECORD_FORMAT)?
            }
            outcome => outcome?,
        };
        let names: Vec<String> = serde_json::from_str(container.metadata("classes")?)
            .map_err(|e| HeadError::InvalidArtefact(format!("the classes are no list of names: {e}")))?;
        let scaler = Scaler::from_bytes(container.tensor("scaler")?.u8s()?)?;
        let unscale: Vec<f64> = container.tensor("unscale")?.f64s()?.collect();
        let single = |name: &str| -> Result<f64> {
            Ok(container.tensor(name)?.of_shape(&[1])?.f64s()?.next().expect("a tensor of shape [1] has one element"))
        };
        let (w0, magnitude) = (single("initial-weight")?, single("magnitude")?);
        if unscale.len() != scaler.features() + 1 || !unscale.iter().chain([&w0, &magnitude]).all(|x| x.is_finite()) {
            return Err(HeadError::InvalidArtefact("the record's numbers do not fit its scaler".into()));
        }
        let classes = Classes::from_names(names)?;
        let provenance = container.all_metadata().get(provenance::KEY);
        let provenance = provenance.map(|text| Provenance::from_json(text)).transpose()?;
        let covariance = Covariance::read(&container, scaler.features())?;
        let job = job_id_of(container.header())?;
        Ok(Self { job, scaler, unscale, w0, classes, magnitude, provenance, covariance })
    }
}

/// The largest [`Record::magnitude`] that the margin in the plan's prediction of errors covers.
const MOST_MAGNITUDE: f64 = 1.25;

/// See [`Record::magnitude`]. The eigenvalue comes from a power iteration, which ends within a few percent below it.
fn magnitude(x_hat: &DMatrix<f64>, first_rate: f64) -> f64 {
    let (n, d) = x_hat.shape();
    let rms = (x_hat.norm_squared() / (n * d) as f64).sqrt();
    let mut direction = DVector::from_fn(d, |k, _| 1.0 + (k % 7) as f64 / 7.0).normalize();
    let mut eigenvalue = 0.0;
    for _ in 0..30 {
        let next = x_hat.tr_mul(&(x_hat * &direction)) / n as f64;
        eigenvalue = next.norm();
        if eigenvalue == 0.0 {
            break;
        }
        direction = next / eigenvalue;
    }
    rms.max(eigenvalue.sqrt() * (first_rate * n as f64 / 4.0).max(1.0))
}

/// A job as the owner made it.
pub struct EncryptedJob {
    /// Stays with the owner.
    pub record: Record,
    /// Bytes that were written, for the server.
    pub bytes: u64,
    /// Number of ciphertexts in them.
    pub ciphertexts: usize,
}

/// Fits the scaler (or takes the given one), preconditions the features, encrypts a table and writes the job to `out`
/// on the way, a few ciphertexts at a time. Calls `progress` with ciphertexts done and in all, from several threads; its
/// first error ends the work.
///
/// # Errors
///
/// If the table does not have the plan's shape or has one class only, if features are too large after scaling, if
/// randomness or `out` fails.
pub fn encrypt(
    keys: &Keys,
    table: &FeatureTable,
    scaler: Option<Scaler>,
    out: &mut (impl Write + Seek),
    progress: &(dyn Fn(usize, usize) -> Result<()> + Sync),
) -> Result<EncryptedJob> {
    let plan = &keys.plan;
    let names = table.require_labels()?;
    let classes = Classes::from_labels(names)?;
    check_shape(plan, table, &classes)?;
    let recipe = plan.recipe();
    let scaler = match scaler {
        Some(scaler) => scaler,
        None => Scaler::fit(recipe.scaler(), recipe.lambda(), table.features())?,
    };
    let x = scaler.apply_with_ones(table.features())?;
    let problem = Preconditioned::new(recipe, &x)?;
    drop(x);
    let labels = classes.indices(names)?;
    let schedule = plan.schedule();
    let source = Source {
        x_hat: &problem.x_hat,
        labels: &labels,
        offset: problem.offset.as_deref(),
        first_rate: schedule.first_rate(),
    };
    let job = KeyId::random()?;
    let writer = ContainerWriter::new(JOB, *JOB_FORMATS.end())
        .metadata(PLAN, plan.to_json())
        .metadata(JOB_ID, job.to_string())
        .metadata(files::KEY_ID, keys.id().to_string())
        .metadata(files::PARAMETERS_DIGEST, keys.parameters.digest());
    let (bytes, ciphertexts) = write_upload(keys, &source, writer, out, progress)?;
    let magnitude = magnitude(&problem.x_hat, schedule.first_rate());
    let provenance = table.provenance().cloned();
    let covariance = Covariance::of(&problem.x_hat);
    let (unscale, w0) = (problem.unscale, problem.w0);
    let record = Record { job, scaler, unscale, w0, classes, magnitude, provenance, covariance };
    Ok(EncryptedJob { record, bytes, ciphertexts })
}

fn check_shape(plan: &Plan, table: &FeatureTable, classes: &Classes) -> Result<()> {
    let (shape, found) = (plan.shape(), (table.rows(), table.columns(), classes.len()));
    if found == (shape.rows, shape.features, shape.classes) {
        return Ok(());
    }
    Err(HeadError::Mismatch(format!(
        "the keys were planned for {} rows x {} features in {} classes, the table has {} x {} in {}: make keys for this table with keygen",
        shape.rows, shape.features, shape.classes, found.0, found.1, found.2
    )))
}

/// Encrypts the upload and writes it. Returns bytes and ciphertexts.
fn write_upload(
    keys: &Keys,
    source: &Source,
    writer: ContainerWriter<'_>,
    out: &mut (impl Write + Seek),
    progress: &(dyn Fn(usize, usize) -> Result<()> + Sync),
) -> Result<(u64, usize)> {
    let (plan, inputs) = (&keys.plan, keys.plan.inputs());
    let runs: Vec<&[Input]> = inputs.chunk_by(|a, b| a.role == b.role).collect();
    let group = |run: &&[Input]| SeededGroup {
        name: group_name(run[0].role).into(),
        level: run[0].level,
        scales: run.iter().map(|input| input.scale).collect(),
    };
    let groups: Vec<SeededGroup> = runs.iter().map(group).collect();
    let encoder = Encoder::new(plan.literal().log_n);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let encrypt = |index: usize| {
        let input = &inputs[index];
        let coefficients = match plan.layout().pack(source, index) {
            Plain::Slots(values) => encoder.encode(&values, input.scale)?,
            Plain::Subring(parts) => encoder.encode_subring(&parts, input.scale)?,
        };
        let ciphertext = encrypt_slots(&keys.parameters, &keys.secret, &coefficients, input.level, input.scale)?;
        progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, inputs.len())?;
        Ok(ciphertext)
    };
    let starts: Vec<usize> = (0..runs.len()).map(|place| runs[..place].iter().map(|run| run.len()).sum()).collect();
    let bytes = files::write_seeded_streamed(writer, &keys.parameters, &groups, out, |place, range| {
        let wanted = starts[place] + range.start..starts[place] + range.end;
        wanted.into_par_iter().map(encrypt).collect::<Result<Vec<_>>>()
    })?;
    Ok((bytes, inputs.len()))
}

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

/// A decrypted model.
#[derive(Clone, Debug)]
pub struct Decrypted {
    /// The head after every iteration that the server returned, the last one last; with a release, the last one only.
    pub heads: Vec<(usize, Head)>,
    /// What was done for publication.
    pub release: Option<Release>,
}

impl Decrypted {
    /// The head after the last iteration.
    pub fn last(&self) -> &Head {
        &self.heads.last().expect("a model holds at least one iterate").1
    }
}

/// The iterates of a model in the coordinates u that were trained in, classes x (features + 1) with the bias first: for
/// comparison with a twin. For the owner's eyes only, as every decryption.
///
/// # Errors
///
/// As [`decrypt`].
pub fn decrypt_weights(keys: &Keys, model: &[u8]) -> Result<Vec<(usize, DMatrix<f64>)>> {
    decrypt_iterates(keys, &open_model(keys, model)?)
}

/// Reads a model and checks that it belongs to the keys.
fn open_model<'a>(keys: &Keys, model: &'a [u8]) -> Result<Container<'a>> {
    let container = Container::parse(model, MODEL, MODEL_FORMAT)?;
    let (plan, _, key) = origin(container.header())?;
    if key != keys.id() {
        return Err(HeadError::Mismatch(format!(
            "the model is encrypted under key {key}, this is key {}: use the keys that the job was encrypted with",
            keys.id()
        )));
    }
    if plan != keys.plan {
        return Err(HeadError::Mismatch(
            "the model was trained by another plan than the keys': use the keys of its plan".into(),
        ));
    }
    Ok(container)
}

fn decrypt_iterates(keys: &Keys, container: &Container) -> Result<Vec<(usize, DMatrix<f64>)>> {
    let iterations: Vec<usize> = serde_json::from_str(container.metadata(ITERATIONS)?)
        .map_err(|e| HeadError::InvalidArtefact(format!("the list of iterations: {e}")))?;
    let known = 1..=keys.plan.recipe().iterations();
    let increasing = iterations.is_sorted_by(|a, b| a < b) && iterations.iter().all(|t| known.contains(t));
    if iterations.last() != Some(known.end()) || !increasing {
        return Err(HeadError::InvalidArtefact("the model does not list its iterations up to the last".into()));
    }
    let forms = Estimate::returned(&keys.plan)?;
    iterations.into_iter().map(|t| Ok((t, decrypt_iterate(keys, container, t, forms[t - 1])?))).collect()
}

/// Decrypts a model. With `releases` = Some(q), Gaussian noise is added to the weights that makes q such decrypted
/// models safe to show ([`Estimate::flooding_deviation`]), and taken off again where the weights hold little else;
/// without, the head must not be shown to anyone.
///
/// # Errors
///
/// For a model that is damaged, of another key, plan or job, or that decrypts to nonsense.
pub fn decrypt(keys: &Keys, record: &Record, model: &[u8], releases: Option<u32>) -> Result<Decrypted> {
    let container = open_model(keys, model)?;
    let job = job_id_of(container.header())?;
    if job != record.job {
        return Err(HeadError::Mismatch(format!(
            "the model belongs to job {job}, the record to job {}: use the record of that job",
            record.job
        )));
    }
    let (plan, mut weights) = (&keys.plan, decrypt_iterates(keys, &container)?);
    if releases.is_some() && !record.is_within_plan() {
        return Err(HeadError::Unbounded { magnitude: record.magnitude });
    }
    let release = releases.map(|releases| release(plan, record, releases, &mut weights)).transpose()?;
    let head = |(t, u): (usize, DMatrix<f64>)| {
        let scaled = precondition::weights(&u, &record.unscale, record.w0)?;
        let head = Head::from_scaled(&record.scaler, &scaled, record.classes.clone(), plan.recipe())?
            .with_provenance(record.provenance.clone());
        Ok((
            t,
            match release {
                Some(release) => head.mark_published(release.precision_bits),
                None => head,
            },
        ))
    };
    Ok(Decrypted { heads: weights.into_iter().map(head).collect::<Result<_>>()?, release })
}

/// W_t = carry + (1 - eta_t) G_t in the coordinates u.
fn decrypt_iterate(keys: &Keys, container: &Container, t: usize, form: ReturnedForm) -> Result<DMatrix<f64>> {
    let (plan, encoder) = (&keys.plan, Encoder::new(keys.plan.literal().log_n));
    let slots = |name: &str| -> Result<Vec<Vec<Complex64>>> {
        let ciphertexts = files::read_full(&keys.parameters, container, name)?;
        if ciphertexts.len() != plan.layout().weight_ciphertexts() {
            return Err(HeadError::InvalidArtefact(format!(
                "the model holds {} ciphertexts {name}",
                ciphertexts.len()
            )));
        }
        let fits = |c: &Ciphertext| c.level() == form.level.min(1) && (c.scale() / form.scale - 1.0).abs() < 1e-9;
        if !ciphertexts.iter().all(fits) {
            return Err(HeadError::InvalidArtefact(format!(
                "the ciphertexts {name} are not of the plan's level and scale"
            )));
        }
        let open = |c: &Ciphertext| {
            let slots = decrypt_slots(&keys.parameters, &keys.secret, &encoder, c);
            check_range(plan, c, &slots).map(|()| slots)
        };
        ciphertexts.par_iter().map(open).collect()
    };
    let gradient = plan.layout().unpack_open(&slots(&gradient_name(t))?);
    let mut weights = gradient * (1.0 - plan.schedule().eta(t));
    if form.carry {
        weights += plan.layout().unpack_weights(&slots(&carry_name(t))?);
    }
    Ok(weights)
}

/// Refuses values so close to the modulus that they may have wrapped around it: weights that grow out of their range
/// come back as noise, and nothing else would tell.
fn check_range(plan: &Plan, ciphertext: &Ciphertext, slots: &[Complex64]) -> Result<()> {
    let modulus: f64 = plan.literal().q.iter().take(ciphertext.level().min(1) + 1).map(|&q| q as f64).product();
    let limit = 0.75 * modulus / 2.0 / ciphertext.scale();
    let found = slots.iter().map(|slot| slot.re.abs().max(slot.im.abs())).fold(0.0, f64::max);
    if found <= limit { Ok(()) } else { Err(HeadError::Diverged { found, limit }) }
}

/// The least precision that a model is published with.
const LEAST_PUBLISHED_BITS: f64 = 1.0;

/// Floods the last iterate and cleans it up.
fn release(plan: &Plan, record: &Record, releases: u32, weights: &mut Vec<(usize, DMatrix<f64>)>) -> Result<Release> {
    let flooded = flood(plan, releases, weights)?;
    let (_, u) = &mut weights[0];
    let cleaned = record.covariance.as_ref().is_some_and(|covariance| covariance.clean(u, flooded.deviation));
    Ok(Release { cleaned, ..flooded })
}

/// Adds the flooding noise to the last iterate and drops the others: every one shown would be a release of its own.
fn flood(plan: &Plan, releases: u32, weights: &mut Vec<(usize, DMatrix<f64>)>) -> Result<Release> {
    weights.drain(..weights.len() - 1);
    let deviation = plan.estimate()?.flooding_deviation(releases);
    let mut sampler = Sampler::from_os().map_err(ciphertune_ckks::Error::from)?;
    let (_, u) = &mut weights[0];
    u.apply(|x| *x += deviation * sampler.normal());
    // From the weights with their noise: anything computed from those without it would be a release without noise.
    let precision_bits = (u.amax() / deviation).log2();
    if precision_bits < LEAST_PUBLISHED_BITS {
        return Err(HeadError::NothingLeft { bits: precision_bits, least: LEAST_PUBLISHED_BITS });
    }
    Ok(Release { deviation, precision_bits, features: plan.shape().features, cleaned: false })
}
