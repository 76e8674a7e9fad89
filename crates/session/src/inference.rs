//! Encrypted inference: the client's and the server's steps, and the folders and files that they use.
//!
//! ```text
//! KEYS/                       mode 0700, the client's
//!   secret.key                mode 0600: never leaves the client; a key of its own, never that of a training
//!   evaluation.keys           for the server, once for any number of queries
//!   inference.json            features, classes, how the server has the head, ring: public
//!   heads/HEAD-ID/record.safetensors    class names of an encrypted head: the client's
//! QUERY/query.safetensors     encrypted rows, for the server
//! HEAD/encrypted-head.safetensors       for a server that is not to see the head
//! ```
//!
//! A head's record is a companion of its folder, as a job's is ([`crate::keys_folder`]).

pub mod client;
pub mod folder;
pub mod server;
