"""`analysis.json`: all of an analysis in one file, for programs.

Schema version 1. Strict JSON: missing and infinite numbers are null. Keys:

- `version` (1), `package` (this package's version), `method`, `seed`, `metric`, `direction` (`maximize | minimize`),
  `budget_unit` (or null).
- `value_policy`: the compared value of a trial: `final`, `completed` (the final one, which is predicted for pruned
  trials), `rung k`, or `step k` (the last report up to there).
- `trials`: `finished`, `used` (with a compared value), `pruned`, `failed`, `diverged` (among the failed), and
  `infeasible`, if any violates a constraint.
- `parameters`: a list of `name`, `kind` (`continuous | discrete | categorical`), `scale` (`linear | log10 | log2`),
  `low` and `high` in units of the scale, and `values` (or null, if continuous).
- `dropped`: name → why the parameter is left out.
- `verdict`: `level` (`ok | caution | unreliable`) and `reasons`.
- `evidence` for the verdict, and `advice`.
- `fits`: one for all trials, then one for each set of trials with the same active conditional parameters.
  Each has `parameters`, `n_used` (of `n_trials`), `verdict`, `evidence`.
- `tunability`: the rows of tuning.csv under the same names, the greatest loss first, with `near`, `possible`, `worse`
  and `scope` as lists.
- `effects`: the rows of effects.csv under the same names, `params`, `reasons` and `scope` as lists.
- `anova`: null unless the trials are a grid. `rows` and `block` are as in anova.csv, with `term` as a list (empty: the
  error). Also `n`, `n_cells`, `n_missing_cells`, `balanced`, `replicates` (fewest, most), `lack_of_fit` (p), `notes`,
  `problem`.
- `ridges`: each with the columns of ridge.csv, lists instead of joined names, and `alphas_by_window` (window, α, lower,
  upper). `points` and `optima` are pairs (second, first parameter) on their search scales (log10 if logarithmic).
- `tuning`: null, or `one_at_a_time`, `together` and `cost` at `n_trials`, each with `estimate`, `lo` and `hi` in the
  metric's unit.
- `training`: null unless the trials fall into two groups. `border` in the metric's unit (null, if only trials without
  a value do not train), `trained` and `others` (how many trials), `diverged` (among the others), `used` and `inside`
  (of the classifier, and of these in the region). `confirmed`, `from_noise` (what shuffled groups reach) and `learned`.
  `decides`: `params`, `share`, `share_lo`, `share_hi` of the variance of the chance to train. `region`: null, or `text`
  and `agreement`. `how_well`: null, or `effects` (as in `decides`, of the variance of the metric among configurations
  that train), `space` (what part of the search space trains, under the same names) and `q2`.
- `screen`: the rows of screen.csv.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from studies.analysis.estimate import Estimate
from studies.reporting.csv_table import fields_of
from studies.reporting.sections.effects.analysis_csv import package_version
from studies.reporting.sections.effects.tuning import tuning_records
from studies.reporting.sections.training.words import region_words

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.axis import Axis
    from studies.analysis.fit import Fit
    from studies.analysis.law.ridge import Ridge
    from studies.analysis.training.among import AmongTrained
    from studies.analysis.training.training import TrainingAnalysis
    from studies.analysis.tuning.one_at_a_time import TuningCost

VERSION = 1
CI = ("ci_lo", "ci_hi")
ENDS = {"estimate": CI, "loss": CI, "alpha": CI, "omega_sq": CI, "share": ("share_lo", "share_hi")}  # of each estimate


def analysis_json(analysis: Analysis, *, metric: str) -> str:
    """Return the document as text. Its keys are listed at the top of this file."""
    document = _plain(described(analysis, metric=metric))
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def described(analysis: Analysis, *, metric: str) -> dict[str, Any]:
    """Return the document of an analysis before conversion: with dataclasses, tuples and infinite numbers."""
    table, whole = analysis.table, analysis.whole
    return {
        "version": VERSION,
        "package": package_version(),
        "method": next((effect.method for effect in analysis.effects), None),
        "seed": analysis.seed,
        "metric": metric,
        "direction": "maximize" if table.maximize else "minimize",
        "budget_unit": analysis.budget_unit,
        "value_policy": table.policy,
        "trials": {
            "finished": table.n_finished,
            "used": len(table.y),
            "pruned": table.n_pruned,
            "failed": table.n_failed,
            "diverged": table.n_diverged,
            **({"infeasible": table.n_infeasible} if table.n_infeasible else {}),
        },
        "parameters": [_parameter(axis) for axis in table.axes],
        "dropped": dict(sorted(table.dropped.items())),
        "verdict": whole.verdict,
        "evidence": whole.evidence,
        "advice": analysis.advice,
        "fits": [_fit(fit) for fit in analysis.fits],
        "tunability": tuning_records(analysis.tunability),
        "effects": [{**fields_of(effect), "claimed": effect.is_claimed} for effect in analysis.effects],
        "anova": analysis.anova,
        "ridges": [_ridge(ridge) for ridge in analysis.ridges],
        "tuning": None if analysis.tuning is None else _tuning(analysis.tuning),
        "training": None if analysis.training is None else _training(analysis.training),
        "screen": analysis.screen,
    }


def _parameter(axis: Axis) -> dict[str, Any]:
    return {
        "name": axis.name,
        "kind": axis.kind,
        "scale": axis.scale,
        "low": axis.low,
        "high": axis.high,
        "values": axis.values or None,
    }


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "parameters": fit.table.names,
        "n_used": len(fit.table.y),
        "n_trials": fit.n_trials,
        "verdict": fit.verdict,
        "evidence": fit.evidence,
    }


def _ridge(ridge: Ridge) -> dict[str, Any]:
    alphas = [(window, a.value, a.lo, a.hi) for window, a in ridge.alphas_by_window]
    return {**fields_of(ridge), "alphas_by_window": alphas}


def _tuning(tuning: TuningCost) -> dict[str, Any]:
    kinds = ("one_at_a_time", "together", "cost")
    found: dict[str, Estimate] = {kind: getattr(tuning, kind) for kind in kinds}
    ends = {k: {"estimate": e.value, "lo": e.lo, "hi": e.hi, "median": e.value} for k, e in found.items()}
    return {**ends, "n_trials": tuning.n_trials}


def _training(found: TrainingAnalysis) -> dict[str, Any]:
    names = [axis.name for axis in found.axes]
    mains = [([name], share) for name, share in zip(names, found.mains, strict=True)]
    pairs = [([names[i], names[j]], share) for (i, j), share in found.pairs.items()]
    region = found.region
    return {
        "border": found.groups.border,
        "trained": found.groups.n_trained,
        "others": found.groups.n_others,
        "diverged": found.groups.n_diverged,
        "used": found.n_used,
        "inside": found.n_inside,
        "confirmed": found.confirmed,
        "from_noise": found.from_noise,
        "learned": found.is_learned,
        "decides": [{"params": params, "share": share} for params, share in (*mains, *pairs)],
        "region": None if region is None else {"text": region_words(region.boxes), "agreement": region.agreement},
        "how_well": None if found.among is None else _how_well(names, found.among),
    }


def _how_well(names: Sequence[str], among: AmongTrained) -> dict[str, Any]:
    effects = zip(among.chosen, among.effects, strict=True)
    return {
        "effects": [{"params": [names[i]], "share": share} for i, share in effects],
        "space": {"share": among.share},
        "q2": among.q2,
    }


def _plain(value: Any) -> Any:
    """Return `value` in JSON's own types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = fields_of(value)
    if isinstance(value, Mapping):
        return dict(_plain_entries([(str(key), item) for key, item in value.items()]))
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain_entries(entries: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the entries of an object. The ends of an estimate stand beside it, under names of their own."""
    for name, value in entries:
        if name not in ENDS or not (value is None or isinstance(value, Estimate)):
            yield name, _plain(value)
            continue
        numbers = (None, None, None) if value is None else (value.value, value.lo, value.hi)
        yield from zip((name, *ENDS[name]), map(_plain, numbers), strict=True)
