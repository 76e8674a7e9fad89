//! The client's side: keys, encryption of rows and of heads, decryption of answers.

use std::io::{Seek, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use ciphertune_ckks::container::{Container, ContainerWriter};
use ciphertune_ckks::files::{EvaluationKeyFile, Group};
use ciphertune_ckks::{
    Ciphertext, Complex64, Encoder, KeyId, Parameters, SecretKey, decrypt as decrypt_slots, encrypt as encrypt_slots,
    files,
};
use nalgebra::DMatrix;
use rayon::prelude::*;

use super::geometry::LEVEL;
use super::heads::{check_head, names_from_json, names_to_json, weight};
use super::{
    ANSWER, BLOCK, CLASSES, ENCRYPTED_HEAD, HEAD_ID, HEAD_RECORD, HeadForm, HeadId, INFERENCE_FORMAT, InferencePlan,
    PLAN, QUERY, QUERY_ID, QueryId, ROWS, arrangement, id_of, origin,
};
use crate::linalg::with_ones;
use crate::provenance::{self, Provenance};
use crate::{Classes, FeatureTable, Head, HeadError, Result};

/// The client's keys for a plan.
pub struct Keys {
    plan: InferencePlan,
    parameters: Parameters,
    secret: SecretKey,
}

impl Keys {
    /// Draws a secret key for a plan.
    ///
    /// # Errors
    ///
    /// If the operating system's random generator fails.
    pub fn generate(plan: &InferencePlan) -> Result<Self> {
        let parameters = plan.parameters()?;
        let secret = SecretKey::generate(&parameters)?;
        Ok(Self { plan: plan.clone(), parameters, secret })
    }

    /// Reads the secret key of a plan.
    ///
    /// # Errors
    ///
    /// For a file that is damaged, no secret key, or made for another plan's parameters.
    pub fn from_bytes(plan: &InferencePlan, secret_key: &[u8]) -> Result<Self> {
        let parameters = plan.parameters()?;
        let secret = files::secret_key_from_bytes(&parameters, secret_key)?;
        Ok(Self { plan: plan.clone(), parameters, secret })
    }

    /// The plan.
    pub fn plan(&self) -> &InferencePlan {
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

    /// Makes the evaluation keys that answers take, for queries of any number of rows, and writes them as a file for the
    /// server.
    ///
    /// # Errors
    ///
    /// If the random generator or `out` fails.
    pub fn write_evaluation_keys(&self, out: &mut impl Write) -> Result<()> {
        let keys = EvaluationKeyFile::generate(&self.parameters, &self.secret, &self.plan.keys())?;
        Ok(keys.write(&[(PLAN, self.plan.to_json())], out)?)
    }

    fn writer(&self, kind: &str) -> ContainerWriter<'static> {
        ContainerWriter::new(kind, INFERENCE_FORMAT)
            .metadata(PLAN, self.plan.to_json())
            .metadata(files::KEY_ID, self.id().to_string())
            .metadata(files::PARAMETERS_DIGEST, self.parameters.digest())
    }

    /// Encrypts the vectors of slots that `values` gives, and writes them as the group `name`. Returns the bytes.
    fn write_slots(
        &self,
        writer: ContainerWriter<'_>,
        (name, count, scale): (&str, usize, f64),
        values: impl Fn(usize) -> Vec<Complex64> + Sync,
        out: &mut (impl Write + Seek),
        progress: &(dyn Fn(usize, usize) -> Result<()> + Sync),
    ) -> Result<u64> {
        let (encoder, done) = (Encoder::new(self.plan.literal().log_n), AtomicUsize::new(0));
        let encrypt = |index: usize| {
            let coefficients = encoder.encode(&values(index), scale)?;
            let ciphertext = encrypt_slots(&self.parameters, &self.secret, &coefficients, LEVEL, scale)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, count)?;
            Ok(ciphertext)
        };
        let group = Group { name: name.into(), level: LEVEL, scales: vec![scale; count] };
        files::write_seeded_streamed(writer, &self.parameters, &[group], out, |_, range| {
            range.into_par_iter().map(encrypt).collect::<Result<Vec<_>>>()
        })
    }
}

/// A query as the client made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its identifier.
    pub id: QueryId,
    /// Bytes that were written, for the server.
    pub bytes: u64,
    /// Number of ciphertexts in them.
    pub ciphertexts: usize,
}

/// Number of ciphertexts that so many rows take, for progress.
///
/// # Errors
///
/// [`HeadError::NoPlan`] for more rows than a query holds.
pub fn query_ciphertexts(plan: &InferencePlan, rows: usize) -> Result<usize> {
    let geometry = plan.geometry_for(rows)?;
    Ok(geometry.blocks(rows) * geometry.block())
}

/// Encrypts rows of raw features into a query and writes it to `out` on the way, a few ciphertexts at a time. Labels are
/// not looked at. Calls `progress` with ciphertexts done and in all, from several threads; its first error ends the work.
///
/// # Errors
///
/// If the rows do not have the plan's number of features, if a feature is too large, if randomness or `out` fails.
pub fn encrypt_rows(
    keys: &Keys,
    table: &FeatureTable,
    out: &mut (impl Write + Seek),
    progress: &(dyn Fn(usize, usize) -> Result<()> + Sync),
) -> Result<Query> {
    let (plan, rows) = (&keys.plan, table.rows());
    let (found, expected) = (table.columns(), plan.features());
    if found != expected {
        return Err(HeadError::Mismatch(format!(
            "the rows have {found} features, the keys were made for {expected}: use rows of the head's features, or make keys for these with keygen --for-inference"
        )));
    }
    if let Some(index) = table.features().iter().position(|x| x.abs() > plan.most()) {
        return Err(HeadError::Mismatch(format!(
            "row {} has a feature of size {:.3e}, at most {} can be asked about: remove the row, or train the head on features divided by a constant",
            index % rows + 1,
            table.features()[index].abs(),
            plan.most()
        )));
    }
    let geometry = plan.geometry_for(rows)?;
    let x = with_ones(table.features());
    let (id, block, ciphertexts) = (KeyId::random()?, geometry.block(), geometry.blocks(rows) * geometry.block());
    let mut writer = keys
        .writer(QUERY)
        .metadata(QUERY_ID, id.to_string())
        .metadata(ROWS, rows.to_string())
        .metadata(BLOCK, block.to_string());
    if let (HeadForm::Clear, Some(provenance)) = (plan.head(), table.provenance()) {
        // For the server to refuse features of another backbone than its head's.
        writer = writer.metadata(provenance::KEY, provenance.to_json());
    }
    let values = |index: usize| geometry.diagonal(&x, index / block, index % block);
    let bytes = keys.write_slots(writer, ("rows", ciphertexts, plan.row_scale()), values, out, progress)?;
    Ok(Query { id, bytes, ciphertexts })
}

/// What the client keeps of an encrypted head: what its logits are called.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadRecord {
    id: HeadId,
    classes: Classes,
    provenance: Option<Provenance>,
}

impl HeadRecord {
    /// The encrypted head's identifier.
    pub fn id(&self) -> HeadId {
        self.id
    }

    /// The classes, in the order of the logits.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// The backbone of the features that the head reads, if known.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// The record as a file.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut writer = ContainerWriter::new(HEAD_RECORD, INFERENCE_FORMAT)
            .metadata(HEAD_ID, self.id.to_string())
            .metadata(CLASSES, names_to_json(&self.classes));
        if let Some(provenance) = &self.provenance {
            writer = writer.metadata(provenance::KEY, provenance.to_json());
        }
        Ok(writer.to_bytes()?)
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// For a file that is damaged or no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let container = Container::parse(bytes, HEAD_RECORD, INFERENCE_FORMAT)?;
        let provenance = container.all_metadata().get(provenance::KEY);
        Ok(Self {
            id: id_of(container.header(), HEAD_ID)?,
            classes: names_from_json(container.metadata(CLASSES)?)?,
            provenance: provenance.map(|text| Provenance::from_json(text)).transpose()?,
        })
    }
}

/// Encrypts a head for a server that is not to see it, and writes it to `out`. Returns the record, which stays, and the
/// bytes written.
///
/// # Errors
///
/// If the keys are for a head in the clear or one of another shape, if a weight is too large, if randomness or `out`
/// fails.
pub fn encrypt_head(keys: &Keys, head: &Head, out: &mut (impl Write + Seek)) -> Result<(HeadRecord, u64)> {
    let plan = &keys.plan;
    if plan.head() != HeadForm::Encrypted {
        return Err(HeadError::Mismatch(
            "the keys are for a head that the server has in the clear: make others with keygen --for-inference --encrypted-head".into(),
        ));
    }
    check_head(plan, head)?;
    let id = KeyId::random()?;
    let geometry = plan.geometry_for(1)?;
    let writer = keys.writer(ENCRYPTED_HEAD).metadata(HEAD_ID, id.to_string());
    let weights = |class: usize| geometry.weights(|column| weight(head, class, column));
    let group = ("head", plan.classes(), plan.weight_scale());
    let bytes = keys.write_slots(writer, group, weights, out, &|_, _| Ok(()))?;
    let record = HeadRecord { id, classes: head.classes().clone(), provenance: head.provenance().cloned() };
    Ok((record, bytes))
}

/// What an answer says about the classes of its logits.
#[derive(Clone, Debug, PartialEq)]
pub enum Answerer {
    /// The server's head, in the clear, with these classes.
    Clear(Classes),
    /// An encrypted head: the client's record has the classes.
    Encrypted(HeadId),
}

/// A decrypted answer.
#[derive(Clone, Debug)]
pub struct Logits {
    /// The query that it answers.
    pub query: QueryId,
    /// Whose classes these are.
    pub answerer: Answerer,
    /// Logits, rows x classes. For the client's eyes only, as every decryption.
    pub values: DMatrix<f64>,
}

/// Decrypts an answer.
///
/// # Errors
///
/// For an answer that is damaged, of another key or plan, or that decrypts to values that may have wrapped around.
pub fn open(keys: &Keys, answer: &[u8]) -> Result<Logits> {
    let container = Container::parse(answer, ANSWER, INFERENCE_FORMAT)?;
    let header = container.header();
    let (plan, _, key) = origin(header)?;
    if key != keys.id() {
        return Err(HeadError::Mismatch(format!(
            "the answer is encrypted under key {key}, this is key {}: use the keys that the query was encrypted with",
            keys.id()
        )));
    }
    if plan != keys.plan {
        return Err(HeadError::Mismatch("the answer has another plan than the keys: use the keys of its query".into()));
    }
    let (rows, geometry) = arrangement(header, &plan)?;
    let query = id_of(header, QUERY_ID)?;
    let answerer = match plan.head() {
        HeadForm::Clear => Answerer::Clear(names_from_json(header.metadata(CLASSES)?)?),
        HeadForm::Encrypted => Answerer::Encrypted(id_of(header, HEAD_ID)?),
    };
    let named = if let Answerer::Clear(classes) = &answerer { classes.len() } else { plan.classes() };
    let ciphertexts = files::read_full(&keys.parameters, &container, "logits")?;
    if ciphertexts.len() != geometry.blocks(rows) * plan.classes() || named != plan.classes() {
        return Err(HeadError::InvalidArtefact(format!(
            "the answer holds {} ciphertexts and {named} classes, which are not those of its query",
            ciphertexts.len()
        )));
    }
    let fits = |c: &Ciphertext| c.level() == LEVEL && (c.scale() / plan.logit_scale() - 1.0).abs() < 1e-9;
    if !ciphertexts.iter().all(fits) {
        return Err(HeadError::InvalidArtefact(
            "the answer's ciphertexts are not of the plan's level and scale".into(),
        ));
    }
    let encoder = Encoder::new(plan.literal().log_n);
    let slots: Vec<Vec<Complex64>> =
        ciphertexts.par_iter().map(|c| decrypt_slots(&keys.parameters, &keys.secret, &encoder, c)).collect();
    let values = geometry.logits(&slots, rows, plan.classes());
    let (largest, limit) = (values.amax(), plan.most_logit());
    if largest > limit {
        return Err(HeadError::Mismatch(format!(
            "the decrypted logits reach {largest:.1}, at most {limit:.1} can be told from a wrap-around: the rows or the head's weights are too large, or the answer is not what the server was asked for"
        )));
    }
    Ok(Logits { query, answerer, values })
}
