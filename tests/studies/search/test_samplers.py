from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState
from scipy.stats import qmc

from studies import schema
from studies.config.composing.configs import compose
from studies.config.parameter import Parameter
from studies.config.parsing.settings import parse_settings
from studies.config.settings import Named, StudySettings
from studies.config.space import Point, SearchSpace, is_active
from studies.search.designs import MAX_SOBOL_DIMENSIONS, random_point
from studies.search.exploration import exploration_of
from studies.search.reinforce import ReinforceSampler
from studies.search.samplers import StudySampler, sampler_notes
from studies.search.seeds import design_seed, explore_seed, redraw_seed, replicate_of, sampler_seed, training_seed

LR = Parameter(
    "lr", ("model.optimizer.lr",), "float", low=1e-4, high=1.0, log=True, levels=(1e-4, 1e-3, 1e-2, 1e-1, 1.0)
)
DROPOUT = Parameter("dropout", ("model.network.dropout",), "float", low=0.0, high=0.5, levels=(0.0, 0.5))
WIDTH = Parameter("width", ("model.network.width",), "power_of_two", low=8, high=64, log=True, levels=(8, 16, 32, 64))
DEPTH = Parameter("depth", ("model.network.n_layers",), "int", low=1, high=4, levels=(1, 4))
ACTIVATION = Parameter(
    "activation",
    ("model.network.activation",),
    "categorical",
    choices={"relu": "relu", "tanh": "tanh"},
    levels=("relu", "tanh"),
)
MIXED = SearchSpace((LR, WIDTH, DEPTH, ACTIVATION))
CONTINUOUS = SearchSpace((LR, DROPOUT))
CONDITIONAL = SearchSpace((ACTIVATION, LR, replace(WIDTH, when={"activation": ("tanh",)})))

EVERY = pytest.mark.parametrize("name", ["tpe", "random", "grid", "qmc", "gp", "cmaes", "reinforce"])
ADAPTIVE = pytest.mark.parametrize("name", ["tpe", "gp", "cmaes", "reinforce"])
DESIGNED = pytest.mark.parametrize("name", ["random", "qmc", "grid"])
N = 20


@cache
def base() -> StudySettings:
    return parse_settings(compose(["+study=digits", "pruner=none"]))


def settings(
    name: str, *, space: SearchSpace = MIXED, seed: int = 0, replicates: int = 1, enqueue: Sequence[Point] = ()
) -> StudySettings:
    n_trials = len(space.grid()) * replicates if name == "grid" else N
    options = {"n_startup_trials": 5} if name in ("tpe", "gp") else {}
    return replace(
        base(),
        space=space,
        seed=seed,
        sampler=Named(name, options),
        n_trials=n_trials,
        replicates=replicates,
        enqueue=tuple(enqueue),
    )


def exploring(name: str, fraction: float, **changes: Any) -> StudySettings:
    of = settings(name, **changes)
    return replace(of, sampler=Named(name, {**of.sampler.options, "explore_fraction": fraction}))


def sources(of: StudySettings, n: int) -> list[str]:
    sampler = StudySampler(of)
    return [sampler.source(slot) for slot in range(n)]


def sobol(of: StudySettings, n: int, *, n_enqueued: int = 0, fraction: Fraction = Fraction(1, 4)) -> list[Point]:
    """The first points (8 at most) of the sequence that exploring slots take."""
    seed = explore_seed(of.seed, n_enqueued=n_enqueued, fraction=fraction)
    sequence = qmc.Sobol(len(of.space), scramble=True, rng=seed).random(8)
    return [of.space.from_unit(u.tolist()) for u in sequence[:n]]


def objective(point: Point) -> float:
    return -((math.log10(float(str(point["lr"]))) + 2.5) ** 2)


def open_study(of: StudySettings, storage: BaseStorage | None = None) -> optuna.Study:
    """A study of its own, or the one in `storage` as a new worker, or a later run of the command, sees it."""
    sampler = StudySampler(of)
    return optuna.create_study(
        storage=storage, study_name="s", direction="maximize", sampler=sampler, load_if_exists=True
    )


def run(study: optuna.Study, of: StudySettings, n: int) -> list[Point]:
    points = []
    for _ in range(n):
        trial = study.ask()
        point = of.space.suggest(trial)
        study.tell(trial, objective(point))
        points.append(point)
    return points


def run_together(studies: Sequence[optuna.Study], of: StudySettings, rounds: int) -> list[Point]:
    """Each worker takes a trial before any of them has finished its own."""
    points = []
    for _ in range(rounds):
        for study, trial in [(study, study.ask()) for study in studies]:
            points.append(of.space.suggest(trial))
            study.tell(trial, objective(points[-1]))
    return points


def length(name: str) -> int:
    """Trials of a test: the GP takes half a second for each after its first five."""
    return 7 if name == "gp" else N


def as_set(points: Sequence[Point]) -> Counter[Any]:
    return Counter(tuple(point.items()) for point in points)


@EVERY
@pytest.mark.parametrize("space", [MIXED, CONDITIONAL], ids=["mixed", "conditional"])
def test_every_point_lies_in_the_space_and_has_its_active_parameters(name: str, space: SearchSpace) -> None:
    of = settings(name, space=space)
    for point in run(open_study(of), of, length(name)):
        assert set(point) == {parameter.name for parameter in space if is_active(parameter, point)}
        assert [name for name, value in point.items() if not space[name].contains(value)] == []
        assert point.get("width", 8) in (8, 16, 32, 64)


@EVERY
def test_the_same_seed_gives_the_same_points_and_another_seed_others(name: str) -> None:
    first, again, other = (settings(name, seed=seed) for seed in (3, 3, 4))
    points = run(open_study(first), first, length(name))
    assert run(open_study(again), again, length(name)) == points
    assert run(open_study(other), other, length(name)) != points


@pytest.mark.parametrize("name", ["random", "qmc", "grid", "tpe", "reinforce"])
def test_a_resumed_study_goes_on_as_if_it_had_never_stopped(name: str) -> None:
    of = settings(name)
    storage = InMemoryStorage()
    study = open_study(of, storage)
    resumed = run(study, of, 7) + run(open_study(of, storage), of, 3) + run(open_study(of, storage), of, N - 10)
    assert resumed == run(open_study(of), of, N)


@pytest.mark.parametrize("name", ["random", "qmc", "tpe", "reinforce"])
def test_neither_a_resumed_nor_a_shared_study_tries_a_point_twice(name: str) -> None:
    of = settings(name, space=CONTINUOUS)
    storage = InMemoryStorage()
    study = open_study(of, storage)
    points = run(study, of, 6)
    points += run_together([open_study(of, storage) for _ in range(3)], of, 4)
    points += run(open_study(of, storage), of, 2)
    assert set(as_set(points).values()) == {1}


@DESIGNED
def test_several_workers_try_what_one_worker_tries(name: str) -> None:
    of = settings(name)
    n = 4 * (of.n_trials // 4)
    storage = InMemoryStorage()
    open_study(of, storage)
    together = run_together([open_study(of, storage) for _ in range(4)], of, n // 4)
    assert as_set(together) == as_set(run(open_study(of), of, n))


def test_a_grid_tries_each_cell_once_in_each_replicate() -> None:
    of = settings("grid", replicates=3)
    points = run(open_study(of), of, of.n_trials)
    size = len(MIXED.grid())
    assert size == 5 * 4 * 2 * 2
    rounds = [points[i * size : (i + 1) * size] for i in range(3)]
    for tried in rounds:
        assert as_set(tried) == as_set(MIXED.grid())
    assert rounds[0] != rounds[1] != rounds[2]
    assert rounds[0] != MIXED.grid()


def test_a_surplus_claim_beyond_a_grid_does_no_harm() -> None:
    of = settings("grid", replicates=2)
    study = open_study(of)
    run(study, of, of.n_trials)
    assert all(MIXED[name].contains(value) for name, value in run(study, of, 1)[0].items())


def test_qmc_gives_the_points_of_one_scrambled_sobol_sequence() -> None:
    of = settings("qmc", space=CONTINUOUS, seed=5)
    sequence = qmc.Sobol(2, scramble=True, rng=design_seed(5)).random(16)
    expected = [{"lr": pytest.approx(10 ** (-4 + 4 * u)), "dropout": pytest.approx(v / 2)} for u, v in sequence]
    assert run(open_study(of), of, 16) == expected


def test_random_points_are_uniform_on_the_search_scale() -> None:
    of = settings("random")
    points = run(open_study(of), of, 200)
    decades = Counter(math.floor(math.log10(float(str(point["lr"])))) for point in points)
    widths = Counter(point["width"] for point in points)
    for counts in (decades, widths):  # 50 expected in each of four, standard deviation 6.1
        assert all(30 <= count <= 70 for count in counts.values())
        assert len(counts) == 4


ENQUEUED: tuple[Point, ...] = (
    {"lr": 0.5, "width": 64, "depth": 4, "activation": "tanh"},
    {"width": 8},
    {"lr": 1, "activation": "relu"},
)


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "gp", "cmaes", "reinforce"])
def test_enqueued_points_come_first_and_the_sampler_fills_what_they_leave_open(name: str) -> None:
    of = settings(name, enqueue=ENQUEUED)
    storage = InMemoryStorage()
    study = open_study(of, storage)
    points = run(study, of, 1) + run(open_study(of, storage), of, 4)
    for point, wanted in zip(points, ENQUEUED, strict=False):
        assert {name: point[name] for name in wanted} == wanted
        assert set(point) == set(MIXED.names)
    assert [StudySampler(of).source(slot) for slot in range(4)] == ["enqueued"] * 3 + [name]


@pytest.mark.parametrize("name", ["random", "qmc", "tpe", "reinforce"])
def test_an_enqueued_choice_brings_the_parameters_that_it_makes_active(name: str) -> None:
    for seed in range(4):  # whichever choice the sampler would have made
        of = settings(name, space=CONDITIONAL, seed=seed, enqueue=[{"activation": "tanh"}, {"activation": "relu"}])
        first, second = run(open_study(of), of, 2)
        assert (first["activation"], second["activation"]) == ("tanh", "relu")
        assert first["width"] in (8, 16, 32, 64)
        assert "width" not in second


@EVERY
def test_a_retry_has_the_same_point(name: str) -> None:
    of = settings(name)
    storage = InMemoryStorage()
    study = open_study(of, storage)
    failed = run(study, of, 6)[5]
    study.enqueue_trial(failed, user_attrs={schema.RETRY_OF: 5, schema.SLOT: 5, schema.ATTEMPT: 1})
    assert run(open_study(of, storage), of, 1) == [failed]


@DESIGNED
def test_a_retry_takes_no_slot_from_the_design(name: str) -> None:
    of = settings(name)
    study = open_study(of)
    points = run(study, of, 6)
    study.enqueue_trial(points[5], user_attrs={schema.RETRY_OF: 5, schema.SLOT: 5, schema.ATTEMPT: 1})
    run(study, of, 1)
    assert points + run(study, of, 6) == run(open_study(of), of, 12)


@EVERY
def test_a_trial_that_failed_and_was_repeated_changes_no_later_point(name: str) -> None:
    of = settings(name)
    n = length(name)
    study = open_study(of)
    points = run(study, of, n - 3)
    failed = study.ask()
    point = of.space.suggest(failed)
    study.tell(failed, state=TrialState.FAIL)
    repeats = {schema.RETRY_OF: failed.number, schema.SLOT: failed.number, schema.ATTEMPT: 1}
    study.enqueue_trial(point, user_attrs=repeats)
    assert points + run(study, of, 3) == run(open_study(of), of, n)


@pytest.mark.parametrize("name", ["tpe", "random", "reinforce"])
def test_a_redrawn_point_is_that_of_its_slot_and_each_further_one_is_another(name: str) -> None:
    of = settings(name)
    redrawn = {schema.RETRY_OF: 5, schema.SLOT: 5, schema.REDRAWN: True}
    drawn = []
    for is_interrupted in (False, True):
        study = open_study(of)
        points = run(study, of, 6)
        if is_interrupted:
            study.enqueue_trial(points[5], user_attrs={schema.RETRY_OF: 5, schema.SLOT: 5})
            study.tell(study.ask(), state=TrialState.FAIL)
        study.enqueue_trial({}, user_attrs=redrawn)
        drawn += run(study, of, 1)
    study.enqueue_trial({}, user_attrs=redrawn)
    assert drawn[0] == drawn[1] != run(study, of, 1)[0]


@pytest.mark.parametrize("name", ["random", "qmc", "grid"])
def test_a_retry_of_a_trial_that_died_before_it_had_a_point_has_its_slots_point(name: str) -> None:
    of = settings(name)
    study = open_study(of)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={schema.RETRY_OF: 0, schema.SLOT: 0, schema.ATTEMPT: 1})
    assert run(study, of, 1) == run(open_study(of), of, 1)


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "reinforce"])
def test_a_redrawn_slot_has_another_point_even_where_it_was_enqueued(name: str) -> None:
    of = settings(name, enqueue=ENQUEUED[:1])
    storage = InMemoryStorage()
    study = open_study(of, storage)
    points = run(study, of, 6)
    assert (StudySampler(of).source(0), StudySampler(of).source(0, redrawn=True)) == ("enqueued", name)
    for slot in (0, 5):
        study.enqueue_trial({}, user_attrs={schema.RETRY_OF: slot, schema.SLOT: slot, schema.REDRAWN: True})
        (redrawn,) = run(open_study(of, storage), of, 1)
        assert redrawn != points[slot]
        assert set(redrawn) == set(MIXED.names)


def test_tpe_models_conditional_parameters_too() -> None:
    of = settings("tpe", space=CONDITIONAL)
    study = open_study(of)
    run(study, of, N)
    sampler, trial = StudySampler(of), study.trials[-2]
    sampler.before_trial(study, trial)
    assert set(sampler.infer_relative_search_space(study, trial)) == set(CONDITIONAL.names)


def test_tpe_stays_away_from_where_trials_diverge() -> None:
    """A diverged trial is PRUNED without a rung, which TPE ranks last; half of the space (lr > 0.01) diverges."""
    of = exploring("tpe", 0, space=CONTINUOUS)
    study = open_study(of)
    diverged = []
    for _ in range(60):
        trial = study.ask()
        point = of.space.suggest(trial)
        diverged.append(float(str(point["lr"])) > 1e-2)
        if diverged[-1]:
            trial.set_user_attr(schema.FAILURE, schema.Failure.DIVERGED)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, -float(str(point["dropout"])))
    assert sum(diverged[30:]) <= 5  # at random 15, standard deviation 2.7


@ADAPTIVE
def test_one_trial_in_four_explores_by_default(name: str) -> None:
    assert sources(settings(name), 60) == [name, name, name, "explore"] * 15


@pytest.mark.parametrize(("fraction", "n", "expected"), [(0.29, 100, 29), (0.1, 60, 6), (0.9, 10, 9), (0, 60, 0)])
def test_any_share_is_counted_off_evenly_and_exactly(fraction: float, n: int, expected: int) -> None:
    explores = [source == "explore" for source in sources(exploring("tpe", fraction), n)]
    assert sum(explores) == expected
    assert [sum(explores[:k]) for k in range(n + 1)] == [k * expected // n for k in range(n + 1)]


def test_without_an_analysis_nothing_explores_unless_it_is_asked_for() -> None:
    def without(of: StudySettings) -> StudySettings:
        return replace(of, analysis=replace(of.analysis, name="none"))

    assert sources(without(settings("tpe")), 60) == ["tpe"] * 60
    assert sources(without(exploring("tpe", 0.5)), 4) == ["tpe", "explore"] * 2


@DESIGNED
def test_a_design_explores_anyway(name: str) -> None:
    assert exploration_of(settings(name)).fraction == 0
    assert sources(settings(name), 20) == [name] * 20


def test_enqueued_points_stay_and_the_rest_is_counted_from_there() -> None:
    of = settings("tpe", enqueue=ENQUEUED)
    assert sources(of, 11) == ["enqueued"] * 3 + ["tpe", "tpe", "tpe", "explore"] * 2
    points = run(open_study(of), of, 11)
    assert [points[6], points[10]] == sobol(of, 2, n_enqueued=3)


@ADAPTIVE
@pytest.mark.parametrize("space", [MIXED, CONDITIONAL], ids=["mixed", "conditional"])
def test_exploring_trials_are_the_points_of_one_scrambled_sobol_sequence(name: str, space: SearchSpace) -> None:
    of, n = settings(name, space=space, seed=5), 8 if name == "gp" else N
    assert run(open_study(of), of, n)[3::4] == sobol(of, n // 4)


def test_no_model_is_asked_in_an_exploring_slot() -> None:
    """CMA-ES leaves its mark on each trial that it proposes, from the second on."""
    of = settings("cmaes", space=CONTINUOUS)
    study = open_study(of)
    run(study, of, 9)
    assert [bool(trial.system_attrs) for trial in study.trials[1:]] == [
        True,
        True,
        False,
        True,
        True,
        True,
        False,
        True,
    ]


def test_workers_and_a_resumed_study_share_one_sequence_and_repeat_no_point() -> None:
    of = settings("tpe", space=CONTINUOUS)
    storage = InMemoryStorage()
    points = run(open_study(of, storage), of, 6)
    points += run_together([open_study(of, storage) for _ in range(2)], of, 5)
    points += run(open_study(of, storage), of, 4)
    assert points[3::4] == sobol(of, 5)
    assert set(as_set(points).values()) == {1}


def test_a_study_that_goes_on_with_another_share_repeats_no_point() -> None:
    """With one sequence for all, the last two would take points that the first had taken."""
    before, after = exploring("tpe", 0.5, space=CONTINUOUS), exploring("tpe", 0.25, space=CONTINUOUS)
    enqueued = exploring("tpe", 0.5, space=CONTINUOUS, enqueue=[{"lr": 0.1}] * 4)
    points = [exploration_of(before).point(slot) for slot in range(1, 60, 2)]
    points += [exploration_of(after).point(slot) for slot in range(63, 120, 4)]
    points += [exploration_of(enqueued).point(slot) for slot in range(61, 120, 2)]
    assert set(as_set(points).values()) == {1}


def test_a_model_is_as_it_would_be_without_exploration_given_the_same_trials() -> None:
    of, without = settings("tpe"), exploring("tpe", 0)
    study = open_study(of)
    points = run(study, of, N)
    for number in (0, 5, 9, 13, 18):
        again = open_study(without)
        again.add_trials(study.trials[:number])
        assert run(again, without, 1) == [points[number]]


def test_a_model_learns_from_the_exploring_trials() -> None:
    of = settings("tpe")
    study = open_study(of)
    run(study, of, 12)
    other = open_study(of)
    for trial in study.trials:
        assert trial.value is not None
        value = trial.value + 9 * (trial.number % 4 == 3)
        other.add_trial(optuna.create_trial(params=trial.params, distributions=trial.distributions, value=value))
    assert run(other, of, 1) != run(study, of, 1)


def test_reinforce_knows_which_points_its_policy_drew() -> None:
    """By what a trial says of its source, else by its slot."""
    of = settings("reinforce", space=CONTINUOUS, enqueue=[{"lr": 0.5}])
    study = open_study(of)
    points = run(study, of, N)

    def drawn(trials: Sequence[optuna.trial.FrozenTrial], others: set[int]) -> Point:
        seed = sampler_seed(of.seed, len(trials))
        sampler = ReinforceSampler(of.space, seed=seed, is_own=lambda trial: trial.number not in others)
        again = optuna.create_study(direction="maximize", sampler=sampler)
        again.add_trials(trials)
        return run(again, of, 1)[0]

    assert sources(of, 19)[::2] == ["enqueued", "reinforce", *["explore", "reinforce"] * 4]
    assert drawn(study.trials[:18], {0, 4, 8, 12, 16}) == points[18] != drawn(study.trials[:18], set())
    imported = study.trials[:18]
    imported[3].user_attrs = {schema.SOURCE: "tpe"}
    resumed = open_study(of)
    resumed.add_trials(imported)
    assert run(resumed, of, 1) == [drawn(imported, {0, 3, 4, 8, 12, 16})] != [points[18]]


def test_reinforce_reads_a_trial_once_however_long_the_study() -> None:
    asked = []

    class Counting(StudySampler):
        def source(self, slot: int, *, redrawn: bool = False) -> str:
            asked.append(slot)
            return super().source(slot, redrawn=redrawn)

    of = settings("reinforce")
    run(optuna.create_study(direction="maximize", sampler=Counting(of)), of, N)
    assert asked == list(range(N - 2))  # the last one explored and asked no model


def test_a_retry_of_an_exploring_trial_that_died_before_it_had_a_point_has_its_slots_point() -> None:
    of = settings("tpe")
    study = open_study(of)
    run(study, of, 3)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={schema.RETRY_OF: 3, schema.SLOT: 3, schema.ATTEMPT: 1})
    assert run(study, of, 1) == sobol(of, 1)


@ADAPTIVE
def test_an_exploring_slot_whose_point_failed_for_good_draws_a_random_one(name: str) -> None:
    of = settings(name)
    storage = InMemoryStorage()
    study = open_study(of, storage)
    run(study, of, 6)
    study.enqueue_trial({}, user_attrs={schema.RETRY_OF: 3, schema.SLOT: 3, schema.REDRAWN: True})
    assert StudySampler(of).source(3, redrawn=True) == "explore"
    assert run(open_study(of, storage), of, 1) == [random_point(of.space, redraw_seed(of.seed, 3))]


def test_more_parameters_than_sobol_has_are_drawn_independently_for_each_slot() -> None:
    many = SearchSpace(tuple(replace(DROPOUT, name=f"p{i}", high=1.0) for i in range(MAX_SOBOL_DIMENSIONS + 1)))
    design = exploration_of(settings("tpe", space=many)).point
    drawn = [[float(str(value)) for value in design(slot).values()] for slot in (3, 7, 3)]
    assert drawn[0] == drawn[2] != drawn[1]
    assert all(abs(sum(values) / len(values) - 0.5) < 0.01 for values in drawn)  # standard deviation 0.002


def test_a_training_seed_follows_from_its_replicate_and_from_nothing_else() -> None:
    assert len({training_seed(seed, replicate) for seed in range(5) for replicate in range(8)}) == 40
    assert training_seed(1, 2) == training_seed(1, 2)
    assert training_seed(0, 3) not in {sampler_seed(0, 3), design_seed(0, 3)}


def test_exploring_trials_have_a_stream_of_their_own() -> None:
    others = {stream(0, 1) for stream in (training_seed, sampler_seed, design_seed, redraw_seed)}
    shares = [explore_seed(0, n_enqueued=n, fraction=Fraction(1, share)) for n in (0, 1) for share in (1, 2, 4)]
    assert len({*others, *shares}) == 4 + 6


def test_a_search_takes_each_of_eight_training_seeds_once_in_eight_trials() -> None:
    orders = [[replicate_of(settings("tpe"), slot) for slot in range(first, first + 8)] for first in range(0, 80, 8)]
    assert all(sorted(order) == list(range(8)) for order in orders)
    assert len({*map(tuple, orders)}) == 10


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["qmc", "tpe"])
def test_the_seed_of_a_quasi_random_trial_says_nothing_of_its_point(name: str, seed: int) -> None:
    """In one order, a seed told an eighth of a range: .9 of the variance. By chance it is .1."""
    of = settings(name, space=CONTINUOUS, seed=seed)
    slots = range(64) if name == "qmc" else range(3, 256, 4)  # a quarter of TPE's explore
    points = run(open_study(of), of, 64) if name == "qmc" else [*map(exploration_of(of).point, slots)]
    seeds = np.array([replicate_of(of, slot) for slot in slots])
    assert len(set(seeds)) == 8
    for parameter in of.space:
        values = np.array([sum(parameter.cell(point[parameter.name])) / 2 for point in points])
        within = sum(values[seeds == one].var() * np.mean(seeds == one) for one in set(seeds))
        assert 1 - within / values.var() < 0.35


def test_a_grid_trains_all_its_cells_with_one_seed_before_it_takes_the_next() -> None:
    of = settings("grid", space=CONTINUOUS, replicates=2)
    assert [replicate_of(of, slot) for slot in range(of.n_trials)] == [0] * 10 + [1] * 10


def test_what_a_sampler_will_not_do_is_told() -> None:
    assert sampler_notes("tpe", "none", MIXED) == []
    (pruning,) = sampler_notes("gp", "median", CONTINUOUS)
    assert "gp learns from completed trials only, so what median prunes teaches it nothing" in pruning
    (at_random,) = sampler_notes("cmaes", "none", MIXED)
    assert "cmaes draws activation at random" in at_random
    (conditional,) = sampler_notes("gp", "none", CONDITIONAL)
    assert "gp draws width at random" in conditional


def test_how_many_trials_are_quasi_random_is_told_with_the_way_out() -> None:
    tpe = exploration_of(settings("tpe"))
    (quarter,) = tpe.notes("tpe", n_trials=20)
    assert quarter == (
        "tpe: 1 trial in 4 is quasi-random (sampler.explore_fraction=0.25), so that effects can be estimated "
        "(0 turns it off)"
    )
    (three,) = exploration_of(exploring("tpe", 0.3)).notes("tpe", n_trials=20)
    assert "30 % of the trials are quasi-random (sampler.explore_fraction=0.3)" in three
    assert tpe.notes("tpe", n_trials=3) == []
    assert exploration_of(settings("random")).notes("random", n_trials=20) == []
    assert "cmaes learns from its own trials only" in tpe.notes("cmaes", n_trials=20)[1]
