"""The loggers of one training: each opens a run of its own at the beginning, and ends it with the final state.

Context: a worker trains many trials in one process, and a tracker keeps its run open until somebody ends it. Choice:
every training ends its runs, also after a failure or a signal. A failed logger is reported, and the training continues
without it. Cost: the rest of that training is not logged there.

MLflow is an optional extra and is imported only for its logger.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache, wraps
from pathlib import Path
from typing import Any

from studies.errors import Problems
from studies.text.printable import described
from studies.trial.building.instantiate import instantiate
from studies.trial.lock import exclusively
from studies.trial.loggers.kinds import end_run, kind_of, logger_problems, offline, own_run
from studies.trial.loggers.tracked_run import TrackedRun

log = logging.getLogger(__name__)
MLFLOW_URI = "MLFLOW_TRACKING_URI"


class Silent:
    """Takes the place of a failed logger and accepts every call: callbacks and modules may need a logger."""

    name = version = ""
    save_dir = root_dir = log_dir = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Silent:
        """Do nothing."""
        return self

    def __getitem__(self, _key: Any) -> Silent:
        """Return an object that accepts every call."""
        return self


class Loggers:
    """The loggers of the training `run`. `failures` has the message of each one that failed.

    `opens` is false on other ranks than the first, which do not write. With `strict`, exceptions of a logger come
    through.
    """

    def __init__(
        self,
        built: Mapping[str, Any] | None = None,
        run: TrackedRun | None = None,
        *,
        opens: bool = True,
        strict: bool = False,
    ) -> None:
        self.failures: dict[str, str] = {}
        self.run = run or TrackedRun("", "")
        self._built = dict(built or {})
        self._opens = opens
        self._strict = strict
        self._is_open = False
        self._uri = os.environ.get(MLFLOW_URI)

    @property
    def all(self) -> list[Any]:
        """Return the loggers for the Trainer."""
        return list(self._built.values())

    def begin(self) -> list[Any]:
        """Open a run in each, with the hyperparameters. Return the loggers that the Trainer uses from now on."""
        if self._opens and self._built:
            self._is_open = True
            for name in self._built:
                with self._watched(name, leaves_out=True):
                    self._open(name)
        return self.all

    def end(self, state: str, *, value: float | None = None, metrics: Mapping[str, float] | None = None) -> None:
        """End each run in its final state, once: `complete`, `pruned`, or a failure's name."""
        if not self._is_open:
            return
        self._is_open = False
        results = {"status": state, **({} if value is None else {"value": value}), **(metrics or {})}
        for name, logger in self._built.items():
            if not isinstance(logger, Silent):
                with self._watched(name):
                    end_run(logger, results)
        _restore(self._uri)

    def _open(self, name: str) -> None:
        logger = self._built[name]
        with _first_contact(logger):
            _ = getattr(logger, "experiment", None)
        logger.log_hyperparams(dict(self.run.hyperparameters))
        if not self._strict:
            _guard(logger, keeps=self.run.hyperparameters, failed=lambda error: self._note(name, error))

    @contextlib.contextmanager
    def _watched(self, name: str, *, leaves_out: bool = False) -> Iterator[None]:
        """Note a failure in here. With `leaves_out`, continue without the logger."""
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            self._note(name, error)
            if leaves_out:
                self._built[name] = Silent()

    def _note(self, name: str, error: Exception) -> None:
        if name not in self.failures:
            self.failures[name] = described(error)
            log.warning("loggers.%s fails, and the training continues without it (%s)", name, self.failures[name])


def build_loggers(
    nodes: Mapping[str, Any] | None, run: TrackedRun, *, opens: bool = True, offline_in: Path | None = None
) -> Loggers:
    """Build the loggers of a config for the training `run`.

    With `offline_in` they write below that folder and contact no server, and every exception comes through. Without it,
    a logger that cannot be built is reported and left out. Raises `BadInput` for a missing package or a fixed run.
    """
    problems = Problems()
    logger_problems({"loggers": nodes}, problems)
    problems.raise_if_any()
    loggers: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for name, node in (nodes or {}).items():
        if node is None:
            continue
        try:
            loggers[name] = _build(name, node, run, opens=opens, offline_in=offline_in)
        except Exception as error:
            if offline_in is not None:
                raise
            failures[name] = described(error)
            log.warning("loggers.%s cannot be built, and the training continues without it (%s)", name, failures[name])
            loggers[name] = Silent()
    made = Loggers(loggers, run, opens=opens, strict=offline_in is not None)
    made.failures |= failures
    return made


def _build(name: str, node: Mapping[str, Any], run: TrackedRun, *, opens: bool, offline_in: Path | None) -> Any:
    away: dict[str, Any] | None = {}
    if offline_in is not None:
        offline_in.mkdir(parents=True, exist_ok=True)
        away = offline(node, offline_in)
        if away is None:
            log.warning("loggers.%s is not tried before the study: no argument keeps it from its server", name)
            return Silent()
    redirected = {**node, **(away or {})}
    arguments = {**(away or {}), **own_run(redirected, run, claims=opens and offline_in is None)}
    for key in ("save_dir", "dir"):
        folder = redirected.get(key)
        if isinstance(folder, str) and "://" not in folder:
            Path(folder).mkdir(parents=True, exist_ok=True)  # W&B takes another one if it is missing
    uri = str(redirected.get("tracking_uri") or "")
    if offline_in is not None and uri.startswith("sqlite:///"):
        shutil.copyfile(_empty_mlflow(), uri.removeprefix("sqlite:///"))
    with exclusively(uri) if uri else contextlib.nullcontext():
        return instantiate(node, **arguments)


@cache
def _empty_mlflow() -> Path:
    """Return an MLflow database without runs. Making one takes seconds, so each process makes it once."""
    from mlflow.tracking import MlflowClient

    path = Path(tempfile.mkdtemp(prefix="mlflow-"), "mlflow.db")
    _quieten_mlflow()
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


def _quieten_mlflow() -> None:
    for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextlib.contextmanager
def _first_contact(logger: Any) -> Iterator[None]:
    """Let only one worker begin an MLflow experiment at a time: creating the same name twice fails."""
    if kind_of(type(logger)) != "MLFlowLogger":
        yield
        return
    _quieten_mlflow()
    with exclusively("MLflow"):
        yield


def _guard(logger: Any, *, keeps: Mapping[str, Any], failed: Callable[[Exception], None]) -> None:
    """Have `logger` tell failures to `failed` and not raise them. It stays silent after it failed to log or save.

    Hyperparameters named in `keeps` are not logged again: MLflow refuses a second value.
    """
    broken = False

    def guarded(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal broken
            if broken:
                return None
            if name == "log_hyperparams" and arguments and isinstance(arguments[0], Mapping):
                arguments = ({k: v for k, v in arguments[0].items() if k not in keeps}, *arguments[1:])
            try:
                return method(*arguments, **keywords)
            except Exception as error:  # noqa: BLE001 - a tracker's failure is not the trial's
                broken = name in ("log_metrics", "save")
                failed(error)

        return call

    with contextlib.suppress(AttributeError):  # a class with slots
        for name in ("log_metrics", "log_hyperparams", "log_graph", "save", "after_save_checkpoint", "finalize"):
            if hasattr(logger, name):
                setattr(logger, name, guarded(name, getattr(logger, name)))


def _restore(uri: str | None) -> None:
    """Set MLflow's address as it was before. Its logger changes it for the whole process."""
    os.environ.pop(MLFLOW_URI, None)
    if uri is not None:
        os.environ[MLFLOW_URI] = uri
