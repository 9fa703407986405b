from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from numpy.polynomial import legendre

from studies.analysis.chaos import Chaos, chaos

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]  # of points (n, d) in [-1, 1]
M = 10


def basis(x: Array) -> Array:
    """Legendre polynomials, orthonormal under the uniform measure on [-1, 1]."""
    return np.asarray(legendre.legvander(x, M)[:, 1:] * np.sqrt(2 * np.arange(1, M + 1) + 1), dtype=np.float64)


def discrete_basis(index: npt.NDArray[np.int_], levels: int) -> Array:
    """Orthonormal polynomials under equal weights on so many equidistant points."""
    q, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, levels), increasing=True))
    return np.asarray(q[index][:, 1:] * math.sqrt(levels))


def contrasts(index: npt.NDArray[np.int_], levels: int) -> Array:
    """Orthonormal contrasts of zero mean between equally likely categories."""
    return discrete_basis(index, levels)


def rising(n: int) -> npt.NDArray[np.int_]:
    return np.arange(1, n + 1)


def sample(function: Function, d: int, *, n: int, noise: float, seed: int) -> tuple[list[Array], Array]:
    """Bases and values at random points; noise is relative to the function's standard deviation."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, d))
    scale = function(np.random.default_rng(0).uniform(-1, 1, (20_000, d))).std()
    return [basis(x[:, i]) for i in range(d)], function(x) + noise * scale * rng.standard_normal(n)


def fitted(function: Function, d: int, *, n: int = 200, noise: float = 0.1, seed: int = 0) -> Chaos:
    bases, y = sample(function, d, n=n, noise=noise, seed=seed)
    return chaos(bases, [rising(M)] * d, y)


def ishigami(x: Array) -> Array:
    a, b, c = np.pi * x.T
    return np.asarray(np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a))


def additive(x: Array) -> Array:
    return np.asarray(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2 + x[:, 2] + np.exp(x[:, 3]) / 2)


def friedman(x: Array) -> Array:
    u = (x + 1) / 2
    smooth = 10 * np.sin(np.pi * u[:, 0] * u[:, 1]) + 20 * (u[:, 2] - 0.5) ** 2
    return np.asarray(smooth + 10 * u[:, 3] + 5 * u[:, 4])


def nothing(result: Chaos) -> bool:
    return not result.main.any() and not result.pairs.any() and result.higher == 0 and result.n_terms == 0


def test_ishigami_has_its_known_indices() -> None:
    found = [fitted(ishigami, 3, seed=seed) for seed in range(5)]
    for result in found:
        assert result.main == pytest.approx([0.3139, 0.4424, 0], abs=0.03)
        assert result.pairs[0, 2] == pytest.approx(0.2437, abs=0.03)
        assert result.pairs[[0, 1], [1, 2]] == pytest.approx(0, abs=0.01)
        assert result.q2 == pytest.approx(1 / 1.01, abs=0.01)  # what noise of .1 leaves to be explained


@pytest.mark.slow
def test_ishigamis_pair_is_found_in_most_of_fifty_seeds() -> None:
    errors = [abs(fitted(ishigami, 3, seed=seed).pairs[0, 2] - 0.2437) for seed in range(50)]
    assert np.mean(np.array(errors) < 0.03) >= 0.95


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_an_additive_function_has_no_pairs(noise: float) -> None:
    for seed in range(5):
        assert fitted(additive, 4, noise=noise, seed=seed).pairs.max() < 0.02


def test_a_pure_pair_has_no_main_effects() -> None:
    result = fitted(lambda x: x[:, 0] * x[:, 1], 3)
    assert result.pairs[0, 1] == pytest.approx(1, abs=0.01)
    assert result.main == pytest.approx(np.zeros(3), abs=0.01)


def test_a_product_of_three_is_not_pushed_into_pairs() -> None:
    result = fitted(lambda x: x[:, 0] * x[:, 1] * x[:, 2], 3)
    assert result.higher == pytest.approx(1, abs=0.01)
    assert result.pairs.max() < 0.01


def test_the_shares_add_up_to_one_and_pairs_are_symmetric() -> None:
    result = fitted(lambda x: x[:, 0] + x[:, 0] * x[:, 1] + x[:, 0] * x[:, 1] * x[:, 2], 3, noise=0.3)
    assert result.higher > 0.05
    assert result.main.sum() + result.pairs.sum() / 2 + result.higher == pytest.approx(1)
    assert np.array_equal(result.pairs, result.pairs.T)
    assert not result.pairs.diagonal().any()


def test_a_category_and_a_grid_have_their_known_indices() -> None:
    rng = np.random.default_rng(3)
    n = 200
    category, step, x = rng.integers(0, 3, n), rng.integers(0, 5, n), rng.uniform(-1, 1, n)
    slope = np.array([-1.0, 0.0, 1.0])[category]  # variance 2/3; of the step 1/2; of x 1/3
    y = slope + np.linspace(-1, 1, 5)[step] + slope * x * 2  # variances 2/3, 1/2 and 4 · 2/3 · 1/3 = 8/9
    bases = [contrasts(category, 3), discrete_basis(step, 5), basis(x)]
    noisy = y + 0.1 * y.std() * rng.standard_normal(n)
    result = chaos(bases, [np.array([1, 1]), rising(4), rising(M)], noisy)
    total = 2 / 3 + 1 / 2 + 8 / 9
    assert result.main == pytest.approx(np.array([2 / 3, 1 / 2, 0]) / total, abs=0.03)
    assert result.pairs[0, 2] == pytest.approx(8 / 9 / total, abs=0.03)
    assert result.pairs[[0, 1], [1, 2]] == pytest.approx(0, abs=0.01)


def test_a_complete_grid_without_noise_is_recovered_exactly() -> None:
    a, b = (index.ravel() for index in np.meshgrid(np.arange(7), np.arange(6), indexing="ij"))
    bases = [discrete_basis(a, 7), discrete_basis(b, 6)]
    y = 2 * bases[0][:, 0] + bases[1][:, 1] + bases[0][:, 1] * bases[1][:, 0]
    result = chaos(bases, [rising(6), rising(5)], y)
    assert result.main == pytest.approx([4 / 6, 1 / 6])
    assert result.pairs[0, 1] == pytest.approx(1 / 6)
    assert result.n_terms == 3


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_order_of_trials_and_parameters_changes_nothing(noise: float) -> None:
    bases, y = sample(friedman, 6, n=120, noise=noise, seed=1)
    result = chaos(bases, [rising(M)] * 6, y)
    rng = np.random.default_rng(4)
    for _ in range(3):
        rows, order = rng.permutation(120), rng.permutation(6)
        moved = chaos([bases[i][rows] for i in order], [rising(M)] * 6, y[rows])
        assert moved.main == pytest.approx(result.main[order], abs=1e-12)
        assert moved.pairs == pytest.approx(result.pairs[np.ix_(order, order)], abs=1e-12)
        assert (moved.q2, moved.n_terms, moved.degree) == (result.q2, result.n_terms, result.degree)


def test_a_symmetric_grid_treats_both_parameters_alike() -> None:
    a, b = (index.ravel() for index in np.meshgrid(np.arange(4), np.arange(4), indexing="ij"))
    result = chaos([discrete_basis(a, 4), discrete_basis(b, 4)], [rising(3)] * 2, np.square(a + b, dtype=np.float64))
    assert result.main[0] == pytest.approx(result.main[1])


@pytest.mark.parametrize(("factor", "shift"), [(3.0, 1.0), (-1.0, 0.0), (-1e6, 1e6), (1e-250, 0.0), (1e300, 0.0)])
def test_an_affine_change_of_the_value_changes_nothing(factor: float, shift: float) -> None:
    bases, y = sample(friedman, 6, n=120, noise=0.3, seed=2)
    result = chaos(bases, [rising(M)] * 6, y)
    moved = chaos(bases, [rising(M)] * 6, np.asarray(factor * y + shift, dtype=np.float64))
    assert moved.main == pytest.approx(result.main, abs=1e-9)
    assert moved.pairs == pytest.approx(result.pairs, abs=1e-9)
    assert moved.q2 == pytest.approx(result.q2, abs=1e-9)


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (fitted(friedman, 6, noise=0.3) for _ in range(2))
    assert first.main.tobytes() + first.pairs.tobytes() == second.main.tobytes() + second.pairs.tobytes()


def test_shuffled_values_are_hardly_explained() -> None:
    bases, y = sample(ishigami, 3, n=200, noise=0.1, seed=0)
    explained = [chaos(bases, [rising(M)] * 3, np.random.default_rng(s).permutation(y)).q2 for s in range(10)]
    assert max(explained) < 0.2
    assert np.median(explained) < 0.05


@pytest.mark.parametrize("n", [0, 1, 9])
def test_fewer_than_ten_trials_give_nothing(n: int) -> None:
    bases, y = sample(ishigami, 3, n=n, noise=0.1, seed=0)
    result = chaos(bases, [rising(M)] * 3, y)
    assert nothing(result)
    assert math.isnan(result.q2)
    assert result.pairs.shape == (3, 3)


@pytest.mark.parametrize("level", [0.0, 0.1, -1e300])
def test_a_constant_value_gives_nothing(level: float) -> None:
    bases, _ = sample(ishigami, 3, n=50, noise=0.1, seed=0)
    result = chaos(bases, [rising(M)] * 3, np.full(50, level))
    assert nothing(result)
    assert math.isnan(result.q2)


def test_a_value_that_is_constant_but_for_rounding_gives_nothing() -> None:
    bases, y = sample(ishigami, 3, n=50, noise=0.1, seed=0)
    assert nothing(chaos(bases, [rising(M)] * 3, 0.1 + 1e-15 * np.sign(y)))


def test_parameters_that_never_vary_have_no_share() -> None:
    bases, y = sample(ishigami, 3, n=200, noise=0.1, seed=0)
    still, none = np.full((200, M), 0.7), np.empty((200, 0))
    result = chaos([still, *bases, none], [rising(M)] * 4 + [rising(0)], y)
    assert result.main[[0, 4]].tolist() == [0, 0]
    assert result.main[1:4] == pytest.approx([0.3139, 0.4424, 0], abs=0.03)
    alone = chaos([still, none], [rising(M), rising(0)], y)
    assert nothing(alone)
    assert math.isnan(alone.q2)


def test_a_nearly_constant_basis_is_passed_over() -> None:
    _, y = sample(ishigami, 3, n=50, noise=0.1, seed=0)
    still = 1 + 1e-14 * np.sign(y)[:, None]
    result = chaos([still], [rising(1)], y)
    assert nothing(result)


def test_duplicated_parameters_and_points_are_no_obstacle() -> None:
    bases, y = sample(ishigami, 3, n=200, noise=0.1, seed=0)
    twice = chaos([*bases, bases[0]], [rising(M)] * 4, y)
    assert twice.main[[0, 3]].sum() == pytest.approx(0.3139, abs=0.03)
    rows = np.arange(200) % 20
    repeated = chaos([b[rows] for b in bases], [rising(M)] * 3, y[rows])
    assert repeated.n_terms < 20


def test_one_wild_trial_is_never_fitted_alone() -> None:
    rng = np.random.default_rng(5)
    category = np.zeros(40, dtype=np.int_)
    category[7] = 1  # the only trial of its category
    values = rng.standard_normal(40)
    values[7] = 1e9
    result = chaos([contrasts(category, 2), basis(rng.uniform(-1, 1, 40))], [rising(1), rising(M)], values)
    assert result.q2 < 0.5


@pytest.mark.slow
def test_a_pair_is_found_among_ten_parameters_in_a_thousand_trials() -> None:
    bases, y = sample(lambda x: friedman(x) + 3 * x[:, 8] * x[:, 9], 10, n=1000, noise=0.3, seed=0)
    result = chaos(bases, [rising(M)] * 10, y)
    assert result.pairs[8, 9] > 0.02


@pytest.mark.parametrize(("d", "n"), [(100, 60), (150, 12)])
def test_many_parameters_keep_their_main_effects_and_lose_high_degrees(d: int, n: int) -> None:
    result = fitted(lambda x: x[:, 0] + x[:, 50], d, n=n, noise=0.0)
    assert result.main[[0, 50]].sum() > 0.4
    assert result.degree <= 2


@pytest.mark.parametrize("degree", range(1, M + 1))
def test_a_polynomial_is_found_at_its_own_degree(degree: int) -> None:
    result = fitted(lambda x: basis(x[:, 0])[:, degree - 1], 2, noise=0.0)
    assert (result.degree, result.n_terms) == (degree, 1)


def test_two_functions_of_one_parameter_are_never_multiplied() -> None:
    result = fitted(lambda x: x[:, 0] * (3 * x[:, 0] ** 2 - 1) * x[:, 1], 2)
    assert result.higher == 0
    assert result.pairs[0, 1] == pytest.approx(1, abs=0.02)


def test_noise_adds_few_terms_and_a_weak_effect_stays() -> None:
    found = [fitted(lambda x: x[:, 0] + 0.15 * x[:, 1], 3, noise=0.3, seed=seed) for seed in range(8)]
    assert np.mean([result.n_terms for result in found]) < 6
    assert np.median([result.main[1] for result in found]) == pytest.approx(0.15**2 / (1 + 0.15**2), abs=0.01)


def test_ten_trials_are_fitted_with_five_terms_at_most() -> None:
    for seed in range(5):
        assert fitted(friedman, 6, n=10, seed=seed).n_terms <= 5


@pytest.mark.parametrize(("slope", "seed"), [(0.1, 25), (0.1, 31), (0.3, 7), (0.5, 25)])
def test_exactly_alike_parameters_are_mirrored_when_they_swap_places(slope: float, seed: int) -> None:
    a, b = (index.ravel() for index in np.meshgrid(np.arange(6), np.arange(6), indexing="ij"))
    bases = [discrete_basis(a, 6), discrete_basis(b, 6)]
    noise = np.random.default_rng(seed).standard_normal((6, 6))
    y = (noise + noise.T).ravel() + slope * (a + b)  # only their order decides which of the two is taken first
    one, other = (chaos(given, [rising(5)] * 2, y) for given in (bases, bases[::-1]))
    assert one.main == pytest.approx(other.main[::-1], abs=1e-12)


def test_two_binary_parameters_that_never_differ_are_no_obstacle() -> None:
    rng = np.random.default_rng(6)
    sign = rng.choice([-1.0, 1.0], 60)[:, None]  # their product is constant
    result = chaos([sign, sign], [rising(1)] * 2, sign[:, 0] + rng.standard_normal(60))
    assert result.main.sum() == pytest.approx(1)


def test_pairs_beyond_the_limit_on_terms_are_not_looked_at() -> None:
    assert fitted(lambda x: x[:, 0] * x[:, 1], 40, n=60, noise=0.0).pairs.max() == 0
    assert fitted(lambda x: x[:, 0] * x[:, 1], 20, n=60, noise=0.0).pairs[0, 1] == pytest.approx(1)
