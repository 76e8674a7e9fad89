"""The polynomials of degree 7 and 15 in place of the sigmoid: odd least-squares fits of 1/(1 + exp(-z)) - 1/2.

    python docs/scripts/sigmoids.py

Least squares with equal weight over [-range, range], by Gauss-Legendre quadrature in the basis of Legendre polynomials,
where it is a matter of one sum a coefficient. Prints c_1, c_3, ..., the largest error within the range, the z > 0 at which
p meets 1/2 again and where p stops rising. Needs numpy.
"""

import numpy as np
from numpy.polynomial import legendre, polynomial


def fit(degree, limit):
    """Coefficients of the powers of z, from 0 to `degree`."""
    u, weights = legendre.leggauss(400)
    values = 1 / (1 + np.exp(-limit * u)) - 0.5
    coefficients = np.zeros(degree + 1)
    for k in range(1, degree + 1, 2):
        basis = legendre.legval(u, np.eye(degree + 1)[k])
        coefficients[k] = (2 * k + 1) / 2 * np.sum(weights * values * basis)
    return legendre.leg2poly(coefficients) / limit ** np.arange(degree + 1)


def main():
    for degree, limit in [(7, 10.0), (15, 16.0)]:
        c = fit(degree, limit)
        z = np.linspace(0, 2 * limit, 2_000_001)
        p = polynomial.polyval(z, c)
        inside = z <= limit
        error = np.abs(p - (1 / (1 + np.exp(-z)) - 0.5))[inside].max()
        crossing = z[1:][p[1:] < 0][:1]
        falling = z[1:][(np.diff(p) < 0) & (z[1:] > limit / 2)][:1]
        print(f"degree {degree}, |z| <= {limit:g}: error {error:.4f}, crossing {crossing}, falls from {falling}")
        for k in range(1, degree + 1, 2):
            print(f"    c{k} = {c[k]:.16e}")


main()
