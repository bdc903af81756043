"""A thousand who listen to what happens: what they cost, and how soon they hear of a change.

One thread here holds all connections, so that it is the service whose memory is measured. A change is one role that is given and
taken; what is timed is from the moment at which its answer has arrived until a stream has the event. The streams are those
of one app's Reader and, one in ten, of an operator, by HTTP/1.1 on connections of their own.
"""

import json
import selectors
import socket
import statistics
import time

from .. import places, seed
from ..bench import Bench
from ..report import mebibytes, milliseconds
from ..service import Service

STREAMS, QUICK_STREAMS = 1_000, 20
CHANGES, QUICK_CHANGES = 100, 20
# What all of them together may take, in MiB, and how soon they have to hear, in seconds.
LARGEST, SOONEST = 50, 1.0
PATIENCE = 30
_SETTINGS = """
[feed]
streams_per_principal = 10000

[limits]
connections_per_address = 0
"""


class Crowd:
    """Everybody who listens, and when each heard of what."""

    def __init__(self, service: Service, streams: int):
        self.selector = selectors.DefaultSelector()
        self.buffers: dict[socket.socket, bytes] = {}
        # By the person a change is about, how often it was heard of, and when last.
        self.heard: dict[str, list[float]] = {}
        for number in range(streams):
            self._listen(service, "operator" if number % 10 == 9 else "reader")
        self._read_until(lambda: all(self.buffers.values()))

    def _listen(self, service: Service, who: str) -> None:
        path = "/operator/v1/events" if who == "operator" else f"/v1.0/apps/{seed.APP}/events"
        connection = socket.create_connection(("127.0.0.1", service.port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
                           f"{service.issuer.token(who)}\r\n\r\n".encode())
        connection.setblocking(False)
        self.buffers[connection] = b""
        self.selector.register(connection, selectors.EVENT_READ)

    def _read_until(self, is_enough) -> None:
        until = time.monotonic() + PATIENCE
        while not is_enough():
            if time.monotonic() > until:
                raise RuntimeError(f"{len(self.buffers)} streams did not hear all of it within {PATIENCE} s")
            for key, _ in self.selector.select(0.1):
                self._read(key.fileobj)

    def _read(self, connection: socket.socket) -> None:
        received = connection.recv(65_536)
        if not received:
            raise RuntimeError("a stream of events ended")
        text = self.buffers[connection] + received
        if not self.buffers[connection] and not text.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"a stream of events was refused: {text[:300]!r}")
        *lines, rest = text.split(b"\n")
        # Never empty again, which it is only before the answer.
        self.buffers[connection] = rest or b"\n"
        for line in lines:
            if line.lstrip().startswith(b"data: "):
                event = json.loads(line.lstrip().removeprefix(b"data: "))
                self.heard.setdefault(event["data"].get("id", ""), []).append(time.monotonic())

    def hears(self, person: str) -> list[float]:
        """When each of them heard of a change that is about a person."""
        self._read_until(lambda: len(self.heard.get(person, [])) >= len(self.buffers))
        return self.heard[person]

    def close(self) -> None:
        for connection in self.buffers:
            connection.close()


def _change(owner, number: int) -> tuple[str, float]:
    """Somebody gets a role: who, and when that was answered."""
    person = f"00000000-0000-4000-8000-{number:012x}"
    owner.ask("PATCH", f"/v1.0/apps/{seed.APP}/principals/{person}", {"type": "Application", "roles": ["Reader"]})
    return person, time.monotonic()


def run(bench: Bench) -> None:
    bench.section.how = "one run"
    streams, changes = bench.sized(STREAMS, QUICK_STREAMS), bench.sized(CHANGES, QUICK_CHANGES)
    service = Service(bench.issuer, places.scratch("events") / "data", settings=_SETTINGS)
    try:
        seed.begin(service)
        bench.gate.pass_through()
        with service.client("owner") as owner:
            _change(owner, 0)
            alone = service.process.memory("VmRSS")
            crowd = Crowd(service, streams)
            open_all = service.process.memory("VmRSS")
            spent, begun = service.process.cpu_seconds(), time.monotonic()
            first, all_of_them = [], []
            for number in range(1, changes + 1):
                person, answered = _change(owner, number)
                delays = sorted(heard - answered for heard in crowd.hears(person))
                first.append(delays[0])
                all_of_them.extend(delays)
            spent, lasted = service.process.cpu_seconds() - spent, time.monotonic() - begun
            told = service.process.memory("VmRSS")
            crowd.close()
        _report(bench, streams, (alone, open_all, told), (first, all_of_them), spent / lasted)
    finally:
        service.stop()


def _report(bench: Bench, streams: int, memory: tuple[int, int, int], delays: tuple[list[float], list[float]],
            busy: float) -> None:
    alone, open_all, told = memory
    first, all_of_them = delays
    soon = statistics.quantiles(all_of_them, n=20)[-1]
    took = (max(open_all, told) - alone) / 2**20
    bench.section.table("streams", "memory without", "with all open", "after the changes", "first hears, median",
                        "all hear, median", "p95", "cores")
    bench.section.row(f"{streams:,}", mebibytes(alone), mebibytes(open_all), mebibytes(told),
                      milliseconds(statistics.median(first)), milliseconds(statistics.median(all_of_them)),
                      milliseconds(soon), f"{busy:.2f}")
    for what, value, target in ((f"memory of {streams:,} streams in MiB", took, LARGEST),
                                ("from a change to the streams in seconds, p95", soon, SOONEST)):
        bench.section.text(f"{what}: {value:.2f}: {bench.section.judged(what, value, target, None, most=True)}")
