"""The storage schema: the attributes of a study and its trials, with their meaning.

A public contract: optuna-dashboard, the report and foreign tools read it. This is version 2. A study of an earlier
version is read but not continued. A study of a later version is not read. The version rises with each change after
which an earlier study would be read wrongly.

Version 2 renamed `belief` to `hypothesis`, `place` to `device_slot` and the module `studies.race` to
`studies.sampler_benchmark`. `recorded` and `in_present_words` read version 1.

Study user attributes: `schema`, `fingerprint`, `config` (YAML, secrets removed), `space` (YAML), `metric`, `budget`,
`n_trials`, `search`, `versions`, `git`, `identity` and `creator`. A round of another study's selection has `select`, a
study with imported trials `imported`, and a study that tests a claim `hypothesis`. `metric` has `name`, `direction` and
`value`. With two objectives it also has `second`: {`name`, `direction`}, and a complete trial has two Optuna values.

Trial user attributes: see the constants below. How a trial ended:

| how                                | Optuna state                 | counts toward `n_trials` |
|------------------------------------|------------------------------|--------------------------|
| trained to the end                 | COMPLETE                     | yes                      |
| pruned, or out of its time         | PRUNED, values at rungs      | yes                      |
| `diverged`, `out_of_memory`        | PRUNED, `failure`, no NaN    | yes                      |
| `error`, `killed`, then retried    | FAIL, `failure`              | no, its retry does       |
| the same after `max_retries`       | FAIL, `failure`              | in a grid; else a new point is drawn |
| `failed`: nobody said why          | FAIL, no `failure`           | as `error`               |
| a surplus claim                    | FAIL, `void`                 | no                       |
| imported from another study        | as it ended there            | no                       |
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from optuna.trial import FrozenTrial, TrialState

Stage = Literal["race", "estimate"]  # of a selection: on fresh seeds the best few race, then the winner is estimated

VERSION: Final = 2

STUDY_SCHEMA: Final = "schema"
STUDY_FINGERPRINT: Final = "fingerprint"
STUDY_CONFIG: Final = "config"
STUDY_SPACE: Final = "space"
STUDY_METRIC: Final = "metric"
STUDY_BUDGET: Final = "budget"
STUDY_N_TRIALS: Final = "n_trials"
STUDY_VERSIONS: Final = "versions"
STUDY_GIT: Final = "git"
STUDY_SEARCH: Final = "search"  # {sampler, pruner}: their names when the study began
STUDY_SELECT: Final = "select"  # of a selection's round: {of, stage, round, trials} (see `Round`)
STUDY_HYPOTHESIS: Final = "hypothesis"  # the claim under test and its rule, as of before the first trial
STUDY_CREATOR: Final = "creator"  # the process that has described the study: host, namespace, number
STUDY_DESCRIBER: Final = "described_by"  # the creator whose description this is, written last
STUDY_IDENTITY: Final = "identity"  # JSON: the flat keys and values that the fingerprint is taken of
IMPORTED: Final = "imported"  # of a study: {study, trials, left_out}, once all have been brought in

SLOT: Final = "slot"  # which of the study's n_trials this trial fills, from 0
REPLICATE: Final = "replicate"  # which training seed of the study, from 0
SEED: Final = "seed"  # the training seed itself
SOURCE: Final = "source"  # who proposed the point: a sampler's name, explore, enqueued, grid
FAILURE: Final = "failure"  # a Failure
FAILURE_MESSAGE: Final = "failure_message"
RETRY_OF: Final = "retry_of"  # number of the trial that this one repeats
ATTEMPT: Final = "attempt"  # how often this point was tried before, 0 for the first time
REDRAWN: Final = "redrawn"  # repeats the slot, not the point, of `retry_of`: that point failed too often
IMPORTED_FROM: Final = "imported_from"  # {study, trial}: where this trial was trained; void: the mark of an importer
VOID: Final = "void"  # a surplus claim that trained nothing
SAMPLES_SEEN: Final = "samples_seen"  # list, one number a rung
RUNGS: Final = "rungs"  # of two objectives: [[index, value of the first], …] as they come; else intermediate values
STEPS: Final = "steps"  # optimizer steps
SECONDS: Final = "seconds"  # wall clock of the training, validation included
RUNG_SECONDS: Final = "rung_seconds"  # list, one number a rung: seconds of training up to there, validation included
TEST: Final = "test"  # where objective.test asked for it: {metric: value, …, n: test samples}; nothing is chosen by it
RESULT: Final = "result"  # of a procedure, which is no training: what its run returned, plain values
FOUND: Final = "found"  # {attribute: value}: what Lightning's finders of a learning rate or a batch size have set
WEIGHTS_DIFFER: Final = "weights_differ"  # why the value is not that of the weights that were handed on, in words
CONVERGENCE: Final = "convergence"  # first rung from which the metric stays near its final value
DEVICE_SLOT: Final = "device_slot"  # the worker's device and threads, in words
DEVICE: Final = "device"
PROCESSOR: Final = "processor"  # of the worker's machine: its cores and their kind, in words
THREADS: Final = "threads"  # of torch on the CPU; another number may change a value in its last digits
WORKER: Final = "worker"  # host, process namespace and process that ran it
N_PARAMETERS: Final = "n_parameters"  # numbers in the module's parameters, trainable or not
PEAK_MEMORY_MB: Final = "peak_memory_mb"  # of the rank that took most, where a trial has several
TRAJECTORY: Final = "trajectory"  # of a training: digest of its losses and last weights, the same for the same run
BATCH_HALVED: Final = "batch_halved"  # after out-of-memory: {batch_size, accumulate_grad_batches} of the second go
CHECKPOINT: Final = "checkpoint"  # the newest file to go on from: {path, sha256, rung, steps, exact, host}
RESUMED_FROM: Final = (
    "resumed_from"  # {trial, rung, steps, exact}: where this trial went on; exact: as if never stopped
)
RESTARTED: Final = "restarted"  # why this trial began anew although the one it repeats had a checkpoint, in words
LINKED: Final = "linked"  # {config path: value}: what the links read off this trial's data
LOGGER_FAILURES: Final = "logger_failures"  # {logger: message}: these failed, and the training went on without them
LEFT_CHANGED: Final = "left_changed"  # what this trial set for its whole process and cannot be put back, in words
LEASE: Final = "lease"  # a counter that the living worker moves on

EARLIER: Final[Mapping[str, str]] = {STUDY_HYPOTHESIS: "belief", DEVICE_SLOT: "place"}  # names in version 1
EARLIER_WORDS: Final = ((r"\bstudies\.race\b", "studies.sampler_benchmark"), (r"\$\{belief\b", "${hypothesis"))

SHARE: Final = re.compile(r"((test|val|valid|validation|eval|train)_)?(top_?\d+_)?(accuracy|acc|error_rate)")
BOUNDED: Final = re.compile(r".*accuracy|(.*_)?(acc|error_rate)")
FINGERPRINT: Final = re.compile(r"[0-9a-f]{16}")
INTERRUPTED: Final = "interrupted"  # how `failure_message` begins when a person or a signal stopped the trial


class Failure(StrEnum):
    """Why a trial gave no value."""

    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    ERROR = "error"
    KILLED = "killed"
    FAILED = "failed"  # and nobody recorded why, as where another tool ran the trial


OF_THE_POINT: Final = frozenset({Failure.DIVERGED, Failure.OUT_OF_MEMORY})  # a result of the configuration, not retried


def is_ours(user_attrs: Mapping[str, Any]) -> bool:
    """Return whether this framework made the study with these attributes.

    Another tool may use any of our names, and libraries of data sets make fingerprints of sixteen digits, too. So a
    fingerprint counts beside the schema's version or a described space only.
    """
    fingerprint, version, space = (user_attrs.get(key) for key in (STUDY_FINGERPRINT, STUDY_SCHEMA, STUDY_SPACE))
    if not isinstance(fingerprint, str) or FINGERPRINT.fullmatch(fingerprint) is None:
        return False
    is_versioned = isinstance(version, int) and not isinstance(version, bool)
    return is_versioned or (isinstance(space, str) and "type:" in space)


def version_of(user_attrs: Mapping[str, Any]) -> int:
    """Return the version of the schema of a study with these attributes; the present one if it names none."""
    version = user_attrs.get(STUDY_SCHEMA)
    return version if isinstance(version, int) and not isinstance(version, bool) else VERSION


def recorded(user_attrs: Mapping[str, Any], key: str) -> Any:
    """Return the attribute `key` under its present name or that of version 1. None if it is missing."""
    return user_attrs.get(key, user_attrs.get(EARLIER.get(key, key)))


def in_present_words(value: Any) -> Any:
    """Return a stored `value` with the names of version 1 replaced by the present ones."""
    if isinstance(value, str):
        for pattern, name in EARLIER_WORDS:
            value = re.sub(pattern, name, value)
    return value


@dataclass(frozen=True, slots=True)
class Round:
    """A round of a selection: a study of its own, which records this in its attribute `select`."""

    of: str  # the study that was searched
    stage: Stage
    number: int  # of a race: from 1 on; of the estimate: 0
    trials: tuple[int, ...]  # by slot: the trial of the search whose point is trained

    def stored(self) -> dict[str, Any]:
        """Return the round as the storage keeps it."""
        return {"of": self.of, "stage": self.stage, "round": self.number, "trials": list(self.trials)}


def read_round(user_attrs: Mapping[str, Any]) -> Round | None:
    """Parse the round of a study with these attributes. None if it is no round, or names no searched study."""
    told = user_attrs.get(STUDY_SELECT) if is_ours(user_attrs) else None
    if not isinstance(told, Mapping) or "of" not in told:
        return None
    number, trials = told.get("round", 0), told.get("trials")
    return Round(
        of=str(told["of"]),
        stage="estimate" if told.get("stage") == "estimate" else "race",
        number=number if isinstance(number, int) else 0,
        trials=tuple(trials) if isinstance(trials, list) else (),
    )


def searched_study(user_attrs: Mapping[str, Any]) -> str | None:
    """Return the searched study of a round with these attributes. None if the study is no round."""
    found = read_round(user_attrs)
    return None if found is None else found.of


def fills_a_slot(trial: FrozenTrial) -> bool:
    """Return whether `trial` is the first of a slot: no retry, and not imported."""
    return RETRY_OF not in trial.user_attrs and IMPORTED_FROM not in trial.user_attrs


def is_imported(trial: FrozenTrial) -> bool:
    """Return whether `trial` was trained in another study."""
    return IMPORTED_FROM in trial.user_attrs and VOID not in trial.user_attrs


def attempt_of(trial: FrozenTrial) -> int:
    """Return how often the point of `trial` had been tried before."""
    return int(trial.user_attrs.get(ATTEMPT, 0))


def failure_of(trial: FrozenTrial) -> Failure | None:
    """Return why `trial` gave no value. None if it gave one, was void, or still runs."""
    if VOID in trial.user_attrs or trial.state not in (TrialState.FAIL, TrialState.PRUNED):
        return None
    recorded = trial.user_attrs.get(FAILURE)
    known = Failure(recorded) if recorded in tuple(Failure) else None
    if trial.state == TrialState.PRUNED:
        return known if known in OF_THE_POINT else None
    return known or Failure.FAILED


def was_interrupted(trial: FrozenTrial) -> bool:
    """Return whether a person or a signal ended `trial`. That says nothing about its point."""
    return str(trial.user_attrs.get(FAILURE_MESSAGE, "")).startswith(INTERRUPTED)


def is_share(name: str) -> bool:
    """Return whether a metric, by its name, is the share of correct or wrong answers.

    Averages over classes, such as a balanced accuracy, are no such share.
    """
    return SHARE.fullmatch(_last_part(name)) is not None


def is_bounded(name: str, values: Iterable[float]) -> bool:
    """Return whether a metric is an accuracy or an error rate, by its name, with `values` from 0 to 1.

    Percentages are not, and neither is a metric of another name, wherever its values lie.
    """
    return BOUNDED.fullmatch(_last_part(name)) is not None and all(0 <= value <= 1 for value in values)


def bounds_of(name: str, values: Iterable[float]) -> tuple[float, float]:
    """Return the bounds of a mean of a metric's `values`: 0 and 1 if it `is_bounded`, else infinite ones."""
    return (0.0, 1.0) if is_bounded(name, values) else (-math.inf, math.inf)


def _last_part(name: str) -> str:
    return name.rpartition("/")[2].lower()
