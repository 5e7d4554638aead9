"""Before numpy is loaded: the reference makes many small products, where threads of numpy's BLAS only wait."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
