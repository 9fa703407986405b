"""What a race has shown, in sentences: one a finding, each with its numbers and what they rest on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from studies.analysis.best_so_far import Duel, Played, Reach, base, entrants_of, problems_of
from studies.report.wording import counted, listed, p_value

SURE = 0.05  # after Holm's correction
BASE, LEARNER = "random", "reinforce"
MODELS = ("tpe", "gp")


def sentences(searches: Sequence[Played], duels: Sequence[Duel], reaches: Sequence[Reach]) -> list[str]:
    """The findings: who beats random, what the models gain over reinforce, where reinforce loses, who gets near."""
    found = [*_against_random(duels), *_over_reinforce(searches, duels), *_where_reinforce_loses(duels)]
    return [*found, *_who_gets_near(reaches), *_pruned(searches, duels, reaches), *_unequal(searches)]


def regret(value: float) -> str:
    """A regret with three significant digits."""
    return f"{value:.3g}"


def amount(value: float, *, budget: float) -> str:
    """Trials, epochs or seconds; `> budget` where most searches never came so far."""
    return f"> {_number(budget)}" if math.isinf(value) else _number(value)


def chance(duel: Duel) -> str:
    """The chance of a duel with its interval, in per cent."""
    return f"{100 * duel.chance:.0f} % [{100 * duel.chance_lo:.0f}, {100 * duel.chance_hi:.0f}]"


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


def _against_random(duels: Sequence[Duel]) -> Iterator[str]:
    """One sentence for each entrant but random."""
    every = _over_all(duels)
    names = list(dict.fromkeys(name for duel in every for name in (duel.a, duel.b)))
    for name in names:
        duel = _between(every, name, BASE)
        if duel is None or name == BASE or name != base(name):
            continue
        yield f"{_verdict(duel)} (p {p_value(duel.p)})."


def _over_reinforce(searches: Sequence[Played], duels: Sequence[Duel]) -> Iterator[str]:
    every = _over_all(duels)
    for model in MODELS:
        duel = _between(every, model, LEARNER)
        if duel is None:
            continue
        medians = "; ".join(
            f"{problem} {regret(_median(searches, problem, model, duel.at))} against "
            f"{regret(_median(searches, problem, LEARNER, duel.at))}"
            for problem in problems_of(searches)
            if {model, LEARNER} <= set(entrants_of([s for s in searches if s.problem == problem]))
        )
        yield (
            f"{_verdict(duel)}, by {regret(duel.gain)} [{regret(duel.gain_lo)}, {regret(duel.gain_hi)}] in the median "
            f"(p {p_value(duel.p)}); median regrets: {medians}."
        )


def _verdict(duel: Duel) -> str:
    """Who beats whom, or that it is undecided; and how often."""
    if duel.p >= SURE:
        told = f"{duel.a} against {duel.b} is undecided"
    else:
        told = f"{duel.a} {'beats' if duel.chance > 0.5 else 'loses to'} {duel.b}"
    many = counted(duel.n, "search", "searches")
    return f"{told}: it has the smaller regret in {chance(duel)} of {many} after {duel.at} trials"


def _where_reinforce_loses(duels: Sequence[Duel]) -> Iterator[str]:
    each = [duel for duel in duels if duel.problem is not None]
    own = [d for p in dict.fromkeys(d.problem for d in each) if (d := _between(_on(each, p), LEARNER, BASE))]
    if not own:
        return
    lost = [f"{duel.problem} ({chance(duel)} won, n = {duel.n})" for duel in own if duel.chance < 0.5]
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
        mine, other = (amount(near[name].median, budget=near[name].budget) for name in (entrant, base(entrant)))
        yield (
            f"{problem}: {entrant} spends {100 * share:.0f} % of the epochs of {base(entrant)} in as many trials; its "
            f"regret is the smaller one in {chance(duel)} of {counted(duel.n, 'search', 'searches')}; epochs to within "
            f"1 % of the best: {mine} against {other}."
        )


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
