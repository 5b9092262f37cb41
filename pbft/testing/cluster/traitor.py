"""One Byzantine replica as a process:
`python -m pbft.testing.cluster.traitor DIR ID BEHAVIOUR [RECORDING]`.

The replica inside is honest and so is its node; between them stands a behaviour that has the
replica's own keys. How often it attacked goes into the status report that the node answers with.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pbft.core.errors import PbftError
from pbft.crypto.errors import CryptoError
from pbft.serving import serve
from pbft.testing.byzantine import ADVERSARIES, BEHAVIOURS, PACING

EVERY = {**ADVERSARIES, **PACING, **BEHAVIOURS}
USAGE = "usage: python -m pbft.testing.cluster.traitor DIR ID BEHAVIOUR [RECORDING]"


def main(arguments: Sequence[str]) -> int:
    """Serve as a traitor until told to stop; the exit status."""
    if len(arguments) not in (3, 4) or not arguments[1].isdecimal() or arguments[2] not in EVERY:
        print(f"{USAGE}\nbehaviours: {', '.join(EVERY)}", file=sys.stderr)
        return 2
    directory, replica, behaviour = Path(arguments[0]), int(arguments[1]), arguments[2]
    record = Path(arguments[3]) if len(arguments) == 4 else None
    try:
        serve(
            directory,
            replica,
            wrap=EVERY[behaviour],
            with_parent=True,
            verbose=True,
            record=record,
            note=behaviour,
        )
    except (PbftError, CryptoError) as error:
        print(f"traitor: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
