//! Circuits on top of [`crate::Arithmetic`]: what can be said once for every machine.

pub mod polynomial;
