"""What a race has shown, in sentences: one a finding, each with its numbers and what they rest on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from studies.analysis.best_so_far import Duel, Played, Reach, base, entrants_of, problems_of
from studies.text.wording import counted, listed, p_value

SURE = 0.05  # after Holm's correction
BASE, LEARNER = "random", "reinforce"
MODELS = ("tpe", "gp")


def sentences(searches: Sequence[Played], duels: Sequence[Duel], reaches: Sequence[Reach]) -> list[str]:
    """The findings: who beats random, what the models gain over reinforce, where reinforce loses, who gets near."""
    found = [*_against_random(duels), *_over_reinforce(searches, duels), *_where_reinforce_loses(duels)]
    return [*found, *_who_gets_near(reaches), *_pruned(searches, duels, reaches), *_unequal(searches)]


def headline(duels: Sequence[Duel]) -> str:
    """Who beats random and the learner, who loses to them and what is undecided, shortly."""
    every = _over_all(duels)
    entrants = [name for name in _names(every) if name == base(name)]
    rivals = {BASE: [name for name in entrants if name != BASE], LEARNER: [m for m in MODELS if m in entrants]}
    met = {rival: [d for name in names if (d := _between(every, name, rival))] for rival, names in rivals.items()}
    told = [_standing(rival, own) for rival, own in met.items() if own]
    if not told:
        return "No two ways to search met that the headline compares."
    ns = sorted({duel.n for own in met.values() for duel in own})
    n = " to ".join(map(str, dict.fromkeys((ns[0], ns[-1]))))
    told += _where_reinforce_loses(duels)
    return (
        f"{' '.join(told)} In brackets: in how many of {n} searches the named one has the smaller "
        "regret, with the 95 % interval of each by itself."
    )


def _standing(rival: str, own: Sequence[Duel]) -> str:
    """Who beats `rival`, loses to it, or neither; a budget is named where it is not that of most."""
    budgets = [duel.at for duel in own]
    usual = max(budgets, key=lambda at: (budgets.count(at), at))
    groups: dict[str, list[str]] = {word: [] for word in ("beats", "loses to", "undecided")}
    for duel in own:
        at = f", after {duel.at} trials" if duel.at != usual else ""
        groups[_word(duel)].append(f"{duel.a} ({chance(duel)}{at})")
    parts = [
        f"{listed(groups['beats']) or 'nothing'} {'beat' if len(groups['beats']) > 1 else 'beats'} {rival}",
        f"{listed(groups['loses to']) or 'nothing'} {'lose' if len(groups['loses to']) > 1 else 'loses'} to it",
        f"undecided: {listed(groups['undecided']) or 'nothing'}",
    ]
    return f"After {usual} trials {'; '.join(parts)}."


def regret(value: float) -> str:
    """A regret with three significant digits."""
    return f"{value:.3g}"


def amount(value: float, *, budget: float) -> str:
    """Trials, epochs or seconds; `> budget` where most searches never came so far."""
    return f"> {_number(budget)}" if math.isinf(value) else _number(value)


def chance(duel: Duel) -> str:
    """The chance of a duel with its interval, in per cent."""
    return f"{_percent(duel.chance)} [{100 * duel.chance_lo:.0f}, {100 * duel.chance_hi:.0f}]"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"


def _over_all(duels: Sequence[Duel]) -> list[Duel]:
    """The duels over all problems together, or on the only one."""
    pooled = [duel for duel in duels if duel.problem is None]
    return pooled or list(duels)


def _between(duels: Sequence[Duel], a: str, b: str) -> Duel | None:
    """The duel of `a` against `b`, seen from `a`."""
    for duel in duels:
        if (duel.a, duel.b) == (a, b):
            return duel
        if (duel.a, duel.b) == (b, a):
            return turned(duel)
    return None


def turned(duel: Duel) -> Duel:
    """The same duel, seen from the other side."""
    return replace(
        duel,
        a=duel.b,
        b=duel.a,
        chance=1 - duel.chance,
        chance_lo=1 - duel.chance_hi,
        chance_hi=1 - duel.chance_lo,
        gain=-duel.gain,
        gain_lo=-duel.gain_hi,
        gain_hi=-duel.gain_lo,
    )


def _names(duels: Sequence[Duel]) -> list[str]:
    return list(dict.fromkeys(name for duel in duels for name in (duel.a, duel.b)))


def _against_random(duels: Sequence[Duel]) -> Iterator[str]:
    """One sentence for each entrant but random."""
    every = _over_all(duels)
    for name in _names(every):
        duel = _between(every, name, BASE)
        if duel is None or name == BASE or name != base(name):
            continue
        yield f"{_verdict(duel)} (p {p_value(duel.p)})."


def _over_reinforce(searches: Sequence[Played], duels: Sequence[Duel]) -> Iterator[str]:
    every = _over_all(duels)
    for model in MODELS:
        duel = _between(every, model, LEARNER)
        if duel is not None:
            each = [_on_problem(searches, duels, problem, duel) for problem in problems_of(searches)]
            medians = "; ".join(filter(None, each))
            yield f"{_verdict(duel)} (p {p_value(duel.p)}); median regrets: {medians}."


def _on_problem(searches: Sequence[Played], duels: Sequence[Duel], problem: str, met: Duel) -> str:
    """How two that `met` compare on one problem, after the same number of trials; by how much where that is decided."""
    own = _between(_on(duels, problem), met.a, met.b)
    if own is None:
        return ""
    mine, other = (regret(_median(searches, problem, name, met.at)) for name in (met.a, met.b))
    gain = f", by {regret(own.gain)} [{regret(own.gain_lo)}, {regret(own.gain_hi)}]"
    return f"{problem} {mine} against {other} ({_percent(own.chance)} won{gain if own.p < SURE else ''})"


def _word(duel: Duel) -> str:
    if duel.p >= SURE:
        return "undecided"
    return "beats" if duel.chance > 0.5 else "loses to"


def _verdict(duel: Duel) -> str:
    """Who beats whom, or that it is undecided; and how often."""
    word = _word(duel)
    told = f"{duel.a} {word} {duel.b}" if word != "undecided" else f"{duel.a} against {duel.b} is undecided"
    many = counted(duel.n, "search", "searches")
    return f"{told}: it has the smaller regret in {chance(duel)} of {many} after {duel.at} trials"


def _where_reinforce_loses(duels: Sequence[Duel]) -> Iterator[str]:
    each = [duel for duel in duels if duel.problem is not None]
    own = [d for p in dict.fromkeys(d.problem for d in each) if (d := _between(_on(each, p), LEARNER, BASE))]
    if not own:
        return
    lost = [
        f"{duel.problem} ({chance(duel)} won, n = {duel.n}{', not shown' if _word(duel) == 'undecided' else ''})"
        for duel in own
        if duel.chance < 0.5
    ]
    if lost:
        yield f"{LEARNER} loses to random more often than not on {listed(lost)}."
    else:
        yield f"{LEARNER} loses to random more often than not on none of {counted(len(own), 'problem', 'problems')}."


def _on(duels: Sequence[Duel], problem: str | None) -> list[Duel]:
    return [duel for duel in duels if duel.problem == problem]


def _who_gets_near(reaches: Sequence[Reach]) -> Iterator[str]:
    """One sentence a problem: who came within 1 % of the best, after how many trials."""
    for problem in dict.fromkeys(reach.problem for reach in reaches):
        own = [r for r in reaches if r.problem == problem and r.measure == "trials" and r.reached]
        own = [r for r in own if r.entrant == base(r.entrant)]
        ranked = sorted(own, key=lambda r: (r.median, -r.reached / r.n))
        if not ranked:
            yield f"{problem}: no search came within 1 % of the best."
            continue
        words = [f"{r.entrant} {amount(r.median, budget=r.budget)} ({r.reached} of {r.n})" for r in ranked]
        yield f"{problem}: median trials to within 1 % of the best (and how many came there): {', '.join(words)}."


def _pruned(searches: Sequence[Played], duels: Sequence[Duel], reaches: Sequence[Reach]) -> Iterator[str]:
    """What each pruner saves, and what it costs."""
    for problem, entrant in dict.fromkeys((s.problem, s.entrant) for s in searches):
        duel = _between(_on(duels, problem), entrant, base(entrant))
        if duel is None:
            continue
        share = _epochs(searches, problem, entrant) / _epochs(searches, problem, base(entrant))
        near = {r.entrant: r for r in reaches if r.problem == problem and r.measure == "epochs"}
        yield (
            f"{problem}: {entrant} spends {100 * share:.0f} % of the epochs of {base(entrant)} in as many trials; its "
            f"regret is the smaller one in {chance(duel)} of {counted(duel.n, 'search', 'searches')}; epochs to within "
            f"1 % of the best: {_compared(near[entrant], near[base(entrant)])}."
        )


def _compared(mine: Reach, other: Reach) -> str:
    """What it took two in the median; of two that mostly came nowhere, how many came there."""
    if math.isinf(mine.median) and math.isinf(other.median):
        return f"neither came there in most searches ({mine.reached} of {mine.n} against {other.reached} of {other.n})"
    return " against ".join(amount(reach.median, budget=reach.budget) for reach in (mine, other))


def _epochs(searches: Sequence[Played], problem: str, entrant: str) -> float:
    return float(np.median([s.epochs[-1] for s in searches if (s.problem, s.entrant) == (problem, entrant)]))


def _unequal(searches: Sequence[Played]) -> Iterator[str]:
    """Who had fewer trials than the others."""
    longest = max(len(search.regret) for search in searches)
    for entrant in entrants_of(searches):
        length = min(len(search.regret) for search in searches if search.entrant == entrant)
        if length < longest:
            yield f"{entrant} had {length} trials and not {longest}: it is compared with the others after {length}."


def _median(searches: Sequence[Played], problem: str, entrant: str, at: int) -> float:
    return float(np.median([s.regret[at - 1] for s in searches if (s.problem, s.entrant) == (problem, entrant)]))
