"""The peers of `peers-rs`: the bare reader and the streamed sink."""

import pathlib

from .. import places, tools
from ..processes import Process, free_port


class HandWritten:
    """One of them, running."""

    def __init__(self, name: str, arguments: list[str], core: int | None = None):
        self.port = free_port()
        command = [str(tools.hand_written(name)), "--listen", f"127.0.0.1:{self.port}", *arguments]
        self.process = Process(name, command, places.SCRATCH / f"{name}.log", core=core)
        self.process.wait_for_port(self.port)


def bare(rows: pathlib.Path, core: int | None = None) -> HandWritten:
    """axum and SQLite, fixed SQL, no token."""
    return HandWritten("bare", ["--database", str(rows)], core)


def sink() -> HandWritten:
    """JSON with base64 into durable files."""
    return HandWritten("sink", ["--folder", str(places.scratch("sink"))])
