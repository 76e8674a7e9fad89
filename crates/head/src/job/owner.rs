//! The owner's side: keys, encryption of a table, decryption of a model, and what it takes to show one.

mod check;
mod cleanup;
mod contribution;
mod course;
mod decryption;
mod encryption;
mod kept;
mod keys;
mod opening;
mod record;
mod release;

pub use self::check::Check;
pub use self::contribution::{OwnRows, contribute};
pub use self::course::{COURSE, Course, HeldOut, Stepped};
pub use self::decryption::{Decrypted, decrypt, decrypt_weights, decrypt_weights_of};
pub use self::encryption::{EncryptedJob, encrypt};
pub use self::keys::Keys;
pub use self::opening::{ReleasedWeights, open_weights};
use self::record::MOST_MAGNITUDE;
pub use self::record::Record;
pub use self::release::{Flooded, Release, Released, flood};
