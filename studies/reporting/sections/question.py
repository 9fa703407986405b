"""The pairs that a study leaves open, each with the command that decides it, and its cost.

That of a search is a designed study, unless the storage holds it already. A designed study takes more replicates.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from studies.analysis.designed.noise_ratio import noise_ratio
from studies.analysis.designed.power import more_replicates
from studies.analysis.effects import strongest_first
from studies.analysis.levels import ASKED_SHARE, NO_EFFECT, SIGNIFICANCE
from studies.config.question import question_argument
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.reporting.finding import Block, Command, Finding, Paragraph, bullets, paragraphs
from studies.reporting.question_design import (
    QuestionDesign,
    TrainingCost,
    grid_lines,
    power_line,
    question_design,
    training_cost,
)
from studies.reporting.view import StudyView
from studies.storage.questions import StoredQuestion
from studies.text.quoting import command_line, pasted
from studies.text.wording import counted, crossed, listed

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.designed.factorial import AnovaRow

TITLE = "Pairs left open"
MOST_PAIRS = 2
SIZE = re.compile(r"\+*(replicates|n_trials)=")


def compute(view: StudyView) -> Finding | None:
    """Return the commands for the first open pairs. None where no pair is open."""
    settings = view.settings
    if settings is None or not (view.is_analysed and view.has_one_best and view.run_arguments):
        return None
    open_pairs = undecided_pairs(view.analysis)
    cost = training_cost(view, workers=settings.workers)
    if settings.is_designed:
        return _of_design(view, settings, open_pairs, cost)
    asked = {pair: found for pair in open_pairs if (found := _asked(view, pair)) is not None}
    begun = [found for found in asked.values() if not found.is_finished]
    designs = list(itertools.islice(_designs(view, [pair for pair in open_pairs if pair not in asked]), MOST_PAIRS))
    if not designs and not asked:
        return None
    if designs:
        told = f"{crossed(designs[0].names)}: whether they interact is open. A designed study costs"
        headline = f"{told} {cost.of(designs[0].n_trainings)}: {_command(view, designs[0].names)}"
    elif begun:
        headline = f"{begun[0].study_name} tells what this search leaves open, once it is finished."
    else:
        headline = f"Read the report of {listed(list(_names_of(asked)))} on what this search leaves open."
    answers = (block for pair, found in asked.items() for block in _answer(view, pair, found, cost))
    return Finding(
        TITLE,
        headline=(headline,),
        blocks=(*answers, *(block for design in designs for block in _blocks(view, design, cost))),
    )


def undecided_pairs(analysis: Analysis) -> list[tuple[str, str]]:
    """Return the pairs of which neither an interaction is shown nor that there is none above 5 % of the variance.

    The pairs of a law come first, such as learning rate and batch size, then the greatest estimates.
    """
    laws = [{*ridge.params} for ridge in analysis.ridges]

    pairs = [effect for effect in analysis.effects if effect.order == 2]
    pairs = strongest_first(effect for effect in pairs if not effect.is_claimed and not effect.is_excluded)
    pairs.sort(key=lambda effect: {*effect.params} not in laws)
    return [(effect.params[0], effect.params[1]) for effect in pairs]


def _of_design(
    view: StudyView, settings: StudySettings, open_pairs: Sequence[tuple[str, str]], cost: TrainingCost
) -> Finding | None:
    """Return what a finished grid leaves open, and the replicates that would tell.

    None if it compares values over others, or tests a hypothesis, whose replicates were chosen before its data.
    """
    varied = [parameter for parameter in settings.space if len(parameter.levels or ()) > 1]
    is_whole = not any(parameter.when for parameter in settings.space)  # each cell of the product exists
    is_finished = view.rules is not None and view.rules.are_all_finished(view.trials)
    if not (is_whole and is_finished) or settings.hypothesis is not None or len({p.role for p in varied}) > 1:
        return None
    open_pairs = _untold(view.analysis, open_pairs)
    if not open_pairs:
        return None
    noise = noise_ratio([p.name for p in varied], view.table, view.analysis.effects, [])
    n_levels = [len(parameter.levels or ()) for parameter in varied]
    found, now = more_replicates(n_levels, noise=noise.value, than=settings.replicates), settings.replicates
    pairs = listed([crossed(pair) for pair in open_pairs])
    told = f"{pairs}: still open after {counted(now, 'replicate', 'replicates')}."
    neither = f"Neither is an interaction shown, nor that there is none above {NO_EFFECT:.0%} of the variance."
    if found is None:
        return Finding(TITLE, headline=(told,), blocks=(*paragraphs(told, neither, "The noise is too great to tell."),))
    price = cost.of(len(settings.space.grid()) * (found.n - now))
    command = command_line("run", *_grown(view, settings), f"replicates={found.n}", "n_trials=null")
    shows = f"{found.n} replicates show one of {ASKED_SHARE:.0%} with a power of {found.power:.2f}, for {price} more:"
    headline = f"{told} {found.n} would show an interaction of {ASKED_SHARE:.0%}, for {price} more: {command}"
    return Finding(TITLE, headline=(headline,), blocks=(*paragraphs(f"{told} {neither} {shows}"), Command(command)))


def _untold(analysis: Analysis, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs of which the grid's own tests tell nothing either. More replicates help these alone."""
    rows = [] if analysis.anova is None else analysis.anova.rows
    told = {frozenset(row.term) for row in rows if _is_told(row)}
    return [pair for pair in pairs if frozenset(pair) not in told]


def _is_told(row: AnovaRow) -> bool:
    is_small = row.share is not None and row.share.ends[1] <= NO_EFFECT
    return is_small or (row.p_holm is not None and row.p_holm <= SIGNIFICANCE)


def _grown(view: StudyView, settings: StudySettings) -> list[str]:
    """Return the arguments of the run without its size. A file may hold another question by then: the name is told."""
    kept = [argument for argument in view.run_arguments if not SIZE.match(argument)]
    is_named = any(argument.startswith(("study_name=", "+study=")) for argument in kept)
    return kept if is_named else [*kept, pasted("study_name", settings.study_name)]


def _asked(view: StudyView, pair: tuple[str, str]) -> StoredQuestion | None:
    """Return the designed study about a pair, alone or with others. A finished one comes first."""
    found = [asked for names, asked in view.questions.items() if {*pair} <= {*names}]
    return max(found, key=lambda asked: asked.is_finished, default=None)


def _names_of(asked: Mapping[tuple[str, str], StoredQuestion]) -> Iterator[str]:
    yield from dict.fromkeys(found.study_name for found in asked.values())


def _answer(view: StudyView, pair: tuple[str, str], asked: StoredQuestion, cost: TrainingCost) -> Iterator[Block]:
    """Yield where the answer stands, and the command that goes on with a study under way."""
    trainings = counted(asked.n_trainings, "training", "trainings")
    designed = f"a designed study of {trainings}"
    if asked.is_finished:
        told = f"The report of {asked.study_name} tells: {designed}."
        yield Paragraph(f" is open in this search. {told}", lead=crossed(pair))
        return
    left = cost.of(asked.n_trainings - asked.n_finished)
    told = (
        f"{asked.study_name} is under way: {designed}, of which {asked.n_finished} are finished. The rest costs {left}:"
    )
    yield Paragraph(f" is open in this search. {told}", lead=crossed(pair))
    yield Command(_command(view, asked.names))


def _designs(view: StudyView, pairs: Sequence[tuple[str, str]]) -> Iterator[QuestionDesign]:
    """Yield a design for each open pair that can have one. Parameters that are never active together have none."""
    for pair in pairs:
        with contextlib.suppress(BadInput):
            yield question_design(view, pair)


def _blocks(view: StudyView, design: QuestionDesign, cost: TrainingCost) -> Iterator[Block]:
    lines = [*grid_lines(design.space, replicates=design.replicates.n), power_line(design)]
    yield Paragraph(
        f" is open: neither is an interaction shown, nor that there is none above {NO_EFFECT:.0%} of the variance. A "
        f"designed study tells. It costs {cost.of(design.n_trainings)}:",
        lead=crossed(design.names),
    )
    yield Command(_command(view, design.names))
    yield from bullets([f"{line[:1].upper()}{line[1:]}." for line in lines])


def _command(view: StudyView, names: Sequence[str]) -> str:
    return command_line("run", *view.run_arguments, question_argument(names))
