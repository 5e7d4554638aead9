"""The standing hunt: random hostile calls of every public function, judged against literal sums.

``python -m tests.fuzz --minutes 60`` at the root of the clone is the long mode; `run_case(name, seed)` repeats a case.
"""

from .runner import hunt, run_case

__all__ = ["hunt", "run_case"]
