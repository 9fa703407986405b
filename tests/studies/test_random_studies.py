"""Whatever a storage holds, `list` and `report` end in what they print or in an error of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, create_trial
from random_studies import storages

from studies import schema
from studies.console import make_console
from studies.errors import StudyError
from studies.list import print_studies
from studies.report.report import write_report, write_study_report
from studies.settings import AnalysisSettings, StudySettings
from studies.storage.creation import open_study
from studies.storage.identity import find_study
from studies.storage.slots import rules_of

MakeSettings = Callable[..., StudySettings]
FULL = AnalysisSettings("full", None, "auto", None)
SPACE = {"x": FloatDistribution(-5.0, 5.0)}
TRIAL = {
    **{schema.SLOT: 0, schema.REPLICATE: 0, schema.SEED: 3, schema.ATTEMPT: 0, schema.LEASE: 2},
    **{schema.SOURCE: "random", schema.DEVICE: "cpu", schema.SECONDS: 0.5, schema.RUNG_SECONDS: [0.1, 0.3, 0.5]},
    **{schema.WORKER: "host:1:2", schema.RESULT: {"x": 1.0}, schema.THREADS: 1},
}
GRID = ("sampler=grid", "replicates=2", "n_trials=null", "search_space.x.levels=3", "+search_space.x.role=scientific")
BOUNDS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


@pytest.fixture
def bowl(make_settings: MakeSettings) -> MakeSettings:
    return lambda *overrides: make_settings("launcher=serial", "analysis=full", *overrides, study="bowl")


def attributes_of(settings: StudySettings) -> dict[str, Any]:
    return dict(open_study(settings, InMemoryStorage()).user_attrs)


def told(look: Callable[[], object]) -> str | None:
    """Look, with an output in UTF-8. Return the message where an error of ours ends it."""
    with contextlib.redirect_stdout(TextIOWrapper(BytesIO(), encoding="utf-8")):
        try:
            look()
        except StudyError as error:
            return str(error)
    return None


def look_at(storage: BaseStorage, folder: Path) -> None:
    """List the one study of `storage`, and report it from the storage alone."""
    (stored,) = storage.get_all_studies()
    study = optuna.load_study(study_name=stored.study_name, storage=storage)
    assert told(lambda: print_studies(storage)) is None
    told(lambda: write_study_report(study, folder, FULL, seed=0, console=make_console()))


def report_own(settings: StudySettings, storage: BaseStorage) -> None:
    found, settings = find_study(settings, storage)
    assert found is not None
    write_report(found, settings, rules_of(settings), console=make_console())


def test_no_study_of_another_tool_ends_in_a_traceback(tmp_path: Path) -> None:
    @BOUNDS
    @given(storages(valid={}, of_trials={}))
    def look(storage: BaseStorage) -> None:
        look_at(storage, tmp_path)

    look()


@pytest.mark.parametrize("overrides", [(), GRID])
@pytest.mark.parametrize("is_tidy", [False, True])
def test_no_study_of_ours_ends_in_a_traceback(bowl: MakeSettings, overrides: tuple[str, ...], is_tidy: bool) -> None:
    own = bowl(*overrides)

    @BOUNDS
    @given(storages(valid=attributes_of(own), of_trials=TRIAL, space=SPACE, is_tidy=is_tidy))
    def look(storage: BaseStorage) -> None:
        look_at(storage, own.output_dir)
        told(lambda: report_own(own, storage))

    look()


BY_HAND: Mapping[str, FrozenTrial] = {
    "told": create_trial(value=-1.0, params={"x": 0.5}, distributions=SPACE),
    "of another parameter": create_trial(value=-1.0, params={"y": 0.5}, distributions={"y": SPACE["x"]}),
    "without parameters": create_trial(value=-1.0),
    "outside": create_trial(value=-1.0, params={"x": 50.0}, distributions={"x": FloatDistribution(0.0, 99.0)}),
    "a category": create_trial(value=-1.0, params={"x": "b"}, distributions={"x": CategoricalDistribution(("a", "b"))}),
}


@pytest.mark.parametrize("how", BY_HAND)
@pytest.mark.parametrize("overrides", [(), GRID])
def test_a_trial_that_a_person_told_by_hand_is_reported(
    bowl: MakeSettings, overrides: tuple[str, ...], how: str
) -> None:
    own, storage = bowl(*overrides), InMemoryStorage()
    study = open_study(own, storage)
    own.output_dir.mkdir(parents=True)
    (own.output_dir / "best.yaml").write_text("of an earlier best\n")
    for slot, x in enumerate((-5.0, 0.0, 5.0)):
        attributes = {**TRIAL, schema.SLOT: slot}
        study.add_trial(create_trial(value=x + 9, params={"x": x}, distributions=SPACE, user_attrs=attributes))
    study.add_trial(BY_HAND[how])
    study.enqueue_trial({"x": 1.0})
    study.ask()
    assert told(lambda: report_own(own, storage)) is None
    report = (own.output_dir / "report.md").read_text()
    assert report.split("\n\n")[1].startswith("Best height -1.0000 (trial 3)")
    assert "Trial 3 was told by hand and has no training seed, so there is no best.yaml of it." in report
    assert "best configuration" not in report
    assert not (own.output_dir / "best.yaml").exists()


def test_a_best_trial_that_a_worker_trained_has_its_best_yaml(bowl: MakeSettings) -> None:
    own, storage = bowl(), InMemoryStorage()
    study = open_study(own, storage)
    study.add_trial(create_trial(value=-2.0, params={"x": 1.0}, distributions=SPACE, user_attrs=TRIAL))
    study.add_trial(BY_HAND["told"])
    report_own(own, storage)
    assert "told by hand" not in (own.output_dir / "report.md").read_text()
    assert (own.output_dir / "best.yaml").exists()
