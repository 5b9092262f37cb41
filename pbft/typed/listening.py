"""The events of a cluster, from the reader's side: a stream that can be taken up anywhere.

Each page is agreed on by f+1 replicas. A reader asks for what it has not seen, at its own pace:
none is cut off for being slow, and one that was away for longer than events are kept is told where
it can go on.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import overload

import msgspec

from pbft.blocking import BlockingClient
from pbft.core.errors import InvalidArgumentsError, PbftError, ServiceError
from pbft.typed.events import EVENTS, Event, Page
from pbft.typed.methods import operation
from pbft.typed.proxy import Caller, waited

MOST = 256
"""Events asked for at once."""
MOST_EVENTS = 1 << 63
"""That a cluster counts to."""
POLL_SECONDS, IDLE_SECONDS = 0.02, 0.5
"""How soon to ask again, at first and once there has been nothing for a while."""


class EventsLostError(PbftError):
    """Events that were not read are gone. `resume_after`: from there on all are still there."""

    def __init__(self, after: int, resume_after: int) -> None:
        super().__init__(
            f"the events {after + 1} to {resume_after} are not kept any more: read the state"
            f" itself, and go on with after={resume_after}"
        )
        self.resume_after = resume_after


@overload
def events(
    client: Caller, *, after: int = 0, sequence: int = 0, topic: str | None = None
) -> AsyncIterator[Event]: ...
@overload
def events(
    client: BlockingClient, *, after: int = 0, sequence: int = 0, topic: str | None = None
) -> Iterator[Event]: ...
def events(
    client: Caller | BlockingClient, *, after: int = 0, sequence: int = 0, topic: str | None = None
) -> AsyncIterator[Event] | Iterator[Event]:
    """Events as they take effect, those numbered above `after`, or of sequence number `sequence`
    and above; of one `topic`, or all. Ends never: break out of it, and go on later with `after`
    the number of the last one. A number that no event has yet is waited for without a word, since
    the replicas that answer may be behind what was read before; so is one of another cluster.
    Raises `EventsLostError`, also where events of `sequence` and above may be among those that are
    gone; `ServiceError` where the cluster's service has no events; at once
    `InvalidArgumentsError` for what is no number of an event; and what `Client.read` raises: go on
    with `after`. Of a `BlockingClient`: a plain iterator."""
    for name, number in (("after", after), ("sequence", sequence)):
        if not isinstance(number, int) or not 0 <= number < MOST_EVENTS:
            raise InvalidArgumentsError(f"{name} is a number of an event from 0 on: not {number!r}")
    if isinstance(client, BlockingClient):
        return waited(client, _follow(client.client, after, sequence, topic))
    return _follow(client, after, sequence, topic)


async def _follow(
    client: Caller, after: int, sequence: int, topic: str | None
) -> AsyncIterator[Event]:
    pause = POLL_SECONDS
    while True:
        packed = [msgspec.msgpack.encode(each) for each in (after, sequence, MOST)]
        data = await client.read(operation(EVENTS, packed), stale=True)
        try:
            page = _page.decode(data)
        except msgspec.MsgspecError as error:
            raise ServiceError(f"the cluster's service has no events: {error}") from None
        if _lost(page, after, sequence):
            raise EventsLostError(after, page.first - 1)
        for event in page.events:
            after, sequence = event.number, 0
            if topic in (None, event.topic):
                yield event
        pause = POLL_SECONDS if page.events else min(2 * pause, IDLE_SECONDS)
        if not page.events:
            await asyncio.sleep(pause)


def _lost(page: Page, after: int, sequence: int) -> bool:
    """Whether what was asked for may be gone: it is, where events went and the first that is kept
    is of a later sequence number than the one asked for."""
    if not sequence:
        return after + 1 < page.first
    begins = page.events[:1] and page.events[0].number == page.first
    return bool(begins) and page.first > 1 and page.events[0].sequence > sequence


_page = msgspec.msgpack.Decoder(Page)
