"""What a service may have among its attributes that keeps itself in the replicated state."""

from typing import Any, Protocol, runtime_checkable

from pbft.core.service import State


@runtime_checkable
class Part(Protocol):
    """Its host calls these; a `Map` is a part, and so are SQL tables."""

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types of what it holds."""

    def open(self, name: str, state: State) -> None:
        """Be what `state` has under `name` (made by `prefix_of`), from now on."""

    def flush(self) -> None:
        """The command is about to take effect, or a query to be answered; raises where it must
        not."""

    def undo(self) -> None:
        """The command failed; what it put into the state has been taken back."""

    def settle(self) -> None:
        """The command has taken effect."""


def prefix_of(kind: bytes, name: str) -> bytes:
    """Of the keys of one part; no other part's begin like that."""
    encoded = name.encode()
    return kind + bytes((len(encoded),)) + encoded
