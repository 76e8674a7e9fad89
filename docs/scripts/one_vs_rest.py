#!/usr/bin/env python3
"""Converged one-versus-rest logistic regression on whitened features: what recipe default converges to.

    one_vs_rest.py TRAIN TEST      two tables: .npz (features, labels) or .csv (label first)

For ridges mu in units of Bbar = n/4 it minimises sum log(1 + exp(z)) - y z + mu n / 8 |W|^2 over all weights, biases
included, by L-BFGS from the solution of the larger ridge, and prints the test rows right and the largest logit of a
training row. Needs NumPy and SciPy.
"""

import sys

import numpy as np
from scipy.optimize import minimize

from units import read, whiten

RIDGES = [0.03, 0.01, 0.003, 0.001]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    (features, labels), (test, truth) = read(sys.argv[1]), read(sys.argv[2])
    scale = whiten(features, "kurtosis")
    x, test = (scale(table).astype(np.float32) for table in (features, test))
    names, y = np.unique(labels, return_inverse=True)
    rows, columns = x.shape
    y = np.eye(len(names), dtype=np.float32)[y]

    def objective(flat, ridge):
        w = flat.reshape(columns, len(names))
        z = x @ w.astype(np.float32)
        value = np.logaddexp(0, z).sum(dtype=float) - (z * y).sum(dtype=float) + ridge * rows / 8 * flat @ flat
        slope = x.T @ (1 / (1 + np.exp(-z)) - y) + ridge * rows / 4 * w
        return value / rows, slope.ravel().astype(float) / rows

    flat = np.zeros(columns * len(names))
    for ridge in RIDGES:
        found = minimize(objective, flat, (ridge,), "L-BFGS-B", True, options={"maxiter": 500, "ftol": 1e-9})
        flat = found.x
        w = flat.reshape(columns, len(names))
        right = int((names[(test @ w).argmax(1)] == truth).sum())
        largest = np.abs(x @ w.astype(np.float32)).max()
        print(f"ridge {ridge}: {right} of {len(truth)} right, logits up to {largest:.1f}, {found.nit} iterations")


if __name__ == "__main__":
    main()
