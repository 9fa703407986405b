"""The conditions of measured times: the device, and how many trials ran at once on one machine.

Seconds are wall clock. Those of different devices or numbers of threads are not compared. On a machine that runs
several trials at once they are longer than alone.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from studies import schema


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the times of trials came about.

    comparable: the trials on the device of most trials
    device: that device, in words
    others: the number of trials on each other device
    n_machines: of the comparable trials
    n_at_once: how many trials ran at the same time on one of these machines, at most
    """

    comparable: Sequence[FrozenTrial]
    device: str
    others: dict[str, int]
    n_machines: int
    n_at_once: int


def conditions_of(trials: Sequence[FrozenTrial], everything: Sequence[FrozenTrial]) -> Conditions:
    """Return the conditions of `trials`, which shared their machines with some of `everything` in the study."""
    counts = Counter(device_of(trial) for trial in trials)
    device = counts.most_common(1)[0][0] if counts else "unknown device"
    comparable = [trial for trial in trials if device_of(trial) == device]
    machines = {machine_of(trial) for trial in comparable}
    on_machine: dict[str, list[FrozenTrial]] = defaultdict(list)
    for trial in everything:
        on_machine[machine_of(trial)].append(trial)
    return Conditions(
        comparable,
        device,
        {name: n for name, n in counts.items() if name != device},
        len(machines),
        max((_at_once(on_machine[machine]) for machine in machines), default=0),
    )


def device_of(trial: FrozenTrial) -> str:
    """Return the kind of device that `trial` was measured on, and its threads on a CPU, in words."""
    kind = re.sub(r":\d+$", "", str(trial.user_attrs.get(schema.DEVICE, "unknown device")))
    threads = trial.user_attrs.get(schema.THREADS)
    return f"{kind}, {threads} thread{'s' if threads != 1 else ''}" if threads and kind.endswith("cpu") else kind


def machine_of(trial: FrozenTrial) -> str:
    """Return the machine that `trial` ran on."""
    return str(trial.user_attrs.get(schema.WORKER, "")).rpartition(":")[0]


def _at_once(trials: Sequence[FrozenTrial]) -> int:
    """Return the most trials that ran at the same time."""
    spans = [(t.datetime_start, t.datetime_complete) for t in trials]
    events = [(end, -1) for begin, end in spans if begin is not None and end is not None]
    events += [(begin, 1) for begin, end in spans if begin is not None and end is not None]
    running = most = 0
    for _, change in sorted(events):  # of equal times the end comes first
        running += change
        most = max(most, running)
    return most
