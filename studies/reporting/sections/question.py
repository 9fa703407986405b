"""The pairs that a search leaves open, each with the command of the designed study that decides it, and its cost."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from studies.analysis.effects import strongest_first
from studies.analysis.levels import NO_EFFECT
from studies.config.question import question_argument
from studies.errors import BadInput
from studies.reporting.finding import Block, Command, Finding, Paragraph, bullets
from studies.reporting.question_design import (
    QuestionDesign,
    TrainingCost,
    grid_lines,
    power_line,
    question_design,
    training_cost,
)
from studies.reporting.view import StudyView
from studies.text.quoting import command_line
from studies.text.wording import crossed

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis

TITLE = "Pairs left open"
MOST_PAIRS = 2


def compute(view: StudyView) -> Finding | None:
    """Return the commands for the first open pairs. None for a design, and where no pair is open."""
    settings = view.settings
    if settings is None or settings.is_designed or not (view.is_analysed and view.has_one_best and view.run_arguments):
        return None
    designs = list(itertools.islice(_designs(view), MOST_PAIRS))
    if not designs:
        return None
    cost = training_cost(view, workers=settings.workers)
    told = f"{crossed(designs[0].names)}: whether they interact is open. A designed study costs"
    return Finding(
        TITLE,
        headline=(f"{told} {cost.of(designs[0].n_trainings)}: {_command(view, designs[0])}",),
        blocks=tuple(block for design in designs for block in _blocks(view, design, cost)),
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


def _designs(view: StudyView) -> Iterator[QuestionDesign]:
    """Yield a design for each open pair that can have one. Parameters that are never active together have none."""
    for pair in undecided_pairs(view.analysis):
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
