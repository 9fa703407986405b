"""`python -m studies.retrain +study=NAME [trial=best|N]`, or `config=best.yaml`: train one point, test it once."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from studies.cli.command import INTERRUPTED_EXIT_CODE, command
from studies.config.composing.own_options import BY_PATH
from studies.errors import BadInput, Problem, StudyChanged, StudyError

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from rich.console import Console

MOST_TRIALS = 10**18  # a number with more digits makes no good name of a folder


def retrain(config: DictConfig) -> int:
    """Train the chosen configuration, keep its checkpoint, and print its test metrics with a 95 % interval."""
    from studies.cli.console import make_console
    from studies.selection.evaluations import of_file

    console = make_console()
    if config.config is not None:
        _refuse_other_overrides()
        chosen, folder = _from_file(config.config)
        evaluated = list(of_file(chosen))
    else:
        chosen, folder, evaluated = _from_study(config, console)
    _refuse_procedure(chosen)
    own = make_folder(chosen, folder, key="output_dir" if config.config is None else "config")
    return _train_and_test(chosen, own, console, evaluated=evaluated)


def _refuse_other_overrides() -> None:
    from hydra.core.hydra_config import HydraConfig

    from studies.config.composing.configs import given_overrides

    given = given_overrides() if HydraConfig.initialized() else []  # called from Python, there are none
    others = [override for override in given if not override.startswith("config=")]
    if others:
        remedy = "edit the file, or leave config= out and name the study"
        complaint = "would be ignored, since config= names a whole configuration"
        named = [override.replace(f"+{BY_PATH}=", "the study file ") for override in others]
        raise BadInput([Problem(override, complaint, remedy) for override in named])


def _refuse_procedure(chosen: Mapping[str, Any]) -> None:
    from studies.trial.procedures.procedure import is_procedure

    if is_procedure(chosen):
        complaint = f"is {chosen['model']['_target_']}, a procedure, which leaves nothing to train and test"
        remedy = "read what it gave in trials.csv; to run it once more, run its study under another study_name"
        raise BadInput([Problem("model._target_", complaint, remedy)])


def make_folder(chosen: Mapping[str, Any], folder: Path, *, key: str) -> Path:
    """Make and return the folder of this retraining below `folder`.

    Raises `BadInput` where `trial` is no number, where a symbolic link leads elsewhere, and where nothing can be made.
    """
    from studies.trial.checkpoints.files import symlink_target
    from studies.trial.retraining import LEFT

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


def _number_of(trial: Any) -> int:
    if not isinstance(trial, int) or isinstance(trial, bool) or not 0 <= trial < MOST_TRIALS:
        remedy = "give the number of a trial, a whole number from 0 on, or leave trial out"
        raise BadInput([Problem("trial", f"is {reprlib.repr(trial)}", remedy)])
    return trial


def _from_file(given: object) -> tuple[Mapping[str, Any], Path]:
    """The configuration in the file that `config` names, and the file's folder."""
    from studies.config.parsing.configuration import read_configuration

    if not isinstance(given, str) or not given.strip() or "\0" in given:
        raise BadInput([Problem("config", f"is {given!r}", "give the path of a best.yaml")])
    path = Path(os.path.expanduser(given))  # noqa: PTH111 - a user who is unknown stays as written
    return read_configuration(path), path.resolve().parent


def _from_study(config: DictConfig, console: Console) -> tuple[Mapping[str, Any], Path, list[str]]:
    """The chosen configuration, the study's folder, and who of the study has looked at the test part."""
    from studies.analysis.choice import Choice, ranked
    from studies.analysis.estimate import Estimate
    from studies.cli.validation import validate_and_open
    from studies.hypotheses.parts import part_names
    from studies.records.objectives import by_first
    from studies.selection.chosen import chosen, is_told_by_hand, selected
    from studies.selection.evaluations import of_study
    from studies.selection.run import selection_of
    from studies.storage.identity import find_study
    from studies.text.quoting import pasted

    parts = part_names(config)
    if parts:
        remedy = " or ".join(pasted("config", f"{config.output_dir}/{name}/best.yaml") for name in parts)
        complaint = f"is {config.study_name}, which is made of the studies {', '.join(parts)}"
        raise BadInput([Problem("study_name", complaint, f"say which one to train: {remedy}")])
    settings, storage = validate_and_open(config, to_read=True)
    try:
        study, settings = find_study(settings, storage)
    except StudyChanged as error:
        own = pasted("config", settings.output_dir / "best.yaml")
        remedy = f"give the overrides that the study was run with, or {own} alone"
        raise BadInput([Problem(p.key, p.complaint, remedy) for p in error.problems]) from None
    every = study.get_trials(deepcopy=False) if study is not None else []
    trials = by_first(every)
    selection = selection_of(settings, trials, storage)
    evaluated = list(of_study(trials, selection))
    winner = selected(settings, selection) if selection is not None and config.trial == "best" else None
    if winner is not None:
        return winner, settings.output_dir, evaluated
    if config.trial == "best" and settings.select.name != "none":
        console.print("note: nothing is selected yet, so this is the best of the search (studies.run goes on)")
    objective = settings.objective
    choices = ranked(
        every,
        maximize=objective.maximize,
        by_point=settings.is_designed,
        then_maximize=objective.then_maximize,
    )
    if config.trial != "best":
        choices = [Choice(t, Estimate(t.value or 0.0, n=1)) for t in trials if t.number == config.trial and t.params]
    if choices and is_told_by_hand(choices[0].trial):
        number = choices[0].trial.number
        complaint = f"is {config.trial}, and trial {number} has no training seed, for no worker trained it"
        raise BadInput([Problem("trial", complaint, "give the number of a trial that studies.run has trained")])
    if not choices:
        last = len(trials) - 1
        remedy = f"give best, or one of 0…{last}" if trials else "run it first by studies.run, or correct study_name"
        complaint = f"is {config.trial}, and study {settings.study_name} has no such trial with a configuration"
        if study is None:
            complaint = f"is {config.trial}, and the storage has no study {settings.study_name}"
        raise BadInput([Problem("trial", complaint, remedy)])
    found = chosen(settings, choices[0]) | _as_far_as_it_came(choices[0].trial)
    return found, settings.output_dir, evaluated


def _as_far_as_it_came(trial: FrozenTrial) -> dict[str, Any]:
    """Return the last rung of a trial that did not come to its end, with the value there."""
    from optuna.trial import TrialState

    from studies import schema

    if trial.state == TrialState.COMPLETE:
        return {}
    rungs = dict(trial.user_attrs.get(schema.RUNGS, ())) | trial.intermediate_values
    last = max(rungs, default=0)
    return {"value": rungs.get(last), "rung": last}


def _train_and_test(chosen: Mapping[str, Any], folder: Path, console: Console, *, evaluated: Sequence[str]) -> int:
    from studies.config.budget import Budget
    from studies.process.leaving import children_ended
    from studies.process.signals import StopSignals
    from studies.selection.evaluations import count_evaluation, evaluations_in, in_words, retrainings
    from studies.text.wording import nearby
    from studies.trial.failures import classify, traced
    from studies.trial.process_state.state import kept
    from studies.trial.retraining import train_and_test
    from studies.trial.rungs.rungs import Interrupted

    earlier, own = retrainings(folder.parent), evaluations_in(folder)
    console.print(f"training {_origin(chosen)} for {chosen['budget']['amount']} {chosen['budget']['unit']}")
    if (each := chosen.get("devices_per_trial") or 1) > 1:
        console.print(
            f"note: the study trained on {each} devices at once; here one does, {each} batches a step instead"
        )
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
        raise StudyError(f"the training failed ({classify(error)[1]}); see {nearby(folder / 'error.log')}") from error
    console.print(f"{chosen['objective']['metric']} {tested.value:.4f} at the last rung" + _in_search(chosen))
    for name, value in tested.metrics.items():
        console.print(f"{name} {value:.4f}{tested.interval(name)}")
    if not tested.metrics:
        console.print("not tested: the module has no test_step with a test_dataloader beside it")
    else:
        count_evaluation(folder, before=own)
        note = in_words(earlier, evaluated)
        console.print(f"note: {note}") if note is not None else None
    console.print(f"checkpoint: {nearby(tested.checkpoint)}")
    return 0


def _origin(chosen: Mapping[str, Any]) -> str:
    of_study = f" of study {chosen['study']}" if "study" in chosen else ""
    return f"trial {chosen['trial']}{of_study}" if "trial" in chosen else "the configuration"


def _in_search(chosen: Mapping[str, Any]) -> str:
    value, n_seeds = chosen.get("value"), chosen.get("n_seeds") or 1
    if "rung" in chosen:
        return (
            " (in the search it gave no value)"
            if value is None
            else f" ({value:.4f} at rung {chosen['rung']}, the last of its trial)"
        )
    over = f", mean of {n_seeds} seeds" if n_seeds > 1 else ""
    if "selection" in chosen and isinstance(value, float) and n_seeds == 1:
        return f" ({value:.4f} in one training of the selection)"
    if "selection" in chosen and isinstance(value, float):
        return f" ({value:.4f} expected, mean of {n_seeds} fresh seeds)"
    return f" ({value:.4f} in the search{over})" if isinstance(value, float) else ""


main = command(retrain)

if __name__ == "__main__":
    main()
