//! The error type of this crate. Misuse of the interface and bad input from outside are told apart by name.

use thiserror::Error;

/// What can go wrong in parameters, keys, ciphertext arithmetic and files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The modulus is too large for the ring dimension.
    #[error(
        "log QP = {log_qp:.1} bits is above the 128-bit bound of {bound} bits for ring dimension 2^{log_n}: use fewer levels or a larger ring"
    )]
    Insecure {
        /// log2 of the full modulus, special primes included.
        log_qp: f64,
        /// The bound for this ring dimension.
        bound: u32,
        /// log2 of the ring dimension.
        log_n: u32,
    },
    /// A parameter is not valid in itself.
    #[error("invalid parameters: {0}")]
    Parameters(String),
    /// An operation needs more levels than its operand has.
    #[error("needs {needed} more level(s) than the {left} left: make keys and data with a plan for more iterations")]
    NoLevelLeft {
        /// Levels the operation consumes.
        needed: usize,
        /// Levels the operand has.
        left: usize,
    },
    /// Two operands are at different levels.
    #[error("operands are at levels {0} and {1}: drop the higher one first")]
    LevelMismatch(usize, usize),
    /// Two operands have different scales.
    #[error("operands have scales 2^{0:.6} and 2^{1:.6}: choose the plaintext scale so that they agree")]
    ScaleMismatch(f64, f64),
    /// A value does not fit the modulus at its scale.
    #[error("a value of magnitude {value:.3e} does not fit: at this level and scale the limit is {limit:.3e}")]
    TooLarge {
        /// The magnitude found.
        value: f64,
        /// The largest magnitude that can be represented.
        limit: f64,
    },
    /// More values than slots, or a length that does not fit.
    #[error("{found} values given where {expected} are expected")]
    Length {
        /// The length given.
        found: usize,
        /// The length expected.
        expected: usize,
    },
    /// An evaluation key is missing.
    #[error("the evaluation keys hold no key for {0}: make keys with the plan of this job")]
    MissingKey(String),
    /// Two artefacts were made under different parameters.
    #[error("made under other parameters than the keys: use the keys of the same plan")]
    ParameterMismatch,
    /// [`Evaluator::stop`](crate::Evaluator::stop) was called.
    #[error("stopped")]
    Stopped,
    /// A file is not what it should be.
    #[error("{0}")]
    File(String),
    /// The container of a file is damaged or of another kind.
    #[error(transparent)]
    Container(#[from] crate::container::ContainerError),
    /// The operating system's random generator failed, or a ring could not be built.
    #[error(transparent)]
    Ring(#[from] ciphertune_ring::Error),
}

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;
