"""Getting the peers: pinned versions, into `bench/.tools`; what cannot be had is left out with a note."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from . import places

DATASETTE = "0.65.5"
VERDACCIO = "6.10.4"
NODE = "24"


def _run(command: list[str], folder: pathlib.Path) -> bool:
    """Whether it worked; what it said stands in a log beside the tools."""
    with (places.TOOLS / "log.txt").open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        return subprocess.run(command, cwd=folder, stdout=log, stderr=log).returncode == 0


def datasette() -> pathlib.Path | None:
    """Of PyPI: the program."""
    folder = places.TOOLS / "datasette"
    program = folder / "bin" / "datasette"
    if not program.exists():
        print(f"  installing datasette {DATASETTE} …", flush=True)
        _run([sys.executable, "-m", "venv", str(folder)], places.TOOLS)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, f"datasette=={DATASETTE}"], places.TOOLS)
    return program if program.exists() else None


def verdaccio() -> list[str] | None:
    """Of npm, with the node that it needs: the command."""
    folder = places.TOOLS / "verdaccio"
    node = folder / "node_modules" / "node" / "bin" / "node"
    program = folder / "node_modules" / "verdaccio" / "bin" / "verdaccio"
    if not (node.exists() and program.exists()):
        if shutil.which("npm") is None:
            return None
        print(f"  installing verdaccio {VERDACCIO} …", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {"private": True, "dependencies": {"verdaccio": VERDACCIO, "node": NODE},
                  "overrides": {"node-fetch": "2.7.0"}}
        (folder / "package.json").write_text(json.dumps(wanted))
        _run(["npm", "install", "--no-audit", "--no-fund"], folder)
    return [str(node), str(program)] if node.exists() and program.exists() else None


def _debian(program: str, package: str) -> str | None:
    """A program of a Debian package. A server among them is not started: a container has nobody who would, and
    elsewhere a policy forbids it."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"  installing {package} …", flush=True)
        policy = pathlib.Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            _run(["apt-get", "install", "-q", "-y", "--no-install-recommends", package], places.TOOLS)
        finally:
            if ours:
                policy.unlink()
        found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return found


def wrk() -> str | None:
    return _debian("wrk", "wrk")


def nginx() -> str | None:
    return _debian("nginx", "nginx-light")


def strace() -> str | None:
    return _debian("strace", "strace")


def postgres() -> pathlib.Path | None:
    """The folder with the newest PostgreSQL's programs."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not folders and _debian("pg_ctlcluster", "postgresql") is None:
        return None
    folders = folders or sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


def hand_written(name: str) -> pathlib.Path:
    """A peer of `peers-rs`, built."""
    target = places.TOOLS / "peers-rs"
    program = target / "release" / name
    sources = [places.BENCH / "peers-rs" / "Cargo.lock", *(places.BENCH / "peers-rs" / "src").rglob("*.rs")]
    if not program.exists() or any(path.stat().st_mtime > program.stat().st_mtime for path in sources):
        print("  building peers-rs …", flush=True)
        command = ["cargo", "build", "--release", "--locked", "--target-dir", str(target)]
        subprocess.run(command, cwd=places.BENCH / "peers-rs", check=True)
        program.touch()
    return program
