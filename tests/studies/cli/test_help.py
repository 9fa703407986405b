"""What the commands say of themselves: on one screen, with examples that compose."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from shell import Shell

import studies
from studies.cli.arguments import for_hydra, read_arguments
from studies.cli.help import COMMANDS, brief_help, overview, versions
from studies.config.composing.configs import config_dir


def test_every_command_is_listed() -> None:
    folder = Path(studies.__file__).parent
    tops = {path.stem for path in folder.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()} - {"__main__"}
    inner = {".".join(path.relative_to(folder).parts[:-1]) for path in folder.glob("*/**/__main__.py")}
    assert {*COMMANDS} == {*tops, *inner}
    assert [line.split()[2] for line in overview().splitlines()] == [f"studies.{name}" for name in COMMANDS]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_two_examples_and_fits_one_screen(name: str) -> None:
    lines = brief_help(name).splitlines()
    assert len(lines) <= 24
    assert max(len(line) for line in lines if line != str(config_dir())) <= 80
    for line in lines[:2]:
        assert line.startswith(f"python -m studies.{name}")


def test_the_examples_with_a_shipped_study_compose() -> None:
    for name, command in COMMANDS.items():
        for arguments, _ in command.examples:
            words = [word for word in shlex.split(arguments) if not word.startswith("my_")]
            assert for_hydra(read_arguments(words)) is not None, name


def test_versions_are_told() -> None:
    told = dict(line.split() for line in versions().splitlines())
    assert {"lightning-studies", "optuna", "torch", "pytorch-lightning", "hydra-core", "python"} <= {*told}
    assert told["optuna"] == metadata.version("optuna")


def test_help_and_versions_of_real_commands(shell: Shell) -> None:
    assert shell.run("check", "mnist", "--help").startswith("python -m studies.check mnist ")
    assert shell.run("__main__") == f"{overview()}\n"
    assert "write python -m studies.run" in shell.run("__main__", "run", code=2)


def test_a_reader_who_has_seen_enough_leaves_no_traceback() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "studies.run", "--help"]
    found = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert (found.returncode, found.stderr) == (141, "")
