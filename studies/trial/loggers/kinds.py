"""Knows Lightning's own loggers: how each gets a run of its own, is kept from its server, and ends its run.

A class is recognised by its name and the names of its bases. So a user's subclass is of the same kind, and the two
Lightning packages are alike.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from studies.config.targets import signature_of, target_of
from studies.errors import Problems
from studies.trial.loggers.tracked_run import TrackedRun

REMEDY = "remove it: each trial and each retraining gets one of its own"
FOLDERS = ("save_dir", "dir", "root_dir", "log_dir")  # names for the folder of a logger
GOOD = ("complete", "pruned")  # states of a training that ended as it should
MLFLOW_STATES = {"complete": "FINISHED", "pruned": "FINISHED", "killed": "KILLED"}  # any other: FAILED
WANDB_EXIT_CODES = {"complete": 0, "pruned": 0, "killed": 255}  # any other: 1; 255 is W&B's own of an interrupt
ENDS = ("finish", "stop", "end")  # how the experiments of other trackers are ended


@dataclass(frozen=True, slots=True)
class Kind:
    """One of Lightning's loggers. It needs one of `modules`. Its arguments `fixed` name one run."""

    name: str
    fixed: tuple[str, ...]
    modules: tuple[str, ...] = ()
    extra: str = ""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("WandbLogger", ("id", "version"), ("wandb",), "lightning-studies[wandb]"),
        Kind("MLFlowLogger", ("run_id",), ("mlflow",), "lightning-studies[mlflow]"),
        Kind("TensorBoardLogger", ("version",), ("tensorboard", "tensorboardX"), "lightning-studies[tensorboard]"),
        Kind("CSVLogger", ("version",)),
        Kind("CometLogger", ("experiment_key",), ("comet_ml",), "comet-ml"),
        Kind("NeptuneLogger", ("run", "with_id"), ("neptune",), "neptune"),
    )
}
IN_FOLDERS = ("TensorBoardLogger", "CSVLogger")  # they write save_dir/name/version


def kind_of(target: Any) -> str:
    """Return the name of Lightning's own class behind a logger class. Empty for another class and for a function."""
    names = [base.__name__ for base in target.__mro__] if inspect.isclass(target) else []
    return next((name for name in names if name in KINDS), "")


def logger_problems(config: Mapping[str, Any], problems: Problems) -> None:
    """Note each logger in `config` without its package, and each that would mix all trainings in one run."""
    for name, node in (config.get("loggers") or {}).items():
        kind = KINDS.get(kind_of(target_of(node)))
        if kind is None:
            continue
        if kind.modules and not any(_is_installed(module) for module in kind.modules):
            complaint = f"is a {kind.name}, and {kind.modules[0]} is not installed"
            problems.add(f"loggers.{name}", complaint, f"pip install '{kind.extra}', or remove the logger")
        for key in kind.fixed:
            if node.get(key) is not None:
                problems.add(
                    f"loggers.{name}.{key}", f"is {node[key]!r}, which would mix all trials in one run", REMEDY
                )
        if kind.name == "WandbLogger" and node.get("resume") not in (None, False, "allow", "never"):
            complaint = f"is {node['resume']!r}, and each trial is a new run"
            problems.add(f"loggers.{name}.resume", complaint, "remove it")


def own_run(node: Mapping[str, Any], run: TrackedRun, *, claims: bool) -> dict[str, Any]:
    """Return the arguments for a run of its own. Arguments in the config `node` stay as they are.

    With `claims`, the run's folder is made here, so that no other process takes it.
    """
    target = target_of(node)
    kind, accepts = kind_of(target), _accepts(target)
    wanted = _wanted(kind, run)
    given = {key: value for key, value in wanted.items() if node.get(key) is None and accepts(key)}
    if kind == "MLFlowLogger" and accepts("tags"):
        given["tags"] = {"study": run.study, "kind": run.kind, **(node.get("tags") or {})}
    if kind in IN_FOLDERS and "version" in given:
        name = given.get("name", node.get("name", "lightning_logs"))
        version = run.name if name == _folder_name(run.study) or not run.study else _folder_name(run.title)
        given["version"] = _free(str(node.get("save_dir", ".")), str(name), version, claims=claims)
    return given


def offline(node: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """Return the arguments that make a logger write below `folder` and contact no server.

    None if no argument can do that, as for a user's own logger without a folder.
    """
    target = target_of(node)
    accepts = _accepts(target)
    match kind_of(target):
        case "WandbLogger":
            return {"save_dir": str(folder), "mode": "disabled", "offline": False, "log_model": False}
        case "MLFlowLogger":
            uri = f"sqlite:///{folder.absolute()}/mlflow.db"
            return {"tracking_uri": uri, "artifact_location": str(folder / "artifacts"), "log_model": False}
        case "CometLogger":
            return {"online": False, "offline_directory": str(folder)}
        case "NeptuneLogger":
            return {"mode": "debug"}
        case "TensorBoardLogger" | "CSVLogger":
            return {"save_dir": str(folder)}
        case _:
            return {key: str(folder) for key in FOLDERS if accepts(key)} or None


def end_run(logger: Any, results: Mapping[str, Any]) -> None:
    """End the run of `logger`. `results` has its final state, `status`, and numbers such as its `value`."""
    state, numbers = results["status"], {name: result for name, result in results.items() if name != "status"}
    success = "success" if state in GOOD else "failed"
    match kind_of(type(logger)):
        case "WandbLogger":
            wandb_run = logger.experiment
            wandb_run.summary.update(dict(results))
            wandb_run.tags = (*(wandb_run.tags or ()), state)
            wandb_run.finish(exit_code=WANDB_EXIT_CODES.get(state, 1))
        case "MLFlowLogger":
            client, run_id = logger.experiment, logger.run_id
            client.set_tag(run_id, "status", state)
            for name, number in numbers.items():
                client.log_metric(run_id, name, number)
            client.set_terminated(run_id, MLFLOW_STATES.get(state, "FAILED"))
        case "TensorBoardLogger":
            logger.log_metrics({"hp_metric": numbers.pop("value", float("nan")), **numbers})
            logger.experiment.add_text("status", state)
            logger.finalize(success)
        case kind:
            logger.log_hyperparams(dict(results))
            logger.finalize(success)
            if kind != "CSVLogger":
                _end_experiment(getattr(logger, "experiment", None))


def _wanted(kind: str, run: TrackedRun) -> dict[str, Any]:
    match kind:
        case "WandbLogger":  # an id of its own, in place of WANDB_RUN_ID
            return {"name": run.title, "group": run.study or None, "job_type": run.kind, "id": uuid.uuid4().hex[:16]}
        case "MLFlowLogger":
            return {"run_name": run.title, **({"experiment_name": run.study} if run.study else {})}
        case "CometLogger" | "NeptuneLogger":
            return {"name": run.title}
        case _:
            return {"version": run.name, **({"name": _folder_name(run.study)} if run.study else {})}


def _folder_name(study: str) -> str:
    """Return a study's name as a folder below another one: no part of it may lead out."""
    return "/".join(part for part in study.split("/") if part not in ("", ".", "..")) or "study"


def _free(save_dir: str, name: str, version: str, *, claims: bool) -> str:
    """Return `version`, or the first of version-2, version-3, … without a folder."""
    if "://" in save_dir:  # a file system of fsspec
        return f"{version}-{uuid.uuid4().hex[:8]}"
    parent, free, n = Path(save_dir, name), version, 1
    while claims:
        try:
            (parent / free).mkdir(parents=True)
            break
        except FileExistsError:
            n += 1
            free = f"{version}-{n}"
    return free


def _end_experiment(experiment: Any) -> None:
    """End the run of another tracker by whichever of the usual methods it has."""
    end = next((getattr(experiment, name) for name in ENDS if callable(getattr(experiment, name, None))), None)
    if end is not None:
        end()


def _is_installed(module: str) -> bool:
    """Tell a package from a folder of the same name: W&B writes one called wandb."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def _accepts(target: Any) -> Callable[[str], bool]:
    signature = signature_of(target) if target is not None else None
    parameters = signature.parameters if signature is not None else {}
    takes_all = kind_of(target) in KINDS and any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    return lambda key: takes_all or key in parameters
