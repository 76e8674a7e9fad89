//! The operations that training consists of, at the parameters that plans choose: 128 rows of 400 features for two
//! iterations (N = 2^14, 6 limbs, 2 special primes), and three or four iterations (N = 2^15, 13 limbs in 3 digits of
//! 5).

// criterion_group! makes a public function without documentation.
#![allow(missing_docs)]

use std::hint::black_box;

use ciphertune_ckks::container::packing;
use ciphertune_ckks::{
    Arithmetic, Complex64, Encoder, EvaluationKeys, Evaluator, KeySet, Parameters, ParametersLiteral, SecretKey,
    decrypt, encrypt, galois,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const HOISTED: [isize; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn operations(c: &mut Criterion) {
    for (log_n, level_bits, levels, special) in [(14, 48, 5, 2), (15, 47, 12, 5)] {
        let literal = ParametersLiteral::choose(log_n, 50, level_bits, levels, special).unwrap();
        let parameters = Parameters::new(literal).unwrap();
        let (ring, scale) = (parameters.ring(), 2f64.powi(level_bits as i32));
        let owner = SecretKey::generate(&parameters).unwrap();
        let mut needed = KeySet::default();
        needed.need_relinearization(levels);
        HOISTED.iter().for_each(|&k| needed.need_galois(galois::rotation_element(log_n, k), levels));
        let server = Evaluator::new(EvaluationKeys::generate(&parameters, &owner, &needed).unwrap());

        let encoder = Encoder::new(log_n);
        let values: Vec<_> =
            (0..encoder.slots()).map(|i| Complex64::new((i as f64).sin(), (0.3 * i as f64).cos())).collect();
        let message = encoder.encode(&values, scale).unwrap();
        let fresh = || encrypt(&parameters, &owner, &message, levels, scale).unwrap();
        let (x, y) = (fresh().expand(ring), fresh().expand(ring));

        let mut group = c.benchmark_group(format!("2^{log_n}, {} limbs, {special} special", levels + 1));
        let mut bench = |name: &str, work: &dyn Fn()| {
            group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(work));
        };
        bench("encode", &|| drop(encoder.encode(&values, scale).unwrap()));
        bench("encrypt", &|| drop(fresh()));
        let sent = fresh();
        bench("draw the uniform half of an upload", &|| drop(sent.clone().expand(ring)));
        bench("decrypt", &|| drop(decrypt(&parameters, &owner, &encoder, &x)));
        bench("multiply, relinearise, rescale", &|| drop(server.mul_rescale(&x, &y).unwrap()));
        bench("multiply, unrelinearised", &|| drop(server.dot(&[(&x, &y)]).unwrap()));
        bench("rotate", &|| drop(server.rotate(&x, 1).unwrap()));
        bench("rotate 8 times, hoisted", &|| drop(server.rotate_hoisted(&x, &HOISTED).unwrap()));
    }
}

/// The residues of one limb, as files have them: bytes a second of residues in memory.
fn residues(c: &mut Criterion) {
    for width in [48, 50] {
        let words: Vec<u64> = (0..1u64 << 15).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - width)).collect();
        let mut bytes = vec![0; packing::packed_bytes(words.len(), [width])];
        let mut back = vec![0; words.len()];
        let mut group = c.benchmark_group(format!("a limb of 2^15 residues of {width} bits"));
        group.throughput(Throughput::Bytes(8 << 15));
        group.bench_function("pack", |b| b.iter(|| packing::pack(black_box(&words), width, black_box(&mut bytes))));
        group.bench_function("unpack", |b| b.iter(|| packing::unpack(black_box(&bytes), width, black_box(&mut back))));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = operations, residues
}
criterion_main!(benches);
