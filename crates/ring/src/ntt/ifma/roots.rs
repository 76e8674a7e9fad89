//! The roots of unity of a transform, in the order and the form that its passes read them in.
//!
//! Let W_m,i be the root of block i at the level of m blocks, where X^(2 l) = W^2 splits into X^l = W and X^l = -W.
//! With psi^e(m + i) = W_m,i, e(m + i) is the reversal of log2 N bits of m + i. So the root at the last level, u =
//! W_(N/2),4g, of the group g of eight neighbours determines all seven roots of its last three levels: with X = u Y
//! they are those of Y^8 = 1, the powers of psi^(N/4), which are the same for all groups. For group r of piece p the
//! bits of p and r lie apart, so u = alpha_p beta_r, and coefficient k of the group is multiplied by alpha_p^k
//! beta_r^k: eight constants a piece of 64 words, and 56 that all pieces share. The seven roots of every group by
//! themselves would be 14 N bytes a prime and direction, more than the polynomial, to be read from memory for every
//! transform.

use crate::kernels::ifma::{WideConstant, load};
use crate::modulus::{Modulus, ShoupConstant};

/// Powers of a root of unity psi in bit-reversed order: index m + i is for block i of level m.
pub(super) struct Roots {
    /// Of all levels but the last three.
    pub(super) upper: Vec<ShoupConstant>,
    /// For every piece of 64 words.
    pieces: Vec<Piece>,
    /// beta_r^k for k = 1 to 7, lane r.
    pub(super) twists: Twists,
    /// psi^(N/2), psi^(N/4) and psi^(3 N/4).
    units: [ShoupConstant; 3],
}

/// alpha^k and w alpha^k in lane k, each with its quotients, for the piece's alpha and the root w of the first of its
/// six levels.
#[repr(align(64))]
struct Piece([[[u64; 8]; 2]; 2]);

#[repr(align(64))]
pub(super) struct Twists(pub(super) [[[u64; 8]; 2]; 7]);

/// Which roots the seven of a group of eight are: of level m (1), 2 m (2) and 4 m (4).
const GROUP: [(usize, usize); 7] = [(1, 0), (2, 0), (2, 1), (4, 0), (4, 1), (4, 2), (4, 3)];

impl Roots {
    pub(super) fn new(m: &Modulus, log_n: u32, psi: u64) -> Self {
        let n = 1usize << log_n;
        let mut powers = vec![0; n];
        let mut power = 1;
        for i in 0..n {
            powers[i.reverse_bits() >> (usize::BITS - log_n)] = power;
            power = m.mul(power, psi);
        }
        let upper = powers[..n / 8].iter().map(|&w| m.shoup(w)).collect();
        let lanes = |root: &dyn Fn(usize) -> u64| {
            let constants: [_; 8] = std::array::from_fn(|lane| m.shoup(root(lane)));
            [constants.map(|w| w.value), constants.map(|w| w.quotient >> 12)]
        };
        let pieces = (0..n / 64)
            .map(|piece| {
                let (alpha, first) = (powers[n / 2 + 32 * piece], powers[n / 64 + piece]);
                let power = |k: usize| m.pow(alpha, k as u64);
                Piece([lanes(&power), lanes(&|k| m.mul(first, power(k)))])
            })
            .collect();
        // Bits of r, reversed, are bits of an exponent from N/32 on.
        let beta = |r: usize| m.pow(psi, ((r.reverse_bits() >> (usize::BITS - 3)) * (n / 32)) as u64);
        let twists = Twists(std::array::from_fn(|k| lanes(&|r| m.pow(beta(r), k as u64 + 1))));
        let units = [2, 1, 3].map(|quarters| m.shoup(m.pow(psi, (quarters * n / 4) as u64)));
        Self { upper, pieces, twists, units }
    }

    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> WideConstant {
        WideConstant::broadcast(self.upper[index])
    }

    /// The seven roots of a pass over block `index` = m + i, in the order of [`GROUP`].
    #[inline(always)]
    pub(super) fn seven(&self, index: usize) -> [WideConstant; 7] {
        let pick = |k: usize| WideConstant::broadcast(self.upper[GROUP[k].0 * index + GROUP[k].1]);
        [pick(0), pick(1), pick(2), pick(3), pick(4), pick(5), pick(6)]
    }

    /// Six of the seven roots of a piece's first three levels, all but the first; that one rides in [`Self::piece`].
    #[inline(always)]
    pub(super) fn six(&self, index: usize) -> [[WideConstant; 3]; 2] {
        let pick = |k: usize| WideConstant::broadcast(self.upper[GROUP[k].0 * index + GROUP[k].1]);
        [[pick(1), pick(3), pick(4)], [pick(2), pick(5), pick(6)]]
    }

    /// A piece's two.
    #[inline(always)]
    pub(super) fn piece(&self, piece: usize) -> [WideConstant; 2] {
        let Piece([powers, with_root]) = &self.pieces[piece];
        [lanes(powers), lanes(with_root)]
    }

    #[inline(always)]
    pub(super) fn units(&self) -> [WideConstant; 3] {
        self.units.map(WideConstant::broadcast)
    }
}

#[inline(always)]
pub(super) fn lanes([values, quotients]: &[[u64; 8]; 2]) -> WideConstant {
    WideConstant { value: load(values), quotient: load(quotients) }
}
