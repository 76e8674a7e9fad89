//! What a key switch costs beside the transforms that it is made of: rotation, hoisted rotation and multiplication with
//! relinearisation and rescale, in milliseconds and as ratios, all in one run. One thread (set RAYON_NUM_THREADS for
//! others).
//!
//! Operations take turns and the least time of each counts, because machines are shared. The transforms are tfhe-ntt's,
//! on one of the ring's own primes, as many as one rotation does: inverse of every limb, forward of every digit to
//! every prime that is not its own, and twice inverse of the special limbs and forward to all others.
//!
//!     cargo bench -p ciphertune-ckks --bench key_switch
//!     cargo bench -p ciphertune-ckks --bench key_switch -- --json

use std::hint::black_box;
use std::time::Instant;

use ciphertune_ckks::{
    Arithmetic, Complex64, Encoder, EvaluationKeys, Evaluator, KeySet, Parameters, ParametersLiteral, SecretKey,
    encrypt, galois,
};

/// log N, bits of a prime, limbs, special primes: two iterations, and three digits at about the largest modulus of two
/// rings.
const RINGS: [(u32, u32, usize, usize); 3] = [(14, 48, 6, 2), (15, 47, 13, 5), (16, 44, 26, 9)];
/// Rotations of one ciphertext that share its decomposition.
const HOISTED: [isize; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

struct Row {
    shape: String,
    transforms: usize,
    /// Milliseconds: those transforms, rotate, one of eight hoisted rotations, multiply with relinearisation and
    /// rescale.
    milliseconds: [f64; 4],
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // `cargo bench -- --test` asks every bench to run once.
    let (rounds, rings) = if has("--test") { (1, &RINGS[..1]) } else { (40, &RINGS[..]) };
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("no pool has been built before");
    }
    let rows: Vec<Row> = rings.iter().map(|&ring| measure(ring, rounds)).collect();
    if has("--json") {
        print_json(&rows);
    } else {
        print_table(&rows);
    }
}

fn measure((log_n, bits, limbs, special): (u32, u32, usize, usize), rounds: usize) -> Row {
    let levels = limbs - 1;
    let literal = ParametersLiteral::choose(log_n, 50, bits, levels, special).expect("the ring has these primes");
    let parameters = Parameters::new(literal).expect("a ring of 128 bits of security");
    let (ring, scale) = (parameters.ring(), 2f64.powi(bits as i32));
    let owner = SecretKey::generate(&parameters).expect("randomness");
    let mut needed = KeySet::default();
    needed.need_relinearization(levels);
    HOISTED.iter().for_each(|&k| needed.need_galois(galois::rotation_element(log_n, k), levels));
    let server = Evaluator::new(EvaluationKeys::generate(&parameters, &owner, &needed).expect("randomness"));
    let encoder = Encoder::new(log_n);
    let values: Vec<_> =
        (0..encoder.slots()).map(|i| Complex64::new((i as f64).sin(), (0.3 * i as f64).cos())).collect();
    let message = encoder.encode(&values, scale).expect("values below the modulus");
    let fresh = || encrypt(&parameters, &owner, &message, levels, scale).expect("randomness").expand(ring);
    let (x, y) = (fresh(), fresh());

    let digits = ring.digit_count(limbs);
    let transforms = limbs + digits * (limbs + special) - limbs + 2 * (special + limbs);
    let q = ring.q(limbs - 1).value();
    let plan = tfhe_ntt::prime64::Plan::try_new(ring.n(), q).expect("a prime of this ring");
    let mut limb: Vec<u64> = (0..ring.n() as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % q).collect();

    let mut least = [f64::INFINITY; 4];
    for _ in 0..rounds {
        let mut time = |index: usize, share: f64, work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            least[index] = least[index].min(1e3 * share * start.elapsed().as_secs_f64());
        };
        time(0, 1.0, &mut || (0..transforms).for_each(|_| plan.fwd(black_box(&mut limb))));
        time(1, 1.0, &mut || drop(black_box(server.rotate(&x, 1).expect("the key is there"))));
        let share = 1.0 / HOISTED.len() as f64;
        time(2, share, &mut || drop(black_box(server.rotate_hoisted(&x, &HOISTED).expect("the keys are there"))));
        time(3, 1.0, &mut || drop(black_box(server.mul_rescale(&x, &y).expect("the key is there"))));
    }
    let shape = format!("2^{log_n}, {limbs} limbs + {special}, {digits} digits");
    Row { shape, transforms, milliseconds: least }
}

fn print_table(rows: &[Row]) {
    println!("kernels {}, threads {}", ciphertune_ring::kernels::backend_name(), rayon::current_num_threads());
    println!(
        "{:<28} {:>20} {:>16} {:>20} {:>20}",
        "N, limbs", "tfhe-ntt transforms", "rotate", "hoisted, of 8", "multiply, rescale"
    );
    for Row { shape, transforms, milliseconds: [ntt, rotate, hoisted, multiply] } in rows {
        println!(
            "{shape:<28} {:>20} {:>16} {:>20} {:>20}",
            format!("{transforms} in {ntt:.2} ms"),
            format!("{rotate:.2} ms {:.2} x", rotate / ntt),
            format!("{hoisted:.2} ms {:.2} x", hoisted / rotate),
            format!("{multiply:.2} ms {:.2} x", multiply / rotate),
        );
    }
    println!("\nRatios: rotate to the transforms, the others to rotate.");
}

fn print_json(rows: &[Row]) {
    let rows: Vec<String> = rows
        .iter()
        .map(|Row { shape, transforms, milliseconds: [ntt, rotate, hoisted, multiply] }| {
            format!(
                "{{\"shape\": \"{shape}\", \"transforms\": {transforms}, \"transforms_ms\": {ntt}, \"rotate_ms\": {rotate}, \"hoisted_ms\": {hoisted}, \"multiply_ms\": {multiply}}}"
            )
        })
        .collect();
    println!(
        "{{\"kernels\": \"{}\", \"threads\": {}, \"rings\": [{}]}}",
        ciphertune_ring::kernels::backend_name(),
        rayon::current_num_threads(),
        rows.join(", ")
    );
}
