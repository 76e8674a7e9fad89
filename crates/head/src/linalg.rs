//! Matrix products on all cores; nalgebra's own product uses one.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut, DVector};
use rayon::prelude::*;

/// `a * b`, in panels of `b`'s columns, or of `a`'s rows where `b` is narrow.
///
/// Panics if the inner dimensions differ, as nalgebra does: shapes are checked where data come in.
pub(crate) fn multiply(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    assert_eq!(a.ncols(), b.nrows(), "inner dimensions of a product");
    let (rows, columns) = (a.nrows(), b.ncols());
    if rows == 0 || columns == 0 || a.ncols() == 0 {
        return DMatrix::zeros(rows, columns);
    }
    let parts = rayon::current_num_threads();
    if parts == 1 || rows * columns * a.ncols() < 1 << 18 {
        return a * b;
    }
    if columns < 32 * parts {
        return multiply_by_rows(a, b, parts);
    }
    let mut product = DMatrix::zeros(rows, columns);
    let width = columns.div_ceil(2 * parts);
    product.as_mut_slice().par_chunks_mut(rows * width).enumerate().for_each(|(index, panel)| {
        let here = panel.len() / rows;
        let mut panel = DMatrixViewMut::from_slice(panel, rows, here);
        panel.gemm(1.0, a, &b.columns(index * width, here), 0.0);
    });
    product
}

fn multiply_by_rows(a: &DMatrix<f64>, b: &DMatrix<f64>, parts: usize) -> DMatrix<f64> {
    let height = a.nrows().div_ceil(parts);
    let starts: Vec<usize> = (0..a.nrows()).step_by(height).collect();
    let panels: Vec<DMatrix<f64>> =
        starts.par_iter().map(|&start| a.rows(start, height.min(a.nrows() - start)) * b).collect();
    let mut product = DMatrix::zeros(a.nrows(), b.ncols());
    for (start, panel) in starts.into_iter().zip(panels) {
        product.rows_mut(start, panel.nrows()).copy_from(&panel);
    }
    product
}

/// The inverse of a lower triangular matrix, column by column; `None` for a zero on the diagonal.
pub(crate) fn inverse_of_lower(lower: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let d = lower.nrows();
    let columns = (0..d).into_par_iter().map(|k| {
        // Above the diagonal the inverse is zero.
        let mut column = DVector::zeros(d);
        column[k] = 1.0;
        let mut rest = column.rows_mut(k, d - k);
        lower.view((k, k), (d - k, d - k)).solve_lower_triangular_mut(&mut rest).then_some(column)
    });
    Some(DMatrix::from_columns(&columns.collect::<Option<Vec<_>>>()?))
}

/// A matrix with a leading column of ones.
pub(crate) fn with_ones(x: &DMatrix<f64>) -> DMatrix<f64> {
    x.clone().insert_column(0, 1.0)
}

/// A matrix from its elements, row by row.
pub(crate) fn from_rows(rows: usize, columns: usize, elements: &[f64]) -> DMatrix<f64> {
    DMatrixView::from_slice(elements, columns, rows).transpose()
}

/// A matrix's elements, row by row.
pub(crate) fn to_rows(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_give_the_plain_product() {
        for (rows, inner, columns) in [(1, 1, 1), (70, 90, 300), (900, 40, 10), (3, 200, 500), (0, 4, 5)] {
            let a = DMatrix::from_fn(rows, inner, |i, j| (i * 7 + j * 3) as f64 % 11.0 - 5.0);
            let b = DMatrix::from_fn(inner, columns, |i, j| (i * 5 + j) as f64 % 13.0 - 6.0);
            assert_eq!(multiply(&a, &b), &a * &b);
        }
    }

    #[test]
    fn the_inverse_of_a_lower_triangle_is_what_the_identity_is_solved_to() {
        let lower = DMatrix::from_fn(60, 60, |i, j| if i >= j { ((i * 7 + j * 3) % 11) as f64 - 5.5 } else { 0.0 });
        let expected = lower.solve_lower_triangular(&DMatrix::identity(60, 60)).unwrap();
        assert_eq!(inverse_of_lower(&lower).unwrap(), expected);
        assert!(inverse_of_lower(&DMatrix::zeros(3, 3)).is_none());
    }

    #[test]
    fn rows_go_in_and_out_in_order() {
        let matrix = from_rows(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(matrix[(0, 2)], 3.0);
        assert_eq!(matrix[(1, 0)], 4.0);
        assert_eq!(to_rows(&matrix), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(with_ones(&matrix).column(0).as_slice(), [1.0, 1.0]);
    }
}
