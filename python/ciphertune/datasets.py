"""Data that come with the package, to try it with."""

import numpy as np
import numpy.typing as npt

from . import _native
from ._typing import Matrix

__all__ = ["load_digits"]


def load_digits(*, pixels: bool = False) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """1,797 handwritten digits as features of the backbone `builtin`, which has never seen a digit.

    E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    doi 10.24432/C50P49, CC BY 4.0.

    Parameters
    ----------
    pixels : bool, default=False
        The 8 x 8 pixels themselves, 0 to 16, in place of features.

    Returns
    -------
    X : ndarray of shape (1797, 192), or (1797, 64)
    y : ndarray of shape (1797,)
        The digits, 0 to 9.
    """
    X, y = _native.load_digits(pixels=pixels)
    return X, np.array(y, dtype=np.int64)
