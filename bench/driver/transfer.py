"""A seeded set, brought from SQLite to PostgreSQL row by row, so that both answer from the same rows."""

import pathlib
import sqlite3
import subprocess
import uuid
from collections.abc import Callable

from .peers.postgresql import Postgres

# Parents before their children.
TABLES = ["apps", "countries", "principals", "blobs", "versions", "environments", "installations", "operations"]


def _text(value: object) -> str:
    if value is None:
        return r"\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


_WRITERS: dict[str, Callable[[object], str]] = {
    "uuid": lambda value: r"\N" if value is None else str(uuid.UUID(bytes=value)),
    "bytea": lambda value: r"\N" if value is None else r"\\x" + value.hex(),
    "boolean": lambda value: r"\N" if value is None else ("t" if value else "f"),
}


def copy(file: pathlib.Path, postgres: Postgres, database: str) -> None:
    """Fills the tables, which the service has made, with the rows of `file`."""
    source = sqlite3.connect(file)
    for table in TABLES:
        kinds = dict(line.split("|") for line in postgres.sql(database, (
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE table_schema = 'public' AND table_name = '{table}'")).splitlines())
        columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
        writers = [_WRITERS.get(kinds[column], _text) for column in columns]
        command = postgres.command("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c",
                                   f"COPY {table} ({', '.join(columns)}) FROM STDIN")
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as target:
            for row in source.execute(f"SELECT {', '.join(columns)} FROM {table}"):
                target.stdin.write("\t".join(write(value) for write, value in zip(writers, row)) + "\n")
            target.stdin.close()
            if target.wait() != 0:
                raise RuntimeError(f"copying {table} failed")
    postgres.sql(database, "VACUUM ANALYZE")
    source.close()
