"""How far the analysis can be trusted on searches that people run, beside its peers on the same trials.

Surfaces shaped like trainings (trust_surfaces.py) are searched by the project's own samplers and pruners
(trust_searches.py). Each estimator (trust_estimators.py) then says which parameters and pairs matter, and is held
against the true indices (trust_scores.py). Prints tables in Markdown.

    python benchmarks/trust.py --cache DIR                      # everything; hours, and resumable
    python benchmarks/trust.py --surfaces cliff --sizes 60 --seeds 6 --estimators ours forest

An estimator as `NAME:K` sees all seeds of the recorded table and the first K of each other surface. `oak` and `ax` are
slow: they see 2 unless asked, and no searches but those of 60 and 200 trials. With `--cache`, trials are searched once,
and a finished estimate is kept until its code or package changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
from threadpoolctl import threadpool_limits
from trust_aims import COMPARED_SIZES, OURS
from trust_estimators import ESTIMATORS, Found, Training
from trust_page import page
from trust_scores import Scored, rows_of
from trust_searches import SEARCHES, SIZES, study_of
from trust_surfaces import NAMES, RECORDED, truths_of
from trust_truth import Names

from studies.analysis.estimate import Estimate
from studies.analysis.table import TrialsTable, trials_table

SEEDS = 9  # 36 studies of a surface and search over the four sizes
RECORDED_SEEDS = 24  # of the recorded table, where estimators are compared in pairs
SLOW = {"oak": 2, "ax": 2}  # estimators with the seeds of each other surface that they see
USUAL = tuple(f"{name}:{SLOW[name]}" if name in SLOW else name for name in ESTIMATORS)


@dataclass(frozen=True, slots=True)
class Job:
    """A study, and the estimators that see it."""

    surface: str
    search: str
    n: int
    seed: int
    estimators: tuple[str, ...]
    cache: Path | None


def main(argv: Sequence[str] | None = None) -> None:
    asked = arguments(argv)
    jobs = jobs_of(asked)
    begun = time.time()
    found: list[Scored] = []
    with _pool(asked.processes) as pool:
        for done, scored in enumerate(pool.map(run, jobs), start=1):
            found += scored
            if sys.stderr.isatty() or done % 50 == 0 or done == len(jobs):
                print(f"{done} of {len(jobs)} studies, {time.time() - begun:.0f} s", file=sys.stderr)
    text = page(found, command=_command(asked))
    print(text)
    if asked.write is not None:
        asked.write.write_text(text)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for. The recorded table has more seeds, unless their number is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surfaces", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME")
    parser.add_argument("--searches", nargs="+", choices=list(SEARCHES), default=list(SEARCHES), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), metavar="N", help="numbers of trials")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--recorded-seeds", type=int, help=f"of the recorded table; {RECORDED_SEEDS} without --seeds")
    parser.add_argument(
        "--estimators",
        nargs="+",
        type=_estimator,
        default=list(USUAL),
        metavar="NAME[:K]",
        help=f"of {', '.join(ESTIMATORS)}; :K for K seeds of each surface but the recorded one",
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="a folder for trials and estimates")
    parser.add_argument("--write", type=Path, help="a file for the page, such as docs/trust.md")
    asked = parser.parse_args(argv)
    if asked.recorded_seeds is None:
        asked.recorded_seeds = RECORDED_SEEDS if asked.seeds == SEEDS else asked.seeds
    return asked


def jobs_of(asked: argparse.Namespace) -> list[Job]:
    """Return the studies, the large ones first, so that no process ends long after the others."""
    named = [text.partition(":") for text in asked.estimators]
    limits = {name: int(limit) if limit else sys.maxsize for name, _, limit in named}
    missing = [name for name in limits if not ESTIMATORS[name].is_installed]
    if missing:
        remedy = "pip install 'lightning-studies[trust]'"
        print(f"left out, not installed: {', '.join(missing)} ({remedy})", file=sys.stderr)
    installed = {name: limit for name, limit in limits.items() if name not in missing}
    jobs = []
    for n in sorted(asked.sizes, reverse=True):
        names = [name for name in installed if name not in SLOW or n in COMPARED_SIZES]
        for surface in asked.surfaces:
            n_seeds = asked.recorded_seeds if surface == RECORDED else asked.seeds
            for seed in range(n_seeds):
                seeing = tuple(name for name in names if seed < installed[name] or surface == RECORDED)
                jobs += [Job(surface, search, n, seed, seeing, asked.cache) for search in asked.searches]
    return jobs


def run(job: Job) -> list[Scored]:
    """Return what each estimator says of a study."""
    study = study_of(job.surface, job.search, job.n, job.seed, job.cache)
    return [_scored(job, name, study) for name in job.estimators]


def _scored(job: Job, name: str, study: optuna.Study) -> Scored:
    table = trials_table(study)
    estimator = ESTIMATORS[name]
    trials = repr([(t.params, t.intermediate_values) for t in study.get_trials()]).encode()
    digest = hashlib.sha256(trials + table.y.tobytes()).hexdigest()
    label = f"{job.surface}-{job.search}-{job.n}-{job.seed}-{name}-{estimator.digest}-{digest[:8]}.json"
    file = None if job.cache is None else job.cache / "estimates" / label
    kept = json.loads(file.read_text()) if file is not None and file.exists() else {}
    if kept.keys() == _written(Found({}), 0.0).keys():  # those of an earlier program had others
        found, seconds = _read(kept)
    else:
        begun = time.process_time()
        found = _asked(name, table, study)
        seconds = time.process_time() - begun
        if file is not None and found.estimates:
            file.parent.mkdir(parents=True, exist_ok=True)
            aside = file.with_suffix(".tmp")
            aside.write_text(json.dumps(_written(found, seconds)))
            aside.replace(file)
    rows, splits = rows_of(found, truths_of(job.surface)), found.training is not None
    return Scored(job.surface, job.search, job.n, job.seed, name, found.level, seconds, rows, splits)


def _asked(name: str, table: TrialsTable, study: optuna.Study) -> Found:
    """Ask an estimator. A peer that fails on a study is told, and gives nothing."""
    try:
        return ESTIMATORS[name].function(table, study)
    except Exception as error:
        if name == OURS:
            raise
        print(f"{name} fails on {len(table.y)} trials: {type(error).__name__}: {error}", file=sys.stderr)
        return Found({})


def _written(found: Found, seconds: float) -> dict[str, Any]:
    training = found.training
    return {
        "estimates": _plain(found.estimates),
        "level": found.level,
        "claimed": [list(names) for names in sorted(found.claimed)],
        "losses": _plain(found.losses),
        "training": training and [training.border, _plain(training.decides), _plain(training.effects)],
        "seconds": seconds,
    }


def _read(kept: dict[str, Any]) -> tuple[Found, float]:
    border, decides, effects = kept["training"] or (None, [], [])
    training = Training(border, _estimates(decides), _estimates(effects)) if kept["training"] else None
    claimed = frozenset(tuple(names) for names in kept["claimed"])
    found = Found(_estimates(kept["estimates"]), kept["level"], claimed, _estimates(kept["losses"]), training)
    return found, float(kept["seconds"])


def _plain(found: Mapping[Names, Estimate]) -> list[Any]:
    return [[list(names), own.value, own.lo, own.hi] for names, own in found.items()]


def _estimates(plain: Sequence[Any]) -> dict[Names, Estimate]:
    return {tuple(names): Estimate(value, lo, hi) for names, value, lo, hi in plain}


def _pool(n_processes: int) -> ProcessPoolExecutor:
    """Return processes with one thread each. They start afresh, for torch does not survive a fork."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    return ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    threadpool_limits(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _command(asked: argparse.Namespace) -> str:
    """Return the command without the options that change no number."""
    implied = arguments(["--seeds", str(asked.seeds)]).recorded_seeds
    usual = {**vars(arguments([])), "recorded_seeds": implied}
    words = ["python benchmarks/trust.py"]
    for key in ("surfaces", "searches", "sizes", "seeds", "recorded_seeds", "estimators"):
        value = getattr(asked, key)
        if value != usual[key]:
            words += [f"--{key.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return " ".join(words)


def _estimator(text: str) -> str:
    name, _, limit = text.partition(":")
    if name not in ESTIMATORS or (limit and not limit.isdigit()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of {', '.join(ESTIMATORS)}, with :K for K seeds of each surface but the recorded one"
        )
    return text


if __name__ == "__main__":
    main()
