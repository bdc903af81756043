"""What there is before anybody asks anything: time to the first answer, memory, size of the binary."""

import socket
import time

from .. import places, seed
from ..bench import Bench
from ..report import mebibytes, milliseconds
from ..rounds import Spread
from ..service import Service, binary

_HEAD = b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def run(bench: Bench) -> None:
    folder = seed.seeded(bench.issuer, 100_000)
    data = places.SCRATCH / "data"
    places.copy_tree(folder, data)
    times, memories = [], []
    bench.gate.pass_through()
    for _ in range(bench.rounds + 1):
        start = time.perf_counter()
        service = Service(bench.issuer, data, wait=False)
        _wait_for_answer(service)
        times.append(time.perf_counter() - start)
        time.sleep(0.5)
        memories.append(service.process.memory("VmRSS"))
        service.stop()
    # The first start is the discarded one.
    start, memory = Spread.of(times[1:]), Spread.of(memories[1:])
    size = binary().stat().st_size
    bench.section.text("On a set of 100,000 environments. *First answer* is `/health/ready`, from starting the process.")
    bench.section.table("", "measured", "")
    bench.section.row("start to first answer", f"{milliseconds(start.median)} ({milliseconds(start.low)}–"
                      f"{milliseconds(start.high)})",
                      bench.section.judged("start", start.median, 0.1, None, most=True) + " s")
    bench.section.row("memory, idle", mebibytes(memory.median),
                      bench.section.judged("idle memory", memory.median / 2**20, 30, None, most=True) + " MiB")
    bench.section.row("binary", f"{size / 1e6:.1f} MB",
                      bench.section.judged("binary", size / 1e6, 40, None, most=True) + " MB")


def _wait_for_answer(service: Service, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", service.port), 1) as connection:
                connection.sendall(_HEAD)
                if connection.recv(100).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.001)
    raise RuntimeError(f"{service.process.name} gives no answer: {service.process.tail()}")
