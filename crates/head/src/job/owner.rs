//! The owner's side: keys, encryption of a table, decryption of a model, and what it takes to show one.

mod check;
mod cleanup;
mod course;
mod decryption;
mod encryption;
mod kept;
mod keys;
mod record;
mod release;

pub use self::check::Check;
pub use self::course::{COURSE, Course, HeldOut, Stepped};
pub use self::decryption::{Decrypted, decrypt, decrypt_weights};
pub use self::encryption::{EncryptedJob, encrypt};
pub use self::keys::Keys;
pub use self::record::Record;
pub use self::release::{Flooded, Release, Released, flood};
