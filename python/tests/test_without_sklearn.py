"""The estimator where scikit-learn is not installed: a process in which it cannot be found."""

import subprocess
import sys

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sklearn", "scipy", "pandas"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
import importlib.util
importlib.util.find_spec = lambda name, find=importlib.util.find_spec: None if name == "sklearn" else find(name)
sys.path.insert(0, {tests!r})
import numpy as np
from ciphertune import EncryptedLogisticRegression, InputError

random = np.random.default_rng(0)
y = np.arange(60) % 3
X = random.normal(0.0, 0.5, (60, 4))
X[np.arange(60), y] += 2.0


def refused(kind, part, call, *arguments):
    try:
        call(*arguments)
    except kind as error:
        assert part in str(error), error
    else:
        raise AssertionError(f"not refused: {{part}}")
"""


def run(code):
    preamble = BLOCKED.format(tests=str(__file__).rpartition("/")[0])
    subprocess.run([sys.executable, "-c", preamble + code], check=True)


def test_it_trains_predicts_and_scores():
    run(
        """
model = EncryptedLogisticRegression(max_iter=1)
assert repr(model) == "EncryptedLogisticRegression(max_iter=1)"
assert model.set_params(max_iter=2) is model and model.get_params()["max_iter"] == 2
assert model.fit(X.tolist(), y.tolist()) is model
assert model.score(X, y) > 0.95 and model.predict_proba(X).shape == (60, 3)
assert "sklearn" not in sys.modules
"""
    )


def test_it_refuses_what_it_cannot_use():
    run(
        """
fit, model = EncryptedLogisticRegression().fit, EncryptedLogisticRegression()
refused(AttributeError, "not fitted", lambda: model.predict(X))
refused(AttributeError, "not fitted", lambda: model.coef_)
refused(ValueError, "no parameter", lambda: model.set_params(C=1.0))
refused(InputError, "y is missing", fit, X, None)
refused(InputError, "59 labels", fit, X, y[1:])
refused(InputError, "one dimension", fit, X, X)
refused(InputError, "Unknown label type", fit, X, X[:, 0])
refused(TypeError, "not supported", fit, X, np.array([b"a", b"b"])[y % 2])
refused(InputError, "dimensions", fit, X[0], y)
refused(InputError, "no number", fit, [["a", "b"]] * 60, y)
refused(InputError, "Complex", fit, X * 1j, y)
refused(InputError, "empty", fit, X[:0], y[:0])
refused(InputError, "empty", fit, X[:, :0], y)
refused(InputError, "NaN", fit, np.where(X == X[3, 2], np.nan, X), y)
model.fit(X, y)
refused(InputError, "3 features", model.predict, X[:, :3])
"""
    )


def test_names_of_columns_are_kept_and_compared():
    run(
        """
class Frame:
    def __init__(self, columns):
        self.columns = columns

    def __array__(self, dtype=None, copy=None):
        return X

model = EncryptedLogisticRegression().fit(Frame(["a", "b", "c", "d"]), y)
assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"] == model.head_.feature_names
refused(InputError, "other names", model.predict, Frame(["a", "b", "d", "c"]))
model.fit(X, y)
assert not hasattr(model, "feature_names_in_") and model.head_.feature_names is None
"""
    )
