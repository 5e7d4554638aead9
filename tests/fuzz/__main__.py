"""`python -m tests.fuzz`: the hunt from the command line (runner.py)."""

import sys

from .runner import main

sys.exit(main())
