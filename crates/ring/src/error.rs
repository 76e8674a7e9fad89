//! The error type of this crate.

use thiserror::Error;

/// What can go wrong when a ring is built or random bytes are drawn.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A ring dimension that is not a power of two in the supported range.
    #[error("ring dimension 2^{0} is not supported: choose 2^4 to 2^17")]
    Dimension(u32),
    /// A number that is not a prime congruent to 1 modulo 2N, or is too large.
    #[error("{modulus} cannot be a modulus of the ring of dimension {n}: it must be a prime below 2^50 congruent to 1 modulo {}", 2 * n)]
    Modulus {
        /// The offending number.
        modulus: u64,
        /// The ring dimension.
        n: usize,
    },
    /// The same prime given twice.
    #[error("the prime {0} is given twice: the primes of a basis must differ")]
    RepeatedPrime(u64),
    /// There are not enough primes of the wanted size.
    #[error("only {found} of {wanted} primes of {bits} bits congruent to 1 modulo {} exist", 2 * n)]
    NotEnoughPrimes {
        /// How many were wanted.
        wanted: usize,
        /// How many were found.
        found: usize,
        /// Their size.
        bits: u32,
        /// The ring dimension.
        n: usize,
    },
    /// The environment asks for kernels that do not exist here.
    #[error("CIPHERTUNE_KERNELS is {choice:?}, but this processor has: {available}")]
    Kernels {
        /// What was asked for.
        choice: String,
        /// What there is.
        available: String,
    },
    /// The operating system's random generator failed.
    #[error("the operating system's random generator failed ({0}): nothing was encrypted")]
    Randomness(String),
}

/// The result of this crate's fallible operations.
pub type Result<T> = std::result::Result<T, Error>;
