"""A PostgreSQL of our own: durable as by default, larger buffers, on a socket in a folder that nobody else may enter."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.parse

from .. import tools
from ..processes import Process

_SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{home}'
max_connections = 200
shared_buffers = 2GB
max_wal_size = 8GB
"""


class Postgres:
    def __init__(self, programs: pathlib.Path):
        self.programs = programs
        # A socket's path is limited to about a hundred bytes, so not below this folder.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="fame-bench-pg."))
        self.user = self._unprivileged()
        if self.user:
            shutil.chown(self.home, self.user)
        data = self.home / "data"
        made = subprocess.run([*self._as_user(), str(programs / "initdb"), "-D", str(data), "-U", "fame", "-A", "trust",
                               "-E", "UTF8", "--locale=C"], capture_output=True, text=True, cwd=self.home)
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(home=self.home))
        self.process = Process("postgres", [*self._as_user(), str(programs / "postgres"), "-D", str(data)],
                               self.home / "log.txt", cwd=self.home)
        self._wait()

    @staticmethod
    def _unprivileged() -> str | None:
        """PostgreSQL refuses to run as root."""
        import pwd
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    def _as_user(self) -> list[str]:
        return ["setpriv", f"--reuid={self.user}", "--regid=nogroup", "--clear-groups"] if self.user else []

    def _wait(self) -> None:
        import time
        for _ in range(600):
            ready = subprocess.run([str(self.programs / "pg_isready"), "-q", "-h", str(self.home)])
            if ready.returncode == 0:
                return
            if self.process.popen.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"PostgreSQL did not start: {self.process.tail()}")

    def url(self, database: str) -> str:
        return f"postgres://fame@{urllib.parse.quote(str(self.home), safe='')}/{database}"

    def command(self, program: str, *arguments: str) -> list[str]:
        return [str(self.programs / program), "-h", str(self.home), "-U", "fame", *arguments]

    def sql(self, database: str, text: str) -> str:
        """What psql prints, unaligned, without headings."""
        done = subprocess.run(self.command("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database), input=text,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout

    def create(self, database: str) -> None:
        self.sql("postgres", f'CREATE DATABASE "{database}"')

    def stop(self) -> None:
        self.process.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def start() -> Postgres | None:
    """A fresh server, if there is one to be had."""
    programs = tools.postgres()
    return Postgres(programs) if programs else None
