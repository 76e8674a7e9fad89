//! The flags that name examples, and the backbone that makes features of them.

mod backbone;
mod pair;

pub use backbone::BackboneFlags;
pub use pair::{PairFlags, TrainFlags};
