"""Taking turns: every round measures every contestant once, in reversed order every other round.

What is compared are the ratios within one round. Absolute figures of a shared machine move by half from one run to
the next; ratios of neighbours in time hardly do.
"""

import dataclasses
import statistics
from collections.abc import Callable

# Two instances of one program that differ by more say that nothing can be told from this run.
DECIDED = (0.8, 1.25)


@dataclasses.dataclass
class Sample:
    """One measurement: requests or bytes per second where `is_rate`, else seconds."""
    value: float
    cpu: float | None = None  # processor seconds of the server per operation


@dataclasses.dataclass
class Contestant:
    name: str
    measure: Callable[[], Sample]


@dataclasses.dataclass
class Spread:
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


class Outcome:
    """All samples of all contestants."""

    def __init__(self, is_rate: bool, samples: dict[str, list[Sample]]):
        self.is_rate = is_rate
        self.samples = samples

    def values(self, name: str) -> list[float]:
        return [sample.value for sample in self.samples[name]]

    def median(self, name: str) -> float:
        return statistics.median(self.values(name))

    def cpu(self, name: str) -> float | None:
        known = [sample.cpu for sample in self.samples[name] if sample.cpu is not None]
        return statistics.median(known) if known else None

    def ratio(self, name: str, other: str) -> Spread:
        """`name` / `other`, round by round."""
        return Spread.of([one / two for one, two in zip(self.values(name), self.values(other))])

    def has(self, name: str) -> bool:
        return name in self.samples


def take_turns(contestants: list[Contestant], rounds: int, *, is_rate: bool,
               between: Callable[[], None] | None = None) -> Outcome:
    """One discarded turn of everybody, then the rounds."""
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    for contestant in contestants:
        contestant.measure()
    for number in range(rounds):
        order = contestants if number % 2 == 0 else contestants[::-1]
        for contestant in order:
            if between is not None:
                between()
            samples[contestant.name].append(contestant.measure())
    return Outcome(is_rate, samples)


def is_decided(same: Spread) -> bool:
    """Whether the product against itself came out even, in every round."""
    return DECIDED[0] <= same.low and same.high <= DECIDED[1]
