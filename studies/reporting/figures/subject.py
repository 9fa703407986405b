"""The subject of a figure: the fit with its parameters, and the pairs to look at closely."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from studies.analysis.effects import strongest_first

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.effects import Effect
    from studies.analysis.fit import Fit
    from studies.analysis.law.ridge import Ridge
    from studies.analysis.table import TrialsTable

WIDE = 12  # letters of a title an inch of figure
MAX_CLAIMED = 4  # interactions that get figures of their own
MAX_LETTERS = 26  # of a name beside an axis


def fit_with(analysis: Analysis, names: Sequence[str]) -> Fit | None:
    """Return the largest fit with all of these parameters: their effects come from it. None if it is empty."""
    holding = [fit for fit in analysis.fits if set(names) <= set(fit.table.names)]
    largest = max(holding, key=lambda fit: fit.n_trials, default=None)
    return None if largest is None or largest.sobol is None else largest


def close_pairs(analysis: Analysis) -> list[tuple[tuple[str, str], Ridge | None]]:
    """Return pairs (tuned, followed) to look at closely.

    First come the pairs of a requested law, then the strongest claimed ones. Without either it is the strongest pair of
    all. In a pair without a law, a number comes first.
    """
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
    """Return the pairs with an estimate, the largest first."""
    pairs = [effect for effect in effects if effect.order == 2 and math.isfinite(effect.estimate.value)]
    return strongest_first(pairs)


def short(name: str, letters: int = MAX_LETTERS) -> str:
    """Return a name short enough for an axis: the end of a long one."""
    return plain(name if len(name) <= letters else f"…{name[1 - letters :]}")


def plain(text: str) -> str:
    """Return text with dollar signs escaped: in a figure they would begin a formula."""
    return text.replace("$", r"\$")


def policy_in_words(table: TrialsTable) -> str:
    """Say which value of a trial is compared."""
    return "final values" if table.compared == "final" else f"values at {table.policy}"


def title(what: str, fit: Fit, *, width: float) -> str:
    """Return a title: `what`, n, the value policy and the verdict, wrapped to `width` inches."""
    basis = f"n = {len(fit.table.y)}, {policy_in_words(fit.table)}, verdict: {fit.verdict.level}"
    lines = [line for part in (what, basis) for line in textwrap.wrap(part, max(20, int(WIDE * width)))]
    return plain("\n".join(lines))
