"""One replica on a disk that loses power: `python -m pbft.testing.cluster.bad_disk DIR ID`.

What was not synced when this process is killed is gone (`pbft.testing.sqlite_disk`), and a fault
file beside its database breaks the disk. All else is as `pbft replica` does it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pbft.core.errors import PbftError
from pbft.crypto.errors import CryptoError
from pbft.serving import serve
from pbft.testing import sqlite_disk

USAGE = "usage: python -m pbft.testing.cluster.bad_disk DIR ID"


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop, or until the disk fails; the exit status."""
    if len(arguments) != 2 or not arguments[1].isdecimal():
        print(USAGE, file=sys.stderr)
        return 2
    try:
        sqlite_disk.install()
        serve(Path(arguments[0]), int(arguments[1]), with_parent=True, verbose=True)
    except (PbftError, CryptoError) as error:
        print(f"pbft: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
