"""What counting a fleet in groups costs: `$apply` over a million environments, beside the statement written by hand."""

import sqlite3
import time
from urllib.parse import quote

from .. import places, seed
from ..bench import Bench
from ..report import milliseconds
from ..rounds import Contestant, Sample
from ..seed import APP, HOME
from ..service import Service

PATH = f"/v1.0/apps/{APP}/countries/{HOME}/environments"

# What is asked, and how many there are of each by hand: SQL over `installations`.
QUESTIONS = {
    "by version": ("groupby((version),aggregate($count as n))", "version", ""),
    "by version, and how far behind": ("groupby((version,behind),aggregate($count as n))", "version", ""),
    "by type": ("groupby((type),aggregate($count as n))", "kind", ""),
    "by version, of sandboxes": (
        "filter(type eq 'Sandbox')/groupby((version),aggregate($count as n))", "version", "AND kind = 'Sandbox'"),
}
MOST_SECONDS = 0.3


def run(bench: Bench) -> None:
    size = bench.sized(1_000_000, 1_000)
    folder = places.SCRATCH / "groups"
    places.copy_tree(seed.seeded(bench.issuer, size), folder)
    again_folder = places.SCRATCH / "again"
    places.copy_tree(folder, again_folder)
    folders = {"fame": folder, "again": again_folder}
    services = {name: Service(bench.issuer, folder, name=name) for name, folder in folders.items()}
    database = sqlite3.connect(f"file:{folder / 'fame.db'}?mode=ro", uri=True)

    bench.section.text(f"{size:,} environments of an app in a country, one client. *By hand*: SQLite's own `GROUP BY` over "
                       "the same file.")
    bench.section.table("groups", "fame", "by hand", "fame / by hand", "", "A/A")
    for name, (apply, column, condition) in QUESTIONS.items():
        path = f"{PATH}?$apply={quote(apply)}"
        statement = f"SELECT {column}, COUNT(*) FROM installations WHERE country_code = ? {condition} GROUP BY {column}"
        with services["fame"].client("reader") as reader:
            counted = sorted(group["n"] for group in reader.ask("GET", path)["value"])
        if counted != sorted(count for _, count in database.execute(statement, [HOME])):
            raise RuntimeError(f"{apply}: {counted} is not what there is")
        outcome = bench.turns([
            *(Contestant(label, _asks(service, path)) for label, service in services.items()),
            Contestant("by hand", _takes(lambda statement=statement: database.execute(statement, [HOME]).fetchall())),
        ], is_rate=False)
        same = outcome.ratio("fame", "again")
        seconds = outcome.median("fame")
        judged = bench.section.judged(f"{name}: {milliseconds(seconds)}", seconds, MOST_SECONDS, None, most=True, same=same)
        bench.section.row(name, milliseconds(seconds), milliseconds(outcome.median("by hand")),
                          outcome.ratio("fame", "by hand").text(), judged + " s", same.text())
    database.close()
    for service in services.values():
        service.stop()


def _asks(service: Service, path: str):
    def ask() -> None:
        with service.client("reader") as reader:
            reader.ask("GET", path)
    return _takes(ask)


def _takes(work):
    """How long something takes, once."""
    def measure() -> Sample:
        start = time.perf_counter()
        work()
        return Sample(time.perf_counter() - start)
    return measure
