//! Learning curves of several methods, traced in the clear: their numbers, and their page.

mod outcome;
pub mod page;

pub use outcome::Outcome;
