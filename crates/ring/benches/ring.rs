//! Transforms and the limb-wise steps of a key switch, at the rings that plans choose.

// criterion_group! makes a public function without documentation.
#![allow(missing_docs)]

use ciphertune_ring::{Ntt, PackedPoly, Ring, Switch, prime::ntt_primes, sampler};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// One limb at a time: 48-bit primes for rescaling, 50-bit primes for key switching; beside tfhe-ntt's.
fn transforms(c: &mut Criterion) {
    for log_n in [13, 14, 15, 16] {
        let n = 1usize << log_n;
        for bits in [48, 50] {
            let ntt = Ntt::new(n, ntt_primes(bits, 1, n, &[]).unwrap()[0]).unwrap();
            let q = ntt.modulus().value();
            let limb: Vec<u64> = (0..n as u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % q).collect();
            let mut group = c.benchmark_group(format!("transform of {bits} bits"));
            group.throughput(Throughput::Elements(n as u64));
            let other = tfhe_ntt::prime64::Plan::try_new(n, q).unwrap();
            let mut x = limb;
            let shape = format!("2^{log_n}");
            group.bench_function(BenchmarkId::new("forward", &shape), |b| b.iter(|| ntt.forward(&mut x)));
            group.bench_function(BenchmarkId::new("inverse", &shape), |b| b.iter(|| ntt.inverse(&mut x)));
            group.bench_function(BenchmarkId::new("forward, tfhe-ntt", &shape), |b| b.iter(|| other.fwd(&mut x)));
            group.bench_function(BenchmarkId::new("inverse, tfhe-ntt", &shape), |b| {
                b.iter(|| {
                    other.inv(&mut x);
                    other.normalize(&mut x);
                })
            });
        }
    }
}

/// The parts of a key switch, all limbs, with all threads.
fn key_switch_parts(c: &mut Criterion) {
    for (log_n, level_bits, q_limbs, special) in [(14, 48, 6, 2), (15, 47, 13, 5)] {
        let n = 1usize << log_n;
        let p = ntt_primes(50, special, n, &[]).unwrap();
        let q = ntt_primes(level_bits, q_limbs, n, &p).unwrap();
        let ring = Ring::new(log_n, &q, &p).unwrap();
        let poly = |seed: u8, p_limbs: usize| sampler::uniform(&ring, &[seed; 32], q_limbs, p_limbs);
        let a = poly(1, 0);
        let digits = ring.decompose(&a);
        let half = |seed: u8| ring.pack(&poly(seed, special));
        let key: Vec<(PackedPoly, PackedPoly)> =
            (0..ring.digit_count(q_limbs) as u8).map(|j| (half(2 + 2 * j), half(3 + 2 * j))).collect();
        let shape = format!("2^{log_n}, {q_limbs} limbs, {special} special");
        let mut group = c.benchmark_group("key switch");
        group.bench_function(BenchmarkId::new("decompose", &shape), |b| b.iter(|| ring.decompose(&a)));
        let switch = Switch { digits: &digits, key: &key, element: 5 };
        group.bench_function(BenchmarkId::new("switch", &shape), |b| {
            b.iter(|| ring.switch(&[switch], [&[(&a, 5)], &[]], 0))
        });
        group.bench_function(BenchmarkId::new("switch two, rescale", &shape), |b| {
            b.iter(|| ring.switch(&[switch, Switch { element: 1, ..switch }], [&[(&a, 5), (&a, 1)], &[(&a, 1)]], 1))
        });
    }
}

criterion_group!(benches, transforms, key_switch_parts);
criterion_main!(benches);
