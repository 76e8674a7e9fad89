//! RNS polynomial rings: `Z[X]/(X^N + 1)` modulo a product of word-sized primes.
//!
//! From the bottom up: [`modulus`] (arithmetic modulo one prime), [`kernels`] (the element-wise work on limbs, the one
//! place where an instruction set is chosen), [`ntt`] (transforms), [`galois`] (automorphisms), [`RnsPoly`] and
//! [`Ring`] (polynomials and their operations: products, rescaling, digit decomposition, key switches) and [`sampler`]
//! (secrets, noise, seeded uniform polynomials); [`packing`] is what residues look like in files and keys,
//! [`PackedPoly`] what holds them so. Nothing in this crate knows of keys or ciphertexts.

mod arena;
mod buffer;
mod conversion;
mod error;
pub mod galois;
pub mod kernels;
pub mod modulus;
pub mod ntt;
mod packed_poly;
pub mod packing;
mod poly;
pub mod prime;
mod ring;
pub mod sampler;

pub use buffer::{Buffer, release_memory};
pub use error::{Error, Result};
pub use modulus::Modulus;
pub use ntt::Ntt;
pub use packed_poly::PackedPoly;
pub use poly::RnsPoly;
pub use ring::{Automorphic, Digits, Factor, FactorPair, Ring, Switch};
pub use sampler::{Sampler, Seed};
