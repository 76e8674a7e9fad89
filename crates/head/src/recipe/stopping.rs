//! Early stopping: a training ends when rows that were held out of it are no longer judged better.

use crate::error::Result;

use super::check;

/// How long to go on without an iterate that is better than all before it, and the best so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopping {
    patience: usize,
    best: Option<Best>,
}

/// The best iterate of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// t.
    pub iteration: usize,
    /// Held-out rows right.
    pub right: usize,
}

/// What is to be done after an iterate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the best so far: keep it.
    Better,
    /// Go on.
    Worse,
    /// End, and take the best.
    Stop,
}

impl Stopping {
    /// Stops after so many iterations without an iterate that has more held-out rows right.
    ///
    /// # Errors
    ///
    /// [`HeadError::InvalidRecipe`](crate::HeadError::InvalidRecipe) for a patience of no iterations.
    pub fn new(patience: usize) -> Result<Self> {
        check(patience > 0, "a patience of 0 iterations would stop after the first: choose --patience 3")?;
        Ok(Self { patience, best: None })
    }

    /// As it stood in a training that goes on.
    #[must_use]
    pub fn with_best(self, best: Option<Best>) -> Self {
        Self { best, ..self }
    }

    /// The best iterate so far: the first of those with the most rows right.
    pub fn best(&self) -> Option<Best> {
        self.best
    }

    /// Takes the iterate of iteration `t` into account, which has so many held-out rows right.
    pub fn observe(&mut self, t: usize, right: usize) -> Verdict {
        match self.best {
            Some(best) if right <= best.right && t >= best.iteration + self.patience => Verdict::Stop,
            Some(best) if right <= best.right => Verdict::Worse,
            _ => {
                self.best = Some(Best { iteration: t, right });
                Verdict::Better
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_stops_when_patience_ends_and_the_first_of_the_best_is_kept() {
        let mut stopping = Stopping::new(2).unwrap();
        let verdicts = [5, 7, 7, 8, 8, 7].iter().zip(1..).map(|(right, t)| stopping.observe(t, *right));
        use Verdict::{Better, Stop, Worse};
        assert!(verdicts.eq([Better, Better, Worse, Better, Worse, Stop]));
        assert_eq!(stopping.best(), Some(Best { iteration: 4, right: 8 }));
        assert_eq!(Stopping::new(1).unwrap().with_best(stopping.best()).observe(5, 8), Stop);
        assert!(Stopping::new(0).unwrap_err().to_string().contains("--patience 3"));
    }
}
