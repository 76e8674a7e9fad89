//! A layout chosen at run time: one type for everything that handles plans and jobs.

use super::*;

/// Any of the layouts.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyLayout {
    /// See [`ClassDiagonal`].
    ClassDiagonal(ClassDiagonal),
    /// See [`VolleyRevolver`].
    VolleyRevolver(VolleyRevolver),
}

/// The prepared data of any of the layouts.
pub enum AnyData<C: Clone + Send + Sync, U: Upload<C>> {
    /// See [`ClassDiagonal`].
    ClassDiagonal(<ClassDiagonal as Layout>::Data<C, U>),
    /// See [`VolleyRevolver`].
    VolleyRevolver(<VolleyRevolver as Layout>::Data<C, U>),
}

macro_rules! delegate {
    ($self:ident, $layout:ident => $call:expr) => {
        match $self {
            AnyLayout::ClassDiagonal($layout) => $call,
            AnyLayout::VolleyRevolver($layout) => $call,
        }
    };
}

impl Layout for AnyLayout {
    type Data<C: Clone + Send + Sync, U: Upload<C>> = AnyData<C, U>;

    fn kind(&self) -> LayoutKind {
        delegate!(self, layout => layout.kind())
    }

    fn levels(&self, iterations: usize, offset: bool) -> usize {
        delegate!(self, layout => layout.levels(iterations, offset))
    }

    fn upload_levels(&self, top: usize, offset: bool) -> UploadLevels {
        delegate!(self, layout => layout.upload_levels(top, offset))
    }

    fn fresh_scale(&self, scales: Scales) -> f64 {
        delegate!(self, layout => layout.fresh_scale(scales))
    }

    fn shape(&self) -> Shape {
        delegate!(self, layout => layout.shape())
    }

    fn inputs(&self, levels: UploadLevels, scales: Scales) -> Vec<Input> {
        delegate!(self, layout => layout.inputs(levels, scales))
    }

    fn upload_count(&self, offset: bool) -> Option<usize> {
        delegate!(self, layout => layout.upload_count(offset))
    }

    fn weight_ciphertexts(&self) -> usize {
        delegate!(self, layout => layout.weight_ciphertexts())
    }

    fn open_terms(&self) -> usize {
        delegate!(self, layout => layout.open_terms())
    }

    fn pack(&self, source: &Source, index: usize) -> Plain {
        delegate!(self, layout => layout.pack(source, index))
    }

    fn pack_weights(&self, weights: &DMatrix<f64>) -> Vec<Vec<Complex64>> {
        delegate!(self, layout => layout.pack_weights(weights))
    }

    fn unpack_open(&self, slots: &[Vec<Complex64>]) -> DMatrix<f64> {
        delegate!(self, layout => layout.unpack_open(slots))
    }

    fn unpack_weights(&self, slots: &[Vec<Complex64>]) -> DMatrix<f64> {
        delegate!(self, layout => layout.unpack_weights(slots))
    }

    fn prepare<M: Arithmetic, U: Upload<M::Ciphertext>>(&self, m: &M, upload: U) -> Result<AnyData<M::Ciphertext, U>> {
        Ok(match self {
            Self::ClassDiagonal(layout) => AnyData::ClassDiagonal(layout.prepare(m, upload)?),
            Self::VolleyRevolver(layout) => AnyData::VolleyRevolver(layout.prepare(m, upload)?),
        })
    }

    fn gradient<M: Arithmetic, U: Upload<M::Ciphertext>>(
        &self,
        m: &M,
        data: &AnyData<M::Ciphertext, U>,
        weights: Option<&[M::Ciphertext]>,
        step: &GradientStep,
    ) -> Result<Vec<M::Ciphertext>> {
        match (self, data) {
            (Self::ClassDiagonal(layout), AnyData::ClassDiagonal(data)) => {
                layout.gradient::<M, U>(m, data, weights, step)
            }
            (Self::VolleyRevolver(layout), AnyData::VolleyRevolver(data)) => {
                layout.gradient::<M, U>(m, data, weights, step)
            }
            _ => unreachable!("data are prepared by the layout that uses them"),
        }
    }

    fn close<M: Arithmetic>(&self, m: &M, gradient: &M::Ciphertext) -> Result<M::Ciphertext> {
        delegate!(self, layout => layout.close(m, gradient))
    }
}
