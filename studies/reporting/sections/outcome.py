"""The outcome of a study: its best value, its progress, and notes to read first."""

from __future__ import annotations

from collections.abc import Iterator

from studies.analysis.choice import Choice
from studies.analysis.same_runs import same_runs_note
from studies.records.eligible import excluded
from studies.records.objectives import objective_notes
from studies.reporting.finding import Finding, paragraphs
from studies.reporting.sections.selection.words import claim
from studies.reporting.view import StudyView
from studies.reporting.wording import estimate_text
from studies.text.wording import counted

BY_THE_CONFIG = "studies.report +study=… with the overrides that the study was run with"


def compute(view: StudyView) -> Finding:
    """Return the outcome. It has the first sentence of the headline."""
    headline = (_sentence(view), *_notes(view))
    return Finding("", "caution" if len(headline) > 1 else "info", headline, paragraphs(view.goal))


def _sentence(view: StudyView) -> str:
    done, more = _done(view), _more(view)
    if not view.has_one_best:
        return f"{done}{more}."
    if not view.has_direction:
        return f"{done}{more}; the study does not say which values are good, so none is the best."
    if view.settings is None and len(view.objectives) > 1:
        return f"{done}{more}, with {len(view.objectives)} objectives: there is no single best one."
    claimed = claim(view.selection, view.metric) if view.selection is not None else None
    if claimed is not None:
        return f"{claimed}; {done}{more}."
    if view.best is None:
        lost = ": none of them can be the best" if _excluded(view) else ", none of them with a value"
        return f"{done}{lost}{more}."
    alone = " of the search alone" if view.rounds else ""
    return f"Best {view.metric}{alone} {valued(view.best)}; {done}{more}."


def valued(choice: Choice) -> str:
    """Return a choice's value and its basis."""
    if choice.n == 1:
        return f"{choice.value:.4f} (trial {choice.trial.number})"
    if choice.estimate.lo is None:
        return f"{choice.value:.4f} (mean of {choice.n} seeds, all equal)"
    return f"{estimate_text(choice.estimate)} (mean of {choice.n} seeds)"


def _done(view: StudyView) -> str:
    """Return how many trials of how many have finished."""
    settings = view.settings
    if settings is None:
        n = sum(trial.state.is_finished() for trial in view.ended)
        return f"{counted(n, 'trial finished', 'trials finished')}{_excluded(view)}"
    n = len(view.ended)
    imported = f", {len(view.imported)} imported" if view.imported else ""
    return f"{n} of {max(settings.n_trials, n)} trials finished{imported}"


def _excluded(view: StudyView) -> str:
    lost = excluded(view.ended)
    return f" ({lost})" if str(lost) and view.settings is None else ""


def _more(view: StudyView) -> str:
    """Return the failures, and whether there is more to do."""
    if view.rounds:
        return f"; a selection among its best followed: {BY_THE_CONFIG} tells it"
    if view.settings is None or view.rules is None:
        return ""
    rules = view.rules
    lost = [trial for slot in view.slots for trial in slot.chain if rules.has_failed(trial)]
    fate = "replaced by others" if rules.redraws else "with no result"
    failures = f"; {counted(len(lost), 'point', 'points')} failed for good (error or killed), {fate}" if lost else ""
    goes_on = "; studies.run goes on" if len(view.ended) < view.settings.n_trials else ""
    is_unselected = view.settings.select.name != "none" and view.selection is None and view.best is not None
    if is_unselected:
        goes_on = "; nothing is selected yet; studies.run goes on"
    return f"{failures}{goes_on}"


def _notes(view: StudyView) -> Iterator[str]:
    """Yield notes to read before the numbers."""
    second = view.settings.objective.logged_second if view.settings is not None else None
    yield from (f"Note: {note}." for note in objective_notes((view.metric, second)))
    same = same_runs_note(view.candidates)
    if same is not None:
        yield f"Note: {same}."
