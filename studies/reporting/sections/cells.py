"""The cells of a designed experiment: each point with its mean over training seeds."""

from __future__ import annotations

from studies.reporting.finding import Finding, Table, paragraphs
from studies.reporting.view import StudyView
from studies.reporting.wording import interval_text
from studies.text.wording import NONE, counted, shown

MAX_CELLS = 12  # that the report lists


def compute(view: StudyView) -> Finding | None:
    """Return the best cells. None unless the study is a design."""
    settings = view.settings
    if settings is None or not settings.is_designed or not view.choices:
        return None
    names = settings.space.names
    listed = view.choices[:MAX_CELLS]
    rows = tuple(
        (
            *(shown(choice.trial.params.get(name, NONE)) for name in names),
            f"{choice.value:.4f}",
            interval_text(choice.estimate),
            str(choice.n),
        )
        for choice in listed
    )
    n_more = len(view.choices) - MAX_CELLS
    n_pruned = sum(choice.n_pruned for choice in listed)
    lost = counted(n_pruned, "training of these cells was", "trainings of these cells were")
    return Finding(
        "Cells",
        blocks=(
            Table((*names, f"mean {view.metric}", "95 % interval", "n"), rows),
            *paragraphs(
                f"{n_more} more cells are in trials.csv." if n_more > 0 else "",
                "Means over training seeds, with Student's t interval. Overlapping intervals do not tell cells apart.",
                f"{lost} pruned. The means are over the others, so they are too good for cells where some were."
                if n_pruned
                else "",
            ),
        ),
    )
