//! What the server computes: the logits of every block and class, in one list, block by block.

use ciphertune_ckks::{Arithmetic, Ciphertext, Evaluator, Plaintext, Result};
use rayon::prelude::*;

use super::{Geometry, HeadForm};

/// Classes whose weights are held in all rotations at once.
const CLASSES_AT_ONCE: usize = 16;
/// Turned plaintexts that are multiplied with at once, each for all classes.
const TURNS_AT_ONCE: usize = 16;
/// Blocks whose sums are held at once for products with plaintexts.
const BLOCKS_AT_ONCE: usize = 8;

/// With an encrypted head, one ciphertext a class. `diagonals` are those of a block after those of the one before.
pub(super) fn with_encrypted_head<M: Arithmetic>(
    m: &M,
    geometry: &Geometry,
    diagonals: &[M::Ciphertext],
    head: &[M::Ciphertext],
) -> Result<Vec<M::Ciphertext>> {
    let (babies, step) = (geometry.babies(), geometry.babies() as isize);
    let steps: Vec<isize> = (0..step).collect();
    let mut answers: Vec<Vec<M::Ciphertext>> = diagonals.chunks(geometry.block()).map(|_| Vec::new()).collect();
    for classes in head.chunks(CLASSES_AT_ONCE) {
        let turned = m.each(classes.iter().collect(), |weights| m.rotate_hoisted(weights, &steps))?;
        let columns: Vec<Vec<&M::Ciphertext>> = turned.iter().map(|turns| turns.iter().collect()).collect();
        let blocks: Vec<&[M::Ciphertext]> = diagonals.chunks(geometry.block()).collect();
        let answered = m.each(blocks, |block| {
            let rows: Vec<Vec<&M::Ciphertext>> = block.chunks(babies).map(|giant| giant.iter().collect()).collect();
            let mut sums: Vec<Option<M::Ciphertext>> = classes.iter().map(|_| None).collect();
            for products in m.dot_many(&rows, &columns)?.into_iter().rev() {
                sums = m.each(sums.into_iter().zip(products).collect(), |(sum, product)| {
                    Ok(Some(match sum {
                        Some(sum) => m.relinearize_add_rotated(&product, &sum, step, false)?,
                        None => m.relinearize(&product)?,
                    }))
                })?;
            }
            m.each(sums.into_iter().flatten().collect(), |sum| folded(m, geometry, &sum))
        })?;
        answers.iter_mut().zip(answered).for_each(|(answers, more)| answers.extend(more));
    }
    Ok(answers.into_iter().flatten().collect())
}

/// With a head in the clear, one plaintext a class.
pub(super) fn with_clear_head(
    m: &Evaluator,
    geometry: &Geometry,
    diagonals: &[Ciphertext],
    head: &[Plaintext],
) -> Result<Vec<Ciphertext>> {
    let mut answers = Vec::new();
    for blocks in diagonals.chunks(BLOCKS_AT_ONCE * geometry.block()) {
        let turns: Vec<usize> = (0..geometry.block()).collect();
        let parts = turns.par_chunks(TURNS_AT_ONCE).map(|turns| {
            let turned = |weights: &Plaintext| -> Vec<Plaintext> {
                turns.iter().map(|&t| weights.rotated(m.parameters(), t as isize)).collect()
            };
            let turned: Vec<Vec<Plaintext>> = head.iter().map(turned).collect();
            let columns: Vec<Vec<&Plaintext>> = turned.iter().map(|turns| turns.iter().collect()).collect();
            let rows: Vec<Vec<&Ciphertext>> =
                blocks.chunks(geometry.block()).map(|block| turns.iter().map(|&t| &block[t]).collect()).collect();
            Ok(m.dot_plain_many(&rows, &columns)?.into_iter().flatten().collect::<Vec<_>>())
        });
        let sums = parts.try_reduce_with(|a: Vec<Ciphertext>, b| a.iter().zip(&b).map(|(a, b)| m.add(a, b)).collect());
        let sums = sums.transpose()?.unwrap_or_default();
        answers.extend(m.each(sums, |sum| folded(m, geometry, &sum))?);
    }
    Ok(answers)
}

/// The sum over the feature axis, at the places below B of every group.
fn folded<M: Arithmetic>(m: &M, geometry: &Geometry, sum: &M::Ciphertext) -> Result<M::Ciphertext> {
    m.fold(sum, geometry.block() as isize, geometry.width() / geometry.block())
}

/// Polynomials that are held at most beside the diagonals.
pub(super) fn polynomials(geometry: &Geometry, classes: usize, blocks: usize, threads: usize) -> usize {
    let answers = 2 * blocks * classes;
    let working = match geometry.form() {
        HeadForm::Clear => {
            let (turned, sums) = (geometry.block().min(TURNS_AT_ONCE), 4 * blocks.min(BLOCKS_AT_ONCE));
            threads * classes * (turned + sums)
        }
        HeadForm::Encrypted => {
            let classes = classes.min(CLASSES_AT_ONCE);
            2 * classes * geometry.babies() + threads * classes * (3 * geometry.giants() + 4)
        }
    };
    answers + working
}
