"""The key-value service: what each operation does, its limits, and that it is deterministic."""

import asyncio
import random

import pytest

from pbft.core.errors import ServiceError
from pbft.core.service import Context
from pbft.core.state.machine import Machine
from pbft.services import kv
from pbft.services.kv import (
    CompareAndSwap,
    Delete,
    Get,
    KeyValueClient,
    KeyValueError,
    KeyValueService,
    Put,
    Scan,
    encode,
)

CONTEXT = Context("client-0", 1, 0)


class Direct:
    """A client's `call`, straight into one service."""

    def __init__(self, service: Machine) -> None:
        self.service = service

    async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
        return self.service.execute(operation, CONTEXT)


def test_every_operation_through_the_typed_client() -> None:
    async def run() -> None:
        client = KeyValueClient(Direct(Machine(KeyValueService())))
        assert await client.get(b"a") is None
        await client.put(b"a", b"1")
        assert await client.get(b"a") == b"1"
        assert await client.cas(b"a", b"2", b"3") is False
        assert await client.cas(b"a", b"1", b"3") is True
        assert await client.cas(b"b", None, b"new") is True
        assert await client.cas(b"b", None, b"again") is False
        assert await client.scan() == [(b"a", b"3"), (b"b", b"new")]
        assert await client.scan(b"b") == [(b"b", b"new")]
        assert await client.scan(start=b"b", limit=1) == [(b"b", b"new")]
        assert await client.cas(b"b", b"new", None) is True
        assert await client.delete(b"a") is True
        assert await client.delete(b"a") is False
        assert await client.scan() == []

    asyncio.run(run())


@pytest.mark.parametrize(
    "operation",
    [
        b"",
        b"\xc1",
        b"\x90",
        encode(Get(b"k"))[:-1],
        encode(Put(b"k" * (kv.MAX_KEY_BYTES + 1), b"")),
        encode(Put(b"k", b"v" * (kv.MAX_VALUE_BYTES + 1))),
        encode(CompareAndSwap(b"k", None, b"v" * (kv.MAX_VALUE_BYTES + 1))),
        encode(Scan(b"", b"", 0)),
        encode(Scan(b"", b"", kv.MAX_SCAN + 1)),
        b"\x91" * 5000,
    ],
)
def test_what_is_not_an_operation_is_refused_and_changes_nothing(operation: bytes) -> None:
    service = Machine(KeyValueService())
    service.execute(encode(Put(b"k", b"v")), CONTEXT)
    before = service.tree.digest
    with pytest.raises(KeyValueError):
        service.execute(operation, CONTEXT)
    assert service.tree.digest == before


def test_a_full_store_refuses_to_grow_but_not_to_shrink() -> None:
    service = Machine(KeyValueService(max_bytes=10))
    service.execute(encode(Put(b"a", b"123456789")), CONTEXT)
    with pytest.raises(KeyValueError, match="full"):
        service.execute(encode(Put(b"b", b"")), CONTEXT)
    with pytest.raises(KeyValueError, match="full"):
        service.execute(encode(CompareAndSwap(b"a", b"123456789", b"1234567890")), CONTEXT)
    service.execute(encode(Put(b"a", b"1")), CONTEXT)
    service.execute(encode(Put(b"b", b"12345")), CONTEXT)
    service.execute(encode(Delete(b"b")), CONTEXT)
    service.execute(encode(Put(b"c", b"12345")), CONTEXT)


def test_a_scan_is_bounded_in_bytes() -> None:
    service = Machine(KeyValueService())
    for number in range(8):
        service.execute(encode(Put(b"%d" % number, bytes(kv.MAX_SCAN_BYTES // 3))), CONTEXT)
    found = service.execute(encode(Scan(b"", b"", 8)), CONTEXT)
    assert len(found) < kv.MAX_SCAN_BYTES + 100
    assert found[0] == 0x92  # two pairs, though eight were asked for


def test_scans_agree_with_a_model_while_keys_come_and_go() -> None:
    dice = random.Random(5)
    service, model = Machine(KeyValueService()), dict[bytes, bytes]()
    client = KeyValueClient(Direct(service))

    async def run() -> None:
        for _ in range(2000):
            key = b"%d" % dice.randrange(60)
            match dice.randrange(4):
                case 0:
                    model[key] = b"v"
                    await client.put(key, b"v")
                case 1:
                    assert await client.delete(key) == (model.pop(key, None) is not None)
                case 2:
                    prefix = key[:1]
                    expected = sorted(pair for pair in model.items() if pair[0].startswith(prefix))
                    assert await client.scan(prefix, limit=7) == expected[:7]
                case 3:
                    assert await client.get(key) == model.get(key)

    asyncio.run(run())


def test_the_state_depends_on_the_pairs_alone_and_is_opened_again() -> None:
    one, other = Machine(KeyValueService()), Machine(KeyValueService())
    pairs = [(b"%d" % number, b"v%d" % number) for number in range(100)]
    for key, value in pairs:
        one.execute(encode(Put(key, value)), CONTEXT)
    for key, value in reversed(pairs):
        other.execute(encode(Put(key, b"")), CONTEXT)
        other.execute(encode(Scan(b"", b"", 5)), CONTEXT)
        other.execute(encode(Put(key, value)), CONTEXT)
    assert one.tree.digest == other.tree.digest
    third = Machine(KeyValueService())
    third.execute(encode(Put(b"0", b"of another history")), CONTEXT)
    third.query(encode(Scan(b"", b"", 5)))
    third.install(one.tree.freeze())
    for read in (Get(b"0"), Get(b"7"), Scan(b"", b"", 5)):
        assert third.query(encode(read)) == one.execute(encode(read), CONTEXT)


def test_a_query_gives_what_executing_would_and_changes_nothing() -> None:
    service = Machine(KeyValueService())
    service.execute(encode(Put(b"k", b"v")), CONTEXT)
    before = service.tree.digest
    for read in (Get(b"k"), Get(b"none"), Scan(b"", b"", 10)):
        assert service.query(encode(read)) == service.execute(encode(read), CONTEXT)
    for other in (encode(Put(b"k", b"")), encode(Delete(b"k")), b"nonsense"):
        with pytest.raises(KeyValueError):
            service.query(other)
    assert service.tree.digest == before


def test_the_typed_client_says_when_another_service_answers() -> None:
    class Other:
        async def call(self, operation: bytes, *, timeout: float | None = None) -> bytes:
            return b"\xc1"

    with pytest.raises(ServiceError, match="does not run"):
        asyncio.run(KeyValueClient(Other()).get(b"k"))
