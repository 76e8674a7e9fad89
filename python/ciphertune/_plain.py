"""What the estimator stands on without scikit-learn: the same behaviour, as far as one classifier needs it."""

import inspect

import numpy as np

from ._features import column_names, features
from ._labels import labels
from .errors import InputError

__all__ = ["Base", "NotFittedError", "check_is_fitted", "checked_rows", "checked_table"]


class NotFittedError(ValueError, AttributeError):
    """The estimator was not fitted yet."""


class Base:
    """Parameters as scikit-learn's estimators have them, and the accuracy as score."""

    @classmethod
    def _names(cls):
        parameters = inspect.signature(cls.__init__).parameters
        return sorted(name for name in parameters if name != "self")

    def get_params(self, deep=True):
        """The parameters and their values."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params):
        """Sets parameters, and returns the estimator."""
        names = self._names()
        for name, value in params.items():
            if name not in names:
                raise ValueError(f"{name!r} is no parameter of {type(self).__name__}: choose of {', '.join(names)}")
            setattr(self, name, value)
        return self

    def score(self, X, y, sample_weight=None):
        """The share of rows whose class is predicted."""
        return float(np.average(np.asarray(y).ravel() == self.predict(X), weights=sample_weight))

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        changed = {name: value for name, value in self.get_params().items() if value is not defaults[name].default}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"


def check_is_fitted(estimator):
    """Refuses an estimator that was not fitted."""
    if not hasattr(estimator, "head_"):
        raise NotFittedError(f"This {type(estimator).__name__} is not fitted yet: call fit first")


def checked_table(estimator, X, y):
    """Features and labels to train on; sets n_features_in_ and, where columns have names, feature_names_in_."""
    names, X = column_names(X), _dense(X)
    if y is None:
        raise InputError("y is missing: give a label for every row")
    y = labels(y)
    if len(y) != len(X):
        raise InputError(f"there are {len(X)} rows and {len(y)} labels: give one label a row")
    estimator.n_features_in_ = X.shape[1]
    if names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    return X, y


def checked_rows(estimator, X):
    """Features of rows to predict."""
    names, X = column_names(X), _dense(X)
    known = getattr(estimator, "feature_names_in_", None)
    if names is not None and known is not None and names != list(known):
        raise InputError("the features have other names, or another order, than those that were trained on")
    if X.shape[1] != estimator.n_features_in_:
        raise InputError(f"X has {X.shape[1]} features, the model was trained on {estimator.n_features_in_}")
    return X


def _dense(X):
    X = features(X)
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise InputError(f"X is empty, with {X.shape[0]} rows and {X.shape[1]} features: give at least one of each")
    if not np.isfinite(X).all():
        raise InputError("X holds NaN or infinity: remove these rows or fill the values in")
    return X
