"""Carrying hotfixes out: claimed in hundreds and ended one by one, against the engine's own claim loop.

The service's side is the example `claims` of the crate `server`, an agent that asks the service by its API: sign-in,
rules, windows, leases, audit. The engine's side does no more than `UPDATE … RETURNING` over a partial index
(`peers-rs/src/bin/claims.rs`), on PostgreSQL with `SKIP LOCKED`.
"""

import json
import os
import re
import statistics
import subprocess

from .. import places, tools
from ..bench import Bench
from ..peers import postgresql
from ..rounds import Spread

WAITING = (1_000, 100_000, 1_000_000)
BATCH = 100
# Batches in one run, the first of which does not count.
BATCHES = 8
# The columns of the table are those of the service's operations, as far as a queue needs them.
_POSTGRES = """
DROP TABLE IF EXISTS work;
CREATE UNLOGGED TABLE work AS
SELECT gen_random_uuid() AS id, 'Hotfix' AS kind, gen_random_uuid() AS app_id, 'US' AS country_code,
       gen_random_uuid() AS environment_id, gen_random_uuid() AS tenant_id, 'Environment ' || n AS environment_name,
       '16.0.0.5' AS source_version, '16.0.1.2' AS target_version, 'Scheduled' AS status, n::bigint AS due_on,
       NULL::uuid AS lease_id, NULL::bigint AS lease_until
FROM generate_series(1, {waiting}) n;
ALTER TABLE work ADD PRIMARY KEY (id);
CREATE INDEX work_due ON work (due_on, id) WHERE status = 'Scheduled';
ALTER TABLE work SET LOGGED;
VACUUM ANALYZE work;
CHECKPOINT;
"""
_CLAIM = """WITH due AS (SELECT id FROM work WHERE status = 'Scheduled' AND due_on <= 9223372036854775806
  ORDER BY due_on, id LIMIT {batch} FOR UPDATE SKIP LOCKED)
UPDATE work w SET status = 'Running', lease_id = w.id, lease_until = 1 FROM due WHERE w.id = due.id
RETURNING w.id, w.app_id, w.environment_id, w.environment_name, w.source_version, w.target_version;
"""


def _example() -> list[str] | None:
    """The service's side, if this version of the service has it."""
    if not (places.REPOSITORY / "crates" / "server" / "examples" / "claims.rs").exists():
        return None
    built = subprocess.run(["cargo", "build", "--release", "--locked", "-p", "server", "--example", "claims"],
                           cwd=places.REPOSITORY)
    built.check_returncode()
    return [str(places.target_folder() / "release" / "examples" / "claims")]


def _lines(command: list[str]) -> list[dict]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600,
                          env={**os.environ, "FAME_LOG__LEVEL": "off"})
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _rate(lines: list[dict]) -> float:
    """Rows per second over the batches that the engine claimed, the first of which found nothing prepared."""
    if any(line["claimed"] != BATCH for line in lines) or len(lines) < 2:
        raise RuntimeError(f"batches of {BATCH} were to be claimed: {lines}")
    return BATCH / statistics.median(line["seconds"] for line in lines[1:])


def run(bench: Bench) -> None:
    example = _example()
    if example is None:
        bench.section.missing("The example `claims` of the service")
    server = postgresql.start()
    if server is None:
        bench.section.missing("PostgreSQL")
    try:
        for engine in ("SQLite", "PostgreSQL"):
            if engine == "SQLite" or server is not None:
                _engine(bench, engine, example, server)
    finally:
        if server is not None:
            server.stop()


def _engine(bench: Bench, engine: str, example: list[str] | None, server) -> None:
    sizes = WAITING if not bench.quick else WAITING[:2]
    bench.section.text(f"{engine}: rows per second in batches of {BATCH}. *fame* ends {BATCH} operations by a report "
                       f"of each and claims and starts {BATCH} others; the engine only claims.")
    bench.section.table("waiting", "fame, whole cycles", "fame, claimed and started", "engine, claimed",
                        "fame's cycles / engine", "", "A/A")
    claimed_at: dict[int, list[float]] = {}
    for waiting in sizes:
        bench.gate.pass_through()
        # To make a million rows takes a minute each time.
        rounds = max(1, bench.rounds // 3) if waiting > 100_000 else bench.rounds
        cycles, again, engines, claims = [], [], [], []
        for number in range(rounds):
            def ours(into: list[float], label: str) -> None:
                if example is not None:
                    rates = _ours(example, engine, server, waiting, f"{label}-{waiting}-{number}")
                    into.append(rates["cycle"])
                    claims.append(rates["claim"])
            turns = [lambda: ours(cycles, "one"),
                     lambda: engines.append(_rate(_theirs(engine, server, waiting, f"engine-{waiting}-{number}"))),
                     lambda: ours(again, "two")]
            for turn in turns if number % 2 == 0 else turns[::-1]:
                turn()
        claimed_at[waiting] = claims
        _row(bench, engine, waiting, cycles, claims, engines, again)
    if example is not None:
        few, many = (statistics.median(claimed_at[waiting]) for waiting in (sizes[0], sizes[-1]))
        what = f"{engine}: time of a claim among {sizes[-1]:,} waiting / among {sizes[0]:,}: {few / many:.2f}"
        bench.section.text(f"{what}: {bench.section.judged(what, few / many, 1.2, 1.3, most=True)}")


def _row(bench: Bench, engine: str, waiting: int, cycles: list[float], claims: list[float], engines: list[float],
         again: list[float]) -> None:
    theirs = f"{statistics.median(engines):,.0f}"
    if not cycles:
        bench.section.row(f"{waiting:,}", "–", "–", theirs, "–", "", "–")
        return
    ratio = Spread.of([one / two for one, two in zip(cycles, engines)])
    same = Spread.of([one / two for one, two in zip(cycles, again)])
    what = f"{engine}, cycles among {waiting:,}: {ratio.text()}"
    bench.section.row(f"{waiting:,}", f"{statistics.median(cycles):,.0f}", f"{statistics.median(claims):,.0f}", theirs,
                      ratio.text(), bench.section.judged(what, ratio.median, 0.5, 0.25, same=same), same.text())


def _ours(example: list[str], engine: str, server, waiting: int, label: str) -> dict[str, float]:
    """Operations per second, by what was measured."""
    if engine == "SQLite":
        url = f"sqlite:{places.scratch(label) / 'fame.db'}"
    else:
        server.create(label)
        url = server.url(label)
    # Each round needs two batches, and one is needed to begin with.
    rounds = min(BATCHES, (waiting // BATCH - 1) // 2)
    lines = _lines([*example, url, str(waiting), str(BATCH), str(rounds)])
    _forget(engine, server, label)
    return {line["measured"]: float(line["operations_per_second"]) for line in lines}


def _theirs(engine: str, server, waiting: int, label: str) -> list[dict]:
    batches = min(BATCHES, waiting // BATCH)
    if engine == "SQLite":
        file = places.scratch(label) / "work.db"
        lines = _lines([str(tools.hand_written("claims")), "--database", str(file), "--waiting", str(waiting),
                        "--batch", str(BATCH), "--rounds", str(batches)])
        _forget(engine, server, label)
        return lines
    server.create(label)
    server.sql(label, _POSTGRES.format(waiting=waiting))
    script = server.home / "claim.sql"
    script.write_text(_CLAIM.format(batch=BATCH))
    command = server.command("pgbench", "-n", "-M", "prepared", "-f", str(script), "-c", "1", "-t", str(batches), "-l",
                             "--log-prefix", str(server.home / label), label)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if not re.search(rf"actually processed: {batches}/{batches}", done.stdout):
        raise RuntimeError(f"pgbench: {done.stdout}")
    log = next(server.home.glob(f"{label}.*"))
    # Client, transaction, microseconds, and when.
    lines = [{"claimed": BATCH, "seconds": int(line.split()[2]) / 1e6} for line in log.read_text().splitlines()]
    claimed = int(server.sql(label, "SELECT count(*) FROM work WHERE status = 'Running'"))
    if claimed != batches * BATCH:
        raise RuntimeError(f"{claimed} rows were claimed, not {batches * BATCH}")
    _forget(engine, server, label)
    return lines


def _forget(engine: str, server, label: str) -> None:
    if engine == "PostgreSQL":
        server.sql("postgres", f'DROP DATABASE "{label}"')
    else:
        places.scratch(label)
