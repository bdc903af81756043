"""RESULTS.md: each comparison owns the text between its two markers, and a run replaces it."""

import re

from . import machine, places
from .rounds import DECIDED, Spread, is_decided

_HEAD = """# Results

Written by `bench/run`; what is measured and how is said in [README.md](README.md). A ratio is the median over the
rounds, with the lowest and the highest round in brackets. *A/A* is the service against a second instance of itself: if
any of its rounds leaves {low}–{high}, the case is "not decided" and proves nothing either way.
"""


def _verdict(value: float, target: float, floor: float | None, most: bool) -> str:
    def reached(limit: float) -> bool:
        return value <= limit if most else value >= limit
    if reached(target):
        return "target reached"
    if floor is None:
        return "**target missed**"
    return "target missed, floor held" if reached(floor) else "**floor missed**"


class Section:
    """The lines of one comparison."""

    def __init__(self, name: str):
        self.name = name
        self.parts: list[str] = []
        self.rows: list[str] = []
        self.missed: list[str] = []
        # How it was measured, if not in rounds.
        self.how: str | None = None

    def text(self, line: str) -> None:
        self._end_table()
        self.parts.append(line)

    def table(self, *headings: str) -> None:
        self._end_table()
        self.rows = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]

    def row(self, *cells: str) -> None:
        self.rows.append("| " + " | ".join(cells) + " |")
        print("    " + " · ".join(cells), flush=True)

    def _end_table(self) -> None:
        if self.rows:
            self.parts.append("\n".join(self.rows))
            self.rows = []

    def judged(self, what: str, value: float, target: float, floor: float | None, *, most: bool = False,
               same: Spread | None = None) -> str:
        """What a cell says of a value that has a target; `most`: the target is the most that it may be."""
        sign = "≤" if most else "≥"
        if same is not None and not is_decided(same):
            verdict = "not decided"
        else:
            verdict = _verdict(value, target, floor, most)
            if "missed" in verdict:
                self.missed.append(what)
        limits = f"{sign} {target:g}" + (f", floor {floor:g}" if floor is not None else "")
        return f"{verdict} ({limits})"

    def missing(self, peer: str) -> None:
        """A peer that could not be had."""
        self.text(f"*{peer} is missing on this machine; its lines are left out.*")

    def write(self, how: str, gate: machine.Gate) -> None:
        """Puts the section into RESULTS.md."""
        self._end_table()
        about = (f"{machine.today()} · {machine.description()} · commit {machine.commit(places.REPOSITORY)} · {how} · "
                 f"machine {gate.note()}")
        body = "\n\n".join([f"## {self.name}", about, *self.parts])
        begin, end = f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
        block = f"{begin}\n{body}\n{end}"
        head = _HEAD.format(low=DECIDED[0], high=DECIDED[1])
        text = places.RESULTS.read_text() if places.RESULTS.exists() else head
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if pattern.search(text):
            text = pattern.sub(lambda _: block, text)
        else:
            text = text.rstrip() + "\n\n" + block + "\n"
        places.RESULTS.write_text(text)


def microseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e6:,.0f} µs"


def milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:,.1f} ms"


def mebibytes(count: float) -> str:
    return f"{count / 2**20:,.1f} MiB"
