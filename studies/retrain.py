"""`python -m studies.retrain +study=NAME [trial=best|N]`, or `config=best.yaml`: train one point, test it once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from studies.command import INTERRUPTED_EXIT_CODE, command
from studies.errors import BadInput, Problem

if TYPE_CHECKING:
    from rich.console import Console

KEYS = ("model", "training_seed", "objective", "budget")


def retrain(config: DictConfig) -> int:
    """Train the chosen configuration, keep its checkpoint, and print its test metrics with a 95 % interval."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if config.config is not None:
        chosen, folder = _from_file(Path(config.config)), Path(config.config).resolve().parent
    else:
        chosen, folder = _from_study(config)
    return _train_and_test(chosen, folder / "retrain", console)


def _from_file(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        chosen = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        complaint = f"is {path}, which cannot be read ({error})"
        raise BadInput([Problem("config", complaint, "give the path of a best.yaml")]) from None
    missing = [key for key in KEYS if not isinstance(chosen, dict) or key not in chosen]
    missing = missing or [f"budget.{key}" for key in ("unit", "amount", "rungs") if key not in chosen["budget"]]
    if missing:
        complaint = f"is {path}, which lacks {', '.join(missing)}"
        raise BadInput([Problem("config", complaint, "give a best.yaml that a study wrote")])
    return dict(chosen)


def _from_study(config: DictConfig) -> tuple[Mapping[str, Any], Path]:
    from studies.admission import admit
    from studies.report.best_yaml import chosen
    from studies.report.report import best_of
    from studies.storage.identity import find_study

    settings, storage = admit(config)
    study, settings = find_study(settings, storage)
    trials = study.get_trials(deepcopy=False) if study is not None else []
    if config.trial == "best":
        trial = best_of(trials, maximize=settings.objective.direction == "maximize")
    else:
        trial = next((trial for trial in trials if trial.number == config.trial), None)
    if trial is None or not trial.params or "seed" not in trial.user_attrs:
        remedy = (
            "run the study first: python -m studies.run" if not trials else f"give best, or one of 0…{len(trials) - 1}"
        )
        complaint = f"is {config.trial}, and study {settings.study_name} has no such trial with a configuration"
        raise BadInput([Problem("trial", complaint, remedy)])
    return chosen(settings, trial), settings.output_dir


def _train_and_test(chosen: Mapping[str, Any], folder: Path, console: Console) -> int:
    from studies.budget import Budget
    from studies.signals import StopSignals
    from studies.trial.callbacks import Interrupted
    from studies.trial.testing import train_and_test

    folder.mkdir(parents=True, exist_ok=True)
    budget, metric = Budget(**chosen["budget"]), chosen["objective"]["metric"]
    console.print(f"training {_origin(chosen)} for {budget.amount} {budget.unit}")
    signals = StopSignals().install()
    try:
        tested = train_and_test(
            chosen,
            metric=metric,
            budget=budget,
            seed=chosen["training_seed"],
            folder=folder,
            interrupted=signals.reason,
        )
    except Interrupted as error:
        console.print(f"interrupted ({error})")
        return INTERRUPTED_EXIT_CODE
    console.print(f"{metric} {tested.value:.4f} at the last rung" + _in_search(chosen))
    for name, value in tested.metrics.items():
        console.print(f"{name} {value:.4f}{tested.interval(name)}")
    console.print(f"checkpoint: {tested.checkpoint}")
    return 0


def _origin(chosen: Mapping[str, Any]) -> str:
    return f"trial {chosen['trial']} of study {chosen['study']}" if "trial" in chosen else "the configuration"


def _in_search(chosen: Mapping[str, Any]) -> str:
    value = chosen.get("value")
    return f" ({value:.4f} in the search)" if isinstance(value, float) else ""


main = command(retrain)

if __name__ == "__main__":
    main()
