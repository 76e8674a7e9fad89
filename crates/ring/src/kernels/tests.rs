//! Every backend that this machine has, against the portable kernels, on random and on extreme words.

use super::*;
use crate::packing;
use crate::prime::ntt_primes;

const LEN: usize = 1 << 11;

/// Random residues, with 0, 1, q - 1 and values around q/2 among them.
fn words(m: &Modulus, seed: u64) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..LEN)
        .map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let q = m.value();
            match (state >> 59, i % 5) {
                (0, 0) => 0,
                (0, 1) => 1,
                (0, 2) => q - 1,
                (0, 3) => q / 2,
                (0, _) => q / 2 + 1,
                _ => m.reduce(state >> 3),
            }
        })
        .collect()
}

/// A limb as keys have it: packed, with arbitrary bytes behind it.
fn packed(m: &Modulus, words: &[u64]) -> Vec<u8> {
    let width = packing::width(m.value());
    let mut bytes = vec![0; packing::packed_bytes(words.len(), [width])];
    packing::pack(words, width, &mut bytes);
    bytes.extend([0xa5; packing::SLACK]);
    bytes
}

fn moduli() -> Vec<Modulus> {
    let n = 1 << 10;
    [20, 32, 45, 48, 50]
        .iter()
        .flat_map(|&bits| ntt_primes(bits, 2, n, &[]).unwrap())
        .map(|q| Modulus::new(q).unwrap())
        .collect()
}

#[test]
fn all_backends_agree_bit_for_bit() {
    for (simd, m) in Backend::available().into_iter().flat_map(|simd| moduli().into_iter().map(move |m| (simd, m))) {
        let m = &m;
        let (a, b) = (words(m, 1), words(m, 2));
        let w = m.shoup(words(m, 3)[0]);
        let extreme = m.shoup(m.value() - 1);
        let both = |kernel: &dyn Fn(Backend, &mut Vec<u64>)| {
            let (mut x, mut y) = (a.clone(), a.clone());
            kernel(Backend::Portable, &mut x);
            kernel(simd, &mut y);
            assert!(x == y, "{}, modulus {}", simd.name(), m.value());
        };
        both(&|backend, x| dispatch!(backend, add_assign(m, x, &b)));
        both(&|backend, x| dispatch!(backend, sub_assign(m, x, &b)));
        both(&|backend, x| dispatch!(backend, negate_assign(m, x)));
        both(&|backend, x| dispatch!(backend, mul_assign(m, x, &b)));
        for w in [w, extreme] {
            both(&|backend, x| dispatch!(backend, mul_constant_assign(m, x, w)));
            both(&|backend, x| dispatch!(backend, sub_mul_constant(m, &b, x, w)));
            both(&|backend, x| dispatch!(backend, add_mul_constant(m, x, &b, w)));
        }
        for g in [5, (4 * LEN / 3) | 1, 2 * LEN - 1] {
            let permutation = Permutation::new(LEN.ilog2(), g);
            both(&|backend, x| dispatch!(backend, permute(&permutation, &b, x)));
        }
    }
}

#[test]
fn residues_of_every_width_are_unpacked_from_any_place_on_every_backend() {
    for width in 8..=50 {
        let m = Modulus::new((1 << width) - 1).unwrap();
        let limb = words(&m, width);
        let bytes = packed(&m, &limb);
        for (simd, first) in Backend::available().into_iter().flat_map(|simd| [(simd, 0), (simd, 40), (simd, LEN - 8)])
        {
            let mut found = vec![u64::MAX; (LEN - first).min(64)];
            dispatch!(simd, unpack(&m, &bytes, first, &mut found));
            assert!(found == limb[first..first + found.len()], "{width} bits from {first}, {}", simd.name());
        }
    }
}

/// Pairs of limbs.
fn pairs(m: &Modulus, count: u64, seed: u64) -> Vec<[Vec<u64>; 2]> {
    (0..count).map(|k| [words(m, seed + 2 * k), words(m, seed + 2 * k + 1)]).collect()
}

fn views(pairs: &[[Vec<u64>; 2]]) -> Vec<Pair<'_>> {
    pairs.iter().map(|pair| pair.each_ref().map(|limb| Limb::Words(limb))).collect()
}

fn matrix_product(
    simd: Backend,
    m: &Modulus,
    rows: &[Vec<Pair>],
    columns: &[Vec<Pair>],
    n: usize,
) -> Vec<[Vec<u64>; 3]> {
    let mut out = vec![[vec![0; n], vec![0; n], vec![0; n]]; rows.len() * columns.len()];
    let mut triples: Vec<Triple> = out.iter_mut().map(|triple| triple.each_mut().map(|d| &mut d[..])).collect();
    matrix::matrix_product_on(simd, m, rows, columns, 0, &mut triples);
    out
}

#[test]
fn a_matrix_product_is_a_sum_of_products_in_every_entry_on_every_backend() {
    for m in &moduli() {
        for count in [1, 3, 4, 7, 8, 15, 16, 21] {
            let (a, b) = ([pairs(m, count, 10), pairs(m, count, 60)], [pairs(m, count, 110), pairs(m, count, 160)]);
            let (rows, columns) = (a.each_ref().map(|a| views(a)), b.each_ref().map(|b| views(b)));
            let expected = matrix_product(Backend::Portable, m, &rows, &columns, LEN);
            for (row, column) in [(0, 0), (1, 0), (1, 1)] {
                for i in (0..LEN).step_by(97) {
                    let sum = |terms: &[(usize, usize)]| {
                        a[row].iter().zip(&b[column]).fold(0, |sum, (a, b)| {
                            terms.iter().fold(sum, |sum, &(x, y)| m.add(sum, m.mul(a[x][i], b[y][i])))
                        })
                    };
                    let [d0, d1, d2] = &expected[2 * row + column];
                    assert_eq!((d0[i], d1[i], d2[i]), (sum(&[(0, 0)]), sum(&[(0, 1), (1, 0)]), sum(&[(1, 1)])));
                }
            }
            let packed = a.each_ref().map(|a| a.iter().map(|a| a.each_ref().map(|a| packed(m, a))).collect::<Vec<_>>());
            let packed = packed
                .each_ref()
                .map(|a| a.iter().map(|pair| pair.each_ref().map(|limb| Limb::Packed(limb))).collect::<Vec<Pair>>());
            for (simd, rows) in Backend::available().into_iter().flat_map(|simd| [(simd, &rows), (simd, &packed)]) {
                assert!(matrix_product(simd, m, rows, &columns, LEN) == expected, "{}, {}", simd.name(), m.value());
                let transposed = [0, 2, 1, 3].map(|entry| expected[entry].clone());
                let found = matrix_product(simd, m, &columns, rows, LEN);
                assert!(found == transposed, "{}, {}, transposed", simd.name(), m.value());
            }
        }
    }
}

#[test]
fn a_matrix_product_in_parts_is_that_of_the_whole() {
    let m = &moduli()[0];
    let (a, b) = (pairs(m, 5, 10), pairs(m, 5, 60));
    let packed: Vec<_> = a.iter().map(|a| a.each_ref().map(|a| packed(m, a))).collect();
    let packed: Vec<Pair> = packed.iter().map(|pair| pair.each_ref().map(|limb| Limb::Packed(limb))).collect();
    for rows in [vec![views(&a)], vec![packed]] {
        for simd in Backend::available() {
            let whole = matrix_product(simd, m, &rows, &[views(&b)], LEN);
            let mut out = [vec![0; LEN], vec![0; LEN], vec![0; LEN]];
            for first in (0..LEN).step_by(3 * matrix::TILE) {
                let end = (first + 3 * matrix::TILE).min(LEN);
                let part: Triple = out.each_mut().map(|d| &mut d[first..end]);
                matrix::matrix_product_on(simd, m, &rows, &[views(&b)], first, &mut [part]);
            }
            assert!(whole == [out], "{}", simd.name());
        }
    }
}

#[test]
fn the_largest_sums_of_products_do_not_overflow() {
    let m = moduli().pop().unwrap();
    let largest = vec![m.value() - 1; 64];
    // (q - 1)^2 = 1 modulo q.
    for count in [7, 8, 15, 16, 2047, 2048, 5000] {
        let operands = [vec![[Limb::Words(&largest); 2]; count]];
        for simd in Backend::available() {
            let expected = [1, 2, 1].map(|factor| vec![factor * count as u64; 64]);
            assert_eq!(matrix_product(simd, &m, &operands, &operands, 64), [expected], "{count}, {}", simd.name());
        }
    }
}

#[test]
fn basis_conversion_agrees_between_backends() {
    let all = moduli();
    for sources in [&all[..1], &all[3..5], &all[6..10], &all[1..10], &all[..10], &vec![all[9]; 33][..]] {
        let limbs: Vec<_> = sources.iter().enumerate().map(|(i, m)| words(m, 7 + i as u64)).collect();
        let limbs: Vec<&[u64]> = limbs.iter().map(|limb| &limb[..]).collect();
        let moduli: Vec<_> = sources.iter().collect();
        let target = &all[5];
        let weights = words(target, 50)[..sources.len()].to_vec();
        let run = |backend: Backend| {
            let mut overflow = vec![0; LEN];
            dispatch!(backend, convert_overflow(&moduli, &limbs, &mut overflow));
            let (negated, mut out) = (target.value() - 1, vec![0; LEN]);
            dispatch!(backend, convert_combine(target, &limbs, &weights, &overflow, negated, &mut out));
            out.iter_mut().for_each(|x| *x %= 1 << 52);
            assert!(out.iter().all(|&x| x < 4 * target.value()), "{}", backend.name());
            (overflow, out.iter().map(|&x| target.reduce(x)).collect::<Vec<_>>())
        };
        let expected = run(Backend::Portable);
        for simd in Backend::available() {
            assert!(run(simd) == expected, "{}, {} sources", simd.name(), sources.len());
        }
    }
}

#[test]
fn a_key_switch_sums_what_it_gathers_and_what_is_added() {
    let m = moduli()[8];
    let permutation = Permutation::new(LEN.ilog2(), 2 * LEN - 1);
    let end = m.shoup(m.value() / 3);
    for (count, simd) in
        [1, 3, 17].into_iter().flat_map(|count| Backend::available().into_iter().map(move |s| (count, s)))
    {
        let digits: Vec<_> = (0..count).map(|k| words(&m, k)).collect();
        let keys: Vec<_> = (0..count).map(|k| (words(&m, 20 + k), words(&m, 50 + k))).collect();
        let packed: Vec<_> = keys.iter().map(|(b, c)| (packed(&m, b), packed(&m, c))).collect();
        let added: Vec<_> = (0..3).map(|k| words(&m, 80 + k)).collect();
        // Every other operand through the automorphism.
        let turned = |limb, k: usize| Turned { limb, permutation: (k % 2 == 1).then_some(&permutation) };
        let sum = SwitchLimb {
            digits: digits
                .iter()
                .zip(&packed)
                .enumerate()
                .map(|(k, (d, (b, c)))| (turned(d, k), [&b[..], c]))
                .collect(),
            added: [vec![turned(&added[0], 0), turned(&added[1], 1)], vec![turned(&added[2], 1)]],
            factor: m.value() - 2,
        };
        let divided = [words(&m, 90), words(&m, 91)];
        for end in [None, Some(end)] {
            let mut out = divided.clone();
            let [out0, out1] = &mut out;
            dispatch!(simd, switch(&m, &sum, end, [out0, out1]));
            for (half, i) in (0..2).flat_map(|half| (0..LEN).map(move |i| (half, i))) {
                let word = |turned: &Turned| match turned.permutation {
                    Some(p) => {
                        let (block, order) = p.source(p.sources()[i / 8]);
                        turned.limb[8 * block + order[i % 8] as usize]
                    }
                    None => turned.limb[i],
                };
                let products =
                    sum.digits.iter().zip(&keys).map(|((digit, _), (b, c))| m.mul(word(digit), [b, c][half][i]));
                let added = sum.added[half].iter().map(|added| m.mul(word(added), sum.factor));
                let expected = products.chain(added).fold(0, |sum, x| m.add(sum, x));
                let expected = end.map_or(expected, |w| m.mul(m.sub(expected, divided[half][i]), w.value));
                assert_eq!(out[half][i], expected, "{}, {count} digits", simd.name());
            }
        }
    }
}

#[test]
fn the_largest_key_switches_and_conversions_do_not_overflow() {
    let m = moduli().pop().unwrap();
    let q = m.value();
    let largest = vec![q - 1; 64];
    let key = packed(&m, &largest);
    let turned = Turned { limb: &largest, permutation: None };
    for (count, simd) in (1..40).flat_map(|count| Backend::available().into_iter().map(move |simd| (count, simd))) {
        // (q - 1)^2 = 1 modulo q.
        for added in 0..=MOST_ADDED {
            let sum = SwitchLimb {
                digits: vec![(turned, [&key[..], &key[..]]); count],
                added: [vec![turned; added], vec![turned; MOST_ADDED - added]],
                factor: q - 1,
            };
            let mut out = [vec![0; 64], vec![0; 64]];
            let [out0, out1] = &mut out;
            dispatch!(simd, switch(&m, &sum, None, [out0, out1]));
            let expected = [count + added, count + MOST_ADDED - added].map(|sum| vec![sum as u64; 64]);
            assert_eq!(out, expected, "{count} digits, {added} added, {}", simd.name());
        }
        let (mut out, overflow) = (vec![0; 64], vec![1; 64]);
        dispatch!(
            simd,
            convert_combine(&m, &vec![&largest[..]; count], &vec![q - 1; count], &overflow, q - 1, &mut out)
        );
        // The sum of the products, and q - 1 once.
        let expected = m.reduce(count as u64 + q - 1);
        assert!(out.iter().all(|x| x % (1 << 52) % q == expected), "{count} sources, {}", simd.name());
    }
}

#[test]
fn a_choice_of_kernels_that_does_not_exist_is_refused_by_name() {
    assert_eq!(Backend::choose(Some("portable")).unwrap().name(), "portable");
    let message = Backend::choose(Some("avx1024")).map(|b| b.name()).unwrap_err().to_string();
    assert!(message.contains("avx1024") && message.contains("portable"), "{message}");
}
