"""The pairs that a search leaves open, and the designed study of a question: what it pins, how often, at which cost."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import replace
from datetime import datetime, timedelta

import optuna
import pytest
from landscapes import Landscape, Point, run_study
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial
from reports import shown, view_of_trials
from selections import MakeSettings, by_dropout, selection_of

from studies import schema
from studies.analysis.advice import space_filling_needed
from studies.analysis.analyse import Analysis
from studies.analysis.designed.power import power
from studies.analysis.effects import Effect
from studies.analysis.estimate import Estimate
from studies.analysis.verdict import Verdict
from studies.cli.reports import view_of
from studies.config.settings import HypothesisSettings, StudySettings
from studies.config.space import SearchSpace
from studies.process.signals import StopSignals
from studies.reporting.question_design import power_line, question_design, training_cost
from studies.reporting.sections import question
from studies.reporting.sections.effects import section as effects
from studies.reporting.sections.effects import tuning
from studies.reporting.sections.effects.section import effects_finding
from studies.reporting.view import Objective, StudyView
from studies.schema import Failure
from studies.storage.creation import open_study
from studies.storage.questions import stored_question, stored_questions
from studies.storage.slots import rules_of

PAIR = ("lr", "batch_size")
SEARCH = ("sampler=random", "pruner=none", "analysis=full", "launcher=serial")


def by_pair(point: Point) -> float:
    """Of two parameters, with an interaction."""
    return 0.5 + 0.3 * float(point["dropout"]) - 0.1 * float(point["n_layers"]) * float(point["dropout"])


def searched(settings: StudySettings, storage: BaseStorage, landscape: Landscape) -> StudyView:
    run_study(settings, storage, landscape)
    study = optuna.load_study(study_name=settings.study_name, storage=storage)
    return replace(view_of(study, settings, rules=rules_of(settings)), run_arguments=("+study=digits",))


def test_without_a_selection_the_best_trial_is_pinned(make_settings: MakeSettings, storage: BaseStorage) -> None:
    view = searched(make_settings(*SEARCH, "n_trials=12", "analysis=none"), storage, Landscape(by_dropout, noise=0))
    assert view.best is not None
    best = view.best.trial
    found = question_design(view, PAIR)
    assert found.pinned_to == f"trial {best.number}, the best of 12 finished trials"
    pins = {parameter.name: parameter.levels for parameter in found.space if parameter.name not in PAIR}
    assert pins == {name: (value,) for name, value in best.params.items() if name not in PAIR}
    assert [len(found.space[name].levels or ()) for name in PAIR] == [7, 5]  # lr has levels of its own
    assert found.n_trainings == 35 * found.replicates.n


def test_after_a_selection_its_winner_is_pinned_and_its_race_tells_the_noise(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=20", "seed=1")
    selection, _ = selection_of(settings, storage, Landscape(by_dropout, noise=0.05))
    assert selection.best is not None
    assert selection.best.champion is not None
    winner = selection.best.champion.trial
    study = optuna.load_study(study_name=settings.study_name, storage=storage)
    view = view_of(study, settings, rules=rules_of(settings), selection=selection)
    assert view.best is not None
    assert view.best.trial.number != winner.number  # luck made another one the best of the search
    found = question_design(view, PAIR)
    assert found.pinned_to == f"trial {winner.number}, the winner of the selection"
    assert found.space["dropout"].levels == (winner.params["dropout"],)
    assert "trainings of 4 raced points with other seeds" in found.noise.basis
    n_levels = [len(found.space[name].levels or ()) for name in PAIR]
    assert found.replicates.power == power(n_levels, replicates=found.replicates.n, noise=found.noise.value)


def test_the_winner_of_a_selection_is_not_called_lucky(
    digits: MakeSettings, storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = digits("n_trials=20", "analysis=full")
    selection, _ = selection_of(settings, storage, Landscape(by_dropout, noise=0.05))
    view = view_of(optuna.load_study(study_name="digits", storage=storage), settings, rules=rules_of(settings))
    monkeypatch.setattr(tuning, "_is_far", lambda *_: True)
    believing = believed(view.analysis)
    for own, told in ((None, True), (selection, False)):
        of = replace(view, selection=own)
        of.__dict__["analysis"] = believing
        assert ("may have been lucky" in shown(effects.compute(of))) is told
    weighed = replace(view, objectives=(*view.objectives, Objective("seconds", "minimize")))  # no selection can race it
    weighed.__dict__["analysis"] = believing
    assert "may have been lucky" not in shown(effects.compute(weighed))


@pytest.mark.parametrize(("sampler", "share"), [("random", None), ("tpe", 0.9)])
def test_the_trials_that_are_wanted_come_with_their_command(
    make_settings: MakeSettings, storage: BaseStorage, sampler: str, share: float | None
) -> None:
    settings = make_settings(*SEARCH, f"sampler={sampler}", "n_trials=16")
    view = searched(settings, storage, Landscape(by_pair, noise=0.02))
    given = ("+study=digits", "n_trials=16", *(["sampler.explore_fraction=0.5"] if share else []))
    (command,) = re.findall(r"```sh\n(.*)\n```", shown(effects.compute(replace(view, run_arguments=given))))
    n = 16 + math.ceil(space_filling_needed(view.analysis.whole.evidence) / (share or 1))
    explores = f" sampler.explore_fraction={share}" if share else ""
    assert command == f"python -m studies.run +study=digits{explores} n_trials={n}"
    for ended in ("n_trials=40", "stop_at=0.4"):  # it has to go on first, or has reached its aim
        assert view.settings is not None
        other = replace(view, settings=make_settings(*SEARCH, f"sampler={sampler}", "n_trials=16", ended))
        assert "```sh" not in shown(effects.compute(replace(other, run_arguments=given)))


def test_without_any_trial_the_configs_own_values_are_pinned(make_settings: MakeSettings) -> None:
    settings = make_settings(*SEARCH)
    found = question_design(view_of_trials(settings), PAIR)
    assert found.pinned_to == "the config's own values, for no trial of the search has a value yet"
    assert found.space["width"].levels == (settings.template.model.network.width,)
    assert "no stored trial tells the noise" in power_line(found)
    assert training_cost(view_of_trials(settings), workers=None).of(70) == "70 trainings"


def test_the_best_with_a_conditional_parameter_is_pinned_for_a_question_about_it(
    make_settings: MakeSettings, storage: BaseStorage
) -> None:
    settings = make_settings(*SEARCH, "n_trials=20", "analysis=none", study="digits_optimizers")
    assert settings.space["momentum"].when

    def worth(point: Point) -> float:
        return 0.0 if "momentum" in point else 1.0

    view = searched(settings, storage, Landscape(worth, noise=0.01))
    assert view.best is not None
    assert "momentum" not in view.best.trial.params
    found = question_design(view, ("lr", "momentum"))
    best = next(choice.trial for choice in view.choices if "momentum" in choice.trial.params)
    assert found.pinned_to == f"trial {best.number}, the best with lr × momentum of 20 finished trials"
    assert found.space["optimizer"].levels == (best.params["optimizer"],)


def test_the_cost_is_that_of_whole_trainings_by_the_workers_at_once(make_settings: MakeSettings) -> None:
    settings, begun = make_settings(*SEARCH, "n_trials=6"), datetime(2026, 1, 1)
    trials = []
    for slot, seconds in enumerate((10.0, 20.0, 30.0, 1.0)):
        is_whole = slot < 3
        attributes = {schema.SLOT: slot, schema.SECONDS: seconds}
        state = TrialState.COMPLETE if is_whole else TrialState.PRUNED
        trial = create_trial(state=state, value=1.0 if is_whole else None, user_attrs=attributes)
        trial.datetime_start = begun + timedelta(seconds=8 * slot)
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=10)
        trials.append(trial)
    view = view_of_trials(settings, trials)
    assert training_cost(view, workers=None).of(30) == "30 trainings, about 5 min 00 s on 2 workers"
    assert training_cost(view, workers=1).of(1) == "1 training, about 20 s on 1 worker"


def test_an_open_pair_comes_with_the_command_that_decides_it_and_its_cost(
    make_settings: MakeSettings, storage: BaseStorage
) -> None:
    view = searched(make_settings(*SEARCH, "n_trials=16"), storage, Landscape(by_pair, noise=0.02))
    finding = question.compute(view)
    assert finding is not None
    design = question_design(view, PAIR)
    cost = training_cost(view, workers=None).of(design.n_trainings)
    command = "python -m studies.run +study=digits 'question=[lr,batch_size]'"
    assert shlex.split(command)[-1] == "question=[lr,batch_size]"
    assert finding.headline == (
        f"lr × batch_size: whether they interact is open. A designed study costs {cost}: {command}",
    )
    text = shown(finding)
    assert f"```sh\n{command}\n```" in text
    assert f"It costs {cost}:" in text
    assert text.count("```sh") == 2


def test_an_open_pair_of_a_grid_comes_with_the_replicates_that_would_tell(
    make_settings: MakeSettings, storage: BaseStorage
) -> None:
    asked = ("launcher=serial", "++search_space.batch_size.role=nuisance")
    settings = make_settings(*asked, "replicates=2", study="digits_grid")
    view = searched(settings, storage, Landscape(lambda point: 0.01 * float(point["batch_size"]) ** 0.5, noise=0.05))
    view = replace(view, run_arguments=("+study=digits_grid", "replicates=2"))
    finding = question.compute(view)
    assert finding is not None
    (command,) = re.findall(r"```sh\n(.*)\n```", shown(finding))
    n = int(re.findall(r"replicates=(\d+)", command)[0])
    assert command == f"python -m studies.run +study=digits_grid replicates={n} n_trials=null"
    cost = training_cost(view, workers=None).of(len(settings.space.grid()) * (n - 2))
    told = f"still open after 2 replicates. {n} would show an interaction of 5%, for {cost} more"
    assert finding.headline == (f"lr × batch_size: {told}: {command}",)
    again = make_settings(*asked, f"replicates={n}", "n_trials=null", study="digits_grid")
    more = searched(again, storage, Landscape(lambda point: 0.01 * float(point["batch_size"]) ** 0.5, noise=0.05))
    assert len(more.trials) == len(settings.space.grid()) * n


def test_a_pair_that_a_designed_study_has_looked_at_is_not_asked_again(
    make_settings: MakeSettings, storage: BaseStorage
) -> None:
    search, landscape = make_settings(*SEARCH, "n_trials=16"), Landscape(by_pair, noise=0.02)
    view = searched(search, storage, landscape)
    design = question_design(view, PAIR)
    levels = {p.name: ",".join(map(str, p.levels or ())) for p in design.space if p.name != "activation"}
    held = [f"++search_space.{name}.levels=[{own}]" for name, own in levels.items()]
    grid = ("sampler=grid", "pruner=none", "n_trials=null", "replicates=2", "study_name=digits-lr-batch_size")
    asked = make_settings("launcher=serial", *grid, *held, "~search_space.activation")
    run_study(asked, storage, Landscape(by_pair, noise=0.02, n_left=3, signals=StopSignals()))
    begun = replace(view, questions=stored_questions(search, storage))
    assert [(*names, found.is_finished) for names, found in begun.questions.items()] == [(*PAIR, False)]
    text = shown(question.compute(begun))
    assert "digits-lr-batch_size is under way: a designed study of 70 trainings, of which 3 are finished" in text
    assert text.count("'question=[lr,batch_size]'") == 1  # that goes on, and no new design
    lost = Landscape(by_pair, noise=0.02, fails=lambda point, *_: Failure.DIVERGED if point["lr"] > 0.02 else None)
    run_study(asked, storage, lost)
    (ended,) = stored_questions(search, storage).values()
    assert (ended.n_finished, ended.is_finished) == (70, True)  # those that diverged ended, too
    finding = question.compute(replace(view, questions=stored_questions(search, storage)))
    text = shown(finding)
    assert "**lr × batch_size** is open in this search. The report of digits-lr-batch_size tells" in text
    assert "question=[lr,batch_size]" not in text


GRID = ("launcher=serial", "++search_space.batch_size.role=nuisance")


def rough(point: Point) -> float:
    """Of the batch size, and a little of both."""
    return 0.01 * float(point["batch_size"]) ** 0.5


def test_a_grid_that_is_unfinished_or_conditional_or_tests_a_hypothesis_asks_for_no_replicates(
    make_settings: MakeSettings, storage: BaseStorage
) -> None:
    settings = make_settings(*GRID, "replicates=2", study="digits_grid")
    half = searched(settings, storage, Landscape(rough, noise=0.05, n_left=20, signals=StopSignals()))
    assert question.undecided_pairs(half.analysis)
    assert question.compute(half) is None
    whole = searched(settings, storage, Landscape(rough, noise=0.05))
    assert question.compute(whole) is not None
    partly = tuple(replace(p, when={"batch_size": (16,)} if p.name == "lr" else {}) for p in settings.space)
    assert question.compute(replace(whole, settings=replace(settings, space=SearchSpace(partly)))) is None
    rule = HypothesisSettings("", "independence", None, None, None, 0.05)
    assert question.compute(replace(whole, settings=replace(settings, hypothesis=rule))) is None


def test_a_pair_that_the_tests_of_the_grid_exclude_needs_no_replicates(
    make_settings: MakeSettings, storage: BaseStorage
) -> None:
    settings = make_settings(*GRID, "replicates=4", study="digits_grid")
    view = searched(settings, storage, Landscape(rough, noise=0.0001))
    doubted = replace(view.analysis.whole, verdict=Verdict("caution"))
    effects_of = [replace(effect, verdict="caution") for effect in view.analysis.effects]
    analysis = replace(view.analysis, fits=(doubted, *view.analysis.fits[1:]), effects=effects_of)
    assert question.undecided_pairs(analysis)
    view.__dict__["analysis"] = analysis
    assert question.compute(view) is None


def test_the_file_of_a_question_is_named_with_its_study(make_settings: MakeSettings, storage: BaseStorage) -> None:
    settings = make_settings(*GRID, "replicates=2", study="digits_grid")
    view = searched(settings, storage, Landscape(rough, noise=0.05))
    view = replace(view, run_arguments=("outputs/digits/question.yaml",))  # which may hold another question later
    (command,) = re.findall(r"```sh\n(.*)\n```", shown(question.compute(view)))
    assert "question.yaml study_name=digits_grid replicates=" in command


def test_a_neighbour_that_is_damaged_or_another_tools_is_no_question(
    make_settings: MakeSettings, storage: BaseStorage
) -> None:
    search = make_settings(*SEARCH)
    damaged = open_study(make_settings(*GRID, "study_name=digits-lr", study="digits_grid"), storage)
    damaged.set_user_attr(schema.STUDY_SPACE, damaged.user_attrs[schema.STUDY_SPACE].replace("type:", "kind:"))
    optuna.create_study(study_name="digits-batch_size", storage=storage)
    assert stored_questions(search, storage) == {}


def test_the_study_of_another_question_is_not_taken_over(make_settings: MakeSettings, storage: BaseStorage) -> None:
    asked = make_settings(*GRID, "study_name=digits-lr-batch_size", "replicates=1", study="digits_grid")
    open_study(asked, storage)
    assert stored_question(make_settings(*SEARCH, "study_name=digits"), PAIR, storage) is not None
    assert stored_question(make_settings(*SEARCH, "study_name=digits-lr"), ("batch_size",), storage) is None


def test_a_study_that_compares_values_or_has_unknown_arguments_has_no_open_pairs(
    make_settings: MakeSettings, storage: BaseStorage
) -> None:
    settings = make_settings("launcher=serial", "replicates=2", study="digits_grid")
    assert {parameter.role for parameter in settings.space} == {"scientific", "nuisance"}
    view = searched(settings, storage, Landscape(lambda point: 0.01 * float(point["batch_size"]) ** 0.5, noise=0.05))
    assert question.undecided_pairs(view.analysis)
    assert question.compute(view) is None
    search = view_of_trials(make_settings(*SEARCH))
    assert question.compute(replace(search, run_arguments=())) is None


def analysis_of(view: StudyView, *effects: Effect) -> Analysis:
    return replace(view.analysis, effects=effects)


def believed(analysis: Analysis) -> Analysis:
    whole = replace(analysis.whole, verdict=Verdict("ok"))
    return replace(analysis, fits=(whole, *analysis.fits[1:]))


def pair(a: str, b: str, lo: float, hi: float, verdict: str = "ok") -> Effect:
    estimate = Estimate((lo + hi) / 2, lo, hi)
    return Effect((a, b), "interaction", 2, estimate, verdict, (), 1, 0, 0, None, 1.0, 0)  # type: ignore[arg-type]


@pytest.fixture
def view(make_settings: MakeSettings, storage: BaseStorage) -> StudyView:
    return searched(make_settings(*SEARCH, "n_trials=12"), storage, Landscape(by_dropout))


def test_a_pair_is_open_unless_its_whole_interval_lies_on_one_side_and_the_verdict_is_ok(view: StudyView) -> None:
    cases: list[tuple[tuple[float, float], str, bool]] = [
        ((0.02, 0.3), "ok", False),
        ((0.0, 0.009), "ok", False),
        ((0.0, 0.049), "ok", False),
        ((0.0, 0.051), "ok", True),
        ((0.005, 0.3), "ok", True),
        ((0.02, 0.3), "caution", True),
        ((0.0, 0.009), "unreliable", True),
        ((0.0, 0.009), "caution", True),
    ]
    for (lo, hi), verdict, is_open in cases:
        mains = [effect for effect in view.analysis.effects if effect.order == 1]
        analysis = analysis_of(view, *mains, pair("lr", "dropout", lo, hi, verdict))
        assert bool(question.undecided_pairs(analysis)) == is_open, (lo, hi, verdict)
        told = shown(effects_finding(believed(analysis), metric="accuracy"))
        is_said = "lr × dropout interact" in told or "No interaction above 5% of the variance: lr × dropout." in told
        assert is_said != is_open, (lo, hi, verdict)


def test_learning_rate_and_batch_size_come_first_then_the_greatest(view: StudyView) -> None:
    analysis = analysis_of(
        view,
        pair("lr", "width", 0.0, 0.1),
        pair("lr", "dropout", 0.0, 0.4),
        pair("width", "dropout", float("nan"), float("nan"), "unreliable"),
        pair("batch_size", "lr", 0.0, 0.06),
    )
    pairs = question.undecided_pairs(analysis)
    assert pairs == [("batch_size", "lr"), ("lr", "dropout"), ("lr", "width"), ("width", "dropout")]
