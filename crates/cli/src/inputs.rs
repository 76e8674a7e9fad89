//! The flags that name examples, and the backbone that makes features of them.

mod backbone;
mod pair;
mod part;

pub use backbone::BackboneFlags;
pub use pair::{PairFlags, TrainFlags};
pub use part::{PartName, part_or_test};
