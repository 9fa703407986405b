"""The result of a selection in words, for its section and for the headline."""

from __future__ import annotations

from studies.analysis.estimate import Estimate
from studies.reporting.wording import FEWEST_OF_TIE, estimate_text
from studies.selection.chosen import champion_of
from studies.selection.race import OnTestPart, Race
from studies.selection.steps import Selection
from studies.text.wording import counted, shown

DIGITS = 4


def claim(selection: Selection, metric: str) -> str | None:
    """Return the headline's claim: the selected configuration, its estimate, and its ties."""
    race, champion = selection.best, champion_of(selection)
    if race is None or champion is None or race.estimate is None:
        return None
    found = race.estimate
    worth = f"{estimate_text(found)} (trial {champion.trial.number}, {_rests_on(race)})"
    tests = "".join(f", {name} {estimate_text(test.estimate)}" for name, test in accuracies(race))
    promised = f"the search's best value was {selection.searched.value:.{DIGITS}f}"
    n_ties = len(race.survivors) - 1
    tied = _tied(race, n_ties, len(selection.races)) if n_ties and not race.seedless else ""
    return f"Selected {metric} {worth}{tests}; {promised}{tied}{_unshown(selection)}"


def _tied(race: Race, n_ties: int, n_races: int) -> str:
    n = len(race.candidates) - 1
    others = f"{n_ties} of {n} others" if n > 1 else "the only other candidate"
    of_race = f" of its own race, {name_of(race)}" if n_races > 1 else ""
    if (few := _too_few(race)) is not None:
        return f"; not distinguished from {others}{of_race} by {few} seeds"
    return f"; tied with {others}{of_race}"


def _too_few(race: Race) -> int | None:
    """Return the number of seeds of a race if it is too small for ties, else None."""
    leader = race.elimination.leader if race.elimination is not None else None
    n = race.elimination.standings[leader].n if race.elimination is not None and leader is not None else FEWEST_OF_TIE
    return n if n < FEWEST_OF_TIE else None


def _unshown(selection: Selection) -> str:
    found = selection.comparison
    n = len(found.rivals)
    return f"; not shown to be better than {n} of {counted(found.n_others, 'other value', 'other values')}" if n else ""


def status(race: Race, i: int) -> str:
    """Return how a candidate's race ended, in words."""
    assert race.elimination is not None
    standing = race.elimination.standings[i]
    if standing.left == "failed":
        return f"left: {race.failures.get(i, 'gave no value')}"
    if standing.left == "worse":
        return f"left after {standing.n} seeds: surely worse"
    if i == race.winner:
        return "winner"
    if race.seedless:
        return "not compared"
    few = _too_few(race)
    return "tied" if few is None else f"not distinguished by {few} seeds"


def name_of(race: Race) -> str:
    """Return the values of the scientific parameters of a race, in words."""
    return ", ".join(f"{name} = {shown(value)}" for name, value in race.scientific.items()) or "(not active)"


def accuracies(race: Race) -> list[tuple[str, OnTestPart]]:
    """Return the tests with an interval that covers the samples, too: shares of right answers."""
    return [(name, test) for name, test in race.tests.items() if test.n_samples]


def _rests_on(race: Race) -> str:
    assert race.estimate is not None
    return "one training, which no seed changes" if race.is_seedless else seeds(race.estimate)


def seeds(found: Estimate) -> str:
    """Return the number of fresh seeds of an estimate, in words."""
    return counted(found.n or 0, "fresh seed", "fresh seeds")
