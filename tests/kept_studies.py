"""The studies that are kept as test data, one of each kind, with the texts of their reports.

One of them, `foreign`, was made by Optuna alone: its report comes from the storage, without a config.

They show what a change does to studies that people have stored: it goes on to read them and reports the same, or the
version of the schema is raised (`studies.schema.VERSION`). After a change of what a report says,
`PYTHONPATH=. python tests/kept_studies.py` writes the texts again; with the argument `studies` it trains the studies
again, too, under the present schema. The differences are read before they are committed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import optuna

from studies.config.composing.configs import compose
from studies.report import report
from studies.reporting import writer
from studies.schema import PROCESSOR, STUDY_GIT, WORKER

USERS = Path(__file__).parent / "studies" / "users"
KEPT = Path(__file__).parent / "data" / "kept"
FOREIGN = "foreign"
TEXTS = (".csv", ".json", ".md", ".yaml", ".html", ".tex")
# The grid has a tolerance of its own: an end of an interval lies beside the one that its trials give.
STUDIES: Mapping[str, tuple[str, ...]] = {
    "search": ("n_trials=24", "pruner=median", "workers=2"),
    "grid": (
        "sampler=grid",
        "n_trials=null",
        "replicates=2",
        "+search_space.kind.role=scientific",
        "objective.tolerance=0.1",
    ),
    FOREIGN: (),
    "race": ("n_trials=10", "analysis=none", "select=race", "select.k=3", "select.seeds=3", "select.estimate_seeds=3"),
}


def overrides_of(name: str) -> list[str]:
    """Return the overrides of the study. Its storage lies in the current folder, and its output below."""
    place = [f"study_name={name}", f"output_dir={name}", f"storage.url=sqlite:///{name}.db"]
    return place if name == FOREIGN else ["+study=valley", *place, *STUDIES[name]]


def report_here(name: str) -> None:
    """Report the kept study of this name, whose storage lies in the current folder, and end with this process.

    Its pictures are not kept, so none are drawn from here on.
    """
    writer.draw_picture = lambda path, _: path.touch()
    report(compose(overrides_of(name), config_dirs=[str(USERS / "conf")]))


def write_report(name: str, folder: Path) -> dict[str, str]:
    """Report the kept study in `folder`, in a process of its own. Return the texts: path below its output → content."""
    shutil.copy(KEPT / f"{name}.db", folder)
    command = [sys.executable, "-c", f"import kept_studies; kept_studies.report_here({name!r})"]
    path = os.pathsep.join([str(Path(__file__).parent), str(USERS), *sys.path])
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path})
    paths = sorted(path for path in (folder / name).rglob("*") if path.suffix in TEXTS and path.name != "report.json")
    return {str(path.relative_to(folder / name)): path.read_text(encoding="utf-8") for path in paths}


def kept_texts(name: str) -> dict[str, str]:
    """The texts that are kept of the study's report."""
    folder = KEPT / name
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in paths}


def make_foreign(folder: Path) -> None:
    """Run the study that knows nothing of this framework in `folder`, and keep its storage."""

    def objective(trial: optuna.Trial) -> float:
        lr, width = trial.suggest_float("lr", 1e-4, 1e-1, log=True), trial.suggest_int("width", 8, 64)
        kind = trial.suggest_categorical("kind", ["plain", "gated"])
        loss = (math.log10(lr) + 2 + math.log2(width / 16) / 2) ** 2 + (0.3 if kind == "plain" else 0.0)
        for step in range(4):
            trial.report(loss + 1 / (1 + step), step)
            if step == 1 and loss > 3:
                raise optuna.TrialPruned
        if trial.number % 13 == 12:
            raise ValueError("no value")
        return loss + 0.25

    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / FOREIGN}.db")
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(storage=storage, study_name=FOREIGN, sampler=sampler)
    study.optimize(objective, n_trials=40, catch=(ValueError,))
    storage.remove_session()
    shutil.copy(folder / f"{FOREIGN}.db", KEPT)


def train(name: str, folder: Path) -> None:
    """Run the study anew in `folder`, and keep its storage without what tells of this machine."""
    command = [sys.executable, "-m", "studies.run", "--config-dir", str(USERS / "conf"), *overrides_of(name)]
    paths = os.pathsep.join([str(USERS), *sys.path])
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": paths}, check=True)
    with contextlib.closing(sqlite3.connect(folder / f"{name}.db", isolation_level=None)) as connection:
        workers = connection.execute(
            "SELECT DISTINCT value_json FROM trial_user_attributes WHERE key = ?", (WORKER,)
        ).fetchall()
        for number, (worker,) in enumerate(workers):
            told = (json.dumps(f"machine:1:{number}"), WORKER, worker)
            connection.execute("UPDATE trial_user_attributes SET value_json = ? WHERE key = ? AND value_json = ?", told)
        connection.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE key = ?", ('"2 cores of a processor"', PROCESSOR)
        )
        connection.execute("UPDATE study_user_attributes SET value_json = 'null' WHERE key = ?", (STUDY_GIT,))
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM")
    shutil.copy(folder / f"{name}.db", KEPT)


def main(*, are_trained: bool) -> None:
    """Write what is kept anew."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in STUDIES:
        with tempfile.TemporaryDirectory() as folder:
            if are_trained:
                make_foreign(Path(folder)) if name == FOREIGN else train(name, Path(folder))
            shutil.rmtree(Path(folder) / name, ignore_errors=True)
            texts = write_report(name, Path(folder))
        shutil.rmtree(KEPT / name, ignore_errors=True)
        for path, text in texts.items():
            (KEPT / name / path).parent.mkdir(parents=True, exist_ok=True)
            (KEPT / name / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(are_trained="studies" in sys.argv[1:])
