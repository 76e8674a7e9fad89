//! RNS-CKKS: approximate arithmetic on encrypted vectors of complex numbers.
//!
//! The way through this crate: [`ParametersLiteral`] becomes checked [`Parameters`]; the owner makes a [`SecretKey`]
//! and, for the [`KeySet`] that a circuit asks for, [`EvaluationKeys`]; an [`Encoder`] turns slots into polynomials,
//! [`encrypt`] and [`decrypt`] do what they say; whoever has the evaluation keys computes with an [`Evaluator`] through
//! the interface [`Arithmetic`]. [`files`] writes and reads all of these, [`noise`] predicts their errors.
//!
//! Levels and scales are tracked and checked on every operation and never aligned silently.
//!
//! ```
//! use ciphertune_ckks::{Arithmetic, Complex64, Encoder, EvaluationKeys, Evaluator, KeySet};
//! use ciphertune_ckks::{Parameters, ParametersLiteral, SecretKey, decrypt, encrypt};
//!
//! # fn main() -> Result<(), ciphertune_ckks::Error> {
//! let parameters = Parameters::new(ParametersLiteral::choose(13, 45, 35, 2, 1)?)?;
//! let owner = SecretKey::generate(&parameters)?;
//! let mut needed = KeySet::default();
//! needed.need_relinearization(2);
//! let server = Evaluator::new(EvaluationKeys::generate(&parameters, &owner, &needed)?);
//!
//! let (encoder, scale) = (Encoder::new(13), 2f64.powi(35));
//! let message = encoder.encode(&[Complex64::new(1.5, -0.25)], scale)?;
//! let uploaded = encrypt(&parameters, &owner, &message, 2, scale)?.expand(parameters.ring());
//! let square = server.mul_rescale(&uploaded, &uploaded)?;
//!
//! let slots = decrypt(&parameters, &owner, &encoder, &square);
//! assert!((slots[0] - Complex64::new(2.1875, -0.75)).norm() < 1e-4);
//! # Ok(())
//! # }
//! ```

pub mod arithmetic;
mod ciphertext;
pub mod circuits;
pub mod container;
mod encoder;
mod encryption;
mod entry;
mod error;
mod evaluator;
pub mod files;
mod keys;
pub mod noise;
mod parameters;

pub use arithmetic::Arithmetic;
pub use ciphertext::{Ciphertext, Product, SeededCiphertext};
pub use ciphertune_ring::{Sampler, galois, release_memory, sampler::SIGMA};
pub use encoder::Encoder;
pub use encryption::{decrypt, encrypt};
pub use entry::{ENTRY_FORMAT, ENTRY_KEY, ENTRY_MASK, EntryKey, EntryMask, enter_all};
pub use error::{Error, Result};
pub use evaluator::{Counts, Evaluator, Plaintext};
pub use keys::{EvaluationKeys, KeyId, KeySet, SecretKey};
pub use num_complex::Complex64;
pub use parameters::{Parameters, ParametersLiteral, SECURITY_BITS, SECURITY_BOUNDS, security_bound};
