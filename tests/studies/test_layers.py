"""The floors of the house: a file imports only from floors below its own, and nothing runs in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import lightning_modules
import studies

STUDIES = Path(studies.__file__).parent
MODELS = Path(lightning_modules.__file__).parent

LIGHTNING = {"pytorch_lightning", "lightning"}
FILES = {"pathlib", "os", "io", "shutil", "tempfile"}
FLOORS: list[set[str]] = [
    {"schema"},
    {"secrets"},
    {"text"},
    {"errors"},
    {"process"},
    {"config"},
    {"records"},
    {"analysis"},
    {"trial"},
    {"storage"},
    {"search"},
    {"worker"},
    {"selection"},
    {"reporting"},
    {"hypotheses", "sampler_benchmark"},
    {"launch"},
    {"cli"},
    {"__main__", "run", "check", "report", "retrain", "dashboard", "list"},
]
MUST_NOT_KNOW = {
    "secrets": {"torch", *LIGHTNING, "optuna", "hydra"},
    "text": {"torch", *LIGHTNING, "optuna"},
    "process": {"torch", *LIGHTNING, "optuna", "hydra", "omegaconf"},
    "config": {"torch", *LIGHTNING, "studies.storage"},
    "records": {"torch", *LIGHTNING, "hydra", "omegaconf", "studies.storage"},
    "analysis": {"torch", *LIGHTNING, *FILES, "hydra", "omegaconf", "studies.storage", "studies.trial"},
    "trial": {"optuna"},
    "storage": {"torch", *LIGHTNING, "studies.analysis"},
    "search": {"torch", *LIGHTNING},
    "worker": {"torch", *LIGHTNING, "studies.launch"},
    "selection": {"torch", *LIGHTNING, "studies.reporting"},
    "reporting": {"torch", *LIGHTNING, "studies.trial", "studies.worker", "studies.launch"},
    "hypotheses": {"torch", *LIGHTNING, "studies.trial", "studies.worker", "studies.launch"},
    "sampler_benchmark": {"torch", *LIGHTNING, "studies.worker", "studies.launch"},
    "launch": {*LIGHTNING, "studies.trial"},
    "cli": {"torch", *LIGHTNING, "studies.trial"},
}
EXCEPTIONS = {  # a file of a room, and what it knows all the same
    ("trial.objective", "optuna"),  # where a trial of Optuna becomes a training
    ("trial.checkpoints.record", "optuna"),  # the same: the trial's attributes name its checkpoints
    ("trial.judge", "optuna"),  # the same: a training becomes an outcome
    ("trial.outcome", "optuna"),
    ("trial.reports", "optuna"),
    ("launch.worker_process", "studies.trial"),  # what its workers run
    ("launch.serial", "studies.trial"),  # the same
    ("launch.preflight.batches", "studies.trial"),  # what is tried before the first worker starts
    ("launch.preflight.findings", "studies.trial"),  # types of what was found
    ("cli.validation", "studies.trial"),  # the checks of what a trial builds
    ("cli.commands.retrain", "studies.trial"),  # whether there is anything to train
    ("cli.retraining", "studies.trial"),  # the training of a configuration, which is no trial of a study
}


def imports(path: Path, package: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_of(package: Path) -> dict[str, Path]:
    files = {path: path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")}
    return {".".join(name.parts).removesuffix(".__init__"): path for path, name in files.items()}


def inner_imports(package: Path) -> dict[str, set[str]]:
    modules = modules_of(package)
    return {name: {i for i in imports(path, package) if i in modules and i != name} for name, path in modules.items()}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def floor_of(module: str) -> int:
    if module.endswith(".__main__"):
        return len(FLOORS) - 1  # a command
    return next(i for i, rooms in enumerate(FLOORS) if room(module) in rooms)


def test_every_room_has_its_floor() -> None:
    rooms = {room(module) for module in modules_of(STUDIES)} - {""}
    assert rooms == set.union(*FLOORS)


def test_files_import_only_from_their_own_floor_and_those_below() -> None:
    upward = [
        f"{module} imports {imported}"
        for module, found in inner_imports(STUDIES).items()
        for imported in found
        if room(module) and room(imported) and room(imported) != room(module)
        if floor_of(imported) >= floor_of(module)
    ]
    assert upward == []


@pytest.mark.parametrize("package", [STUDIES, MODELS])
def test_no_imports_run_in_a_circle(package: Path) -> None:
    found = {m: {i for i in inner if not m.startswith(f"{i}.")} for m, inner in inner_imports(package).items()}
    list(TopologicalSorter(found).static_order())


def outside(package: Path) -> set[str]:
    """The top-level packages that the files of the package import."""
    return {name.partition(".")[0] for path in modules_of(package).values() for name in imports(path, package)}


def test_no_room_knows_what_it_must_not_know() -> None:
    found = {
        (module.removeprefix("studies."), name)
        for module, path in modules_of(STUDIES).items()
        for imported in imports(path, STUDIES)
        for name in MUST_NOT_KNOW.get(room(module), ())
        if f"{imported}.".startswith(f"{name}.")
    }
    assert found == EXCEPTIONS


def test_models_and_data_and_studies_know_nothing_of_each_other() -> None:
    assert not outside(MODELS) & {"studies", "optuna", "hydra", "omegaconf"}
    assert "lightning_modules" not in outside(STUDIES)


def test_no_private_name_of_another_package_is_used() -> None:
    for package in (STUDIES, MODELS):
        own = {package.name, "__future__"}
        for module, path in modules_of(package).items():
            private = [i for i in imports(path, package) if "._" in i and i.partition(".")[0] not in own]
            assert private == [], module


def test_one_file_alone_decides_how_names_are_printed() -> None:
    makers = [path.name for path in modules_of(STUDIES).values() if "Console(" in path.read_text()]
    assert makers == ["console.py"]


def test_the_command_itself_never_imports_torch() -> None:
    """The workers do, and the fork server; the process that a person waits for shows its first line without."""
    modules = (
        "studies.cli.commands.run, studies.cli.commands.check, studies.cli.commands.report, studies.cli.commands.list, "
    )
    modules += "studies.launch.local.launcher, studies.launch.slurm.launcher, studies.launch.ray.launcher"
    script = f"import sys, {modules}; sys.exit(bool({{'torch', 'pytorch_lightning'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
