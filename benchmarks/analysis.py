"""How right the analysis is, on functions whose answers are known; each figure beside its target.

A share of seeds is printed with its 95 % Wilson interval. Noise is its standard deviation as a fraction of the
function's. Seeds are fixed here. The fits run in as many processes as there are cores, one thread each.

    python benchmarks/analysis.py [section …]      # all of them take some 7 minutes on two quiet cores
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import known_functions as functions
import numpy as np
import optuna
from known_functions import Known
from ridge_losses import LOSSES, study
from scipy.stats import binomtest, qmc
from threadpoolctl import threadpool_limits

from studies.analysis.designed.factorial import anova
from studies.analysis.effects import Effect, effects_of, fits_of
from studies.analysis.law.ridge import ridge
from studies.analysis.table import TrialsTable

FUNCTIONS: dict[str, Callable[[], Known]] = {
    "Ishigami": functions.ishigami,
    "g-function": functions.g_function,
    "Friedman-1": functions.friedman,
    "x1·x2": functions.product_of_two,
    "(x1−½)(x2−½)+x3": functions.centred_product,
    "LR×B ridge": functions.lr_batch_ridge,
    "additive": functions.additive,
    "three-way": functions.three_way,
    "categorical": functions.categorical,
    "integer grids": functions.integer_grid,
    "log parameter": functions.log_parameter,
}
COVERED = ("Ishigami", "g-function", "Friedman-1", "x1·x2", "(x1−½)(x2−½)+x3", "LR×B ridge")
COVERAGE_SEEDS = 14
Job = tuple[str, int, float, int]  # function, trials, noise, seed


@cache
def known(name: str) -> Known:
    """Return a function by its name; made once, since some need quadrature."""
    return FUNCTIONS[name]()


def effects(table: TrialsTable) -> list[Effect]:
    return effects_of(fits_of(table, seed=0), seed=0)


def fit_known(job: Job) -> list[Effect]:
    name, n, noise, seed = job
    return effects(known(name).table(n, noise=noise, seed=seed))


def fit_shuffled(job: Job) -> list[Effect]:
    name, n, noise, seed = job
    table = known(name).table(n, noise=noise, seed=seed)
    return effects(replace(table, y=np.random.default_rng(seed).permutation(table.y)))


def fit_noise_on_a_grid(seed: int) -> list[Effect]:
    """Nothing but noise on a 7 × 6 grid with three declared replicates."""
    cells = np.array(list(itertools.product(np.linspace(0, 1, 7), np.linspace(0, 1, 6), range(3))))
    levels = functions.powers_axis("lr", 1, 64), functions.powers_axis("batch_size", 16, 512)
    table = functions.table(levels, cells[:, :2], np.random.default_rng(seed).standard_normal(126), source="grid")
    return effects(replace(table, replicates=tuple(int(replicate) for replicate in cells[:, 2]), is_grid=True))


def fit_tpe(seed: int) -> list[Effect]:
    """200 trials: one in four quasi-random, the others by Optuna's TPE."""
    function = known("Ishigami")
    rng, explore = np.random.default_rng(seed), qmc.Sobol(3, rng=seed)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True))
    points, values, sources = [], [], []
    for k in range(200):
        exploring = (k + 1) // 4 > k // 4
        if exploring:
            names = [axis.name for axis in function.axes]
            study.enqueue_trial(dict(zip(names, explore.random(1)[0].tolist(), strict=True)))
        trial = study.ask()
        point = np.array([[trial.suggest_float(axis.name, 0.0, 1.0) for axis in function.axes]])
        value = float(function.function(point)[0] + 0.1 * function.sd * rng.standard_normal())
        study.tell(trial, value)
        points.append(point[0])
        values.append(value)
        sources.append("explore" if exploring else "tpe")
    table = functions.table(function.axes, np.array(points), np.array(values))
    return effects(replace(table, sources=tuple(sources)))


def fit_cliff(seed: int) -> list[Effect]:
    """Return a loss that jumps to a cap above a line in (log lr, log B): a third of the trials."""
    rng = np.random.default_rng(seed)
    unit = rng.random((200, 2))
    loss = (unit[:, 0] - 0.5) ** 2 + 0.1 * unit[:, 1] + 0.02 * rng.standard_normal(200)
    diverged = unit[:, 0] > 0.45 + 0.4 * unit[:, 1]
    axes = (functions.log_axis("lr", 1e-4, 1.0), functions.log_axis("batch_size", 16, 512))
    return effects(functions.table(axes, unit, np.where(diverged, 2.3, loss)))


def fit_anova(seed: int) -> tuple[float, float]:
    """p of the interaction on a 7 × 6 × 2 grid without one, and with one of S = .04; noise .05."""
    rng = np.random.default_rng(seed)
    cells = np.array(list(itertools.product(range(7), range(6), range(2))))
    a, b = (cells[:, 0] - 3) / 2.0, (cells[:, 1] - 2.5) / np.sqrt(35 / 12)
    main = np.sqrt(0.6) * a + np.sqrt(0.36) * b
    levels = {"lr": cells[:, 0].tolist(), "batch_size": cells[:, 1].tolist()}
    noise = 0.05 * rng.standard_normal(len(cells))
    found = [anova(levels, main + strength * a * b + noise) for strength in (0.0, math.sqrt(0.04))]
    without, with_it = (next(row.p for row in result.rows if len(row.term) == 2) for result in found)
    assert without is not None
    assert with_it is not None
    return without, with_it


def fit_ridge(job: tuple[str, float, int]) -> tuple[float, float, float]:
    """α and its interval on a 7 × 6 × 3 grid."""
    name, alpha, seed = job
    log_lr, log_batch, loss = study(LOSSES[name], alpha, seed)
    found = ridge(log_lr, follows=log_batch, loss=loss, names=("lr", "batch_size"))
    return found.alpha.value, *found.alpha.ends


def optuna_fanova(table: TrialsTable, name: str) -> float:
    """Optuna's own fANOVA of the parameters as a user would give them."""
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        axis.name: optuna.distributions.FloatDistribution(
            axis.decode(axis.low), axis.decode(axis.high), log=axis.scale == "log10"
        )
        for axis in table.axes
    }
    study = optuna.create_study()
    for x, value in zip(table.x, table.y, strict=True):
        params = {axis.name: axis.decode(position) for axis, position in zip(table.axes, x, strict=True)}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=float(value)))
    return optuna.importance.FanovaImportanceEvaluator(seed=0).evaluate(study)[name]


def index(found: list[Effect], *params: str) -> float:
    return next(effect.estimate.value for effect in found if effect.params == params)


def mapped(function: Callable[[Any], Any], jobs: Iterable[Any]) -> list[Any]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, jobs))


def show(what: str, figure: str, target: str) -> None:
    print(f"{what:78s} {figure:32s} target {target}", flush=True)


def share(hits: Iterable[bool]) -> str:
    found = list(hits)
    interval = binomtest(sum(found), len(found)).proportion_ci(method="wilson")
    return f"{sum(found) / len(found):.3f} [{interval.low:.3f}, {interval.high:.3f}] of {len(found)}"


def section_ishigami() -> None:
    true = known("Ishigami").indices["x1", "x3"]
    for noise, within, target in ((0.1, 0.03, 0.95), (0.3, 0.05, 0.90)):
        found = mapped(fit_known, [("Ishigami", 200, noise, seed) for seed in range(50)])
        hits = [abs(index(effects_, "x1", "x3") - true) <= within for effects_ in found]
        show(f"Ishigami, 200 random trials, noise {noise}: S13 within ±{within}", share(hits), f"≥ {target}")


def section_coverage() -> None:
    jobs = [
        (name, n, noise, 1000 + seed)
        for name in COVERED
        for n in (100, 200)
        for noise in (0.1, 0.3)
        for seed in range(COVERAGE_SEEDS)
    ]
    hits: dict[str, list[bool]] = {name: [] for name in COVERED}
    for (name, *_), found in zip(jobs, mapped(fit_known, jobs), strict=True):
        true = known(name).indices
        hits[name] += [
            e.estimate.lo <= true[e.params] <= e.estimate.hi for e in found if true.get(e.params, 0.0) > 0.01
        ]
    for name, own in hits.items():
        show(f"coverage of 95 % intervals, {name}", share(own), "(pooled)")
    pooled = [hit for own in hits.values() for hit in own]
    show("coverage of 95 % intervals, pooled, indices > .01", share(pooled), "≥ .90, stretch .93–.97, n ≥ 1000")


def section_null() -> None:
    for what, fit in (("additive 4-d", fit_known), ("the same, shuffled", fit_shuffled)):
        found = mapped(fit, [("additive", 200, 0.3, seed) for seed in range(60)])
        pairs = [effect for effects_ in found for effect in effects_ if effect.order == 2]
        largest = max(pair.estimate.value for pair in pairs)
        show(f"{what}, n = 200, noise .3: largest spurious pair of {len(pairs)}", f"{largest:.4f}", "< .02")
        show(f"{what}: falsely claimed interactions", share(pair.is_claimed for pair in pairs), "≤ .02")
        if fit is fit_shuffled:
            oks = [effect.verdict == "ok" for effects_ in found for effect in effects_]
            show(f"{what}: verdict ok", share(oks), "0")

    found = mapped(fit_noise_on_a_grid, range(40))
    oks = [effect.verdict == "ok" for effects_ in found for effect in effects_]
    show("noise on a 7×6×3 grid: verdict ok", share(oks), "0")


def section_tpe() -> None:
    true = known("Ishigami").indices["x1", "x3"]
    hits = [abs(index(found, "x1", "x3") - true) <= 0.03 for found in mapped(fit_tpe, range(20))]
    show("200 TPE trials, explore_fraction .25, noise .1: S13 within ±.03", share(hits), "≥ .90")


def section_log() -> None:
    table = known("log parameter").table(150, noise=0.0, seed=0)
    true = known("log parameter").indices["lr",]
    show("log parameter, n = 150: S_lr", f"{index(effects(table), 'lr'):.3f}", f"{true:.3f} ± .03")
    show("  Optuna's fANOVA on the same trials (negative control)", f"{optuna_fanova(table, 'lr'):.3f}", "(wrong)")


def section_gates() -> None:
    found = mapped(fit_known, [("three-way", 200, 0.1, seed) for seed in range(20)])
    hits = [all(effect.verdict == "unreliable" for effect in effects_) for effects_ in found]
    show("pure three-way product: unreliable", share(hits), "≥ .95")
    oks = [any(effect.verdict == "ok" for effect in effects_) for effects_ in mapped(fit_cliff, range(20))]
    show("divergence cliff: verdict ok", share(oks), "0")


def section_anova() -> None:
    found = np.array(mapped(fit_anova, range(1000)))
    show("ANOVA 7×6×2: size at .05", share(found[:, 0] < 0.05), ".03–.07")
    show("ANOVA 7×6×2, noise .05: power at S = .04", share(found[:, 1] < 0.05), "≥ .9")


def section_ridge() -> None:
    for name in LOSSES:
        for alpha in (0.0, 0.5, 1.0):
            found = np.array(mapped(fit_ridge, [(name, alpha, seed) for seed in range(300)]))
            rmse = math.sqrt(np.nanmean((found[:, 0] - alpha) ** 2))
            covered = share((found[:, 1] <= alpha) & (alpha <= found[:, 2]))
            show(f"α = {alpha}, {name} loss, 7×6×3: rmse", f"{rmse:.3f}", "≤ .06")
            show(f"α = {alpha}, {name} loss, 7×6×3: coverage", covered, "≥ .90")
            lost = int(np.isnan(found[:, 0]).sum())
            if lost:
                show(f"α = {alpha}, {name} loss, 7×6×3: no ridge found", f"{lost} of 300", "0")


def section_kinds() -> None:
    for name in ("categorical", "integer grids"):
        true = known(name).indices
        found = mapped(fit_known, [(name, 200, 0.1, seed) for seed in range(20)])
        errors = [abs(e.estimate.value - true[e.params]) for effects_ in found for e in effects_ if e.params]
        show(f"{name}, n = 200, noise .1: largest error of an index", f"{max(errors):.3f}", "≤ .03")
        show(f"{name}: indices within ±.03", share(error <= 0.03 for error in errors), "1")


def section_speed() -> None:
    for d, n, limit in ((6, 200, 10), (10, 1000, 120)):  # of the whole fit, verdict included
        rng = np.random.default_rng(0)
        unit = rng.random((n, d))
        y = functions.friedman().function(unit) + 0.5 * rng.standard_normal(n)
        table = functions.table(functions.uniform(d), unit, y)
        begun = time.perf_counter()
        first = effects(table)
        seconds = time.perf_counter() - begun
        show(f"{d} parameters, n = {n}, one core", f"{seconds:.1f} s", f"< {limit} s")
        if d == 6:
            show("same seed twice: equal results", str(repr(first) == repr(effects(table))), "True")


def section_invariance() -> None:
    table = known("Ishigami").table(200, noise=0.3, seed=0)
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(200), [2, 0, 1]
    variants = {
        "columns permuted": replace(table, axes=tuple(table.axes[i] for i in columns), x=table.x[:, columns]),
        "trials permuted": replace(table, x=table.x[rows], y=table.y[rows]),
        "target · 1000 − 7": replace(table, y=1000 * table.y - 7),
        "maximised instead": replace(table, y=-table.y, maximize=True),
    }
    reference = {frozenset(effect.params or (effect.kind,)): effect.estimate.value for effect in effects(table)}
    for what, variant in variants.items():
        found = {frozenset(effect.params or (effect.kind,)): effect.estimate.value for effect in effects(variant)}
        moved = max(abs(found[key] - reference[key]) for key in reference)
        show(f"{what}: largest move of an index", f"{moved:.6f}", "≤ .001")


def main() -> None:
    sections = {
        name.removeprefix("section_"): value for name, value in globals().items() if name.startswith("section_")
    }
    chosen = sys.argv[1:] or list(sections)
    unknown = [name for name in chosen if name not in sections]
    if unknown:
        sys.exit(f"no section {', '.join(unknown)}: choose from {', '.join(sections)}")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with threadpool_limits(1):  # inherited by the processes that are forked
        for name in chosen:
            sections[name]()


if __name__ == "__main__":
    main()
