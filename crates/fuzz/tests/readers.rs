//! Some hundred damaged files of every format: no reader panics, and none reads what its checksum says is damaged.
//! More of them, with bounds on time and memory: `cargo run --release -p ciphertune-fuzz -- --minutes 60`.

use ciphertune_fuzz::{Format, Outcome, formats, work};

/// Files a format.
const FILES: u64 = 300;

/// Outcomes of all files of a format, with their numbers.
fn outcomes(format: &Format) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    work(format, folder.path(), 0..FILES, &mut lines).expect("an undamaged file is read");
    let lines = String::from_utf8(lines).unwrap();
    lines.lines().filter(|line| line.starts_with('<')).map(str::to_owned).collect()
}

#[test]
fn every_undamaged_file_is_read_and_damaged_ones_are_refused_or_read_but_nothing_worse() {
    let mut bad = Vec::new();
    for format in formats::all() {
        let lines = outcomes(&format);
        assert_eq!(lines.len() as u64, FILES, "{}", format.name);
        let of = |word: &str| lines.iter().filter(|line| line.split(' ').nth(2) == Some(word)).count();
        println!("{}: {} refused, {} read", format.name, of("refused"), of("accepted"));
        // Damage that no reader ever minds would be no damage.
        assert!(of("refused") > 0, "{} refuses nothing", format.name);
        let worse = lines.iter().filter(|line| line.contains("panicked") || line.contains("unnoticed"));
        bad.extend(worse.map(|line| format!("{} {line}", format.name)));
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn a_reader_that_panics_or_does_not_look_at_its_checksum_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let format = |read: fn(&std::path::Path) -> Result<u64, String>| Format::for_tests(b"some bytes".to_vec(), read);
    let outcome = |format: &Format| ciphertune_fuzz::read_damaged(format, folder.path(), 7, 0).unwrap();
    assert!(matches!(outcome(&format(|_| panic!("no"))), Outcome::Panicked(_)));
    assert_eq!(outcome(&format(|_| Ok(1))), Outcome::Unnoticed);
    assert_eq!(outcome(&format(|_| Err("damaged".into()))), Outcome::Refused);
}
