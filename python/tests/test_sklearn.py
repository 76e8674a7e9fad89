"""The estimator in scikit-learn's hands: its own checks, pipelines, searches, frames."""

import pickle

import numpy as np
import pytest
from conftest import table

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from ciphertune import EncryptedLogisticRegression, InputError

EXPECTED = {
    "check_fit_idempotent": "logits of two trainings have to agree to 1e-9, and differ by the noise of encryption, about 1e-8"
}


@parametrize_with_checks([EncryptedLogisticRegression()], expected_failed_checks=lambda estimator: EXPECTED)
def test_scikit_learns_checks_pass(estimator, check):
    # One skips itself unless SCIPY_ARRAY_API is set: for arrays of other libraries, which become NumPy's here.
    check(estimator)


def test_two_trainings_differ_by_the_noise_of_encryption_alone(data, fitted):
    X, y = data
    again = clone(fitted).fit(X, y)
    assert (again.predict(X) == fitted.predict(X)).all()
    difference = np.abs(again.coef_ - fitted.coef_).max()
    assert 0 < difference < 1e-6 * np.abs(fitted.coef_).max()


def test_a_pipeline_trains_scores_and_is_pickled(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), EncryptedLogisticRegression()).fit(X, y)
    assert pipeline.score(X, y) > 0.97
    again = pickle.loads(pickle.dumps(pipeline))
    assert (again.predict(X) == pipeline.predict(X)).all()


def test_a_grid_of_three_settings_is_searched(data):
    X, y = data
    search = GridSearchCV(EncryptedLogisticRegression(publish_bits=-30), {"max_iter": [1, 2, 3]}, cv=2).fit(X, y)
    assert search.best_params_["max_iter"] in (1, 2, 3) and search.best_score_ > 0.95
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_folds_are_trained_in_processes_of_joblib(data):
    X, y = data
    scores = cross_val_score(EncryptedLogisticRegression(publish_bits=-30), X, y, cv=3, n_jobs=2)
    assert scores.min() > 0.9


def test_a_clone_has_the_parameters_and_nothing_else(fitted):
    copy = clone(fitted.set_params())
    assert copy.get_params() == fitted.get_params() and is_classifier(copy)
    for name in ("coef_", "intercept_", "classes_", "head_"):
        assert not hasattr(copy, name)
    with pytest.raises(NotFittedError):
        copy.coef_


def test_probabilities_can_be_calibrated(data):
    X, y = data
    assert CalibratedClassifierCV(EncryptedLogisticRegression(publish_bits=-30), cv=2).fit(X, y).score(X, y) > 0.95


def test_the_head_is_about_as_good_as_one_trained_in_the_clear(fitted):
    X, y = table(rows=600, seed=1)
    other = LogisticRegression().fit(*table())
    assert fitted.score(X, y) > other.score(X, y) - 0.02


def test_columns_of_a_frame_keep_their_names(data):
    pandas = pytest.importorskip("pandas")
    X, y = data
    names = [f"feature {place}" for place in range(6)]
    frame = pandas.DataFrame(X, columns=names)
    words = pandas.Series(np.array(["ash", "elm", "oak"])[y], name="tree")
    model = EncryptedLogisticRegression().fit(frame, words)
    assert model.feature_names_in_.tolist() == names == model.head_.feature_names
    assert model.classes_.tolist() == ["ash", "elm", "oak"] and model.score(frame, words) > 0.97
    with pytest.raises(ValueError, match="feature names should match|must be in the same order"):
        model.predict(frame[names[::-1]])


def test_columns_of_a_polars_frame_keep_their_names(data):
    polars = pytest.importorskip("polars")
    X, y = data
    frame = polars.DataFrame({name: X[:, place] for place, name in enumerate("abcdef")})
    model = EncryptedLogisticRegression().fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcdef") and model.score(frame, y) > 0.97


def test_sparse_tables_are_refused_and_the_remedy_is_named(data):
    sparse = pytest.importorskip("scipy.sparse")
    X, y = data
    with pytest.raises(TypeError, match="dense"):
        EncryptedLogisticRegression().fit(sparse.csr_array(X), y)


def test_names_that_are_too_long_for_a_head_are_refused(data):
    pandas = pytest.importorskip("pandas")
    X, y = data
    frame = pandas.DataFrame(X, columns=["a" * 257, *"bcdef"])
    with pytest.raises(InputError, match="256 characters"):
        EncryptedLogisticRegression().fit(frame, y)
