"""Agents at scale: three replicas on PostgreSQL, fifty agents, a million environments.

The load is `peers-rs/src/bin/agents`: it speaks the agents' protocol and keeps a journal of what it was given, what it
began and how that ended. What is claimed below about "nothing twice, nothing lost" is counted in these journals, and
only then compared with what the service says.
"""

import collections
import itertools
import json
import pathlib
import subprocess
import time

from .. import package, places, seed, tools
from ..bench import Bench
from ..client import Client, Refused
from ..fleet import Fleet
from ..peers import postgresql
from ..processes import Process
from ..report import mebibytes, microseconds, milliseconds

REPLICAS = 3
# Operations that become due in a second where lags are measured.
RATE, QUICK_RATE = 150, 50
# Seconds that one kill is apart from the next, and that a lease lasts meanwhile.
KILL_EACH, KILL_EACH_QUICK, LEASE = 10, 4, 20
# Seconds that every third agent stays away: its leases run out meanwhile.
AWAY = LEASE + 10
TARGET = seed.TARGET


def run(bench: Bench) -> None:
    bench.section.how = "one run"
    server = postgresql.start()
    if server is None:
        bench.section.missing("PostgreSQL")
        return
    try:
        _at_scale(bench, server)
        _waiting(bench, server)
    finally:
        server.stop()


class Crowd:
    """Agents that have enrolled with a fleet, and the environments that they have."""

    def __init__(self, fleet: Fleet, agents: int, environments: int):
        self.fleet, self.agents, self.environments = fleet, agents, environments
        self.folder = places.scratch(f"{fleet.name}-agents")
        # Environments that had a hotfix scheduled, and those in which one was installed.
        self.scheduled = self.installed = 0
        self.token = self.folder / "token"
        # How the last full set differed from the first.
        self.other: tuple[object, ...] = ()
        self._enrol()

    def _enrol(self) -> None:
        """By code, as everybody does."""
        service = self.fleet.services[0]
        enrolled = []
        for number in range(self.agents):
            name = f"a{number:04}"
            scope = {"allTenants": True, "reason": "Customers of a benchmark", "names": [f"{name}-*"]}
            with service.client("operator") as operator:
                code = operator.ask("PUT", f"/operator/v1/agents/{name}", {"scope": scope})["enrolmentCode"]
            enrolled.append({"name": name, "token": self._token(number, code)})
        for file, text in ((self.file, json.dumps(enrolled)), (self.token, service.issuer.token("contributor"))):
            file.touch(mode=0o600)
            file.write_text(text)

    def _token(self, number: int, code: str) -> str:
        """Each replica lets only so many enrol within a minute."""
        for attempt in itertools.count(number):
            service = self.fleet.services[attempt % len(self.fleet.services)]
            try:
                with Client(service.port) as nobody:
                    return nobody.ask("POST", "/agent/v1/enrol", {"code": code})["token"]
            except Refused as refused:
                if refused.status != 429:
                    raise
                time.sleep(1)

    @property
    def file(self) -> pathlib.Path:
        return self.folder / "agents.json"

    def command(self, what: str, *arguments: object) -> list[str]:
        return [str(tools.hand_written("agents")), what, *map(str, arguments)]

    def servers(self) -> str:
        return ",".join(f"127.0.0.1:{service.port}" for service in self.fleet.services)

    def call(self, what: str, *arguments: object) -> dict:
        """What came of one run of the load."""
        done = subprocess.run(self.command(what, *arguments), capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"agents {what}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def report(self, *arguments: object) -> dict:
        taken = self.call("inventory", "--servers", self.servers(), "--agents", self.file, "--environments",
                          self.environments, "--version", seed.INSTALLED, *arguments)
        if taken["refused"] or taken["missing"]:
            raise RuntimeError(f"environments were not taken: {taken}")
        return taken

    def schedule(self, count: int, *arguments: object, servers: str | None = None) -> tuple[dict, dict[str, list[int]]]:
        """Schedules in environments that have not had a hotfix yet; what was measured, and by id when each is due, was
        asked for and acknowledged, in microseconds since 1970."""
        out = self.folder / "scheduled.txt"
        done = self.call("schedule", "--servers", servers or self.servers(), "--token", self.token, "--agents",
                         self.agents, "--first", self.scheduled, "--count", count, "--version", TARGET, "--out", out,
                         *arguments)
        self.scheduled += count
        lines = (line.split() for line in out.read_text().splitlines())
        return done, {id: [int(number) for number in numbers] for id, *numbers in lines}


class Work:
    """A process for each agent, at work until it is told to end; a killed one is started again on its journal."""

    def __init__(self, crowd: Crowd, name: str, *, processes: int | None = None, servers: str | None = None):
        self.crowd, self.servers = crowd, servers or crowd.servers()
        self.folder = crowd.folder / name
        self.folder.mkdir()
        count = processes or crowd.agents
        self.share = crowd.agents // count
        self.hotfixed = crowd.scheduled // crowd.agents
        self.processes = [self._start(number) for number in range(count)]

    def _start(self, number: int) -> Process:
        command = self.crowd.command(
            "work", "--servers", self.servers, "--agents", self.crowd.file, "--first", number * self.share, "--count",
            self.share, "--journal", self.folder / f"journal-{number}", "--environments", self.crowd.environments,
            "--hotfixed", self.hotfixed, "--source", seed.INSTALLED, "--target", TARGET, *self.crowd.other)
        return Process(f"agent {number}", command, self.folder / f"log-{number}")

    def kill(self, number: int) -> None:
        self.processes[number].kill()

    def start_again(self, number: int) -> None:
        self.processes[number] = self._start(number)

    def events(self) -> "Events":
        return Events(line for journal in sorted(self.folder.glob("journal-*"))
                      for line in journal.read_text().splitlines())

    def wait_until_ended(self, count: int, seconds: float) -> None:
        """Returns when so many operations are over at the agents."""
        deadline, ended, at = time.monotonic() + seconds, 0, collections.Counter()
        while ended < count:
            time.sleep(0.25)
            for journal in self.folder.glob("journal-*"):
                with journal.open() as file:
                    file.seek(at[journal])
                    text = file.read()
                whole = text[:text.rfind("\n") + 1]
                at[journal] += len(whole)
                ended += sum(line.startswith("ended ") for line in whole.splitlines())
            dead = [one for one in self.processes if one.popen.poll() not in (None, -9)]
            if dead:
                raise RuntimeError(f"{dead[0].name} ended: {dead[0].tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"after {seconds:.0f} s {ended:,} of {count:,} operations are over")

    def stop(self) -> None:
        for process in self.processes:
            process.stop()


class Events:
    """What stands in journals."""

    def __init__(self, lines):
        self.given: dict[str, int] = {}
        self.begun: collections.Counter[str] = collections.Counter()
        self.ended: dict[str, str] = {}
        self.last = 0
        for line in lines:
            what, id, at, *rest = line.split()
            if what == "given":
                self.given.setdefault(id, int(at))
            elif what == "begun":
                self.begun[id] += 1
            else:
                self.ended[id] = rest[0]
                self.last = max(self.last, int(at))

    def check(self, scheduled: dict[str, list[int]], unheard: set[str]) -> None:
        """Everything was done, and nothing twice."""
        twice = [id for id, count in self.begun.items() if count > 1]
        if twice:
            raise RuntimeError(f"{len(twice)} operations were begun twice, such as {twice[0]}")
        open_ = [id for id in scheduled if id not in self.ended and id not in unheard]
        if open_:
            raise RuntimeError(f"{len(open_)} operations did not come to an end, such as {open_[0]}")

    def rate(self) -> float:
        """Operations per second, from the first that was given to the last that ended."""
        return len(self.ended) / ((self.last - min(self.given.values())) / 1e6)

    def lags(self, scheduled: dict[str, list[int]], since: int = 0) -> list[float]:
        """Seconds from when each was due, or from another of its moments, until it was given to its agent."""
        return sorted((self.given[id] - moments[since]) / 1e6 for id, moments in scheduled.items() if id in self.given)


def _percentiles(lags: list[float]) -> list[str]:
    at = (0.5, 0.95, 0.99)
    return [*(milliseconds(lags[int(share * (len(lags) - 1))]) for share in at), milliseconds(lags[-1])]


PERCENTILES = ("p50", "p95", "p99", "longest")


def _prepare(fleet: Fleet) -> None:
    """An app that can be hotfixed."""
    service = fleet.services[0]
    issuer = service.issuer
    with service.client("operator") as operator:
        operator.ask("PUT", f"/operator/v1/apps/{seed.APP}", {
            "publisher": "Contoso", "publisherAadTenantId": issuer.client("owner")["tenantId"],
            "publisherContactEmail": "apps@contoso.com", "storageLocation": "West Europe",
            "owner": {"type": "Application", "id": issuer.client("owner")["principalId"]}})
    with service.client("owner") as owner:
        owner.ask("PATCH", f"/v1.0/apps/{seed.APP}/countries/{seed.HOME}", {})
        owner.ask("PATCH", f"/v1.0/apps/{seed.APP}/principals/{issuer.client('contributor')['principalId']}",
                  {"type": "Application", "roles": ["Contributor"]})
    with service.client("contributor") as contributor:
        for version in (seed.INSTALLED, TARGET):
            seed.upload(contributor, seed.HOME, package.build(seed.APP, version, 4_000))


def _at_scale(bench: Bench, server: postgresql.Postgres) -> None:
    agents, environments = bench.sized(50, 5), bench.sized(20_000, 2_000)
    fleet = Fleet(bench.issuer, server, "scale", REPLICAS)
    _prepare(fleet)
    crowd = Crowd(fleet, agents, environments)
    bench.gate.pass_through()
    _inventories(bench, crowd)
    _execution(bench, crowd)
    fleet.stop()


def _inventories(bench: Bench, crowd: Crowd) -> None:
    fleet = crowd.fleet
    bench.section.text(
        f"{REPLICAS} replicas of the service and PostgreSQL (`fsync` and `synchronous_commit` on, over a Unix socket) on "
        f"the same cores. {crowd.agents} agents with {crowd.environments:,} environments each, 5 apps in each "
        "environment, 12 agents reporting at the same time. CPU is for one environment; memory is the peak of the "
        "largest replica. What makes the load runs on the same cores and is not counted.")
    bench.section.table("reported", "environments", "seconds", "environments/s", "fame, CPU", "PostgreSQL, CPU", "memory",
                        "database")
    sets = (
        ("full sets, the first", "added", ()),
        ("changes: one in a hundred", "changed", ("--changes", "--each", 100, "--other", "1.0.1.0")),
        ("changes: one in ten", "changed", ("--changes", "--each", 10, "--other", "1.0.2.0")),
        ("full sets, unchanged", "unchanged", ("--each", 10, "--other", "1.0.2.0")),
    )
    for name, expected, arguments in sets:
        fleet.begin()
        taken = crowd.report(*arguments)
        spent, crowd.other = fleet.spent(), arguments[-4:]
        count = taken["environments"]
        if taken[expected] != count:
            raise RuntimeError(f"{name}: all {count:,} should be {expected}: {taken}")
        bench.section.row(
            name, f"{count:,}", f"{taken['seconds']:,.1f}", f"{count / taken['seconds']:,.0f}",
            microseconds(spent.service / count), microseconds(spent.database / count), mebibytes(spent.memory),
            mebibytes(fleet.database_size()))


def _execution(bench: Bench, crowd: Crowd) -> None:
    fleet, count, paced = crowd.fleet, bench.sized(100_000, 2_000), bench.sized(30_000, 500)
    fleet.begin()
    done, scheduled = crowd.schedule(count)
    rate, spent = count / done["seconds"], fleet.spent()
    bench.section.text(
        f"Hotfixes in as many environments, scheduled by 16 clients of one vendor, then carried out by {crowd.agents} "
        "agents, each a process that does 16 at a time; an installation takes 20 ms, one in five operations is renewed. "
        "CPU is for one operation.")
    bench.section.table("", "operations", "seconds", "operations/s", "fame, CPU", "PostgreSQL, CPU", "memory", "database")

    def row(name: str, seconds: float) -> None:
        bench.section.row(name, f"{count:,}", f"{seconds:,.1f}", f"{count / seconds:,.0f}",
                          microseconds(spent.service / count), microseconds(spent.database / count),
                          mebibytes(spent.memory), mebibytes(fleet.database_size()))
    row("scheduled through the API", done["seconds"])
    fleet.begin()
    work = Work(crowd, "backlog")
    work.wait_until_ended(count, 1_800)
    spent, events = fleet.spent(), work.events()
    work.stop()
    _check(crowd, events, scheduled)
    row("all due at once: claimed, renewed, finished", count / events.rate())

    per_second = bench.sized(RATE, QUICK_RATE)
    bench.section.text(
        f"{paced:,} hotfixes, {per_second} of which become due in each second, carried out by the same agents. The lag is "
        "from the moment at which one is due to the moment at which its agent has it.")
    bench.section.table("", *(f"lag, {name}" for name in PERCENTILES), "fame, CPU", "PostgreSQL, CPU")
    _paced(bench, crowd, "undisturbed", rate, paced, per_second, None)
    # Leases are short, so that some run out while their agent is away.
    fleet.stop()
    fleet.start(f"[executor]\nlease_seconds = {LEASE}\n")
    killer = Killer(crowd, bench.sized(KILL_EACH, KILL_EACH_QUICK))
    events = _paced(bench, crowd, "an agent and a replica killed again and again", rate, paced, per_second, killer)
    how = collections.Counter(events.ended.values())
    bench.section.text(
        f"SIGKILL for one agent and one replica every {killer.each} seconds: {killer.kills} of each. They were started again "
        f"after a second, every third agent only after {AWAY} seconds, when its leases of {LEASE} seconds had run out; an "
        "agent that comes back goes on by its journal and reports all of its environments, as `fame agent` does. Counted in "
        f"the agents' journals: {len(events.begun):,} installations for {paced:,} operations, **none twice**. "
        f"{how['Succeeded']:,} ended as Succeeded; {paced - how['Succeeded']:,} with an unknown outcome, because the lease "
        f"ran out while the agent was away, of which the agent then reported what is installed ("
        f"{paced - len(events.given):,} of them it had never heard of, because it was killed before the answer came, and "
        "the former version was reported). **Nothing was lost**: no operation is open, no environment is held, and what "
        "the service says to be installed is what was installed.")


def _paced(bench: Bench, crowd: Crowd, name: str, rate: float, count: int, per_second: int,
           killer: "Killer | None") -> Events:
    fleet = crowd.fleet
    work = Work(crowd, "paced" if killer is None else "killed")
    due = time.time() + 2 * count / rate + 10
    _, scheduled = crowd.schedule(count, "--due", int(due * 1e6), "--rate", per_second)
    if time.time() > due:
        raise RuntimeError("the first operations were due before all were scheduled")
    time.sleep(due - time.time())
    fleet.begin()
    if killer is not None:
        killer.run(work, count / per_second)
    if killer is None:
        work.wait_until_ended(count, count / per_second + 300)
    else:
        _wait_until_known(fleet, work, 600)
    spent, events = fleet.spent(), work.events()
    work.stop()
    _check(crowd, events, scheduled, killed=killer is not None)
    bench.section.row(name, *_percentiles(events.lags(scheduled)), microseconds(spent.service / count),
                      microseconds(spent.database / count))
    return events


class Killer:
    """Kills an agent and a replica again and again, and starts them again.

    All in the thread of the driver: the kernel ends whatever was started by a thread that has ended.
    """

    def __init__(self, crowd: Crowd, each: float):
        self.crowd, self.each, self.kills = crowd, each, 0
        # When an agent comes back.
        self.away: dict[int, float] = {}

    def run(self, work: Work, seconds: float) -> None:
        """Returns when everybody is back."""
        end = time.monotonic() + seconds
        while time.monotonic() + self.each < end:
            time.sleep(self.each - 1)
            self._bring_back(work)
            self._kill(work)
        time.sleep(max(0.0, max([end, *self.away.values()]) - time.monotonic()))
        self._bring_back(work)

    def _kill(self, work: Work) -> None:
        present = [number for number in range(len(work.processes)) if number not in self.away]
        agent, replica = present[self.kills * 7 % len(present)], self.kills % len(self.crowd.fleet.services)
        work.kill(agent)
        self.crowd.fleet.kill(replica)
        self.kills += 1
        time.sleep(1)
        self.crowd.fleet.start_again(replica)
        if self.kills % 3 == 0:
            self.away[agent] = time.monotonic() + AWAY
        else:
            work.start_again(agent)

    def _bring_back(self, work: Work) -> None:
        for agent in [agent for agent, back in self.away.items() if back <= time.monotonic()]:
            del self.away[agent]
            work.start_again(agent)


def _wait_until_known(fleet: Fleet, work: Work, seconds: float) -> None:
    """Returns when nothing is open at the service, no environment waits for what its agent finds, and no agent is at work.

    Not when so many have ended at the agents: what an agent was killed before it heard of ends with its lease.
    """
    deadline = time.monotonic() + seconds
    while True:
        open_, held = (int(fleet.sql(f"SELECT count(*) FROM {what}")) for what in (
            "operations WHERE status IN ('Scheduled', 'Running')", "environments WHERE held_since IS NOT NULL"))
        events = work.events()
        if open_ == held == 0 and len(events.ended) == len(events.given):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"after {seconds:.0f} s {open_:,} operations are open and {held:,} environments are held")
        time.sleep(2)


def _check(crowd: Crowd, events: Events, scheduled: dict[str, list[int]], killed: bool = False) -> None:
    """The service says what the agents did."""
    unheard = set(scheduled) - set(events.given)
    if set(events.given) - set(scheduled) or (unheard and not killed):
        raise RuntimeError(f"{len(scheduled):,} operations were scheduled, and {len(events.given):,} were given to agents")
    events.check(scheduled, unheard)
    fleet = crowd.fleet
    said = dict(line.split("|") for line in fleet.sql("SELECT id, status FROM operations").splitlines())
    for id in scheduled:
        # An outcome that nobody reported in time is one that nobody knew.
        expected = "Succeeded" if events.ended.get(id) == "Succeeded" else "Failed"
        if said.get(id) != expected:
            raise RuntimeError(f"operation {id} is {said.get(id)} by the service and {events.ended.get(id)} by its agent")
    held = int(fleet.sql("SELECT count(*) FROM environments WHERE held_since IS NOT NULL"))
    if held:
        raise RuntimeError(f"{held} environments are held")
    installed = int(fleet.sql(f"SELECT count(*) FROM installations WHERE app_id = '{seed.APP}' AND version = '{TARGET}'"))
    crowd.installed += len(events.begun)
    if installed != crowd.installed:
        raise RuntimeError(f"{crowd.installed:,} environments have the new version, and the service says {installed:,}")


def _waiting(bench: Bench, server: postgresql.Postgres) -> None:
    agents, seconds, count = bench.sized(1_000, 50), bench.sized(60, 6), bench.sized(500, 20)
    fleet = Fleet(bench.issuer, server, "waiting", REPLICAS)
    _prepare(fleet)
    crowd = Crowd(fleet, agents, 1)
    crowd.report()
    bench.gate.pass_through()
    waited_at = fleet.services[0].process
    idle, alone = waited_at.memory("VmRSS"), _cpu_of(waited_at, seconds)
    work = Work(crowd, "waiting", processes=1, servers=f"127.0.0.1:{fleet.services[0].port}")
    time.sleep(5)
    with_all, waiting = waited_at.memory("VmRSS"), _cpu_of(waited_at, seconds)
    elsewhere = f"127.0.0.1:{fleet.services[1].port}"
    _, scheduled = crowd.schedule(count, "--clients", 1, "--pause", 100, servers=elsewhere)
    work.wait_until_ended(count, 60)
    events = work.events()
    work.stop()
    _check(crowd, events, scheduled)
    bench.section.text(
        f"{agents:,} agents that wait at one of the {REPLICAS} replicas, each with a connection of its own and a claim of 30 "
        "seconds after the other, while nothing is due:")
    bench.section.table("", "nobody waits", f"{agents:,} wait", "for each of them")
    bench.section.row("memory of the replica", mebibytes(idle), mebibytes(with_all),
                      f"{(with_all - idle) / 1024 / agents:,.1f} KiB")
    bench.section.row("CPU of the replica in a second", milliseconds(alone / seconds), milliseconds(waiting / seconds),
                      microseconds(max(0.0, waiting - alone) / seconds / agents))
    bench.section.text(f"{count:,} hotfixes, one after the other, scheduled at another replica than the one where their "
                       "agents wait, due at once: from the answer to the vendor until the agent has the operation.")
    bench.section.table(*PERCENTILES)
    lags = events.lags(scheduled, since=2)
    bench.section.row(*_percentiles(lags))
    what = f"a due operation reaches a waiting agent at another replica, longest: {lags[-1]:.3f} s"
    bench.section.text(f"Longest: {bench.section.judged(what, lags[-1], 1, None, most=True)} s")
    fleet.stop()


def _cpu_of(process: Process, seconds: float) -> float:
    before = process.cpu_seconds()
    time.sleep(seconds)
    return process.cpu_seconds() - before
