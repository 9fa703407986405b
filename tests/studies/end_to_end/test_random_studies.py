"""Whatever a storage holds, `list` and `report` end in what they print or in an error of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import hypothesis
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, create_trial
from random_studies import edited, storages

from studies import schema
from studies.analysis.choice import Choice
from studies.analysis.estimate import Estimate
from studies.cli.commands.list import print_studies
from studies.cli.console import make_console
from studies.cli.reports import report_stored, report_study
from studies.config.settings import AnalysisSettings, StudySettings
from studies.errors import StudyError
from studies.records.stored import trials_of
from studies.selection.chosen import best_yaml
from studies.storage import importing
from studies.storage.checkpoints import checkpoints_of
from studies.storage.compatible import compatible_trials
from studies.storage.creation import open_study
from studies.storage.identity import (
    changed_search,
    find_study,
    identity,
    moved_data,
    refuse_changes,
    rule_of,
    search_of,
)

pytestmark = pytest.mark.usefixtures("pictures")

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
    told(lambda: report_stored(study, folder, FULL, seed=0, console=make_console()))


def report_own(settings: StudySettings, storage: BaseStorage) -> None:
    found, settings = find_study(settings, storage)
    assert found is not None
    report_study(found, settings, console=make_console())


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


DESCRIBED = """
x: {paths: [m.x], type: float, role: nuisance, low: -5.0, high: 5.0, log: false, step: null}
n: {paths: [m.n, m.o], type: int, role: nuisance, low: 0, high: 6, log: false, step: 3}
size: {paths: [m.size], type: power_of_two, role: scientific, low: 1, high: 8, log: true, step: null}
c: {paths: [m.c], type: categorical, role: nuisance, choices: {a: 1, b: {d: 2}}}
rate: {paths: [m.rate], type: float, role: nuisance, low: 0.1, high: 1.0, log: true, step: null, when: {c: [a]}}
"""
VARIED: Mapping[str, BaseDistribution] = {
    **{**SPACE, "n": IntDistribution(0, 6, step=3), "size": IntDistribution(1, 8, log=True)},
    **{"c": CategoricalDistribution(("a", "b")), "rate": FloatDistribution(0.1, 1.0, log=True)},
}
EDITED = {
    schema.STUDY_SPACE: DESCRIBED,
    schema.STUDY_HYPOTHESIS: {"claim": "c", "rule": "none", "of": None, "before": None, "after": None, "boundary": 0.0},
    schema.STUDY_SELECT: {"of": "other", "stage": "estimate", "round": 0, "trials": [0, 0]},
    schema.IMPORTED: {"study": "s", "trials": 1, "left_out": {"why": 2}},
}
EDITED_TRIAL = {
    **TRIAL,
    schema.BATCH_HALVED: {"batch_size": 8, "accumulate_grad_batches": 2},
    schema.IMPORTED_FROM: {"study": "s", "trial": 3},
    schema.CHECKPOINT: {"path": "trials/trial-0/a.ckpt", "sha256": "0", "rung": 1, "steps": 3, "exact": True},
    **{schema.TEST: {"acc": 0.5, "n": 9}, schema.LINKED: {"m.x": 1}, schema.FOUND: {"lr": 0.1}, schema.STEPS: 3},
}


def edited_study(of_study: dict[str, Any], of_a_trial: dict[str, Any]) -> BaseStorage:
    """A study of eight trials, the last of which may have been edited."""
    storage = InMemoryStorage()
    study = optuna.create_study(study_name="bowl", storage=storage)
    for key, value in of_study.items():
        study.set_user_attr(key, value)
    for i in range(8):
        params = {
            "x": i / 2,
            "n": i // 2 % 3 * 3,
            "size": 2 ** (i % 4),
            **({"c": "b"} if i % 3 else {"c": "a", "rate": 0.5}),
        }
        attributes = {**TRIAL, schema.SLOT: i} if i < 7 else of_a_trial
        space = {name: VARIED[name] for name in params}
        study.add_trial(create_trial(value=-i, params=params, distributions=space, user_attrs=attributes))
    return storage


def go_on(settings: StudySettings, storage: BaseStorage) -> None:
    """Read whatever a command reads that goes on with the study, or imports from it."""
    study = optuna.load_study(study_name="bowl", storage=storage)
    trials = trials_of(study)
    if not schema.is_ours(study.user_attrs):
        return
    moved_data(settings.template, study)
    changed_search(search_of(settings.sampler, settings.pruner), study)
    rule_of(study)
    importing.told(study)
    told(lambda: refuse_changes(identity(settings), study, taken=set(), is_designed=False))
    told(lambda: compatible_trials(replace(settings, study_name="new", import_from="bowl"), storage))
    checkpoints_of(settings).discard_useless(trials)
    best_yaml(settings, Choice(trials[-1], Estimate(0.0, n=1)))
    open_study(settings, storage, pause=lambda _: True)


@pytest.mark.parametrize("edit", [(True, False), (False, True)])
def test_no_edit_of_an_attribute_of_ours_ends_in_a_traceback(bowl: MakeSettings, edit: tuple[bool, bool]) -> None:
    own = bowl()
    own.output_dir.mkdir(parents=True)
    of_study, of_a_trial = {**attributes_of(own), **EDITED}, EDITED_TRIAL
    assert told(lambda: go_on(own, edited_study(of_study, of_a_trial))) is None

    @hypothesis.settings(BOUNDS, max_examples=60)
    @given(edited(of_study) if edit[0] else st.just(of_study), edited(of_a_trial) if edit[1] else st.just(of_a_trial))
    def look(of_study: dict[str, Any], of_a_trial: dict[str, Any]) -> None:
        storage = edited_study(of_study, of_a_trial)
        look_at(storage, own.output_dir)
        told(lambda: go_on(own, storage))

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
