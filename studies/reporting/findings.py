"""The report's section on what matters and what interacts, in Markdown.

Context: a number in a sentence is read as a fact. Choice: sentences carry numbers only where the verdict is ok; else
they say what to do, and the numbers stand in tables beside their verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from studies.reporting.findings_tables import anova_table, effects_table, ridges_table, screen_table, where
from studies.reporting.wording import code, plain, share_of_variance
from studies.text.wording import counted, crossed

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.effects import Effect
    from studies.analysis.fit import Fit
    from studies.analysis.one_at_a_time import TuningCost
    from studies.analysis.table import TrialsTable

TITLE = "## What matters, and what interacts"
NEGLIGIBLE = 1e-6  # of the range of the trials' values: a smaller difference is none
MEANING = {
    "ok": "The numbers below can be relied on as far as their intervals go.",
    "caution": "Take the numbers below as hints.",
    "unreliable": "Conclude nothing from the numbers below.",
}


def findings(analysis: Analysis, *, metric: str, pictures: Mapping[str, Path] | None = None) -> str:
    """The section: verdict, sentences or advice, tables; then `pictures`, captions with paths from the report on."""
    parts = [
        TITLE,
        _objective(analysis.table, metric),
        _verdict(analysis.whole),
        _values(analysis.table, analysis.whole),
        _told(analysis, metric),
    ]
    if any(not math.isnan(effect.estimate) for effect in analysis.effects):
        parts.append(effects_table(analysis))
    if analysis.ridges:
        parts.append(ridges_table(analysis.ridges, analysis.budget_unit, level=analysis.whole.verdict.level))
    if analysis.anova is not None:
        parts.append(anova_table(analysis.anova))
    if analysis.screen:
        parts.append(screen_table(analysis.screen))
    parts += ["### Figures"] if pictures else []
    parts += [f"![{path.stem}]({path.as_posix()})\n\n*{plain(caption)}.*" for caption, path in (pictures or {}).items()]
    return "\n\n".join(filter(None, parts))


def clause(analysis: Analysis) -> str | None:
    """What a headline may say of effects: the strongest interaction, else the strongest parameter; None without a
    verdict ok."""
    if analysis.whole.verdict.level != "ok":
        return None
    for effect in (*_claimed(analysis), *_strongest_main(analysis)):
        verb = "interact" if effect.order == 2 else "matters most"
        return f"{crossed(effect.params)} {verb} ({share_of_variance(effect)})"
    return None


def _objective(trials: TrialsTable, metric: str) -> str:
    """Which of several objectives this is about."""
    return (
        f"The study has {trials.n_objectives} objectives; what follows is about the first alone, {metric}."
        if trials.n_objectives > 1
        else ""
    )


def _verdict(fit: Fit) -> str:
    level, reasons = fit.verdict.level, fit.verdict.reasons
    why = f", because of: {'; '.join(reasons)}" if reasons else ""
    evidence = [counted(fit.evidence.n, "trial", "trials")]
    evidence.append(counted(fit.evidence.n_parameters, "parameter", "parameters"))
    if not math.isnan(fit.evidence.q2):
        part = f"; {fit.evidence.explained:.2f} of what is not noise, which the verdict goes by"
        counts = part if f"{fit.evidence.explained:.2f}" != f"{fit.evidence.q2:.2f}" else ""
        evidence.append(f"Q² {fit.evidence.q2:.2f} (how well trials left out of the fit are predicted{counts})")
    meaning = MEANING[level] if fit.sobol is not None else "Nothing was fitted to the trials."
    return f"**Verdict: {level}**{why}. {meaning} Evidence: {', '.join(evidence)}."


def _values(trials: TrialsTable, fit: Fit) -> str:
    """Which value each trial counts with, why, and which trials and parameters are left out."""
    n_without = trials.n_finished - trials.n_failed - trials.n_infeasible - trials.n_outside - len(trials.y)
    without = f"; {n_without} without that value are left out" if n_without else ""
    if trials.policy == "final":
        pruned = f", {trials.n_pruned} of {trials.n_finished} trials were pruned" if trials.n_pruned else ""
        said = f"Trials count with their final values{pruned}{without}."
    elif trials.n_pruned:
        pruned = f"{trials.n_pruned} of {counted(trials.n_finished, 'trial was', 'trials were')} pruned"
        said = (
            f"{pruned}, so all are compared at {_rung(trials)}, the last that nine in ten of them reached: the shares "
            f"are of the metric there, not of its final value{without}."
        )
    else:
        said = f"All trials are compared at {_rung(trials)}, as value_policy asks{without}."
    sentences = [said]
    sentences += _left_out(trials)
    if trials.assumed_source is not None:
        sentences.append(
            f"The storage does not say who proposed some of the trials; that it was {trials.assumed_source} is what "
            "`analysis.source` says."
        )
    if fit.n_trials > len(fit.table.y):
        sentences.append(f"{len(fit.table.y)} of {fit.n_trials} trials, drawn evenly, are fitted.")
    sentences += [f"{code(name)} is left out: {why}." for name, why in sorted(trials.dropped.items())]
    return " ".join(sentences)


def _left_out(trials: TrialsTable) -> Iterator[str]:
    """Tell which trials are not compared, and why."""
    if trials.has_no_step:
        yield "There is no step at which nine in ten of the trials could be compared."
    failed, diverged = trials.n_failed - trials.n_infinite, trials.n_diverged - trials.n_infinite
    if failed:
        how = f" ({diverged} diverged or ran out of memory)" if diverged else ""
        yield f"{counted(failed, 'trial', 'trials')} gave no value{how}."
    if trials.n_infinite:
        n = counted(trials.n_infinite, "trial has", "trials have")
        yield f"{n} an infinite value, or one that is no number, which is compared with none."
    if trials.n_infeasible:
        n = counted(trials.n_infeasible, "trial violates", "trials violate")
        yield f"{n} a constraint (infeasible): what follows is about feasible trials alone."
    if trials.n_outside:
        n = counted(trials.n_outside, "trial lies", "trials lie")
        yield f"{n} outside the ranges of the parameters: left out."


def _rung(trials: TrialsTable) -> str:
    """The rung of comparison, and how many there are."""
    return trials.compared


def _told(analysis: Analysis, metric: str) -> str:
    """Sentences with numbers where the verdict is ok, else what would make it so."""
    if analysis.whole.verdict.level != "ok":
        lines = [f"- {advice}" for advice in analysis.advice]
        return "\n".join(["What would help:\n", *lines]) if lines else ""
    return "\n".join(f"- {sentence}" for sentence in _sentences(analysis, metric))


def _sentences(analysis: Analysis, metric: str) -> Iterator[str]:
    mains = _strongest_main(analysis)
    for effect in mains:
        yield f"{effect.params[0]} matters most on its own: {share_of_variance(effect)}."
    if not mains:
        yield "No parameter shows an effect on its own."
    claimed = _claimed(analysis)
    for effect in claimed:
        yield f"{crossed(effect.params)} interact: {share_of_variance(effect)}{where(effect)}."
    if not claimed:
        yield "No interaction is shown: none has an interval wholly above 1 % of the variance and a verdict ok."
    for ridge in analysis.ridges:
        yield f"The best {ridge.params[0]} as {ridge.params[1]} changes: {ridge.verdict}."
    if analysis.tuning is not None and len(analysis.whole.table.axes) > 1:
        yield _tuning(analysis.tuning, metric, analysis.table)


def _strongest_main(analysis: Analysis) -> list[Effect]:
    """The strongest main effect that can be relied on, if it is there at all."""
    from studies.analysis.effects import CLAIM

    mains = [e for e in analysis.effects if e.order == 1 and e.verdict == "ok" and e.ci_lo > CLAIM]
    return sorted(mains, key=lambda effect: -effect.estimate)[:1]


def _claimed(analysis: Analysis) -> list[Effect]:
    return sorted((e for e in analysis.effects if e.is_claimed), key=lambda effect: -effect.estimate)


def _tuning(tuning: TuningCost, metric: str, trials: TrialsTable) -> str:
    cost, least = tuning.cost, NEGLIGIBLE * float(trials.y.max() - trials.y.min())
    values = [0.0 if abs(value) < least else value for value in (cost.estimate, cost.lo, cost.hi)]
    estimate, lo, hi = (f"{abs(value) if values[2] < 0 else value:.2g}" for value in values)
    if values[1] > 0:
        told = f"{estimate} [{lo}, {hi}] worse in {metric} than"
    elif values[2] < 0:
        told = f"{estimate} [{hi}, {lo}] better in {metric} than"
    else:
        told = f"no worse in {metric} (difference {estimate} [{lo}, {hi}]) than"
    begin = f"With {tuning.n_trials} trials, tuning one parameter at a time would be expected to end"
    return f"{begin} {told} tuning all together (both played on the fitted function)."
