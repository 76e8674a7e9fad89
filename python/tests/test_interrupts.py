"""Threads, processes and Ctrl-C."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import table

from ciphertune import EncryptedLogisticRegression


def train(seed):
    X, y = table(seed=seed)
    return EncryptedLogisticRegression(publish_bits=-30).fit(X, y).score(X, y)


def long_training(**parameters):
    """A second or more, on any machine of today."""
    X, y = table(2000, 64, 10)
    return EncryptedLogisticRegression(3, publish_bits=-30, **parameters), X, y


def test_other_threads_run_while_a_training_does():
    waits, done = [], threading.Event()

    def tick():
        while not done.is_set():
            start = time.perf_counter()
            time.sleep(0.001)
            waits.append(time.perf_counter() - start)

    thread = threading.Thread(target=tick)
    thread.start()
    model, X, y = long_training()
    start = time.perf_counter()
    model.fit(X, y)
    took = time.perf_counter() - start
    done.set()
    thread.join()
    # Whoever had to wait for a step would have done so for a good part of the whole.
    assert len(waits) > 20 and max(waits) < 0.25 * took


def test_ten_threads_train_at_once():
    scores, threads = {}, []
    for seed in range(10):
        threads.append(threading.Thread(target=lambda seed=seed: scores.update({seed: train(seed)})))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(scores) == 10 and min(scores.values()) > 0.95


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_train_after_their_parent_did(method, fitted):
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert min(pool.map_async(train, range(3)).get(timeout=300)) > 0.95


def test_a_process_that_is_forked_in_the_middle_of_a_training_trains(fitted):
    begun = threading.Event()

    def progress(step, done, of):
        if step == "training":
            begun.set()

    model, X, y = long_training(progress=progress)
    thread = threading.Thread(target=model.fit, args=(X, y))
    thread.start()
    assert begun.wait(60)
    child = multiprocessing.get_context("fork").Process(target=train, args=(0,))
    child.start()
    assert not hasattr(model, "head_")
    child.join(120)
    thread.join()
    assert child.exitcode == 0 and model.score(X, y) > 0.95


def test_ctrl_c_ends_a_training_soon_and_leaves_nothing_behind(tmp_path):
    code = """
import signal
import sys
import numpy as np
from ciphertune import EncryptedLogisticRegression

# A shell that starts tests in the background has them ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

X = np.random.default_rng(0).normal(size=(2000, 64))
y = np.arange(2000) % 10

def progress(step, done, of):
    if step == "training" and done:
        print("training", flush=True)

try:
    EncryptedLogisticRegression(max_iter=5, progress=progress).fit(X, y)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(7)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout.readline() == "training\n"
    start = time.perf_counter()
    child.send_signal(signal.SIGINT)
    rest, _ = child.communicate(timeout=120)
    assert child.returncode == 7 and rest.splitlines()[-1] == "interrupted"
    # Soon, on a machine that is busy with something else as well.
    assert time.perf_counter() - start < 20
    assert list(tmp_path.iterdir()) == []


def test_other_signals_are_handled_during_a_training():
    caught = []
    model, X, y = long_training()
    old = signal.signal(signal.SIGALRM, lambda *_: caught.append(time.perf_counter()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        model.fit(X, y)
        end = time.perf_counter()
    finally:
        signal.signal(signal.SIGALRM, old)
    assert caught and caught[0] < end - 0.1
