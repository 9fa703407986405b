"""What figures are about: the fit that has the parameters in question, and the pairs that are looked at closely."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.effects import Effect
    from studies.analysis.fit import Fit
    from studies.analysis.ridge import Ridge
    from studies.analysis.table import TrialsTable

WIDE = 12  # letters of a title an inch of figure
MAX_CLAIMED = 4  # interactions that get figures of their own
MAX_LETTERS = 26  # of a name beside an axis


def fit_with(analysis: Analysis, names: Sequence[str]) -> Fit | None:
    """The largest fit with all of these parameters, the one that their effects come from; None where it is empty."""
    holding = [fit for fit in analysis.fits if set(names) <= set(fit.table.names)]
    largest = max(holding, key=lambda fit: fit.n_trials, default=None)
    return None if largest is None or largest.sobol is None else largest


def close_pairs(analysis: Analysis) -> list[tuple[tuple[str, str], Ridge | None]]:
    """Pairs (tuned, followed) to look at closely: those whose law was asked for, then the strongest claimed ones; the
    strongest of all where there is neither. Of a pair without a law, a number comes first."""
    laws: list[tuple[tuple[str, str], Ridge | None]] = [(ridge.params, ridge) for ridge in analysis.ridges]
    known = {frozenset(ridge.params) for ridge in analysis.ridges}
    pairs = [effect for effect in strongest_pairs(analysis.effects) if frozenset(effect.params) not in known]
    claimed = [effect for effect in pairs if effect.is_claimed][:MAX_CLAIMED]
    kinds = {axis.name: axis.kind for axis in analysis.table.axes}
    for effect in claimed or ([] if laws else pairs[:1]):
        first, second = sorted(effect.params, key=lambda name: kinds[name] == "categorical")
        laws.append(((first, second), None))
    return laws


def strongest_pairs(effects: Sequence[Effect]) -> list[Effect]:
    """The pairs with an estimate, the largest first."""
    pairs = [effect for effect in effects if effect.order == 2 and math.isfinite(effect.estimate.value)]
    return sorted(pairs, key=lambda effect: -effect.estimate.value)


def short(name: str, letters: int = MAX_LETTERS) -> str:
    """A name of at most so many letters, which fits beside an axis: of a long one, its end."""
    return plain(name if len(name) <= letters else f"…{name[1 - letters :]}")


def plain(text: str) -> str:
    """Text as it is to be seen on a figure, where a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def policy_in_words(table: TrialsTable) -> str:
    """Which value a trial counts with."""
    return "final values" if table.policy == "final" else f"values at {table.policy}"


def title(what: str, fit: Fit, *, width: float) -> str:
    """A figure's title: what it shows, then n, the value policy and the verdict, on lines that fit `width` inches."""
    basis = f"n = {len(fit.table.y)}, {policy_in_words(fit.table)}, verdict: {fit.verdict.level}"
    lines = [line for part in (what, basis) for line in textwrap.wrap(part, max(20, int(WIDE * width)))]
    return plain("\n".join(lines))
