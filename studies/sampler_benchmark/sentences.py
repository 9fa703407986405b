"""The findings of a sampler benchmark in sentences, each with its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from studies.analysis.levels import SIGNIFICANCE
from studies.reporting.wording import estimate_text
from studies.sampler_benchmark.comparisons import PairwiseComparison
from studies.sampler_benchmark.curves import TimeToTarget
from studies.sampler_benchmark.runs import BenchmarkRun, base, problems_of, samplers_of
from studies.text.wording import counted, listed, p_value

Pairs = Sequence[PairwiseComparison]
Runs = Sequence[BenchmarkRun]
Times = Sequence[TimeToTarget]

BASE, LEARNER = "random", "reinforce"
MODELS = ("tpe", "gp")


def sentences(runs: Runs, pairs: Pairs, times: Times) -> list[str]:
    """Return the findings: comparisons with random and reinforce, times to target, and the effect of pruning."""
    found = [*_against_random(pairs), *_over_reinforce(runs, pairs), *_where_reinforce_loses(pairs)]
    return [*found, *_who_gets_near(times), *_pruned(runs, pairs, times), *_unequal(runs)]


def headline(pairs: Pairs) -> str:
    """Return the winners and losers against random and the learner, and the undecided samplers."""
    every = _over_all(pairs)
    samplers = [name for name in _names(every) if name == base(name)]
    rivals = {BASE: [name for name in samplers if name != BASE], LEARNER: [m for m in MODELS if m in samplers]}
    met = {rival: [d for name in names if (d := _between(every, name, rival))] for rival, names in rivals.items()}
    told = [_standing(rival, own) for rival, own in met.items() if own]
    if not told:
        return "No two samplers of the headline ran on the same problem with the same seed."
    ns = sorted({pair.n for own in met.values() for pair in own})
    n = " to ".join(map(str, dict.fromkeys((ns[0], ns[-1]))))
    told += _where_reinforce_loses(pairs)
    return (
        f"{' '.join(told)} In brackets: in how many of {n} searches the named one has the smaller "
        "regret, with the 95 % interval of each by itself."
    )


def _standing(rival: str, own: Pairs) -> str:
    """Return the samplers that beat `rival`, lose to it, or neither. An unusual budget is named."""
    budgets = [pair.at for pair in own]
    usual = max(budgets, key=lambda at: (budgets.count(at), at))
    groups: dict[str, list[str]] = {word: [] for word in ("beats", "loses to", "undecided")}
    for pair in own:
        at = f", after {pair.at} trials" if pair.at != usual else ""
        groups[_word(pair)].append(f"{pair.a} ({chance(pair)}{at})")
    parts = [
        f"{listed(groups['beats']) or 'nothing'} {'beat' if len(groups['beats']) > 1 else 'beats'} {rival}",
        f"{listed(groups['loses to']) or 'nothing'} {'lose' if len(groups['loses to']) > 1 else 'loses'} to it",
        f"undecided: {listed(groups['undecided']) or 'nothing'}",
    ]
    return f"After {usual} trials {'; '.join(parts)}."


def regret(value: float) -> str:
    """Return a regret with three significant digits."""
    return f"{value:.3g}"


def amount(value: float, *, budget: float) -> str:
    """Return trials, epochs or seconds. `> budget` if most searches never came so far."""
    return f"> {_number(budget)}" if math.isinf(value) else _number(value)


def chance(pair: PairwiseComparison) -> str:
    """Return the chance of a pair with its interval, in per cent."""
    return estimate_text(pair.chance, ".0f", percent=True)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"


def _over_all(pairs: Pairs) -> list[PairwiseComparison]:
    """Return the pairs over all problems together, or on the only one."""
    pooled = [pair for pair in pairs if pair.problem is None]
    return pooled or list(pairs)


def _between(pairs: Pairs, a: str, b: str) -> PairwiseComparison | None:
    """Return the pair of `a` against `b`, seen from `a`."""
    for pair in pairs:
        if (pair.a, pair.b) == (a, b):
            return pair
        if (pair.a, pair.b) == (b, a):
            return pair.turned
    return None


def _names(pairs: Pairs) -> list[str]:
    return list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))


def _against_random(pairs: Pairs) -> Iterator[str]:
    """Yield a sentence for each sampler but random."""
    every = _over_all(pairs)
    for name in _names(every):
        pair = _between(every, name, BASE)
        if pair is not None and name == base(name):
            yield f"{_verdict(pair)} (p {p_value(pair.p)})."


def _over_reinforce(runs: Runs, pairs: Pairs) -> Iterator[str]:
    every = _over_all(pairs)
    for model in MODELS:
        pair = _between(every, model, LEARNER)
        if pair is not None:
            each = [_on_problem(runs, pairs, problem, pair) for problem in problems_of(runs)]
            medians = "; ".join(filter(None, each))
            yield f"{_verdict(pair)} (p {p_value(pair.p)}); median regrets: {medians}."


def _on_problem(runs: Runs, pairs: Pairs, problem: str, met: PairwiseComparison) -> str:
    """Return how two samplers compare on one problem after equally many trials, with the gain if it is decided."""
    own = _between(_on(pairs, problem), met.a, met.b)
    if own is None:
        return ""
    mine, other = (regret(_median(runs, problem, name, met.at)) for name in (met.a, met.b))
    gain = f", by {estimate_text(own.gain, '.3g')}"
    return f"{problem} {mine} against {other} ({_percent(own.chance.value)} won{gain if own.p < SIGNIFICANCE else ''})"


def _word(pair: PairwiseComparison) -> str:
    if pair.p >= SIGNIFICANCE:
        return "undecided"
    return "beats" if pair.chance.value > 0.5 else "loses to"


def _verdict(pair: PairwiseComparison) -> str:
    """Return the winner of a pair, or that it is undecided, and how often it wins."""
    word = _word(pair)
    told = f"{pair.a} {word} {pair.b}" if word != "undecided" else f"{pair.a} against {pair.b} is undecided"
    many = counted(pair.n, "search", "searches")
    return f"{told}: it has the smaller regret in {chance(pair)} of {many} after {pair.at} trials"


def _where_reinforce_loses(pairs: Pairs) -> Iterator[str]:
    each = [pair for pair in pairs if pair.problem is not None]
    own = [d for p in dict.fromkeys(d.problem for d in each) if (d := _between(_on(each, p), LEARNER, BASE))]
    if not own:
        return
    lost = [
        f"{pair.problem} ({chance(pair)} won, n = {pair.n}{', not shown' if _word(pair) == 'undecided' else ''})"
        for pair in own
        if pair.chance.value < 0.5
    ]
    if lost:
        yield f"{LEARNER} loses to random more often than not on {listed(lost)}."
    else:
        yield f"{LEARNER} loses to random more often than not on none of {counted(len(own), 'problem', 'problems')}."


def _on(pairs: Pairs, problem: str | None) -> list[PairwiseComparison]:
    return [pair for pair in pairs if pair.problem == problem]


def _who_gets_near(times: Times) -> Iterator[str]:
    """Yield a sentence for each problem: the samplers within 1 % of the best, and after how many trials."""
    for problem in dict.fromkeys(time.problem for time in times):
        own = [r for r in times if r.problem == problem and r.measure == "trials" and r.reached]
        own = [r for r in own if r.sampler == base(r.sampler)]
        ranked = sorted(own, key=lambda r: (r.median.value, -r.reached / r.n))
        if not ranked:
            yield f"{problem}: no search came within 1 % of the best."
            continue
        words = [f"{r.sampler} {amount(r.median.value, budget=r.budget)} ({r.reached} of {r.n})" for r in ranked]
        yield f"{problem}: median trials to within 1 % of the best (and how many came there): {', '.join(words)}."


def _pruned(runs: Runs, pairs: Pairs, times: Times) -> Iterator[str]:
    """Yield the savings of each pruner, and its cost."""
    for problem, sampler in dict.fromkeys((run.problem, run.sampler) for run in runs):
        pair = _between(_on(pairs, problem), sampler, base(sampler))
        if pair is None:
            continue
        share = _epochs(runs, problem, sampler) / _epochs(runs, problem, base(sampler))
        near = {r.sampler: r for r in times if r.problem == problem and r.measure == "epochs"}
        yield (
            f"{problem}: {sampler} spends {100 * share:.0f} % of the epochs of {base(sampler)} in as many trials; its "
            f"regret is the smaller one in {chance(pair)} of {counted(pair.n, 'search', 'searches')}; epochs to within "
            f"1 % of the best: {_compared(near[sampler], near[base(sampler)])}."
        )


def _compared(mine: TimeToTarget, other: TimeToTarget) -> str:
    """Return the median times to target of two samplers. If neither has one, count the searches on target."""
    if math.isinf(mine.median.value) and math.isinf(other.median.value):
        return f"neither came there in most searches ({mine.reached} of {mine.n} against {other.reached} of {other.n})"
    return " against ".join(amount(time.median.value, budget=time.budget) for time in (mine, other))


def _epochs(runs: Runs, problem: str, sampler: str) -> float:
    return float(np.median([run.epochs[-1] for run in runs if (run.problem, run.sampler) == (problem, sampler)]))


def _unequal(runs: Runs) -> Iterator[str]:
    """Yield the samplers with fewer trials than the others."""
    longest = max(len(run.regret) for run in runs)
    for sampler in samplers_of(runs):
        length = min(len(run.regret) for run in runs if run.sampler == sampler)
        if length < longest:
            yield f"{sampler} had {length} trials and not {longest}: it is compared with the others after {length}."


def _median(runs: Runs, problem: str, sampler: str, at: int) -> float:
    return float(np.median([run.regret[at - 1] for run in runs if (run.problem, run.sampler) == (problem, sampler)]))
