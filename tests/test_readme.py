"""What the README says is true: its commands compose, and its own-project steps run as they stand; so do those of
docs/procedures.md."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROCEDURES = (ROOT / "docs" / "procedures.md").read_text()
COMMAND = re.compile(r"^ *((?:PYTHONPATH=\S+ )?python -m studies\.[^#\n]+)", re.MULTILINE)
COMMANDS = sorted(set(COMMAND.findall(README)))
FILE = re.compile(r"`(my_project/\S+)`:\n\n( *)```\w+\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's project of the README, written out."""
    return written(README, tmp_path_factory.mktemp("home"))


def written(page: str, folder: Path) -> Path:
    """The project whose files stand in `page`."""
    for name, indent, text in FILE.findall(page):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))
    return folder / "my_project"


def run(project: Path, command: str, *more: str) -> str:
    *_, python, _, module = shlex.split(command)[: shlex.split(command).index("-m") + 2]
    assert python == "python"
    arguments = shlex.split(command)[shlex.split(command).index("-m") + 2 :]
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, *more],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_has_the_commands_and_the_projects_files(project: Path) -> None:
    assert len(COMMANDS) >= 12
    assert {path.name for path in project.rglob("*.*")} == {"my_models.py", "spiral.yaml"}


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--cfg" not in command])
def test_each_command_composes(project: Path, command: str) -> None:
    assert "study_name:" in run(project, command, "--cfg", "job")


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if "spiral" not in c and "config=" not in c and "storage.url=" not in c]
)
def test_each_command_is_admitted(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIES_STORAGE_URL", "postgresql://me:password@host/studies")
    words = shlex.split(command)
    settings = parse_settings(
        compose([w for w in words if "=" in w and not w.startswith(("--", "question="))] or ["+study=mnist"]),
        checks=CHECKS,
    )
    assert settings.n_trials > 0


@pytest.mark.slow
def test_the_own_project_is_checked_and_run_as_described(project: Path) -> None:
    check, retrain, search = (c for c in COMMANDS if "spiral" in c)
    assert "study spiral is sound" in run(project, check)
    assert "12 of 12 trials finished" in run(project, search)
    assert "not tested: the module has no test_step" in run(project, retrain)


@pytest.mark.slow
def test_the_procedure_is_checked_and_run_as_described(tmp_path: Path) -> None:
    project = written(PROCEDURES, tmp_path)
    assert {path.name for path in project.rglob("*.*")} == {"my_simulation.py", "throw.yaml"}
    check, search = COMMAND.findall(PROCEDURES)
    assert "study throw is sound" in run(project, check)
    assert "20 of 20 trials finished" in run(project, search, "launcher=serial", "analysis=none")


def test_every_option_of_every_group_is_named() -> None:
    for group in (
        "study",
        "model",
        "datamodule",
        "search_space",
        "sampler",
        "pruner",
        "storage",
        "analysis",
        "launcher",
        "size",
    ):
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            assert f"`{path.stem}`" in README, f"{group}={path.stem}"
    for path in (ROOT / "conf" / "study").glob("*/*.yaml"):
        assert f"`{path.stem}`" in README, f"study={path.parent.stem}/{path.stem}"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_hypothesis_of_the_readme_is_a_study(tmp_path: Path) -> None:
    (text,) = (block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "hypothesis:" in block)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "dropout_helps.yaml").write_text(text)
    settings = parse_settings(compose(["+study=dropout_helps"], config_dirs=[str(tmp_path)]), checks=CHECKS)
    assert settings.hypothesis is not None
    assert (settings.hypothesis.rule, settings.hypothesis.of, settings.n_trials) == ("contrast", "dropout", 2 * 3 * 6)
