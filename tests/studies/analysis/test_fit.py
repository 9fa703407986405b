"""What speaks against the largest effects of a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known_functions import ishigami, table, uniform

from studies.analysis import fit
from studies.analysis.axis import Array
from studies.analysis.chaos import Chaos, chaos
from studies.analysis.fit import fit_table
from studies.analysis.gaussian_process.response import Response, standardised
from studies.analysis.gaussian_process.rough_values import RoughValues
from studies.analysis.table import TrialsTable


def test_a_sound_study_has_nothing_against_it() -> None:
    found = fit_table(ishigami().table(120, noise=0.1, seed=0), seed=0)
    assert found.evidence.against == ()
    assert found.verdict.level == "ok"


def test_predicted_values_tell_no_noise_of_replicates() -> None:
    trials = ishigami().table(40, noise=1.0, seed=0)
    again = replace(trials.over(np.arange(40) < 20, trials.names), replicates=(1,) * 20)
    x, y = np.vstack([again.x, again.x]), np.concatenate([again.y, again.y + 0.5])
    both = replace(trials, x=x, y=y, replicates=(0,) * 20 + (1,) * 20)
    raw = standardised(Response("raw"), y)
    rough = RoughValues(np.tile(y, (4, 1)), raw, raw.forward(y), np.diag(0.01 * (np.arange(40) >= 20)))
    measured, predicted = (fit_table(own, seed=0).evidence for own in (both, replace(both, rough=rough)))
    assert measured.noise_share is not None
    assert predicted.noise_share is None
    assert measured.n_duplicates == predicted.n_duplicates == 0


def replicated(together: float) -> TrialsTable:
    """A line in one parameter, and what four do together, which the fit has no term for: two seeds a point."""
    rng = np.random.default_rng(0)
    unit = np.repeat(rng.random((100, 4)), 2, axis=0)
    own = 3.5 * unit[:, 0] + together * np.sign(unit - 0.5).prod(axis=1) + 0.02 * rng.standard_normal(200)
    return replace(table(uniform(4), unit, own), replicates=(0, 1) * 100)


@pytest.mark.slow
def test_a_misfit_beyond_the_noise_of_replicates_is_told_unless_it_is_small() -> None:
    small, large = (fit_table(replicated(together), seed=0) for together in (0.3, 0.7))
    assert small.evidence.misfit == pytest.approx(0.09 / 1.09, abs=0.02)
    assert small.verdict.level == "ok"
    assert large.evidence.misfit > 0.2
    assert any("replicates show lack of fit" in reason for reason in large.verdict.reasons)


def line(unit: Array, *, noise: float, seed: int) -> Array:
    return np.asarray(3.5 * unit[:, 0] + noise * np.random.default_rng(seed).standard_normal(len(unit)))


@pytest.mark.parametrize("seed", range(4))
def test_trainings_of_one_point_under_one_seed_make_no_lack_of_fit(seed: int) -> None:
    """Half of the points have a second training under the first one's seed, which gives the same value."""
    unit = np.repeat(np.random.default_rng(seed).random((80, 2)), 2, axis=0)
    again = np.arange(160) % 4 == 3
    y = line(unit, noise=1.0, seed=seed)
    y = np.where(again, np.roll(y, 1), y)
    evidence = fit_table(replace(table(uniform(2), unit, y), replicates=(0, 1, 0, 0) * 40), seed=0).evidence
    assert evidence.lack_of_fit_p is not None
    assert evidence.lack_of_fit_p > 0.01
    assert not evidence.is_misfit


@pytest.mark.parametrize("seed", [2, 4])
def test_predicted_values_at_other_points_have_no_part_in_the_test_of_fit(seed: int) -> None:
    """They make the fit follow waves, which takes parameters that are none of the measured values."""
    rng = np.random.default_rng(seed)
    unit = np.vstack([np.repeat(rng.random((24, 2)), 2, axis=0), rng.random((150, 2))])
    is_predicted = np.arange(198) >= 48
    noise = np.where(is_predicted, 0.1, 0.5) * rng.standard_normal(198)
    y = np.sin(9 * unit[:, 0]) + np.cos(9 * unit[:, 1]) + noise
    raw = standardised(Response("raw"), y)
    rough = RoughValues(np.tile(y, (4, 1)), raw, raw.forward(y), np.diag(0.01 * is_predicted))
    trials = replace(table(uniform(2), unit, y), rough=rough, replicates=(0, 1) * 24 + (0,) * 150)
    evidence = fit_table(trials, seed=0).evidence
    assert evidence.lack_of_fit_p is not None
    assert evidence.lack_of_fit_p > 0.01
    assert not evidence.is_misfit


def test_an_effect_that_three_trials_make_is_told_with_their_numbers() -> None:
    """All but three trials are noise. These lie together, far off."""
    rng = np.random.default_rng(0)
    unit, y = rng.random((60, 2)), 0.1 * rng.standard_normal(60)
    unit[[5, 20, 41]] = [[0.95, 0.5], [0.96, 0.3], [0.97, 0.7]]
    unit[:, 0] = np.where(np.isin(np.arange(60), [5, 20, 41]), unit[:, 0], 0.9 * unit[:, 0])
    y[[5, 20, 41]] = 3.0
    found = fit_table(table(uniform(2), unit, y), seed=0)
    (reason,) = [own for own in found.verdict.reasons if own.startswith("without trials")]
    assert reason.startswith("without trials 5, 20 and 41, x1 would have")
    assert found.verdict.level != "ok"


def test_a_second_estimator_that_contradicts_the_largest_effect_lowers_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def contradicting(*arguments: object) -> Chaos:
        found = chaos(*arguments)  # type: ignore[arg-type]
        return replace(found, main=np.zeros_like(found.main))

    monkeypatch.setattr(fit, "chaos", contradicting)
    found = fit_table(ishigami().table(120, noise=0.1, seed=0), seed=0)
    assert found.verdict.level == "caution"
    assert any(own.startswith("polynomial chaos gives x2 0.00 instead of 0.4") for own in found.verdict.reasons)
