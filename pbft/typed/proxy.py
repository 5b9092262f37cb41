"""The service, from a client's side: a subclass of it whose commands ask the cluster.

    class RemoteCounter(Proxy, Counter): ...

    async with Client("DIR", identity="client-0") as client:
        counter = RemoteCounter(client)
        await counter.add(3)

Type checkers see the parameters and results of `Counter`, awaited. `BlockingProxy` is the same
without asyncio.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from copy import copy
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, get_args

import msgspec

from pbft.client_calls import judged
from pbft.core.errors import InvalidArgumentsError, PbftError, RejectedError, ServiceError
from pbft.receipts import Receipt
from pbft.typed.methods import UPGRADE, Method, operation
from pbft.typed.refusals import restored

Consistency: TypeAlias = Literal["linearizable", "ordered", "stale"]
"""What a query promises, with up to f traitors; no level takes one replica's word.

"linearizable": it sees every operation acknowledged before it began, and no read that begins later
sees less. By a fast read, on which q replicas agree, where the cluster has them; else in the order.
"ordered": the same, always in the order, like a command.
"stale": f+1 replicas agree on the answer, so a correct one gave it and no traitor invented it. It
was true once: others may know newer, and a later stale read may see less.
"""
LEVELS: tuple[str, ...] = get_args(Consistency)
R = TypeVar("R")
P = ParamSpec("P")
Own = TypeVar("Own", bound="_Remote")


class Caller(Protocol):
    """What a proxy needs of a client."""

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes: ...

    async def read(
        self, operation: bytes, *, timeout: float | None = None, stale: bool = False
    ) -> bytes: ...

    async def resolve(self, key: str, *, timeout: float | None = None) -> bytes: ...

    def prepare(self, operation: bytes) -> str: ...

    async def certified(
        self, operation: bytes, *, timeout: float | None = None
    ) -> tuple[bytes, Receipt]: ...


class _Remote:
    """How to ask; none of the state of the service."""

    _timeout: float | None
    _consistency: Consistency
    _service: type
    """What it is a proxy of: its methods, and the module where exceptions are looked for first."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._service = cls

    def options(
        self: Own, *, timeout: float | None = None, consistency: Consistency | None = None
    ) -> Own:
        """The same proxy with other options: `await counter.options(timeout=1).add(3)`. `timeout`:
        of each call, in seconds. What is not given stays as it is. Raises `InvalidArgumentsError`
        where there is no such level or no such timeout."""
        other = copy(self)
        other._set(
            self._timeout if timeout is None else timeout,
            self._consistency if consistency is None else consistency,
        )
        return other

    def _set(self, timeout: float | None, consistency: Consistency) -> None:
        if consistency not in LEVELS:
            raise InvalidArgumentsError(
                f"there is no consistency {consistency!r}: it is one of {', '.join(LEVELS)}"
            )
        self._timeout = None if timeout is None else judged(timeout)
        self._consistency = consistency

    if not TYPE_CHECKING:  # who misspells a command shall be told by the type checker

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"{type(self).__name__} is a proxy and has no {name}: the state is at the replicas,"
                " ask for it by a @query"
            )


class Proxy(_Remote):
    """Each call raises what the command raises, and what `Client.call` raises. `timeout`: of each
    call, in seconds; by default the client's. `consistency`: of each query."""

    def __init__(
        self,
        client: Caller,
        *,
        timeout: float | None = None,
        consistency: Consistency = "linearizable",
    ) -> None:
        if hasattr(client, "wait") and not iscoroutinefunction(client.call):
            raise InvalidArgumentsError(
                "a Proxy takes a Client; for this, derive from BlockingProxy"
            )
        self._client = client
        self._set(timeout, consistency)

    async def _ask(self, method: Method[..., R], args: Any, kwargs: Any) -> R:
        packed, client, timeout = method.pack(args, kwargs), self._client, self._timeout
        if method.kind == "command" or self._consistency == "ordered":
            return await self._result(method, client.call(packed, timeout=timeout))
        stale = self._consistency == "stale"
        return await self._result(method, client.read(packed, timeout=timeout, stale=stale))

    async def _result(self, method: Method[..., R], answer: Coroutine[Any, Any, bytes]) -> R:
        try:
            return unpacked(method, await answer)
        except RejectedError as error:
            raise (found := restored(error, self._service.__module__)) from found.__cause__

    def prepare(self, method: Method[P, R], *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call that is not made yet: keep it, then `resolve` it. Whatever happens to
        this process, the call takes effect at most once. Raises what `Client.prepare` raises."""
        return self._client.prepare(_named(method).pack(args, kwargs))

    async def resolve(self, method: Method[P, R], key: str) -> R:
        """Make a call that was prepared, or ask for the outcome of one that was not answered.
        Raises what the command and what `Client.resolve` raises."""
        named = _named(method)
        return await self._result(named, self._client.resolve(key, timeout=self._timeout))

    async def certified(
        self, method: Method[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[R, Receipt]:
        """Call a command, and get a receipt that third parties can verify. Raises what the command
        and what `Client.certified` raises."""
        packed = _named(method).pack(args, kwargs)
        asked = self._client.certified(packed, timeout=self._timeout)
        try:
            result, receipt = await asked
        except RejectedError as error:
            raise (found := restored(error, self._service.__module__)) from found.__cause__
        return unpacked(method, result), receipt

    async def upgrade(self, version: int) -> None:
        """Make the next version of the service active, once all replicas run code that has it: one
        whose code does not stops. Raises what `Client.call` raises: `NotPermittedError` where the
        cluster file does not name `pbft.upgrade` among what this client may call, `ServiceError`
        where `version` is not the one after the active."""
        packed = operation(UPGRADE, [msgspec.msgpack.encode(version)])
        try:
            await self._client.call(packed, timeout=self._timeout)
        except RejectedError as error:
            raise (found := restored(error, self._service.__module__)) from found.__cause__


def _named(method: Method[P, R]) -> Method[P, R]:
    """Raises `InvalidArgumentsError` for a name, and for what a proxy or an object makes of it."""
    if isinstance(method, Method):
        return method
    shown = getattr(method, "__qualname__", repr(method))
    raise InvalidArgumentsError(
        f"{shown} is no method of a class: give Counter.add, and neither counter.add nor 'add'"
    )


class BlockingCaller(Protocol):
    """A client that runs coroutines of its asyncio twin."""

    @property
    def client(self) -> Caller: ...

    def prepare(self, operation: bytes) -> str: ...

    def wait(self, what: Coroutine[Any, Any, R]) -> R: ...


class BlockingProxy(_Remote):
    """As `Proxy`, for programs without asyncio: each call waits for its answer."""

    def __init__(
        self,
        client: BlockingCaller,
        *,
        timeout: float | None = None,
        consistency: Consistency = "linearizable",
    ) -> None:
        if hasattr(client, "call") and not hasattr(client, "wait"):
            raise InvalidArgumentsError("a BlockingProxy takes a BlockingClient; derive from Proxy")
        self._blocking = client
        self._set(timeout, consistency)

    def _ask(self, method: Method[..., R], args: Any, kwargs: Any) -> R:
        return self._wait(lambda twin: twin._ask(method, args, kwargs))

    def prepare(self, method: Method[P, R], *args: P.args, **kwargs: P.kwargs) -> str:
        """As `Proxy.prepare`."""
        return self._blocking.prepare(_named(method).pack(args, kwargs))

    def resolve(self, method: Method[P, R], key: str) -> R:
        """As `Proxy.resolve`."""
        return self._wait(lambda twin: twin.resolve(method, key))

    def certified(
        self, method: Method[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[R, Receipt]:
        """As `Proxy.certified`."""
        return self._wait(lambda twin: twin.certified(method, *args, **kwargs))

    def upgrade(self, version: int) -> None:
        """As `Proxy.upgrade`."""
        self._wait(lambda twin: twin.upgrade(version))

    def _wait(self, ask: Callable[[Proxy], Coroutine[Any, Any, R]]) -> R:
        return self._blocking.wait(ask(self._twin()))

    def _twin(self) -> Proxy:
        """Of the same service, for the loop of the client."""
        client = self._blocking.client
        twin = Proxy(client, timeout=self._timeout, consistency=self._consistency)
        twin._service = self._service
        return twin


def waited(client: BlockingCaller, stream: AsyncIterator[R]) -> Iterator[R]:
    """What an endless stream of asyncio gives, each waited for; leaving it ends the stream."""

    async def end() -> None:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()

    async def following() -> R:
        return await anext(stream)

    try:
        while True:
            yield client.wait(following())
    finally:
        with suppress(PbftError):  # the client is closed, and with it the stream
            client.wait(end())


def unpacked(method: Method[..., R], data: bytes) -> R:
    """Raises `ServiceError` where the cluster runs another service."""
    try:
        value: R = method.result.decode(data, method.name)
    except InvalidArgumentsError as error:
        raise ServiceError(f"the cluster runs another service: {error}") from None
    return value
