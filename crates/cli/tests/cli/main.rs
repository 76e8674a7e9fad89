//! The command line as a user types it, with the real binary and real parameters.

mod bad_input;
mod columns;
mod completions;
mod curves;
mod images;
mod inference;
mod joint;
mod kills;
mod memory;
mod mixtures;
mod networks;
mod outputs;
mod parts;
mod pictures;
mod publication;
mod refresh;
mod report;
mod roles;
mod run;
mod support;
mod tables;
