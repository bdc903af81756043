"""Uploads: the service, verdaccio (the same form, without durability), and the streamed sink (the same durability,
without anything else). Every upload is a package of its own, made before the clock starts."""

import hashlib
import threading
import time

from .. import package, places, seed, tools
from ..bench import Bench
from ..client import Client
from ..peers import hand_written, verdaccio
from ..processes import traced_calls
from ..report import mebibytes, milliseconds
from ..rounds import Contestant, Sample
from ..seed import APP, HOME
from ..service import Service

SIZES = (1, 10, 50, 250)
SYNCS = ["fsync", "fdatasync", "sync_file_range", "rename", "renameat2"]


class Uploader:
    """Makes uploads for one contestant, none like another."""

    def __init__(self, name: str, process, port: int):
        self.name, self.process, self.port = name, process, port
        self.made = 0

    def _number(self) -> int:
        self.made += 1
        return self.made

    def prepare(self, size: int) -> tuple[str, str, bytes]:
        """Method, path and body of the next upload."""
        raise NotImplementedError

    def client(self) -> Client:
        return Client(self.port)

    def timed(self, size: int) -> Sample:
        return self.at_once(size, 1)

    def at_once(self, size: int, count: int) -> Sample:
        """So many at the same time; seconds until the last is acknowledged."""
        uploads = [self.prepare(size) for _ in range(count)]
        clients = [self.client() for _ in uploads]
        for client in clients:
            client.connect()
        failures: list[Exception] = []

        def send(client: Client, upload: tuple[str, str, bytes]) -> None:
            try:
                client.send(*upload)
            except Exception as failure:
                failures.append(failure)
        threads = [threading.Thread(target=send, args=pair) for pair in zip(clients, uploads)]
        cpu = self.process.cpu_seconds()
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        cpu = self.process.cpu_seconds() - cpu
        for client in clients:
            client.connection.close()
        if failures:
            raise failures[0]
        return Sample(seconds, cpu / count)


class Ours(Uploader):
    def __init__(self, name: str, service: Service):
        super().__init__(name, service.process, service.port)
        self.token = service.issuer.token("contributor")

    def client(self) -> Client:
        return Client(self.port, self.token)

    def prepare(self, size: int) -> tuple[str, str, bytes]:
        content = package.build(APP, f"17.0.0.{self._number()}", size)
        return "POST", f"/v1.0/apps/{APP}/countries/{HOME}/versions", seed.upload_body(content)


class Sink(Uploader):
    def prepare(self, size: int) -> tuple[str, str, bytes]:
        number = self._number()
        return "POST", f"/upload-{number}", seed.upload_body(package.build(APP, f"17.0.0.{number}", size))


class Verdaccio(Uploader):
    def prepare(self, size: int) -> tuple[str, str, bytes]:
        number = self._number()
        path, body = verdaccio.publication(f"bench-{number}", package.build(APP, f"17.0.0.{number}", size))
        return "PUT", path, body


def run(bench: Bench) -> None:
    folder = seed.seeded(bench.issuer, 1)
    data = [places.SCRATCH / name for name in ("one", "two")]
    for copy in data:
        places.copy_tree(folder, copy)
    ours, again = (Service(bench.issuer, copy) for copy in data)
    sink, registry = hand_written.sink(), verdaccio.start()
    uploaders: list[Uploader] = [Ours("ours", ours), Sink("sink", sink.process, sink.port), Ours("again", again)]
    if registry is None:
        bench.section.missing("verdaccio")
    else:
        uploaders.append(Verdaccio("verdaccio", registry.process, registry.port))
    _check_equal(bench, ours, sink, uploaders[1])

    bench.section.text(
        "Body: JSON with base64, over loopback. *streamed sink* is axum: base64, SHA-256, file, fsync, rename, fsync of "
        "the folder (`peers-rs/src/bin/sink.rs`); verdaccio syncs nothing. CPU is the server's, for one upload.")
    bench.section.table("case", "fame (CPU)", "streamed sink (CPU)", "verdaccio (CPU)", "fame / sink, time", "",
                        "verdaccio / fame, time", "", "A/A")
    for size in SIZES if not bench.quick else SIZES[:3]:
        _measure(bench, f"{size} MB", uploaders, size, 1)
    _measure(bench, "4 × 50 MB at once", uploaders, 50, 4)
    for copy in data:
        _remove_packages(copy)
    _memory(bench, uploaders)
    _syncs(bench, uploaders)


def _check_equal(bench: Bench, ours: Service, sink, uploader: Uploader) -> None:
    """What is taken in is what was sent: one package to both, by hash."""
    content = package.build(APP, "17.1.0.0", 1_000_000)
    expected = hashlib.sha256(content).hexdigest()
    with ours.client("contributor") as contributor:
        seed.upload(contributor, HOME, content)
        path = f"/v1.0/apps/{APP}/countries/{HOME}/versions/17.1.0.0/getPackageContents"
        if hashlib.sha256(contributor.send("POST", path, b"")).hexdigest() != expected:
            raise RuntimeError("the service gave back something else than it was given")
    with Client(sink.port) as client:
        if client.send("POST", "/equality", seed.upload_body(content)).decode() != expected:
            raise RuntimeError("the sink hashed something else than it was given")


def _measure(bench: Bench, case: str, uploaders: list[Uploader], megabytes: int, count: int) -> None:
    def contestant(uploader: Uploader) -> Contestant:
        return Contestant(uploader.name, lambda: uploader.at_once(megabytes * 1_000_000, count))
    # A peer that takes seconds for what takes us a tenth is timed in fewer rounds elsewhere, not here: turns are turns.
    taking_part = [uploader for uploader in uploaders if megabytes < 250 or uploader.name != "verdaccio"]
    outcome = bench.turns([contestant(uploader) for uploader in taking_part], is_rate=False)
    same = outcome.ratio("ours", "again")
    against_sink = outcome.ratio("ours", "sink")

    def figures(name: str) -> str:
        if not outcome.has(name):
            return "–"
        return f"{milliseconds(outcome.median(name))} ({milliseconds(outcome.cpu(name))})"
    judged_sink = bench.section.judged(f"upload {case} against the sink: {against_sink.text()}", against_sink.median,
                                       1.15, 1.4, most=True, same=same) if (megabytes, count) == (50, 1) else ""
    against_registry, judged_registry = "–", ""
    if outcome.has("verdaccio"):
        ratio = outcome.ratio("verdaccio", "ours")
        against_registry = ratio.text()
        if megabytes == 50:
            target, floor = (4, 3) if count == 1 else (10, 6)
            judged_registry = bench.section.judged(f"upload {case} against verdaccio: {ratio.text()}", ratio.median,
                                                   target, floor, same=same)
    bench.section.row(case, figures("ours"), figures("sink"), figures("verdaccio"), against_sink.text(), judged_sink,
                      against_registry, judged_registry, same.text())


def _memory(bench: Bench, uploaders: list[Uploader]) -> None:
    """The highest that memory grew over what it was before, for each stream."""
    bench.section.table("memory growth per stream", "1 × 50 MB", "1 × 250 MB", "4 × 50 MB", "")
    for uploader in uploaders:
        if uploader.name == "again":
            continue
        cells, worst = [], 0.0
        for size, count in ((50, 1), (bench.sized(250, 100), 1), (50, 4)):
            if size > 100 and uploader.name == "verdaccio":
                cells.append("–")
                continue
            # Everything is ready before memory is looked at, and nothing else is asked meanwhile.
            before = uploader.process.memory("VmRSS")
            uploader.process.forget_peak()
            uploader.at_once(size * 1_000_000, count)
            growth = max(0, uploader.process.memory("VmHWM") - before) / count
            worst = max(worst, growth)
            cells.append(mebibytes(growth))
        judged = ""
        if uploader.name == "ours":
            judged = bench.section.judged(f"upload memory: {mebibytes(worst)}", worst / 2**20, 16, 32, most=True)
        bench.section.row(uploader.name.replace("ours", "fame"), *cells, judged)


def _syncs(bench: Bench, uploaders: list[Uploader]) -> None:
    if tools.strace() is None:
        bench.section.missing("strace")
        return
    bench.section.table("system calls of one 10 MB upload", *SYNCS)
    for uploader in uploaders:
        if uploader.name == "again":
            continue
        upload = uploader.prepare(10_000_000)
        with uploader.client() as client:
            client.connect()
            counts = traced_calls(uploader.process, SYNCS, lambda: client.send(*upload))
        if counts:
            bench.section.row(uploader.name.replace("ours", "fame"), *(str(counts[call]) for call in SYNCS))


def _remove_packages(data) -> None:
    """Room for what follows; the service is not asked for them again."""
    for file in (data / "packages").rglob("*"):
        if file.is_file() and file.stat().st_size > 500_000:
            file.unlink()
