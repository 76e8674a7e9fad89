"""Trains a classifier's last layer on features that the training machine never sees (CKKS, 128 bits).

>>> from ciphertune import EncryptedLogisticRegression
>>> model = EncryptedLogisticRegression().fit(X_train, y_train)     # encrypts, trains on ciphertexts, decrypts
>>> model.score(X_test, y_test)

The module itself needs NumPy alone. `EncryptedLogisticRegression` is a full estimator of scikit-learn where that is
installed.
"""

from ._native import Head, Job, Keys, Plan, Recipe, Record, __version__, merge
from .datasets import load_digits
from .errors import CiphertuneError, CiphertuneWarning, DiskFullError, FailedError, InputError
from .roles import Owner, Server

__all__ = [
    "CiphertuneError",
    "CiphertuneWarning",
    "DiskFullError",
    "EncryptedLogisticRegression",
    "FailedError",
    "Head",
    "InputError",
    "Job",
    "Keys",
    "Owner",
    "Plan",
    "Recipe",
    "Record",
    "Server",
    "__version__",
    "load_digits",
    "merge",
]


def __getattr__(name: str) -> object:
    # Only now, because scikit-learn takes a second to import.
    if name == "EncryptedLogisticRegression":
        from .estimator import EncryptedLogisticRegression

        return EncryptedLogisticRegression
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
