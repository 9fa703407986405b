"""What the framework costs: the same 18 trainings by its own trial path and by a hand-written PyTorch loop.

Learning rate 1e-4, 1e-3, 1e-2 × batch 32, 128, 512 × width 64, 256; one hidden layer, Adam (fused), 3 epochs with a
validation each, 4,000 embedded MNIST images, one thread. Each training runs both ways in turn, several times over;
medians are summed. Imports and data parsing are not timed. Also the fixed cost of a trial: everything around a training
of no epochs, storage in memory included.

    python benchmarks/overhead.py [repeats]
"""

from __future__ import annotations

import itertools
import logging
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import optuna
import torch
from torch import nn

from lightning_modules import MNIST
from lightning_modules.data.prepared import Part
from lightning_modules.loader import TensorLoader
from studies.config.budget import Budget
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.trial.job import Job
from studies.trial.objective import run_trial

LEARNING_RATES, BATCH_SIZES, WIDTHS = (1e-4, 1e-3, 1e-2), (32, 128, 512), (64, 256)
EPOCHS, N_TRAIN = 3, 4000
TARGET_RATIO, TARGET_FIXED_S = 1.5, 0.2


class Images(MNIST):
    """The embedded images, 4,000 to train on and 750 to validate."""

    def setup(self, stage: str | None = None) -> None:
        """Join parts to 4,000."""
        super().setup(stage)
        (images, labels), (more, their_labels) = self.train, self.test
        self.train = _joined(images, labels, more, their_labels)


_cache: dict[int, Part] = {}


def _joined(*parts: torch.Tensor) -> Part:
    images, labels, more, their_labels = parts
    if not _cache:
        _cache[0] = (torch.cat([images, more])[:N_TRAIN], torch.cat([labels, their_labels])[:N_TRAIN])
    return _cache[0]


def settings() -> StudySettings:
    overrides = [
        "+study=mnist",
        "search_space=lr_batch_size",
        "search_space.lr.low=1e-5",
        "search_space.batch_size.high=512",
        "+search_space.width={path: model.network.width, type: power_of_two, low: 64, high: 256}",
        "datamodule._target_=__main__.Images",
        f"budget.amount={EPOCHS}",
        "pruner=none",
        "storage=memory",
        "launcher=serial",
        "checkpoint.keep_best=0",
    ]
    return parse_settings(compose(overrides))


def by_framework(config: StudySettings, study: optuna.Study, point: dict[str, float]) -> float:
    """Seconds of the training alone, as the trial records them."""
    study.enqueue_trial(point)
    trial = study.ask()
    outcome = run_trial(trial, config, seed=0, interrupted=lambda: None)
    assert outcome.value is not None, outcome
    study.tell(trial, outcome.value)
    return float(outcome.attributes["seconds"])


def by_hand(data: Images, *, lr: float, batch_size: int, width: int) -> float:
    """Seconds of the same training as one would write it without any framework."""
    torch.manual_seed(0)
    begun = time.perf_counter()
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=lr, fused=True)
    loss_of = nn.CrossEntropyLoss()
    train = TensorLoader(*data.train, batch_size=batch_size, shuffle=True)
    validate = TensorLoader(*data.val, batch_size=data.eval_batch_size, shuffle=False)
    for _ in range(EPOCHS):
        network.train()
        total = torch.zeros(())
        for images, labels in train:
            optimizer.zero_grad()
            loss = loss_of(network(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(labels)
        network.eval()
        with torch.no_grad():
            lost, right = torch.zeros(()), torch.zeros(())
            for images, labels in validate:
                logits = network(images)
                lost += loss_of(logits, labels) * len(labels)
                right += (logits.argmax(1) == labels).sum()
            lost.item(), right.item()
    return time.perf_counter() - begun


def fixed_cost(config: StudySettings, repeats: int) -> float:
    """Seconds of a trial that trains nothing: config, module, data, Trainer and a fit of no epochs."""
    from studies.trial.point_config import PointConfig

    def once() -> float:
        begun = time.perf_counter()
        resolved = PointConfig(config, {"lr": 1e-3, "batch_size": 128, "width": 64}).resolved()
        Job(resolved, "val/accuracy", Budget("epochs", 0, 0), 0, config.output_dir).build().fit()
        return time.perf_counter() - begun

    return median(once() for _ in range(repeats))


def measure(repeats: int) -> tuple[dict[tuple[int, int], tuple[float, float]], float]:
    """Seconds by framework and by hand for each (batch size, width), summed over learning rates; and the fixed cost."""
    config, data = settings(), Images()
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    data.setup()
    sums: dict[tuple[int, int], tuple[float, float]] = {}
    ways: dict[str, Callable[..., float]] = {}
    for lr, batch_size, width in itertools.product(LEARNING_RATES, BATCH_SIZES, WIDTHS):
        point = {"lr": lr, "batch_size": batch_size, "width": width}
        ways = {
            "framework": lambda point=point: by_framework(config, study, point),
            "hand": lambda point=point: by_hand(data, **point),
        }
        if not sums:
            ways["framework"](), ways["hand"]()  # what happens once only
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                seconds[name].append(way())
        before = sums.get((batch_size, width), (0.0, 0.0))
        sums[batch_size, width] = (before[0] + median(seconds["framework"]), before[1] + median(seconds["hand"]))
    return sums, fixed_cost(config, 5 * repeats)


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("studies").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sums, fixed_s = measure(repeats)
    print("batch  width  framework s  by hand s  ratio   (three learning rates each)")
    for (batch_size, width), (ours, theirs) in sorted(sums.items()):
        print(f"{batch_size:5} {width:6} {ours:12.3f} {theirs:10.3f} {ours / theirs:6.2f}")
    ours, theirs = (sum(pair[i] for pair in sums.values()) for i in (0, 1))
    print(f"all 18        {ours:10.3f} {theirs:10.3f} {ours / theirs:6.2f}   target ≤ {TARGET_RATIO}")
    print(f"fixed cost of a trial {fixed_s:.3f} s   target ≤ {TARGET_FIXED_S} s")


if __name__ == "__main__":
    main()
