"""Features as the native module takes them: doubles, rows x columns, in the memory of this machine."""

import numpy as np
import numpy.typing as npt

from ._typing import Matrix
from .errors import InputError


def features(X: npt.ArrayLike) -> Matrix:
    """An array of doubles: of anything that NumPy makes an array of, a tensor of PyTorch on the CPU among it."""
    if type(X).__module__.partition(".")[0] == "scipy":
        raise TypeError("X is a sparse matrix, and a dense one is needed: pass X.toarray()")
    array = np.asarray(X)
    if array.dtype.kind == "c":
        raise InputError("Complex data not supported: features are real numbers")
    if array.ndim != 2:
        raise InputError(f"X has {array.ndim} dimensions, and 2 are needed, rows x features: see numpy.reshape")
    try:
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"X holds what is no number: {error}") from error


def column_names(X: object) -> list[str] | None:
    """What the columns of a frame are called, if all of them have names."""
    columns = getattr(X, "columns", None)
    if columns is None or callable(columns):
        return None
    columns = list(columns)
    return columns if columns and all(isinstance(name, str) for name in columns) else None
