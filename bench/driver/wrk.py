"""The load generator for reads and schedules: wrk, which costs a few microseconds per request."""

import os
import pathlib
import re
import subprocess

from . import tools
from .processes import Process, pinned
from .rounds import Sample


class Load:
    """What wrk reports."""

    def __init__(self, text: str):
        self.text = text
        if "Non-2xx" in text or "Socket errors" in text:
            raise RuntimeError(f"wrk met errors:\n{text}")
        self.rate = float(self._find(r"Requests/sec:\s+([\d.]+)"))
        self.requests = int(self._find(r"(\d+) requests in"))

    def _find(self, pattern: str) -> str:
        found = re.search(pattern, self.text)
        if found is None:
            raise RuntimeError(f"wrk said something unexpected:\n{self.text}")
        return found.group(1)


def run(url: str, *, connections: int, seconds: int, token: str | None = None, core: int | None = None,
        script: pathlib.Path | None = None, arguments: list[str] | None = None,
        env: dict[str, str] | None = None) -> Load:
    program = tools.wrk()
    if program is None:
        raise RuntimeError("wrk is missing: install the Debian package wrk")
    command = [*pinned(core), program, "-t1", f"-c{connections}", f"-d{seconds}s"]
    if token:
        command += ["-H", f"Authorization: Bearer {token}"]
    if script:
        command += ["-s", str(script)]
    command += [url, *(["--", *arguments] if arguments else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60,
                          env=None if env is None else {**os.environ, **env})
    if done.returncode != 0:
        raise RuntimeError(f"wrk failed: {done.stdout}{done.stderr}")
    return Load(done.stdout)


def sample(process: Process, url: str, **options) -> Sample:
    """Requests per second, and the server's processor time for one."""
    before = process.cpu_seconds()
    load = run(url, **options)
    return Sample(load.rate, (process.cpu_seconds() - before) / max(1, load.requests))
