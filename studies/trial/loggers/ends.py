"""Ends the run of a logger in the way of its tracker, with the final state, the value and the test results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.trial.loggers.kinds import kind_of

GOOD = ("complete", "pruned")  # states of a training that ended as it should
MLFLOW_STATES = {"complete": "FINISHED", "pruned": "FINISHED", "killed": "KILLED"}  # any other: FAILED
WANDB_EXIT_CODES = {"complete": 0, "pruned": 0, "killed": 255}  # any other: 1; 255 is W&B's own of an interrupt
ENDS = ("finish", "stop", "end")  # how the experiments of other trackers are ended


def end_run(logger: Any, results: Mapping[str, Any]) -> None:
    """End the run of `logger`. `results` has its final state, `status`, and numbers such as its `value`."""
    state, value = results["status"], results.get("value")
    kind = kind_of(type(logger))
    match kind.name if kind is not None else "":
        case "WandbLogger":
            wandb_run = logger.experiment
            wandb_run.summary.update(dict(results))
            wandb_run.tags = (*(wandb_run.tags or ()), state)
            wandb_run.finish(exit_code=WANDB_EXIT_CODES.get(state, 1))
        case "MLFlowLogger":
            client, run_id = logger.experiment, logger.run_id
            client.set_tag(run_id, "status", state)
            for name in (name for name in results if name != "status"):
                client.log_metric(run_id, name, results[name])
            client.set_terminated(run_id, MLFLOW_STATES.get(state, "FAILED"))
        case "TensorBoardLogger":
            numbers = {name: result for name, result in results.items() if name not in ("status", "value")}
            logger.log_metrics({"hp_metric": float("nan") if value is None else value, **numbers})
            logger.experiment.add_text("status", state)
            _finalize(logger, state)
        case "CSVLogger":
            logger.log_hyperparams(dict(results))
            _finalize(logger, state)
        case _:
            logger.log_hyperparams(dict(results))
            _finalize(logger, state)
            _end_experiment(getattr(logger, "experiment", None))


def _finalize(logger: Any, state: str) -> None:
    logger.finalize("success" if state in GOOD else "failed")


def _end_experiment(experiment: Any) -> None:
    """End the run of another tracker by whichever of the usual methods it has."""
    end = next((getattr(experiment, name) for name in ENDS if callable(getattr(experiment, name, None))), None)
    if end is not None:
        end()
