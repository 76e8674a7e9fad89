"""Tables that the tests make, and a training that several of them look at."""

import numpy as np
import pytest

from ciphertune import EncryptedLogisticRegression


def table(rows=90, features=6, classes=3, seed=0):
    """Rows around as many corners as there are classes."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    X = random.normal(0.0, 0.5, (rows, features))
    X[np.arange(rows), y % features] += 2.0
    return X, y


@pytest.fixture(scope="session")
def data():
    return table()


@pytest.fixture(scope="session")
def fitted(data):
    return EncryptedLogisticRegression().fit(*data)
