//! Trains a head on encrypted features, with both roles in one program. Keys and job are bytes: how they get from the
//! owner to the server and back is up to the caller.
//!
//!     cargo run --release -p ciphertune-head --example train

use std::error::Error;
use std::io::Cursor;

use ciphertune_head::job::{owner, server};
use ciphertune_head::layout::Shape;
use ciphertune_head::plan::{self, Constraints};
use ciphertune_head::train::Returned;
use ciphertune_head::{DMatrix, FeatureTable, Recipe};

fn main() -> Result<(), Box<dyn Error>> {
    // Rows of class c lie around the unit vector of feature c.
    let shape = Shape { rows: 120, features: 4, classes: 3 };
    let x = DMatrix::from_fn(120, 4, |row, k| f64::from(row % 3 == k) + 0.4 * ((7 * row + 5 * k) as f64).sin());
    let table = FeatureTable::new(x, Some((0..120).map(|row| format!("class {}", row % 3)).collect()))?;

    // Owner: keys for a plan, which holds no data; then the job.
    let plan = plan::choose(shape, &Recipe::default_for(2)?, &Constraints::default())?;
    let keys = owner::Keys::generate(&plan)?;
    let (mut evaluation_keys, mut job) = (Vec::new(), Cursor::new(Vec::new()));
    keys.write_evaluation_keys(&mut evaluation_keys)?;
    let record = owner::encrypt(&keys, &table, None, &mut job, &|_, _| Ok(()))?.record;

    // Server: sees evaluation keys and ciphertexts, and returns a ciphertext.
    let model = server::Trainer::new(job.get_ref(), &evaluation_keys)?.train(Returned::Last)?.to_bytes()?;

    // Owner: the head, for raw features. One that others will see takes a number of releases in place of `None`.
    let decrypted = owner::decrypt(&keys, &record, &model)?;
    let score = decrypted.last().evaluate(&table)?;
    println!("trained on {} bytes of ciphertext: {} of {} rows right", job.get_ref().len(), score.right, score.rows);
    if score.accuracy < 0.9 {
        return Err("these classes are easy to tell apart".into());
    }
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn Error>> {
    main()
}
