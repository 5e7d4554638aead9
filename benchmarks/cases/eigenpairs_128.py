"""Case 8: the top eigenpair of each of B symmetric matrices, 128 x 128, to a relative residual of 1e-5.

Goal: at least 25 times the loop of torch.bmm and torch.linalg.eigh.
"""

from benchmarks.eigenpairs import case

CASE = case(1024, 128)
