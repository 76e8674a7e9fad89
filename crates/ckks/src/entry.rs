//! Entry: a ciphertext under one secret becomes one under another, of a party that holds no key of the first.
//!
//! A *key holder* with the secret s lets *owners* send under secrets s_k of their own. For every digit j of a ciphertext:
//!
//! ```text
//! key holder   mask   m_j = -a_j s + e_j            to owner k, and to nobody else
//! owner k      key    b_j = m_j + g_j s_k + e'_j    to the server, with the seeds of a_j;  g_j = P on the limbs of digit j
//! server       enter  (c0, c1) under s_k  ->  (c0, 0) + <digits of c1, (b_j, a_j)> / P  under s
//! ```
//!
//! So neither needs the other's secret, an owner encrypts as ever, and the server holds no secret. What is to be known:
//!
//! * whoever has mask and key together has g_j s_k + e'_j, and with it the owner's secret: the key holder has all masks,
//!   so it must never get an entry key;
//! * a mask serves one owner secret, once: two keys of one mask differ by g_j (s_k - s_k') + noise. [`EntryMask::complete`]
//!   consumes it, and draws noise of its own, without which the holder's e_j alone would hide s_k from the server.
//!
//! Source: Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux 2021, for keys that several hands
//! make.

use ciphertune_ring::{PackedPoly, RnsPoly, Sampler, Seed, Switch, sampler};
use zeroize::Zeroize;

use crate::container::{Container, ContainerWriter};
use crate::files::{KEY_ID, PARAMETERS_DIGEST, check_origin, pack_poly, packed_digits};
use crate::keys::restrict;
use crate::{Ciphertext, Error, KeyId, Parameters, Result, SecretKey};

/// Kind of an entry mask: for one owner's eyes.
pub const ENTRY_MASK: &str = "entry-mask";
/// Kind of an entry key: for the server's.
pub const ENTRY_KEY: &str = "entry-key";
/// The format version of both.
pub const ENTRY_FORMAT: u32 = 1;

/// Metadata of an entry key: the owner's key.
const FROM: &str = "from-key-id";
/// Tensor names.
const B: &str = "entry.b";
const SEED: &str = "entry.seed";

/// A key holder's part of an entry key. It is wiped when it is dropped.
pub struct EntryMask {
    holder: KeyId,
    level: usize,
    digits: Vec<(RnsPoly, Seed)>,
}

/// A key that switches an owner's ciphertexts to the key holder's secret.
pub struct EntryKey {
    from: KeyId,
    holder: KeyId,
    level: usize,
    digits: Vec<(PackedPoly, PackedPoly)>,
    seeds: Vec<Seed>,
}

impl EntryMask {
    /// Makes the mask of an owner whose ciphertexts have at most `level`. Every owner has one of its own.
    ///
    /// # Errors
    ///
    /// [`Error::NoLevelLeft`] for a level that the parameters do not have; if the random generator fails.
    pub fn generate(parameters: &Parameters, holder: &SecretKey, level: usize) -> Result<Self> {
        let ring = parameters.ring();
        if level > parameters.max_level() {
            return Err(Error::NoLevelLeft { needed: level, left: parameters.max_level() });
        }
        let digit = |_| {
            let seed = sampler::os_seed()?;
            let mut b = noise(parameters, level)?;
            let mut masked = restrict(parameters, &holder.evaluations, level + 1);
            ring.mul_assign(&mut masked, &sampler::uniform(ring, &seed, level + 1, ring.p_count()));
            ring.sub_assign(&mut b, &masked);
            // a s and a, which is public, would give s away.
            masked.zeroize();
            Ok((b, seed))
        };
        let digits = (0..ring.digit_count(level + 1)).map(digit).collect::<Result<_>>()?;
        Ok(Self { holder: holder.id(), level, digits })
    }

    /// The identifier of the key holder's key.
    pub fn holder(&self) -> KeyId {
        self.holder
    }

    /// The highest level of a ciphertext that its key will serve.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Makes the entry key of an owner's secret.
    ///
    /// # Errors
    ///
    /// If the random generator fails.
    pub fn complete(self, parameters: &Parameters, owner: &SecretKey) -> Result<EntryKey> {
        let ring = parameters.ring();
        let digit = |(j, (mask, seed)): (usize, &(RnsPoly, Seed))| {
            let mut b = noise(parameters, self.level)?;
            ring.add_gadget(&mut b, &owner.evaluations, j);
            let b = ring.add(&b, mask);
            Ok((ring.pack(&b), sampler::uniform_packed(ring, seed, self.level + 1, ring.p_count())))
        };
        let digits = self.digits.iter().enumerate().map(digit).collect::<Result<_>>()?;
        let seeds = self.digits.iter().map(|(_, seed)| *seed).collect();
        Ok(EntryKey { from: owner.id(), holder: self.holder, level: self.level, digits, seeds })
    }

    /// The mask as a file, for its owner alone: overwritten in memory when dropped.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self, parameters: &Parameters) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        let rows = self.digits.iter().map(|(b, _)| pack_poly(parameters.ring(), b)).collect();
        let seeds: Vec<Seed> = self.digits.iter().map(|(_, seed)| *seed).collect();
        let writer = written(ENTRY_MASK, parameters, self.holder, self.level, rows, &seeds);
        Ok(zeroize::Zeroizing::new(writer.to_bytes()?))
    }

    /// Reads a mask that was made under the given parameters.
    ///
    /// # Errors
    ///
    /// For a file that is damaged, no mask, or of other parameters.
    pub fn from_bytes(parameters: &Parameters, bytes: &[u8]) -> Result<Self> {
        let ring = parameters.ring();
        let container = Container::parse(bytes, ENTRY_MASK, ENTRY_FORMAT)?;
        let holder = check_origin(container.header(), parameters)?;
        let (level, rows, seeds) = packed_digits(parameters, &container, B, SEED)?;
        let digits = rows.iter().map(|row| ring.unpack_all(row)).zip(seeds).collect();
        Ok(Self { holder, level, digits })
    }
}

impl Drop for EntryMask {
    fn drop(&mut self) {
        self.digits.iter_mut().for_each(|(b, _)| b.zeroize());
    }
}

impl EntryKey {
    /// The identifier of the owner's key, under which ciphertexts come.
    pub fn from(&self) -> KeyId {
        self.from
    }

    /// The identifier of the key holder's key, under which they are afterwards.
    pub fn holder(&self) -> KeyId {
        self.holder
    }

    /// The highest level of a ciphertext that can enter.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Switches a ciphertext from the owner's secret to the key holder's. It keeps level and scale; the error that this
    /// adds is [`crate::noise::NoiseModel::entry`].
    ///
    /// # Errors
    ///
    /// [`Error::MissingKey`] for a ciphertext above the key's level.
    pub fn enter(&self, parameters: &Parameters, ciphertext: &Ciphertext) -> Result<Ciphertext> {
        if ciphertext.level() > self.level {
            return Err(Error::MissingKey(format!("entry at level {}", ciphertext.level())));
        }
        let ring = parameters.ring();
        let (c0, c1) = (ciphertext.c0.words(ring), ciphertext.c1.words(ring));
        let digits = ring.decompose(&c1);
        let switch = Switch { digits: &digits, key: &self.digits, element: 1 };
        let [c0, c1] = ring.switch(&[switch], [&[(&*c0, 1)], &[]], 0);
        Ok(Ciphertext::new(c0, c1, ciphertext.scale()))
    }

    /// The key as a file, for the server.
    ///
    /// # Errors
    ///
    /// Only if the container cannot be written.
    pub fn to_bytes(&self, parameters: &Parameters) -> Result<Vec<u8>> {
        let rows = self.digits.iter().map(|(b, _)| b.bytes().to_vec()).collect();
        let writer = written(ENTRY_KEY, parameters, self.holder, self.level, rows, &self.seeds);
        Ok(writer.metadata(FROM, self.from.to_string()).to_bytes()?)
    }

    /// Reads a key that was made under the given parameters.
    ///
    /// # Errors
    ///
    /// For a file that is damaged, no entry key, or of other parameters.
    pub fn from_bytes(parameters: &Parameters, bytes: &[u8]) -> Result<Self> {
        let ring = parameters.ring();
        let container = Container::parse(bytes, ENTRY_KEY, ENTRY_FORMAT)?;
        let holder = check_origin(container.header(), parameters)?;
        let bad =
            || Error::File("holds a key identifier that is not 32 hexadecimal digits: fetch the file again".into());
        let from = KeyId::parse(container.metadata(FROM)?).ok_or_else(bad)?;
        let (level, rows, seeds) = packed_digits(parameters, &container, B, SEED)?;
        let uniform = |seed: &Seed| sampler::uniform_packed(ring, seed, level + 1, ring.p_count());
        let digits = rows.into_iter().zip(&seeds).map(|(b, seed)| (b, uniform(seed))).collect();
        Ok(Self { from, holder, level, digits, seeds })
    }
}

/// Enters the ciphertexts of several owners and adds them up: one of the key holder's, with the sum of what they hold.
///
/// # Errors
///
/// As [`EntryKey::enter`]; [`Error::Length`] for none, [`Error::LevelMismatch`] and [`Error::ScaleMismatch`] for
/// ciphertexts that are not alike.
pub fn enter_all(parameters: &Parameters, sent: &[(&EntryKey, Ciphertext)]) -> Result<Ciphertext> {
    let ring = parameters.ring();
    let Some(((key, first), rest)) = sent.split_first() else {
        return Err(Error::Length { found: 0, expected: 1 });
    };
    let mut sum = key.enter(parameters, first)?;
    for (key, ciphertext) in rest {
        if ciphertext.level() != first.level() {
            return Err(Error::LevelMismatch(first.level(), ciphertext.level()));
        }
        if ciphertext.scale() != first.scale() {
            return Err(Error::ScaleMismatch(first.scale().log2(), ciphertext.scale().log2()));
        }
        let entered = key.enter(parameters, ciphertext)?;
        let [c0, c1] =
            [(&sum.c0, &entered.c0), (&sum.c1, &entered.c1)].map(|(a, b)| ring.add(&a.words(ring), &b.words(ring)));
        sum = Ciphertext::new(c0, c1, first.scale());
    }
    Ok(sum)
}

/// A noise polynomial over the ciphertext primes up to a level and the special primes.
fn noise(parameters: &Parameters, level: usize) -> Result<RnsPoly> {
    let ring = parameters.ring();
    let mut noise = Sampler::from_os()?.gaussian(ring.n());
    let poly = ring.reduce_signed(&noise, level + 1, ring.p_count());
    noise.zeroize();
    Ok(poly)
}

fn written<'a>(
    kind: &str,
    parameters: &Parameters,
    holder: KeyId,
    level: usize,
    rows: Vec<Vec<u8>>,
    seeds: &[Seed],
) -> ContainerWriter<'a> {
    let ring = parameters.ring();
    ContainerWriter::new(kind, ENTRY_FORMAT)
        .metadata(PARAMETERS_DIGEST, parameters.digest())
        .metadata(KEY_ID, holder.to_string())
        .u8(SEED, &[seeds.len(), size_of::<Seed>()], seeds.concat())
        .packed(B, &ring.widths(level + 1, ring.p_count()), rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::NoiseModel;
    use crate::{Complex64, Encoder, ParametersLiteral, decrypt, encrypt};

    struct Parties {
        literal: ParametersLiteral,
        parameters: Parameters,
        holder: SecretKey,
        owner: SecretKey,
    }

    fn parties(levels: usize, special: usize) -> Parties {
        let literal = ParametersLiteral::choose(9, 50, 40, levels, special).unwrap();
        let parameters = Parameters::new_insecure_for_tests(literal.clone()).unwrap();
        let [holder, owner] = [(); 2].map(|()| SecretKey::generate(&parameters).unwrap());
        Parties { literal, parameters, holder, owner }
    }

    impl Parties {
        fn key(&self, level: usize) -> EntryKey {
            let mask = EntryMask::generate(&self.parameters, &self.holder, level).unwrap();
            mask.complete(&self.parameters, &self.owner).unwrap()
        }

        fn sent(&self, values: &[Complex64], level: usize, scale: f64) -> Ciphertext {
            let message = Encoder::new(9).encode(values, scale).unwrap();
            let sent = encrypt(&self.parameters, &self.owner, &message, level, scale).unwrap();
            sent.expand(self.parameters.ring())
        }

        fn opened(&self, ciphertext: &Ciphertext) -> Vec<Complex64> {
            decrypt(&self.parameters, &self.holder, &Encoder::new(9), ciphertext)
        }
    }

    fn values() -> Vec<Complex64> {
        (0..256).map(|i| Complex64::new((i as f64 * 0.37).sin(), (i as f64 * 0.73).cos())).collect()
    }

    #[test]
    fn what_enters_is_what_was_sent_with_the_error_that_the_model_says() {
        for (levels, special) in [(5, 2), (3, 3), (4, 1)] {
            let (parties, scale, values) = (parties(levels, special), 2f64.powi(40), values());
            let model = NoiseModel::new(&parties.literal);
            for level in [levels, 1] {
                let key = parties.key(levels);
                let (mut squares, mut count) = (0.0, 0);
                for _ in 0..20 {
                    let entered = key.enter(&parties.parameters, &parties.sent(&values, level, scale)).unwrap();
                    assert_eq!((entered.level(), entered.scale()), (level, scale));
                    let errors = parties.opened(&entered).into_iter().zip(&values).map(|(x, y)| (x - y).norm_sqr());
                    squares += errors.sum::<f64>() * scale * scale;
                    count += values.len();
                }
                let ratio = squares / count as f64 / (model.fresh() + model.entry(level));
                assert!((0.8..1.2).contains(&ratio), "{levels} levels, {special} special, level {level}: {ratio}");
            }
        }
    }

    #[test]
    fn nobody_but_the_holder_reads_what_has_entered_and_no_other_key_lets_it_in() {
        let (parties, values) = (parties(3, 2), values());
        let key = parties.key(3);
        let sent = parties.sent(&values, 3, 2f64.powi(40));
        let entered = key.enter(&parties.parameters, &sent).unwrap();
        let near = |found: &[Complex64]| found.iter().zip(&values).all(|(x, y)| (x - y).norm() < 1e-3);
        assert!(near(&parties.opened(&entered)));
        assert!(!near(&parties.opened(&sent)), "the holder cannot read what was sent before it has entered");
        assert!(!near(&decrypt(&parties.parameters, &parties.owner, &Encoder::new(9), &entered)));
        let stranger = SecretKey::generate(&parties.parameters).unwrap();
        let mask = EntryMask::generate(&parties.parameters, &parties.holder, 3).unwrap();
        let other = mask.complete(&parties.parameters, &stranger).unwrap();
        assert!(!near(&parties.opened(&other.enter(&parties.parameters, &sent).unwrap())));
        assert_eq!((key.from(), key.holder()), (parties.owner.id(), parties.holder.id()));
        assert!(matches!(parties.key(1).enter(&parties.parameters, &sent), Err(Error::MissingKey(_))));
    }

    /// b_j + a_j s = g_j s_k + noise: the holder alone could tell, if it got the key. The owner's own noise is in it: without
    /// it this would be g_j s_k + e_j of the holder's exactly.
    #[test]
    fn an_entry_key_carries_noise_of_the_owner_that_the_holder_does_not_know() {
        let parties = parties(3, 2);
        let ring = parties.parameters.ring();
        let mask = EntryMask::generate(&parties.parameters, &parties.holder, 3).unwrap();
        let masks: Vec<RnsPoly> = mask.digits.iter().map(|(b, _)| b.clone()).collect();
        let key = mask.complete(&parties.parameters, &parties.owner).unwrap();
        for (j, ((b, _), mask)) in key.digits.iter().zip(&masks).enumerate() {
            let mut gadget = RnsPoly::zero(ring.n(), 4, 2);
            ring.add_gadget(&mut gadget, &parties.owner.evaluations, j);
            let mut noise = ring.sub(&ring.sub(&ring.unpack_all(b), mask), &gadget);
            ring.inverse(&mut noise);
            let q = ring.q(0).value();
            let small = |x: u64| if x > q / 2 { x as f64 - q as f64 } else { x as f64 };
            let variance = noise.limb(0).iter().map(|&x| small(x).powi(2)).sum::<f64>() / ring.n() as f64;
            assert!((5.0..17.0).contains(&variance), "a Gaussian of deviation 3.19, found variance {variance}");
        }
    }

    #[test]
    fn masks_and_keys_survive_their_files_and_damaged_ones_are_refused() {
        let (parties, values) = (parties(3, 2), values());
        let other = Parameters::new_insecure_for_tests(ParametersLiteral::choose(9, 50, 40, 4, 2).unwrap()).unwrap();
        let mask = EntryMask::generate(&parties.parameters, &parties.holder, 3).unwrap();
        let mask_file = mask.to_bytes(&parties.parameters).unwrap();
        let read = EntryMask::from_bytes(&parties.parameters, &mask_file).unwrap();
        assert_eq!(read.holder(), parties.holder.id());
        let key = read.complete(&parties.parameters, &parties.owner).unwrap();
        let key_file = key.to_bytes(&parties.parameters).unwrap();
        let key = EntryKey::from_bytes(&parties.parameters, &key_file).unwrap();
        let entered = key.enter(&parties.parameters, &parties.sent(&values, 3, 2f64.powi(40))).unwrap();
        assert!(parties.opened(&entered).iter().zip(&values).all(|(x, y)| (x - y).norm() < 1e-3));
        assert_eq!(key.to_bytes(&parties.parameters).unwrap(), key_file);

        assert!(EntryMask::from_bytes(&other, &mask_file).is_err() && EntryKey::from_bytes(&other, &key_file).is_err());
        assert!(EntryMask::from_bytes(&parties.parameters, &key_file).is_err());
        assert!(EntryKey::from_bytes(&parties.parameters, &mask_file).is_err());
        for position in (0..key_file.len()).step_by(key_file.len() / 40) {
            let mut damaged = key_file.clone();
            damaged[position] ^= 16;
            assert!(EntryKey::from_bytes(&parties.parameters, &damaged).is_err(), "at {position}");
            assert!(EntryKey::from_bytes(&parties.parameters, &key_file[..position]).is_err());
        }
        // No byte of either secret in what goes to the server.
        let secret: Vec<u8> = parties.owner.coefficients.iter().map(|&x| x as i8 as u8).collect();
        assert!(!key_file.windows(32).any(|window| window == &secret[..32]));
    }
}
