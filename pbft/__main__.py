"""`python -m pbft` is the `pbft` command."""

import sys

from pbft.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
