"""What a comparison is given: how many rounds, the gate, an issuer, and a place for its lines."""

import dataclasses

from . import machine
from .report import Section
from .rounds import Contestant, Outcome, take_turns
from .service import Issuer


@dataclasses.dataclass
class Bench:
    rounds: int
    # Fewer rounds and less work in each: to see whether all of it runs, not to know a figure.
    quick: bool
    gate: machine.Gate
    issuer: Issuer
    section: Section

    def turns(self, contestants: list[Contestant], *, is_rate: bool, between=None) -> Outcome:
        """The rounds, on a machine that is as quiet as it gets."""
        self.gate.pass_through()
        return take_turns(contestants, self.rounds, is_rate=is_rate, between=between)

    def sized(self, full: int, quick: int) -> int:
        return quick if self.quick else full
