"""Print version and path of the newest tested Python of this machine, if it is newer than the one that runs this.

`make smoke` asks. Looked through are the folders of PATH and what pyenv has installed. The classifiers in
pyproject.toml say which versions are tested.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
CLASSIFIER = re.compile(r"Programming Language :: Python :: 3\.(\d+)")
PROBE = "import ensurepip, sys, venv; print(sys.version_info.minor)"  # Debian has Pythons that make no environments
PROBE_S = 30


def minor_versions() -> list[int]:
    """Return the minor versions that the project is tested on, the newest first."""
    classifiers = tomllib.loads(PYPROJECT.read_text())["project"]["classifiers"]
    return sorted((int(found[1]) for found in map(CLASSIFIER.fullmatch, classifiers) if found), reverse=True)


def candidates(minor: int) -> Iterator[Path]:
    """Yield where Python 3.`minor` may lie."""
    yield from (Path(folder, f"python3.{minor}") for folder in os.get_exec_path())
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python3"), reverse=True)


def works(python: Path, minor: int) -> bool:
    """Say whether it starts, is that version, and can make environments. A shim of pyenv may lead nowhere."""
    try:
        asked = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and asked.stdout.strip() == str(minor)


def newest(*, above: int) -> tuple[int, Path] | None:
    """Return the newest tested Python of this machine whose minor version is `above` that one, or None."""
    for minor in minor_versions():
        for python in candidates(minor) if minor > above else ():
            if works(python, minor):
                return minor, python
    return None


def main() -> None:
    """Print one line to be read by a shell, or nothing and the reason on the standard error."""
    own = sys.version_info.minor
    found = newest(above=own)
    if found is not None:
        print(f"3.{found[0]} {found[1]}")
    else:
        print(f"this machine has no tested Python newer than 3.{own}, which make test runs on", file=sys.stderr)


if __name__ == "__main__":
    main()
