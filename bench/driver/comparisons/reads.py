"""Lists and single rows over HTTP: the service, datasette, and the bare reader.

Server on core 0, generator on core 1, so that what is compared is what one core can answer.
"""

import json
import urllib.parse
import urllib.request

from .. import places, seed, wrk
from ..bench import Bench
from ..peers import datasette, hand_written
from ..report import microseconds
from ..rounds import Contestant
from ..seed import APP, HOME, LISTED, OLD
from ..service import Service

SERVER, GENERATOR = 0, 1
VERSION = "16.0.25.5"


class Question:
    """One question, as each of the contestants is asked it."""

    def __init__(self, name: str, ours: str, bare: str, datasette: str | None):
        self.name, self.ours, self.bare, self.datasette = name, ours, bare, datasette


def questions(row: int) -> list[Question]:
    at = f"/v1.0/apps/{APP}/countries"
    return [
        Question("filtered versions, first 100 of 500 among 10,000",
                 f"{at}/{LISTED}/versions?$filter=majorVersion%20eq%2016%20and%20minorVersion%20eq%200&$top=100",
                 "/versions?major=16&minor=0",
                 "/rows/versions.json?majorVersion=16&minorVersion=0&_size=100&_shape=array"),
        Question("filtered environments, first 100 of 9,000 among 100,000",
                 f"{at}/{HOME}/environments?$filter=version%20eq%20'{OLD}'%20and%20type%20eq%20'Production'&$top=100",
                 f"/environments?version={OLD}&kind=Production",
                 f"/rows/environments.json?version={OLD}&type=Production&_size=100&_shape=array"),
        Question("one version by its key", f"{at}/{LISTED}/versions/{VERSION}", f"/version?version={VERSION}",
                 f"/rows/versions/{row}.json?_shape=array"),
    ]


def run(bench: Bench) -> None:
    folder = seed.seeded(bench.issuer, 100_000)
    data = [places.SCRATCH / name for name in ("one", "two")]
    for copy in data:
        places.copy_tree(folder, copy)
    ours, again = (Service(bench.issuer, copy, core=SERVER) for copy in data)
    rows = seed.rows_for_peers(ours, folder)
    bare = hand_written.bare(rows, SERVER)
    data_in_python = datasette.start(rows, SERVER)
    if data_in_python is None:
        bench.section.missing("datasette")
    token = bench.issuer.token("reader")

    version = seed.listed_rows(ours, "versions", LISTED, f"?$filter=version eq '{VERSION}'")[0]
    row = seed.listed_rows(ours, "versions", LISTED).index(version)
    bench.section.text(
        "Server pinned to core 0, generator (wrk) to core 1. The service checks a token and the caller's role; the "
        "peers do not. *bare* is axum, rusqlite in place, fixed SQL and serde_json (`peers-rs/src/bin/bare.rs`).")
    bench.section.table("case", "connections", "fame, req/s (CPU each)", "bare (CPU each)", "datasette (CPU each)",
                        "fame / bare", "", "fame / datasette", "", "A/A")
    for question in questions(row):
        _check_equal(question, ours, bare, data_in_python, token)
        for connections in (1, 8):
            _measure(bench, question, connections, (ours, again), bare, data_in_python, token)


def _fetch(port: int, path: str, token: str | None = None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def _check_equal(question: Question, ours: Service, bare, other, token: str) -> None:
    """The same rows with the same values, in the same order."""
    expected = _plain(_fetch(ours.port, question.ours, token))
    if _plain(_fetch(bare.port, question.bare)) != expected:
        raise RuntimeError(f"{question.name}: the bare reader answers something else")
    if other is not None and question.datasette and _plain(_fetch(other.port, question.datasette)) != expected:
        raise RuntimeError(f"{question.name}: datasette answers something else")
    is_list = "by its key" not in question.name
    if len(expected) != (100 if is_list else 1):
        raise RuntimeError(f"{question.name}: {len(expected)} rows")


def _plain(answer) -> list[dict]:
    rows = answer.get("value", [answer]) if isinstance(answer, dict) else answer
    return [{name: json.loads(value) if name == "dependencies" and isinstance(value, str) else value
             for name, value in row.items() if name != "id"} for row in rows]


def _measure(bench: Bench, question: Question, connections: int, services, bare, other, token: str) -> None:
    options = {"connections": connections, "seconds": 1, "core": GENERATOR}

    def contestant(name: str, process, port: int, path: str, bearer: str | None) -> Contestant:
        url = f"http://127.0.0.1:{port}{path}"
        return Contestant(name, lambda: wrk.sample(process, url, token=bearer, **options))

    contestants = [contestant("ours", services[0].process, services[0].port, question.ours, token),
                   contestant("bare", bare.process, bare.port, question.bare, None),
                   contestant("again", services[1].process, services[1].port, question.ours, token)]
    if other is not None and question.datasette:
        contestants.append(contestant("datasette", other.process, other.port, question.datasette, None))
    outcome = bench.turns(contestants, is_rate=True)
    same = outcome.ratio("ours", "again")

    def figures(name: str) -> str:
        if not outcome.has(name):
            return "–"
        return f"{outcome.median(name):,.0f} ({microseconds(outcome.cpu(name))})"

    def against(name: str, target: float, floor: float, judged: bool) -> tuple[str, str]:
        if not outcome.has(name):
            return "–", ""
        ratio = outcome.ratio("ours", name)
        what = f"{question.name}, {connections} connections, against {name}: {ratio.text()}"
        return ratio.text(), bench.section.judged(what, ratio.median, target, floor, same=same) if judged else ""

    by_key = "by its key" in question.name
    eight = connections == 8
    bench.section.row(
        question.name, str(connections), figures("ours"), figures("bare"), figures("datasette"),
        *against("bare", 0.85, 0.65, eight and not by_key),
        *against("datasette", 40 if by_key else 20, 25 if by_key else 14, eight), same.text())
