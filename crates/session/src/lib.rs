//! The owner's and the server's steps, on paths and on bytes.
//!
//! Programs, services and notebooks are built on these. Nothing here knows a terminal or a socket: what a user should
//! see of a long step goes to an [`Observer`], which can also stop it, and errors are sentences that name the file and
//! the remedy.
//!
//! * [`examples`] reads tables, and images through a backbone; [`specimens`] looks at some of them;
//! * [`digits`] come with the program, to try it with;
//! * [`owner`] makes keys, encrypts, decrypts; [`keys_folder`] is what an owner keeps;
//! * [`server`] trains: nothing in it takes a type that holds a secret, a feature or a label;
//! * [`training`] trains with a state that outlives the process, and waits for the owner's answers where the plan has
//!   refreshes; [`steps_folder`] is where the owner makes them;
//! * [`inference`] asks a head about encrypted rows, and answers with encrypted logits;
//! * [`rehearsal`] plays both in one process, beside the same training in the clear;
//! * [`files`] reads and writes files whole or not at all; [`memory`] says how much there is.

pub mod cache;
pub mod digits;
mod error;
pub mod examples;
pub mod files;
pub mod inference;
pub mod job_folder;
pub mod keys_folder;
pub mod memory;
pub mod observer;
pub mod owner;
pub mod publication;
pub mod rehearsal;
pub mod server;
pub mod specimens;
pub mod state_folder;
pub mod steps_folder;
pub mod text;
pub mod training;

pub use error::{Error, InFile, Kind, Result};
pub use observer::{Observer, Silent};
