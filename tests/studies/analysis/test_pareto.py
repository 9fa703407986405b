"""The front, its area, and the probability of being on it, where the answers are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.stats import norm, t

from studies import schema
from studies.analysis import pareto
from studies.analysis.conditions import conditions_of
from studies.analysis.pareto import Front, Goal, front_of, hypervolume, nondominated

EXACT = (Goal("accuracy", True, 0.0), Goal("seconds", False, 0.0, is_relative=True))
BEGUN = datetime(2026, 1, 1)


def trial(
    *values: float, number: int, x: float | None = None, state: TrialState | None = None, **attributes: object
) -> FrozenTrial:
    made = create_trial(
        values=values or None,
        state=state or TrialState.COMPLETE,
        params={"x": float(number) if x is None else x},
        distributions={"x": FloatDistribution(0, 1000)},
        user_attrs=attributes,
    )
    made.number = number
    return made


def front(*points: Sequence[float], goals: tuple[Goal, Goal] = EXACT) -> Front:
    found = front_of([trial(*point, number=i) for i, point in enumerate(points)], goals)
    assert found is not None
    return found


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def test_the_front_is_what_no_other_point_dominates() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 40):
        for _ in range(20):
            points = rng.integers(0, 8, (n, 2)).astype(float)  # with many ties
            expected = [not any(dominates(other, point) for other in points) for point in points]
            assert nondominated(points).tolist() == expected


def test_the_front_goes_from_the_fastest_to_the_most_accurate() -> None:
    found = front((0.9, 2.0), (0.97, 9.0), (0.95, 10.0), (0.94, 4.0), (0.8, 3.0), (0.9, 2.0))
    assert [member.trial.number for member in found.members] == [0, 5, 3, 1]
    assert all(a.values[1] <= b.values[1] and a.values[0] <= b.values[0] for a, b in pairwise(found.members))
    assert [member.probability for member in found.members] == [1.0] * 4
    assert not any(c.probability for c in found.candidates if not c.on_front)


def test_trials_without_two_values_are_left_out() -> None:
    pruned = trial(number=1, state=TrialState.PRUNED)
    found = front_of([trial(0.9, 2.0, number=0), pruned], EXACT)
    assert found is not None
    assert len(found.candidates) == 1
    assert front_of([pruned], EXACT) is None


def test_the_hypervolume_is_the_area_up_to_the_reference() -> None:
    assert hypervolume(np.array([[1.0, 3.0], [2.0, 1.0], [2.5, 2.5]]), np.array([4.0, 5.0])) == 3 * 2 + 2 * 2
    assert hypervolume(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([2.0, 3.0])) == 2.0
    assert hypervolume(np.array([[5.0, 0.0]]), np.array([4.0, 5.0])) == 0.0
    found = front((0.9, 2.0), (0.97, 9.0), (0.8, 3.0), (0.85, 12.0))
    assert found.reference == (0.8, 12.0)
    assert found.measured_area == pytest.approx(0.1 * 10.0 + 0.07 * 3.0)
    assert found.share == pytest.approx(found.measured_area / (0.17 * 10.0))
    assert (found.area.value, *found.area.ends) == pytest.approx([found.measured_area] * 3)


@pytest.mark.parametrize("gap", [0.0, 0.005, 0.02])
def test_of_two_equally_fast_points_the_better_is_on_the_front_as_often_as_noise_lets_it(gap: float) -> None:
    goals = (Goal("accuracy", True, 0.01), Goal("steps", False, 0.0))
    found = front((0.9 + gap, 3.0), (0.9, 3.0), goals=goals)
    better = next(c for c in found.candidates if c.trial.number == 0)
    assert better.probability == pytest.approx(norm.cdf(gap / (0.01 * math.sqrt(2))), abs=0.03)


def test_noise_of_times_is_relative() -> None:
    goals = (Goal("accuracy", True, 0.0), Goal("seconds", False, 0.1, is_relative=True))
    found = front((0.9, 100.0), (0.9, 110.0), goals=goals)
    faster = next(c for c in found.candidates if c.trial.number == 0)
    assert faster.probability == pytest.approx(norm.cdf(math.log(1.1) / (0.1 * math.sqrt(2))), abs=0.03)


def replicated(*cells: Sequence[Sequence[float]]) -> Front:
    trials = [
        trial(*pair, number=len(cells) * replicate + i, x=float(i), **{schema.REPLICATE: replicate})
        for i, cell in enumerate(cells)
        for replicate, pair in enumerate(cell)
    ]
    found = front_of(trials, EXACT, by_point=True)
    assert found is not None
    return found


def test_replicates_tell_how_sure_the_front_is() -> None:
    """Equally fast, and apart by one standard error of the difference: the bootstrap's probability is Φ(1)."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((2, 40))
    z = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, ddof=1, keepdims=True)
    error = math.sqrt((z[0] - z[1]).var(ddof=1) / 40)
    found = replicated([(0.5 + error + v, 1.0) for v in z[0]], [(0.5 + v, 1.0) for v in z[1]])
    better, worse = sorted(found.candidates, key=lambda c: -c.values[0])
    assert better.on_front
    assert not worse.on_front
    assert better.probability == pytest.approx(norm.cdf(1), abs=0.03)
    assert found.n_seeds == (40, 40)
    widths = [found.half_width for found in better.estimates]
    assert widths == pytest.approx((2.0227 / math.sqrt(40), 0.0), rel=1e-3)


def test_the_area_is_freed_of_what_noise_adds_to_the_best_of_several() -> None:
    """Two points at (1, 0) and the reference at (0, 1): the drawn area is 1 minus the lesser of two errors, on average
    σ / √π too much, with a standard deviation of σ · √(1 - 1 / π)."""
    sigma = 0.1
    goals = (Goal("accuracy", True, 0.0), Goal("loss", False, sigma))
    found = front((1.0, 0.0), (1.0, 0.0), (0.0, 1.0), goals=goals)
    assert found.measured_area == 1.0
    middle, half = sum(found.area.ends) / 2, (found.area.hi - found.area.lo) / 2
    assert middle == pytest.approx(1 - sigma / math.sqrt(math.pi), abs=0.01)
    assert half == pytest.approx(norm.ppf(0.975) * sigma * math.sqrt(1 - 1 / math.pi), rel=0.06)


def test_the_areas_interval_is_students_where_it_comes_from_few_seeds() -> None:
    """Four seeds that lie 0.1 above and below the mean by turns: the area's standard error is 0.1 / √3."""
    found = replicated([(1.0, second) for second in (0.1, -0.1, 0.1, -0.1)], [(0.0, 1.0)] * 4)
    assert found.measured_area == 1.0
    half = t.ppf(0.975, 3) * 0.1 / math.sqrt(3)
    assert found.area.ends == pytest.approx((1 - half, 1 + half), abs=0.02)


def test_what_all_seeds_have_in_common_does_not_blur_the_front() -> None:
    seeds = [0.0, 0.1, -0.1, 0.2]
    found = replicated([(0.5 + s, 1.0) for s in seeds], [(0.49 + s, 1.0) for s in seeds])
    assert max(c.probability for c in found.candidates) == 1.0


def test_a_point_that_lost_its_other_seeds_is_not_taken_for_exact() -> None:
    cells = [[(0.5, 1.0), (0.6, 1.0), (0.4, 1.0)], [(0.5, 1.0)]]
    found = replicated(*cells)
    assert found.n_seeds == (1, 3)
    alone = next(c for c in found.candidates if c.n == 1)
    assert 0.2 < alone.probability < 0.8
    assert [found.lo for found in alone.estimates] == [None, None]


@dataclass(frozen=True)
class Simulated:
    """A front as it was found, and what is true of it."""

    found: Front
    area: float
    on_front: Sequence[bool]


def simulated(*, n_seeds: int, n: int, n_studies: int, noise: tuple[float, float] = (0.01, 0.1)) -> list[Simulated]:
    """Studies of `n` configurations whose true values are known, seen once or under several seeds."""
    rng = np.random.default_rng(0)
    goals = (Goal("accuracy", True, noise[0]), Goal("seconds", False, noise[1], is_relative=True))
    studies = []
    for seed in range(n_studies):
        seconds = np.exp(rng.normal(1, 0.6, n))
        accuracy = 0.9 + 0.03 * np.log(seconds) + rng.normal(0, 0.02, n)
        losses = np.column_stack([-accuracy, seconds])
        seen = [
            (accuracy + rng.normal(0, noise[0], n), seconds * np.exp(rng.normal(0, noise[1], n)))
            for _ in range(n_seeds)
        ]
        trials = [
            trial(a[i], s[i], number=n * k + i, x=float(i), **{schema.REPLICATE: k})
            for k, (a, s) in enumerate(seen)
            for i in range(n)
        ]
        found = front_of(trials, goals, by_point=True, seed=seed)
        assert found is not None
        area = hypervolume(losses, np.array([-found.reference[0], found.reference[1]]))
        studies.append(Simulated(found, area, nondominated(losses).tolist()))
    return studies


def test_the_area_of_single_trainings_is_corrected_for_the_luck_of_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pareto, "N_DRAWS", 200)
    studies = simulated(n_seeds=1, n=60, n_studies=40, noise=(0.02, 0.2))
    measured, corrected = (
        np.mean([area(one.found) / one.area - 1 for one in studies])
        for area in (lambda found: found.measured_area, lambda found: found.area.value)
    )
    assert measured > 0.1
    assert abs(corrected) < 0.05


def test_the_interval_is_that_of_the_area_and_holds_the_true_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pareto, "N_DRAWS", 200)
    studies = simulated(n_seeds=5, n=25, n_studies=60)
    for one in studies:
        lo, hi = one.found.area.ends
        assert lo <= one.found.area.value <= hi
        assert hi - one.found.area.value == pytest.approx(one.found.area.value - lo)
    assert np.mean([one.found.area.lo <= one.area <= one.found.area.hi for one in studies]) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [1, 4])
def test_probability_and_interval_hold_in_simulated_studies(monkeypatch: pytest.MonkeyPatch, n_seeds: int) -> None:
    monkeypatch.setattr(pareto, "N_DRAWS", 300)
    studies = simulated(n_seeds=n_seeds, n=25, n_studies=40)
    assert sum(one.found.area.lo <= one.area <= one.found.area.hi for one in studies) >= 0.8 * len(studies)
    claimed = np.array([c.probability for one in studies for c in one.found.candidates])
    true = np.array([one.on_front[int(c.trial.params["x"])] for one in studies for c in one.found.candidates])
    bins = np.clip((claimed * 4).astype(int), 0, 3)
    for k in range(4):
        inside = bins == k
        expected, n_inside = claimed[inside].mean(), inside.sum()
        error = math.sqrt(expected * (1 - expected) / n_inside)
        assert true[inside].mean() == pytest.approx(expected, abs=0.03 + 3 * error)


def measured(number: int, device: str, *, begin: float, end: float, machine: str = "a:b:c") -> FrozenTrial:
    made = trial(0.9, 1.0, number=number, device=device, threads=1, worker=f"{machine}:{number}")
    made.datetime_start, made.datetime_complete = (BEGUN + timedelta(seconds=s) for s in (begin, end))
    return made


def test_times_of_other_devices_are_not_compared() -> None:
    trials = [measured(i, f"cuda:{i % 2}", begin=i, end=i + 1) for i in range(3)]
    trials.append(measured(3, "cpu", begin=0, end=9))
    found = conditions_of(trials, trials)
    assert [t.number for t in found.comparable] == [0, 1, 2]
    assert (found.device, found.others) == ("cuda", {"cpu, 1 thread": 1})


def test_how_many_trials_shared_a_machine_is_counted() -> None:
    spans = [(0, 4), (1, 2), (2, 5), (3, 6)]
    trials = [measured(i, "cpu", begin=a, end=b) for i, (a, b) in enumerate(spans)]
    elsewhere = [measured(9, "cpu", begin=0, end=9, machine="z:b:c")]
    found = conditions_of(trials, [*trials, *elsewhere])
    assert (found.n_machines, found.n_at_once) == (1, 3)
    assert conditions_of([*trials, *elsewhere], [*trials, *elsewhere]).n_machines == 2
