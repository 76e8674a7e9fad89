//! The server's step: answering a query. Nothing here takes a type that a client holds.

use std::path::PathBuf;
use std::time::Instant;

use ciphertune_ckks::Counts;
use ciphertune_head::inference::InferencePlan;
use ciphertune_head::inference::server::{QueryReader, ServerHead};

use crate::error::{Error, InFile, Result};
use crate::files::{Document, ReadSeek, Source};
use crate::observer::{Observer, Running, Step};
use crate::text::bytes;

/// A relinearisation or rotation takes about this many times as long as a product of ciphertexts: for progress only.
const KEY_SWITCH_WEIGHT: u64 = 10;
/// What the program takes beside ciphertexts and keys.
const PROGRAM_BYTES: usize = 64 << 20;

/// A query of which only the header was read.
pub struct AskedQuery {
    path: PathBuf,
    reader: QueryReader<Box<dyn ReadSeek>>,
    seconds: f64,
}

impl AskedQuery {
    /// Reads the header of a query.
    ///
    /// # Errors
    ///
    /// For a source that is no query, or one that contradicts itself.
    pub fn open(source: Source) -> Result<Self> {
        let start = Instant::now();
        let reader = QueryReader::open(source.content).in_file(&source.path)?;
        Ok(Self { path: source.path, reader, seconds: start.elapsed().as_secs_f64() })
    }

    /// The plan in it.
    pub fn plan(&self) -> &InferencePlan {
        self.reader.plan()
    }

    /// Rows asked about.
    pub fn rows(&self) -> usize {
        self.reader.rows()
    }
}

/// What answering gives.
pub struct Answered {
    /// The encrypted answer's document.
    pub answer: Vec<u8>,
    /// The operations that it took.
    pub counts: Counts,
    /// Whether the head was in the clear and never published: whoever asks enough can compute it.
    pub private_head: bool,
    /// Seconds of reading and checking query, keys and head.
    pub load_seconds: f64,
    /// Seconds of computing the logits, and of the answer's document.
    pub answer_seconds: f64,
}

/// Answers a query with a head, in the clear or encrypted, within so many bytes of memory.
///
/// # Errors
///
/// For documents that are damaged or do not belong together, a query that takes more memory, and
/// [`Error::is_stopped`] soon after the observer asks for it.
pub fn answer(
    query: AskedQuery,
    evaluation_keys: Source,
    head: &Document,
    memory: usize,
    observer: &dyn Observer,
) -> Result<Answered> {
    let AskedQuery { path, reader, seconds } = query;
    let needed = reader.bytes().saturating_add(PROGRAM_BYTES);
    if needed > memory {
        let message = format!(
            "answering takes about {} of memory, and it may take {}: ask with fewer rows at a time, or give it more with --memory if the machine has it",
            bytes(needed),
            bytes(memory)
        );
        return Err(Error::input(message).in_file(&path));
    }
    let start = Instant::now();
    let (answering, private_head) = {
        let _running = Running::new(observer, Step::Reading, None);
        let Source { path: keys_path, content } = evaluation_keys;
        let keys = reader.read_keys(content).in_file(&keys_path)?;
        let read = reader.read_head(&head.bytes).in_file(&head.path)?;
        let private = matches!(&read, ServerHead::Clear(head) if head.published().is_none());
        (reader.read(keys, read).in_file(&path)?, private)
    };
    let load_seconds = seconds + start.elapsed().as_secs_f64();
    let weigh = |counts: Counts| KEY_SWITCH_WEIGHT * counts.key_switches + counts.products;
    let (evaluator, all) = (answering.evaluator(), weigh(answering.operations()));
    let running = Running::new(observer, Step::Answering, Some(all));
    let start = Instant::now();
    let work = || answering.answer();
    let answered = running.watch(|| weigh(evaluator.counts()), || evaluator.stop(), work).in_file(&path)?;
    running.advance(all);
    let (answer, counts) = (answered.to_bytes()?, answered.counts());
    Ok(Answered { answer, counts, private_head, load_seconds, answer_seconds: start.elapsed().as_secs_f64() })
}
