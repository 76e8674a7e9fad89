//! Contributions: what several owners give to one training, each under a key of its own.
//!
//! The rows of all are put one after the other, in *places*: a contribution has the places `start .. start + rows`. What is
//! encrypted is cut into blocks of places ([`crate::layout`]), and every owner with a place in a block encrypts the block's
//! ciphertexts, with zeros in the places of others; the server enters them ([`ciphertune_ckks::EntryKey`]) and adds them up.
//! Places of nobody are zero, with labels that contribute nothing, so they change no gradient.
//!
//! * *Dense*: no place is left out, and owners share the blocks that lie across their borders.
//! * *Aligned*: every contribution begins with a block of its own, so nothing is added, and an owner encrypts its own blocks
//!   only.
//!
//! Features and labels may come from different hands: who gives features has the same places as who gives their labels.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::layout::{AnyLayout, Layout, LayoutKind, Role, Shape};
use crate::plan::{Plan, Refresh};
use crate::recipe::{Bound, Gradient};
use crate::{HeadError, Recipe, Result};

/// What an owner gives of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gives {
    /// Features and labels.
    Rows,
    /// Features, whose labels another owner gives.
    Features,
    /// Labels, whose features another owner gives.
    Labels,
}

impl Gives {
    /// Whether features are among it.
    pub fn features(self) -> bool {
        self != Gives::Labels
    }

    /// Whether labels are among it.
    pub fn labels(self) -> bool {
        self != Gives::Features
    }

    /// Whether ciphertexts of a role are among it.
    fn has(self, role: Role) -> bool {
        match role {
            Role::Data => self.features(),
            Role::Labels => self.labels(),
            Role::Offset | Role::Weights => false,
        }
    }
}

/// What an owner gives to a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    /// What of its rows.
    pub gives: Gives,
    /// The place of its first row.
    pub start: usize,
    /// How many rows.
    pub rows: usize,
}

impl Contribution {
    /// Its places.
    pub fn places(self) -> Range<usize> {
        self.start..self.start + self.rows
    }

    /// Whether it has a place in a range.
    fn meets(self, range: &Range<usize>) -> bool {
        self.start < range.end && range.start < self.start + self.rows
    }
}

/// What owners give, in their order, and how many rows of it.
pub type Given = (Gives, usize);

/// The rows of all who give features, which are those of the training.
///
/// # Errors
///
/// [`HeadError::Contributions`] if nobody gives features, or if labels are not those of as many features in the same order.
pub fn rows(given: &[Given]) -> Result<usize> {
    let refuse = |reason: String| Err(HeadError::Contributions(reason));
    if given.iter().any(|(_, rows)| *rows == 0) {
        return refuse("an owner gives no row: leave it out".into());
    }
    let of = |gives| given.iter().filter(move |(found, _)| *found == gives).map(|(_, rows)| *rows);
    let (features, labels): (Vec<usize>, Vec<usize>) = (of(Gives::Features).collect(), of(Gives::Labels).collect());
    if features.len() != labels.len() {
        let counts = format!("{} owner(s) give features and {} give labels", features.len(), labels.len());
        return refuse(format!("{counts}: every table of features has one of labels, in the same order"));
    }
    if let Some((features, labels)) = features.iter().zip(&labels).find(|(features, labels)| features != labels) {
        return refuse(format!(
            "{features} rows of features have {labels} labels: give one label a row, in the same order"
        ));
    }
    match given
        .iter()
        .filter(|(gives, _)| gives.features())
        .map(|(_, rows)| rows)
        .try_fold(0usize, |a, b| a.checked_add(*b))
    {
        Some(0) | None => refuse("nobody gives features".into()),
        Some(rows) => Ok(rows),
    }
}

/// Puts contributions in places, each at a multiple of `unit`; 1 for dense ones. What is given has been through [`rows`].
pub(super) fn place(given: &[Given], unit: usize) -> Vec<Contribution> {
    let mut next = 0usize;
    let mut starts = Vec::new();
    let mut placed: Vec<Contribution> = Vec::with_capacity(given.len());
    for &(gives, rows) in given {
        let mut start = 0;
        if gives.features() {
            start = next.next_multiple_of(unit);
            next = start + rows;
        }
        if gives == Gives::Features {
            starts.push(start);
        }
        placed.push(Contribution { gives, start, rows });
    }
    let labels = placed.iter_mut().filter(|contribution| contribution.gives == Gives::Labels);
    labels.zip(starts).for_each(|(labels, start)| labels.start = start);
    placed
}

/// Places that so many contributions take, up to the last that has a row.
pub(super) fn places(contributions: &[Contribution]) -> usize {
    contributions.iter().map(|contribution| contribution.places().end).max().unwrap_or(0)
}

/// Refuses contributions that are not those of a training: overlapping, too few, or of a recipe whose owner has to see all
/// rows.
pub(super) fn check(
    contributions: &[Contribution],
    (shape, recipe, layout): (Shape, &Recipe, LayoutKind),
    refresh: Refresh,
) -> Result<()> {
    if contributions.is_empty() {
        return Ok(());
    }
    let refuse = |reason: &str| Err(HeadError::Contributions(reason.into()));
    let sensible = contributions.iter().all(|c| (1..=1 << 32).contains(&c.rows) && c.start <= 1 << 40);
    if !sensible {
        return refuse("the plan has a contribution of no rows, or of more than there are");
    }
    for has in [Gives::features, Gives::labels] {
        let mut places: Vec<Range<usize>> = contributions.iter().filter(|c| has(c.gives)).map(|c| c.places()).collect();
        places.sort_unstable_by_key(|places| places.start);
        if places.windows(2).any(|pair| pair[0].end > pair[1].start) {
            return refuse("the plan has two contributions for one place");
        }
        if places.iter().map(ExactSizeIterator::len).sum::<usize>() != shape.rows {
            return refuse("the plan's contributions have more or fewer rows than its shape");
        }
    }
    let given: Vec<Given> = contributions.iter().map(|c| (c.gives, c.rows)).collect();
    rows(&given)?;
    // The k-th labels are those of the k-th features.
    let starts = |gives| contributions.iter().filter(move |c| c.gives == gives).map(|c| c.start);
    if !starts(Gives::Features).eq(starts(Gives::Labels)) {
        return refuse("the plan has labels in other places than their features");
    }
    check_recipe(recipe, layout, refresh)
}

/// Refuses what a training of several owners cannot do.
pub(super) fn check_recipe(recipe: &Recipe, layout: LayoutKind, refresh: Refresh) -> Result<()> {
    let refuse = |reason: &str| Err(HeadError::Contributions(reason.into()));
    if layout != LayoutKind::ClassDiagonal {
        return refuse("the layout volley-revolver has all rows of one owner: leave out --layout");
    }
    if refresh != Refresh::Never {
        return refuse("in a training of several owners nobody may see the gradients: leave out --refresh");
    }
    if recipe.batch().is_some() {
        return refuse("a training of several owners takes gradients of all their rows: leave out --batch");
    }
    if recipe.initial_weight() != 0.0 {
        return refuse("a training of several owners starts from zero: choose --recipe default");
    }
    if recipe.gradient() == Gradient::Quadratic && recipe.bound() == Bound::RowSums {
        return refuse(
            "the bound row-sums needs a sum over all owners' rows: choose --recipe default, or --bound quarter",
        );
    }
    Ok(())
}

/// The most contributions that meet in a ciphertext of a role.
pub(super) fn most_senders(contributions: &[Contribution], layout: &AnyLayout, role: Role) -> usize {
    let AnyLayout::ClassDiagonal(layout) = layout else { return 0 };
    let of_role: Vec<&Contribution> = contributions.iter().filter(|c| c.gives.has(role)).collect();
    // Blocks in which contributions meet have one's beginning in them.
    let in_block = |start: usize| {
        let block = layout.block_places(start / layout.block_rows());
        of_role.iter().filter(|c| c.meets(&block)).count()
    };
    of_role.iter().map(|c| in_block(c.start)).max().unwrap_or(0)
}

/// Ciphertexts of data and of labels that all owners encrypt together.
pub(super) fn entries(contributions: &[Contribution], layout: &AnyLayout) -> [usize; 2] {
    let AnyLayout::ClassDiagonal(layout) = layout else { return [0, 0] };
    let blocks = |role| -> usize {
        let of_role = contributions.iter().filter(|c| c.gives.has(role));
        of_role.map(|c| (c.places().end - 1) / layout.block_rows() - c.start / layout.block_rows() + 1).sum()
    };
    let each = layout.upload_count(false).unwrap_or(0) / layout.blocks() - layout.weight_ciphertexts();
    [blocks(Role::Data) * each, blocks(Role::Labels) * layout.weight_ciphertexts()]
}

impl Plan {
    /// What every owner gives; empty where one owner has all rows, and the training's key.
    pub fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    /// The ciphertexts of the upload that a contribution has a part in, by their places in [`Plan::inputs`].
    pub fn given(&self, contribution: Contribution) -> Vec<usize> {
        let AnyLayout::ClassDiagonal(layout) = &self.layout else { return Vec::new() };
        let inputs = self.inputs();
        let met = |index: &usize| contribution.meets(&layout.block_places(layout.block_of(*index)));
        (0..inputs.len()).filter(|index| contribution.gives.has(inputs[*index].role)).filter(met).collect()
    }

    /// Bytes of the ciphertexts of a contribution: half of each, and the seed of the other half.
    pub fn given_bytes(&self, contribution: Contribution) -> usize {
        let inputs = self.inputs();
        let bytes = |index: usize| self.parameters.packed_bytes(inputs[index].level + 1, 0) + 32;
        self.given(contribution).into_iter().map(bytes).sum()
    }

    /// The highest level of what a contribution encrypts, which its entry key serves.
    pub fn entry_level(&self) -> usize {
        self.inputs().iter().map(|input| input.level).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_put_one_after_the_other_and_labels_beside_their_features() {
        let given = [(Gives::Rows, 10), (Gives::Features, 7), (Gives::Labels, 7), (Gives::Rows, 3)];
        assert_eq!(rows(&given).unwrap(), 20);
        let starts = |unit| place(&given, unit).iter().map(|c| c.start).collect::<Vec<_>>();
        assert_eq!(starts(1), [0, 10, 10, 17]);
        assert_eq!(starts(8), [0, 16, 16, 24]);
        assert_eq!(places(&place(&given, 8)), 27);
    }

    #[test]
    fn what_does_not_make_whole_rows_is_refused_with_the_remedy() {
        let message = |given: &[Given]| rows(given).unwrap_err().to_string();
        assert!(message(&[(Gives::Features, 5)]).contains("1 owner(s) give features and 0 give labels"));
        assert!(message(&[(Gives::Features, 5), (Gives::Labels, 6)]).contains("5 rows of features have 6 labels"));
        assert!(message(&[(Gives::Rows, 5), (Gives::Rows, 0)]).contains("gives no row"));
        assert!(message(&[]).contains("nobody gives features"));
    }
}
