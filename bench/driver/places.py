"""Where things lie. Nothing is written outside of `bench/` but what the builds write."""

import os
import pathlib
import shutil
import subprocess

BENCH = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
# Peers, installed and built; kept between runs.
TOOLS = BENCH / ".tools"
# Seeded sets, kept between runs, and what one run needs.
DATA = BENCH / ".data"
SETS = DATA / "sets"
SCRATCH = DATA / "scratch"
RESULTS = BENCH / "RESULTS.md"


def target_folder() -> pathlib.Path:
    """Where cargo puts what it builds of the service."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


def fresh_scratch() -> pathlib.Path:
    """An empty folder for one run."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    return SCRATCH


def scratch(name: str) -> pathlib.Path:
    """An empty folder in it."""
    folder = SCRATCH / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def copy_tree(source: pathlib.Path, target: pathlib.Path) -> None:
    """A copy of a seeded set to run on; shares blocks where the file system can."""
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)
