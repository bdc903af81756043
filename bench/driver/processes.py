"""Processes that are started here: found by pid, measured from /proc, and ended in every case.

Each is the leader of a group of its own. Groups are ended when the driver ends, also after Ctrl-C or SIGTERM, and a
process whose driver was killed outright is ended by the kernel (PR_SET_PDEATHSIG).
"""

import atexit
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

_running: list["Process"] = []
_TICKS = os.sysconf("SC_CLK_TCK")
_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def end_all() -> None:
    """Ends whatever still runs."""
    for process in list(_running):
        process.stop()


def _interrupted(number: int, _frame: object) -> None:
    sys.exit(128 + number)


atexit.register(end_all)
signal.signal(signal.SIGTERM, _interrupted)
signal.signal(signal.SIGHUP, _interrupted)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pinned(core: int | None) -> list[str]:
    """The beginning of a command that stays on one core."""
    return [] if core is None else ["taskset", "-c", str(core)]


class Process:
    """One process and its children."""

    def __init__(self, name: str, command: list[str], log: pathlib.Path, *, core: int | None = None,
                 env: dict[str, str] | None = None, cwd: pathlib.Path | None = None, stdin=subprocess.DEVNULL,
                 stdout=None):
        self.name = name
        self.log = log
        with log.open("ab") as errors:
            self.popen = subprocess.Popen(
                pinned(core) + command, stdin=stdin, stdout=stdout or errors, stderr=errors, cwd=cwd,
                env=None if env is None else {**os.environ, **env}, start_new_session=True,
                preexec_fn=lambda: _libc.prctl(_PDEATHSIG, signal.SIGKILL))
        _running.append(self)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_for_port(self, port: int, seconds: float = 60) -> None:
        """Returns when somebody listens."""
        deadline = time.monotonic() + seconds
        while True:
            if self.popen.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.popen.returncode}; see {self.log}\n{self.tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not listen after {seconds} s; see {self.log}") from None
                time.sleep(0.005)

    def tail(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    def pids(self) -> list[int]:
        """The process and all of its descendants."""
        children: dict[int, list[int]] = {}
        for folder in pathlib.Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except (OSError, IndexError):
                    continue
                children.setdefault(parent, []).append(int(folder.name))
        found, waiting = [], [self.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting.extend(children.get(pid, []))
        return found

    def cpu_seconds(self) -> float:
        """Processor time that the process and its descendants have used so far, those that have ended included."""
        total = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += sum(int(field) for field in fields[11:15])
        return total / _TICKS

    def memory(self, key: str) -> int:
        """`VmRSS` or `VmHWM` of the process and its descendants, in bytes."""
        total = 0
        for pid in self.pids():
            try:
                lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
        return total

    def forget_peak(self) -> None:
        """Begins `VmHWM` anew."""
        for pid in self.pids():
            try:
                pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:
                continue

    def stop(self) -> None:
        """Asks it to end, and sees to it."""
        if self.popen.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self.popen.wait(25)
            except subprocess.TimeoutExpired:
                pass
        # Also whoever of its group is left.
        self.kill()

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        if self in _running:
            _running.remove(self)
        self._signal(signal.SIGKILL)
        self.popen.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass


def traced_calls(process: Process, calls: list[str], action) -> dict[str, int]:
    """How often the process made these system calls during `action`; empty without strace."""
    strace = shutil.which("strace")
    if strace is None:
        return {}
    from .places import SCRATCH
    out = SCRATCH / "strace.txt"
    command = [strace, "-f", "-qq", "-e", "trace=" + ",".join(calls), "-o", str(out)]
    for pid in process.pids():
        command += ["-p", str(pid)]
    tracer = Process("strace", command, SCRATCH / "strace.log")
    time.sleep(0.5)
    try:
        if tracer.popen.poll() is not None:
            return {}
        action()
    finally:
        tracer.popen.send_signal(signal.SIGINT)
        tracer.popen.wait(20)
        tracer.stop()
    counts = dict.fromkeys(calls, 0)
    for line in out.read_text(errors="replace").splitlines():
        for call in calls:
            if f" {call}(" in line and "resumed>" not in line:
                counts[call] += 1
    return counts
