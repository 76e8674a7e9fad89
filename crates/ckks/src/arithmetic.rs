//! The interface of CKKS arithmetic: the moves that a circuit may make, and nothing about who makes them.
//!
//! A circuit written against [`Arithmetic`] runs unchanged on real ciphertexts ([`crate::Evaluator`]), on a symbolic
//! tracer that counts operations, records the keys they need and propagates noise, and on plain slot vectors in
//! tests. So a plan is never a second description of the circuit that could drift from it.
//!
//! Every ciphertext has a *level* (it has `level + 1` limbs; a rescale consumes one) and a *scale* (the factor between
//! a slot's value and the integer that carries it). Operations check both and never align them silently; only
//! additions tolerate scales that agree to a relative 2^-30.

use crate::{Complex64, Error, Result};

/// The operations of CKKS on ciphertexts with complex slots.
///
/// Cost is stated in key switches, the unit that dominates (all else is slot-wise work and transforms).
pub trait Arithmetic: Sync {
    /// A ciphertext of degree one (two polynomials).
    type Ciphertext: Clone + Send + Sync;
    /// A sum of products that has not been relinearised (three polynomials), at the product's scale.
    type Product: Clone + Send + Sync;

    /// Number of slots, N/2.
    fn slots(&self) -> usize;
    /// The prime that a rescale from `level` to `level - 1` divides by.
    fn prime(&self, level: usize) -> f64;
    /// Level of a ciphertext.
    fn level(&self, a: &Self::Ciphertext) -> usize;
    /// Scale of a ciphertext.
    fn scale(&self, a: &Self::Ciphertext) -> f64;
    /// Scale of a product.
    fn product_scale(&self, a: &Self::Product) -> f64;
    /// Level of a product.
    fn product_level(&self, a: &Self::Product) -> usize;

    /// a + b. Same level, same scale.
    fn add(&self, a: &Self::Ciphertext, b: &Self::Ciphertext) -> Result<Self::Ciphertext>;
    /// a - b. Same level, same scale.
    fn sub(&self, a: &Self::Ciphertext, b: &Self::Ciphertext) -> Result<Self::Ciphertext>;
    /// -a.
    fn negate(&self, a: &Self::Ciphertext) -> Self::Ciphertext;
    /// The same values with limbs dropped, at `level` (at most a's) and the same scale. Free.
    fn drop_to(&self, a: &Self::Ciphertext, level: usize) -> Result<Self::Ciphertext>;
    /// The same ciphertext in less memory, for what is kept for long and multiplied with: anything else unpacks it
    /// first. Free.
    fn packed(&self, a: &Self::Ciphertext) -> Self::Ciphertext {
        a.clone()
    }
    /// Divides by the last prime: level - 1, scale / prime(level).
    fn rescale(&self, a: &Self::Ciphertext) -> Result<Self::Ciphertext>;
    /// Reinterprets the scale: the slots' values are multiplied by (old scale / `scale`). Free.
    fn with_scale(&self, a: &Self::Ciphertext, scale: f64) -> Self::Ciphertext;

    /// a * values slot by slot, the values encoded at `scale`; the result's scale is the product. `values` has one
    /// entry a slot.
    fn mul_plain(&self, a: &Self::Ciphertext, values: &[Complex64], scale: f64) -> Result<Self::Ciphertext>;
    /// a * factor, the factor rounded to an integer at `scale`; the result's scale is the product. No rotation, no
    /// encoding.
    fn mul_scalar(&self, a: &Self::Ciphertext, factor: f64, scale: f64) -> Result<Self::Ciphertext>;
    /// a + value in every slot, the value rounded at a's scale. Free.
    fn add_scalar(&self, a: &Self::Ciphertext, value: f64) -> Result<Self::Ciphertext>;
    /// a times the monomial X^power, 0 <= power < 2N. X^(N/2) multiplies every slot by i. Free (no level, no scale).
    fn mul_monomial(&self, a: &Self::Ciphertext, power: usize) -> Self::Ciphertext;
    /// i * a. Free.
    fn mul_i(&self, a: &Self::Ciphertext) -> Self::Ciphertext {
        self.mul_monomial(a, self.slots())
    }

    /// sum of a_k * b_k over the pairs, not relinearised. All a at one level and scale, all b at one level and scale;
    /// operands may be at higher levels than the lowest: the product is taken at the lowest level present.
    fn dot(&self, pairs: &[(&Self::Ciphertext, &Self::Ciphertext)]) -> Result<Self::Product>;
    /// A matrix product of ciphertexts: entry (i, j) of the result is the sum over k of `rows[i][k] * columns[j][k]`,
    /// not relinearised. All rows and columns have one length; all of `rows` are at one level and scale, and so are all
    /// of `columns`. Every operand is meant to be read once for all entries that it has a part in, so that memory does
    /// not bound the products.
    fn dot_many(
        &self,
        rows: &[Vec<&Self::Ciphertext>],
        columns: &[Vec<&Self::Ciphertext>],
    ) -> Result<Vec<Vec<Self::Product>>> {
        let entry = |row: &Vec<&Self::Ciphertext>, column: &Vec<&Self::Ciphertext>| {
            if row.len() != column.len() {
                return Err(Error::Length { found: column.len(), expected: row.len() });
            }
            let pairs: Vec<_> = row.iter().copied().zip(column.iter().copied()).collect();
            self.dot(&pairs)
        };
        rows.iter().map(|row| columns.iter().map(|column| entry(row, column)).collect()).collect()
    }
    /// a + b for products at the same level and scale.
    fn add_products(&self, a: &Self::Product, b: &Self::Product) -> Result<Self::Product>;
    /// product * factor, the factor rounded to an integer at `scale`.
    fn mul_product_scalar(&self, a: &Self::Product, factor: f64, scale: f64) -> Result<Self::Product>;
    /// Back to two polynomials. One key switch.
    fn relinearize(&self, a: &Self::Product) -> Result<Self::Ciphertext>;
    /// Relinearises and rescales in one division. One key switch.
    fn relinearize_rescale(&self, a: &Self::Product) -> Result<Self::Ciphertext>;

    /// a relinearised, plus b rotated by k, and rescaled if that is asked for: what [`Self::rotate`],
    /// [`Self::relinearize`] and [`Self::add`] give, in two key switches that share their division. Both at the same
    /// level and scale.
    fn relinearize_add_rotated(
        &self,
        a: &Self::Product,
        b: &Self::Ciphertext,
        k: isize,
        rescale: bool,
    ) -> Result<Self::Ciphertext> {
        let sum = self.add(&self.relinearize(a)?, &self.rotate(b, k)?)?;
        if rescale { self.rescale(&sum) } else { Ok(sum) }
    }

    /// Cyclic rotation: slot s of the result is slot s + k of a (k may be negative). One key switch; none for k = 0.
    fn rotate(&self, a: &Self::Ciphertext, k: isize) -> Result<Self::Ciphertext>;
    /// Many rotations of one ciphertext; its digits are decomposed once (hoisting). One key switch each.
    fn rotate_hoisted(&self, a: &Self::Ciphertext, ks: &[isize]) -> Result<Vec<Self::Ciphertext>>;
    /// Complex conjugate of every slot. One key switch.
    fn conjugate(&self, a: &Self::Ciphertext) -> Result<Self::Ciphertext>;

    /// What `work` gives for every item, in order. A machine may take several items at a time: for work whose steps
    /// each leave processors idle.
    fn each<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> Result<R> + Send + Sync) -> Result<Vec<R>> {
        items.into_iter().map(work).collect()
    }

    /// Tells a symbolic machine the root mean square of the slots' values that the circuit's author vouches for. No
    /// effect on ciphertexts.
    fn expect_magnitude(&self, _a: &Self::Ciphertext, _rms: f64) {}

    /// a * b, relinearised and rescaled. One key switch.
    fn mul_rescale(&self, a: &Self::Ciphertext, b: &Self::Ciphertext) -> Result<Self::Ciphertext> {
        self.relinearize_rescale(&self.dot(&[(a, b)])?)
    }
    /// The same values, exactly at (`level`, `scale`): drops to level + 1, multiplies by an integer and rescales.
    /// Needs level + 1 <= a's level.
    fn mul_scalar_to(&self, a: &Self::Ciphertext, factor: f64, level: usize, scale: f64) -> Result<Self::Ciphertext> {
        let a = self.drop_to(a, level + 1)?;
        let target = scale * self.prime(level + 1);
        let product = self.mul_scalar(&a, factor, target / self.scale(&a))?;
        self.rescale(&self.with_scale(&product, target))
    }
    /// sum of a rotated by step, 2 step, ..., (count - 1) step, count a power of two: log2(count) key switches.
    fn fold(&self, a: &Self::Ciphertext, step: isize, count: usize) -> Result<Self::Ciphertext> {
        let (mut sum, mut width) = (a.clone(), 1);
        while width < count {
            sum = self.add(&sum, &self.rotate(&sum, step * width as isize)?)?;
            width *= 2;
        }
        Ok(sum)
    }
}
