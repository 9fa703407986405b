"""What a selection came to, in words: the headline's claim, and the section of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence

from studies.analysis.racing import Estimate
from studies.config.settings import StudySettings
from studies.reporting.wording import FEWEST_OF_TIE, table
from studies.selection.contest import Candidate, Contest, failure_in_words
from studies.selection.steps import Selection
from studies.text.wording import NONE, counted, fixed, interval, listed, p_value, shown

DIGITS = 4
TITLE = "## Selection"
COVERS = (
    "The interval of a share of right or wrong answers covers seeds and samples: variance s²/m + p(1 − p)/n, Student's "
    "t with Welch and Satterthwaite's degrees of freedom (Dietterich 1998; Bouthillier et al. 2021)."
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
    "p: one-sided paired t test against the leader over common seeds, by the pair's own spread and that of all pairs, "
    "times the number of tests in the race (Bonferroni)."
)
LEAST = "the cheapest ({cost}) within one standard error of the leader's mean"


def champion_of(selection: Selection) -> Candidate | None:
    """The configuration that was selected; None where nothing could be."""
    return selection.best.champion if selection.best is not None else None


def claim(selection: Selection, metric: str) -> str | None:
    """The headline's claim: the selected configuration, what it is worth, and with what it ties."""
    contest, champion = selection.best, champion_of(selection)
    if contest is None or champion is None or contest.estimate is None:
        return None
    found = contest.estimate
    worth = f"{found.estimate:.{DIGITS}f}{_half_width(found)} (trial {champion.trial.number}, {_rests_on(contest)})"
    tests = "".join(f", {name} {e.estimate:.{DIGITS}f}{_ends(e)}" for name, e in _accuracies(contest))
    promised = f"the search's best value was {selection.searched.value:.{DIGITS}f}"
    n_ties = len(contest.staying) - 1
    tied = _tied(contest, n_ties, len(selection.contests)) if n_ties and not contest.seedless else ""
    return f"Selected {metric} {worth}{tests}; {promised}{tied}{_unshown(selection)}"


def _tied(contest: Contest, n_ties: int, n_races: int) -> str:
    n = len(contest.candidates) - 1
    others = f"{n_ties} of {n} others" if n > 1 else "the only other candidate"
    of_race = f" of its own race, {_name(contest)}" if n_races > 1 else ""
    if (few := _too_few(contest)) is not None:
        return f"; not distinguished from {others}{of_race} by {few} seeds"
    return f"; tied with {others}{of_race}"


def _too_few(contest: Contest) -> int | None:
    """Return the seeds that a race took, where they are too few to speak of a tie; None where they are not."""
    leader = contest.race.leader if contest.race is not None else None
    n = contest.race.standings[leader].n if contest.race is not None and leader is not None else FEWEST_OF_TIE
    return n if n < FEWEST_OF_TIE else None


def selection_section(selection: Selection, settings: StudySettings) -> str:
    """The whole section: what ran, the winner, what it is worth, how much was luck, and how the race went."""
    metric = settings.objective.metric
    parts = [TITLE, _what_ran(selection)]
    champion, contest = champion_of(selection), selection.best
    if contest is None or champion is None or contest.estimate is None:
        parts.append(
            "Nothing could be selected: no candidate gave a value on fresh seeds. What is told as the best is "
            "the search's best value, which is optimistic."
        )
    else:
        parts.append("\n".join(f"- {line}" for line in _findings(selection, contest, champion, settings)))
    if len(selection.contests) > 1:
        parts.append(_by_value(selection.contests, metric))
    parts += [_race(c, metric=metric, named=len(selection.contests) > 1) for c in selection.contests]
    return "\n\n".join(parts)


def _what_ran(selection: Selection) -> str:
    asked = selection.asked
    fewer = [contest for contest in selection.contests if len(contest.candidates) < asked.k]
    if len(selection.contests) > 1:
        short = listed([f"{_name(contest)} has {len(contest.candidates)}" for contest in fewer])
        told = f"The best {asked.k} of each value of the search{f' (but {short})' if fewer else ''}"
        winner = "each winner"
    else:
        n = len(selection.contests[0].candidates)
        told = f"All {n} completed points (fewer than the {asked.k} that were asked for)" if fewer else ""
        told, winner = told or f"The best {asked.k} of the search", "the winner"
    if any(contest.seedless for contest in selection.contests):
        ran = counted(selection.n_trainings, "training", "trainings")
        return f"{told} were trained again until it was clear that their seeds change nothing: {ran} in all."
    return (
        f"{told} were trained again on up to {asked.seeds} common fresh seeds, then {winner} on "
        f"{asked.estimate_seeds} further ones: {counted(selection.n_trainings, 'training', 'trainings')}."
    )


def _findings(selection: Selection, contest: Contest, champion: Candidate, settings: StudySettings) -> list[str]:
    tests = [_tested(name, test, contest) for name, test in contest.tests.items()]
    why = ", or trains on several devices" if settings.devices_per_trial > 1 else ""
    return [
        f"**The winner is trial {champion.trial.number}**, {_rule(contest, selection)}.",
        *_among_values(selection, contest),
        _worth(contest, metric=settings.objective.metric),
        *(tests or [f"It was not tested: the module has no test part{why}."]),
        _luck(selection, contest, champion, settings),
        *_ties(contest),
        *([COVERS] if any(test.n_samples for test in contest.tests.values()) else []),
    ]


def _worth(contest: Contest, *, metric: str) -> str:
    found = contest.estimate
    assert found is not None
    if contest.is_seedless:
        return (
            f"**It gave {metric} {found.estimate:.{DIGITS}f}** in one training. {SEEDLESS} So there is no interval, "
            "and how much of the value is luck is not known."
        )
    ends = interval(found.ci_lo, found.ci_hi, DIGITS)
    return (
        f"**It is worth {metric} {found.estimate:.{DIGITS}f}**, 95 % interval {ends} over {_seeds(found.n)} that "
        f"decided nothing{_lost(contest)}; on the validation part that the search used."
    )


def _tested(name: str, test: Estimate, contest: Contest) -> str:
    if contest.is_seedless:
        return f"**{name} {test.estimate:.{DIGITS}f}** in that training: on data that no choice has seen."
    over = f"over seeds and {test.n_samples} test samples" if test.n_samples else "over seeds, not over test samples"
    ends = interval(test.ci_lo, test.ci_hi, DIGITS)
    return f"**{name} {test.estimate:.{DIGITS}f}**, 95 % interval {ends} {over}: on data that no choice has seen."


def _luck(selection: Selection, contest: Contest, champion: Candidate, settings: StudySettings) -> str:
    """How much of the search's best value was luck. It is another configuration's where that did not win."""
    assert contest.estimate is not None
    searched = selection.searched
    luck = searched.value - contest.estimate.estimate
    luck = luck if settings.objective.direction == "maximize" else -luck
    told = f"The search's best value was {searched.value:.{DIGITS}f} (trial {searched.trial.number})"
    if contest.is_seedless:
        return f"{told}."
    if searched.trial.number != champion.trial.number:
        return f"{told}, {abs(luck):.{DIGITS}f} {'better' if luck >= 0 else 'worse'} than what the winner is worth."
    return f"{told}: {abs(luck):.{DIGITS}f} of that was luck." if luck >= 0 else f"{told}, which was bad luck."


def _ties(contest: Contest) -> list[str]:
    if contest.race is None or contest.seedless:
        return []
    ties = [str(contest.candidates[i].trial.number) for i in contest.staying]
    sound = len(contest.candidates) - len(contest.failures)
    failed = ", failed ones aside" if contest.failures else ""
    if len(ties) > 1:
        sure = f"with {100 * (1 - contest.race.risk):.0f} % confidence the best of the {sound}{failed}"
        return [f"Trials {listed(ties)} cannot be told apart: {sure} is among them."]
    if sound == 1:
        return ["All others failed on some seed."]
    return [f"All others left. The chance that the best was lost{failed} is {100 * contest.race.risk:.0f} % at most."]


def _rule(contest: Contest, selection: Selection) -> str:
    if contest.race is None or contest.race.leader is None:
        return "the only candidate"
    if selection.asked.rule == "best" or contest.seedless:
        return "with the best mean of the race"
    leader = contest.candidates[contest.race.leader].trial.number
    cost = (
        ""
        if contest.winner is None or math.isnan(contest.cost(contest.winner))
        else (f" {shown(contest.cost(contest.winner))}")
    )
    who = "which leads itself" if contest.winner == contest.race.leader else f"trial {leader}"
    return f"{LEAST.format(cost=selection.asked.cost + cost)}, {who}"


def _among_values(selection: Selection, contest: Contest) -> list[str]:
    """Of several races: by what this one's winner is the best, and of which others that is shown."""
    found = selection.comparison
    if not found.n_others:
        return []
    chosen = (
        f"Of the winners of {found.n_others + 1} values, that of {_name(contest)} is the best by the mean over the "
        f"{counted(found.n_seeds, 'race seed', 'race seeds')} that all of them have"
    )
    if found.equals:
        chosen += f" (that of {listed([_name(equal) for equal in found.equals])} is equal: the first value is taken)"
    how = "(one-sided paired t test on the fresh seeds, Bonferroni over the other values)"
    if not found.rivals:
        return [f"{chosen}; it is surely better than each other {how}."]
    rivals = listed([_name(rival) for rival in found.rivals], last="or")
    return [f"{chosen}; that it is better than that of {rivals} is not shown {how}."]


def _unshown(selection: Selection) -> str:
    found = selection.comparison
    n = len(found.rivals)
    return f"; not shown to be better than {n} of {counted(found.n_others, 'other value', 'other values')}" if n else ""


def _by_value(contests: Sequence[Contest], metric: str) -> str:
    rows = []
    for contest in contests:
        found, champion = contest.estimate, contest.champion
        ends = interval(found.ci_lo, found.ci_hi, DIGITS) if found is not None else NONE
        worth = fixed(found.estimate, DIGITS) if found is not None else NONE
        n = str(found.n) if found is not None else "0"
        tests = ", ".join(f"{name} {e.estimate:.{DIGITS}f}{_ends(e)}" for name, e in _accuracies(contest)) or NONE
        rows.append((_name(contest), str(champion.trial.number) if champion else NONE, worth, ends, n, tests))
    header = ("value", "its winner: trial", metric, "95 % interval", "fresh seeds", "test")
    return f"### By value\n\n{table(header, rows)}"


def _race(contest: Contest, *, metric: str, named: bool) -> str:
    if contest.race is None:
        return f"### {_name(contest)}\n\nOne candidate, no race." if named else "There was one candidate, and no race."
    rows = []
    order = sorted(range(len(contest.candidates)), key=lambda i: _place(contest, i))
    for i in order:
        candidate, standing = contest.candidates[i], contest.race.standings[i]
        values = (standing.mean, standing.sd, standing.gap)
        numbers = [fixed(value, DIGITS) for value in values]
        row = (str(candidate.trial.number), f"{candidate.value:.{DIGITS}f}", str(standing.n), *numbers)
        rows.append((*row, p_value(standing.p_value), status(contest, i)))
    header = ("trial", "in the search", "seeds", f"mean {metric}", "sd", "behind the leader", "p", "how it ended")
    title = f"### The race{f': {_name(contest)}' if named else ''}"
    return f"{title}\n\n{table(header, rows)}\n\n{_how(contest)}"


def _how(contest: Contest) -> str:
    seedless = [str(contest.candidates[i].trial.number) for i in sorted(contest.seedless)]
    return UNTESTED.format(trials=listed(seedless)) if seedless else HOW


def status(contest: Contest, i: int) -> str:
    """How a candidate's race ended, in words."""
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


def _place(contest: Contest, i: int) -> tuple[bool, bool, int, float]:
    assert contest.race is not None
    standing = contest.race.standings[i]
    gap = math.inf if math.isnan(standing.gap) else standing.gap
    return i != contest.winner, standing.left is not None, -standing.n, gap


def _name(contest: Contest) -> str:
    return ", ".join(f"{name} = {shown(value)}" for name, value in contest.scientific.items()) or "(not active)"


def _accuracies(contest: Contest) -> list[tuple[str, Estimate]]:
    """The tests whose interval covers the samples too: shares of right answers."""
    return [(name, test) for name, test in contest.tests.items() if test.n_samples]


def _lost(contest: Contest) -> str:
    """What the fresh trainings without a value were, if there are any."""
    lost = [trial for trial in contest.fresh if trial.value is None]
    if not lost:
        return ""
    return f" ({len(lost)} of {len(contest.fresh)} gave no value and are left out: {failure_in_words(lost[0])})"


def _rests_on(contest: Contest) -> str:
    assert contest.estimate is not None
    return "one training, which no seed changes" if contest.is_seedless else _seeds(contest.estimate.n)


def _seeds(n: int) -> str:
    return counted(n, "fresh seed", "fresh seeds")


def _half_width(found: Estimate) -> str:
    half = max(found.ci_hi - found.estimate, found.estimate - found.ci_lo)  # one end may be cut at a bound
    if half == 0:
        return " (all equal)"
    return f" ± {half:.{DIGITS}f}" if math.isfinite(half) else ""


def _ends(found: Estimate) -> str:
    return f" [{found.ci_lo:.{DIGITS}f}, {found.ci_hi:.{DIGITS}f}]" if math.isfinite(found.ci_hi - found.ci_lo) else ""
