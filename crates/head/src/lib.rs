//! The classification head: feature tables, scaler, recipes, metrics, and the training of the head itself.
//!
//! Everything here works on bytes and matrices; places of files, terminals and sockets belong to the programs above.
//!
//! The plaintext half, in the order in which an owner uses it:
//!
//! * [`table`] reads features and labels; [`classes`] orders the class names; [`column_names`] compares those of the
//!   columns;
//! * [`scaler`] fits an affine map of the features; [`recipe`] holds the hyperparameters of a training;
//! * [`precondition`] turns the Quadratic Gradient into one more rescaling of the features;
//! * [`descent`] trains in the clear, of rows that may be in several places; [`twin`] does so for comparison only;
//!   [`curves`] traces the paper's methods and our scalers;
//! * [`model`] is the trained head for raw features; [`metrics`] scores it.
//!
//! The encrypted half:
//!
//! * [`plan`] chooses ring, layout and keys for the shape of a table; [`layout`] arranges it in ciphertexts;
//! * [`job`] has the two sides, [`job::owner`] and [`job::server`], and [`train`](mod@train) the circuit that the server runs;
//! * [`inference`] answers encrypted rows with encrypted logits.
//!
//! `examples/train.rs`, `plan.rs` and `predict.rs` of this crate are whole programs of it.

pub mod classes;
pub mod column_names;
pub mod curves;
pub mod descent;
mod error;
pub mod inference;
pub mod job;
pub mod layout;
mod linalg;
pub mod metrics;
pub mod model;
pub mod plan;
pub mod precondition;
pub mod provenance;
pub mod recipe;
pub mod scaler;
mod shuffle;
pub mod table;
pub mod train;
pub mod twin;

pub use classes::Classes;
pub use column_names::ColumnNames;
pub use error::{HeadError, Result};
pub use model::Head;
pub use nalgebra::{self, DMatrix, DVector};
pub use plan::Plan;
pub use precondition::Preconditioned;
pub use provenance::Provenance;
pub use recipe::Recipe;
pub use scaler::{Scaler, ScalerKind, SilentFeatures};
pub use table::{FeatureTable, LabelColumn, TableFormat};
