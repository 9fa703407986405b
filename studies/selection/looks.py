"""How often the test part was looked at before a retraining looks at it again: by retrainings, trials and a selection.

Retrainings are counted in the `result.yaml` that each leaves beside its checkpoint (`looks`); what the study tested
itself is in its trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from studies import schema
from studies.text.wording import counted, listed
from studies.text.yaml_text import parsed, read_yaml_text

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from studies.selection.steps import Selection

KEY = "looks"  # of result.yaml: how often the test part was looked at for it
BEFORE_COUNTING = "n_test_samples"  # of a result.yaml without that key: above 0 where it was looked at, once


def retrainings(folder: Path) -> int:
    """How often retrainings that left their results below `folder` have looked."""
    return sum(_in_result(path) for path in folder.glob("*/result.yaml"))


def count_look(folder: Path, *, before: int) -> None:
    """Note in the result of a retraining, just written into `folder`, that it looked once more than `before`."""
    path = folder / "result.yaml"
    known = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**known, KEY: before + 1}, allow_unicode=True), encoding="utf-8")


def looks_for(folder: Path) -> int:
    """How often the configuration that is retrained in `folder` was looked at."""
    return _in_result(folder / "result.yaml")


def of_study(trials: Sequence[FrozenTrial], selection: Selection | None) -> Iterator[str]:
    """Who looked in the study itself, in words."""
    n_trials = _n_tested(trials)
    if n_trials:
        yield f"by {counted(n_trials, 'trial', 'trials')} of the study (objective.test)"
    n_fresh = _n_tested([trial for contest in selection.contests for trial in contest.fresh]) if selection else 0
    if n_fresh:
        yield _by_selection(n_fresh)


def of_file(chosen: Mapping[str, Any]) -> Iterator[str]:
    """The same, as far as a best.yaml tells."""
    if chosen["objective"].get("test"):
        yield "by the trials of the study (objective.test)"
    tests = ((chosen.get("selection") or {}).get("test") or {}).values()
    if tests:
        yield _by_selection(max(test["n_seeds"] for test in tests))


def in_words(n_retrainings: int, of_study: Sequence[str]) -> str | None:
    """All looks in a sentence; None where there was none."""
    times = "once" if n_retrainings == 1 else f"{n_retrainings} times"
    who = [*([f"{times} by studies.retrain"] if n_retrainings else []), *of_study]
    if not who:
        return None
    return f"the test part was looked at before: {listed(who)}; choosing by it makes it optimistic"


def _by_selection(n: int) -> str:
    return f"by {counted(n, 'training', 'trainings')} of its selection"


def _n_tested(trials: Sequence[FrozenTrial]) -> int:
    return sum(bool(trial.user_attrs.get(schema.TEST)) for trial in trials)


def _in_result(path: Path) -> int:
    """Return how often was looked for the result at `path`. One that nobody can read counts as one look."""
    if not path.is_file():
        return 0
    try:
        found = parsed(read_yaml_text(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return 1
    if not isinstance(found, Mapping):
        return 0
    looks, n_samples = found.get(KEY), found.get(BEFORE_COUNTING, 0)
    if isinstance(looks, int) and looks >= 0:
        return int(looks)
    return int(n_samples > 0) if isinstance(n_samples, int | float) and KEY not in found else 1
