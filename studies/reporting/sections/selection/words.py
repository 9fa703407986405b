"""The result of a selection in words, for its section and for the headline."""

from __future__ import annotations

from studies.analysis.estimate import Estimate
from studies.reporting.wording import FEWEST_OF_TIE, estimate_text
from studies.selection.chosen import champion_of
from studies.selection.contest import Contest, OnTestPart
from studies.selection.steps import Selection
from studies.text.wording import counted, shown

DIGITS = 4


def claim(selection: Selection, metric: str) -> str | None:
    """Return the headline's claim: the selected configuration, its estimate, and its ties."""
    contest, champion = selection.best, champion_of(selection)
    if contest is None or champion is None or contest.estimate is None:
        return None
    found = contest.estimate
    worth = f"{estimate_text(found)} (trial {champion.trial.number}, {_rests_on(contest)})"
    tests = "".join(f", {name} {estimate_text(test.estimate)}" for name, test in accuracies(contest))
    promised = f"the search's best value was {selection.searched.value:.{DIGITS}f}"
    n_ties = len(contest.staying) - 1
    tied = _tied(contest, n_ties, len(selection.contests)) if n_ties and not contest.seedless else ""
    return f"Selected {metric} {worth}{tests}; {promised}{tied}{_unshown(selection)}"


def _tied(contest: Contest, n_ties: int, n_races: int) -> str:
    n = len(contest.candidates) - 1
    others = f"{n_ties} of {n} others" if n > 1 else "the only other candidate"
    of_race = f" of its own race, {name_of(contest)}" if n_races > 1 else ""
    if (few := _too_few(contest)) is not None:
        return f"; not distinguished from {others}{of_race} by {few} seeds"
    return f"; tied with {others}{of_race}"


def _too_few(contest: Contest) -> int | None:
    """Return the number of seeds of a race if it is too small for ties, else None."""
    leader = contest.race.leader if contest.race is not None else None
    n = contest.race.standings[leader].n if contest.race is not None and leader is not None else FEWEST_OF_TIE
    return n if n < FEWEST_OF_TIE else None


def _unshown(selection: Selection) -> str:
    found = selection.comparison
    n = len(found.rivals)
    return f"; not shown to be better than {n} of {counted(found.n_others, 'other value', 'other values')}" if n else ""


def status(contest: Contest, i: int) -> str:
    """Return how a candidate's race ended, in words."""
    assert contest.race is not None
    standing = contest.race.standings[i]
    if standing.left == "failed":
        return f"left: {contest.failures.get(i, 'gave no value')}"
    if standing.left == "worse":
        return f"left after {standing.n} seeds: surely worse"
    if i == contest.winner:
        return "winner"
    if contest.seedless:
        return "not compared"
    few = _too_few(contest)
    return "tied" if few is None else f"not distinguished by {few} seeds"


def name_of(contest: Contest) -> str:
    """Return the values of the scientific parameters of a contest, in words."""
    return ", ".join(f"{name} = {shown(value)}" for name, value in contest.scientific.items()) or "(not active)"


def accuracies(contest: Contest) -> list[tuple[str, OnTestPart]]:
    """Return the tests with an interval that covers the samples, too: shares of right answers."""
    return [(name, test) for name, test in contest.tests.items() if test.n_samples]


def _rests_on(contest: Contest) -> str:
    assert contest.estimate is not None
    return "one training, which no seed changes" if contest.is_seedless else seeds(contest.estimate)


def seeds(found: Estimate) -> str:
    """Return the number of fresh seeds of an estimate, in words."""
    return counted(found.n or 0, "fresh seed", "fresh seeds")
