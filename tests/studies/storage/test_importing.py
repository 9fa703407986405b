"""Trials of an earlier study in a new one: which fit, how they get there, and that they take nobody's place."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from shipped import settings_of
from sleepers import Sleepers, check_notes
from sleeping import settings_of as sleeping_settings

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.search.pruners import make_pruner
from studies.search.samplers import StudySampler
from studies.storage.compatible import compatible_trials
from studies.storage.creation import open_study
from studies.storage.identity import find_study
from studies.storage.importing import bring_in, has_begun, ignored, is_to_import, told
from studies.storage.opening import open_storage
from studies.storage.slots import read_slots, rules_of

POINT = {"lr": 1e-3, "batch_size": 64, "n_layers": 2, "width": 64, "dropout": 0.25, "activation": "relu"}
NEXT = ("study_name=second", "import_from=digits")


def add(
    study: optuna.Study, settings: StudySettings, point: dict[str, Any], state: TrialState, **recorded: Any
) -> None:
    complete = state == TrialState.COMPLETE
    rungs = {1: 0.5, 2: 0.6, 3: 0.7} if complete else {1: 0.1} if state == TrialState.PRUNED else {}
    attributes = {schema.SOURCE: "explore", schema.SEED: 3, schema.SLOT: len(study.trials), **recorded}
    distributions = {name: settings.space[name].distribution() for name in point}
    study.add_trial(
        create_trial(
            state=state,
            value=0.7 if complete else None,
            params=point,
            distributions=distributions,
            intermediate_values=rungs,
            user_attrs=attributes,
        )
    )


def first(storage: BaseStorage, *overrides: str, **changes: Any) -> optuna.Study:
    """A study with a trial at POINT, changed so."""
    settings = settings_of(*overrides)
    study = open_study(settings, storage)
    point = {name: value for name, value in {**POINT, **changes}.items() if name in settings.space.names}
    add(study, settings, point, TrialState.COMPLETE)
    return study


def imported(storage: BaseStorage, *overrides: str) -> optuna.Study:
    settings = settings_of(*NEXT, *overrides)
    found = compatible_trials(settings, storage)
    study = open_study(settings, storage)
    assert bring_in(found, study, storage, lease_s=settings.storage.lease_s)
    return study


def brought(study: optuna.Study) -> list[FrozenTrial]:
    return [trial for trial in study.trials if schema.is_imported(trial)]


def refused(storage: BaseStorage, *overrides: str) -> dict[str, str]:
    with pytest.raises(BadInput) as caught:
        compatible_trials(settings_of(*NEXT, *overrides), storage)
    return {problem.key: problem.complaint for problem in caught.value.problems}


def test_an_imported_trial_has_its_point_values_rungs_and_record_and_says_where_it_comes_from(
    storage: BaseStorage,
) -> None:
    first(storage)
    study = imported(storage, "search_space.lr.high=0.1")
    (trial,) = brought(study)
    assert (trial.params, trial.value, trial.intermediate_values) == (POINT, 0.7, {1: 0.5, 2: 0.6, 3: 0.7})
    assert trial.user_attrs[schema.IMPORTED_FROM] == {"study": "digits", "trial": 0}
    assert (trial.user_attrs[schema.SOURCE], trial.user_attrs[schema.SEED]) == ("explore", 3)
    assert schema.SLOT not in trial.user_attrs
    assert trial.distributions["lr"] == settings_of("search_space.lr.high=0.1").space["lr"].distribution()
    assert told(study) == "1 of 1 trials of study digits were imported"


def test_only_what_ended_with_a_result_is_imported_and_the_rest_is_told(storage: BaseStorage) -> None:
    study, settings = first(storage), settings_of()
    add(study, settings, POINT, TrialState.PRUNED)
    add(study, settings, POINT, TrialState.PRUNED, failure="diverged")
    add(study, settings, POINT, TrialState.FAIL, failure="error")
    add(study, settings, {}, TrialState.FAIL, void=True)
    study.enqueue_trial(POINT)
    add(study, settings, {**POINT, "lr": 0.02}, TrialState.COMPLETE)
    found = compatible_trials(settings_of(*NEXT, "search_space.lr.high=0.01"), storage)
    assert [trial.user_attrs[schema.IMPORTED_FROM]["trial"] for trial in found.trials] == [0, 1, 2]
    assert found.left_out == {"did not end with a result": 2, "lr lies outside its values here": 1}
    assert "3 of 6 trials of study digits (left out: 2: did not" in str(found)


@pytest.mark.parametrize(
    ("before", "now", "changes", "there"),
    [
        ((), ("~search_space.dropout",), {"dropout": 0.0}, True),  # searched before, fixed at that very value now
        ((), ("~search_space.dropout",), {"dropout": 0.1}, False),
        (("~search_space.dropout",), (), {}, True),  # fixed before at a value that the space holds
        (("~search_space.dropout",), ("search_space.dropout.low=0.1",), {}, False),
        (("~search_space.activation",), (), {}, True),
        (("~search_space.activation",), ("search_space.activation.choices=[gelu,tanh]",), {}, False),
        ((), ("search_space.width.low=128",), {}, False),
        ((), ("model.label_smoothing=0.1",), {}, False),
        ((), ("+search_space.dropout.when={activation: [tanh]}",), {"dropout": 0.0}, True),
        ((), ("+search_space.dropout.when={activation: [tanh]}",), {"dropout": 0.1}, False),
        (("datamodule.batch_size=32",), ("datamodule.batch_size=64",), {}, True),  # searched: what is fixed is nothing
    ],
)
def test_a_trial_fits_where_this_study_would_train_the_same_configuration(
    storage: BaseStorage, before: tuple[str, ...], now: tuple[str, ...], changes: dict[str, Any], there: bool
) -> None:
    first(storage, *before, **changes)
    if not there:
        assert refused(storage, *now)
        return
    (trial,) = brought(imported(storage, *now))
    space = settings_of(*NEXT, *now).space
    assert set(trial.params) == {p.name for p in space if all(trial.params[k] in v for k, v in p.when.items())}
    assert trial.params.get("activation") == "relu"


def test_conditional_spaces_and_choices_that_are_sub_configs_are_compared_as_they_train(storage: BaseStorage) -> None:
    settings = settings_of("study_name=digits", study="digits_optimizers")
    study = open_study(settings, storage)
    for point in (
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"optimizer": "adam", "lr": 0.01},
        {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01},
    ):
        add(study, settings, point, TrialState.COMPLETE)
    without = ("~search_space.weight_decay", "search_space.lr.high=0.5")
    found = compatible_trials(settings_of(*NEXT, *without, study="digits_optimizers"), storage)
    assert [trial.params["optimizer"] for trial in found.trials] == ["sgd", "adam", "adamw"]
    assert found.trials[0].params == {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}
    others = ("search_space.optimizer.choices.adam.betas=[0.9,0.99]", "~search_space.weight_decay")
    found = compatible_trials(settings_of(*NEXT, *others, study="digits_optimizers"), storage)
    assert found.left_out == {"model.optimizer.betas.1 differs from what it is here": 1}


@pytest.mark.parametrize(
    ("override", "problems"),
    [
        (
            "objective={metric: val/f1, direction: maximize}",
            {"objective.metric": "is 'val/f1' but 'val/accuracy' in study digits"},
        ),
        ("budget.amount=4", {"budget.amount": "is 4 but 3", "budget.rungs": "is 4 but 3"}),
        ("model.label_smoothing=0.1", {"model.label_smoothing": "is 0.1 but 0.0 in study digits"}),
        ("seed=1", {"seed": "is 1 but 0", "datamodule.split_seed": "is 1 but 0"}),
        ("search_space.lr.low=0.01", {"import_from": "is digits, none of whose trials fits (1: lr lies outside"}),
        ("import_from=digit", {"import_from": "is digit, which the storage does not hold"}),
        ("study_name=digits", {"import_from": "is digits, the study itself"}),
    ],
)
def test_where_nothing_fits_the_keys_that_differ_are_told(
    storage: BaseStorage, override: str, problems: dict[str, str]
) -> None:
    first(storage)
    found = refused(storage, override)
    assert found.keys() == problems.keys()
    for key, complaint in problems.items():
        assert complaint in found[key]


def test_a_study_of_another_tool_has_nothing_to_give(storage: BaseStorage) -> None:
    optuna.create_study(study_name="digits", storage=storage)
    assert "did not make" in refused(storage)["import_from"]


def test_attributes_that_look_like_ours_do_not_make_a_study_ours(storage: BaseStorage) -> None:
    study = optuna.create_study(study_name="digits", storage=storage)
    for key, value in {"fingerprint": "0" * 16, "config": "a: [", "identity": "{", "space": "small"}.items():
        study.set_user_attr(key, value)
    assert "did not make" in refused(storage)["import_from"]


def test_a_damaged_study_has_nothing_to_give(storage: BaseStorage) -> None:
    first(storage).set_user_attr(schema.STUDY_IDENTITY, "{")
    told = refused(storage)["import_from"]
    assert told == "is digits, which the storage holds damaged: identity is '{', no mapping in JSON"


def test_a_round_of_a_selection_has_nothing_to_give_since_its_seeds_are_to_be_fresh(storage: BaseStorage) -> None:
    study = first(storage)
    study.set_user_attr(schema.STUDY_SELECT, {"of": "searched", "stage": "race", "round": 1, "trials": [0]})
    assert "a round of a selection" in refused(storage)["import_from"]


def test_what_another_studys_policy_drew_teaches_as_another_samplers_point_does(storage: BaseStorage) -> None:
    drawn = {}
    for source in ("reinforce", "explore"):
        own = InMemoryStorage()
        settings = settings_of("sampler=reinforce")
        study = open_study(settings, own)
        scratch = optuna.create_study(direction="maximize")
        for n in range(40):
            at = {**POINT, "dropout": round(0.0125 * n, 4)}
            add(scratch, settings, at, TrialState.COMPLETE, source=source)
        for n, trial in enumerate(scratch.trials):
            trial.values = [0.5 + 0.4 * ((7 * n) % 40) / 40]
            study.add_trial(trial)
        second = imported(own, "sampler=reinforce", "sampler.explore_fraction=0")
        now = settings_of(*NEXT, "sampler=reinforce", "sampler.explore_fraction=0")
        second.sampler = StudySampler(now)
        drawn[source] = now.space.suggest(second.ask())
    assert drawn["reinforce"] == drawn["explore"]


def test_a_grid_imports_nothing() -> None:
    with pytest.raises(BadInput, match="import_from does nothing for a grid"):
        settings_of(*NEXT, "sampler=grid", "n_trials=null")


def test_imported_trials_take_no_slot_and_resuming_imports_nothing_more(storage: BaseStorage) -> None:
    origin = first(storage)
    study, settings = imported(storage), settings_of(*NEXT)
    assert read_slots(study.trials, 12) == []
    assert not rules_of(settings).are_all_finished(study.trials)
    study.ask()
    add(origin, settings_of(), POINT, TrialState.COMPLETE)
    found, _ = find_study(settings, storage)
    assert found is not None
    assert not is_to_import(settings.import_from, found)
    assert ignored(settings.import_from, found) is None
    assert len(brought(study)) == 1
    assert [slot.last.number for slot in read_slots(study.trials, 12)] == [study.trials[-1].number]


def test_an_imported_trial_repeats_none_of_this_studys_own(storage: BaseStorage) -> None:
    """There it repeated trial 3, which is another one here: the first of this study's own, after mark and import."""
    origin = first(storage)
    add(origin, settings_of(), POINT, TrialState.COMPLETE, **{schema.RETRY_OF: 3, schema.ATTEMPT: 1})
    study = imported(storage)
    own = study.ask()
    assert (len(brought(study)), own.number) == (2, 3)
    study.tell(own, state=TrialState.FAIL)
    (slot,) = read_slots(study.trials, 12)
    assert [trial.number for trial in slot.chain] == [own.number]
    assert not any(schema.RETRY_OF in trial.user_attrs for trial in brought(study))


def test_nothing_is_imported_from_a_study_with_another_second_objective(storage: BaseStorage) -> None:
    def second(direction: str) -> str:
        return f"objective.second={{metric: train/margin, direction: {direction}}}"

    open_study(settings_of(second("minimize")), storage)
    (told,) = refused(storage, second("maximize")).items()
    assert told[0] == "objective.second.direction"
    assert "is 'maximize' but 'minimize' in study digits" in told[1]
    (key,) = refused(storage, "objective.second={metric: val/loss, direction: minimize}")
    assert key == "objective.second.metric"


def test_a_study_that_began_without_imports_says_that_it_is_too_late(storage: BaseStorage) -> None:
    first(storage)
    study = open_study(settings_of("study_name=second"), storage)
    study.ask()
    settings = settings_of(*NEXT)
    assert has_begun(study)
    assert not is_to_import(settings.import_from, study)
    assert "does nothing: study second began without imported trials" in str(ignored(settings.import_from, study))


def test_what_a_dead_command_began_to_import_the_next_one_ends(storage: BaseStorage) -> None:
    origin, settings = first(storage), settings_of(*NEXT)
    for _ in range(5):
        add(origin, settings_of(), POINT, TrialState.COMPLETE)
    found, study = compatible_trials(settings, storage), open_study(settings, storage)
    looks = iter([False, False, True])
    assert not bring_in(found, study, storage, lease_s=settings.storage.lease_s, pause=lambda _: next(looks, True))
    assert len(brought(study)) == 2
    dead = {schema.VOID: True, schema.IMPORTED_FROM: {"study": "digits", "trial": None}, schema.WORKER: dead_worker()}
    study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs=dead))
    assert bring_in(found, study, storage, lease_s=settings.storage.lease_s)
    assert sorted(trial.user_attrs[schema.IMPORTED_FROM]["trial"] for trial in brought(study)) == list(range(6))
    assert not any(trial.state == TrialState.RUNNING for trial in study.trials)
    assert read_slots(study.trials, 12) == []


class Overtaken(InMemoryStorage):
    """Another command's mark is written just before the first of ours."""

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        if (
            template_trial is not None
            and schema.VOID in template_trial.user_attrs
            and not self.get_all_trials(study_id)
        ):
            super().create_new_trial(study_id, template_trial)
        return super().create_new_trial(study_id, template_trial)


def test_a_command_whose_mark_comes_second_leaves_the_import_to_the_first() -> None:
    storage = Overtaken()
    first(storage)
    settings = settings_of(*NEXT)
    study = open_study(settings, storage)
    looks = iter([False, False])
    found = compatible_trials(settings, storage)
    assert not bring_in(found, study, storage, lease_s=60, pause=lambda _: next(looks, True))
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING, TrialState.FAIL]


def test_a_command_that_was_taken_for_dead_adds_nothing_when_it_wakes(storage: BaseStorage) -> None:
    origin, settings = first(storage), settings_of(*NEXT)
    for _ in range(5):
        add(origin, settings_of(), POINT, TrialState.COMPLETE)
    found, study = compatible_trials(settings, storage), open_study(settings, storage)
    slept = []

    def sleep_long(_: float) -> bool:
        slept.append(True)
        if len(slept) == 3:
            study.tell(next(t.number for t in study.trials if t.state == TrialState.RUNNING), state=TrialState.FAIL)
            assert bring_in(found, study, storage, lease_s=settings.storage.lease_s)
        return False

    assert bring_in(found, study, storage, lease_s=settings.storage.lease_s, pause=sleep_long)
    assert sorted(trial.user_attrs[schema.IMPORTED_FROM]["trial"] for trial in brought(study)) == list(range(6))


def dead_worker() -> str:
    """A worker's name that this machine would have given to a process that is gone."""
    from studies.storage.lease import worker_id

    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()
    return f"{worker_id().rpartition(':')[0]}:{process.pid}"


def test_the_sampler_learns_from_what_was_imported_and_the_pruner_sees_its_rungs(storage: BaseStorage) -> None:
    origin = first(storage)
    for n in range(30):
        lr = 10 ** (-4 + n / 15)
        add(origin, settings_of(), {**POINT, "lr": lr}, TrialState.COMPLETE)
    overrides = ("search_space.lr.high=0.1", "sampler.explore_fraction=0", "pruner.n_startup_trials=5")
    study, settings = imported(storage, *overrides), settings_of(*NEXT, *overrides)
    pruner = make_pruner(settings.pruner, settings.objective, rungs=settings.budget.rungs)
    study = optuna.load_study(study_name="second", storage=storage, sampler=StudySampler(settings), pruner=pruner)
    trial = study.ask()
    modelled = study.sampler.infer_relative_search_space(study, study.trials[-1])
    assert set(modelled) == set(settings.space.names)  # else TPE would draw at random
    trial.report(0.1, 1)
    trial.report(0.1, 2)
    assert trial.should_prune()


OPENERS = 4
SLEEPING = ("study_name=sleepers", "workers=1", "storage.lease_s=60", "n_trials=12")


def open_and_import(asked: tuple[str, ...], begin: Any) -> None:
    settings = sleeping_settings(asked)
    storage = open_storage(settings.storage.address)
    found = compatible_trials(settings, storage)
    begin.wait(60)
    study = open_study(settings, storage)
    assert bring_in(found, study, storage, lease_s=settings.storage.lease_s)
    assert len(brought(study)) == len(found.trials)  # all are there for whoever begins


def import_at_once(url: str, folder: Path, sleepers: Callable[..., Sleepers]) -> None:
    asked = (*SLEEPING, f"storage.url='{url}'", f"output_dir={folder}/out", "import_from=origin")
    settings = sleeping_settings(("study_name=origin", f"storage.url='{url}'", f"output_dir={folder}/out"))
    origin = open_study(settings, open_storage(url))
    points = [settings.space.from_unit([(n + 0.5) / 25] * len(settings.space)) for n in range(25)]
    for point in points:
        add(origin, settings, point, TrialState.COMPLETE)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sleeping"])
    begin = context.Barrier(OPENERS)
    openers = [context.Process(target=open_and_import, args=(asked, begin)) for _ in range(OPENERS)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(120)
    assert [opener.exitcode for opener in openers] == [0] * OPENERS
    group = sleepers(url, "import_from=origin", "n_trials=12", seconds=0.05)
    group.start(2)
    group.leave()
    trials = group.study().get_trials(deepcopy=False)
    origins = Counter(trial.user_attrs[schema.IMPORTED_FROM]["trial"] for trial in brought(group.study()))
    assert origins == dict.fromkeys(range(25), 1)
    own = [trial for trial in trials if schema.IMPORTED_FROM not in trial.user_attrs]
    assert Counter(t.state for t in own if schema.VOID not in t.user_attrs) == {TrialState.COMPLETE: 12}
    assert [slot.last.state for slot in read_slots(trials, 12)] == [TrialState.COMPLETE] * 12
    check_notes(group.notes, own)


def test_whoever_opens_a_study_at_once_imports_each_trial_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    origin = first(open_storage(url))
    for _ in range(5):
        add(origin, settings_of(), POINT, TrialState.COMPLETE)
    found = compatible_trials(settings_of(*NEXT), open_storage(url))
    study = open_study(settings_of(*NEXT), open_storage(url))
    begin = threading.Barrier(OPENERS)

    def opened(_: int) -> int:
        storage = open_storage(url)
        begin.wait(60)
        bring_in(found, open_study(settings_of(*NEXT), storage), storage, lease_s=60)
        return len(brought(study))

    with ThreadPoolExecutor(OPENERS) as pool:
        assert list(pool.map(opened, range(OPENERS))) == [6] * OPENERS
    assert Counter(t.user_attrs[schema.IMPORTED_FROM]["trial"] for t in brought(study)) == dict.fromkeys(range(6), 1)


@pytest.mark.slow
def test_commands_that_open_a_study_at_once_import_each_trial_once(
    tmp_path: Path, sleepers: Callable[..., Sleepers]
) -> None:
    import_at_once(f"sqlite:///{tmp_path}/studies.db", tmp_path, sleepers)


@pytest.mark.slow
def test_so_they_do_in_postgresql(postgresql_url: str, tmp_path: Path, sleepers: Callable[..., Sleepers]) -> None:
    import_at_once(postgresql_url, tmp_path, sleepers)
