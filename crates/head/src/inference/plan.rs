//! Plans of inference: what client and server agree on before anything is encrypted. A public document.

use ciphertune_ckks::noise::NoiseModel;
use ciphertune_ckks::{KeySet, Parameters, ParametersLiteral, SECURITY_BITS};
use serde::{Deserialize, Serialize};

use super::geometry::LEVEL;
use super::{Geometry, MOST_ROWS};
use crate::classes::MAX_CLASSES;
use crate::plan::cost::UnitCosts;
use crate::plan::search::UPLOAD_BYTES_PER_SECOND;
use crate::{HeadError, Result};

/// The version of the plan's format.
const FORMAT: u32 = 1;
/// Bits of the lowest prime, of the one above it, and of the special prime: 148 in all.
const BASE_BITS: u32 = 50;
const LEVEL_BITS: u32 = 48;
const SPECIAL: usize = 1;
/// log2 of the product of the scales: 98 bits of modulus leave room for logits up to 2^13.
const LOGIT_BITS: u32 = 84;
/// log2 of the largest feature or weight that is encrypted.
const MOST_BITS: u32 = 20;
/// What predicted deviations are multiplied by for a bound: six deviations, twice.
const BOUND: f64 = 12.0;

/// How the server has the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadForm {
    /// In the clear: it is the server's own, or published.
    Clear,
    /// Encrypted under the client's key.
    Encrypted,
}

impl std::fmt::Display for HeadForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clear => "clear",
            Self::Encrypted => "encrypted",
        })
    }
}

/// The public facts of an inference: features, classes, how the server has the head, parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct InferencePlan {
    features: usize,
    classes: usize,
    head: HeadForm,
    parameters: ParametersLiteral,
    toy: bool,
}

/// A plan as it is written, unchecked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    inference_format: u32,
    features: usize,
    classes: usize,
    head: HeadForm,
    parameters: ParametersLiteral,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    insecure_toy: bool,
}

impl InferencePlan {
    /// The plan for heads of a shape, in the smallest ring that a row fits into: 2^13 up to 4,095 features.
    ///
    /// # Errors
    ///
    /// [`HeadError::NoPlan`] for no feature, more than 32,767 or a number of classes that no head has.
    pub fn choose(features: usize, classes: usize, head: HeadForm) -> Result<Self> {
        let log_n = (13..=16).find(|log_n| features < 1 << (log_n - 1)).ok_or_else(|| {
            HeadError::NoPlan(format!(
                "{features} features do not fit into a ciphertext, at most 32767 do: reduce the features on your side first"
            ))
        })?;
        Self::new(features, classes, head, literal(log_n)?, false)
    }

    /// A plan in any ring, however small, with no security at all: for tests.
    ///
    /// # Errors
    ///
    /// As [`Self::choose`].
    pub fn insecure_toy(features: usize, classes: usize, head: HeadForm, log_n: u32) -> Result<Self> {
        Self::new(features, classes, head, literal(log_n)?, true)
    }

    fn new(features: usize, classes: usize, head: HeadForm, parameters: ParametersLiteral, toy: bool) -> Result<Self> {
        let impossible = |reason: String| Err(HeadError::NoPlan(reason));
        if !(2..=MAX_CLASSES).contains(&classes) {
            return impossible(format!("{classes} classes are not possible: a head has 2 to {MAX_CLASSES}"));
        }
        if toy {
            parameters.check()?
        } else {
            parameters.check_secure()?
        };
        if parameters.q.len() != LEVEL + 1 {
            return impossible("the plan's parameters are not those of an inference: make keys again".into());
        }
        let product = parameters.q.iter().map(|&q| (q as f64).log2()).sum::<f64>();
        if features == 0 || features >= 1 << (parameters.log_n - 1) || product < f64::from(LOGIT_BITS) + 2.0 {
            return impossible(format!("{features} features do not fit into the plan's ring: make keys again"));
        }
        Ok(Self { features, classes, head, parameters, toy })
    }

    /// Features a row, without the column of ones.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How the server has the head.
    pub fn head(&self) -> HeadForm {
        self.head
    }

    /// The parameter literal.
    pub fn literal(&self) -> &ParametersLiteral {
        &self.parameters
    }

    /// Builds the parameters: checked against the 128-bit bound, but for toy plans.
    ///
    /// # Errors
    ///
    /// [`HeadError::Ckks`] for parameters that no ring has.
    pub fn parameters(&self) -> Result<Parameters> {
        let literal = self.parameters.clone();
        Ok(if self.toy { Parameters::new_insecure_for_tests(literal)? } else { Parameters::new(literal)? })
    }

    /// Security in bits: 128 (a lower bound), or 0 for a toy plan.
    pub fn security_bits(&self) -> u32 {
        if self.toy { 0 } else { SECURITY_BITS }
    }

    /// The evaluation keys, which serve queries of any number of rows.
    pub fn keys(&self) -> KeySet {
        Geometry::keys(self.head, self.parameters.log_n, (self.features + 1).next_power_of_two())
    }

    /// Bytes of the evaluation keys in their file, headers aside.
    pub fn key_bytes(&self) -> usize {
        self.keys().serialized_bytes(&self.parameters)
    }

    /// The arrangement with blocks of `block` rows a part, if there is one.
    pub fn geometry(&self, block: usize) -> Option<Geometry> {
        Geometry::new(self.head, self.slots(), self.features + 1, block)
    }

    /// The arrangement for so many rows: the one in which the server's seconds and those of both transfers, at 25 MB a
    /// second, are fewest.
    ///
    /// # Errors
    ///
    /// [`HeadError::NoPlan`] for no row, or more than a query holds.
    pub fn geometry_for(&self, rows: usize) -> Result<Geometry> {
        if !(1..=MOST_ROWS).contains(&rows) {
            return Err(HeadError::NoPlan(format!("{rows} rows in one query: ask with 1 to {MOST_ROWS} at a time")));
        }
        let cost = |geometry: &Geometry| {
            let work = geometry.work(rows, self.classes, SPECIAL);
            let bytes = self.query_bytes(geometry, rows) + self.answer_bytes(geometry, rows);
            UnitCosts::REFERENCE.seconds(self.parameters.log_n, work) + bytes as f64 / UPLOAD_BYTES_PER_SECOND
        };
        let all = Geometry::all(self.head, self.slots(), self.features + 1);
        let priced = all.map(|geometry| (cost(&geometry), geometry)).min_by(|a, b| a.0.total_cmp(&b.0));
        Ok(priced.expect("blocks of one row always fit").1)
    }

    /// Bytes of the ciphertexts of a query: half of each, and the seed of the other half.
    pub fn query_bytes(&self, geometry: &Geometry, rows: usize) -> usize {
        geometry.blocks(rows) * geometry.block() * (self.parameters.packed_bytes(LEVEL + 1, 0) + 32)
    }

    /// Bytes of the ciphertexts of an answer.
    pub fn answer_bytes(&self, geometry: &Geometry, rows: usize) -> usize {
        geometry.blocks(rows) * self.classes * 2 * self.parameters.packed_bytes(LEVEL + 1, 0)
    }

    /// The scale of the rows.
    pub(super) fn row_scale(&self) -> f64 {
        let bits = match self.head {
            HeadForm::Clear => 43,
            // Rotations add more noise to encrypted weights than a fresh ciphertext has.
            HeadForm::Encrypted => 40,
        };
        f64::from(bits).exp2()
    }

    /// The scale of the head.
    pub(super) fn weight_scale(&self) -> f64 {
        f64::from(LOGIT_BITS).exp2() / self.row_scale()
    }

    /// The scale of the logits.
    pub(super) fn logit_scale(&self) -> f64 {
        self.row_scale() * self.weight_scale()
    }

    /// The largest feature, and the largest weight, in magnitude.
    pub fn most(&self) -> f64 {
        f64::from(MOST_BITS).exp2()
    }

    /// Logits beyond this may have wrapped around the modulus.
    pub(super) fn most_logit(&self) -> f64 {
        let modulus: f64 = self.parameters.q.iter().map(|&q| q as f64).product();
        0.75 * modulus / 2.0 / self.logit_scale()
    }

    /// Standard deviation of the error of a logit, for rows and weights of at most these Euclidean norms, the column of
    /// ones and the bias included: the noise of a row's ciphertexts meets the weights, that of the weights meets two
    /// rows, and of both the real part remains. What key switches add at the products' scale is far below.
    pub fn logit_deviation(&self, row_norm: f64, weight_norm: f64) -> f64 {
        let noise = NoiseModel::new(&self.parameters);
        let of_weights = match self.head {
            HeadForm::Clear => noise.encoding(),
            HeadForm::Encrypted => noise.fresh() + noise.key_switch(LEVEL),
        };
        let rows = noise.fresh() / self.row_scale().powi(2);
        let weights = of_weights / self.weight_scale().powi(2);
        (weight_norm.powi(2) * rows / 2.0 + row_norm.powi(2) * weights).sqrt()
    }

    /// A bound on the error of any one logit: twelve predicted deviations.
    pub fn logit_bound(&self, row_norm: f64, weight_norm: f64) -> f64 {
        BOUND * self.logit_deviation(row_norm, weight_norm)
    }

    /// The plan on one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan has only string keys and finite numbers")
    }

    /// Reads and checks a plan.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidArtefact`] for text that is no plan of inference, or one that contradicts itself.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| HeadError::InvalidArtefact(format!("not a plan for inference: {e}")))
    }

    fn slots(&self) -> usize {
        1 << (self.parameters.log_n - 1)
    }
}

fn literal(log_n: u32) -> Result<ParametersLiteral> {
    Ok(ParametersLiteral::choose(log_n, BASE_BITS, LEVEL_BITS, LEVEL, SPECIAL)?)
}

impl From<InferencePlan> for Document {
    fn from(plan: InferencePlan) -> Self {
        let InferencePlan { features, classes, head, parameters, toy } = plan;
        Self { inference_format: FORMAT, features, classes, head, parameters, insecure_toy: toy }
    }
}

impl TryFrom<Document> for InferencePlan {
    type Error = HeadError;

    fn try_from(document: Document) -> Result<Self> {
        let Document { inference_format, features, classes, head, parameters, insecure_toy } = document;
        if inference_format != FORMAT {
            let reason = format!("the plan has format {inference_format}, this program reads {FORMAT}");
            return Err(HeadError::InvalidArtefact(reason));
        }
        if !(4..=17).contains(&parameters.log_n) {
            return Err(HeadError::InvalidArtefact("the plan has an impossible ring".into()));
        }
        Self::new(features, classes, head, parameters, insecure_toy)
    }
}
