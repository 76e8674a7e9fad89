//! Ciphertexts and unrelinearised products: polynomials with a scale. The level is one less than the number of limbs.

use std::sync::Arc;

use ciphertune_ring::{Factor, FactorPair, PackedPoly, Ring, RnsPoly, Seed, sampler};

/// A ciphertext (c0, c1) with c0 + c1 s = scale m + noise. Copies share their polynomials.
#[derive(Clone, Debug)]
pub struct Ciphertext {
    pub(crate) c0: Half,
    pub(crate) c1: Half,
    pub(crate) scale: f64,
}

/// A polynomial of a ciphertext: as words for what is computed with, bit-packed for what is kept and multiplied with.
#[derive(Clone, Debug)]
pub(crate) enum Half {
    Words(Arc<RnsPoly>),
    Packed(Arc<PackedPoly>),
}

impl From<RnsPoly> for Half {
    fn from(poly: RnsPoly) -> Self {
        Self::Words(poly.into())
    }
}

impl From<PackedPoly> for Half {
    fn from(poly: PackedPoly) -> Self {
        Self::Packed(poly.into())
    }
}

impl Half {
    fn q_limbs(&self) -> usize {
        match self {
            Self::Words(poly) => poly.q_limbs(),
            Self::Packed(poly) => poly.q_limbs(),
        }
    }

    /// As words.
    pub(crate) fn words(&self, ring: &Ring) -> Arc<RnsPoly> {
        self.first_words(ring, self.q_limbs())
    }

    /// The first limbs, as words.
    pub(crate) fn first_words(&self, ring: &Ring, q_limbs: usize) -> Arc<RnsPoly> {
        match self {
            Self::Words(poly) if poly.q_limbs() == q_limbs => poly.clone(),
            Self::Words(poly) => poly.truncated(q_limbs).into(),
            Self::Packed(poly) => ring.unpack(poly, q_limbs).into(),
        }
    }

    /// Bit-packed.
    pub(crate) fn packed(&self, ring: &Ring) -> Self {
        match self {
            Self::Words(poly) => ring.pack(poly).into(),
            Self::Packed(poly) => Self::Packed(poly.clone()),
        }
    }

    fn truncated(&self, q_limbs: usize) -> Self {
        match self {
            Self::Words(poly) => poly.truncated(q_limbs).into(),
            Self::Packed(poly) => poly.truncated(q_limbs).into(),
        }
    }

    fn factor(&self) -> Factor<'_> {
        match self {
            Self::Words(poly) => Factor::Words(poly),
            Self::Packed(poly) => Factor::Packed(poly),
        }
    }
}

impl Ciphertext {
    pub(crate) fn new(c0: impl Into<Half>, c1: impl Into<Half>, scale: f64) -> Self {
        Self { c0: c0.into(), c1: c1.into(), scale }
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

    /// To multiply with.
    pub(crate) fn factors(&self) -> FactorPair<'_> {
        [self.c0.factor(), self.c1.factor()]
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
