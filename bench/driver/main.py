"""The command line: which comparison, how many rounds."""

import argparse
import sys
import time
import traceback

from . import machine, places, processes, service, tools
from .bench import Bench
from .comparisons import ALL
from .report import Section

ROUNDS, QUICK_ROUNDS = 7, 3
PATIENCE, QUICK_PATIENCE = 60.0, 2.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("comparison", choices=[*ALL, "all", "list"])
    parser.add_argument("--rounds", type=int, help=f"rounds for each case (default {ROUNDS})")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_ROUNDS} rounds and smaller sizes, no waiting for quiet, RESULTS.md untouched")
    parser.add_argument("--no-build", action="store_true", help="measure the binary that is there")
    chosen = parser.parse_args(arguments)
    if chosen.comparison == "list":
        print("\n".join(ALL))
        return 0
    rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    names = list(ALL) if chosen.comparison == "all" else [chosen.comparison]
    return _run(names, rounds, chosen.quick, not chosen.no_build)


def _run(names: list[str], rounds: int, quick: bool, build: bool) -> int:
    places.TOOLS.mkdir(parents=True, exist_ok=True)
    places.fresh_scratch()
    if build:
        service.build()
    # Built before anything is timed.
    tools.hand_written("bare")
    failed: list[str] = []
    start = time.monotonic()
    for name in names:
        print(f"{name}", flush=True)
        places.fresh_scratch()
        section = Section(name)
        gate = machine.Gate(QUICK_PATIENCE if quick else PATIENCE)
        try:
            # A fresh issuer: its tokens live for an hour.
            bench = Bench(rounds, quick, gate, service.Issuer(), section)
            ALL[name](bench)
            if not quick:
                section.write(section.how or f"{rounds} rounds", gate)
            for missed in section.missed:
                print(f"  missed: {missed}", flush=True)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        finally:
            processes.end_all()
    print(f"took {(time.monotonic() - start) / 60:.1f} min" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0
