"""Test-set evaluations: how often retrainings, trials and a selection have evaluated the test part.

Each retraining counts its evaluations in the `result.yaml` beside its checkpoint. Those of the study are in its trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from optuna.trial import FrozenTrial

from studies import schema
from studies.selection.steps import Selection
from studies.text.wording import counted, listed
from studies.text.yaml_text import parsed, read_yaml_text

KEY = "test_set_evaluations"  # of result.yaml
N_SAMPLES = "n_test_samples"  # of a result.yaml without that key: above 0 after one evaluation


def retrainings(folder: Path) -> int:
    """Count the test-set evaluations of the retrainings below `folder`."""
    return sum(_in_result(path) for path in folder.glob("*/result.yaml"))


def count_evaluation(folder: Path, *, before: int) -> None:
    """Add one to the evaluations `before`, in the result of a retraining that was just written into `folder`."""
    path = folder / "result.yaml"
    known = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**known, KEY: before + 1}, allow_unicode=True), encoding="utf-8")


def evaluations_in(folder: Path) -> int:
    """Count the test-set evaluations of the configuration that is retrained in `folder`."""
    return _in_result(folder / "result.yaml")


def of_study(trials: Sequence[FrozenTrial], selection: Selection | None) -> Iterator[str]:
    """Yield who evaluated the test part within the study, in words."""
    n_trials = _n_tested(trials)
    if n_trials:
        yield f"by {counted(n_trials, 'trial', 'trials')} of the study (objective.test)"
    n_fresh = _n_tested([trial for race in selection.races for trial in race.fresh]) if selection else 0
    if n_fresh:
        yield _by_selection(n_fresh)


def of_file(chosen: Mapping[str, Any]) -> Iterator[str]:
    """Yield the same, as far as a best.yaml tells."""
    if chosen["objective"].get("test"):
        yield "by the trials of the study (objective.test)"
    tests = ((chosen.get("selection") or {}).get("test") or {}).values()
    if tests:
        yield _by_selection(max(test["n_seeds"] for test in tests))


def in_words(n_retrainings: int, of_study: Sequence[str]) -> str | None:
    """Return all evaluations in a note. None if there was none."""
    times = "once" if n_retrainings == 1 else f"{n_retrainings} times"
    who = [*([f"{times} by studies.retrain"] if n_retrainings else []), *of_study]
    if not who:
        return None
    return f"the test part was evaluated before: {listed(who)}. Choosing by it makes its results optimistic"


def _by_selection(n: int) -> str:
    return f"by {counted(n, 'training', 'trainings')} of its selection"


def _n_tested(trials: Sequence[FrozenTrial]) -> int:
    return sum(bool(trial.user_attrs.get(schema.TEST)) for trial in trials)


def _in_result(path: Path) -> int:
    """Return the evaluations that the result at `path` records. An unreadable result counts as one."""
    if not path.is_file():
        return 0
    try:
        found = parsed(read_yaml_text(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return 1
    if not isinstance(found, Mapping):
        return 0
    n, n_samples = found.get(KEY), found.get(N_SAMPLES, 0)
    if isinstance(n, int) and n >= 0:
        return int(n)
    return int(n_samples > 0) if isinstance(n_samples, int | float) and KEY not in found else 1
