//! Sessions of several owners whose rows, or whose features and labels, must not be put together.
//!
//! Everything here works on bytes: artefacts come from somewhere and go somewhere, through a [`store::Store`], and no
//! step knows a folder, a socket or a terminal. From the bottom up:
//!
//! * [`hash`]: digests of length-prefixed fields, one domain each; [`sealing`]: keys of pairs, and what is sealed;
//! * [`identity`]: an owner's two key pairs, and the card with their public halves;
//! * [`proposal`]: `session.json`, which all owners agree on by its fingerprint;
//! * [`artefact`]: what owners send, each signed and written once;
//! * [`masked`]: sums of integers of which nobody sees a part;
//! * [`held`]: what members of a session with a key holder send, and make of it;
//! * [`moments`]: what a scaler needs to know of all rows, as such sums; [`training`]: gradients;
//! * [`round`]: the rounds of a session and what is sent in them; [`party`]: an owner's turn.
//!
//! [ADR 49](https://github.com/ciphertune/ciphertune/blob/main/docs/adr/0049-sums-of-owners.md) says why it is as it is.

pub mod artefact;
mod error;
pub mod hash;
pub mod held;
pub mod identity;
pub mod masked;
pub mod moments;
pub mod party;
pub mod proposal;
pub mod round;
pub mod sealing;
pub mod store;
pub mod training;

pub use error::{JointError, Result};
