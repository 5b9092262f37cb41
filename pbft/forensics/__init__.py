"""Who broke the protocol, from what replicas have signed: for whoever was not there.

    book = Casebook(config, authentication, clients)
    for raw in kept_by_somebody:
        book.add(raw)
    found = verdict(book)

`statements` takes in anything and keeps what is genuine, also what is inside certificates, view
changes and new views. `rules` are the pairs of statements that no correct replica signs, each with
the reason why. `verdict` puts them together, and says which numbers were decided twice. All of it
needs public keys alone, and does no I/O.
"""

from pbft.forensics.rules import Conviction
from pbft.forensics.statements import Casebook
from pbft.forensics.verdict import Fork, Verdict, verdict

__all__ = ["Casebook", "Conviction", "Fork", "Verdict", "verdict"]
