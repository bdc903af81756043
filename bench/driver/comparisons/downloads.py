"""Downloads of 50 MB: the service against nginx with sendfile, which is the floor of what sending a file costs."""

import hashlib
import threading
import time

from .. import machine, package, places, seed
from ..bench import Bench
from ..client import get_head, receive_all
from ..peers import nginx
from ..report import milliseconds
from ..rounds import Contestant, Sample
from ..seed import APP, HOME
from ..service import Service

SIZE = 50_000_000


def run(bench: Bench) -> None:
    folder = seed.seeded(bench.issuer, 1)
    content = package.build(APP, "17.0.0.0", SIZE)
    services = []
    for name in ("one", "two"):
        places.copy_tree(folder, places.SCRATCH / name)
        service = Service(bench.issuer, places.SCRATCH / name, name=name)
        with service.client("contributor") as contributor:
            seed.upload(contributor, HOME, content)
        services.append(service)
    root = places.scratch("files")
    (root / "package.app").write_bytes(content)
    server = nginx.start(root, machine.cores())
    if server is None:
        bench.section.missing("nginx")
        return
    token = bench.issuer.token("reader")
    path = f"/v1.0/apps/{APP}/countries/{HOME}/versions/17.0.0.0/getPackageContents"
    ours = get_head("POST", path, token)
    targets = {
        "ours": (services[0].process, services[0].port, ours),
        "nginx": (server.process, server.port, get_head("GET", "/package.app")),
        "again": (services[1].process, services[1].port, ours),
    }
    for name in ("ours", "nginx"):
        _check_equal(name, targets[name], content)

    bench.section.text("One connection for each download; the client reads into one buffer of 1 MiB.")
    bench.section.table("streams", "fame, MB/s (CPU)", "nginx, MB/s (CPU)", "", "", "A/A")
    for streams in (1, 4):
        repeated = bench.sized(8, 4)

        def contestant(name: str) -> Contestant:
            return Contestant(name, lambda: _download(*targets[name], streams, repeated))
        outcome = bench.turns([contestant(name) for name in targets], is_rate=True)
        same = outcome.ratio("ours", "again")

        def figures(name: str) -> str:
            return f"{outcome.median(name) / 1e6:,.0f} ({milliseconds(outcome.cpu(name))})"
        if streams == 1:
            ratio = outcome.ratio("nginx", "ours")
            text = f"fame / nginx, time: {ratio.text()}"
            judged = bench.section.judged(f"download, {text}", ratio.median, 1.5, 2, most=True, same=same)
        else:
            ratio = outcome.ratio("ours", "nginx")
            text = f"fame / nginx, MB/s: {ratio.text()}"
            judged = bench.section.judged(f"download, {streams} streams, {text}", ratio.median, 1.0, 0.75, same=same)
        bench.section.row(str(streams), figures("ours"), figures("nginx"), text, judged, same.text())


def _check_equal(name: str, target: tuple, content: bytes) -> None:
    """What arrives ends with what was uploaded, by hash."""
    _, port, head = target
    received = bytearray()
    receive_all(port, head, check=received.extend)
    if hashlib.sha256(received[-len(content):]).digest() != hashlib.sha256(content).digest():
        raise RuntimeError(f"{name} sent something else")


def _download(process, port: int, head: bytes, streams: int, repeated: int) -> Sample:
    """Bytes per second of all streams together, each taking the file so many times."""
    def stream() -> None:
        for _ in range(repeated):
            receive_all(port, head)
    threads = [threading.Thread(target=stream) for _ in range(streams)]
    cpu = process.cpu_seconds()
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    count = streams * repeated
    return Sample(count * SIZE / seconds, (process.cpu_seconds() - cpu) / count)
