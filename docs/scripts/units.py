#!/usr/bin/env python3
"""What the units of the features do to whitening: two iterations of recipe default in double precision.

    units.py FEATURES              the tables that come with scikit-learn, 4 folds (seed 0), and mixed scales
    units.py FEATURES TRAIN TEST [ROWS]     two tables: .npz (features, labels) or .csv (label first)

FEATURES is how features are weighed before they are whitened: none (as they are), deviation (divided by it: to the
variance 1) or kurtosis (to the variance 1 / kurtosis, as the program does). Needs NumPy and scikit-learn.
"""

import sys

import numpy as np


def weights(centred, kind):
    width = np.abs(centred).max(0)
    live = width > 0
    scaled = centred / np.where(live, width, 1)
    second, fourth = (scaled**2).mean(0), (scaled**4).mean(0)
    kurtosis = np.where(live, fourth / np.where(live, second, 1) ** 2, 1)
    deviation = np.where(live, width * np.sqrt(second), 1)
    if kind == "none":
        return np.ones(len(live))
    return live / deviation / (np.sqrt(kurtosis) if kind == "kurtosis" else 1)


def whiten(features, kind):
    rows, columns = features.shape
    mean = features.mean(0)
    d = weights(features - mean, kind)
    weighed = (features - mean) * d
    covariance = weighed.T @ weighed / rows
    live = columns if kind == "none" else (d > 0).sum()
    ridge = np.clip(live / (2 * rows), 0.05, 1) * np.trace(covariance) / live
    root = np.linalg.inv(np.linalg.cholesky(covariance + ridge * np.eye(columns))) * d
    return lambda x: np.hstack([np.ones((len(x), 1)), (x - mean) @ root.T])


def train(x, labels, classes, iterations=2):
    rows, y = len(x), np.eye(classes)[labels]
    w = v = np.zeros((classes, x.shape[1]))
    a = 1.0
    for t in range(1, iterations + 1):
        z = x @ v.T
        gradient = (y - (0.5 + 0.197 * z - 0.004 * z**3)).T @ x
        following = (1 + np.sqrt(1 + 4 * a * a)) / 2
        eta = (1 - a) / following
        v_next = w + 4 / rows * (1 + 1 / (rows * t)) * gradient
        w, v, a = (1 - eta) * v_next + eta * v, v_next, following
    return w


def right(train_table, test_table, kind):
    (x, labels), (test_x, test_labels) = train_table, test_table
    scale = whiten(x, kind)
    w = train(scale(x), labels, 1 + max(labels.max(), test_labels.max()))
    return int(((scale(test_x) @ w.T).argmax(1) == test_labels).sum())


def read(path):
    if path.endswith(".npz"):
        table = np.load(path)
        return table["features"].astype(float), table["labels"].astype(int)
    table = np.loadtxt(path, delimiter=",")
    return table[:, 1:], table[:, 0].astype(int)


def folds(name, x, y, kind):
    from sklearn.model_selection import StratifiedKFold

    splits = StratifiedKFold(4, shuffle=True, random_state=0).split(x, y)
    shares = [right((x[a], y[a]), (x[b], y[b]), kind) / len(b) for a, b in splits]
    print(f"{name:<14} {100 * np.mean(shares):.1f} %")


def main():
    kind, tables = sys.argv[1], sys.argv[2:]
    if tables:
        (x, y), test = read(tables[0]), read(tables[1])
        rows = int(tables[2]) if len(tables) > 2 else len(x)
        print(f"{right((x[:rows], y[:rows]), test, kind)} of {len(test[1])}")
        return
    from sklearn import datasets

    for name in ["wine", "breast_cancer", "iris", "digits"]:
        table = getattr(datasets, f"load_{name}")()
        folds(name, table.data, table.target, kind)
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, 240)
    x = draw.normal(size=(240, 5)) + 1.1 * draw.normal(size=(3, 5))[y]
    folds("equal scales", x, y, kind)
    folds("mixed scales", x * [1000, 1, 0.01, 1, 1], y, kind)


if __name__ == "__main__":
    main()
