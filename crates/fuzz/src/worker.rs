//! Reading one damaged file after another, in this process.

use std::io::Write;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use crate::formats::{Format, Layer};
use crate::mutation::Mutator;

/// What a reader did with a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It said why it cannot be read.
    Refused,
    /// It was read, as undamaged or as something else that is whole.
    Accepted,
    /// It was read although a checksum says that it is damaged, and gave something else than the undamaged file.
    Unnoticed,
    /// The reader panicked: where, and with what words.
    Panicked(String),
}

/// Where the last panic was, as the hook heard it.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Keeps panics from the terminal; what they say is part of an [`Outcome`].
fn listen() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let words = panic.payload_as_str().unwrap_or("a panic");
        *LAST_PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = format!("{place}: {words}");
    }));
}

/// The damaged file of a number, and which part was damaged.
pub(crate) fn damaged(format: &Format, number: u64) -> (Vec<u8>, usize) {
    let place = number as usize % format.layers.len();
    let Layer { bytes, wrap } = &format.layers[place];
    (wrap(Mutator::new(number).damage(bytes)), place)
}

/// Writes the damaged file of a number into a prepared folder and reads it; `undamaged` is what the undamaged file gives.
///
/// # Errors
///
/// If the folder cannot be written.
pub fn read_damaged(format: &Format, folder: &Path, number: u64, undamaged: u64) -> std::io::Result<Outcome> {
    let (bytes, layer) = damaged(format, number);
    let path = folder.join(format.file);
    std::fs::write(&path, bytes)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| (format.read)(&path)));
    Ok(match outcome {
        Ok(Err(_)) => Outcome::Refused,
        Ok(Ok(read)) if format.checked && layer == 0 && read != undamaged => Outcome::Unnoticed,
        Ok(Ok(_)) => Outcome::Accepted,
        Err(_) => Outcome::Panicked(LAST_PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()),
    })
}

/// Prepares a folder, reads the undamaged file, then the damaged ones of these numbers. `out` gets a line `> NUMBER` before
/// and `< NUMBER OUTCOME MICROSECONDS WORDS` after each.
///
/// # Errors
///
/// A sentence if the undamaged file is refused, or the folder or `out` cannot be written.
pub fn work(format: &Format, folder: &Path, numbers: Range<u64>, out: &mut dyn Write) -> Result<(), String> {
    let before = std::panic::take_hook();
    listen();
    let outcome = read_all(format, folder, numbers, out);
    std::panic::set_hook(before);
    outcome
}

fn read_all(format: &Format, folder: &Path, numbers: Range<u64>, out: &mut dyn Write) -> Result<(), String> {
    let text = |error: std::io::Error| format!("{}: {error}", format.name);
    format.prepare(folder).map_err(text)?;
    let path = folder.join(format.file);
    std::fs::write(&path, format.undamaged()).map_err(text)?;
    let undamaged = (format.read)(&path).map_err(|error| format!("{}, undamaged: {error}", format.name))?;
    for number in numbers {
        writeln!(out, "> {number}").and_then(|()| out.flush()).map_err(text)?;
        let start = Instant::now();
        let outcome = read_damaged(format, folder, number, undamaged).map_err(text)?;
        let (word, more) = match outcome {
            Outcome::Refused => ("refused", String::new()),
            Outcome::Accepted => ("accepted", String::new()),
            Outcome::Unnoticed => ("unnoticed", String::new()),
            Outcome::Panicked(words) => ("panicked", words.replace('\n', " ")),
        };
        let took = start.elapsed().as_micros();
        writeln!(out, "< {number} {word} {took} {more}").and_then(|()| out.flush()).map_err(text)?;
    }
    Ok(())
}
