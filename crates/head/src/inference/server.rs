//! The server's side: answering a query with a head. Nothing here takes or makes anything that a client keeps secret.

use std::io::{Read, Seek};
use std::sync::Arc;

use ciphertune_ckks::container::{Container, ContainerStream, ContainerWriter};
use ciphertune_ckks::{Ciphertext, Counts, Encoder, EvaluationKeys, Evaluator, KeyId, Parameters, Plaintext, files};
use rayon::prelude::*;

use super::geometry::LEVEL;
use super::heads::{check_head, names_to_json, weight};
use super::{
    ANSWER, BLOCK, CLASSES, ENCRYPTED_HEAD, Geometry, HEAD_ID, HeadForm, HeadId, INFERENCE_FORMAT, InferencePlan, PLAN,
    QUERY, QUERY_ID, QueryId, ROWS, arrangement, circuit, id_of, origin, plan_of,
};
use crate::model::KIND;
use crate::provenance::{self, Provenance};
use crate::{Head, HeadError, Result};

/// A query of which only the header was read.
pub struct QueryReader<R> {
    stream: ContainerStream<R>,
    plan: InferencePlan,
    parameters: Parameters,
    query: QueryId,
    key: KeyId,
    rows: usize,
    geometry: Geometry,
    provenance: Option<Provenance>,
}

/// A head that was read for a query.
pub enum ServerHead {
    /// In the clear.
    Clear(Box<Head>),
    /// As the client encrypted it: a ciphertext a class.
    Encrypted(HeadId, Vec<Ciphertext>),
}

impl<R: Read + Seek + Send> QueryReader<R> {
    /// Reads the header of a query.
    ///
    /// # Errors
    ///
    /// For a source that is no query, or whose plan, parameters and ciphertexts contradict each other.
    pub fn open(source: R) -> Result<Self> {
        let stream = ContainerStream::open(source, QUERY, INFERENCE_FORMAT)?;
        let header = stream.header();
        let (plan, parameters, key) = origin(header)?;
        let (rows, geometry) = arrangement(header, &plan)?;
        let (found, expected) = (header.packed("rows.c0")?.count, geometry.blocks(rows) * geometry.block());
        if found != expected {
            return Err(HeadError::InvalidArtefact(format!(
                "the query holds {found} ciphertexts where its {rows} rows take {expected}"
            )));
        }
        let provenance = header.all_metadata().get(provenance::KEY);
        let provenance = provenance.map(|text| Provenance::from_json(text)).transpose()?;
        let query = id_of(header, QUERY_ID)?;
        Ok(Self { stream, plan, parameters, query, key, rows, geometry, provenance })
    }

    /// The plan of the query.
    pub fn plan(&self) -> &InferencePlan {
        &self.plan
    }

    /// Rows asked about.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How they lie in ciphertexts.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Bytes of memory that the answer takes, the program itself aside: the query, keys, the head in all rotations that
    /// are held at once, and the sums.
    pub fn bytes(&self) -> usize {
        let (literal, classes) = (self.plan.literal(), self.plan.classes());
        let query = self.geometry.blocks(self.rows) * self.geometry.block() * literal.packed_ciphertexts()[LEVEL];
        let poly = (LEVEL + 1) * (8 << literal.log_n);
        let threads = rayon::current_num_threads();
        let working = circuit::polynomials(&self.geometry, classes, self.geometry.blocks(self.rows), threads);
        query.saturating_add(self.plan.keys().expanded_bytes(literal)).saturating_add(working.saturating_mul(poly))
    }

    /// Reads and checks the evaluation keys.
    ///
    /// # Errors
    ///
    /// For a source that holds no evaluation keys, or keys for another plan or of another secret key than the query's.
    pub fn read_keys<K: Read + Seek + Send>(&self, source: K) -> Result<EvaluationKeys> {
        let stream = ContainerStream::open(source, files::EVALUATION_KEYS, files::EVALUATION_KEYS_FORMAT)?;
        if plan_of(stream.header())? != self.plan {
            return Err(HeadError::Mismatch(
                "the evaluation keys were made for another plan than the query: send the keys of the folder that the query was encrypted with".into(),
            ));
        }
        if files::check_origin(stream.header(), &self.parameters)? != self.key {
            return Err(HeadError::Mismatch(
                "the evaluation keys belong to another secret key than the query: send the keys that the query was encrypted with".into(),
            ));
        }
        Ok(files::read_evaluation_keys(&self.parameters, stream)?)
    }

    /// Reads and checks a head: in the clear, or encrypted under the query's key, as the query wants it.
    ///
    /// # Errors
    ///
    /// For a file that is neither, a head in the other form than the query is for, one of another shape, key or backbone,
    /// or with too large a weight.
    pub fn read_head(&self, bytes: &[u8]) -> Result<ServerHead> {
        let container = Container::parse_any(bytes)?;
        match (self.plan.head(), container.header().kind()) {
            (HeadForm::Clear, ENCRYPTED_HEAD) => Err(HeadError::Mismatch(
                "this head is encrypted, and the query is for one in the clear: pass that, or ask with keys made with --encrypted-head".into(),
            )),
            (HeadForm::Encrypted, KIND) => Err(HeadError::Mismatch(
                "this head is in the clear, and the query is for one that its client encrypted: pass that, or ask with keys made without --encrypted-head".into(),
            )),
            (HeadForm::Clear, _) => {
                let head = Head::from_bytes(bytes)?;
                check_head(&self.plan, &head)?;
                Provenance::check(self.provenance.as_ref(), head.provenance(), "head")?;
                Ok(ServerHead::Clear(Box::new(head)))
            }
            (HeadForm::Encrypted, _) => self.read_encrypted_head(bytes),
        }
    }

    fn read_encrypted_head(&self, bytes: &[u8]) -> Result<ServerHead> {
        let stream = ContainerStream::open(std::io::Cursor::new(bytes), ENCRYPTED_HEAD, INFERENCE_FORMAT)?;
        let (plan, _, key) = origin(stream.header())?;
        if plan != self.plan || key != self.key {
            return Err(HeadError::Mismatch(format!(
                "the head is encrypted under key {key}, the query under key {}: pass the head that was encrypted with the query's keys",
                self.key
            )));
        }
        let id = id_of(stream.header(), HEAD_ID)?;
        let head = files::read_seeded(&self.parameters, stream, &["head"])?.pop().unwrap_or_default();
        if head.len() != plan.classes() || !head.iter().all(|c| fits(c, plan.weight_scale())) {
            return Err(HeadError::InvalidArtefact(
                "the encrypted head's ciphertexts are not those of its plan".into(),
            ));
        }
        Ok(ServerHead::Encrypted(id, head))
    }

    /// Reads and checks the rows.
    ///
    /// # Errors
    ///
    /// For a query that is damaged or does not hold what its plan says.
    pub fn read(self, keys: EvaluationKeys, head: ServerHead) -> Result<Answering> {
        let diagonals = files::read_seeded(&self.parameters, self.stream, &["rows"])?.pop().unwrap_or_default();
        if !diagonals.iter().all(|c| fits(c, self.plan.row_scale())) {
            return Err(HeadError::InvalidArtefact("the query's ciphertexts are not those of its plan".into()));
        }
        let (plan, query, key, rows, geometry) = (self.plan, self.query, self.key, self.rows, self.geometry);
        let evaluator = Arc::new(Evaluator::new(keys));
        Ok(Answering { plan, query, key, rows, geometry, evaluator, diagonals, head })
    }
}

fn fits(ciphertext: &Ciphertext, scale: f64) -> bool {
    ciphertext.level() == LEVEL && ciphertext.scale() == scale
}

/// A query, read and checked, with keys and a head: ready to be answered.
pub struct Answering {
    plan: InferencePlan,
    query: QueryId,
    key: KeyId,
    rows: usize,
    geometry: Geometry,
    evaluator: Arc<Evaluator>,
    diagonals: Vec<Ciphertext>,
    head: ServerHead,
}

impl Answering {
    /// The machine that computes, for a look at its counts while it does.
    pub fn evaluator(&self) -> Arc<Evaluator> {
        self.evaluator.clone()
    }

    /// Key switches and products that the answer takes.
    pub fn operations(&self) -> Counts {
        let (key_switches, products) = self.geometry.operations(self.rows, self.plan.classes());
        Counts { key_switches, products }
    }

    /// Computes the answer.
    ///
    /// # Errors
    ///
    /// [`HeadError::Ckks`] if the keys lack one that the plan needs, or if the evaluator was stopped.
    pub fn answer(self) -> Result<EncryptedAnswer> {
        let (m, geometry) = (&*self.evaluator, &self.geometry);
        // Inside the thread pool, so that steps do not each wait for a hand-over to it.
        let (logits, names) = rayon::scope(|_| -> Result<_> {
            Ok(match &self.head {
                ServerHead::Clear(head) => {
                    let plain = plaintexts(m.parameters(), &self.plan, geometry, head)?;
                    let logits = circuit::with_clear_head(m, geometry, &self.diagonals, &plain)?;
                    (logits, (CLASSES, names_to_json(head.classes())))
                }
                ServerHead::Encrypted(id, head) => {
                    let logits = circuit::with_encrypted_head(m, geometry, &self.diagonals, head)?;
                    (logits, (HEAD_ID, id.to_string()))
                }
            })
        })?;
        let (plan, query, key, rows, block) = (self.plan, self.query, self.key, self.rows, geometry.block());
        Ok(EncryptedAnswer { plan, query, key, rows, block, names, logits, evaluator: self.evaluator })
    }
}

/// The head's classes, encoded.
fn plaintexts(
    parameters: &Parameters,
    plan: &InferencePlan,
    geometry: &Geometry,
    head: &Head,
) -> Result<Vec<Plaintext>> {
    let encoder = Encoder::new(plan.literal().log_n);
    let encode = |class: usize| {
        let values = geometry.weights(|column| weight(head, class, column));
        Ok(Plaintext::encode(parameters, &encoder, &values, LEVEL, plan.weight_scale())?)
    };
    (0..plan.classes()).into_par_iter().map(encode).collect()
}

/// The logits of a query's rows, encrypted.
pub struct EncryptedAnswer {
    plan: InferencePlan,
    query: QueryId,
    key: KeyId,
    rows: usize,
    block: usize,
    /// Whose classes these are, as a metadata entry.
    names: (&'static str, String),
    logits: Vec<Ciphertext>,
    evaluator: Arc<Evaluator>,
}

impl EncryptedAnswer {
    /// Operations that it took.
    pub fn counts(&self) -> Counts {
        self.evaluator.counts()
    }

    /// The answer as a document for the client.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let parameters = self.evaluator.parameters();
        let writer = ContainerWriter::new(ANSWER, INFERENCE_FORMAT)
            .metadata(PLAN, self.plan.to_json())
            .metadata(QUERY_ID, self.query.to_string())
            .metadata(files::KEY_ID, self.key.to_string())
            .metadata(files::PARAMETERS_DIGEST, parameters.digest())
            .metadata(ROWS, self.rows.to_string())
            .metadata(BLOCK, self.block.to_string())
            .metadata(self.names.0, self.names.1.as_str());
        Ok(files::write_full(writer, parameters, "logits", &self.logits).to_bytes()?)
    }
}
