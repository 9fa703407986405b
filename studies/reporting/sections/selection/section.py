"""The result of a selection: the winner, the estimate of its value, the luck of the search, and the race."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from studies.reporting.finding import Block, Bullets, File, Finding, Heading, Paragraph, Table, paragraphs
from studies.reporting.sections.selection.select_csv import selection_csv
from studies.reporting.sections.selection.words import DIGITS, accuracies, name_of, seeds, status
from studies.reporting.view import StudyView
from studies.reporting.wording import estimate_text
from studies.selection.chosen import champion_of
from studies.selection.race import Candidate, OnTestPart, Race, failure_in_words
from studies.selection.steps import Selection
from studies.text.wording import NONE, counted, fixed, listed, p_value, shown

FILES = ("select.csv",)
COVERS = (
    "The interval of a share of right or wrong answers covers seeds and samples. Its variance is s²/m + p(1 − p)/n, "
    "with Student's t and the degrees of freedom of Welch and Satterthwaite (Dietterich 1998, Bouthillier et al. 2021)."
)
SEEDLESS = (
    "Its trainings under different seeds are identical: the module seeds itself (seed_everything?) or uses no "
    "randomness. Use ${training_seed} in the config where the module takes a seed."
)
UNTESTED = (
    "No p: the trainings of trials {trials} are identical under different seeds, so each of them is one observation "
    "and nothing can be compared by it. The module seeds itself (seed_everything?) or uses no randomness: use "
    "${{training_seed}} in the config where it takes a seed."
)
HOW = (
    "p: one-sided paired t test against the leader over common seeds. The spread is that of the pair and of all pairs. "
    "p is multiplied by the number of tests in the race (Bonferroni)."
)
NOTHING = (
    "Nothing could be selected: no candidate gave a value on fresh seeds. So the best is the search's best value. It "
    "is optimistic."
)
LEAST = "the cheapest ({cost}) within one standard error of the leader's mean"


def compute(view: StudyView) -> Finding | None:
    """Return the result of the selection. None without a finished one."""
    if view.selection is None or view.settings is None:
        return None
    table = File("selection", FILES[0], selection_csv(view.selection, names=view.settings.space.names))
    on_devices = view.settings.devices_per_trial > 1
    blocks = selection_blocks(view.selection, metric=view.metric, maximize=view.maximize, on_devices=on_devices)
    return Finding("Selection", blocks=(*blocks, table))


def selection_blocks(selection: Selection, *, metric: str, maximize: bool, on_devices: bool) -> Iterator[Block]:
    """Yield the trainings, the winner with its estimate, the luck of the search, and each race."""
    yield Paragraph(_what_ran(selection))
    champion, race = champion_of(selection), selection.best
    if race is None or champion is None or race.estimate is None:
        yield Paragraph(NOTHING)
    else:
        yield Bullets(
            (
                *_winner(selection, race, champion, metric=metric),
                *_tests(race, on_devices=on_devices),
                *_certainty(selection, race, champion, maximize=maximize),
            )
        )
    if len(selection.races) > 1:
        yield from (Heading("By value"), _by_value(selection.races, metric))
    for each in selection.races:
        yield from _race(each, metric=metric, is_named=len(selection.races) > 1)


def _what_ran(selection: Selection) -> str:
    asked = selection.asked
    fewer = [race for race in selection.races if len(race.candidates) < asked.k]
    if len(selection.races) > 1:
        short = listed([f"{name_of(race)} has {len(race.candidates)}" for race in fewer])
        told = f"The best {asked.k} of each value of the search{f' (but {short})' if fewer else ''}"
        winner = "each winner"
    else:
        n = len(selection.races[0].candidates)
        told = f"All {n} completed points (fewer than the {asked.k} that were asked for)" if fewer else ""
        told, winner = told or f"The best {asked.k} of the search", "the winner"
    ran = counted(selection.n_trainings, "training", "trainings")
    if any(race.seedless for race in selection.races):
        return f"{told} were trained again until it was clear that their seeds change nothing: {ran} in all."
    return (
        f"{told} were trained again on up to {asked.seeds} common fresh seeds, then {winner} on "
        f"{asked.estimate_seeds} further ones: {ran}."
    )


def _winner(selection: Selection, race: Race, champion: Candidate, *, metric: str) -> Iterator[Paragraph]:
    yield Paragraph(f", {_rule(race, selection)}.", lead=f"The winner is trial {champion.trial.number}")
    yield from paragraphs(*_among_values(selection, race))
    yield _worth(race, metric=metric)


def _tests(race: Race, *, on_devices: bool) -> Iterator[Paragraph]:
    for name, test in race.tests.items():
        yield _tested(name, test, race)
    if not race.tests:
        why = ", or trains on several devices" if on_devices else ""
        yield Paragraph(f"It was not tested: the module has no test part{why}.")


def _certainty(selection: Selection, race: Race, champion: Candidate, *, maximize: bool) -> Iterator[Paragraph]:
    yield Paragraph(_luck(selection, race, champion, maximize=maximize))
    yield from paragraphs(*_ties(race))
    if any(test.n_samples for test in race.tests.values()):
        yield Paragraph(COVERS)


def _worth(race: Race, *, metric: str) -> Paragraph:
    found = race.estimate
    assert found is not None
    if race.is_seedless:
        told = f" in one training. {SEEDLESS} So there is no interval, and how much of the value is luck is not known."
        return Paragraph(told, lead=f"It gave {metric} {found.value:.{DIGITS}f}")
    return Paragraph(
        f" over {seeds(found)} that decided nothing{_lost(race)}, on the validation part of the search.",
        lead=f"It is worth {metric} {estimate_text(found)}",
    )


def _tested(name: str, test: OnTestPart, race: Race) -> Paragraph:
    if race.is_seedless:
        lead = f"{name} {test.estimate.value:.{DIGITS}f}"
        return Paragraph(" in that training, on data without a part in any choice.", lead=lead)
    over = f"over seeds and {test.n_samples} test samples" if test.n_samples else "over seeds, not over test samples"
    return Paragraph(f" {over}, on data without a part in any choice.", lead=f"{name} {estimate_text(test.estimate)}")


def _luck(selection: Selection, race: Race, champion: Candidate, *, maximize: bool) -> str:
    """Say how much of the search's best value was luck. That value may belong to another configuration."""
    assert race.estimate is not None
    searched = selection.searched
    luck = searched.value - race.estimate.value
    luck = luck if maximize else -luck
    told = f"The search's best value was {searched.value:.{DIGITS}f} (trial {searched.trial.number})"
    if race.is_seedless:
        return f"{told}."
    if searched.trial.number != champion.trial.number:
        return f"{told}, {abs(luck):.{DIGITS}f} {'better' if luck >= 0 else 'worse'} than what the winner is worth."
    return f"{told}: {abs(luck):.{DIGITS}f} of that was luck." if luck >= 0 else f"{told}, which was bad luck."


def _ties(race: Race) -> Iterator[str]:
    """Say which candidates tie with the winner."""
    if race.elimination is None or race.seedless:
        return
    ties = [str(race.candidates[i].trial.number) for i in race.survivors]
    sound = len(race.candidates) - len(race.failures)
    failed = ", failed ones aside" if race.failures else ""
    if len(ties) > 1:
        sure = f"with {100 * (1 - race.elimination.risk):.0f} % confidence the best of the {sound}{failed}"
        yield f"Trials {listed(ties)} cannot be told apart: {sure} is among them."
    elif sound == 1:
        yield "All others failed on some seed."
    else:
        risk = f"{100 * race.elimination.risk:.0f} %"
        yield f"All others left. The chance that the best was lost{failed} is {risk} at most."


def _rule(race: Race, selection: Selection) -> str:
    """Say by which rule the winner won."""
    if race.elimination is None or race.elimination.leader is None:
        return "the only candidate"
    if selection.asked.rule == "best" or race.seedless:
        return "with the best mean of the race"
    leader = race.candidates[race.elimination.leader].trial.number
    cost = math.nan if race.winner is None else race.cost(race.winner)
    told = selection.asked.cost + ("" if math.isnan(cost) else f" {shown(cost)}")
    who = "which leads itself" if race.winner == race.elimination.leader else f"trial {leader}"
    return f"{LEAST.format(cost=told)}, {who}"


def _among_values(selection: Selection, race: Race) -> Iterator[str]:
    """Compare the winners of several races: why this one is the best, and over which others that is shown."""
    found = selection.comparison
    if not found.n_others:
        return
    chosen = (
        f"Of the winners of {found.n_others + 1} values, that of {name_of(race)} is the best by the mean over the "
        f"{counted(found.n_seeds, 'race seed', 'race seeds')} that all of them have"
    )
    if found.equals:
        chosen += f" (that of {listed([name_of(equal) for equal in found.equals])} is equal: the first value is taken)"
    how = "(one-sided paired t test on the fresh seeds, Bonferroni over the other values)"
    if found.rivals:
        rivals = listed([name_of(rival) for rival in found.rivals], last="or")
        yield f"{chosen}; that it is better than that of {rivals} is not shown {how}."
    else:
        yield f"{chosen}; it is surely better than each other {how}."


def _by_value(races: Sequence[Race], metric: str) -> Table:
    rows = []
    for race in races:
        found, champion = race.estimate, race.champion
        worth = estimate_text(found)
        n = str(found.n) if found is not None else "0"
        tests = ", ".join(f"{name} {estimate_text(test.estimate)}" for name, test in accuracies(race)) or NONE
        rows.append((name_of(race), str(champion.trial.number) if champion else NONE, worth, n, tests))
    return Table(("value", "its winner: trial", f"{metric} [95 %]", "fresh seeds", "test [95 %]"), tuple(rows))


def _race(race: Race, *, metric: str, is_named: bool) -> Iterator[Block]:
    if race.elimination is None:
        if is_named:
            yield Heading(name_of(race))
        yield Paragraph("There was one candidate, and no race.")
        return
    rows = []
    order = sorted(range(len(race.candidates)), key=lambda i: _place(race, i))
    for i in order:
        candidate, standing = race.candidates[i], race.elimination.standings[i]
        values = (standing.mean, standing.sd, standing.gap)
        numbers = [fixed(value, DIGITS) for value in values]
        row = (str(candidate.trial.number), f"{candidate.value:.{DIGITS}f}", str(standing.n), *numbers)
        rows.append((*row, p_value(standing.p_value), status(race, i)))
    header = ("trial", "in the search", "seeds", f"mean {metric}", "sd", "behind the leader", "p", "how it ended")
    yield Heading(f"The race{f': {name_of(race)}' if is_named else ''}")
    yield Table(header, tuple(rows))
    yield Paragraph(_how(race))


def _how(race: Race) -> str:
    seedless = [str(race.candidates[i].trial.number) for i in sorted(race.seedless)]
    return UNTESTED.format(trials=listed(seedless)) if seedless else HOW


def _place(race: Race, i: int) -> tuple[bool, bool, int, float]:
    """Return the sort key of a row of a race."""
    assert race.elimination is not None
    standing = race.elimination.standings[i]
    gap = math.inf if math.isnan(standing.gap) else standing.gap
    return i != race.winner, standing.left is not None, -standing.n, gap


def _lost(race: Race) -> str:
    """Say why fresh trainings gave no value, if that happened."""
    lost = [trial for trial in race.fresh if trial.value is None]
    if not lost:
        return ""
    return f" ({len(lost)} of {len(race.fresh)} gave no value and are left out: {failure_in_words(lost[0])})"
