"""What a list costs against how much there is: ten thousand, a hundred thousand, a million environments."""

import time

from .. import places, seed, wrk
from ..bench import Bench
from ..client import get_head, receive_all
from ..report import mebibytes, microseconds
from ..rounds import Contestant, Sample
from ..seed import APP, HOME, OLD
from ..service import Service

SIZES = (10_000, 100_000, 1_000_000)
PATH = f"/v1.0/apps/{APP}/countries/{HOME}/environments"


def _middle(size: int) -> str:
    """An environment from the middle of the set."""
    return seed.name_of(size // 2)


QUESTIONS = {
    "first 100": lambda size: "?$top=100",
    "two terms: version and type, first 100": lambda size: f"?$filter=version%20eq%20'{OLD}'%20and%20type%20eq%20'Production'&$top=100",
    "one term: name": lambda size: f"?$filter=name%20eq%20'{_middle(size).replace(' ', '%20')}'",
    "one tenant": lambda size: f"?$filter=aadTenantId%20eq%20{seed.tenant_of(size // 2)}",
}
# How each row begins.
MARK = b'{"aadTenantId"'


def run(bench: Bench) -> None:
    sizes = SIZES if not bench.quick else SIZES[:2]
    services = {}
    for size in sizes:
        folder = seed.seeded(bench.issuer, size)
        places.copy_tree(folder, places.SCRATCH / str(size))
        services[size] = Service(bench.issuer, places.SCRATCH / str(size), name=f"{size}")
    again_folder = places.SCRATCH / "again"
    places.copy_tree(seed.seeded(bench.issuer, sizes[0]), again_folder)
    again = Service(bench.issuer, again_folder, name="again")
    token = bench.issuer.token("reader")

    bench.section.text("Eight connections, generator and service on both cores. The ratio is of the time for one request.")
    bench.section.table("list", *(f"{size:,}, req/s (CPU)" for size in sizes),
                        *(f"time at {size:,} / at {sizes[0]:,}" for size in sizes[1:]), "", "A/A")
    for name, query in QUESTIONS.items():
        _check_equal(services, query)

        def contestant(label: str, service: Service, size: int) -> Contestant:
            url = f"http://127.0.0.1:{service.port}{PATH}{query(size)}"
            return Contestant(label, lambda: wrk.sample(service.process, url, connections=8, seconds=1, token=token))
        contestants = [contestant(str(size), service, size) for size, service in services.items()]
        outcome = bench.turns([*contestants, contestant("again", again, sizes[0])], is_rate=True)
        same = outcome.ratio(str(sizes[0]), "again")
        ratios = [outcome.ratio(str(sizes[0]), str(size)) for size in sizes[1:]]
        judged = bench.section.judged(f"{name}: {ratios[-1].text()}", ratios[-1].median, 1.2, 1.3, most=True, same=same)
        bench.section.row(
            name, *(f"{outcome.median(str(size)):,.0f} ({microseconds(outcome.cpu(str(size)))})" for size in sizes),
            *(ratio.text() for ratio in ratios), judged, same.text())
    for service in (*services.values(), again):
        service.stop()
    # By a fresh process: what others have asked before is not the list's memory.
    fresh = Service(bench.issuer, places.SCRATCH / str(sizes[-1]), name="fresh")
    _full(bench, fresh, sizes[-1], token)


def _check_equal(services: dict[int, Service], query) -> None:
    """As many rows from each of the sets, and each of those that were asked for."""
    counts = set()
    for size, service in services.items():
        with service.client("reader") as reader:
            path = PATH + query(size).replace("%20", " ")
            counts.add(len(reader.ask("GET", path)["value"]))
    if len(counts) != 1 or counts == {0}:
        raise RuntimeError(f"{query(0)}: the sets answer with different numbers of rows: {counts}")


def _full(bench: Bench, service: Service, size: int, token: str) -> None:
    """The whole list, which is streamed: memory must not grow with it."""
    head = get_head("GET", PATH, token)
    rows = 0

    def count(piece: memoryview) -> None:
        nonlocal rows
        # A mark that is cut in two is counted with the next piece; the rest that is kept is too short for a whole one.
        text = tail[0] + bytes(piece)
        rows += text.count(MARK)
        tail[0] = text[-(len(MARK) - 1):]
    tail = [b""]
    receive_all(service.port, head, check=count)
    if rows != size:
        raise RuntimeError(f"{rows} of {size} rows arrived")

    growth = 0

    def measure() -> Sample:
        nonlocal growth
        before = service.process.memory("VmRSS")
        service.process.forget_peak()
        cpu = service.process.cpu_seconds()
        received, seconds = receive_all(service.port, head)
        growth = max(growth, service.process.memory("VmHWM") - before)
        return Sample(received / seconds, service.process.cpu_seconds() - cpu)
    start = time.monotonic()
    bench.gate.pass_through()
    measure()
    rounds = 1 if time.monotonic() - start > 60 else min(bench.rounds, 3)
    samples = [measure() for _ in range(rounds)]
    rate = sorted(sample.value for sample in samples)[len(samples) // 2]
    peak = service.process.memory("VmHWM")
    cpu = sorted(sample.cpu for sample in samples)[len(samples) // 2]
    bench.section.text(f"The full list of {size:,} environments, one client:")
    bench.section.table("", "measured", "")
    bench.section.row("rate", f"{rate / 1e6:,.0f} MB/s ({cpu:.1f} s CPU)",
                      bench.section.judged(f"full list: {rate / 1e6:.0f} MB/s", rate / 1e6, 100, None))
    bench.section.row("peak memory of the process", f"{mebibytes(peak)} ({mebibytes(growth)} over what it had)",
                      bench.section.judged(f"full list: {mebibytes(peak)}", peak / 2**20, 64, None, most=True))
