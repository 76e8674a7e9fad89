//! `ciphertune-fuzz`: damaged files of every format, for hours if need be.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ciphertune_fuzz::{Campaign, Format, Totals, formats, work};
use clap::Parser;

/// Reads damaged files of every format in child processes of at most 2 GiB; keeps those that end a reader by anything
/// but an error, take it 20 s, or are read although a checksum says that they are damaged
#[derive(Parser)]
struct Arguments {
    /// Files of all formats together
    #[arg(long, value_name = "N", default_value_t = 10_000, conflicts_with = "minutes")]
    inputs: u64,

    /// Go on for so long
    #[arg(long, value_name = "M")]
    minutes: Option<u64>,

    /// One format only
    #[arg(long, value_name = "NAME")]
    format: Option<String>,

    /// The first file's number: other numbers are other damage
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,

    /// Folder for files that failed
    #[arg(long, value_name = "DIR", default_value = "fuzz-failures")]
    keep: PathBuf,

    /// Read the file of one number once more, in this process, and say what happens; needs --format
    #[arg(long, value_name = "NUMBER", requires = "format")]
    replay: Option<u64>,

    #[arg(long, hide = true)]
    worker: bool,
    #[arg(long, hide = true, default_value_t = 0)]
    from: u64,
    #[arg(long, hide = true, default_value_t = 0)]
    to: u64,
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

/// Files that a child reads before others have their turn.
const ROUND: u64 = 500;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// Whether all went well.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let mut chosen = formats::all();
    if let Some(name) = &arguments.format {
        let names: Vec<&str> = chosen.iter().map(|format| format.name).collect();
        if !names.contains(&name.as_str()) {
            return Err(format!("there is no format {name}; there are {}", names.join(", ")));
        }
        chosen.retain(|format| format.name == name);
    }
    if arguments.worker {
        let folder = arguments.folder.as_deref().ok_or("a worker needs --folder")?;
        return work(&chosen[0], folder, arguments.from..arguments.to, &mut std::io::stdout()).map(|()| true);
    }
    if let Some(number) = arguments.replay {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        return work(&chosen[0], folder.path(), number..number + 1, &mut std::io::stdout()).map(|()| true);
    }
    let totals = campaign(arguments, &chosen)?;
    Ok(report(&chosen, &totals, arguments))
}

/// All formats in turn, on all cores.
fn campaign(arguments: &Arguments, chosen: &[Format]) -> Result<Vec<Totals>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let campaign = Campaign { program, keep: &arguments.keep };
    let end = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let each = arguments.inputs.div_ceil(chosen.len() as u64);
    let rounds = if end.is_some() { u64::MAX } else { each.div_ceil(ROUND) };
    let totals = Mutex::new(vec![Totals::default(); chosen.len()]);
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let (round, place) = ((turn / chosen.len()) as u64, turn % chosen.len());
            if round >= rounds || end.is_some_and(|end| Instant::now() >= end) {
                return;
            }
            let start = arguments.first + round * ROUND;
            let stop = if end.is_some() { start + ROUND } else { (start + ROUND).min(arguments.first + each) };
            match campaign.run(&chosen[place], start..stop) {
                Ok(more) => totals.lock().expect("no thread panics with it")[place].add(more),
                Err(message) => {
                    failure.lock().expect("no thread panics with it").get_or_insert(message);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    if let Some(message) = failure.into_inner().expect("all threads have ended") {
        return Err(message);
    }
    Ok(totals.into_inner().expect("all threads have ended"))
}

/// The table. Returns whether nothing failed.
fn report(chosen: &[Format], totals: &[Totals], arguments: &Arguments) -> bool {
    println!("| format | files | refused | read | failed | longest, ms | peak, MiB |");
    println!("|---|---|---|---|---|---|---|");
    let line = |name: &str, t: &Totals| {
        let files = t.refused + t.accepted + t.failed.len() as u64;
        let (longest, peak) = (t.longest.as_millis(), t.peak_kib >> 10);
        println!("| {name} | {files} | {} | {} | {} | {longest} | {peak} |", t.refused, t.accepted, t.failed.len());
    };
    let mut all = Totals::default();
    for (format, t) in chosen.iter().zip(totals) {
        line(format.name, t);
        all.add(t.clone());
    }
    line("all", &all);
    for (format, t) in chosen.iter().zip(totals) {
        for (number, how) in &t.failed {
            println!("{}: {how}; again with --format {0} --replay {number}", format.name, how = how);
        }
    }
    if !all.failed.is_empty() {
        println!("kept in {}", arguments.keep.display());
    }
    all.failed.is_empty()
}
