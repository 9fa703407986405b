"""The page of the trust benchmark in Markdown, from studies as estimators see them."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import platform
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from trust_aims import MEASURES, OURS, aims, gives_pairs
from trust_estimators import ESTIMATORS
from trust_scores import (
    EFFECTS,
    LARGE_ERROR,
    SMALL_ERROR,
    Kind,
    Scored,
    coverage,
    difference,
    error,
    false_claims,
    given,
    score,
    splits,
    verdicts,
    width,
)
from trust_surfaces import RECORDED

from studies.analysis.estimate import Estimate
from studies.analysis.verdict import LEVELS

MIN_STUDIES = 6  # for a paired difference: fewer have no bootstrap interval to speak of
VERSIONS = ("optuna", "scikit-learn", "numpy", "scipy")
HEAD = """# Trust: how often the analysis is right

Written by `{command}` on {day}: Python {python}, {versions}. `make trust` runs all of it.

Each study is a search by this project's own sampler and pruner, on a surface with known Sobol indices. These are the
recorded table of real trainings in this repository, and closed forms shaped like trainings:

- *cliff*: beyond a learning rate that depends on batch size and depth, the accuracy falls to chance
- *tails*: a loss valley, with Student's t noise that grows towards its edge
- *failing*: one optimizer wants a hundred times the learning rate, one activation dies in deep networks
- *benign*: a smooth valley
- *conditional*: momentum is a parameter of one optimizer

All have 5 or 6 parameters and 8 rungs. *Random* is the random sampler. *Tpe* is TPE with a quarter of exploration, and
*pruned* the same with the median pruner.

Indices above .01 are judged. An interval is *given* if it is narrower than .95, and coverage is that of given
intervals. The score is the interval score of a 95 % interval, with [0, 1] where no interval is given: lower is better.
An index that an estimator does not give counts as 0. Brackets are bootstrap 95 % intervals by study.

A study's error is the sum of the absolute errors of its mains and pairs. It is small up to {small:.2f}, and large above
{large:.2f}. Nothing here is about grids, or about searches of fewer than 30 trials.
"""

ANSWERS = """## Tuning and training

*Not tuned* is what is lost if a parameter stays in the middle of its range while the others are tuned, as a share of
the way from the best value of the surface to the worst. Where trials fall into two groups, *decides whether it trains*
are the indices of the chance to be in the better one. *Decides how well* are Shapley effects where that chance is at
least one half. They are enumerated on the grid behind the true indices.
"""


def page(found: Sequence[Scored], *, command: str) -> str:
    """Return the page. Parts without studies are left out."""
    ours = [study for study in found if study.estimator == OURS]
    parts = [_head(found, command), *(_of_ours(found, ours) if ours else []), _peers(found), _seconds(found)]
    return "\n".join(parts)


def _head(found: Sequence[Scored], command: str) -> str:
    packages = [*VERSIONS, *(ESTIMATORS[name].package for name in _estimators(found))]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in dict.fromkeys(packages)]
    today = datetime.datetime.now(datetime.UTC).date()
    return HEAD.format(
        command=command,
        day=today,
        python=platform.python_version(),
        versions=", ".join(versions),
        small=SMALL_ERROR,
        large=LARGE_ERROR,
    )


def _of_ours(found: Sequence[Scored], ours: Sequence[Scored]) -> list[str]:
    kinds: list[tuple[str, tuple[Kind, ...]]] = [
        ("mains and pairs", EFFECTS),
        ("main", ("main",)),
        ("pair", ("pair",)),
        ("unexplained", ("unexplained",)),
    ]
    by_kind = [[words, *_scores(ours, *kinds_)] for words, kinds_ in kinds]
    sizes = sorted({study.n for study in ours})
    by_size = [[str(n), *_scores(_where(ours, n=n), *EFFECTS)] for n in sizes]
    cells = [
        [surface, search, *_scores(_where(ours, surface=surface, search=search), *EFFECTS)]
        for surface in _distinct(ours, "surface")
        for search in _distinct(ours, "search")
    ]
    columns = ["coverage", "given", "error", "width", "score", "indices"]
    return [
        "## Aims\n",
        _table(["number", "measured", "aim", "met"], [aim.cells() for aim in aims(found)]),
        f"## Intervals ({len(ours)} studies)\n",
        _table(["index", *columns], by_kind),
        "By number of trials, mains and pairs:\n",
        _table(["trials", *columns], by_size),
        "By surface and search, mains and pairs, over all numbers of trials:\n",
        _table(["surface", "search", *columns], cells),
        *_recorded(ours, columns),
        *_answers(ours, columns),
        _claims(ours),
    ]


def _answers(ours: Sequence[Scored], columns: Sequence[str]) -> list[str]:
    """Return how right the answers on tuning and on training are, by surface."""
    kinds: Sequence[tuple[str, Kind]] = [
        ("not tuned", "loss"),
        ("decides whether it trains", "decides"),
        ("decides how well", "trained"),
    ]
    rows = []
    for words, kind in kinds:
        judged = [study for study in ours if study.judged(kind)]
        rows += [[words, "all", *_scores(judged, kind)]] if judged else []
        for surface in _distinct(judged, "surface") if len(_distinct(judged, "surface")) > 1 else ():
            rows.append([words, surface, *_scores(_where(judged, surface=surface), kind)])
    told = [
        [surface, *(_number(splits(_where(ours, surface=surface, n=n)).value) for n in sorted({s.n for s in ours}))]
        for surface in _distinct(ours, "surface")
    ]
    return [
        ANSWERS,
        _table(["answer", "surface", *columns], rows),
        "Share of the studies that are said to have two groups of trials:\n",
        _table(["surface", *(f"{n} trials" for n in sorted({study.n for study in ours}))], told),
    ]


def _recorded(ours: Sequence[Scored], columns: Sequence[str]) -> list[str]:
    recorded = _where(ours, surface=RECORDED)
    if not recorded:
        return []
    rows = [
        [search, str(n), *_scores(_where(recorded, search=search, n=n), *EFFECTS)]
        for search in _distinct(recorded, "search")
        for n in sorted({study.n for study in recorded})
    ]
    return ["The recorded table, by search and number of trials:\n", _table(["search", "trials", *columns], rows)]


def _claims(ours: Sequence[Scored]) -> str:
    false, claimed, idle = false_claims(ours)
    sums = (f"at most {SMALL_ERROR:.2f}", f"{SMALL_ERROR:.2f} to {LARGE_ERROR:.2f}", f"above {LARGE_ERROR:.2f}")
    errors = [[words, _ratio(*ok), str(ok[1])] for words, ok in zip(sums, verdicts(ours), strict=True)]
    levels = [[level, str(len(own)), *_worth(own)] for level in LEVELS if (own := _where(ours, level=level))]
    return (
        f"## Claims and verdicts\n\nOf {idle} pairs with a true index of at most .01, {false} are claimed. "
        f"In all, {claimed} pairs are claimed.\n\n"
        f"{_table(['sum of errors of a study', 'verdict ok', 'studies'], errors)}\n"
        "What a verdict is worth:\n\n"
        f"{_table(['verdict', 'studies', 'sum of errors, median (most)', 'coverage', 'given'], levels)}"
    )


def _worth(own: Sequence[Scored]) -> list[str]:
    """Return the errors of studies with one verdict, and how often their intervals cover."""
    sums = [study.error for study in own]
    covered, told = (of(own, *EFFECTS) for of in (coverage, given))
    return [f"{np.median(sums):.2f} ({max(sums):.2f})", _interval(covered), _number(told.value)]


def _peers(found: Sequence[Scored]) -> str:
    """Return the errors of all estimators, ours first, with what is sure of each paired difference."""
    names = _estimators(found)
    lines = [f"- *{name}*: {ESTIMATORS[name].words} ({ESTIMATORS[name].package})" for name in names]
    parts = ["## Beside peers, on the same trials\n", "\n".join(lines) + "\n"]
    for words, measure in MEASURES:
        shown = [name for name in names if words != "Pairs" or gives_pairs(found, name)]
        rows = []
        for surface in _distinct(found, "surface"):
            for search in _distinct(found, "search"):
                for n in sorted({study.n for study in found}):
                    here = _where(found, surface=surface, search=search, n=n)
                    cells = [_beside(here, name, measure) for name in shown]
                    rows += [[surface, search, str(n), *cells]] if here else []
        parts.append(f"{words}: sum of absolute errors of a study.\n")
        parts.append(_table(["surface", "search", "trials", *shown], rows))
    if OURS in names:
        parts.insert(
            2,
            "In brackets is ours minus the peer's on the same studies, and their number. It is bold where the peer's "
            "error is surely lower.\n",
        )
    return "\n".join(parts)


def _beside(here: Sequence[Scored], name: str, measure: Callable[[Scored], float]) -> str:
    own = [study for study in here if study.estimator == name]
    ours = [study for study in here if study.estimator == OURS]
    if not own:
        return "–"
    mean = _number(float(np.mean([measure(study) for study in own])))
    if name == OURS or not ours:
        return mean
    _, _, apart = difference(ours, own, measure)
    text = f"{mean} ({_signed(apart)}; {apart.n})"
    return f"**{text}**" if len(own) >= MIN_STUDIES and apart.is_above(0.0) else text


def _seconds(found: Sequence[Scored]) -> str:
    sizes = sorted({study.n for study in found})
    rows = []
    for name in _estimators(found):
        taken = [[s.seconds for s in found if s.estimator == name and s.n == n] for n in sizes]
        rows.append([name, *(f"{np.median(own):.1f} ({max(own):.1f})" if own else "–" for own in taken)])
    return "## Seconds of CPU, median (most)\n\n" + _table(["estimator", *(f"{n} trials" for n in sizes)], rows)


def _scores(studies: Sequence[Scored], *kinds: Kind) -> list[str]:
    covered, told, wrong, wide, scored = (of(studies, *kinds) for of in (coverage, given, error, width, score))
    numbers = [_number(own.value) for own in (told, wrong, wide, scored)]
    return [_interval(covered), *numbers, str(told.n)]


def _where(found: Sequence[Scored], **wanted: object) -> list[Scored]:
    return [study for study in found if all(getattr(study, key) == value for key, value in wanted.items())]


def _distinct(found: Iterable[Scored], key: str) -> list[str]:
    return list(dict.fromkeys(getattr(study, key) for study in found))


def _estimators(found: Sequence[Scored]) -> list[str]:
    present = {study.estimator for study in found}
    return [name for name in ESTIMATORS if name in present]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _interval(estimate: Estimate) -> str:
    lo, hi = estimate.ends
    return f"{_number(estimate.value)} [{_number(lo)}, {_number(hi)}]" if estimate.n else "–"


def _signed(estimate: Estimate) -> str:
    lo, hi = estimate.ends
    return f"{estimate.value:+.2f} [{lo:+.2f}, {hi:+.2f}]"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _ratio(count: int, of: int) -> str:
    return f"{count / of:.2f}" if of else "–"
