//! The owner's side of the class-diagonal layout: packing the upload and reading the weights.

use super::*;

impl ClassDiagonal {
    pub(super) fn pack_input(&self, source: &Source, index: usize) -> Plain {
        let data = self.blocks() * self.uploads_per_block();
        let labels = self.weight_ciphertexts() * self.blocks();
        if index < data {
            self.pack_diagonals(source, index / self.uploads_per_block(), index % self.uploads_per_block())
        } else if index < data + labels {
            let index = index - data;
            Plain::Slots(self.pack_labels(source, index / self.blocks(), index % self.blocks()))
        } else {
            Plain::Slots(self.pack_offset(source, index - data - labels))
        }
    }

    /// The place, among all rows, of position `position` of a block's part (0 real, 1 imaginary) and group; none where a
    /// batch is over.
    fn place(&self, block: usize, part: usize, group: usize, position: usize) -> Option<usize> {
        let (batch, block) = (block / self.batch_blocks(), block % self.batch_blocks());
        let within = ((block * 2 + part) * self.groups() + group) * self.block + position;
        let places = self.batches.places(batch);
        (within < places.len()).then_some(places.start + within)
    }

    fn complex(part: impl Fn(usize) -> f64) -> Complex64 {
        Complex64::new(part(0), part(1))
    }

    /// Diagonals `upload * together ..` of a block, packed if several travel together.
    fn pack_diagonals(&self, source: &Source, block: usize, upload: usize) -> Plain {
        let together = self.diagonals_together();
        let first = upload * together;
        match self.top() {
            TopAxis::Rows | TopAxis::Mixed => {
                let group = |g| self.diagonal(source, block, first, g).repeat(self.together);
                Plain::Slots((0..self.groups()).flat_map(group).collect())
            }
            TopAxis::Classes => {
                let stride = self.height() / together;
                let mut parts = vec![Vec::new(); self.height()];
                for j in 0..together {
                    parts[j * stride] = self.diagonal(source, block, first + j, 0);
                }
                Plain::Subring(parts)
            }
        }
    }

    /// One row group of the stored diagonal t: d_t rotated by -g babies. The rotation stays within the group, because
    /// the diagonal is zero where it would wrap.
    fn diagonal(&self, source: &Source, block: usize, t: usize, group: usize) -> Vec<Complex64> {
        let shift = t / self.babies() * self.babies();
        let columns = source.x_hat.ncols();
        (0..self.width)
            .map(|m| {
                let m = (m + self.width - shift) % self.width;
                let column = (m + t + 1).checked_sub(self.block).filter(|&column| column < columns);
                column.map_or(Complex64::ZERO, |column| {
                    Self::complex(|part| {
                        let place = self.place(block, part, group, m % self.block);
                        place.map_or(0.0, |place| source.feature(place, column))
                    })
                })
            })
            .collect()
    }

    /// The labels of a block, conj(Y_A + i Y_C), repeated along the feature axis as the residual will be.
    fn pack_labels(&self, source: &Source, weights: usize, block: usize) -> Vec<Complex64> {
        (0..self.slots)
            .map(|s| {
                let (a, m) = (s / self.width, s % self.width);
                let (group, class) = (a / self.together, weights * self.together + a % self.together);
                let label = |part| {
                    let place = self.place(block, part, group, m % self.block);
                    place.map_or(0.0, |place| source.label(place, class, self.shape.classes))
                };
                Self::complex(label).conj()
            })
            .collect()
    }

    /// z_0 at the head of the feature axis, the same for all classes.
    fn pack_offset(&self, source: &Source, block: usize) -> Vec<Complex64> {
        (0..self.slots)
            .map(|s| {
                let (a, m) = (s / self.width, s % self.width);
                let group = a / self.together;
                if m < self.block {
                    let place = |part| self.place(block, part, group, m);
                    Self::complex(|part| place(part).map_or(0.0, |place| source.offset(place)))
                } else {
                    Complex64::ZERO
                }
            })
            .collect()
    }

    /// v[a, m] of every weight ciphertext, the same in every row group; zero for classes and columns that are not used.
    pub(super) fn write_weights(&self, weights: &DMatrix<f64>) -> Vec<Vec<Complex64>> {
        let slot = |ciphertext: usize, s: usize| {
            let (a, m) = (s / self.width, s % self.width);
            let class = ciphertext * self.together + a % self.together;
            let column = (m + 1).checked_sub(self.block);
            column.and_then(|column| weights.get((class, column))).copied().unwrap_or(0.0).into()
        };
        (0..self.weight_ciphertexts()).map(|w| (0..self.slots).map(|s| slot(w, s)).collect()).collect()
    }

    /// classes x d from slots; `groups` row groups are summed.
    pub(super) fn read_weights(&self, slots: &[Vec<Complex64>], groups: usize) -> DMatrix<f64> {
        DMatrix::from_fn(self.shape.classes, self.shape.columns(), |class, column| {
            let m = column + self.block - 1;
            let (weights, place) = (class / self.together, class % self.together);
            (0..groups).map(|g| slots[weights][(g * self.together + place) * self.width + m].re).sum()
        })
    }
}
