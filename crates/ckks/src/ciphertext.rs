//! Ciphertexts and unrelinearised products: polynomials with a scale. The level is one less than the number of limbs.

use std::sync::Arc;

use ciphertune_ring::{Ring, RnsPoly, Seed, sampler};

/// A ciphertext (c0, c1) with c0 + c1 s = scale m + noise. Copies share their polynomials.
#[derive(Clone, Debug)]
pub struct Ciphertext {
    pub(crate) c0: Arc<RnsPoly>,
    pub(crate) c1: Arc<RnsPoly>,
    pub(crate) scale: f64,
}

impl Ciphertext {
    pub(crate) fn new(c0: RnsPoly, c1: RnsPoly, scale: f64) -> Self {
        Self { c0: Arc::new(c0), c1: Arc::new(c1), scale }
    }

    /// The level: how many rescalings are left.
    pub fn level(&self) -> usize {
        self.c0.q_limbs() - 1
    }

    /// The scale.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// A copy without the limbs above `level`, which is at most this one's, in memory of just its size.
    pub fn lowered(&self, level: usize) -> Self {
        Self::new(self.c0.truncated(level + 1), self.c1.truncated(level + 1), self.scale)
    }
}

/// A sum of products (d0, d1, d2) with d0 + d1 s + d2 s^2 = scale m + noise.
#[derive(Clone, Debug)]
pub struct Product {
    pub(crate) d0: RnsPoly,
    pub(crate) d1: RnsPoly,
    pub(crate) d2: RnsPoly,
    pub(crate) scale: f64,
}

impl Product {
    /// The level.
    pub fn level(&self) -> usize {
        self.d0.q_limbs() - 1
    }

    /// The scale.
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

/// A fresh ciphertext whose uniform half is given by its seed: what travels from owner to server.
#[derive(Clone, Debug)]
pub struct SeededCiphertext {
    pub(crate) c0: RnsPoly,
    pub(crate) seed: Seed,
    pub(crate) scale: f64,
}

impl SeededCiphertext {
    /// The level.
    pub fn level(&self) -> usize {
        self.c0.q_limbs() - 1
    }

    /// The ciphertext, with its uniform half drawn from the seed.
    pub fn expand(self, ring: &Ring) -> Ciphertext {
        let c1 = sampler::uniform(ring, &self.seed, self.c0.q_limbs(), 0);
        Ciphertext::new(self.c0, c1, self.scale)
    }
}
