"""What linear heads make of the features: the default recipe of crates/head in double precision, in the clear.

    python tools/builtin/evaluate.py builtin.safetensors --mnist FOLDER [--prefixes 64,128] [--test]

Digits are scikit-learn's 1,797 of 8 x 8 pixels: the mean over ten splits into 500 rows to learn and the rest. MNIST
(idx, .gz) learns the first 4,096 training images and is judged on the last 10,000 of the training images, which is
what choices were made by; `--test` judges on the 10,000 test images instead.
"""

import argparse
import gzip
import os
import pathlib

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from network import SIDE, loaded


def head(x, labels, classes):
    """W after two iterations, and the map of raw features to the scaled ones with their column of ones."""
    n, d = x.shape
    mean = x.mean(0)
    covariance = (x - mean).T @ (x - mean) / n
    values, vectors = np.linalg.eigh(covariance)
    ridge = min(max(d / (2 * n), 0.05), 1) * values.mean()
    whiten = vectors / np.sqrt(values + ridge) @ vectors.T

    def scaled(rows):
        return np.concatenate([np.ones((len(rows), 1)), (rows - mean) @ whiten], 1)

    x, y = scaled(x), np.eye(classes)[labels]
    w = v = np.zeros((d + 1, classes))
    a = 1.0
    for t in (1, 2):
        a, before = (1 + np.sqrt(1 + 4 * a * a)) / 2, a
        eta = (1 - before) / a
        z = x @ v
        following = w + (1 + 1 / (n * t)) * 4 / n * (x.T @ (y - (0.5 + 0.197 * z - 0.004 * z**3)))
        # w is the point that the gradient step starts from, as in crates/head/src/twin.rs.
        w, v = (1 - eta) * following + eta * v, following
    return w, scaled


def score(train, train_labels, test, test_labels):
    w, scaled = head(train, train_labels, 10)
    return float(((scaled(test) @ w).argmax(1) == test_labels).mean())


def enlarged(pictures):
    return np.stack([np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for p in pictures])


def features(trunk, pictures):
    with torch.no_grad():
        parts = torch.from_numpy(enlarged(pictures)).split(500)
        return np.concatenate([trunk((part[:, None] / 255).expand(-1, 3, -1, -1)).numpy() for part in parts])


def idx(path):
    data = gzip.open(path).read()
    sizes = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sizes)


def digits(prefixes, of, pixels, labels):
    def mean(x):
        scores = []
        for seed in range(10):
            order = np.random.default_rng(seed).permutation(len(labels))
            learn, test = order[:500], order[500:]
            scores.append(score(x[learn], labels[learn], x[test], labels[test]))
        return np.mean(scores)

    return {"pixels": mean(pixels), **{prefix: mean(of[:, :prefix]) for prefix in prefixes}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--mnist")
    parser.add_argument("--prefixes", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--test", action="store_true")
    options = parser.parse_args()
    trunk = loaded(load_file(options.weights))
    bundled = load_digits()
    pixels = bundled.data
    of = features(trunk, np.rint(pixels * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)).astype(np.float64)
    options.prefixes = options.prefixes or [of.shape[1]]
    scores = digits(options.prefixes, of, pixels, bundled.target)
    print("digits", {key: f"{100 * value:.2f}" for key, value in scores.items()})
    if options.mnist:
        folder = pathlib.Path(options.mnist)
        pictures, labels = idx(folder / "train-images-idx3-ubyte.gz"), idx(folder / "train-labels-idx1-ubyte.gz")
        x, y = features(trunk, pictures[:4096]).astype(np.float64), labels[:4096]
        test, test_labels = pictures[50_000:], labels[50_000:]
        if options.test:
            test, test_labels = idx(folder / "t10k-images-idx3-ubyte.gz"), idx(folder / "t10k-labels-idx1-ubyte.gz")
        test = features(trunk, test).astype(np.float64)
        scores = {prefix: score(x[:, :prefix], y, test[:, :prefix], test_labels) for prefix in options.prefixes}
        print("mnist test" if options.test else "mnist", {key: f"{100 * value:.2f}" for key, value in scores.items()})


if __name__ == "__main__":
    main()
