"""Three members of etcd on loopback, with their default sync, and a load for them.

The load speaks HTTP to etcd's own gateway over connections that stay open, one per client, from
processes of its own, so that it is not what limits the rate. Beside it stands what etcd's own
checker reaches, which speaks gRPC.
"""

import asyncio
import base64
import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pbft.cli.figures import percentile
from pbft.core.errors import PbftError
from pbft.testing.cluster import free_ports

MEMBERS = 3
UP_SECONDS = 30.0
ANSWER_BYTES = 4096
GENERATORS = 2
KEYS = 1000


class EtcdError(PbftError):
    """etcd is not installed, or does not do what it should."""


def require() -> None:
    """Raises `EtcdError` where a program of etcd is missing."""
    for program in ("etcd", "etcdctl"):
        if shutil.which(program) is None:
            raise EtcdError(f"{program} is missing: install etcd-server and etcd-client")


@contextlib.contextmanager
def members(directory: Path) -> Iterator[Sequence[int]]:
    """Run them; the ports for clients."""
    ports = free_ports(2 * MEMBERS)
    clients, peers = ports[:MEMBERS], ports[MEMBERS:]
    everybody = ",".join(f"m{i}=http://127.0.0.1:{port}" for i, port in enumerate(peers))
    with contextlib.ExitStack() as stack:
        for number, (client, peer) in enumerate(zip(clients, peers, strict=True)):
            log = stack.enter_context((directory / f"m{number}.log").open("wb"))
            urls = {"client": f"http://127.0.0.1:{client}", "peer": f"http://127.0.0.1:{peer}"}
            arguments = [
                *("etcd", "--name", f"m{number}", "--data-dir", str(directory / f"m{number}")),
                *("--listen-client-urls", urls["client"], "--advertise-client-urls"),
                *(urls["client"], "--listen-peer-urls", urls["peer"]),
                *("--initial-advertise-peer-urls", urls["peer"]),
                *("--initial-cluster", everybody, "--initial-cluster-state", "new"),
                *("--log-level", "error"),
            ]
            process = subprocess.Popen(arguments, stdout=log, stderr=log)
            stack.callback(_end, process)
        _until_up(clients)
        yield clients


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10.0)
    process.kill()
    process.wait()


def _until_up(clients: Sequence[int]) -> None:
    until = time.monotonic() + UP_SECONDS
    while time.monotonic() < until:
        if _control(clients, "endpoint", "health").returncode == 0:
            return
        time.sleep(0.2)
    raise EtcdError(f"etcd is not up after {UP_SECONDS:.0f} s")


def _control(clients: Sequence[int], *arguments: str) -> "subprocess.CompletedProcess[str]":
    endpoints = ",".join(f"http://127.0.0.1:{port}" for port in clients)
    command = ["etcdctl", f"--endpoints={endpoints}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120.0)


def leader(clients: Sequence[int]) -> int:
    """The port for clients of the member that leads: nobody has to forward for it."""
    answer = _control(clients, "endpoint", "status", "--write-out=json")
    for each in json.loads(answer.stdout):
        status = each["Status"]
        if status["leader"] == status["header"]["member_id"]:
            return int(each["Endpoint"].rsplit(":", 1)[1])
    raise EtcdError("etcd has no leader")


def checker(clients: Sequence[int], load: str = "l") -> float:
    """Puts per second that `etcdctl check perf` reaches; it asks for 8,000 at load `l`."""
    answer = _control(clients, "check", "perf", f"--load={load}")
    found = re.search(r"(\d+(?:\.\d+)?) writes/s", answer.stdout + answer.stderr)
    if found is None:
        raise EtcdError(f"etcdctl check perf says: {answer.stdout[-200:]} {answer.stderr[-200:]}")
    return float(found.group(1))


def puts(port: int, clients: int, seconds: float, payload: int) -> dict[str, float]:
    """Puts of `payload` bytes by so many clients with one outstanding each."""
    shares = [clients // GENERATORS + (i < clients % GENERATORS) for i in range(GENERATORS)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.system.etcd", *map(str, (port, share, seconds, payload))],
            stdout=subprocess.PIPE,
        )
        for share in shares
        if share
    ]
    answers = [json.loads(process.communicate(timeout=seconds + 60)[0]) for process in running]
    latencies = [each for answer in answers for each in answer]
    return {
        "ops_per_second": len(latencies) / seconds,
        "p50_ms": 1000 * percentile(latencies, 0.5),
        "p99_ms": 1000 * percentile(latencies, 0.99),
    }


class _Caller(asyncio.Protocol):
    """One connection: a put, its answer, the next put."""

    def __init__(self, requests: Sequence[bytes], until: float, latencies: list[float]) -> None:
        self._requests = requests
        self._until = until
        self._latencies = latencies
        self._asked = 0.0
        self._count = 0
        self._seen = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._ask()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, separator, body = self._seen.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if separator and length is not None and len(body) >= int(length.group(1)):
            if not head.startswith(b"HTTP/1.1 200"):
                self._finish(EtcdError(f"etcd answers {head[:60]!r}"))
                return
            self._seen = b""
            now = time.monotonic()
            self._latencies.append(now - self._asked)
            if now < self._until:
                self._ask()
            else:
                self._finish(None)
        elif len(self._seen) > ANSWER_BYTES:
            self._finish(EtcdError("an answer that does not end"))

    def connection_lost(self, error: Exception | None) -> None:
        self._finish(EtcdError(f"etcd hung up: {error}"))

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self._transport.write(self._requests[self._count % len(self._requests)])
        self._count += 1

    def _finish(self, error: EtcdError | None) -> None:
        if not self.done.done():
            self._transport.close()
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)


def _requests(client: int, payload: int) -> list[bytes]:
    """All that one client asks, over and over, as bytes on the wire."""
    value = base64.b64encode(b"x" * payload).decode()
    requests = []
    for number in range(KEYS):
        key = base64.b64encode(b"%d/%d" % (client, number)).decode()
        body = json.dumps({"key": key, "value": value}).encode()
        head = b"POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Length: %d\r\n\r\n" % len(body)
        requests.append(head + body)
    return requests


async def _load(port: int, clients: int, seconds: float, payload: int) -> list[float]:
    """The latencies, in seconds, after a second of warm-up."""
    loop, latencies = asyncio.get_running_loop(), list[float]()
    began = time.monotonic()
    callers = []
    for client in range(clients):
        requests = _requests(client, payload)
        _, caller = await loop.create_connection(
            lambda requests=requests: _Caller(requests, began + 1.0 + seconds, latencies),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        callers.append(caller)
    await asyncio.sleep(1.0)
    latencies.clear()
    await asyncio.gather(*(caller.done for caller in callers))
    return latencies


if __name__ == "__main__":
    where, share, span, size = sys.argv[1:]
    print(json.dumps(asyncio.run(_load(int(where), int(share), float(span), int(size)))))
