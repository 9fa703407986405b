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

GROUND = {
    *("budget", "configs", "errors", "objectives", "parameter", "reading", "schema", "settings", "shapes", "shift"),
    *("eligible", "resolvers", "signals", "space", "stored", "targets"),
    *("console", "leaving", "naming", "own_options", "printable", "quoting", "secret_names", "secret_sources"),
    *("secret_texts", "secrets"),
    *("shown_config", "yaml_names", "yaml_text"),
}
FLOORS: list[set[str]] = [
    GROUND,
    {"analysis"},
    {"trial"},
    {"storage"},
    {"search"},
    {"race"},
    {"report"},
    {"worker"},
    {"launch"},
    {"progress"},
    {"admission", "command", "experiment", "run", "check", "retrain", "looks", "dashboard", "list"}
    | {"reference", "selection", "arguments", "help", "uncomposed", "__main__"},
]


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
        if room(module) and room(imported) and floor_of(imported) > floor_of(module)
    ]
    assert upward == []


@pytest.mark.parametrize("package", [STUDIES, MODELS])
def test_no_imports_run_in_a_circle(package: Path) -> None:
    found = {m: {i for i in inner if not m.startswith(f"{i}.")} for m, inner in inner_imports(package).items()}
    list(TopologicalSorter(found).static_order())


def outside(rooms: set[str], package: Path = STUDIES) -> set[str]:
    """The top-level packages that the files of these rooms, or of the whole package, import themselves."""
    paths = [path for module, path in modules_of(package).items() if room(module) in rooms or not rooms]
    return {name.partition(".")[0] for path in paths for name in imports(path, package)}


def test_the_analysis_needs_neither_torch_nor_lightning_nor_hydra() -> None:
    assert not outside({"analysis"}) & {"torch", "pytorch_lightning", "hydra"}


def test_training_and_callbacks_know_nothing_of_optuna() -> None:
    for name in ("job", "run", "training", "callbacks", "instantiate", "testing", "failures"):
        found = set(imports(STUDIES / "trial" / f"{name}.py", STUDIES))
        assert not any(module.partition(".")[0] == "optuna" for module in found), name


def test_settings_and_space_need_no_torch() -> None:
    assert not outside(GROUND) & {"torch", "pytorch_lightning"}


def test_the_storage_knows_nothing_of_lightning() -> None:
    assert not outside({"storage", "search"}) & {"torch", "pytorch_lightning"}


def test_models_and_data_know_nothing_of_studies() -> None:
    assert not outside(set(), MODELS) & {"studies", "optuna", "hydra", "omegaconf"}


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
    modules = "studies.run, studies.cli.admission, studies.cli.progress, studies.launch.local.launcher, studies.reporting.report, "
    modules += "studies.launch.slurm.launcher, studies.launch.ray.launcher"
    script = f"import sys, {modules}; sys.exit(bool({{'torch', 'pytorch_lightning'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
