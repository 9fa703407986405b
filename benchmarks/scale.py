"""How far each storage carries: workers whose trials only sleep and report, and studies of up to 10,000 trials.

    python benchmarks/scale.py [workers] [storages] [growth] [uneven] [no_op]

Starts a private PostgreSQL from Debian's packages. Workers and server share this machine's cores, so the figures say
what a machine of this size carries, not what PostgreSQL can. All five parts take about fifteen minutes.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial
from services.mariadb import mariadb
from services.postgresql import PostgreSQL, postgresql
from services.proxy import Proxy
from sleeping import Sleeper, settings_of, sleep_and_work, start_sleeper
from waves import Waves, read_notes, waves

from studies import schema
from studies.config.settings import StudySettings
from studies.storage.creation import open_study
from studies.storage.opening import open_storage

CLOCK_TICK = os.sysconf("SC_CLK_TCK")
GROWTH = (100, 1000, 3000, 10_000)
N_TIMED = 30  # further trials at each size


def overrides(folder: Path, url: str, n_trials: int, *more: str) -> list[str]:
    name = f"study_name=scale-{uuid.uuid4().hex[:8]}"
    return [name, f"storage.url='{url}'", f"n_trials={n_trials}", f"output_dir={folder}/out", "workers=1", *more]


def run(folder: Path, url: str, n_workers: int, n_trials: int, sleeps: Sequence[float]) -> Waves:
    """Return a whole study by so many workers."""
    asked, notes = overrides(folder, url, n_trials), folder / f"notes-{uuid.uuid4().hex[:8]}"
    open_study(settings_of(asked), open_storage(url))
    workers = [start_sleeper(asked, Sleeper(sleeps, notes)) for _ in range(n_workers)]
    for worker in workers:
        worker.join()
    assert all(worker.exitcode == 0 for worker in workers)
    return waves(read_notes(notes), sleeps)


def cpu_of(server: PostgreSQL) -> float:
    """Seconds of processor time of the server and its children, those that ended included."""
    assert server.process is not None
    pid, total = server.process.pid, 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(stat.parent.name) == pid:
                total += sum(map(int, fields[11:15]))
            elif int(fields[1]) == pid:
                total += sum(map(int, fields[11:13]))
    return total / CLOCK_TICK


def many_workers(folder: Path, server: PostgreSQL) -> None:
    print("\nPostgreSQL, trials of 1 s with 5 reports")
    print("workers  trials/s  efficiency  storage ms/trial  CPU ms/trial  server ms")
    for n_workers, n_trials in ((1, 20), (8, 120), (32, 480), (64, 960)):
        before = cpu_of(server)
        done = run(folder, server.new_database(), n_workers, n_trials, [1.0])
        at_server = 1e3 * (cpu_of(server) - before) / n_trials
        print(
            f"{n_workers:7d}  {done.rate:8.1f}  {done.efficiency:10.2f}  {done.storage_ms:16.0f}  {done.cpu_ms:12.0f}"
            f"  {at_server:9.0f}",
            flush=True,
        )


def storages(folder: Path, server: PostgreSQL) -> None:
    print("\ntrials of 1 s with 5 reports\nstorage     workers  trials/s  efficiency  storage ms/trial  CPU ms/trial")
    with mariadb() as other, Proxy(server.new_database()) as proxy:
        urls = {
            "sqlite": f"sqlite:///{folder}/s.db",
            "journal": f"journal:{folder}/s.journal",
            "postgresql": server.new_database(),
            "mariadb": other.new_database(),
            "grpc": proxy.url,
        }
        for name, url in urls.items():
            for n_workers in (1, 4, 8, 16):
                done = run(folder, url, n_workers, 12 * n_workers, [1.0])
                print(
                    f"{name:10s}  {n_workers:7d}  {done.rate:8.1f}  {done.efficiency:10.2f}  {done.storage_ms:16.0f}"
                    f"  {done.cpu_ms:12.0f}",
                    flush=True,
                )


def uneven(folder: Path, server: PostgreSQL) -> None:
    done = run(folder, server.new_database(), 8, 96, [1.0] * 7 + [10.0])
    print(
        f"\n8 workers on PostgreSQL, one trial in eight takes 10 s, the others 1 s: {done.idle:.3f} of the time between"
        f" trials, {1 - done.efficiency:.3f} of it not asleep in one"
    )


def growth(folder: Path, server: PostgreSQL) -> None:
    print("\nms a trial that sleeps not at all, in a study of so many (median of further ones)")
    print("storage     sampler  " + "  ".join(f"{size:>7d}" for size in GROWTH))
    for name, url in {"sqlite": f"sqlite:///{folder}/g.db", "postgresql": server.new_database()}.items():
        for sampler in ("random", "tpe"):
            asked = overrides(folder, url, 1, f"sampler={sampler}")
            costs = list(_grow(asked, folder / f"notes-{name}-{sampler}"))
            print(f"{name:10s}  {sampler:7s}  " + "  ".join(f"{cost:7.1f}" for cost in costs), flush=True)


def _grow(asked: list[str], notes: Path) -> Iterator[float]:
    for size in GROWTH:
        settings = settings_of([*asked, f"n_trials={size + N_TIMED}"])
        _fill(settings, size)
        notes.unlink(missing_ok=True)
        worker = start_sleeper([*asked, f"n_trials={size + N_TIMED}"], Sleeper([0.0], notes))
        worker.join()
        yield waves(read_notes(notes), [0.0]).storage_ms


def _fill(settings: StudySettings, size: int) -> None:
    """Finished trials, as a worker would leave them, until there are `size`."""
    study = open_study(settings, open_storage(settings.storage.address))
    rng, space = np.random.default_rng(0), settings.space
    distributions = {parameter.name: parameter.distribution() for parameter in space}
    for slot in range(len(study.get_trials(deepcopy=False)), size):
        value = float(rng.random())
        attributes = {schema.SLOT: slot, schema.WORKER: "filler", schema.REPLICATE: slot % 8, schema.SEED: 1}
        trial = create_trial(
            state=TrialState.COMPLETE,
            value=value,
            params=space.from_unit(rng.random(len(space)).tolist()),
            distributions=distributions,
            user_attrs=attributes,
            intermediate_values=dict.fromkeys(range(1, settings.budget.rungs + 1), value),
        )
        study.add_trial(trial)


def no_op(folder: Path, _server: PostgreSQL) -> None:
    """Interleaved, in this process: our worker against plain `optimize` on SQLite as Optuna opens it."""
    ours, plain = [], []
    for i in range(5):
        ours.append(_timed_worker(overrides(folder, f"sqlite:///{folder}/ours{i}.db", 60)))
        plain.append(_timed_optimize(f"sqlite:///{folder}/plain{i}.db", 60))
    a, b = statistics.median(ours), statistics.median(plain)
    print(f"\nno-op trial on SQLite, 5 parameters, 5 reports: {a:.0f} ms; plain optimize {b:.0f} ms; ratio {a / b:.2f}")


def _timed_worker(asked: list[str]) -> float:
    open_study(settings_of(asked), open_storage(settings_of(asked).storage.address))
    begun = time.perf_counter()
    sleep_and_work(asked, Sleeper([0.0]))
    return 1e3 * (time.perf_counter() - begun) / 60


def _timed_optimize(url: str, n_trials: int) -> float:
    study = optuna.create_study(storage=url, sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        values = [trial.suggest_float(f"x{i}", 0, 1) for i in range(5)]
        for rung in range(1, 6):
            trial.report(values[0], rung)
            trial.should_prune()
        return values[0]

    begun = time.perf_counter()
    study.optimize(objective, n_trials=n_trials)
    return 1e3 * (time.perf_counter() - begun) / n_trials


PARTS = {"workers": many_workers, "storages": storages, "growth": growth, "uneven": uneven, "no_op": no_op}


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, postgresql() as server:
        for part in sys.argv[1:] or PARTS:
            PARTS[part](Path(folder), server)


if __name__ == "__main__":
    main()
