"""Trapezoid-rule Fourier features of exp(-D^2 / (2 tau)) for |D| <= R."""

from math import ceil, exp, log, pi, sqrt

import numpy as np


def feature_count(length: float, tau: float, tol: float) -> float:
    """p = 1 + (q/pi)(L + q), L = R / sqrt(tau), q = sqrt(2 ln 1/tol): the numerical rank."""
    q = sqrt(2.0 * log(1.0 / tol))
    return 1.0 + q / pi * (length / sqrt(tau) + q)


def least_features(length: float, tau: float, tol: float, n: int) -> float:
    """p of the cheapest way for n scalars: one series, blocks of length 2 q with a product to and one fro, or tiles."""
    q = sqrt(2.0 * log(1.0 / tol))
    return min(feature_count(length, tau, tol), 2.0 * feature_count(2.0 * q * sqrt(tau), tau, tol), n / 2)


def frequencies(length: float, tau: float, tol: float) -> tuple[np.ndarray, np.ndarray]:
    """omega_k = k h, and w_k with sum_k w_k cos(omega_k D) = exp(-D^2 / (2 tau)) to tol.

    The rule's error is the kernel's own periodic images at distance 2 pi / h >= R + q sqrt(tau).
    """
    scale = sqrt(tau)
    q = sqrt(2.0 * log(1.0 / tol))
    step = 2.0 * pi / (length / scale + q)
    count = ceil(q / step)
    weight = [step / sqrt(2.0 * pi) * (2.0 if k else 1.0) * exp(-0.5 * (k * step) ** 2) for k in range(count + 1)]
    return np.arange(count + 1) * (step / scale), np.array(weight)
