//! Unit costs as this machine has them: the reference, scaled by a rotation that is traced and timed.

use std::time::Instant;

use ciphertune_ckks::{
    Arithmetic, Complex64, Encoder, EvaluationKeys, Evaluator, KeySet, Parameters, ParametersLiteral, SecretKey,
};
use ciphertune_ckks::{encrypt, galois};

use super::cost::UnitCosts;
use super::tracer::Tracer;
use crate::Result;
use crate::layout::{Input, Packing, Role};

impl UnitCosts {
    /// Scales [`Self::REFERENCE`] to this machine, all its threads together, by timing rotations in the smallest ring
    /// that trainings use (some tens of milliseconds).
    pub fn measure() -> Result<Self> {
        let literal = ParametersLiteral::choose(14, 45, 35, 5, 2)?;
        let mut keys = KeySet::default();
        keys.need_galois(galois::rotation_element(14, 1), 5);
        let parameters = Parameters::new(literal.clone())?;
        let owner = SecretKey::generate(&parameters)?;
        let server = Evaluator::new(EvaluationKeys::generate(&parameters, &owner, &keys)?);
        let message = Encoder::new(14).encode(&[Complex64::ONE], 1e9)?;
        let mut x = encrypt(&parameters, &owner, &message, 5, 1e9)?.expand(parameters.ring());
        let tracer = Tracer::new(&literal);
        let input = Input { role: Role::Data, level: 5, scale: 1e9, packing: Packing::Slots, rms: 1.0, senders: 0 };
        tracer.rotate(&tracer.fresh(&input), 1)?;
        let predicted = Self::REFERENCE.seconds(14, tracer.operations().work);
        let mut best = f64::INFINITY;
        for _ in 0..8 {
            let start = Instant::now();
            x = server.rotate(&x, 1)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        let factor = best / predicted;
        Ok(Self { transform: Self::REFERENCE.transform * factor, product: Self::REFERENCE.product * factor })
    }
}
