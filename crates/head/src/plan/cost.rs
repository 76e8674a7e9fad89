//! What operations cost: counts times unit costs.
//!
//! [`Work`] counts what a kernel does; the functions below it say what each operation of the evaluator consists of. The
//! tracer adds them up along a circuit, [`super::price`] in closed form.

/// Transforms and word products, in limbs (N words each).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Transforms of one limb.
    pub transforms: u64,
    /// Limbs multiplied and accumulated.
    pub limb_products: u64,
}

impl std::ops::Add for Work {
    type Output = Work;
    fn add(self, other: Work) -> Work {
        Work { transforms: self.transforms + other.transforms, limb_products: self.limb_products + other.limb_products }
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        *self = *self + other;
    }
}

impl std::ops::Mul<Work> for u64 {
    type Output = Work;
    fn mul(self, work: Work) -> Work {
        Work { transforms: self * work.transforms, limb_products: self * work.limb_products }
    }
}

/// The decomposition of a polynomial at `level` into digits of `special` limbs, raised to the extended basis.
pub fn decomposition(level: usize, special: usize) -> Work {
    let (q, special) = (level as u64 + 1, special as u64);
    let raised = q.div_ceil(special) * (q + special);
    Work { transforms: raised, limb_products: (raised - q) * special }
}

/// The inner product of digits with a key.
pub fn inner_product(level: usize, special: usize) -> Work {
    let (q, special) = (level as u64 + 1, special as u64);
    Work { transforms: 0, limb_products: 2 * q.div_ceil(special) * (q + special) }
}

/// The division that ends a key switch, or a sum of them: by the special primes and by `rescale` ciphertext primes.
pub fn division(level: usize, special: usize, rescale: usize) -> Work {
    let (q, special, rescale) = (level as u64 + 1, special as u64, rescale as u64);
    let (dropped, kept) = (special + rescale, q - rescale);
    Work { transforms: 2 * (dropped + kept), limb_products: 2 * kept * (dropped + 1) }
}

/// A key switch but for the decomposition.
pub fn switch(level: usize, special: usize, rescale: usize) -> Work {
    inner_product(level, special) + division(level, special, rescale)
}

/// A whole key switch.
pub fn key_switch(level: usize, special: usize, rescale: usize) -> Work {
    decomposition(level, special) + switch(level, special, rescale)
}

/// Two key switches whose results are added.
pub fn two_key_switches(level: usize, special: usize, rescale: usize) -> Work {
    2 * (decomposition(level, special) + inner_product(level, special)) + division(level, special, rescale)
}

/// So many products of ciphertexts, accumulated.
pub fn products(count: u64, level: usize) -> Work {
    Work { transforms: 0, limb_products: 4 * count * (level as u64 + 1) }
}

/// A product with an encoded plaintext.
pub fn plain_product(level: usize) -> Work {
    let q = level as u64 + 1;
    Work { transforms: q, limb_products: 2 * q }
}

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

    /// Seconds for the given work in a ring of dimension 2^log_n.
    pub fn seconds(&self, log_n: u32, work: Work) -> f64 {
        let n = (1u64 << log_n) as f64;
        let transforms = work.transforms as f64 * n * log_n as f64 * self.transform;
        transforms + work.limb_products as f64 * n * self.product
    }
}
