"""datasette: SQLite files as JSON, in Python."""

import pathlib

from .. import places, tools
from ..processes import Process, free_port


class Datasette:
    def __init__(self, program: pathlib.Path, rows: pathlib.Path, core: int | None):
        self.port = free_port()
        command = [str(program), "serve", "--immutable", str(rows), "--host", "127.0.0.1", "--port", str(self.port),
                   "--setting", "suggest_facets", "off", "--setting", "default_cache_ttl", "0",
                   "--setting", "num_sql_threads", "3"]
        self.process = Process("datasette", command, places.SCRATCH / "datasette.log", core=core)
        self.process.wait_for_port(self.port)


def start(rows: pathlib.Path, core: int | None = None) -> Datasette | None:
    """Over the file `rows`, if it can be had."""
    program = tools.datasette()
    return Datasette(program, rows, core) if program else None
