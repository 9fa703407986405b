from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from ridge_losses import LOG_BATCH as BATCH
from ridge_losses import LOG_LR as LR
from ridge_losses import Loss, blow_up, cliff, grid, law, shallow, soft_blow_up, study, symmetric

from studies.analysis.law.ridge import Ridge, ridge

Array = npt.NDArray[np.float64]

NAMES = ("lr", "batch_size")
ALPHAS = (0.0, 0.5, 1.0)


LOSSES: list[Loss] = [symmetric, shallow, blow_up, soft_blow_up, cliff]


def noise(seed: int, n: int, sd: float = 0.05) -> Array:
    return np.random.default_rng(seed).normal(0, sd, n)


def fitted(x: Array, b: Array, y: Array, *, others: Array | None = None, window: float = 1.0) -> Ridge:
    return ridge(x, follows=b, loss=y, names=NAMES, others=others, window=window)


def many(f: Loss, alpha: float, n: int, *, bend: float = 0.0) -> list[Ridge]:
    return [fitted(*study(f, alpha, seed, bend=bend)) for seed in range(n)]


def error(found: list[Ridge], alpha: float) -> float:
    """Root of the mean square; a study without a ridge makes no error, but `coverage` shows how many there are."""
    return float(np.sqrt(np.nanmean([(r.alpha.value - alpha) ** 2 for r in found])))


def coverage(found: list[Ridge], alpha: float) -> float:
    return float(np.mean([r.alpha.lo <= alpha <= r.alpha.hi for r in found]))


def has_ridge(found: Ridge) -> bool:
    return not found.verdict.startswith("no ridge")


def test_a_quadratic_without_noise_gives_back_its_line_exactly() -> None:
    x, b = grid(1)
    found = fitted(x, b, 0.3 * (x - (-3.7 + 0.5 * b)) ** 2 + 0.1 * b**3)
    assert found.alpha.value == pytest.approx(0.5, abs=1e-4)
    assert found.intercept == pytest.approx(-3.7, abs=1e-3)
    assert found.alpha.lo <= found.alpha.value <= found.alpha.hi
    np.testing.assert_allclose(found.points, np.column_stack([BATCH, -3.7 + 0.5 * BATCH]), atol=1e-3)
    np.testing.assert_allclose(found.optima, np.column_stack([BATCH, -3.7 + 0.5 * BATCH]), atol=1e-3)
    assert found.n_levels == 6


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("f", LOSSES)
def test_alpha_comes_out_close_and_covered(f: Loss, alpha: float) -> None:
    found = many(f, alpha, 12)
    assert error(found, alpha) <= 0.08
    assert coverage(found, alpha) >= 0.75
    assert np.mean([has_ridge(r) for r in found]) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("f", LOSSES)
def test_error_and_coverage_of_alpha_reach_their_targets(f: Loss, alpha: float) -> None:
    found = many(f, alpha, 300)
    assert error(found, alpha) <= 0.06
    assert coverage(found, alpha) >= 0.90
    assert np.mean([r.curvature_p < 0.01 for r in found]) <= 0.02
    assert np.mean([has_ridge(r) for r in found]) >= 0.97


def test_the_interval_takes_in_lack_of_fit_that_replicates_share() -> None:
    found = []
    for seed in range(30):
        x, b = grid()
        cells = np.unique(np.column_stack([x, b]), axis=0, return_inverse=True)[1].ravel()
        misfit = noise(seed, 42)[cells]
        found.append(fitted(x, b, symmetric(x - law(b, 0.5, seed=seed)) + misfit + noise(seed + 99, len(x), 0.005)))
    assert coverage(found, 0.5) >= 0.85


@pytest.mark.parametrize(("alpha", "name"), [(0.0, "constant"), (0.5, "square root"), (1.0, "linear")])
def test_the_law_that_holds_is_compatible_and_the_others_are_excluded(alpha: float, name: str) -> None:
    found = fitted(*study(symmetric, alpha, 3))
    excluded = tuple(law for law in ("constant", "square root", "linear") if law != name)
    assert (found.compatible, found.excluded) == ((name,), excluded)
    assert found.verdict == f"compatible with {name}; excludes {' and '.join(excluded)}"


def test_between_two_laws_the_verdict_gives_alpha_itself() -> None:
    found = fitted(*study(symmetric, 0.25, 1))
    assert found.compatible == ()
    assert found.verdict.startswith("excludes constant and square root and linear; α is 0.2")


def test_without_two_log_axes_only_the_constant_is_a_law() -> None:
    x, b, y = study(symmetric, 0.5, 0)
    found = ridge(x, follows=b, loss=y, names=("momentum", "width"), power_law=False)
    assert (found.compatible, found.excluded) == ((), ("constant",))


def test_the_budget_unit_is_told_and_passed_on() -> None:
    x, b, y = study(symmetric, 0.5, 0)
    found = ridge(x, follows=b, loss=y, names=NAMES, budget_unit="epochs")
    assert found.budget_unit == "epochs"
    assert found.verdict.endswith("at equal epochs")


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_a_cap_that_does_not_run_parallel_leaves_alpha_alone(slope: float) -> None:
    found = []
    for seed in range(12):
        x, b = grid()
        best = law(b, 0.5, seed=seed) - 0.2
        distance = (slope - 0.5) * (b - BATCH.mean())
        y = np.where(x - best < distance - distance.min() + 0.15, 0.3 * (x - best) ** 2, 1.0)
        found.append(fitted(x, b, y + noise(seed, len(x))))
    assert error(found, 0.5) <= 0.10
    assert coverage(found, 0.5) >= 0.75
    assert any("too high up the rise" in r.verdict for r in found)


def test_losses_without_a_cap_count_as_the_worst_ordinary_one() -> None:
    found = []
    for seed in range(10):
        x, b, y = study(blow_up, 0.5, seed)
        far = x - law(b, 0.5, seed=seed) > 0.8
        found.append(fitted(x, b, np.where(far, 10 ** np.random.default_rng(seed).uniform(0, 6, len(x)), y)))
    assert error(found, 0.5) <= 0.06
    assert coverage(found, 0.5) >= 0.75


def test_a_floor_that_half_of_the_runs_share_has_its_ridge_in_the_middle() -> None:
    x, b = grid(1)
    y = np.maximum(0, np.abs(x - law(b, 0.5)) - 1.1)
    found = fitted(x, b, y)
    assert np.median(y) == 0
    assert found.alpha.lo <= 0.5 <= found.alpha.hi
    assert found.alpha.value == pytest.approx(0.5, abs=0.1)


def test_a_skewed_loss_does_not_widen_the_interval_to_uselessness() -> None:
    assert np.median([r.alpha.hi - r.alpha.lo for r in many(blow_up, 1.0, 12)]) < 0.35


def test_a_level_of_a_single_run_adds_nothing() -> None:
    x, b, y = study(symmetric, 0.5, 0)
    more = fitted(np.append(x, -1.8), np.append(b, np.log10(1024)), np.append(y, 0.1))
    found = fitted(x, b, y)
    assert (more.alpha.value, *more.alpha.ends) == pytest.approx((found.alpha.value, *found.alpha.ends), abs=0.01)
    assert (more.n_levels, len(more.points), len(more.optima)) == (7, 7, 6)


def test_a_bent_ridge_is_told_and_no_law_is_claimed() -> None:
    found = many(symmetric, 0.5, 10, bend=0.5)
    curved = [r for r in found if r.verdict.startswith("curved: no single α holds for every batch_size")]
    assert len(curved) >= 9
    assert all(r.compatible == r.excluded == () and r.curvature_p < 0.01 for r in curved)
    assert all("on average α is" in r.verdict for r in curved)


def test_a_faint_bend_is_told_beside_the_laws() -> None:
    faint = [r for r in many(symmetric, 0.5, 20, bend=0.22) if 0.01 <= r.curvature_p < 0.05]
    assert faint
    assert all(r.compatible or r.excluded for r in faint)
    assert all("perhaps curved (p = 0.0" in r.verdict for r in faint)


@pytest.mark.parametrize("f", [symmetric, shallow, blow_up])
def test_straight_ridges_are_seldom_called_curved(f: Loss) -> None:
    assert sum(r.verdict.startswith("curved") for r in many(f, 0.5, 20)) <= 1


@pytest.mark.parametrize(("sign", "side"), [(-1, "higher"), (1, "lower")])
def test_a_loss_that_falls_to_the_edge_has_no_ridge(sign: int, side: str) -> None:
    x, b = grid()
    told = [fitted(x, b, sign * 0.3 * x + noise(seed, len(x))).verdict for seed in range(10)]
    assert all(verdict.startswith("no ridge") for verdict in told)
    assert sum(f"at the edge of its range for most values of batch_size: try {side} values" in v for v in told) >= 5


def test_levels_whose_best_value_is_off_the_grid_are_left_out_and_told() -> None:
    x, b = grid()
    found = fitted(x, b, shallow(x - (-2.0 + 1.2 * (b - BATCH[2]))) + noise(0, len(x)))
    assert found.n_levels == len(found.optima) == 5
    assert "1 of 6 values of batch_size left out" in found.verdict
    assert found.alpha.value == pytest.approx(1.2, abs=0.15)


def test_noise_alone_has_no_ridge() -> None:
    x, b = grid()
    verdicts = [fitted(x, b, noise(seed, len(x))).verdict for seed in range(20)]
    assert sum(verdict.startswith("no ridge") for verdict in verdicts) >= 19
    assert sum("no more of the results than chance would" in verdict for verdict in verdicts) >= 17


def test_a_maximum_is_no_ridge() -> None:
    x, b, y = study(symmetric, 0.5, 0)
    found = fitted(x, b, -y)
    assert found.verdict.startswith("no ridge")
    assert math.isnan(found.alpha.value)
    assert found.alpha.ends == (-math.inf, math.inf)


def test_an_unbounded_interval_is_told_with_what_to_run() -> None:
    found = [fitted(*study(shallow, 0.5, seed, noise=0.6)) for seed in range(20)]
    assert all(r.alpha.lo <= r.alpha.value <= r.alpha.hi for r in found if not math.isnan(r.alpha.value))
    unbounded = [r for r in found if "interval for α is unbounded: run replicates" in r.verdict]
    assert unbounded
    assert all(
        math.isinf(r.alpha.lo) and math.isinf(r.alpha.hi) and r.compatible == r.excluded == () for r in unbounded
    )


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        (lambda x, b: b < BATCH[2], "batch_size has 2 of the 3 values that a line needs: run more values of batch"),
        (lambda x, b: np.isin(x, LR[2:4]), "lr has 2 of the 3 values that a minimum needs: run more values of lr"),
        (lambda x, b: np.arange(len(x)) % 12 == 0, "11 runs with a value are too few: run at least 12, better 50"),
        (lambda x, b: np.arange(len(x)) % 10 == 0, "lie near the ridge: run more values of lr around the best ones"),
        (lambda x, b: x > np.inf, "0 runs with a value are too few"),
    ],
)
def test_what_is_missing_is_told(keep: Callable[[Array, Array], Array], told: str) -> None:
    x, b, y = study(symmetric, 0.5, 0, noise=0.001)
    kept = keep(x, b)
    found = fitted(x[kept], b[kept], y[kept])
    assert found.verdict.startswith("no ridge: ")
    assert told in found.verdict
    assert (found.n_used, found.points, found.alphas_by_window) == (0, (), ())


def test_a_constant_loss_is_told() -> None:
    x, b = grid()
    assert "the loss is the same in every run" in fitted(x, b, np.full(len(x), 0.7)).verdict


@pytest.mark.parametrize("n_values", [5, 60])
def test_two_parameters_that_move_as_one_have_no_ridge(n_values: int) -> None:
    b = np.repeat(np.arange(n_values), 4) / (n_values - 1)
    found = fitted(b, b, np.abs(b - 0.5) + noise(0, len(b), 0.01))
    assert not has_ridge(found)
    assert n_values == 5 or "lie near the ridge" in found.verdict


def test_two_levels_near_the_ridge_are_too_few() -> None:
    x, b = (a.ravel() for a in np.meshgrid(np.linspace(-4, -1, 25), BATCH[:3]))
    kept = (b < BATCH[2]) | (x == -4)
    found = fitted(x[kept], b[kept], (symmetric(x + 2.5) + noise(0, len(x), 0.01))[kept])
    assert "lie near the ridge" in found.verdict


def test_half_of_the_runs_at_one_value_of_the_second_parameter_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-4, -1, 120)
    b = np.where(np.arange(120) < 60, BATCH[3], rng.uniform(BATCH[0], BATCH[-1], 120))
    found = fitted(x, b, symmetric(x - law(b, 0.5)) + noise(1, 120))
    assert found.alpha.lo <= 0.5 <= found.alpha.hi
    assert found.alpha.value == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("f", "n_values", "step"), [(symmetric, 3, 0.4), (symmetric, 3, 0.5), (symmetric, 5, 0.3), (blow_up, 5, 0.5)]
)
def test_a_grid_narrower_than_the_valley_is_used_whole(f: Loss, n_values: int, step: float) -> None:
    found = []
    for seed in range(12):
        places = -2.5 + step * (np.arange(n_values) - n_values // 2)
        x, b, _ = (a.ravel() for a in np.meshgrid(places, BATCH, np.ones(3)))
        found.append(fitted(x, b, f(x - (law(b, 0.1, seed=seed) - 0.1)) + noise(seed, len(x))))
    assert error(found, 0.1) <= 0.08
    assert coverage(found, 0.1) >= 0.75
    assert np.mean([has_ridge(r) for r in found]) >= 0.6


def test_diverged_runs_are_left_out_even_where_the_grid_is_used_whole() -> None:
    found = []
    for seed in range(40):
        x, b, _ = (a.ravel() for a in np.meshgrid(-2.5 + 0.5 * (np.arange(4) - 1.5), BATCH, np.ones(3)))
        middle = b - BATCH.mean()
        d = x + 2.5 + 0.1 * math.cos(seed) - 0.2 * middle
        y = symmetric(d) + noise(seed, len(x))
        found.append(fitted(x, b, np.where(d > 0.4 * (middle - middle.min()) + 0.15, max(1.0, y.max()), y)))
    assert error(found, 0.2) <= 0.041


def test_what_is_the_same_on_both_sides_of_the_middle_has_alpha_zero() -> None:
    x, b, n = (a.ravel() for a in np.meshgrid([-3.0, -2.5, -2.0], BATCH, np.arange(3.0)))
    y = symmetric(x + 2.4) + 0.02 * n + 0.03 * np.cos(9 * x) * np.cos(7 * (b - BATCH.mean()))
    order = np.random.default_rng(0).permutation(len(x))
    found, other = fitted(x, b, y), fitted(x[order], b[order], y[order])
    assert other.alpha.ends == pytest.approx(found.alpha.ends, abs=1e-6)
    assert found.alpha.value == pytest.approx(0, abs=1e-6)


def test_runs_without_a_finite_value_change_nothing() -> None:
    x, b, y = study(symmetric, 0.5, 0)
    strange = [
        np.append(a, v) for a, v in ((x, [-2.0, math.nan, -3.0]), (b, [2.0, 2.0, -math.inf]), (y, [math.nan] * 3))
    ]
    assert repr(fitted(*strange)) == repr(fitted(x, b, y))


def test_a_loss_that_the_first_parameter_does_not_move_is_told() -> None:
    x, b = (a.ravel() for a in np.meshgrid(LR[:4], BATCH[:4]))
    assert "no more of the results than chance would" in fitted(x, b, (b > BATCH[1]) * 1.0).verdict


def test_values_far_beyond_any_scale_are_taken() -> None:
    x, b, y = study(symmetric, 0.5, 0)
    assert fitted(x, b, 1e200 * y).alpha.value == pytest.approx(fitted(x, b, y).alpha.value, abs=1e-9)
    assert not has_ridge(fitted(np.exp(-170 * x), b, y))


@pytest.mark.parametrize("seed", range(10))
def test_a_window_far_below_the_distance_of_values_holds_too_few_runs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, b = rng.choice([-1e9, 0.0, 1e9], 60), rng.normal(size=60)
    assert not has_ridge(fitted(x, b, (x - b) ** 2))


def strange_column(rng: np.random.Generator, n: int) -> Array:
    kinds = [
        rng.normal(size=n),
        rng.integers(0, rng.integers(1, 6), n).astype(float),
        np.full(n, 3.0),
        10 ** rng.uniform(-300, 300, n),
        rng.choice([0.0, 1e9, -1e9], n),
        np.where(rng.random(n) < 0.3, math.nan, rng.normal(size=n)),
        rng.choice(BATCH, n),
    ]
    return kinds[rng.integers(0, len(kinds))]


def test_no_data_raise_or_warn() -> None:
    for seed in range(150):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(0, 80))
        x, b, y = (strange_column(rng, n) for _ in range(3))
        b = 2 * x if seed % 3 == 0 else b
        others = np.column_stack([np.clip(strange_column(rng, n), 0, 1) for _ in range(seed % 4 + 1)])
        found = fitted(x, b, y, others=others if seed % 2 else None, window=float(10 ** rng.uniform(-2, 2)))
        assert found.verdict
        assert found.alpha.lo <= found.alpha.hi


def test_neither_the_order_of_runs_nor_the_unit_of_the_loss_matters() -> None:
    x, b, y = study(blow_up, 0.5, 0)
    order = np.random.default_rng(0).permutation(len(x))
    found, other = fitted(x, b, y), fitted(x[order], b[order], 1000 * y[order] - 50)
    assert (other.alpha.value, *other.alpha.ends) == pytest.approx((found.alpha.value, *found.alpha.ends), abs=1e-6)
    assert other.verdict == found.verdict


def test_the_window_is_in_the_unit_of_the_first_axis() -> None:
    x, b, y = study(blow_up, 0.5, 0)
    found, other = fitted(x, b, y), fitted(100 * x, b, y, window=100)
    assert other.alpha.value == pytest.approx(100 * found.alpha.value, rel=1e-6)
    assert other.intercept == pytest.approx(100 * found.intercept, rel=1e-6)
    assert other.n_used == found.n_used


def test_the_sensitivity_table_holds_the_main_window() -> None:
    found = fitted(*study(symmetric, 0.5, 0))
    assert [row[0] for row in found.alphas_by_window] == [0.5, 0.75, 1.0, 1.5]
    assert found.alphas_by_window[2][1] == found.alpha


def test_no_law_is_claimed_where_alpha_depends_on_the_window() -> None:
    x, b = (a.ravel() for a in np.meshgrid(np.linspace(-4, -1, 25), BATCH))
    d = x - law(b, 0.5)
    found = fitted(x, b, 0.3 * d**2 + 0.1 * d**3 * (b - BATCH.mean()) + noise(0, len(x), 0.01))
    assert found.verdict.startswith("undecided: α is 0.3")
    assert "within 0.5" in found.verdict
    assert found.compatible == found.excluded == ()


@pytest.mark.parametrize("spread", ["levels", "continuous"])
def test_scattered_trials_with_nuisance_parameters_give_the_line_too(spread: str) -> None:
    found, blind = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-4, -1, 200)
        b = rng.choice(BATCH, 200) if spread == "levels" else rng.uniform(BATCH[0], BATCH[-1], 200)
        others = rng.random((200, 3))
        nuisance = (others[:, 0] - 0.3) ** 2 + 0.5 * others[:, 1]
        y = symmetric(x - law(b, 0.5, seed=seed)) + nuisance + rng.normal(0, 0.05, 200)
        found.append(fitted(x, b, y, others=others))
        blind.append(fitted(x, b, y))
    assert error(found, 0.5) <= 0.04
    assert coverage(found, 0.5) >= 0.75
    assert error(blind, 0.5) > 1.5 * error(found, 0.5)
    assert all(len(r.points) == (6 if spread == "levels" else 7) for r in found)
    assert all(bool(r.optima) == (spread == "levels") for r in found)


def test_more_nuisance_parameters_than_trials_allow_are_left_out() -> None:
    x, b, y = study(symmetric, 0.5, 0)
    others = np.random.default_rng(0).random((len(x), 60))
    assert replace(fitted(x, b, y, others=others), verdict="") == replace(fitted(x, b, y), verdict="")


def test_a_lone_cell_at_the_window_s_end_does_not_open_the_interval() -> None:
    def narrow(d: Array) -> Array:
        return 1.15 * d**2 / (0.8 + d**2)

    assert all(has_ridge(r) for r in many(narrow, 0.0, 30))
