"""New limits: how far a range is moved, what is never crossed, and what follows for other parameters."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from reports import shown

from studies.analysis.axis import Axis, levelled
from studies.analysis.estimate import Estimate
from studies.analysis.next_round.boundary import Place
from studies.analysis.next_round.infeasible import Rate, Region, Side
from studies.analysis.next_round.limits import extended, narrowed
from studies.analysis.next_round.round import NextRound
from studies.analysis.next_round.space import next_space
from studies.analysis.tuning.tolerance import GIVEN, Tolerance
from studies.config.parameter import Parameter, ParameterType
from studies.config.space import SearchSpace
from studies.reporting.sections.next_round.section import next_round_blocks


def ranged(kind: ParameterType, low: float, high: float, **more: Any) -> Parameter:
    return Parameter("p", ("model.p",), kind, low, high, **more)


@pytest.mark.parametrize(
    ("parameter", "end", "limit"),
    [
        (ranged("float", 1e-4, 1e-2, log=True), "high", 0.1),
        (ranged("float", 1e-4, 1e-2, log=True), "low", 1e-5),
        (ranged("float", 1e-4, 3e-2, log=True), "high", 0.52),
        (ranged("power_of_two", 16, 256, log=True), "high", 1024),
        (ranged("power_of_two", 2, 64, log=True), "low", 1),
        (ranged("power_of_two", 1, 64, log=True), "low", None),
        (ranged("int", 1, 3), "high", 4),
        (ranged("int", 1, 3), "low", None),  # a number of layers does not become 0
        (ranged("int", 0, 4), "low", None),
        (ranged("int", 4, 6), "low", 3),
        (ranged("int", 32, 256, step=32), "high", 384),
        (ranged("int", 4, 64, log=True), "low", 1),
        (ranged("int", 4, 64, log=True), "high", 256),
        (ranged("float", 0.0, 0.5), "high", 0.75),  # a share stays below 1
        (ranged("float", 0.5, 0.99), "high", 0.995),
        (ranged("float", 0.0, 1.0), "high", None),
        (ranged("float", 0.0, 0.5), "low", None),  # dropout is never negative
        (ranged("float", 0.1, 0.5), "low", 0.0),
        (ranged("float", 0.0, 0.8, step=0.2), "high", None),
        (ranged("float", 0.0, 20.0), "high", 30.0),
        (ranged("float", -1.0, 1.0), "low", -2.0),
    ],
)
def test_a_range_is_extended_by_half_its_width_on_the_search_scale(
    parameter: Parameter, end: str, limit: float | None
) -> None:
    moved = extended(parameter, end)
    if limit is None:
        assert moved is None
    else:
        assert moved is not None
        assert getattr(moved, end) == pytest.approx(limit)
        other = "low" if end == "high" else "high"
        assert getattr(moved, other) == getattr(parameter, other)


def test_levels_are_as_many_as_before_or_all() -> None:
    three = extended(ranged("float", 0.01, 1.0, log=True, levels=(0.01, 0.1, 1.0)), "high")
    powers = extended(ranged("power_of_two", 16, 64, log=True, levels=(16, 32, 64)), "high")
    assert three is not None
    assert powers is not None
    assert len(three.levels or ()) == 3
    assert powers.levels == (16, 32, 64, 128)


@pytest.mark.parametrize(
    ("parameter", "low", "high", "limits"),
    [
        (ranged("float", 1e-4, 1.0, log=True), 0.00123, 0.0456, (0.0012, 0.046)),
        (ranged("power_of_two", 16, 512, log=True), 30, 200, (16, 256)),
        (ranged("int", 0, 100, step=10), 12, 77, (10, 80)),
        (ranged("float", 0.0, 0.5), 0.1234, 0.6, (0.12, 0.5)),
        (ranged("float", 0.0, 0.5), -1.0, 0.6, None),
        (ranged("int", 1, 3), 2.9, 2.95, (2, 3)),
    ],
)
def test_a_range_is_narrowed_outwards_to_values_that_it_can_have(
    parameter: Parameter, low: float, high: float, limits: tuple[float, float] | None
) -> None:
    found = narrowed(parameter, low=low, high=high)
    assert (None if found is None else (found.low, found.high)) == limits


LR = Parameter("lr", ("model.lr",), "float", 1e-4, 1e-1, log=True)
LR_AXIS = Axis("lr", "continuous", "log10", -4.0, -1.0)


def place(at_low: float = 0.0, at_high: float = 0.0, worth: tuple[float, float] | None = None) -> Place:
    return Place(LR_AXIS, 50, "function", 0.01, at_low=at_low, at_high=at_high, worth=worth)


def test_the_best_at_a_limit_moves_it_and_says_why() -> None:
    found = next_space(SearchSpace((LR,)), [place(at_high=0.97)], [])
    assert (found.space["lr"].low, found.space["lr"].high) == (1e-4, 3.2)
    (change,) = found.changes
    assert (change.key, change.before, change.after) == ("high", 0.1, 3.2)
    assert change.reason == "the best lies at this limit (confidence 97%, by the function)"
    assert "memory" in found.hints[0]
    assert next_space(SearchSpace((LR,)), [place(at_high=0.94)], []).changes == ()


@pytest.mark.parametrize(
    ("low", "high", "log", "moved", "is_told"),
    [
        (1e-3, 0.5, True, "12", True),
        (1e-2, 1.0, True, "10", True),
        (1e-3, 1e-2, True, "0.032", False),
        (0.0, 0.9, False, "0.95", False),
        (1.0, 4.0, True, "8", False),
    ],
)
def test_a_log_range_within_0_and_1_that_passes_1_is_told_since_no_share_may(
    low: float, high: float, log: bool, moved: str, is_told: bool
) -> None:
    parameter = ranged("float", low, high, log=log)
    axis = Axis("p", "continuous", "linear", low, high)
    found = next_space(SearchSpace((parameter,)), [Place(axis, 9, "function", high, at_low=0.0, at_high=1.0)], [])
    (hint,) = found.hints
    assert hint.startswith(f"p: {moved} may exceed")
    assert ("no share" in hint) is is_told


def test_a_hard_limit_stays_and_is_told() -> None:
    dropout = Parameter("dropout", ("model.dropout",), "float", 0.0, 0.5)
    axis = Axis("dropout", "continuous", "linear", 0.0, 0.5)
    found = next_space(SearchSpace((dropout,)), [Place(axis, 9, "function", 0.0, at_low=1.0, at_high=0.0)], [])
    assert found.changes == ()
    assert "looks like a hard one" in found.hints[0]


def test_ends_that_are_surely_worse_are_cut_off_unless_too_little_would_go_or_stay() -> None:
    space = SearchSpace((LR,))
    assert next_space(space, [place(worth=(-3.0, -1.0))], []).space["lr"].low == pytest.approx(1e-3)
    assert next_space(space, [place(worth=(-3.8, -1.0))], []).changes == ()
    assert next_space(space, [place(worth=(-2.3, -1.7))], []).space["lr"].low >= 1e-4
    both = next_space(space, [place(at_high=1.0, worth=(-3.0, -1.0))], []).space["lr"]
    assert (both.low, both.high) == (pytest.approx(1e-3), 3.2)


def test_a_cut_says_on_which_side_values_are_worse() -> None:
    found = next_space(SearchSpace((LR,)), [place(worth=(-3.0, -2.0))], [])
    assert [(change.key, change.reason) for change in found.changes] == [
        ("low", "below 0.001 values are surely worse"),
        ("high", "above 0.01 values are surely worse"),
    ]


@pytest.mark.parametrize(
    ("at_low", "at_high", "hint"),
    [
        (0.0, 0.9351, "lr: 93 % that the best lies at the high limit, too little to move it: more trials"),
        (0.9499, 0.0, "lr: 94 % that the best lies at the low limit, too little to move it: more trials"),
        (0.3, 0.51, "lr: 51 % that the best lies at the high limit, too little to move it: more trials"),
    ],
)
def test_a_range_does_not_shrink_towards_a_limit_at_which_the_best_may_lie(
    at_low: float, at_high: float, hint: str
) -> None:
    found = next_space(SearchSpace((LR,)), [place(at_low, at_high, worth=(-3.0, -2.0))], [])
    assert found.changes == ()
    assert found.hints == (f"{hint}, or widen it yourself",)


@pytest.mark.parametrize(("at_high", "n_changes"), [(0.5, 1), (math.nan, 1), (0.95, 2)])
def test_a_best_that_is_not_likely_or_sure_at_a_limit_lets_the_other_side_be_cut(
    at_high: float, n_changes: int
) -> None:
    found = next_space(SearchSpace((LR,)), [place(at_high=at_high, worth=(-3.0, -1.0))], [])
    assert len(found.changes) == n_changes
    assert not any("widen it yourself" in hint for hint in found.hints)


def test_a_limit_that_cannot_be_widened_keeps_no_other_side_from_being_cut() -> None:
    """A hard one, and one that trials fail beyond: the best is not out there."""
    dropout = Parameter("dropout", ("model.dropout",), "float", 0.0, 0.5)
    axis = Axis("dropout", "continuous", "linear", 0.0, 0.5)
    best = Place(axis, 50, "function", 0.0, at_low=0.9, at_high=0.0, worth=(0.0, 0.2))
    assert next_space(SearchSpace((dropout,)), [best], []).space["dropout"].high == 0.2
    found = next_space(SearchSpace((LR,)), [place(0.0, 0.9, worth=(-3.0, -1.0))], [failing(Side("lr", "≥", 0.0333))])
    assert (found.space["lr"].low, found.space["lr"].high) == (pytest.approx(1e-3), pytest.approx(0.033))
    assert found.hints == ()


def test_the_trend_of_trials_is_no_probability_and_leans_nowhere() -> None:
    trend = Place(LR_AXIS, 50, "trials", 0.01, at_low=0.0, at_high=0.9)
    assert next_space(SearchSpace((LR,)), [trend], []).hints == ()


def test_what_lies_beyond_the_levels_of_a_grid_is_not_known_to_be_worse() -> None:
    tried = Place(levelled("lr", "discrete", "log10", [-3.0, -2.0], (1e-3, 1e-2)), 24, "function", 0.01)
    assert next_space(SearchSpace((LR,)), [replace(tried, worth=(-3.0, -2.0))], []).changes == ()


def failing(*sides: Side, lo: float = 0.8) -> Region:
    return Region("diverged", sides, Rate(10, Estimate(1.0, lo, 1.0, 10)), Rate(0, Estimate(0.0, 0.0, 0.1, 40)))


def test_a_limit_is_not_moved_into_where_trials_fail() -> None:
    found = next_space(SearchSpace((LR,)), [place(at_high=1.0)], [failing(Side("lr", "≥", 0.0333))])
    assert found.space["lr"].high == pytest.approx(0.033)
    assert "diverged" in found.changes[0].reason
    assert next_space(SearchSpace((LR,)), [], [failing(Side("lr", "≥", 0.0333), lo=0.4)]).changes == ()


def test_of_two_failing_sides_at_one_end_the_tighter_sure_one_is_the_limit() -> None:
    near, far = failing(Side("lr", "≥", 0.01)), failing(Side("lr", "≥", 0.05))
    for regions in ([near, far], [far, near], [near, failing(Side("lr", "≥", 0.001), lo=0.4)]):
        assert next_space(SearchSpace((LR,)), [], regions).space["lr"].high == pytest.approx(0.01)


def test_an_integer_limit_is_the_last_value_that_works() -> None:
    batch = Parameter("batch_size", ("b",), "power_of_two", 16, 512, log=True)
    found = next_space(SearchSpace((batch,)), [], [failing(Side("batch_size", "≥", 256))])
    assert found.space["batch_size"].high == 128


@pytest.mark.parametrize(("side", "limits"), [(Side("n", "≥", 5), (1, 4)), (Side("n", "≤", 3), (4, 8))])
def test_a_whole_number_at_which_trials_fail_is_left_out(side: Side, limits: tuple[int, int]) -> None:
    found = next_space(SearchSpace((Parameter("n", ("n",), "int", 1, 8),)), [], [failing(side)])
    assert (found.space["n"].low, found.space["n"].high) == limits


def test_the_end_at_which_the_best_lies_is_never_cut_off() -> None:
    """Though all of it but the limit itself may be worse, and the limit be a hard one."""
    dropout = Parameter("dropout", ("model.dropout",), "float", 0.0, 0.5)
    axis = Axis("dropout", "continuous", "linear", 0.0, 0.5)
    best = Place(axis, 50, "function", 0.0, at_low=1.0, at_high=0.0, worth=(0.2, 0.5))
    found = next_space(SearchSpace((dropout,)), [best], [])
    assert (found.space["dropout"].low, found.changes) == (0.0, ())
    elsewhere = Place(axis, 50, "function", 0.3, at_low=0.0, at_high=0.0, worth=(0.2, 0.5))
    assert next_space(SearchSpace((dropout,)), [elsewhere], []).space["dropout"].low == 0.2


def test_a_pair_that_fails_cuts_nothing_off_and_is_told() -> None:
    found = next_space(SearchSpace((LR,)), [], [failing(Side("lr", "≥", 0.03), Side("b", "≤", 32))])
    assert found.changes == ()
    assert "lr ≥ 0.03 and b ≤ 32" in found.hints[0]


def test_a_choice_that_is_left_out_takes_its_own_parameters_along() -> None:
    optimizer = Parameter("optimizer", ("o",), "categorical", choices={"sgd": 1, "adam": 2, "adamw": 3})
    momentum = Parameter("momentum", ("m",), "float", 0.0, 0.9, when={"optimizer": ("sgd",)})
    beta = Parameter("beta", ("b",), "float", 0.8, 0.99, when={"optimizer": ("sgd", "adam")})
    axis = levelled("optimizer", "categorical", "linear", [0.0, 1.0, 2.0], ("sgd", "adam", "adamw"))
    worse = Place(axis, 50, "function", "adam", worse=("sgd",))
    found = next_space(SearchSpace((optimizer, momentum, beta)), [worse], [])
    assert tuple(found.space["optimizer"].choices) == ("adam", "adamw")
    assert found.space.names == ("optimizer", "beta")
    assert found.space["beta"].when == {"optimizer": ("adam",)}
    assert [change.key for change in found.changes] == ["choices", "when", "when"]
    assert math.isnan(worse.at_low)


@pytest.mark.parametrize(("share", "told"), [(0.616, "61 %"), (0.9499, "94 %"), (0.29, "29 %"), (0.95, "95 %")])
def test_the_table_of_limits_and_the_hint_tell_one_confidence(share: float, told: str) -> None:
    space, where = SearchSpace((LR,)), [place(at_high=share)]
    found = next_space(space, where, [])
    text = shown(
        next_round_blocks(
            NextRound(space, tuple(where), (), None, found, Tolerance(0.01, GIVEN)), study_name="x", metric="m"
        )
    )
    assert f"| {told} |" in text
    assert all(f" {told} that" in hint for hint in found.hints if "too little to move it" in hint)
