from __future__ import annotations

import math
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from trainings import run

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import StorageUnusable, StudyStopped
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.schema import Failure, failure_of
from studies.search.pruners import make_pruner
from studies.search.seeds import replicate_of, training_seed
from studies.storage.creation import open_study
from studies.storage.identity import find_study
from studies.storage.opening import open_storage
from studies.storage.patience import Patience, PatientStorage
from studies.storage.slots import read_slots, rules_of
from studies.trial.objective import run_trial
from studies.trial.outcome import Outcome
from studies.trial.reports import IntermediateValues
from studies.trial.rungs.rungs import Rung
from studies.worker import WorkerContext, work

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]


def test_a_study_of_good_trials_is_complete_and_recorded_by_the_schema(plain: MakeSettings) -> None:
    settings = plain("n_trials=10")
    trials = run(settings)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 10
    for slot, trial in enumerate(trials):
        recorded = trial.user_attrs
        assert recorded[schema.SLOT] == slot
        assert recorded[schema.REPLICATE] == replicate_of(settings, slot)
        assert recorded[schema.SEED] == training_seed(settings.seed, recorded[schema.REPLICATE])
        assert recorded[schema.SOURCE] == "random"
        assert recorded[schema.SAMPLES_SEEN] == [100, 200]
        assert recorded[schema.STEPS] == 20
        assert recorded[schema.DEVICE] == "cpu"
        assert recorded[schema.PROCESSOR].startswith(f"{os.cpu_count()} cores of ")
        assert recorded[schema.SECONDS] > 0
        assert recorded[schema.PEAK_MEMORY_MB] > 0
        assert recorded[schema.CONVERGENCE] in (1, 2)
        assert list(trial.intermediate_values) == [1, 2]
        assert trial.value == trial.intermediate_values[2]
        assert schema.FAILURE not in recorded


TPE = ("sampler=tpe", "budget.amount=1")


def sources(trials: list[FrozenTrial]) -> list[str]:
    return [trial.user_attrs[schema.SOURCE] for trial in trials]


def test_quasi_random_trials_are_marked_and_a_study_goes_on_with_another_share(plain: MakeSettings) -> None:
    assert sources(run(plain(*TPE, "n_trials=8"))) == ["tpe", "tpe", "tpe", "explore"] * 2
    more = plain(*TPE, "n_trials=12", "sampler.explore_fraction=0.5")
    study, _ = find_study(more, open_storage(more.storage.address))
    assert study is not None
    assert sources(run(more))[8:] == ["tpe", "explore"] * 2
    without = plain(*TPE, "n_trials=16", "analysis=none")
    find_study(without, open_storage(without.storage.address))
    assert sources(run(without))[12:] == ["tpe"] * 4


def test_a_repeated_point_keeps_its_source_whatever_the_share_is_now(plain: MakeSettings, tmp_path: Path) -> None:
    run(plain(*TPE, "n_trials=1"))
    broken = ("model.behaviour=raise", f"model.marker={tmp_path}/tries", "model.times=1", "max_failures=1")
    with pytest.raises(StudyStopped):
        run(plain(*TPE, "n_trials=2", "sampler.explore_fraction=0.5", *broken))
    trials = run(plain(*TPE, "n_trials=2", "sampler.explore_fraction=0"))
    assert sources(trials) == ["tpe", "explore", "explore"]
    assert trials[1].params == trials[2].params


def test_a_repeated_trial_that_never_had_a_point_has_the_source_of_the_new_one(plain: MakeSettings) -> None:
    settings = plain(*TPE, "n_trials=1")
    study = open_study(settings, open_storage(settings.storage.address))
    trial = study.ask()
    trial.set_user_attr(schema.SOURCE, "explore")
    study.tell(trial, state=TrialState.FAIL)
    assert sources(run(settings)) == ["explore", "tpe"]


def test_a_retry_trains_with_the_seed_of_the_first_try(plain: MakeSettings) -> None:
    """A version with another rule may have begun it."""
    settings = plain("n_trials=1")
    study = open_study(settings, open_storage(settings.storage.address))
    trial = study.ask()
    trial.set_user_attr(schema.REPLICATE, 11)
    study.tell(trial, state=TrialState.FAIL)
    _, retry = run(settings)
    assert retry.user_attrs[schema.SEED] == training_seed(settings.seed, 11)


def test_what_takes_the_place_of_an_enqueued_point_was_not_enqueued_nor_were_its_repetitions(
    plain: MakeSettings,
) -> None:
    broken = ("model.behaviour=raise", "model.above=0.002", "max_retries=1", "max_failures=40")
    trials = run(plain("n_trials=1", "enqueue=[{lr: 0.05}]", *broken))
    assert len(trials) > 4
    assert trials[2].params == trials[3].params
    assert sources(trials) == ["enqueued"] * 2 + ["random"] * (len(trials) - 2)


def test_working_on_a_finished_study_adds_nothing(plain: MakeSettings) -> None:
    settings = plain()
    assert len(run(settings)) == len(run(settings)) == 4


def test_more_trials_go_on_where_the_study_ended(plain: MakeSettings) -> None:
    run(plain("n_trials=3"))
    more = run(plain("n_trials=6"))
    at_once = run(plain("n_trials=6", "study_name=again"))
    assert [trial.params for trial in more] == [trial.params for trial in at_once]
    assert [trial.value for trial in more] == [trial.value for trial in at_once]


@pytest.mark.parametrize(
    ("behaviour", "failure"), [("not_a_number", "diverged"), ("infinite", "diverged"), ("oom", "out_of_memory")]
)
def test_a_failure_of_the_configuration_is_pruned_counted_and_not_retried(
    plain: MakeSettings, behaviour: str, failure: str
) -> None:
    trials = run(plain(f"model.behaviour={behaviour}", "model.above=0.01"))
    bad = [trial for trial in trials if trial.params["lr"] > 0.01]
    assert len(trials) == 4
    assert 0 < len(bad) < 4
    assert {failure_of(trial) for trial in bad} == {Failure(failure)}
    assert {trial.state for trial in bad} == {TrialState.PRUNED}
    assert all(trial.value is None or math.isfinite(trial.value) for trial in trials)
    assert all(trial.user_attrs[schema.FAILURE_MESSAGE] for trial in bad)
    assert {trial.state for trial in trials if trial not in bad} == {TrialState.COMPLETE}


def test_running_out_of_the_machines_memory_is_recognised(plain: MakeSettings) -> None:
    trials = run(plain("model.behaviour=memory", "n_trials=1"))
    assert [failure_of(trial) for trial in trials] == [Failure.OUT_OF_MEMORY]


def test_an_error_is_retried_at_the_same_point_until_it_succeeds(plain: MakeSettings, tmp_path: Path) -> None:
    trials = run(plain("n_trials=1", "model.behaviour=raise", f"model.marker={tmp_path}/tries", "model.times=2"))
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]
    assert [failure_of(trial) for trial in trials] == [Failure.ERROR, Failure.ERROR, None]
    assert len({trial.params["lr"] for trial in trials}) == 1
    assert [trial.user_attrs.get(schema.ATTEMPT, 0) for trial in trials] == [0, 1, 2]
    assert trials[0].user_attrs[schema.FAILURE_MESSAGE].startswith("ValueError: the module is broken at lr")
    assert {trial.user_attrs[schema.SEED] for trial in trials} == {trials[0].user_attrs[schema.SEED]}


def test_a_point_that_fails_for_good_is_replaced_in_a_search(plain: MakeSettings) -> None:
    settings = plain("n_trials=6", "max_retries=1", "model.behaviour=raise", "model.above=0.02", "max_failures=20")
    trials = run(settings)
    slots = read_slots(trials, 6)
    assert [slot.last.state for slot in slots] == [TrialState.COMPLETE] * 6
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert failed
    assert all(trial.user_attrs[schema.SOURCE] == "random" for trial in trials)
    for lr in {trial.params["lr"] for trial in failed}:
        assert sum(trial.params["lr"] == lr for trial in failed) == 2


def test_a_cell_that_fails_for_good_is_that_cells_result_in_a_grid(plain: MakeSettings) -> None:
    settings = plain(
        "n_trials=null", "sampler=grid", "replicates=2", "max_retries=1", "model.behaviour=raise", "model.above=0.05"
    )
    trials = run(settings)
    assert settings.n_trials == 8
    assert rules_of(settings).are_all_finished(trials)
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == 6
    assert sum(failure_of(trial) == Failure.ERROR for trial in trials) == 4


def test_a_study_whose_trials_all_fail_alike_stops_and_says_why(plain: MakeSettings) -> None:
    with pytest.raises(StudyStopped, match=r"last 3 trials \(0, 1, 2\) all ended in error: ValueError: the module"):
        run(plain("model.behaviour=raise", "max_failures=3"))


def test_failures_of_an_earlier_run_do_not_stop_a_corrected_one(plain: MakeSettings, tmp_path: Path) -> None:
    overrides = ("model.behaviour=raise", f"model.marker={tmp_path}/tries", "model.times=3", "max_failures=3")
    with pytest.raises(StudyStopped):
        run(plain(*overrides))
    assert rules_of(plain(*overrides)).are_all_finished(run(plain(*overrides)))


def test_a_signal_frees_the_trial_and_the_next_run_repeats_it(plain: MakeSettings, tmp_path: Path) -> None:
    settings = plain("n_trials=2", "model.behaviour=interrupt", f"model.marker={tmp_path}/tries", "model.times=1")
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    signals = StopSignals().install()
    try:
        trials = run(settings, signals=signals)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    assert signals.reason() == "SIGTERM"
    assert [failure_of(trial) for trial in trials] == [Failure.KILLED]
    assert trials[0].user_attrs[schema.FAILURE_MESSAGE].startswith("interrupted")
    trials = run(settings)
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert trials[1].params == trials[0].params
    assert trials[1].user_attrs[schema.ATTEMPT] == 0


def test_no_trial_begins_after_the_time_is_up(plain: MakeSettings) -> None:
    assert run(plain(), deadline=datetime.now() - timedelta(seconds=1)) == []


def test_a_trial_over_its_own_time_ends_as_pruned_and_says_so(plain: MakeSettings) -> None:
    trials = run(plain("n_trials=1", "max_trial_s=0.3", "model.sleep_s=0.05", "budget.amount=50"))
    assert [trial.state for trial in trials] == [TrialState.PRUNED]
    assert "max_trial_s reached" in trials[0].user_attrs[schema.FAILURE_MESSAGE]
    assert failure_of(trials[0]) is None


def test_the_best_rung_counts_where_the_config_says_so(plain: MakeSettings) -> None:
    upwards = ("objective.direction=maximize", "objective.direction_is_meant=true")
    trials = run(plain("objective.value=best", *upwards, "budget.amount=3"))
    assert [trial.value for trial in trials] == [max(trial.intermediate_values.values()) for trial in trials]
    assert any(trial.value != trial.intermediate_values[3] for trial in trials)


def test_pruned_trials_stop_at_a_rung_but_never_at_the_last(plain: MakeSettings) -> None:
    trials = run(plain("n_trials=20", "pruner=median", "budget.amount=4"))
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert pruned
    assert all(max(trial.intermediate_values) < 4 for trial in pruned)
    assert all(max(trial.intermediate_values) == 4 for trial in trials if trial.state == TrialState.COMPLETE)


def test_a_pruner_that_objects_at_the_last_rung_comes_too_late(plain: MakeSettings) -> None:
    """Every value exceeds the threshold, which is looked at from rung 4 of 4 on."""
    overrides = ("pruner=threshold", "pruner.upper=-1.0", "budget.amount=4")
    trials = run(plain("n_trials=2", *overrides, "pruner.n_warmup_steps=4"))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    earlier = run(plain("n_trials=2", *overrides, "pruner.n_warmup_steps=3", "study_name=earlier"))
    assert [(trial.state, max(trial.intermediate_values)) for trial in earlier] == [(TrialState.PRUNED, 3)] * 2


@pytest.mark.slow
def test_hyperband_leaves_the_design_as_it_is(plain: MakeSettings) -> None:
    """Optuna shows samplers one bracket at a time under Hyperband; slots are counted over all of them."""
    wanted = [trial.params for trial in run(plain("n_trials=12"))]
    overrides = ("study_name=hyper", "pruner=hyperband", "pruner.reduction_factor=2", "budget.amount=8")
    assert [trial.params for trial in run(plain("n_trials=12", *overrides))] == wanted
    grid = run(plain("n_trials=null", *overrides, "study_name=grid", "sampler=grid", "replicates=3"))
    assert {trial.state for trial in grid} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert sorted(trial.params["lr"] for trial in grid) == sorted(3 * [1e-3, *(10 ** (-7 / 3), 10 ** (-5 / 3)), 1e-1])


def test_a_trial_that_was_given_to_another_worker_is_dropped_and_repeated(plain: MakeSettings) -> None:
    thief = f"{{_target_: user_callbacks.TakesTheFirstTrial, url: '{plain().storage.address}'}}"
    trials = run(plain("n_trials=1", f"+callbacks.thief={thief}"))
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert trials[1].user_attrs[schema.RETRY_OF] == 0


def test_a_value_that_the_storage_refuses_is_not_taken_for_a_lost_trial(plain: MakeSettings) -> None:
    settings = plain("n_trials=1")
    storage = open_storage(settings.storage.address)
    open_study(settings, storage)
    context = WorkerContext(settings, "here", Deadline(datetime.now()), StopSignals())
    with pytest.raises(ValueError, match="nan"):
        work(storage, context=context, run_trial=lambda *_, **__: Outcome(TrialState.COMPLETE, float("nan")))


def test_a_module_that_prunes_itself_is_pruned(plain: MakeSettings) -> None:
    trials = run(plain("n_trials=1", "model._target_=user_modules.PrunesItself"))
    assert [(trial.state, failure_of(trial)) for trial in trials] == [(TrialState.PRUNED, None)]


def test_a_full_disk_ends_the_work_with_a_clear_error_and_an_intact_database(plain: MakeSettings) -> None:
    settings = plain("n_trials=300", "budget.amount=1")
    storage = open_storage(settings.storage.address)
    study = open_study(settings, storage)
    assert isinstance(study, optuna.Study)
    import sqlalchemy

    with storage.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def limit(connection: object, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 2}")  # type: ignore[attr-defined]

    storage.engine.dispose()
    sqlalchemy.event.listen(storage.engine, "connect", limit)
    with pytest.raises(StorageUnusable, match=r"database or disk is full.*intact.*free some space"):
        work(
            storage,
            context=WorkerContext(settings, "here", Deadline(datetime.now()), StopSignals()),
            run_trial=run_trial,
        )
    fresh = open_storage(settings.storage.address)
    with fresh.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    trials = optuna.load_study(study_name="plain", storage=fresh).trials
    assert any(trial.state == TrialState.COMPLETE for trial in trials)


def test_no_trial_begins_once_one_is_as_good_as_asked_for(plain: MakeSettings) -> None:
    whole = run(plain("n_trials=6", "study_name=whole"))
    second = min(trial.value for trial in whole[:2] if trial.value is not None)
    trials = run(plain("n_trials=6", f"stop_at={second}"))
    assert [trial.value for trial in trials] == [trial.value for trial in whole[: len(trials)]]
    assert len(trials) in (1, 2)
    assert run(plain("n_trials=6", f"stop_at={second}")) == trials
    assert len(run(plain("n_trials=6", "stop_at=0"))) == 6


@pytest.mark.parametrize("end", ["stop_at", "timeout_s"])
def test_whoever_leaves_an_unfinished_study_frees_what_a_lost_machine_left_running(
    plain: MakeSettings, end: str
) -> None:
    settings = plain("n_trials=6", "storage.lease_s=1", *(["stop_at=1000"] if end == "stop_at" else []))
    study = open_study(settings, open_storage(settings.storage.address))
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=1.0))
    study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs={schema.WORKER: "lost:0:0:1"}))
    trials = run(settings, deadline=datetime.now() if end == "timeout_s" else None)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.FAIL]
    assert failure_of(trials[1]) is Failure.KILLED


def test_a_pruned_trial_does_not_reach_what_is_asked_for(plain: MakeSettings) -> None:
    trials = run(plain("n_trials=3", "pruner=threshold", "+pruner.upper=0", "stop_at=1000"))
    assert {trial.state for trial in trials} == {TrialState.PRUNED}
    assert len(trials) == 3


def test_a_shift_ends_at_the_same_moment_in_every_time_zone() -> None:
    begun = datetime.now(timezone(timedelta(hours=9)))
    assert not Deadline(begun, begun + timedelta(hours=1)).is_over
    assert Deadline(begun, begun - timedelta(seconds=1)).is_over


def test_failures_of_this_run_count_whatever_the_time_zone(plain: MakeSettings) -> None:
    settings = plain("n_trials=9", "model.behaviour=raise", "max_failures=3")
    storage = open_storage(settings.storage.address)
    study = open_study(settings, storage)
    begun = datetime.now(timezone(timedelta(hours=-9)))
    with pytest.raises(StudyStopped):
        work(storage, context=WorkerContext(settings, "here", Deadline(begun), StopSignals()), run_trial=run_trial)
    assert len(study.trials) == 3


def test_a_trial_that_goes_on_notes_the_rungs_of_halving_as_one_that_never_stopped(plain: MakeSettings) -> None:
    settings = plain("pruner=asha", "n_trials=1", "budget.amount=8")
    pruner = make_pruner(settings.pruner, settings.objective, rungs=settings.budget.rungs)
    whole, reports = optuna.create_study(pruner=pruner).ask(), [0.5, 0.6, 0.7, 0.8]
    for rung, value in enumerate(reports, start=1):
        whole.report(value, rung)
        whole.should_prune()
    resumed = optuna.create_study(
        pruner=make_pruner(settings.pruner, settings.objective, rungs=settings.budget.rungs)
    ).ask()
    rungs = tuple(Rung(i, value, i, i / 10) for i, value in enumerate(reports[:3], start=1))
    IntermediateValues(resumed, last=8).repeat(rungs)
    resumed.report(reports[3], 4)
    resumed.should_prune()
    (a,), (b,) = resumed.study.get_trials(), whole.study.get_trials()
    assert a.system_attrs == b.system_attrs
    assert len([key for key in a.system_attrs if key.startswith("completed_rung")]) > 1


def test_a_trial_costs_few_reads_of_all_trials(plain: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read fetches the running trials of all workers: one decides, one is the sampler's and the claim's."""
    settings = plain("n_trials=4", "checkpoint.keep_best=0")
    storage = PatientStorage(open_storage(settings.storage.address), patience=Patience())
    open_study(settings, storage)
    asked: list[object] = []
    read = storage._storage.get_all_trials

    def counted(study_id: int, deepcopy: bool = True, states: object = None) -> list[FrozenTrial]:
        asked.append(states)
        return read(study_id, deepcopy, states)  # type: ignore[arg-type]

    monkeypatch.setattr(storage._storage, "get_all_trials", counted)
    work(storage, context=WorkerContext(settings, "here", Deadline(datetime.now()), StopSignals()), run_trial=run_trial)
    assert asked == [None] * (2 * 4 + 1)
