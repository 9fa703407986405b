"""The sentences of a sampler benchmark, on runs whose outcome is known."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import pytest
from matplotlib.figure import Figure

from studies.sampler_benchmark.comparisons import comparisons
from studies.sampler_benchmark.curves import curves, times_to_target
from studies.sampler_benchmark.figure import best_so_far, colours_and_styles
from studies.sampler_benchmark.runs import BenchmarkRun
from studies.sampler_benchmark.sentences import headline, sentences


def runs_of(
    ends: Mapping[str, float], *, problem: str = "hill", n_seeds: int = 20, lengths: Mapping[str, int] | None = None
) -> list[BenchmarkRun]:
    """Searches that halve the way to their ends in each trial."""
    found = []
    for sampler, end in ends.items():
        n = (lengths or {}).get(sampler, 8)
        for seed in range(n_seeds):
            regret = end * (1 + 0.1 * np.random.default_rng(seed).random()) + 0.5 ** np.arange(1.0, n + 1)
            epochs = np.arange(1.0, n + 1) * (2 if "+" in sampler else 4)
            found.append(BenchmarkRun(problem, sampler, seed, regret, epochs, epochs, near=0.05, sampler_s=0.1))
    return found


def told(runs: list[BenchmarkRun]) -> list[str]:
    return sentences(runs, comparisons(runs), times_to_target(runs, seed=0))


def test_who_beats_random_and_by_how_much_the_models_beat_reinforce() -> None:
    found = told(runs_of({"random": 0.5, "tpe": 0.01, "gp": 0.3, "reinforce": 0.2}))
    assert (
        "tpe beats random: it has the smaller regret in 100 % [84, 100] of 20 searches after 8 trials (p < 0.001)."
        in found
    )
    (tpe,) = (s for s in found if s.startswith("tpe beats reinforce"))
    assert "(p < 0.001); median regrets: hill 0.0145 against 0.216 (100 % won, by 0.201 [0.195, 0.206])." in tpe
    assert any(s.startswith("gp loses to reinforce: it has the smaller regret in 0 %") for s in found)
    assert "reinforce loses to random more often than not on none of 1 problem." in found


def test_where_reinforce_loses_is_said() -> None:
    runs = [
        *runs_of({"random": 0.1, "reinforce": 0.4}),
        *runs_of({"random": 0.4, "reinforce": 0.1}, problem="valley"),
    ]
    found = told(runs)
    assert "reinforce loses to random more often than not on hill (0 % [0, 16] won, n = 20)." in found
    few = told(runs_of({"random": 0.1, "reinforce": 0.4}, n_seeds=2))
    assert any(re.search(r"more often than not on hill \(0 % \[0, \d+\] won, n = 2, not shown\)\.", s) for s in few)
    assert any(s.startswith("reinforce against random is undecided: it has the smaller regret in 50 %") for s in found)


def test_what_is_undecided_is_told_without_a_gain_and_each_problem_for_itself() -> None:
    """Apart by 0.3 on the hill and by 3e-5 on the valley: no number is put over both."""
    runs = [
        *runs_of({"tpe": 0.1, "reinforce": 0.4}, n_seeds=8),
        *runs_of({"tpe": 0.4, "reinforce": 0.39997}, problem="valley", n_seeds=8),
    ]
    found = comparisons(runs)
    assert all(math.isnan(comparison.gain.value) for comparison in found if comparison.problem is None)
    (sentence,) = (s for s in told(runs) if s.startswith("tpe against reinforce is undecided"))
    assert "50 % [28, 72] of 16 searches after 8 trials (p 1.000)" in sentence
    assert "(100 % won, by 0.317 [0.303, 0.328]); valley 0.427 against 0.427 (0 % won, by -3.17e-05 [" in sentence
    few = told(runs[:5] + runs[8:13])
    assert any(s.startswith("tpe against reinforce is undecided") for s in few)
    assert not any(", by " in s for s in few)


def test_the_headline_has_who_wins_who_loses_and_what_is_undecided() -> None:
    ends = {"random": 0.5, "grid": 0.5, "tpe": 0.01, "gp": 0.6, "reinforce": 0.2, "tpe + asha": 0.01}
    found = headline(comparisons(runs_of(ends, lengths={"gp": 6})))
    assert found == (
        "After 8 trials tpe (100 % [84, 100]) and reinforce (100 % [84, 100]) beat random; gp (0 % [0, 16], after 6 "
        "trials) loses to it; undecided: grid (50 % [30, 70]). "
        "After 8 trials tpe (100 % [84, 100]) beats reinforce; gp (0 % [0, 16], after 6 trials) loses to it; undecided"
        ": nothing. reinforce loses to random more often than not on none of 1 problem. "
        "In brackets: in how many of 20 searches the named one has the smaller regret, with the 95 % interval of each "
        "by itself."
    )


def test_two_that_came_nowhere_are_not_compared_by_their_budgets() -> None:
    found = told(runs_of({"random": 0.5, "random + median": 0.5}))
    (sentence,) = (s for s in found if "random + median" in s)
    assert sentence.endswith("1 % of the best: neither came there in most searches (0 of 20 against 0 of 20).")


def test_who_gets_near_and_who_does_not() -> None:
    found = told(runs_of({"random": 0.5, "tpe": 0.01}))
    assert "hill: median trials to within 1 % of the best (and how many came there): tpe 5 (20 of 20)." in found
    assert "hill: no search came within 1 % of the best." in told(runs_of({"random": 0.5, "tpe": 0.4}))


def test_what_a_pruner_saves() -> None:
    found = told(runs_of({"random": 0.01, "random + median": 0.5}))
    (sentence,) = (s for s in found if "random + median" in s)
    assert "hill: random + median spends 50 % of the epochs of random in as many trials" in sentence
    assert "its regret is the smaller one in 0 % [0, 16] of 20 searches" in sentence
    assert "epochs to within 1 % of the best: > 16 against 20." in sentence


def test_who_had_fewer_trials_is_said() -> None:
    found = told(runs_of({"random": 0.5, "gp": 0.1}, lengths={"gp": 4}))
    assert "gp had 4 trials and not 8: it is compared with the others after 4." in found
    assert any("after 4 trials" in s for s in found)


@pytest.mark.parametrize(
    "names", [["random", "random + median", "tpe", "tpe + median"], ["tpe + median", "tpe", "random"]]
)
def test_a_sampler_keeps_its_colour_and_a_pruner_its_line(names: list[str]) -> None:
    found = dict(zip(names, colours_and_styles(names), strict=True))
    assert found["tpe"][0] == found["tpe + median"][0] != found["random"][0]
    assert found["tpe"][1] == found["random"][1] != found["tpe + median"][1]


@pytest.mark.parametrize(("ends", "told"), [((1e-7, 1e-3), None), ((0.0, 2e-5), "1e-05 or less")])
def test_a_figure_tells_small_regrets_apart_and_what_its_lines_are(ends: tuple[float, float], told: str | None) -> None:
    runs = [
        BenchmarkRun("hill", name, seed, np.array([1.0, end]), np.ones(2), np.ones(2), near=0.01, sampler_s=0.1)
        for name, end in zip(("tpe", "gp"), ends, strict=True)
        for seed in range(3)
    ]
    drawing = best_so_far(curves(runs, seed=0), near=0.01)
    figure = Figure()
    drawing.draw(figure, drawing.rows)
    (axes,) = figure.axes
    drawn = [np.asarray(line.get_ydata())[-1] for line in axes.lines if line.get_drawstyle() == "steps-post"]
    words = [text.get_text() for text in axes.texts]
    assert words == ["within 1 % of the best", *([told] if told else [])]
    assert drawn == pytest.approx([ends[0] or 1e-5, ends[1]])
    assert axes.get_ylim()[0] <= min(drawn)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["gp", "tpe"]
