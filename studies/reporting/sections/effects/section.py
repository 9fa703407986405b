"""Effects and interactions of the parameters.

Context: a number in a sentence is read as a fact. Choice: sentences carry numbers only with verdict ok. Otherwise they
say what to do, and the numbers stand in tables beside their verdicts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from studies.analysis.advice import space_filling_needed
from studies.analysis.effects import strongest_first
from studies.analysis.estimate import Estimate
from studies.analysis.gaussian_process.mode import MOST_ROWS
from studies.analysis.levels import CLAIM, NO_EFFECT
from studies.reporting.figures.coverage import coverage
from studies.reporting.figures.leave_one_out import leave_one_out
from studies.reporting.figures.levels import metric_by_level
from studies.reporting.figures.main_effect import main_effects
from studies.reporting.figures.pair_matrix import pair_matrix
from studies.reporting.figures.surfaces import surfaces
from studies.reporting.figures.tuning import tuning
from studies.reporting.finding import Block, Command, Drawing, File, Finding, Heading, Paragraph, bullets, paragraphs
from studies.reporting.sections.effects.analysis_csv import csv_files
from studies.reporting.sections.effects.analysis_json import analysis_json
from studies.reporting.sections.effects.tables import anova_blocks, effects_blocks, ridges_blocks, screen_blocks, where
from studies.reporting.sections.effects.tuning import tuning_blocks, tuning_clause
from studies.reporting.view import StudyView
from studies.reporting.wording import estimate_text, share_of_variance
from studies.search.designs import DESIGNS
from studies.storage.stopping import stopping_of
from studies.text.quoting import command_line
from studies.text.wording import counted, crossed, listed

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.effects import Effect
    from studies.analysis.fit import Fit
    from studies.analysis.table import TrialsTable
    from studies.analysis.training.training import TrainingAnalysis
    from studies.analysis.tuning.one_at_a_time import TuningCost

TITLE = "What matters, and what interacts"
NOT_ANALYSED = "Not analysed: analysis=none was asked for."
TWO_GROUPS = "The trials fall into two groups, so much of the variance lies between both."
WHETHER = "The shares below tell what decides whether a configuration trains."
SOME_DIVERGED = "The shares below are among trials with a value. Those that diverged or ran out of memory have none."
HOW_WELL = "What decides how well, among those that train, is told in the section before."
NO_DIRECTION = "Not analysed: the study does not say whether a small or a large value is good."
PICTURES = ("tuning", "interactions", "leave_one_out", "coverage", "main_*", "surface_*", "loss_against_*")
FILES = (
    *("tuning.csv", "effects.csv", "interactions.csv", "ridge.csv", "screen.csv", "anova.csv", "analysis.json"),
    *(f"figures/{name}.{ending}" for name in PICTURES for ending in ("png", "csv")),
)
MOST_EXPLORED = 0.9  # of the trials of an adaptive sampler, while quasi-random ones are wanted
REPLACED = re.compile(r"\+*(n_trials|sampler\.explore_fraction)=")
NEGLIGIBLE = 1e-6  # of the range of the trials' values: a smaller difference is none
MEANING = {
    "ok": "The numbers below can be relied on as far as their intervals go.",
    "caution": "Take the numbers below as hints.",
    "unreliable": "Conclude nothing from the numbers below.",
}


def compute(view: StudyView) -> Finding:
    """Return the effects with their verdict, or the reason why there are none."""
    if not view.is_analysed:
        why = NOT_ANALYSED if view.wanted.name == "none" else NO_DIRECTION
        return Finding(TITLE, blocks=paragraphs(why))
    can_be_raced = view.selection is None and len(view.objectives) == 1
    is_one_trial = view.best is not None and view.best.n == 1 and can_be_raced
    best = view.best.trial.params if view.best is not None and is_one_trial else {}
    return effects_finding(view.analysis, metric=view.metric, best=best, command=_more_trials(view))


def effects_finding(
    analysis: Analysis, *, metric: str, best: Mapping[str, Any] | None = None, command: str | None = None
) -> Finding:
    """Return the verdict, sentences or advice, tables and figures of `analysis`.

    `best` is the configuration that rests on the value of one trial, and `command` runs the trials that would help.
    """
    headline = filter(None, [tuning_clause(analysis, metric), clause(analysis)])
    drawn = list(drawings(analysis, metric=metric))
    return Finding(
        TITLE,
        analysis.whole.verdict.level,
        tuple(f"{said}." for said in headline),
        (
            *paragraphs(_objective(analysis.table, metric)),
            _verdict(analysis.whole),
            *paragraphs(_values(analysis.table, analysis.whole), _two_groups(analysis.training)),
            *_told(analysis, metric, command),
            *tuning_blocks(analysis, metric, best or {}),
            *_tables(analysis),
            *([Heading("Figures")] if drawn else []),
            *drawn,
            *(File(label, name, text) for label, name, text in csv_files(analysis)),
            File("analysis", "analysis.json", analysis_json(analysis, metric=metric)),
        ),
    )


def clause(analysis: Analysis) -> str | None:
    """Return the strongest interaction in words, else the strongest parameter.

    None without verdict ok, or if no effect is shown.
    """
    if analysis.whole.verdict.level != "ok":
        return None
    for effect in (*_claimed(analysis), *_strongest_main(analysis)):
        verb = "interact" if effect.order == 2 else "matters most"
        return f"{crossed(effect.params)} {verb} ({share_of_variance(effect.estimate)})"
    return None


def drawings(analysis: Analysis, *, metric: str) -> Iterator[Drawing]:
    """Yield losses, pair matrix, main effects, close looks at pairs, left-out trials, coverage. Nothing without fit."""
    if all(fit.sobol is None for fit in analysis.fits):
        return
    yield from tuning(analysis, metric=metric)
    yield pair_matrix(analysis, metric=metric)
    yield from main_effects(analysis, metric=metric)
    yield from surfaces(analysis, metric=metric)
    yield from metric_by_level(analysis, metric=metric)
    yield from filter(None, [leave_one_out(analysis, metric=metric), coverage(analysis)])


def _tables(analysis: Analysis) -> Iterator[Block]:
    if any(not math.isnan(effect.estimate.value) for effect in analysis.effects):
        yield from effects_blocks(analysis)
    if analysis.ridges:
        yield from ridges_blocks(analysis.ridges, analysis.budget_unit, level=analysis.whole.verdict.level)
    if analysis.anova is not None:
        yield from anova_blocks(analysis.anova)
    if analysis.screen:
        yield from screen_blocks(analysis.screen)


def _objective(trials: TrialsTable, metric: str) -> str:
    """Say which objective is analysed, if there are several."""
    if trials.n_objectives == 1:
        return ""
    return f"The study has {trials.n_objectives} objectives. What follows is about the first alone, {metric}."


def _verdict(fit: Fit) -> Paragraph:
    level, reasons = fit.verdict.level, fit.verdict.reasons
    why = f", because of: {'; '.join(reasons)}" if reasons else ""
    evidence = [counted(fit.evidence.n, "trial", "trials")]
    evidence.append(counted(fit.evidence.n_parameters, "parameter", "parameters"))
    if not math.isnan(fit.evidence.q2):
        part = f"; {fit.evidence.explained:.2f} of what is not noise, which the verdict goes by"
        counts = part if f"{fit.evidence.explained:.2f}" != f"{fit.evidence.q2:.2f}" else ""
        evidence.append(f"Q² {fit.evidence.q2:.2f} (how well trials left out of the fit are predicted{counts})")
    meaning = MEANING[level] if fit.sobol is not None else "Nothing was fitted to the trials."
    return Paragraph(f"{why}. {meaning} Evidence: {', '.join(evidence)}.", lead=f"Verdict: {level}")


def _values(trials: TrialsTable, fit: Fit) -> str:
    """Say how trials are compared, and which trials and parameters are left out."""
    n_without = trials.n_finished - trials.n_failed - trials.n_infeasible - trials.n_outside - len(trials.y)
    without = f". {n_without} without that value are left out" if n_without else ""
    if trials.policy == "final":
        pruned = f", {trials.n_pruned} of {trials.n_finished} trials were pruned" if trials.n_pruned else ""
        said = f"Trials count with their final values{pruned}{without}."
    elif trials.is_completed:
        pruned = f"{trials.n_pruned} of {counted(trials.n_finished, 'trial was', 'trials were')} pruned"
        said = (
            f"{pruned}. The last values of {trials.n_completed} of them are predicted from their curves{without}. The "
            "shares are those of final values, and their intervals have the predictions' uncertainty."
        )
    elif trials.n_pruned:
        pruned = f"{trials.n_pruned} of {counted(trials.n_finished, 'trial was', 'trials were')} pruned"
        said = (
            f"{pruned}, so all are compared at {trials.compared}, the last that nine in ten of them reached: the "
            f"shares are of the metric there, not of its final value{without}."
        )
    else:
        said = f"All trials are compared at {trials.compared}, as value_policy asks{without}."
    sentences = [said, *_left_out(trials)]
    if trials.assumed_source is not None:
        sentences.append(
            f"The storage does not say who proposed some of the trials. analysis.source says it was "
            f"{trials.assumed_source}."
        )
    if len(fit.table.y) > MOST_ROWS and fit.sobol is not None:
        sentences.append(
            f"{MOST_ROWS} trials, evenly spread, tell how smooth the function is and how much noise there is."
        )
    if fit.n_trials > len(fit.table.y):
        sentences.append(f"{len(fit.table.y)} of {fit.n_trials} trials, drawn evenly, are fitted.")
    sentences += [f"{name} is left out: {why}." for name, why in sorted(trials.dropped.items())]
    return " ".join(sentences)


def _left_out(trials: TrialsTable) -> Iterator[str]:
    """Say why trials are not compared."""
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


def _two_groups(training: TrainingAnalysis | None) -> str:
    """Say what two groups of trials mean for the shares. Trials without a value are in none of them."""
    if training is None:
        return ""
    said = (
        [SOME_DIVERGED] if training.groups.border is None else [TWO_GROUPS, *([WHETHER] if training.is_learned else [])]
    )
    return " ".join(said if training.among is None else [*said, HOW_WELL])


def _told(analysis: Analysis, metric: str, command: str | None) -> tuple[Block, ...]:
    """Return sentences with numbers if the verdict is ok, else advice."""
    if analysis.whole.verdict.level == "ok":
        return bullets(list(_sentences(analysis, metric)))
    if not analysis.advice:
        return ()
    run = (Paragraph("Run these trials in this study with"), Command(command)) if command is not None else ()
    return Paragraph("What would help:"), *bullets(analysis.advice), *run


def _more_trials(view: StudyView) -> str | None:
    """Return the command that runs the quasi-random trials that are wanted. None where none are, or for a grid."""
    settings, fit = view.settings, view.analysis.whole
    needed = space_filling_needed(fit.evidence) if fit.sobol is not None and fit.verdict.level != "ok" else 0
    if settings is None or settings.is_designed or not needed or not view.run_arguments:
        return None
    is_under_way = len(view.ended) < settings.n_trials
    if is_under_way or stopping_of(settings).applies(view.trials):
        return None
    explores = settings.sampler.name not in DESIGNS
    more = math.ceil(needed / MOST_EXPLORED) if explores else needed
    kept = [argument for argument in view.run_arguments if not REPLACED.match(argument)]
    share = [f"sampler.explore_fraction={MOST_EXPLORED}"] if explores else []
    return command_line("run", *kept, *share, f"n_trials={len(view.ended) + more}")


def _sentences(analysis: Analysis, metric: str) -> Iterator[str]:
    tuned = tuning_clause(analysis, metric)
    if tuned is not None:
        yield f"{tuned}."
    mains = _strongest_main(analysis)
    for effect in mains:
        yield f"{effect.params[0]} matters most on its own: {share_of_variance(effect.estimate)}."
    if not mains:
        yield _none_shown(analysis, 1, "matter on its own")
    claimed = _claimed(analysis)
    for effect in claimed:
        yield f"{crossed(effect.params)} interact: {share_of_variance(effect.estimate)}{where(effect)}."
    if not claimed:
        yield _none_shown(analysis, 2, "interact")
    for order, what in ((1, "main effect"), (2, "interaction")):
        without = [crossed(e.params) for e in analysis.effects if e.order == order and e.is_excluded]
        if without:
            yield f"No {what} above {NO_EFFECT:.0%} of the variance: {listed(without)}."
    for ridge in analysis.ridges:
        yield f"The best {ridge.params[0]} as {ridge.params[1]} changes: {ridge.verdict}."
    if analysis.tuning is not None and len(analysis.whole.table.axes) > 1:
        yield _one_at_a_time(analysis.tuning, metric, analysis.table)


def _none_shown(analysis: Analysis, order: int, what: str) -> str:
    """Say that no effect of an order is sure, and which ones are in doubt."""
    doubtful = [crossed(e.params) for e in analysis.effects if e.order == order and e.estimate.is_above(CLAIM)]
    if doubtful:
        return f"What may {what}: {listed(doubtful)}. The table says what speaks against it."
    return f"Nothing is shown to {what}: no interval lies wholly above {CLAIM:.0%} of the variance."


def _strongest_main(analysis: Analysis) -> list[Effect]:
    """Return the strongest reliable main effect, if any."""
    mains = [e for e in analysis.effects if e.order == 1 and e.verdict == "ok" and e.estimate.is_above(CLAIM)]
    return strongest_first(mains)[:1]


def _claimed(analysis: Analysis) -> list[Effect]:
    return strongest_first(e for e in analysis.effects if e.is_claimed)


def _one_at_a_time(found: TuningCost, metric: str, trials: TrialsTable) -> str:
    """Say the cost of tuning one parameter at a time, by the fitted function."""
    least = NEGLIGIBLE * float(trials.y.max() - trials.y.min())
    value, lo, hi = (0.0 if abs(number) < least else number for number in (found.cost.value, *found.cost.ends))
    cost = Estimate(value, lo, hi)
    if cost.is_above(0):
        told = f"{estimate_text(cost, '.2g')} worse in {metric} than"
    elif cost.is_below(0):
        told = f"{estimate_text(cost.turned, '.2g')} better in {metric} than"
    else:
        told = f"no worse in {metric} (difference {estimate_text(cost, '.2g')}) than"
    begin = f"With {found.n_trials} trials, tuning one parameter at a time would be expected to end"
    return f"{begin} {told} tuning all together (both simulated on the fitted function)."
