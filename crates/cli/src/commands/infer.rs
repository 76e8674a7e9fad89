//! `infer`: the server's command that answers a query. Nothing here reads or needs what a client keeps.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::errors::Result;
use crate::progress::Terminal;
use crate::sizes;
use crate::text::{bytes, count, say, seconds, warn};
use ciphertune_session::files::{Document, NewFile, Privacy, Source};
use ciphertune_session::inference::folder::{head_file, query_file};
use ciphertune_session::inference::server::{self, Answered, AskedQuery};
use ciphertune_session::memory;

/// Server: answer encrypted rows with encrypted logits, without any secret
///
/// The head is the server's, in the clear, or HEAD/ as the client encrypted it. The answer can be read by the client
/// alone.
///
/// Who may ask often enough can compute a head in the clear from its logits: offer one that may be known, and answer no
/// strangers with one that was decrypted without --publish.
#[derive(Args)]
pub struct Infer {
    /// Query: the folder that encrypt --for-inference wrote, or the file in it
    #[arg(long, value_name = "QUERY/")]
    query: PathBuf,

    /// Head that decrypt wrote, or the folder (or the file in it) that encrypt --for-inference --head wrote
    #[arg(long, value_name = "FILE|HEAD/")]
    head: PathBuf,

    /// The client's evaluation keys
    #[arg(long, value_name = "FILE")]
    eval_keys: PathBuf,

    /// File to write the encrypted answer to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Most memory that answering may take, such as 8G; a query for which it does not suffice is refused [default: what
    /// this machine has available]
    #[arg(long, value_name = "BYTES", value_parser = sizes::parse_size)]
    memory: Option<usize>,

    /// Replace an answer that is there
    #[arg(long)]
    force: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Infer {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let out = NewFile::plan(&self.out, Privacy::Public, self.force)?;
        let query = AskedQuery::open(Source::open(&query_file(&self.query)?)?)?;
        let rows = query.rows();
        let head = Document::read(&head_file(&self.head)?)?;
        let keys = Source::open(&self.eval_keys)?;
        let answered = server::answer(query, keys, &head, memory::limit(self.memory), &Terminal::new())?;
        out.write(&answered.answer)?;
        if answered.private_head {
            warn(
                "this head was decrypted without --publish: whoever asks enough can compute it, so answer its owner alone",
            );
        }
        if self.json {
            return Ok(say!("{:#}", describe(rows, &answered))?);
        }
        let (switches, products) = (answered.counts.key_switches as usize, answered.counts.products as usize);
        let (load, took) = (seconds(answered.load_seconds), seconds(answered.answer_seconds));
        say!("answered {} in {took}, after reading for {load}", count(rows, "encrypted row"))?;
        say!("  {}, {}", count(switches, "key switch"), count(products, "product"))?;
        if let Some(peak) = memory::peak() {
            say!("  peak memory {}", bytes(peak))?;
        }
        say!("  {}  {}, for the client", self.out.display(), bytes(answered.answer.len()))?;
        let answer = self.out.display();
        say!("next, on the client's side:\n  ciphertune decrypt --logits {answer} --keys KEYS/ --out labels.csv")?;
        Ok(())
    }
}

/// What answering took, in the words of `train --json`.
fn describe(rows: usize, answered: &Answered) -> Value {
    json!({
        "seconds": { "load": answered.load_seconds, "answer": answered.answer_seconds },
        "peak_memory_bytes": memory::peak(),
        "rows": rows,
        "key_switches": answered.counts.key_switches,
        "products": answered.counts.products,
        "answer_bytes": answered.answer.len(),
    })
}
