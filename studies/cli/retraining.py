"""One configuration, trained in full and tested once, in a folder of its own."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from studies.cli.command import INTERRUPTED_EXIT_CODE
from studies.config.budget import Budget
from studies.errors import BadInput, Problem, StudyError
from studies.process.leaving import children_ended
from studies.process.signals import StopSignals
from studies.reporting.wording import estimate_text
from studies.selection.evaluations import count_evaluation, evaluations_in, in_words, retrainings
from studies.text.wording import nearby
from studies.trial.checkpoints.files import symlink_target
from studies.trial.failures import classify, traced
from studies.trial.process_state.state import kept
from studies.trial.retraining import LEFT, train_and_test
from studies.trial.rungs.rungs import Interrupted

MOST_TRIALS = 10**18  # a number with more digits makes no good name of a folder
NOT_TESTED = "not tested: the module has no test_step with a test_dataloader beside it"


def make_folder(chosen: Mapping[str, Any], folder: Path, *, key: str) -> Path:
    """Make and return the folder of this retraining below `folder`, which the given `key` names.

    Raises `BadInput` if `trial` is no number, a symbolic link leads elsewhere, or nothing can be made.
    """
    own = folder / "retrain" / (f"trial-{_number_of(chosen['trial'])}" if "trial" in chosen else "configuration")
    for place in (own, *(own / name for name in (*LEFT, "checkpoints"))):
        real = symlink_target(place, output_dir=folder)
        if real is not None:
            raise BadInput([Problem(key, f"has {place} beside it, which a link leads to {real}", "remove the link")])
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remedy = "give a file in a folder you can write to" if key == "config" else "name a folder you can write to"
        raise BadInput([Problem(key, f"needs {own}, which cannot be made ({error.strerror})", remedy)]) from None
    return own


def train_and_tell(chosen: Mapping[str, Any], folder: Path, console: Console, *, evaluated: Sequence[str]) -> int:
    """Train and test the configuration in `folder`, and print its metrics. Return the exit code.

    `evaluated` says who evaluated the test part before. Raises `StudyError` if the training fails.
    """
    earlier, own = retrainings(folder.parent), evaluations_in(folder)
    for line in _plan_lines(chosen):
        console.print(line)
    signals, folder = StopSignals().install(), folder.absolute()  # a module may change the working folder
    try:
        with children_ended(console.print), kept():
            budget = Budget(**chosen["budget"])
            tested = train_and_test(chosen, budget=budget, folder=folder, interrupted=signals.reason)
    except Interrupted as error:
        console.print(f"interrupted ({error})")
        return INTERRUPTED_EXIT_CODE
    except StudyError:
        raise
    except Exception as error:
        (folder / "error.log").write_text(traced(error), encoding="utf-8", errors="backslashreplace")
        raise StudyError(f"the training failed ({classify(error)[1]}). See {nearby(folder / 'error.log')}") from error
    console.print(_value_line(chosen, tested.value))
    for name in tested.metrics:
        found = tested.estimate(name)
        samples = f" (n = {found.n} test samples)" if found.n else ""
        text = f"{found.value:.4f}" if found.lo is None else estimate_text(found)  # NaN is told as such
        console.print(f"{name} {text}{samples}")
    if tested.metrics:
        count_evaluation(folder, before=own)
        note = in_words(earlier, evaluated)
        console.print(f"note: {note}") if note is not None else None
    else:
        console.print(NOT_TESTED)
    console.print(f"checkpoint: {nearby(tested.checkpoint)}")
    return 0


def _number_of(trial: Any) -> int:
    """Return the number of a trial. Raises `BadInput` for anything else."""
    if not isinstance(trial, int) or isinstance(trial, bool) or not 0 <= trial < MOST_TRIALS:
        remedy = "give the number of a trial, a whole number from 0 on, or leave trial out"
        raise BadInput([Problem("trial", f"is {reprlib.repr(trial)}", remedy)])
    return trial


def _plan_lines(chosen: Mapping[str, Any]) -> Iterator[str]:
    """Yield the origin and budget of the training, and a difference from the study."""
    of_study = f" of study {chosen['study']}" if "study" in chosen else ""
    origin = f"trial {chosen['trial']}{of_study}" if "trial" in chosen else "the configuration"
    yield f"training {origin} for {chosen['budget']['amount']} {chosen['budget']['unit']}"
    if (each := chosen.get("devices_per_trial") or 1) > 1:
        yield f"note: the study trained on {each} devices at once. Here one device takes {each} batches a step instead"


def _value_line(chosen: Mapping[str, Any], value: float) -> str:
    """Return the validation value, beside that of the search."""
    return f"{chosen['objective']['metric']} {value:.4f} at the last rung{_in_search(chosen)}"


def _in_search(chosen: Mapping[str, Any]) -> str:
    value, n_seeds = chosen.get("value"), chosen.get("n_seeds") or 1
    if "rung" in chosen and value is None:
        return " (in the search it gave no value)"
    if "rung" in chosen:
        return f" ({value:.4f} at rung {chosen['rung']}, the last of its trial)"
    if not isinstance(value, float):
        return ""
    if "selection" in chosen and n_seeds == 1:
        return f" ({value:.4f} in one training of the selection)"
    if "selection" in chosen:
        return f" ({value:.4f} expected, mean of {n_seeds} fresh seeds)"
    over = f", mean of {n_seeds} seeds" if n_seeds > 1 else ""
    return f" ({value:.4f} in the search{over})"
