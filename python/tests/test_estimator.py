"""The estimator on tables of its own: labels, attributes, parameters, warnings, progress."""

import pickle
import warnings

import numpy as np
import pytest
from conftest import table

import ciphertune
from ciphertune import CiphertuneWarning, EncryptedLogisticRegression, FailedError, InputError
from ciphertune._labels import class_names


def test_a_training_tells_classes_apart_and_says_what_it_was(data, fitted):
    X, y = data
    assert fitted.score(X, y) > 0.97
    assert fitted.coef_.shape == (3, 6) and fitted.intercept_.shape == (3,)
    assert fitted.n_features_in_ == 6 and fitted.n_iter_ == 2 and not hasattr(fitted, "feature_names_in_")
    assert (fitted.plan_.rows, fitted.plan_.features, fitted.plan_.classes) == (90, 6, 3)
    assert fitted.plan_.security_bits == 128 and fitted.precision_bits_ > 10
    assert set(fitted.seconds_) == {"keys", "encrypting", "reading", "training", "refreshing", "decrypting"}
    assert all((seconds > 0) == (step != "refreshing") for step, seconds in fitted.seconds_.items())


def test_logits_are_those_of_the_coefficients_and_probabilities_their_sigmoids_shares(data, fitted):
    X, _ = data
    logits = fitted.decision_function(X)
    np.testing.assert_allclose(logits, X @ fitted.coef_.T + fitted.intercept_, atol=1e-12)
    sigmoids = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(fitted.predict_proba(X), sigmoids / sigmoids.sum(axis=1, keepdims=True), atol=1e-12)
    assert (fitted.predict(X) == logits.argmax(axis=1)).all()


def test_two_classes_have_one_row_of_coefficients(data):
    X, y = table(classes=2)
    model = EncryptedLogisticRegression().fit(X, y)
    assert model.coef_.shape == (1, 6) and model.intercept_.shape == (1,)
    logits = model.decision_function(X)
    np.testing.assert_allclose(logits, (X @ model.coef_.T + model.intercept_).ravel(), atol=1e-12)
    assert (model.predict(X) == (logits > 0)).all()
    assert model.predict_proba(X).shape == (90, 2)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["oak", "elm", "ash"]),
        np.array(["10", "9", "-3"]),  # The head orders these by value, NumPy by letters.
        np.array([7, -1, 300]),
        np.array([2.0, 1.0, 0.0]),
        np.array(["b", "a", "ä"], dtype=object),
    ],
    ids=lambda labels: f"{labels.dtype}-{labels[0]}",
)
def test_labels_come_back_as_they_were_given(data, fitted, labels):
    X, y = data
    model = EncryptedLogisticRegression().fit(X, labels[y])
    assert (model.classes_ == np.unique(labels)).all() and model.classes_.dtype.kind == labels.dtype.kind
    assert (model.predict(X) == labels[fitted.predict(X)]).all()
    order = [list(model.classes_).index(label) for label in labels]
    np.testing.assert_allclose(model.coef_[order], fitted.coef_, atol=1e-5)


def test_booleans_are_two_classes(data):
    X, y = table(classes=2)
    model = EncryptedLogisticRegression().fit(X, y == 1)
    assert model.classes_.tolist() == [False, True] and model.predict(X).dtype == bool


def test_parameters_reach_the_training(data):
    X, y = data
    model = EncryptedLogisticRegression(1, scaler="standardize", learning_rate=0.5, log_n=14, publish_bits=-30)
    model.fit(X, y)
    recipe = model.plan_.recipe
    assert model.n_iter_ == recipe.iterations == 1 and model.plan_.log_n == 14
    expected = ciphertune.Recipe(1, scaler="standardize", learning_rate=0.5)
    assert recipe == expected and recipe != ciphertune.Recipe(1)


def test_a_training_whose_steps_the_owner_makes_takes_a_small_ring_for_any_number_of_iterations(data):
    X, y = data
    chain = EncryptedLogisticRegression(6, publish_bits=-30).fit(X, y)
    model = EncryptedLogisticRegression(6, publish_bits=-30, refresh=1).fit(X, y)
    assert model.plan_.refreshed and not chain.plan_.refreshed and model.plan_.log_n < chain.plan_.log_n
    assert model.n_iter_ == 6 and model.seconds_["refreshing"] > 0
    # Both are what training in the clear gives, but for the noise of encryption.
    np.testing.assert_allclose(model.coef_, chain.coef_, atol=1e-3 * np.abs(chain.coef_).max())
    assert ciphertune.Plan(90, 6, 3, refresh="auto").security_bits == 128
    keys = ciphertune.Keys(model.plan_)
    job, _ = ciphertune.Owner(keys).encrypt(X, y)
    with pytest.raises(InputError, match="the job's owner makes the steps of its training"):
        ciphertune.Server(keys.evaluation_keys()).train(job)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"refresh": 2}, "refresh=2 is not possible: choose 'never', 1 or 'auto'"),
        ({"max_iter": 0}, "0 iterations are not possible: choose 1 to 1000"),
        ({"recipe": "fast"}, '"fast" is no recipe: choose paper or default'),
        ({"scaler": "robust"}, '"robust" is no scaler: choose none, center, standardize or whiten'),
        ({"gradient": "newton"}, "choose quadratic or plain"),
        ({"bound": "tight"}, "choose row-sums or quarter"),
        ({"sigmoid": "1,2"}, "choose 7, 15, paper, narrow, wide, or three numbers"),
        ({"batch_size": 0}, "a minibatch has one row or more"),
        ({"ridge": 2.0}, "the ridge lies between 0"),
        ({"learning_rate": float("nan")}, "the learning rate is a factor"),
        ({"whiten_lambda": 0.0}, "lambda lies between"),
        ({"layout": "rows"}, "choose class-diagonal or volley-revolver"),
        ({"log_n": 12}, "log_n=12 is not possible: give 13 to 16"),
        ({"publish_bits": 41.0}, "publish_bits=41 is not possible"),
        ({"upload_rate": 0.0}, "upload_rate=0 is not possible"),
        ({"memory": 0}, "memory=0 is not possible"),
        ({"memory": 1 << 20}, "the training needs at least"),
        ({"max_iter": 200, "log_n": 13}, "no ring|does not fit|2\\^13"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_parameters_out_of_range_are_refused_with_the_remedy(data, parameters, message):
    with pytest.raises(InputError, match=message):
        EncryptedLogisticRegression(**parameters).fit(*data)


def test_labels_that_cannot_be_trained_are_refused(data):
    X, y = table(rows=130)
    model = EncryptedLogisticRegression()
    with pytest.raises(InputError, match="training needs at least two classes"):
        model.fit(X, np.zeros(len(X), int))
    with pytest.raises(InputError, match="65 classes|classes=65"):
        model.fit(X, np.arange(len(X)) % 65)


def test_labels_that_read_alike_are_refused():
    class Label(str):
        def __str__(self):
            return "a"

    with pytest.raises(InputError, match="two classes have the same name"):
        class_names(np.array([Label("x"), Label("y")], dtype=object))


def test_features_that_never_differ_are_warned_of_at_the_callers_line(data):
    X, y = data
    X = np.insert(X, 2, 5.0, axis=1)
    with pytest.warns(CiphertuneWarning, match="X: the table has 1 feature \\(3\\) the same in every row") as caught:
        EncryptedLogisticRegression().fit(X, y)
    assert caught[0].filename == __file__


def test_a_training_that_may_diverge_is_warned_of(data):
    with pytest.warns(CiphertuneWarning, match="nothing holds the logits of 5 iterations"):
        ciphertune.Plan(90, 6, 3, ciphertune.Recipe(5, ridge=0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ciphertune.Plan(90, 6, 3, ciphertune.Recipe(5))


def test_progress_is_told_of_every_step_up_to_its_end(data):
    told = []
    EncryptedLogisticRegression(progress=lambda *event: told.append(event)).fit(*data)
    steps = list(dict.fromkeys(step for step, _, _ in told))
    assert [step for step in steps if step != "iteration"] == ["planning", "keys", "encrypting", "reading", "training"]
    assert [(done, of) for step, done, of in told if step == "iteration"] == [(1, 2), (2, 2)]
    for name in ("encrypting", "training"):
        done, of = zip(*[(done, of) for step, done, of in told if step == name])
        assert max(done) == of[0] and len(set(of)) == 1


def test_an_exception_of_the_progress_function_ends_the_training(data):
    class Enough(Exception):
        pass

    def progress(step, done, of):
        if step == "training":
            raise Enough

    model = EncryptedLogisticRegression(progress=progress)
    with pytest.raises(Enough):
        model.fit(*data)
    assert not hasattr(model, "head_")
    with pytest.raises(TypeError, match="give True for bars, or a function"):
        model.set_params(progress=3).fit(*data)


def test_bars_are_drawn_with_tqdm_or_without(data, capsys, monkeypatch):
    EncryptedLogisticRegression(progress=True).fit(*data)
    assert "training" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    EncryptedLogisticRegression(progress=True).fit(*data)
    assert "ciphertune: training" in capsys.readouterr().err


def test_a_fitted_estimator_is_pickled_without_any_key(data, fitted):
    X, _ = data
    content = pickle.dumps(fitted)
    # A secret key alone has 16 KiB.
    assert len(content) < 8 << 10
    again = pickle.loads(content)
    assert (again.predict(X) == fitted.predict(X)).all() and again.plan_ == fitted.plan_ and again.head_ == fitted.head_


def test_heads_are_read_and_written(data, fitted):
    X, _ = data
    head = fitted.head_
    assert ciphertune.Head.from_bytes(head.to_bytes()) == head
    assert head.published_bits is None and head.features == 6 and head.classes == ["0", "1", "2"]
    with pytest.raises(InputError, match="the table has 5 features a row, the head was made for 6"):
        head.logits(np.ascontiguousarray(X[:, :5]))
    with pytest.raises(InputError):
        ciphertune.Head.from_bytes(head.to_bytes()[:-1])
    assert head.to_json().startswith("{") and len(head.to_onnx()) > 100


def test_the_digits_of_the_package_are_read_after_a_training_of_seconds():
    X, y = ciphertune.load_digits()
    assert X.shape == (1797, 192) and np.bincount(y).min() > 170
    model = EncryptedLogisticRegression().fit(X[:500], y[:500])
    assert model.score(X[500:], y[500:]) > 0.96
    pixels, labels = ciphertune.load_digits(pixels=True)
    assert pixels.shape == (1797, 64) and pixels.max() == 16 and (labels == y).all()


def test_errors_are_what_python_calls_them():
    assert issubclass(InputError, ValueError) and issubclass(FailedError, RuntimeError)
    assert issubclass(ciphertune.DiskFullError, OSError)
    assert all(
        issubclass(error, ciphertune.CiphertuneError) for error in (InputError, FailedError, ciphertune.DiskFullError)
    )
