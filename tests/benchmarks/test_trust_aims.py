from __future__ import annotations

from typing import Literal

import pytest
from trust_aims import Aim, aims
from trust_estimators import Found
from trust_page import page
from trust_scores import Scored, rows_of
from trust_surfaces import Truths

from studies.analysis.estimate import Estimate

TRUTH = {("a",): 0.6, ("b",): 0.3, ("a", "b"): 0.1, ("a", "c"): 0.0, (): 0.2}


def study(off: float, *, surface: str = "recorded", search: str = "random", n: int = 60, **kind: object) -> Scored:
    """Return a study whose shares are all off by as much, with intervals of ± .1."""
    around = {names: Estimate(true + off, true + off - 0.1, true + off + 0.1) for names, true in TRUTH.items()}
    seed, name = (kind.get(key, default) for key, default in (("seed", 0), ("estimator", "ours")))
    assert isinstance(seed, int)
    return Scored(surface, search, n, seed, str(name), "ok", 1.0, rows_of(Found(around, "ok"), Truths(TRUTH)))


def measured(found: list[Scored]) -> dict[str, Aim]:
    return {aim.words: aim for aim in aims(found)}


def test_numbers_are_held_against_their_aims() -> None:
    told = measured([study(0.04), study(0.04, search="tpe")])
    assert told["coverage of mains and pairs"].measured == 1.0
    assert told["coverage of mains and pairs"].is_met
    by_random = told["recorded table, 60 trials by random: mean error"]
    assert by_random.measured == pytest.approx(0.04)
    assert not by_random.is_met
    assert told["recorded table, 60 trials by tpe: mean error"].is_met
    assert not any("not tuned" in words or "pruned" in words for words in told)  # of which these studies tell nothing


def test_the_worst_cell_is_named() -> None:
    seeds = range(8)
    found = [study(0.0, seed=seed) for seed in seeds] + [study(0.2, surface="cliff", seed=seed) for seed in seeds]
    told = measured(found)
    lowest = told["coverage of a surface and search, upper end: the lowest"]
    assert (lowest.measured, lowest.where) == (0.0, "cliff, random")
    assert not lowest.is_met
    assert told["coverage of mains and pairs"].measured == 0.5


def test_a_peer_that_is_surely_better_is_named() -> None:
    seeds = range(8)
    ours = [study(0.05 + seed / 1000, seed=seed) for seed in seeds]
    better = [study(0.0, seed=seed, estimator="forest") for seed in seeds]
    worse = [study(0.09, seed=seed, estimator="oak") for seed in seeds]
    told = measured([*ours, *better, *worse])
    forest, oak = (
        told[f"recorded table: of 2 comparisons, those in which {name} is surely better"] for name in ("forest", "oak")
    )
    assert (forest.measured, forest.is_met) == (2, False)
    assert forest.where == "main, random, 60; pairs, random, 60"
    assert (oak.measured, oak.is_met, oak.where) == (0, True, "")


@pytest.mark.parametrize(
    ("value", "limit", "side", "is_met"),
    [(0.9, 0.9, "at least", True), (0.8991, 0.9, "at least", False), (0.0304, 0.03, "at most", True)],
)
def test_an_aim_is_met_as_the_page_shows_it(
    value: float, limit: float, side: Literal["at least", "at most"], is_met: bool
) -> None:
    assert Aim("x", value, limit, side).is_met is is_met


def test_the_page_says_which_aims_are_missed() -> None:
    written = page([study(0.04)], command="this")
    assert "| recorded table, 60 trials by random: mean error | 0.040 | at most 0.03 | **no** |" in written
    assert "| coverage of mains and pairs | 1.000 | at least 0.9 | yes |" in written
    assert "{" not in written
