//! Sigmoids as polynomials: what stands for 1 / (1 + exp(-z)) where only sums and products can be computed.
//!
//! ```text
//! p(z) = 1/2 + c_1 z + c_3 z^3 + ...        |z| <= range
//! ```
//!
//! Cubics take the fewest levels. Degrees 7 and 15 are least-squares fits over wider ranges, for trainings whose logits
//! grow: they take one and two levels more ([`Degree::levels`]). Their coefficients are part of the file format, and are
//! what `docs/scripts/sigmoids.py` prints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::check;
use crate::error::{HeadError, Result};

/// A polynomial in place of the sigmoid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sigmoid {
    /// 1/2 + c1 z + c3 z^3.
    Cubic(Cubic),
    /// One of the fits of higher degree.
    #[serde(rename = "sigmoid")]
    Fit(Fit),
}

/// The fits of a degree above 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Degree 7, for |z| up to 10: at most 0.051 from the sigmoid there, below 1/2 from z = 11.04 on.
    Seven,
    /// Degree 15, for |z| up to 16: at most 0.025 from the sigmoid there, below 1/2 from z = 16.64 on.
    Fifteen,
}

/// The degree of a polynomial in place of the sigmoid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Degree {
    /// Of the cubics.
    #[default]
    Three,
    /// Of [`Fit::Seven`].
    Seven,
    /// Of [`Fit::Fifteen`].
    Fifteen,
}

impl Degree {
    /// The range of the fit of this degree; cubics have several.
    pub fn range(self) -> Option<f64> {
        match self {
            Self::Three => None,
            Self::Seven => Some(Fit::Seven.range()),
            Self::Fifteen => Some(Fit::Fifteen.range()),
        }
    }

    /// Levels that the polynomial takes on ciphertexts: log2(degree + 1).
    pub fn levels(self) -> usize {
        match self {
            Self::Three => 2,
            Self::Seven => 3,
            Self::Fifteen => 4,
        }
    }
}

/// c_1, c_3, c_5, c_7 of [`Fit::Seven`].
const SEVEN: [f64; 4] = [1.9687858552399312e-1, -5.442214607817976e-3, 7.498751326282125e-5, -3.5756000649189427e-7];
/// c_1, c_3, ..., c_15 of [`Fit::Fifteen`].
const FIFTEEN: [f64; 8] = [
    2.1583393442711105e-1,
    -8.41306928564917e-3,
    2.086267872717248e-4,
    -2.8993599261575924e-6,
    2.307844796031484e-8,
    -1.0443267514100673e-10,
    2.4953608871815485e-13,
    -2.4419598257854125e-16,
];

impl Sigmoid {
    /// p(z).
    pub fn evaluate(&self, z: f64) -> f64 {
        match self {
            Self::Cubic(cubic) => cubic.evaluate(z),
            Self::Fit(fit) => 0.5 + z * fit.coefficients().iter().rev().fold(0.0, |sum, c| sum * (z * z) + c),
        }
    }

    /// The largest |z| that the polynomial is meant for.
    pub fn range(&self) -> f64 {
        match self {
            Self::Cubic(cubic) => cubic.range,
            Self::Fit(fit) => fit.range(),
        }
    }

    /// c_1, the slope at 0, which is its largest.
    pub fn slope(&self) -> f64 {
        match self {
            Self::Cubic(cubic) => cubic.c1,
            Self::Fit(fit) => fit.coefficients()[0],
        }
    }

    /// Its degree.
    pub fn degree(&self) -> Degree {
        match self {
            Self::Cubic(_) => Degree::Three,
            Self::Fit(Fit::Seven) => Degree::Seven,
            Self::Fit(Fit::Fifteen) => Degree::Fifteen,
        }
    }

    /// The z > 0 from which p lies on the wrong side of 1/2 and training diverges; infinity if there is none.
    pub fn crossing(&self) -> f64 {
        match self {
            Self::Cubic(cubic) if cubic.c3 < 0.0 => (cubic.c1 / -cubic.c3).sqrt(),
            Self::Cubic(_) => f64::INFINITY,
            Self::Fit(_) => {
                // Within the range it is above 1/2, at twice the range below.
                let (mut above, mut below) = (self.range(), 2.0 * self.range());
                while below - above > 1e-9 {
                    let middle = (above + below) / 2.0;
                    if self.evaluate(middle) > 0.5 { above = middle } else { below = middle }
                }
                above
            }
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Cubic(cubic) => cubic.check(),
            Self::Fit(_) => Ok(()),
        }
    }
}

impl Fit {
    /// The largest |z| that it is fitted for.
    pub fn range(self) -> f64 {
        match self {
            Self::Seven => 10.0,
            Self::Fifteen => 16.0,
        }
    }

    /// c_1, c_3, ...
    pub fn coefficients(self) -> &'static [f64] {
        match self {
            Self::Seven => &SEVEN,
            Self::Fifteen => &FIFTEEN,
        }
    }
}

impl From<Cubic> for Sigmoid {
    fn from(cubic: Cubic) -> Self {
        Self::Cubic(cubic)
    }
}

impl fmt::Display for Sigmoid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cubic(cubic) => cubic.fmt(f),
            Self::Fit(Fit::Seven) => f.write_str("7"),
            Self::Fit(Fit::Fifteen) => f.write_str("15"),
        }
    }
}

/// Reads `7`, `15`, or a cubic: `paper`, `narrow`, `wide`, or three numbers `c1,c3,range`.
impl FromStr for Sigmoid {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "7" => Ok(Self::Fit(Fit::Seven)),
            "15" => Ok(Self::Fit(Fit::Fifteen)),
            _ => text.parse().map(Self::Cubic),
        }
    }
}

/// The cubic in place of the sigmoid: p(z) = 1/2 + c1 z + c3 z^3, meant for |z| up to `range`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cubic {
    /// The coefficient of z.
    pub c1: f64,
    /// The coefficient of z^3; negative for a sigmoid's shape.
    pub c3: f64,
    /// The largest |z| that the cubic is meant for.
    pub range: f64,
}

impl Cubic {
    /// The paper's published constants.
    pub const PAPER: Cubic = Cubic { c1: 0.106795345, c3: -0.000385032, range: 8.0 };
    /// A close fit for the few iterations in which logits stay small.
    pub const NARROW: Cubic = Cubic { c1: 0.197, c3: -0.004, range: 6.5 };
    /// A fit for longer trainings.
    pub const WIDE: Cubic = Cubic { c1: 0.15012, c3: -0.001593, range: 8.0 };

    /// p(z).
    pub fn evaluate(&self, z: f64) -> f64 {
        0.5 + z * (self.c1 + self.c3 * z * z)
    }

    /// `paper`, `narrow` or `wide`, if it is one of these.
    pub fn name(&self) -> Option<&'static str> {
        let named = [(Self::PAPER, "paper"), (Self::NARROW, "narrow"), (Self::WIDE, "wide")];
        named.into_iter().find(|(cubic, _)| cubic == self).map(|(_, name)| name)
    }

    fn check(&self) -> Result<()> {
        let fine = [self.c1, self.c3, self.range].iter().all(|x| x.is_finite())
            && (0.0..=1.0).contains(&self.c1)
            && self.c1 > 0.0
            && self.c3.abs() <= 1.0
            && self.range > 0.0;
        check(fine, "a cubic needs 0 < c1 <= 1, |c3| <= 1 and a positive range: choose paper, narrow or wide")
    }
}

impl fmt::Display for Cubic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{},{},{}", self.c1, self.c3, self.range),
        }
    }
}

/// Reads `paper`, `narrow`, `wide`, or three numbers `c1,c3,range`.
impl FromStr for Cubic {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "paper" => return Ok(Cubic::PAPER),
            "narrow" => return Ok(Cubic::NARROW),
            "wide" => return Ok(Cubic::WIDE),
            _ => {}
        }
        let numbers: Vec<f64> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
        let &[c1, c3, range] = numbers.as_slice() else {
            let message =
                format!("{text:?} is no sigmoid: choose 7, 15, paper, narrow, wide, or three numbers c1,c3,range");
            return Err(HeadError::InvalidRecipe(message));
        };
        let cubic = Cubic { c1, c3, range };
        cubic.check()?;
        Ok(cubic)
    }
}
