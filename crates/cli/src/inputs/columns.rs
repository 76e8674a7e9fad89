//! The flags that say what the columns of a CSV are.

use clap::Args;

/// Which column is the label, and which are left out.
#[derive(Args, Clone, Debug, Default)]
pub struct ColumnFlags {
    /// The label's column in a .csv, by its name in the first line or its number from 1 [default: the first]
    #[arg(long, value_name = "NAME|NUMBER")]
    pub label: Option<String>,

    /// Columns of a .csv to leave out, by name or number; may be given several times, or with commas
    #[arg(long, value_name = "NAME|NUMBER", value_delimiter = ',')]
    pub drop: Vec<String>,
}
