"""The aims of the analysis on the trust benchmark, each with what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from trust_scores import EFFECTS, Kind, Scored, coverage, difference, error, false_claims, given, splits, verdicts
from trust_surfaces import RECORDED

OURS = "ours"
ENOUGH_TRIALS = 60  # from here on an interval is wanted in each cell
COMPARED_SIZES = (60, 200)  # numbers of trials at which peers are compared on the recorded table
SMOOTH = ("benign", "tails")  # surfaces without two groups of trials
ANSWERS: Sequence[tuple[str, Kind]] = (
    ("what is lost if a parameter is not tuned", "loss"),
    ("what decides whether it trains", "decides"),
    ("what decides how well", "trained"),
)
MOST_ERROR = {"random": 0.03, "tpe": 0.05, "pruned": 0.05}  # mean absolute errors on the recorded table
MEASURES: Sequence[tuple[str, Callable[[Scored], float]]] = (
    ("Main effects, normalised to one", lambda study: study.mains_error),
    ("Pairs", lambda study: study.pairs_error),
)


@dataclass(frozen=True, slots=True)
class Aim:
    """A number with its limit. `where` says in words where the worst one was found."""

    words: str
    measured: float
    limit: float
    side: Literal["at least", "at most"]
    where: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the number is on the right side of the limit, as the page shows it."""
        shown = round(self.measured, 3)
        return shown >= self.limit if self.side == "at least" else shown <= self.limit

    def cells(self) -> list[str]:
        """Return what the page's table shows of it."""
        measured = f"{self.measured:.3f} ({self.where})" if self.where else f"{self.measured:.3f}"
        return [self.words, measured, f"{self.side} {self.limit:g}", "yes" if self.is_met else "**no**"]


def aims(found: Sequence[Scored]) -> list[Aim]:
    """Return the aims that the studies tell something of."""
    ours = [study for study in found if study.estimator == OURS]
    told = [*_intervals(ours), *_answers(ours), *_claims(ours), *_errors(ours), *_beside_peers(found)]
    return [aim for aim in told if not math.isnan(aim.measured)]


def _intervals(ours: Sequence[Scored]) -> Iterator[Aim]:
    yield Aim("coverage of mains and pairs", coverage(ours, *EFFECTS).value, 0.9, "at least")
    yield Aim("share of them with an interval", given(ours, *EFFECTS).value, 0.8, "at least")
    cells = _cells(ours)
    if cells:
        where, upper = _least({name: coverage(own, *EFFECTS).ends[1] for name, own in cells.items()})
        yield Aim("coverage of a surface and search, upper end: the lowest", upper, 0.85, "at least", where)
    large = _cells([study for study in ours if study.n >= ENOUGH_TRIALS])
    if large:
        where, least = _least({name: given(own, *EFFECTS).value for name, own in large.items()})
        words = f"share of a surface and search with an interval, from {ENOUGH_TRIALS} trials on: the lowest"
        yield Aim(words, least, 0.6, "at least", where)
    yield Aim("coverage of the unexplained", coverage(ours, "unexplained").value, 0.85, "at least")


def _answers(ours: Sequence[Scored]) -> Iterator[Aim]:
    for words, kind in ANSWERS:
        yield Aim(f"coverage of {words}", coverage(ours, kind).value, 0.9, "at least")
        yield Aim(f"share of {words} with an interval", given(ours, kind).value, 0.8, "at least")
    for surface in SMOOTH:
        split = splits([study for study in ours if study.surface == surface]).value
        yield Aim(f"{surface}: share of studies said to have two groups", split, 0.02, "at most")


def _claims(ours: Sequence[Scored]) -> Iterator[Aim]:
    false, _, idle = false_claims(ours)
    yield Aim("share of pairs claimed among those without an effect", _ratio(false, idle), 0.02, "at most")
    small, _, large = verdicts(ours)
    yield Aim("verdict ok among studies with a small error", _ratio(*small), 0.8, "at least")
    yield Aim("verdict ok among studies with a large error", _ratio(*large), 0.05, "at most")


def _errors(ours: Sequence[Scored]) -> Iterator[Aim]:
    for search, limit in MOST_ERROR.items():
        own = [s for s in ours if (s.surface, s.search, s.n) == (RECORDED, search, ENOUGH_TRIALS)]
        words = f"recorded table, {ENOUGH_TRIALS} trials by {search}: mean error"
        yield Aim(words, error(own, *EFFECTS).value, limit, "at most")


def _beside_peers(found: Sequence[Scored]) -> Iterator[Aim]:
    """Yield in how many comparisons on the recorded table a peer's error is surely lower."""
    ours = [study for study in found if study.estimator == OURS]
    for name in dict.fromkeys(study.estimator for study in found if study.estimator != OURS):
        lower, compared = [], 0
        for (search, n), own in _compared(found, name).items():
            for words, measure in MEASURES:
                if words == "Pairs" and not gives_pairs(found, name):
                    continue
                compared += 1
                _, _, apart = difference(ours, own, measure)
                if apart.is_above(0.0):
                    lower.append(f"{words.partition(' ')[0].lower()}, {search}, {n}")
        if compared:
            words = f"recorded table: of {compared} comparisons, those in which {name} is surely better"
            yield Aim(words, float(len(lower)), 0, "at most", "; ".join(lower))


def _compared(found: Sequence[Scored], name: str) -> dict[tuple[str, int], list[Scored]]:
    """Return the studies of an estimator that are compared, by search and number of trials."""
    cells: dict[tuple[str, int], list[Scored]] = {}
    for study in found:
        if study.estimator == name and study.surface == RECORDED and study.n in COMPARED_SIZES:
            cells.setdefault((study.search, study.n), []).append(study)
    return cells


def gives_pairs(found: Sequence[Scored], name: str) -> bool:
    """Return whether an estimator says something of pairs."""
    return any(row.value for study in found if study.estimator == name for row in study.rows if row.kind == "pair")


def _cells(ours: Sequence[Scored]) -> dict[str, list[Scored]]:
    cells: dict[str, list[Scored]] = {}
    for study in ours:
        cells.setdefault(f"{study.surface}, {study.search}", []).append(study)
    return cells


def _least(values: dict[str, float]) -> tuple[str, float]:
    name = min(values, key=lambda key: np.nan_to_num(values[key], nan=np.inf))
    return name, values[name]


def _ratio(count: int, of: int) -> float:
    return count / of if of else math.nan
