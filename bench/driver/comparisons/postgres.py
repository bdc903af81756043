"""The service on PostgreSQL: beside itself on SQLite, for information, and beside pgbench's commit rate."""

import re
import subprocess

from .. import places, seed, transfer, wrk
from ..bench import Bench
from ..peers import postgresql
from ..report import microseconds
from ..rounds import Contestant, Sample
from ..seed import APP, HOME, LISTED, OLD
from ..service import Service
from .schedules import Scheduling

ENVIRONMENTS = 200_000
AT = f"/v1.0/apps/{APP}/countries"
READS = {
    "filtered versions, first 100":
        f"{AT}/{LISTED}/versions?$filter=majorVersion%20eq%2016%20and%20minorVersion%20eq%200&$top=100",
    "filtered environments, first 100":
        f"{AT}/{HOME}/environments?$filter=version%20eq%20'{OLD}'%20and%20type%20eq%20'Production'&$top=100",
    "one version by its key": f"{AT}/{LISTED}/versions/16.0.25.5",
}
_SCRIPT = """\\set id random(1, 100000)
UPDATE rows SET a = a + 1 WHERE id = :id;
"""


def run(bench: Bench) -> None:
    server = postgresql.start()
    if server is None:
        bench.section.missing("PostgreSQL")
        return
    try:
        _compare(bench, server)
    finally:
        server.stop()


def _compare(bench: Bench, server: postgresql.Postgres) -> None:
    folder = seed.seeded(bench.issuer, ENVIRONMENTS)
    places.copy_tree(folder, places.SCRATCH / "sqlite")
    on_sqlite = Service(bench.issuer, places.SCRATCH / "sqlite", name="on SQLite")
    services = [on_postgres(bench, server, folder, name) for name in ("one", "two")]
    token = bench.issuer.token("reader")

    bench.section.text("PostgreSQL with `fsync` and `synchronous_commit` on, over a Unix socket, all on the same two "
                       "cores. CPU is that of the service alone.")
    bench.section.table("reads, 8 connections", "on PostgreSQL, req/s (CPU)", "on SQLite, req/s (CPU)",
                        "PostgreSQL / SQLite", "A/A")
    for name, path in READS.items():
        answers = {_comparable(service, path) for service in (on_sqlite, *services)}
        if len(answers) != 1:
            raise RuntimeError(f"{name}: the databases give different answers")
        contestants = [
            Contestant(label, lambda service=service: wrk.sample(
                service.process, f"http://127.0.0.1:{service.port}{path}", connections=8, seconds=1, token=token))
            for label, service in (("postgres", services[0]), ("sqlite", on_sqlite), ("again", services[1]))]
        outcome = bench.turns(contestants, is_rate=True)
        bench.section.row(
            name, *(f"{outcome.median(label):,.0f} ({microseconds(outcome.cpu(label))})" for label in ("postgres", "sqlite")),
            outcome.ratio("postgres", "sqlite").text(), outcome.ratio("postgres", "again").text())

    _prepare_commits(server)
    ours, again, embedded = (Scheduling(service) for service in (*services, on_sqlite))
    bench.section.table("schedules, clients", "on PostgreSQL, req/s (CPU)", "pgbench, one-row updates/s",
                        "on SQLite, req/s", "fame on PostgreSQL / pgbench", "PostgreSQL / SQLite", "A/A")
    for clients in (1, 4, 16):
        outcome = bench.turns([
            Contestant("postgres", lambda: ours.measure(clients)),
            Contestant("pgbench", lambda: _commit_rate(server, clients)),
            Contestant("sqlite", lambda: embedded.measure(clients)),
            Contestant("again", lambda: again.measure(clients))], is_rate=True)
        bench.section.row(
            str(clients), f"{outcome.median('postgres'):,.0f} ({microseconds(outcome.cpu('postgres'))})",
            f"{outcome.median('pgbench'):,.0f}", f"{outcome.median('sqlite'):,.0f}",
            outcome.ratio("postgres", "pgbench").text(), outcome.ratio("postgres", "sqlite").text(),
            outcome.ratio("postgres", "again").text())


def on_postgres(bench: Bench, server: postgresql.Postgres, folder, name: str) -> Service:
    server.create(name)
    data = places.SCRATCH / f"postgres-{name}"
    # The service makes the tables; a started one must not find rows change below it.
    Service(bench.issuer, data, database=server.url(name)).stop()
    transfer.copy(folder / "fame.db", server, name)
    places.copy_tree(folder / "packages", data / "packages")
    return Service(bench.issuer, data, name=f"on PostgreSQL, {name}", database=server.url(name))


def _comparable(service: Service, path: str) -> bytes:
    """An answer; the only thing in it that names the server is the port."""
    with service.client("reader") as reader:
        return reader.send("GET", path.replace("%20", " ")).replace(f":{service.port}".encode(), b"")


def _prepare_commits(server: postgresql.Postgres) -> None:
    server.create("commits")
    texts = ", ".join(f"'aaaabbbb-0000-cccc-1111-dddd2222eeee' AS t{number}" for number in range(11))
    server.sql("commits", f"CREATE TABLE rows AS SELECT id, 0 AS a, {texts} FROM generate_series(1, 100000) id; "
                          "ALTER TABLE rows ADD PRIMARY KEY (id); VACUUM ANALYZE rows")


def _commit_rate(server: postgresql.Postgres, clients: int) -> Sample:
    """Updates of one row, each in a transaction of its own."""
    script = server.home / "update.sql"
    script.write_text(_SCRIPT)
    command = server.command("pgbench", "-n", "-M", "prepared", "-f", str(script), "-c", str(clients), "-j", "1", "-T",
                             "1", "commits")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Sample(float(re.search(r"tps = ([\d.]+)", done.stdout).group(1)))
