//! The command line as a user types it, with the real binary and real parameters.

mod bad_input;
mod curves;
mod mixtures;
mod outputs;
mod roles;
mod run;
mod support;
