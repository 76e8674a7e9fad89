//! What operations cost: counts times unit costs.

use std::time::Instant;

use ciphertune_ckks::{
    Arithmetic, Complex64, Encoder, EvaluationKeys, Evaluator, KeySet, Parameters, ParametersLiteral, SecretKey,
};
use ciphertune_ckks::{encrypt, galois};

use super::tracer::Operations;
use crate::Result;

/// Seconds of one core for the two operations that training consists of, a coefficient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitCosts {
    /// Transform of a limb, divided by N log2 N.
    pub transform: f64,
    /// Modular product accumulated, divided by N.
    pub product: f64,
}

impl UnitCosts {
    /// A fixed ratio, so that the same question has the same plan on every machine. Measured with AVX2 and FMA on a
    /// 2.4 GHz core.
    pub const REFERENCE: UnitCosts = UnitCosts { transform: 0.28e-9, product: 0.5e-9 };

    /// Scales [`Self::REFERENCE`] to this machine, all its threads together, by timing rotations in a small ring (some tens of milliseconds).
    pub fn measure() -> Result<Self> {
        let literal = ParametersLiteral::choose(13, 45, 35, 3, 1)?;
        let mut keys = KeySet::default();
        keys.need_galois(galois::rotation_element(13, 1), 3);
        let parameters = Parameters::new(literal.clone())?;
        let owner = SecretKey::generate(&parameters)?;
        let server = Evaluator::new(EvaluationKeys::generate(&parameters, &owner, &keys)?);
        let message = Encoder::new(13).encode(&[Complex64::ONE], 1e9)?;
        let mut x = encrypt(&parameters, &owner, &message, 3, 1e9)?.expand(parameters.ring());
        let tracer = super::tracer::Tracer::new(&literal);
        let input = crate::layout::Input {
            role: crate::layout::Role::Data,
            level: 3,
            scale: 1e9,
            packing: crate::layout::Packing::Slots,
            rms: 1.0,
        };
        tracer.rotate(&tracer.fresh(&input), 1)?;
        let predicted = Self::REFERENCE.seconds(13, &tracer.operations());
        let mut best = f64::INFINITY;
        for _ in 0..8 {
            let start = Instant::now();
            x = server.rotate(&x, 1)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        let factor = best / predicted;
        Ok(Self { transform: Self::REFERENCE.transform * factor, product: Self::REFERENCE.product * factor })
    }

    /// Seconds for the given operations in a ring of dimension 2^log_n.
    pub fn seconds(&self, log_n: u32, operations: &Operations) -> f64 {
        let n = (1u64 << log_n) as f64;
        let transforms = operations.transforms as f64 * n * log_n as f64 * self.transform;
        transforms + operations.limb_products as f64 * n * self.product
    }
}
