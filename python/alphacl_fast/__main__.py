"""`python -m alphacl_fast`: the same as the `alphacl-fast` command."""

import sys

from alphacl_fast._cli import main

if __name__ == "__main__":
    sys.exit(main())
