//! RNS-CKKS: approximate arithmetic on encrypted vectors of complex numbers.

pub mod arithmetic;
pub mod container;
mod error;

pub use arithmetic::Arithmetic;
pub use error::{Error, Result};
pub use num_complex::Complex64;
