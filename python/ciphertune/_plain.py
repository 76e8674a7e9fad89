"""What the estimator stands on without scikit-learn: the same behaviour, as far as one classifier needs it."""

import inspect
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ._features import column_names, features
from ._labels import labels
from ._typing import Matrix
from .errors import InputError

__all__ = ["Base", "NotFittedError", "check_is_fitted", "checked_rows", "checked_table"]


class NotFittedError(ValueError, AttributeError):
    """The estimator was not fitted yet."""


class Base:
    """Parameters as scikit-learn's estimators have them, and the accuracy as score."""

    @classmethod
    def _names(cls) -> list[str]:
        parameters = inspect.signature(cls.__init__).parameters
        return sorted(name for name in parameters if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters and their values."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Sets parameters, and returns the estimator."""
        names = self._names()
        for name, value in params.items():
            if name not in names:
                raise ValueError(f"{name!r} is no parameter of {type(self).__name__}: choose of {', '.join(names)}")
            setattr(self, name, value)
        return self

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """The share of rows whose class is predicted."""
        right = labels(y) == self.predict(X)
        return float(np.average(right, weights=None if sample_weight is None else np.asarray(sample_weight, float)))

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The class of every row."""
        raise NotImplementedError

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = {name: value for name, value in self.get_params().items() if value is not defaults[name].default}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"


def check_is_fitted(estimator: object) -> None:
    """Refuses an estimator that was not fitted."""
    if not hasattr(estimator, "head_"):
        raise NotFittedError(f"This {type(estimator).__name__} is not fitted yet: call fit first")


def checked_table(estimator: Any, X: npt.ArrayLike, y: npt.ArrayLike | None) -> tuple[Matrix, npt.NDArray[Any]]:
    """Features and labels to train on; sets n_features_in_ and, where columns have names, feature_names_in_."""
    names, rows = column_names(X), _dense(X)
    if y is None:
        raise InputError("y is missing: give a label for every row")
    given = labels(y)
    if len(given) != len(rows):
        raise InputError(f"there are {len(rows)} rows and {len(given)} labels: give one label a row")
    estimator.n_features_in_ = rows.shape[1]
    if names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    return rows, given


def checked_rows(estimator: Any, X: npt.ArrayLike) -> Matrix:
    """Features of rows to predict."""
    names, rows = column_names(X), _dense(X)
    known = getattr(estimator, "feature_names_in_", None)
    if names is not None and known is not None and names != list(known):
        raise InputError("the features have other names, or another order, than those that were trained on")
    if rows.shape[1] != estimator.n_features_in_:
        raise InputError(f"X has {rows.shape[1]} features, the model was trained on {estimator.n_features_in_}")
    return rows


def _dense(X: npt.ArrayLike) -> Matrix:
    rows = features(X)
    if 0 in rows.shape:
        raise InputError(f"X is empty, with {rows.shape[0]} rows and {rows.shape[1]} features: give at least one of each")
    if not np.isfinite(rows).all():
        raise InputError("X holds NaN or infinity: remove these rows or fill the values in")
    return rows
