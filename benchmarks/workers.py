"""How much faster two workers finish the same grid than one, from the first step to the last.

Learning rate × batch size × replicates on the embedded MNIST images, one thread a worker, no pruning. The two ways run
in turn; the time runs from the start of the first trial to the end of the last one. On a machine with other work the
ratio says little: it needs two free cores.

    python benchmarks/workers.py [repeats]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import optuna

TARGET = 1.55
GRID = ("+study=mnist", "search_space=lr_batch_size", "sampler=grid", "n_trials=null", "pruner=none", "replicates=2")


def seconds(n_workers: int, data: Path) -> float:
    """Seconds from the first step to the last."""
    with tempfile.TemporaryDirectory() as folder:
        places = (f"output_dir={folder}/out", f"storage.url=sqlite:///{folder}/s.db", f"datamodule.data_dir={data}")
        workers = (
            f"workers={n_workers}",
            "launcher.threads_per_worker=1",
            "search_space.batch_size.levels=[32,64,128]",
        )
        command = [sys.executable, "-m", "studies.run", *GRID, *places, *workers]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        trials = optuna.load_study(study_name="mnist", storage=f"sqlite:///{folder}/s.db").trials
    begun = min(trial.datetime_start for trial in trials if trial.datetime_start)
    ended = max(trial.datetime_complete for trial in trials if trial.datetime_complete)
    return (ended - begun).total_seconds()


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = Path("data").resolve()
    pairs = [(seconds(1, data), seconds(2, data)) for _ in range(repeats)]
    for one, two in pairs:
        print(f"24 trainings: 1 worker {one:.1f} s, 2 workers {two:.1f} s, {one / two:.2f} times as fast")
    ratio = median(one for one, _ in pairs) / median(two for _, two in pairs)
    print(f"2 workers against 1: {ratio:.2f} times as fast   target ≥ {TARGET}")


if __name__ == "__main__":
    main()
