"""What a race has shown, in sentences: one a finding, each with its numbers and what they rest on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from studies.analysis.best_so_far import Duel, Played, Reach, entrants_of, problems_of
from studies.report.wording import counted, listed, p_value

SURE = 0.05  # after Holm's correction
BASE, LEARNER = "random", "reinforce"
MODELS = ("tpe", "gp")


def sentences(searches: Sequence[Played], duels: Sequence[Duel], reaches: Sequence[Reach]) -> list[str]:
    """The findings: who beats random, what the models gain over reinforce, where reinforce loses, who gets near."""
    found = [*_against_random(duels), *_over_reinforce(searches, duels), *_where_reinforce_loses(duels)]
    return [*found, *_who_gets_near(reaches), *_unequal(searches)]


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
        if duel is None or name == BASE:
            continue
        verb = "beats" if duel.chance >= 0.5 else "loses to"
        sure = "" if duel.p < SURE else ": undecided"
        share = duel if duel.chance >= 0.5 else turned(duel)
        yield (
            f"{name} {verb} random in {chance(share)} of {counted(duel.n, 'search', 'searches')} "
            f"after {duel.at} trials (p {p_value(duel.p)}{sure})."
        )


def _over_reinforce(searches: Sequence[Played], duels: Sequence[Duel]) -> Iterator[str]:
    every = _over_all(duels)
    for model in MODELS:
        duel = _between(every, model, LEARNER)
        if duel is None:
            continue
        verb = "beats" if duel.chance > 0.5 else "does not beat"
        sure = "" if duel.p < SURE else ": undecided"
        medians = "; ".join(
            f"{problem} {regret(_median(searches, problem, model, duel.at))} against "
            f"{regret(_median(searches, problem, LEARNER, duel.at))}"
            for problem in problems_of(searches)
            if {model, LEARNER} <= set(entrants_of([s for s in searches if s.problem == problem]))
        )
        yield (
            f"{model} {verb} {LEARNER}: its regret is the smaller one in {chance(duel)} of "
            f"{counted(duel.n, 'search', 'searches')} after {duel.at} trials (p {p_value(duel.p)}{sure}), by "
            f"{regret(duel.gain)} [{regret(duel.gain_lo)}, {regret(duel.gain_hi)}] in the median; median regrets: "
            f"{medians}."
        )


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
        ranked = sorted(own, key=lambda r: (r.median, -r.reached / r.n))
        if not ranked:
            yield f"{problem}: no search came within 1 % of the best."
            continue
        words = [f"{r.entrant} {amount(r.median, budget=r.budget)} ({r.reached} of {r.n})" for r in ranked]
        yield f"{problem}: median trials to within 1 % of the best (and how many came there): {', '.join(words)}."


def _unequal(searches: Sequence[Played]) -> Iterator[str]:
    """Who had fewer trials than the others."""
    longest = max(len(search.regret) for search in searches)
    for entrant in entrants_of(searches):
        length = min(len(search.regret) for search in searches if search.entrant == entrant)
        if length < longest:
            yield f"{entrant} had {length} trials and not {longest}: it is compared with the others after {length}."


def _median(searches: Sequence[Played], problem: str, entrant: str, at: int) -> float:
    return float(np.median([s.regret[at - 1] for s in searches if (s.problem, s.entrant) == (problem, entrant)]))
