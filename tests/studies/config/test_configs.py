from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose, config_dir, group_options
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.config.space import path_exists
from studies.errors import Problems
from studies.trial.building.instantiate import binding_problems
from studies.trial.point_config import PointConfig

STUDIES = group_options("study")
GROUPS = sorted(folder.name for folder in config_dir().iterdir() if folder.is_dir() and folder.name != "study")
ADDED = ("callbacks", "loggers", "size")  # groups that config.yaml does not name: +callbacks=early_stopping
COMPANIONS = {  # what an option needs beside it
    "model=cnn": ["search_space=cnn"],
    "search_space=cnn": ["model=cnn"],
    "search_space=everything": ["+callbacks=early_stopping"],
    "search_space=empty": ["+search_space.dropout={path: model.network.dropout, type: float, low: 0, high: 0.5}"],
    "+size=quick": ["sampler=grid", "pruner=none", "search_space=lr_batch_size", "n_trials=null"],
    "+size=full": ["sampler=grid", "pruner=none", "search_space=lr_batch_size", "n_trials=null"],
    "model=sampler_benchmark": ["search_space=sampler_benchmark", "datamodule=none"],
    "search_space=sampler_benchmark": ["model=sampler_benchmark", "datamodule=none"],
    "sampler=grid": ["pruner=none", "search_space=lr_batch_size", "n_trials=null"],
    "pruner=threshold": ["pruner.lower=0.1"],
    "storage=memory": ["launcher=serial"],
    "launcher=slurm": ["workers=2"],
    "datamodule=none": ["model.network.input_shape=[1,8,8]", "model.network.n_classes=10", "~search_space.batch_size"],
}


def options() -> Iterator[str]:
    for group in GROUPS:
        for option in group_options(group):
            yield f"+{group}={option}" if group in ADDED else f"{group}={option}"


OPTIONS = list(options())


@cache
def admitted(*overrides: str) -> StudySettings:
    return parse_settings(compose(overrides), checks=CHECKS)


def with_option(option: str) -> StudySettings:
    return admitted("+study=digits", option, *COMPANIONS.get(option, ()))


def unbound(settings: StudySettings) -> Sequence[str]:
    """What does not bind at the corners of the space, every branch among them."""
    problems = Problems()
    for point in settings.space.corners(limit=200):
        binding_problems(PointConfig(settings, point).resolved(), problems)
    return [str(problem) for problem in problems.found]


def test_every_group_has_options() -> None:
    assert {"model", "datamodule", "trainer", "search_space", "sampler", "pruner", "storage", "launcher"} <= {*GROUPS}
    assert {"digits", "digits_grid", "digits_optimizers", "mnist", "mnist_full", "fashion_mnist"} <= {*STUDIES}
    assert {"+callbacks=early_stopping", "+loggers=csv", "sampler=tpe", "pruner=none"} <= {*OPTIONS}


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIES_STORAGE_URL", "postgresql://host/studies")  # the options that name a server ask for it


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_is_admitted_with_its_space(study: str) -> None:
    settings = admitted(f"+study={study}")
    group, _, name = study.rpartition("/")
    name = f"{name}_tuned" if group == "tables" else name
    assert settings.study_name == name
    assert settings.n_trials >= 1
    assert settings.output_dir == Path("outputs", group, name)


@pytest.mark.parametrize("study", STUDIES)
def test_every_target_of_a_study_binds_in_every_branch(study: str) -> None:
    assert unbound(admitted(f"+study={study}")) == []


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_every_group_goes_with_a_study(option: str) -> None:
    assert with_option(option).study_name == "digits"


@pytest.mark.parametrize("option", OPTIONS)
def test_every_target_of_every_option_binds(option: str) -> None:
    assert unbound(with_option(option)) == []


@pytest.mark.parametrize("study", STUDIES)
def test_every_path_of_a_space_exists_at_each_corner(study: str) -> None:
    settings = admitted(f"+study={study}")
    for point in settings.space.corners(limit=200):
        applied = settings.space.apply(settings.template, point)
        paths = [path for parameter in settings.space if parameter.name in point for path in parameter.paths]
        assert [path for path in paths if not path_exists(applied, path)] == []


def test_the_default_is_a_study_without_a_name() -> None:
    assert OmegaConf.is_missing(compose([]), "study_name")


@pytest.mark.parametrize(
    "file", sorted(config_dir().rglob("*.yaml")), ids=lambda file: str(file.relative_to(config_dir()))
)
def test_every_file_begins_by_saying_what_it_is(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if line != "# @package _global_"]
    assert lines[0].startswith("# ")
    assert len(lines[0].split()) >= 4
    assert lines[0].rstrip().endswith((".", "?", "…", ":"))


def test_a_folder_of_ones_own_adds_options_to_a_group(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    own = "# @package _global_\n# Mine.\nstudy_name: mine\nn_trials: 2\n"
    (tmp_path / "study" / "mine.yaml").write_text(own)
    assert "mine" in group_options("study", config_dirs=[str(tmp_path)])
    assert "mine" not in group_options("study")
    assert compose(["+study=mine"], config_dirs=[str(tmp_path)]).study_name == "mine"


def test_what_is_no_group_has_no_options() -> None:
    assert group_options("nonsense") == []


def test_nothing_is_downloaded_or_written_by_reading_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for study in ("mnist_full", "fashion_mnist"):
        unbound(admitted.__wrapped__(f"+study={study}"))
    assert list(tmp_path.iterdir()) == []
