"""The package beside the command line: the same plan, the same predictions, each other's files.

The program is target/release/ciphertune or target/debug/ciphertune, or what CIPHERTUNE names; without it these tests are
skipped.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import table

import ciphertune
from ciphertune import EncryptedLogisticRegression, Head

TARGET = Path(__file__).resolve().parents[2] / "target"
PROGRAMS = [os.environ.get("CIPHERTUNE"), TARGET / "release/ciphertune", TARGET / "debug/ciphertune"]
PROGRAM = next((str(program) for program in PROGRAMS if program and Path(program).is_file()), None)

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="the command line is not built")


def run(folder, *arguments):
    done = subprocess.run([PROGRAM, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, and what the command line makes of it."""
    place = tmp_path_factory.mktemp("command-line")
    X, y = table(rows=200, features=12, classes=4)
    np.savez(place / "train.npz", features=X, labels=y)
    run(place, "keygen", "--train", "train.npz", "--out", "KEYS")
    run(place, "encrypt", "--train", "train.npz", "--keys", "KEYS", "--out", "JOB")
    run(place, "train", "--job", "JOB", "--eval-keys", "KEYS/evaluation.keys", "--out", "model.enc")
    run(place, "decrypt", "--model", "model.enc", "--keys", "KEYS", "--out", "head.safetensors")
    return place


@pytest.fixture(scope="module")
def model():
    return EncryptedLogisticRegression().fit(*table(rows=200, features=12, classes=4))


def test_plans_are_the_same(folder, model):
    plan = json.loads((folder / "KEYS/plan.json").read_text())
    assert json.loads(model.plan_.to_json()) == plan
    assert ciphertune.Plan.from_json(json.dumps(plan)) == model.plan_


def test_predictions_are_the_same(folder, model):
    X, _ = table(rows=500, features=12, classes=4, seed=3)
    np.savez(folder / "new.npz", features=X)
    text = run(folder, "predict", "--head", "head.safetensors", "--features", "new.npz", "--format", "json")
    rows = json.loads(text)
    assert [int(row["label"]) for row in rows] == model.predict(X).tolist()
    probabilities = [list(row["probabilities"].values()) for row in rows]
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=2e-6)


def test_a_job_from_python_is_trained_and_opened_by_the_command_line(folder, model):
    X, y = table(rows=200, features=12, classes=4)
    keys = ciphertune.Keys(model.plan_)
    keys.save(folder / "PYTHON")
    ciphertune.Owner(keys).encrypt(X, y, folder / "python.job")
    evaluation = "PYTHON/evaluation.keys"
    run(folder, "train", "--job", "python.job", "--eval-keys", evaluation, "--out", "python.enc")
    run(folder, "decrypt", "--model", "python.enc", "--keys", "PYTHON", "--publish", "--out", "published.safetensors")
    head = ciphertune.Owner(keys).decrypt(folder / "python.enc")
    np.testing.assert_allclose(head.weight, model.coef_, atol=1e-6 * np.abs(model.coef_).max())
    assert Head.from_bytes((folder / "published.safetensors").read_bytes()).published_bits > 1


def test_a_job_of_the_command_line_is_trained_and_opened_by_python(folder, model):
    keys = ciphertune.Keys.load(folder / "KEYS")
    trained = ciphertune.Server(folder / "KEYS/evaluation.keys").train(folder / "JOB")
    head = ciphertune.Owner(keys).decrypt(trained)
    np.testing.assert_allclose(head.weight, model.coef_, atol=1e-6 * np.abs(model.coef_).max())


def test_heads_are_read_by_either(folder, model):
    head = Head.from_bytes((folder / "head.safetensors").read_bytes())
    np.testing.assert_allclose(head.weight, model.coef_, atol=1e-6 * np.abs(model.coef_).max())
    (folder / "python.safetensors").write_bytes(model.head_.to_bytes())
    text = run(folder, "predict", "--head", "python.safetensors", "--features", "train.npz", "--format", "json")
    X, _ = table(rows=200, features=12, classes=4)
    assert [int(row["label"]) for row in json.loads(text)] == model.predict(X).tolist()
