"""Arguments of every kind, right ones and wrong ones: an exception that says so, and never the end of the process."""

import io
import itertools
import pathlib

import numpy as np
import pytest
from conftest import table

from ciphertune import EncryptedLogisticRegression, FailedError, Head, InputError, Job, Keys, Owner, Plan, Recipe, Record

#: What a wrong argument may raise; FailedError would be a bug of ours.
REFUSALS = (TypeError, ValueError, OverflowError, AttributeError, MemoryError, OSError)

ROWS, COLUMNS = 12, 3
DTYPES = ["f8", ">f8", "f4", "f2", "i8", "u1", "?", "c16", "O", "U3", "S3", "M8[s]", "V8", "g"]
SHAPES = [(ROWS, COLUMNS), (ROWS, 1), (ROWS,), (), (0, COLUMNS), (ROWS, 0), (1, COLUMNS), (ROWS, COLUMNS, 1), (2, 2)]


def forms(array):
    """The same numbers in other orders and strides."""
    yield array
    yield np.asfortranarray(array)
    yield array[::-1]
    if array.ndim == 2:
        yield np.repeat(array, 2, axis=1)[:, ::2]
        yield np.broadcast_to(array[:1], array.shape)
    array = array.copy()
    array.flags.writeable = False
    yield array


def arrays():
    random = np.random.default_rng(0)
    for dtype, shape in itertools.product(DTYPES, SHAPES):
        try:
            array = np.asarray(random.normal(0, 3, shape)).astype(dtype)
        except (TypeError, ValueError):
            array = np.zeros(shape, dtype)
        for form in forms(array) if array.ndim else [array]:
            yield form
    for value in (np.nan, np.inf, -np.inf, 1e308, 5e-324, -0.0):
        array = random.normal(0, 1, (ROWS, COLUMNS))
        array[ROWS // 2, 1] = value
        yield array
        yield np.full((ROWS, COLUMNS), value)


OBJECTS = [
    None,
    3,
    2**70,
    -1,
    0.5,
    float("nan"),
    "text",
    "\ud800",
    b"\x00",
    [],
    {},
    [[1, 2], [3]],
    [["a"]],
    object(),
    ...,
    np.ma.masked_all((ROWS, COLUMNS)),
    range(ROWS),
    iter([]),
    memoryview(b"abcdefgh"),
    pathlib.Path("/nowhere/at/all"),
    io.StringIO("text"),
    lambda: None,
    type,
]


def attempt(call, *arguments, **named):
    """The result, or the exception that a wrong argument is refused with."""
    try:
        return call(*arguments, **named)
    except FailedError as error:
        raise AssertionError(f"{arguments} {named}") from error
    except REFUSALS as error:
        assert str(error) or isinstance(error, AttributeError)
        return error


@pytest.fixture(scope="module")
def small():
    """A training of the shape of the arrays."""
    X, y = table(ROWS, COLUMNS)
    return EncryptedLogisticRegression(1, publish_bits=-30).fit(X, y)


@pytest.mark.filterwarnings("ignore")
def test_features_of_every_kind_are_trained_or_refused(small):
    y = np.arange(ROWS) % 3
    trained = 0
    for X in arrays():
        # Trainings take time: of those that are alike a few are enough.
        if X.shape == (ROWS, COLUMNS) and X.dtype.kind in "fiub" and np.isfinite(X).all() and trained > 40:
            continue
        result = attempt(EncryptedLogisticRegression(1, publish_bits=-30).fit, X, y[: len(X)] if X.ndim else y)
        if not isinstance(result, Exception):
            trained += 1
            assert np.isfinite(result.coef_).all()
    assert trained > 20


@pytest.mark.filterwarnings("ignore")
def test_features_of_every_kind_are_predicted_or_refused(small):
    predicted = 0
    for X in itertools.chain(arrays(), OBJECTS):
        for method in (small.predict, small.decision_function, small.predict_proba, small.head_.logits):
            result = attempt(method, X)
            if not isinstance(result, Exception):
                assert len(result) == len(X)
                predicted += 1
    assert predicted > 100


@pytest.mark.filterwarnings("ignore")
def test_labels_of_every_kind_are_trained_or_refused():
    X, _ = table(ROWS, COLUMNS)
    labels = [np.resize(np.asarray(array).ravel(), ROWS) if np.size(array) else array for array in arrays()]
    kinds = {array.dtype.str + str(len(set(map(str, array)))): array for array in labels}
    for y in itertools.chain(kinds.values(), OBJECTS, [["a", "b", 3] * 4, [None, "a"] * 6, [b"a", b"b"] * 6]):
        result = attempt(EncryptedLogisticRegression(1, publish_bits=-30).fit, X, y)
        if not isinstance(result, Exception):
            assert set(result.predict(X)) <= set(np.asarray(y).ravel().tolist())


def test_parameters_of_every_kind_are_taken_or_refused():
    X, y = table(ROWS, COLUMNS)
    names = set(EncryptedLogisticRegression().get_params())
    for name, value in itertools.product(sorted(names), OBJECTS):
        if name == "progress" and callable(value):
            continue
        attempt(EncryptedLogisticRegression(**{"max_iter": 1, "publish_bits": -30, name: value}).fit, X, y)


@pytest.mark.filterwarnings("ignore")
def test_objects_of_every_kind_are_refused_as_documents(small, tmp_path):
    keys = Keys(small.plan_)
    calls = [
        Head.from_bytes,
        Recipe.from_json,
        Plan.from_json,
        Record.from_bytes,
        Job,
        Keys,
        Keys.load,
        Owner,
        lambda value: Keys.from_secret_key(small.plan_, value),
        lambda value: Keys.from_secret_key(value, b""),
        lambda value: keys.encrypt(np.zeros((ROWS, COLUMNS)), ["a"] * ROWS, names=value),
        lambda value: keys.encrypt(np.zeros((ROWS, COLUMNS)), value),
        lambda value: keys.encrypt(value, ["a"] * ROWS),
        lambda value: keys.decrypt(value),
        lambda value: keys.decrypt(b"", value),
        lambda value: small.head_.logits(np.zeros((ROWS, COLUMNS)), names=value),
    ]
    for call, value in itertools.product(calls, OBJECTS):
        result = attempt(call, value)
        # Without names is the one thing that is fine.
        assert isinstance(result, Exception) or value is None or isinstance(value, list), (call, value)


@pytest.mark.parametrize(
    "shape",
    [(0, 1, 2), (1, 0, 2), (1, 1, 1), (1, 1, 65), (-1, 1, 2), (2**62, 1, 2), (2**70, 1, 2), (1 << 30, 1 << 20, 64)],
)
def test_shapes_that_no_ring_or_memory_has_room_for_are_refused(shape):
    with pytest.raises((InputError, OverflowError)):
        Plan(*shape)


def test_an_array_that_is_larger_than_memory_is_refused(small):
    with pytest.raises(MemoryError, match="no room"):
        small.head_.logits(np.broadcast_to(np.float64(1), (1 << 30, 1 << 25)))


def test_a_training_within_a_progress_function_is_a_training():
    X, y = table(ROWS, COLUMNS)
    inner = []

    def progress(step, done, of):
        if step == "keys":
            inner.append(EncryptedLogisticRegression(1).fit(X, y))

    outer = EncryptedLogisticRegression(1, progress=progress).fit(X, y)
    assert (inner[0].predict(X) == outer.predict(X)).all()
