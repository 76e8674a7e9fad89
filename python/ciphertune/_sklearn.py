"""What the estimator stands on where scikit-learn is installed: its base classes and its checks of input."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._typing import Matrix

__all__ = ["Base", "NotFittedError", "check_is_fitted", "checked_rows", "checked_table"]


class Base(ClassifierMixin, BaseEstimator):
    """A classifier of scikit-learn's."""


def checked_table(estimator: Base, X: npt.ArrayLike, y: npt.ArrayLike | None) -> tuple[Matrix, npt.NDArray[Any]]:
    """Features and labels to train on; sets n_features_in_ and, where columns have names, feature_names_in_."""
    rows, labels = validate_data(estimator, X, y, dtype=np.float64, ensure_min_samples=2)
    check_classification_targets(labels)
    return rows, labels


def checked_rows(estimator: Base, X: npt.ArrayLike) -> Matrix:
    """Features of rows to predict."""
    rows: Matrix = validate_data(estimator, X, dtype=np.float64, reset=False)
    return rows
