//! What the terminal shows: lines, warnings, aligned tables.

use std::fmt::Write as _;

use ciphertune_session::files::Privacy;
pub use ciphertune_session::text::{bytes, count, percent, printable, printable_lines, seconds, thousands};

/// Writes a line to standard output; with `?`, since nobody may be reading.
macro_rules! say {
    ($($argument:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($argument)*)))
    };
}
pub(crate) use say;

/// Writes a warning to standard error.
pub fn warn(message: &str) {
    use std::io::Write as _;
    // Nothing is lost if nobody reads it.
    let _ = writeln!(std::io::stderr(), "warning: {}", printable(message));
}

/// Warns of what was derived from a head, called `what`, if the head is private.
pub fn warn_if_private(privacy: Privacy, what: &str) {
    if privacy == Privacy::Private {
        warn(&format!("this head was decrypted without --publish: keep it and its {what} to yourself"));
    }
}

/// Writes something worth knowing to standard error.
pub fn note(message: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "note: {}", printable(message));
}

/// Names and values in two columns, every line indented by two; a value's further lines stand below its first.
#[derive(Default)]
pub struct Table {
    rows: Vec<(String, String)>,
}

impl Table {
    /// Adds a line.
    pub fn row(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.rows.push((name.to_owned(), value.into()));
        self
    }

    /// The table, ending in a line break.
    pub fn render(&self) -> String {
        let width = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.rows {
            for (index, line) in value.lines().enumerate() {
                let name = if index == 0 { name } else { "" };
                // Writing to a string does not fail.
                let _ = writeln!(text, "  {name:<width$}  {line}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let mut table = Table::default();
        table.row("a", "1").row("long name", "2\nand more");
        assert_eq!(table.render(), "  a          1\n  long name  2\n             and more\n");
    }
}
