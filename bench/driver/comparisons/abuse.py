"""Whoever wants to hurt it, all at once, while somebody works: how much slower that somebody gets, and how large the service.

Attackers are nice and have processes of their own, so that it is the service that is measured and not who gets the two
cores. Each holds as much as a single hostile caller with a Contributor's role, or none at all, could hold from one address.
"""

import dataclasses
import multiprocessing
import os
import socket
import struct
import threading
import time
import urllib.parse

from .. import package, places, seed
from ..bench import Bench
from ..client import Client, Refused
from ..peers import postgresql
from ..report import mebibytes, milliseconds
from ..service import Service
from .postgres import on_postgres

ENVIRONMENTS = 100_000
QUIET, ATTACKED = 10, 30
# What a good caller may be slowed down by, and what the service may come to.
SLOWER, LARGEST = 2.0, 300

_AT = f"/v1.0/apps/{seed.APP}/countries"
_WORK = [
    f"{_AT}/{seed.LISTED}/versions/16.0.25.5",
    f"{_AT}/{seed.LISTED}/versions?$filter=majorVersion eq 16&$top=100",
    f"{_AT}/{seed.HOME}/environments?$filter=version eq '{seed.OLD}'&$top=100",
    "/health/live",
]
_LONG_LIST = f"{_AT}/{seed.HOME}/environments"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
# Of what may come on a stream before it is said to be welcome: nothing.
_NO_WINDOW = b"\0\0\6\4\0\0\0\0\0" + struct.pack(">HI", 4, 0)
_BEGINNINGS = [b"", b"P", _PREFACE[:14], _PREFACE, _PREFACE + _SETTINGS, b"GET / HTTP/1.1\r\nHost:"]

_TEXT = "ab" * 3500
_PATTERN = "(?:(?:a|b|ab){0,9}a){40}z"
_SLOW_PATTERN = f"matchesPattern({'concat(' * 6}name,{',@a),'.join([''] * 6)}@a),'{_PATTERN}')&@a='{_TEXT}'"
_SLOW_IN_SQL = "matchesPattern(name,'^(.*a.*b){9}$') or " + " or ".join(
    f"contains(name,'{'n' * number}')" for number in range(20, 60))
# As many as a manifest may declare, and as many elements as it may have.
_NAMESPACES = ("<x" + "".join(f" xmlns:n{number}=''" for number in range(14)) + ">" + "<a xmlns:z=''/>" * 480
               + "<a/>" * 4_400 + "</x>")
_SLOW_LIST = (f"{'name in (' + ','.join(['@b'] * 900) + ') or '}concat(@c,name) in ({','.join(['@b'] * 900)})"
              f"&@b='{_TEXT[:900]}'&@c='{_TEXT[:900]}'")


@dataclasses.dataclass
class Target:
    """What an attacker knows."""

    port: int
    token: str
    until: float

    def request(self, path: str, *, method: str = "GET", headers: str = "") -> bytes:
        path = urllib.parse.quote(path, safe="/?=&$%'(),:@*")
        return (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n"
                f"{headers}\r\n").encode()

    def is_on(self) -> bool:
        return time.monotonic() < self.until


def _connect(target: Target, sent: bytes, *, window: int | None = None) -> socket.socket:
    connection = socket.socket()
    if window is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", target.port))
    connection.sendall(sent)
    return connection


def _idle(target: Target, counts) -> None:
    """Connections that say nothing, or next to nothing, each opened again when it is closed."""
    _hold(target, counts, 200, lambda number: _connect(target, _BEGINNINGS[number % len(_BEGINNINGS)]))


def _stalled(target: Target, counts) -> None:
    """Long lists that nobody reads."""
    request = target.request(_LONG_LIST)
    _hold(target, counts, 16, lambda _: _connect(target, request, window=2048))


def _stalled_streams(target: Target, counts) -> None:
    """Long lists on all streams of connections on which nothing may be sent."""
    head = b"".join(_literal(name, value) for name, value in (
        (":method", "GET"), (":scheme", "http"), (":path", _LONG_LIST), (":authority", "127.0.0.1"),
        ("authorization", f"Bearer {target.token}")))
    frame = struct.pack(">I", len(head))[1:] + b"\1\5"
    streams = b"".join(frame + struct.pack(">I", number) + head for number in range(1, 200, 2))
    _hold(target, counts, 8, lambda _: _connect(target, _PREFACE + _NO_WINDOW + streams))


def _literal(name: str, value: str) -> bytes:
    """A header of HTTP/2 as it is, without any of HPACK's tables."""
    return b"\0" + _string(name.encode()) + _string(value.encode())


def _string(text: bytes) -> bytes:
    length = len(text)
    if length < 127:
        return bytes([length]) + text
    length -= 127
    rest = bytearray([127])
    while length >= 128:
        rest.append(length % 128 + 128)
        length //= 128
    rest.append(length)
    return bytes(rest) + text


def _sorted(target: Target, counts) -> None:
    """Long lists that are sorted in memory and that nobody reads."""
    request = target.request(f"{_AT}/{seed.HOME}/environments?$orderby=tolower(name)")
    _hold(target, counts, 40, lambda _: _connect(target, request, window=2048))


def _dripping(target: Target, counts) -> None:
    """Uploads of a blank every now and then."""
    head = target.request(f"{_AT}/{seed.HOME}/versions", method="POST", headers="Content-Length: 1000000\r\n")
    _hold(target, counts, 16, lambda _: _connect(target, head + b"{"), drip=b" ")


def _hold(target: Target, counts, number: int, opened, drip: bytes | None = None) -> None:
    """So many connections at a time; what comes by them is left where it is, but for their end."""
    held: list[socket.socket | None] = [None] * number
    while target.is_on():
        for place, connection in enumerate(held):
            try:
                if connection is None:
                    held[place] = opened(place)
                    counts["begun"] += 1
                    time.sleep(0.01)
                    continue
                if drip is not None:
                    connection.sendall(drip)
                connection.setblocking(False)
                if connection.recv(1, socket.MSG_PEEK) == b"":
                    raise ConnectionError
                if drip is not None:
                    raise ConnectionError
            except BlockingIOError:
                connection.settimeout(5)
            except OSError:
                counts["ended"] += 1
                if connection is not None:
                    connection.close()
                held[place] = None
        time.sleep(0.5)


def _asking(query: str):
    def ask(target: Target, counts) -> None:
        while target.is_on():
            counts["begun"] += 1
            try:
                with Client(target.port, target.token) as client:
                    client.connection.timeout = 5
                    client.send("GET", f"{_AT}/{seed.HOME}/environments?$filter={query}")
            except (Refused, OSError):
                # Refused, or left alone with it, which is worse for the service.
                counts["ended"] += 1
    return ask


def _packages(target: Target, counts) -> None:
    """Versions with manifests as large as they may be, packages that are refused after as much work as possible, and lists
    of all of them."""
    minor = 0
    with Client(target.port, target.token) as client:
        client.connection.timeout = 5
        while target.is_on():
            minor += 1
            fat = package.build(seed.APP, f"99.{minor}.0.0", 1_000, package.dependencies(400))
            costly = package.build(seed.APP, f"98.{minor}.0.0", 1_000, _NAMESPACES)
            uploads = [("POST", f"{_AT}/{seed.LISTED}/versions", seed.upload_body(content)) for content in (fat, costly)]
            for method, path, body in [*uploads, ("GET", f"{_AT}/{seed.LISTED}/versions?$filter=majorVersion ge 98", None)]:
                counts["begun"] += 1
                try:
                    client.send(method, path, body)
                except (Refused, OSError):
                    counts["ended"] += 1
                    client.connection.close()


ATTACKS = {
    "connections without a request": (_idle, 3),
    "lists that nobody reads": (_stalled, 1),
    "streams on which nothing may be sent": (_stalled_streams, 1),
    "sorted lists that nobody reads": (_sorted, 1),
    "uploads of blanks": (_dripping, 1),
    "patterns without end": (_asking(_SLOW_PATTERN), 4),
    "long texts in long lists": (_asking(_SLOW_LIST), 4),
    "texts looked for by the database": (_asking(_SLOW_IN_SQL), 4),
    "packages as large and as costly as they may be": (_packages, 1),
}


def run(bench: Bench) -> None:
    folder = seed.seeded(bench.issuer, bench.sized(ENVIRONMENTS, 10_000))
    bench.section.how = "once"
    bench.section.text("A caller reads one version, two filtered lists of 100 rows and `/health/live` in turns, alone and "
                       "then while all attacks go on. Memory is the peak during the attacks.")
    bench.section.table("on", "p99, alone", "p99, attacked", "slower", "", "memory", "")
    places.copy_tree(folder, places.SCRATCH / "sqlite")
    _measure(bench, Service(bench.issuer, places.SCRATCH / "sqlite", name="SQLite"))
    server = postgresql.start()
    if server is None:
        bench.section.missing("PostgreSQL")
        return
    try:
        service = on_postgres(bench, server, folder, "abused")
        service.name = "PostgreSQL"
        _measure(bench, service)
    finally:
        server.stop()


def _measure(bench: Bench, service: Service) -> None:
    bench.gate.pass_through()
    _probe(service, 1)
    quiet = _probe(service, bench.sized(QUIET, 3))
    service.process.forget_peak()
    seconds = bench.sized(ATTACKED, 10)
    target = Target(service.port, bench.issuer.token("contributor"), time.monotonic() + seconds + 2)
    with multiprocessing.Manager() as manager:
        tallies = {name: manager.dict(begun=0, ended=0) for name in ATTACKS}
        attackers = [multiprocessing.Process(target=_attack, args=(name, target, tallies[name]), daemon=True)
                     for name in ATTACKS]
        for attacker in attackers:
            attacker.start()
        time.sleep(2)
        attacked = _probe(service, seconds)
        for attacker in attackers:
            attacker.join(30)
            attacker.kill()
        memory = service.process.memory("VmHWM") / 2**20
        told = {name: dict(tally) for name, tally in tallies.items()}
    slower = attacked / quiet
    bench.section.row(
        service.name, milliseconds(quiet), milliseconds(attacked), f"{slower:.1f}",
        bench.section.judged(f"p99 on {service.name}", slower, SLOWER, None, most=True), mebibytes(memory * 2**20),
        bench.section.judged(f"memory on {service.name}", memory, LARGEST, None, most=True) + " MiB")
    for name, tally in told.items():
        print(f"      {name}: {tally['begun']} begun, {tally['ended']} ended by the service or refused", flush=True)
    service.stop()


def _attack(name: str, target: Target, tally) -> None:
    os.nice(19)
    attack, threads = ATTACKS[name]
    counts = [{"begun": 0, "ended": 0} for _ in range(threads)]
    running = [threading.Thread(target=attack, args=(target, own), daemon=True) for own in counts]
    for thread in running:
        thread.start()
    while target.is_on():
        time.sleep(0.2)
    for key in ("begun", "ended"):
        tally[key] = sum(own[key] for own in counts)


def _probe(service: Service, seconds: float) -> float:
    """The time within which 99 of 100 answers are there."""
    times = []
    until = time.monotonic() + seconds
    with service.client("reader") as reader:
        while time.monotonic() < until:
            for path in _WORK:
                start = time.perf_counter()
                reader.send("GET", path)
                times.append(time.perf_counter() - start)
    times.sort()
    return times[len(times) * 99 // 100]
