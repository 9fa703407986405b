"""Which Python `make smoke` takes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from newest_python import main, minor_versions, newest

OWN = sys.version_info.minor


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, on a machine where pyenv has installed nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def install(path: Path, *, says: str, code: int = 0) -> None:
    """Put a program there that answers as a Python does that is asked for its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\nexit {code}\n")
    path.chmod(0o755)


def test_the_tested_pythons_are_those_of_the_classifiers_newest_first() -> None:
    assert minor_versions() == [13, 12, 11]


def test_the_newest_python_that_works_is_taken(machine: Path) -> None:
    install(machine / "python3.11", says="11")
    install(machine / "python3.12", says="12")
    install(machine / "python3.13", says="'pyenv: python3.13: command not found'", code=127)
    install(machine / "python3.99", says="99")
    assert newest(above=10) == (12, machine / "python3.12")


def test_what_pyenv_has_installed_is_found_though_its_shim_does_not_work(machine: Path) -> None:
    install(machine / "python3.13", says="''", code=127)
    install(machine / "pyenv/versions/3.13.0/bin/python3", says="13")
    assert newest(above=11) == (13, machine / "pyenv/versions/3.13.0/bin/python3")


def test_without_a_newer_python_the_reason_is_told(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(machine / f"python3.{OWN}", says=str(OWN))
    main()
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"this machine has no tested Python newer than 3.{OWN}, which make test runs on\n"
