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
from studies.analysis.levels import ASKED_SHARE, NO_EFFECT
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
from studies.text.quoting import command_line
from studies.text.wording import counted, crossed, listed

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis

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
    designs = list(itertools.islice(_designs(view, [pair for pair in open_pairs if pair not in asked]), MOST_PAIRS))
    if not designs and not asked:
        return None
    if designs:
        told = f"{crossed(designs[0].names)}: whether they interact is open. A designed study costs"
        headline = f"{told} {cost.of(designs[0].n_trainings)}: {_command(view, designs[0])}"
    else:
        headline = f"Read the report of {listed(list(_names_of(asked)))} on what this search leaves open."
    answers = (Paragraph(_answer(found), lead=crossed(pair)) for pair, found in asked.items())
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
    """Return what a grid leaves open, and the replicates that would tell. None if it compares values over others."""
    varied = [parameter for parameter in settings.space if len(parameter.levels or ()) > 1]
    if not open_pairs or len({parameter.role for parameter in varied}) > 1:
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
    command = command_line("run", *_without_size(view.run_arguments), f"replicates={found.n}", "n_trials=null")
    shows = f"{found.n} replicates show one of {ASKED_SHARE:.0%} with a power of {found.power:.2f}, for {price} more:"
    headline = f"{told} {found.n} would show an interaction of {ASKED_SHARE:.0%}, for {price} more: {command}"
    return Finding(TITLE, headline=(headline,), blocks=(*paragraphs(f"{told} {neither} {shows}"), Command(command)))


def _without_size(arguments: Sequence[str]) -> list[str]:
    return [argument for argument in arguments if not SIZE.match(argument)]


def _asked(view: StudyView, pair: tuple[str, str]) -> StoredQuestion | None:
    """Return the finished designed study about a pair, alone or with others."""
    found = (asked for names, asked in view.questions.items() if {*pair} <= {*names} and asked.is_finished)
    return next(found, None)


def _names_of(asked: Mapping[tuple[str, str], StoredQuestion]) -> Iterator[str]:
    yield from dict.fromkeys(found.study_name for found in asked.values())


def _answer(asked: StoredQuestion) -> str:
    trainings = counted(asked.n_trainings, "training", "trainings")
    return f" is open in this search. The report of {asked.study_name} tells: a designed study of {trainings}."


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
    yield Command(_command(view, design))
    yield from bullets([f"{line[:1].upper()}{line[1:]}." for line in lines])


def _command(view: StudyView, design: QuestionDesign) -> str:
    return command_line("run", *view.run_arguments, question_argument(design.names))
