//! The flags that name examples, and the backbone that makes features of them.

mod backbone;
mod columns;
mod pair;
mod part;

pub use backbone::BackboneFlags;
pub use columns::{ColumnFlags, is_csv, note_left_out};
pub use pair::{PairFlags, TrainFlags};
pub use part::{PartName, part_or_test};
