"""The machine: what it is, and bringing it to the same state before every target.

A virtual machine's host takes back memory that nobody uses, so a first upload pays for getting it again; and other
work on the same cores shows up as our slowness. So before each target there is a gate on idleness, the disk is
brought to rest, and a good part of the memory is touched.
"""

import datetime
import mmap
import os
import pathlib
import platform
import subprocess
import time

IDLE_NEEDED = 0.85
WARMED_BYTES = 1_200_000_000


def _times() -> tuple[int, int]:
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return fields[3] + fields[4], sum(fields[:8])


def idle_share(seconds: float = 1.0) -> float:
    """Which part of the processors' time nobody used."""
    idle, total = _times()
    time.sleep(seconds)
    idle_then, total_then = _times()
    return (idle_then - idle) / max(1, total_then - total)


class Gate:
    """Waits for quiet. `patience` is how long at most for each target; what was met is remembered."""

    def __init__(self, patience: float):
        self.patience = patience
        self.worst = 1.0

    def pass_through(self) -> None:
        os.sync()
        self._touch_memory()
        deadline = time.monotonic() + self.patience
        share = idle_share(0.5)
        while share < IDLE_NEEDED and time.monotonic() < deadline:
            share = idle_share(1.0)
        self.worst = min(self.worst, share)

    @staticmethod
    def _touch_memory() -> None:
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        size = min(WARMED_BYTES, available // 3) // mmap.PAGESIZE * mmap.PAGESIZE
        with mmap.mmap(-1, size) as memory:
            for offset in range(0, size, mmap.PAGESIZE):
                memory[offset] = 1

    def note(self) -> str:
        if self.worst >= IDLE_NEEDED:
            return "quiet"
        return f"**not quiet**: only {self.worst:.0%} idle before one of the targets"


def cores() -> int:
    return len(os.sched_getaffinity(0))


def description() -> str:
    """One line about the machine."""
    cpu = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{cpu}, {cores()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def today() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def commit(repository: pathlib.Path) -> str:
    """The commit that is measured, and whether something was changed since."""
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True)
        return done.stdout.strip()
    changed = git("status", "--porcelain", "--", "crates", "Cargo.lock", "Cargo.toml")
    return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
