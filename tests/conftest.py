"""Before numpy and the package are loaded: threads that would only wait for one another."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the reference makes many small products
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # more threads than cores: those that wait must not spin
