from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reports import shown

from studies.analysis.analyse import Analysis
from studies.analysis.designed.factorial import Anova
from studies.analysis.effects import Effect
from studies.analysis.estimate import Estimate
from studies.analysis.tuning.one_at_a_time import TuningCost
from studies.analysis.tuning.tolerance import GIVEN, Tolerance
from studies.analysis.verdict import Verdict
from studies.reporting.sections.effects.section import clause, effects_finding
from studies.reporting.sections.effects.tables import MAX_PAIRS, anova_blocks, effects_blocks
from studies.reporting.sections.effects.tuning import tuning_blocks, tuning_clause
from studies.reporting.wording import interval_text, share_of_variance, table
from studies.text.wording import counted, fixed, listed, nearby, p_value

NUMBER_OF_AN_EFFECT = re.compile(r"% of the variance|\[-?\d")


def shown_effects(analysis: Analysis, *, metric: str) -> str:
    """The section, without the headline."""
    return shown(replace(effects_finding(analysis, metric=metric), headline=()))


def sentences(text: str) -> str:
    """What is said before the first table."""
    return text.split("### ")[0]


def judged(analysis: Analysis, level: str, *reasons: str) -> Analysis:
    """The same with another verdict on everything."""
    verdict = Verdict(level, reasons)  # type: ignore[arg-type]
    whole = replace(analysis.whole, verdict=verdict)
    effects = tuple(replace(effect, verdict=verdict.level, reasons=reasons) for effect in analysis.effects)
    return replace(analysis, fits=(whole, *analysis.fits[1:]), effects=effects, advice=("run 12 more trials",))


def test_a_verdict_ok_gives_sentences_with_intervals(known: Analysis) -> None:
    told = sentences(shown_effects(known, metric="val/loss"))
    assert told.startswith("## What matters, and what interacts\n\n**Verdict: ok**. ")
    effects = {effect.name: effect for effect in known.effects}
    assert f"- model.lr matters most on its own: {share_of_variance(effects['model.lr'].estimate)}.\n" in told
    pair = effects["model.lr*batch_size"]
    assert f"- model.lr × batch_size interact: {share_of_variance(pair.estimate)}.\n" in told
    ridge = "- The best model.lr as batch_size changes: compatible with square root; excludes constant and linear"
    assert ridge in told
    assert "at equal epochs" in told
    assert "tuning one parameter at a time would be expected to end" in told
    assert "Trials count with their final values." in told
    assert clause(known) == f"model.lr × batch_size interact ({share_of_variance(pair.estimate)})"


def losing(analysis: Analysis, **losses: Estimate) -> Analysis:
    """The same with these losses, for parameters with defaults and a usable fit."""
    rows = tuple(
        replace(row, default=0.5, is_searched=True, level="ok", tolerance=0.01, loss=losses[row.name.split(".")[-1]])
        for row in analysis.tunability
    )
    return replace(analysis, tunability=rows, tolerance=Tolerance(0.01, GIVEN))


def test_the_headline_names_first_what_has_to_be_tuned(known: Analysis) -> None:
    both = losing(known, lr=Estimate(0.3, 0.2, 0.4), batch_size=Estimate(0.1, 0.02, 0.2))
    one = losing(known, lr=Estimate(0.3, 0.2, 0.4), batch_size=Estimate(0.1, 0.0, 0.2))
    said = "at its default 0.5 the best val/loss is worse by 0.3 [0.2, 0.4]"
    assert effects_finding(both, metric="val/loss").headline[0] == f"Tune model.lr first, then batch_size: {said}."
    assert effects_finding(one, metric="val/loss").headline[0] == f"Tune model.lr first: {said}."
    text = shown_effects(one, metric="val/loss")
    assert f"- Tune model.lr first: {said}.\n" in sentences(text)
    assert text.index("### What has to be tuned") < text.index("### Effects")
    assert "| model.lr | yes | 0.5 | 0.3 [0.2, 0.4] |" in text
    assert "| batch_size | not known | 0.5 | 0.1 [0, 0.2] |" in text


def test_that_nothing_has_to_be_tuned_is_said_only_of_all(known: Analysis) -> None:
    small, open_ = Estimate(0.002, 0.0, 0.005), Estimate(0.002, 0.0, 0.05)
    said = tuning_clause(losing(known, lr=small, batch_size=small), "val/loss")
    assert said == "No parameter has to be tuned: each alone loses less than 0.01 in val/loss (objective.tolerance)"
    assert tuning_clause(losing(known, lr=small, batch_size=open_), "val/loss") is None


@pytest.mark.parametrize("level", ["caution", "unreliable"])
def test_in_doubt_the_headline_has_no_loss(known: Analysis, level: str) -> None:
    losses = {"lr": Estimate(0.3, 0.2, 0.4), "batch_size": Estimate(0.1, 0.02, 0.2)}
    assert tuning_clause(judged(losing(known, **losses), level), "val/loss") is None
    own = losing(known, **losses)
    own = replace(own, tunability=tuple(replace(row, level=level) for row in own.tunability))  # type: ignore[arg-type]
    assert tuning_clause(own, "val/loss") is None
    asked = "not known" if level == "unreliable" else "yes"
    assert f"| model.lr | {asked} | 0.5 |" in shown_effects(own, metric="val/loss")


def test_ranges_and_defaults_are_told_as_they_are(known: Analysis) -> None:
    lr = replace(
        known.tunability[0],
        **{"default": 3.0, "is_searched": False, "near": (1e-4, 0.00123), "possible": (1e-4, 0.0456)},
    )
    text = shown(tuning_blocks(replace(known, tunability=(lr,)), "val/loss", {}))
    assert "| 3 (not searched) |" in text
    assert "| 0.0001 … 0.0012 | > 0.046 |" in text
    assert "the loss told is the median over the range" in text
    none = shown(tuning_blocks(replace(known, tunability=(replace(lr, default=None, near=()),)), "val/loss", {}))
    assert f"| {lr.name} | {'not known' if lr.need == 'open' else 'yes' if lr.need == 'tune' else 'no'} | – |" in none
    assert "| not known | > 0.046 |" in none


def test_a_best_trial_outside_the_range_of_the_fit_is_told_to_be_luck_perhaps(known: Analysis) -> None:
    lr = replace(known.tunability[0], near=(1e-4, 0.001), matters=True)
    analysis = replace(judged(known, "ok"), tunability=(lr,))
    told = shown(tuning_blocks(analysis, "val/loss", {lr.name: 0.02}))
    assert f"The best trial has {lr.name}=0.02, which the fit does not find within" in told
    assert "select=race" in told
    idle = replace(analysis, tunability=(replace(lr, matters=False),))
    for silent, value in ((analysis, 0.0005), (judged(analysis, "unreliable"), 0.02), (idle, 0.02)):
        assert "The best trial has" not in shown(tuning_blocks(silent, "val/loss", {lr.name: value}))


def test_a_share_is_told_in_percent_with_its_interval(known: Analysis) -> None:
    effect = replace(known.effects[0], estimate=Estimate(0.1234, 0.081, 0.169))
    assert share_of_variance(effect.estimate) == "12 % [8, 17] of the variance"


@pytest.mark.parametrize("level", ["caution", "unreliable"])
def test_without_a_verdict_ok_there_is_advice_and_no_number(known: Analysis, level: str) -> None:
    doubtful = judged(known, level, "Q² 0.44", "0% space-filling trials")
    told = sentences(shown_effects(doubtful, metric="val/loss"))
    assert f"**Verdict: {level}**, because of: Q² 0.44; 0% space-filling trials." in told
    assert "What would help:\n\n- run 12 more trials" in told
    assert not NUMBER_OF_AN_EFFECT.search(told)
    assert "compatible with" not in told
    assert "would be expected to end" not in told
    assert clause(doubtful) is None


def test_doubt_about_the_whole_keeps_an_effect_without_doubt_out_of_the_headline(known: Analysis) -> None:
    doubtful = replace(known, fits=judged(known, "caution").fits)
    assert clause(doubtful) is None
    assert not NUMBER_OF_AN_EFFECT.search(sentences(shown_effects(doubtful, metric="val/loss")))


def test_the_table_still_has_the_numbers_with_their_verdicts(known: Analysis) -> None:
    text = shown(effects_blocks(judged(known, "unreliable", "Q² 0.44")))
    effect = known.effects[0]
    ends = interval_text(effect.estimate, ".3f")
    assert f"| model.lr | {effect.estimate.value:.3f} | {ends} | {effect.second:.3f} | unreliable |  |" in text
    assert "unexplained" not in text, "two parameters leave nothing to three"
    assert "| noise |" in text


def test_a_law_is_no_surer_than_the_trials_that_it_comes_from(known: Analysis) -> None:
    assert "| compatible with square root; excludes constant and linear" in shown_effects(known, metric="val/loss")
    doubtful = shown_effects(judged(known, "caution", "Q² 0.7"), metric="val/loss")
    assert "| with caution (see the verdict above): compatible with square root; excludes constant" in doubtful
    nothing = shown_effects(judged(known, "unreliable", "Q² 0.2"), metric="val/loss")
    assert "| conclude nothing (see the verdict above): compatible with square root; excludes constant" in nothing


def test_beside_an_unknown_effect_stands_no_second_estimate(known: Analysis) -> None:
    reasons = ("polynomial chaos says 1.00", "the prior decides")
    unknown = [
        replace(e, estimate=Estimate(0.0, 0.0, 1.0), second=1.0, verdict="caution", reasons=reasons)
        for e in known.effects[:1]
    ]
    text = shown(effects_blocks(replace(known, effects=(*unknown, *known.effects[1:]))))
    assert "| model.lr | not known | [0.000, 1.000] | – | caution: the prior decides |  |" in text


def test_no_effect_is_claimed_only_where_the_whole_interval_is_small(known: Analysis) -> None:
    main, *others = known.effects
    for hi, is_claimed in ((0.049, True), (0.06, False)):
        small = replace(main, estimate=Estimate(0.02, 0.0, hi))
        text = sentences(shown_effects(replace(known, effects=(small, *others)), metric="val/loss"))
        claimed = [line for line in text.splitlines() if "No main effect above 5% of the variance" in line]
        assert any(main.name in line for line in claimed) == is_claimed


def test_an_effect_in_doubt_says_why_and_has_no_sentence(known: Analysis) -> None:
    doubt = "polynomial chaos says 0.31"
    effects = [replace(e, verdict="caution", reasons=(doubt,)) if e.order else e for e in known.effects]
    doubtful = replace(known, effects=tuple(effects))
    text = shown_effects(doubtful, metric="val/loss")
    assert f"| caution: {doubt} | no |" in text
    assert "What may matter on its own: model.lr" in sentences(text)
    assert "What may interact: " in sentences(text)
    assert "The table says what speaks against it." in sentences(text)
    assert "% of the variance [" not in sentences(text)
    assert clause(doubtful) is None


def test_without_an_interaction_the_strongest_parameter_is_the_headlines(known: Analysis) -> None:
    weak = [replace(e, estimate=replace(e.estimate, lo=0.0)) if e.order == 2 else e for e in known.effects]
    main = max((e for e in weak if e.order == 1), key=lambda effect: effect.estimate.value)
    assert (
        clause(replace(known, effects=tuple(weak))) == f"{main.name} matters most ({share_of_variance(main.estimate)})"
    )


def test_only_the_strongest_pairs_are_listed_and_the_rest_counted(known: Analysis) -> None:
    pair = next(effect for effect in known.effects if effect.order == 2)
    pairs = [replace(pair, params=("x", f"y{i}"), estimate=Estimate(i / 100)) for i in range(15)]
    for unknown in range(3):
        pairs[unknown] = replace(pairs[unknown], estimate=Estimate(math.nan))
    text = shown(effects_blocks(replace(known, effects=tuple(pairs))))
    rows = [line for line in text.splitlines() if line.startswith("| x × ")]
    assert len(rows) == MAX_PAIRS
    assert [row.split(" | ")[0] for row in rows] == [f"| x × y{i}" for i in range(14, 2, -1)]
    assert "3 weaker pairs are in interactions.csv" in text


def test_shares_that_read_alike_keep_their_order(known: Analysis) -> None:
    pair = next(effect for effect in known.effects if effect.order == 2)
    pairs = [replace(pair, params=("x", f"y{i}"), estimate=Estimate(i / 1e6)) for i in range(3)]
    rows = [line for line in shown(effects_blocks(replace(known, effects=tuple(pairs)))).splitlines() if " × y" in line]
    assert [row.split(" | ")[0] for row in rows] == ["| x × y0", "| x × y1", "| x × y2"]


def test_what_is_conditional_is_told_and_a_bar_breaks_no_table(conditional: Analysis) -> None:
    text = shown_effects(conditional, metric="loss")
    assert "| slope (where slope is active) |" in text
    assert table(("a|b",), [("c|d",)]) == "| a∣b |\n| --- |\n| c∣d |"


def test_nothing_fitted_gives_a_verdict_and_no_table_of_effects(few: Analysis) -> None:
    text = shown_effects(few, metric="loss")
    assert "**Verdict: unreliable**" in text
    assert "Nothing was fitted to the trials." in text
    assert "What would help:" in text
    assert "### Effects" not in text
    assert "unbounded" in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        (Estimate(0.004, 0.001, 0.01), "0.004 [0.001, 0.01] worse in val/loss than"),
        (Estimate(-0.004, -0.01, -0.001), "0.004 [0.001, 0.01] better in val/loss than"),
        (Estimate(0.0, -0.002, 0.01), "no worse in val/loss (difference 0 [-0.002, 0.01]) than"),
        (Estimate(2e-16, 1e-16, 1e-15), "no worse in val/loss (difference 0 [0, 0]) than"),
    ],
)
def test_the_cost_of_tuning_one_at_a_time_is_told_in_words(known: Analysis, cost: Estimate, told: str) -> None:
    tuning = TuningCost(Estimate(0, 0, 0), Estimate(0, 0, 0), cost, 60)
    text = shown_effects(replace(known, tuning=tuning), metric="val/loss")
    assert f"With 60 trials, tuning one parameter at a time would be expected to end {told} tuning all together" in text


def test_the_value_policy_and_its_reason_are_told(known: Analysis) -> None:
    pruned = replace(known.table, policy="rung 5", n_finished=70, n_pruned=38, n_failed=4, n_diverged=3)
    text = shown_effects(replace(known, table=pruned), metric="loss")
    assert "38 of 70 trials were pruned, so all are compared at rung 5" in text
    assert ". 6 without that value are left out." in text
    assert "4 trials gave no value (3 diverged or ran out of memory)." in text
    asked = shown_effects(replace(known, table=replace(pruned, n_pruned=0)), metric="loss")
    assert "All trials are compared at rung 5, as value_policy asks" in asked
    final = replace(pruned, policy="final", n_pruned=2, n_failed=0, n_finished=62, dropped={"w": "it was constant"})
    text = shown_effects(replace(known, table=final), metric="loss")
    assert "their final values, 2 of 62 trials were pruned. 2 without that value are left out." in text
    assert "w is left out: it was constant." in text


def test_a_sample_of_many_trials_is_told(known: Analysis) -> None:
    everything = replace(known.whole.whole, y=np.zeros(900))
    sampled = replace(known, fits=(replace(known.whole, whole=everything),))
    assert "60 of 900 trials, drawn evenly, are fitted." in shown_effects(sampled, metric="loss")


def test_the_analysis_of_variance_has_its_tests_block_and_remarks(grid: Analysis) -> None:
    assert grid.anova is not None
    text = shown(anova_blocks(grid.anova))
    for term in ("model.lr", "batch_size", "model.lr × batch_size", "block", "error"):
        assert f"\n| {term} |" in text
    assert "24 trials, 2 in each of 12 cells" in text
    assert "### Analysis of variance" in shown_effects(grid, metric="loss")
    problem = shown(anova_blocks(Anova(problem="no factor has two levels: vary at least one parameter")))
    assert problem == "### Analysis of variance\n\n- no factor has two levels: vary at least one parameter"


def test_screens_are_labelled_with_what_they_cannot_see(known: Analysis) -> None:
    text = shown_effects(known, metric="loss")
    assert "### Screens, one parameter at a time" in text
    assert "Neither sees interactions" in text
    assert "| ped-anova | model.lr |" in text
    assert "| fanova | batch_size |" in text


def test_figures_are_embedded_by_relative_path(known: Analysis, few: Analysis) -> None:
    assert "![interactions](figures/interactions.png)\n\n*What each parameter does alone" in shown_effects(
        known, metric="x"
    )
    assert "### Figures" not in shown_effects(few, metric="loss")


def test_numbers_are_put_into_words() -> None:
    assert (counted(1, "retry", "retries"), counted(2, "retry", "retries")) == ("1 retry", "2 retries")
    assert (fixed(0.12345), fixed(None), fixed(math.nan), fixed(1.0, 1)) == ("0.123", "–", "–", "1.0")
    given = (Estimate(0.15, 0.1, 0.2), Estimate(0.0, -math.inf, math.inf), Estimate(1.0, n=1), None)
    assert [interval_text(found, ".1f") for found in given] == ["[0.1, 0.2]", "unbounded", "–", "–"]
    assert (p_value(0.0004), p_value(0.04), p_value(None)) == ("< 0.001", "0.040", "–")
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"]), listed([])) == (
        "a",
        "a and b",
        "a, b and c",
        "",
    )


def test_claims_need_a_lower_bound_above_one_percent(known: Analysis) -> None:
    pair: Effect = next(effect for effect in known.effects if effect.order == 2)
    at_the_line = replace(
        known,
        effects=tuple(replace(e, estimate=replace(e.estimate, lo=0.01)) if e is pair else e for e in known.effects),
    )
    assert "Nothing is shown to interact" in shown_effects(at_the_line, metric="loss")


def test_a_path_is_told_from_the_working_folder_where_it_lies_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nearby(tmp_path / "outputs" / "model.ckpt") == "outputs/model.ckpt"
    assert nearby(tmp_path.parent / "model.ckpt") == str(tmp_path.parent / "model.ckpt")
    assert nearby(Path("outputs/model.ckpt")) == "outputs/model.ckpt"


def test_a_q2_that_noise_explains_is_told_in_both_ways(known: Analysis) -> None:
    noisy = replace(known.whole, evidence=replace(known.whole.evidence, q2=0.41, noise_share=0.28))
    told = sentences(shown_effects(replace(known, fits=(noisy, *known.fits[1:])), metric="val/loss"))
    assert "are predicted; 0.57 of what is not noise, which the verdict goes by)" in told
    plain = replace(noisy, evidence=replace(noisy.evidence, noise_share=None))
    assert "not noise" not in sentences(shown_effects(replace(known, fits=(plain, *known.fits[1:])), metric="val/loss"))
