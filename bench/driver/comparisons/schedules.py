"""Scheduling hotfixes over HTTP, against the rate at which SQLite commits single rows on the same disk.

Scheduling is about ten statements, an audit row and an event, all durable before the answer. That several clients are
together faster than single commits is what commits shared by them (group commit) are for.
"""

import json
import subprocess

from .. import places, seed, tools, wrk
from ..bench import Bench
from ..client import Client
from ..report import microseconds
from ..rounds import Contestant, Sample
from ..seed import APP, HOME
from ..service import Service

ENVIRONMENTS = 400_000
PATH = f"/v1.0/apps/{APP}/countries/{HOME}/environmentHotfixes"


class Scheduling:
    """Schedules for environments of one service that have none yet."""

    def __init__(self, service: Service):
        self.service, self.next = service, 0

    def measure(self, connections: int) -> Sample:
        arguments = [str(self.next), str(seed.ENVIRONMENTS_OF_A_TENANT), seed.FAMILY, seed.TARGET]
        process = self.service.process
        before = process.cpu_seconds()
        load = wrk.run(f"http://127.0.0.1:{self.service.port}{PATH}", connections=connections, seconds=1,
                       token=self.service.issuer.token("contributor"), arguments=arguments,
                       script=places.BENCH / "driver" / "schedule.lua")
        # Those that were under way when wrk stopped may have been carried out, too.
        self.next += load.requests + connections + 1
        if self.next > ENVIRONMENTS:
            raise RuntimeError("there are too few environments for so many rounds")
        return Sample(load.rate, (process.cpu_seconds() - before) / load.requests)

    def check(self, acknowledged: int) -> None:
        """Every hotfix that was acknowledged is there."""
        with Client(self.service.port, self.service.issuer.token("reader")) as client:
            counted = int(client.send("GET", f"{PATH}/$count"))
        if counted < acknowledged:
            raise RuntimeError(f"{acknowledged} hotfixes were acknowledged, and {counted} are there")


def commit_rate() -> Sample:
    """Single rows that SQLite commits in a second on this disk."""
    command = [str(tools.hand_written("commits")), "--database", str(places.SCRATCH / "commits.db"), "--seconds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Sample(json.loads(done.stdout)["rate"])


def run(bench: Bench) -> None:
    folder = seed.seeded(bench.issuer, ENVIRONMENTS)
    sides = []
    for name in ("one", "two"):
        places.copy_tree(folder, places.SCRATCH / name)
        sides.append(Scheduling(Service(bench.issuer, places.SCRATCH / name, name=name)))
    ours, again = sides
    bench.section.text(
        "POST of one hotfix for one environment, each for another; token, rules, audit and event included, durable "
        "before the answer. The peer inserts one row of 13 columns in each commit, in process "
        "(`peers-rs/src/bin/commits.rs`).")
    bench.section.table("clients", "fame, req/s (CPU)", "SQLite, commits/s", "fame / SQLite", "", "A/A")
    for connections, target, floor in ((1, 0.5, 0.35), (16, 3.0, 1.5)):
        begun = ours.next
        outcome = bench.turns([
            Contestant("ours", lambda: ours.measure(connections)),
            Contestant("commits", commit_rate),
            Contestant("again", lambda: again.measure(connections))], is_rate=True)
        same, ratio = outcome.ratio("ours", "again"), outcome.ratio("ours", "commits")
        what = f"schedule, {connections} clients: {ratio.text()}"
        bench.section.row(str(connections), f"{outcome.median('ours'):,.0f} ({microseconds(outcome.cpu('ours'))})",
                          f"{outcome.median('commits'):,.0f}", ratio.text(),
                          bench.section.judged(what, ratio.median, target, floor, same=same), same.text())
        turns = bench.rounds + 1
        ours.check(ours.next - turns * (connections + 1) if begun == 0 else begun)
