"""Wait out the outages of a storage, so that a restarted server costs a study nothing but time.

Every call with a passing failure is tried again. The storage may have carried out a call and lost its answer, so a
second try must be harmless:

- Attributes, parameters and intermediate values are overwritten with the same values.
- Telling a trial the state and values that it already has is no error.
- A new trial may be created twice, and the claim of a waiting one may be lost. Either leaves a RUNNING trial without a
  worker, and the lease frees it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from studies.storage.outage import is_of_the_storage, passes, reason

T = TypeVar("T")
log = logging.getLogger(__name__)
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
Pause = Callable[[float], bool]  # waits for so many seconds, and returns whether to give up


def wait(seconds: float) -> bool:
    """Wait for so many seconds. Only an exception ends the wait early."""
    time.sleep(seconds)
    return False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an outage is waited out."""

    seconds: float = 600.0
    pause: Pause = wait


USUAL = Patience()


class Outages:
    """The outages of one storage as this process sees them. Its threads share one patience, and warn once."""

    def __init__(self, patience: Patience, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = False

    def outlast(self, call: Callable[[], T], *, again: Callable[[], T] | None = None, reaches: bool = True) -> T:
        """Return the result of `call`, tried again by `again` while it fails for a passing reason.

        `reaches`: the call reaches the storage and is not answered from a cache, so its success ends an outage.
        Raises the last error when the patience is over or the pause was ended. At least one more try is made, since
        only a call shows that a connection is broken.
        """
        tries = 0
        while True:
            failure: Exception | None = None
            try:
                result = (again or call)() if tries else call()
            except Exception as error:
                if not passes(error):
                    raise
                failure = error  # tried again outside of this block, so it is no context of the next error
            if failure is None:
                if reaches or tries:
                    self._end()
                return result
            tries += 1
            if not self._wait(failure, tries):
                raise failure

    def _wait(self, failure: Exception, tries: int) -> bool:
        """Pause before the next try, but not before the first one. Return whether to try again."""
        with self._lock:
            now = self._clock()
            self._since = now if self._since is None else self._since
            left = self._since + self._patience.seconds - now
            tells = tries > 1 and left > 0 and not self._told
            self._told = self._told or tells
        if tries == 1:
            return True
        if left <= 0:
            return False
        if tells:
            log.warning("the storage does not answer (%s): waiting up to %.0f s", reason(failure), left)
        pause = min(FIRST_PAUSE_S * 2.0 ** (tries - 2), LONGEST_PAUSE_S) * random.uniform(0.5, 1)
        return not self._patience.pause(min(pause, left))

    def _end(self) -> None:
        if self._since is None:
            return
        with self._lock:
            since, told = self._since, self._told
            self._since, self._told = None, False
        if told and since is not None:
            log.warning("the storage is back after %.0f s", self._clock() - since)


class PatientStorage(BaseStorage):
    """An Optuna storage that waits out the outages of another one.

    A failure of the storage itself is raised as `StorageInternalError`, whatever the storage is.
    """

    def __init__(self, storage: BaseStorage, *, patience: Patience) -> None:
        self._storage = storage
        self._outages = Outages(patience)
        self._just_read: Sequence[FrozenTrial] | None = None

    @contextlib.contextmanager
    def having_read(self, trials: Sequence[FrozenTrial]) -> Iterator[None]:
        """Answer `Study.ask`'s request for the waiting trials from `trials`, all of the study's as just read.

        The claim of a trial that was taken since then is refused.
        """
        self._just_read = trials
        try:
            yield
        finally:
            self._just_read = None

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Do as Optuna does. If an answer was lost, the next try raises the duplicate error that callers expect."""
        return self._try(lambda: self._storage.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        """Do as Optuna does. A study that is gone is no error for a second try."""

        def again() -> None:
            with contextlib.suppress(KeyError):
                self._storage.delete_study(study_id)

        self._try(lambda: self._storage.delete_study(study_id), again=again)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Do as Optuna does."""
        self._try(lambda: self._storage.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Do as Optuna does."""
        self._try(lambda: self._storage.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.get_study_name_from_id(study_id), reaches=False)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.get_study_directions(study_id), reaches=False)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[Any]:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.get_all_studies())

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.create_new_trial(study_id, template_trial))

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Do as Optuna does."""
        self._try(lambda: self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Do as Optuna does."""
        return self._try(
            lambda: self._storage.get_trial_id_from_study_id_trial_number(study_id, trial_number), reaches=False
        )

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Do as Optuna does. Return True if a try without an answer has finished the trial in the same way."""

        def call() -> bool:
            return self._storage.set_trial_state_values(trial_id, state, values)

        def again() -> bool:
            try:
                return call()
            except UpdateFinishedTrialError:
                if _stands(self._storage.get_trial(trial_id), state, values):
                    return True
                raise

        return self._try(call, again=again)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Do as Optuna does."""
        self._try(lambda: self._storage.set_trial_intermediate_value(trial_id, step, intermediate_value))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Do as Optuna does."""
        self._try(lambda: self._storage.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Do as Optuna does."""
        self._try(lambda: self._storage.set_trial_system_attr(trial_id, key, value))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.get_trial(trial_id), reaches=False)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Do as Optuna does."""
        if self._just_read is not None and states == (TrialState.WAITING,) and not deepcopy:
            return [trial for trial in self._just_read if trial.state == TrialState.WAITING]
        return self._try(lambda: self._storage.get_all_trials(study_id, deepcopy, states))

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Do as Optuna does."""
        return self._try(lambda: self._storage.get_best_trial(study_id))

    def remove_session(self) -> None:
        """Do as Optuna does."""
        self._storage.remove_session()

    def _try(self, call: Callable[[], T], *, again: Callable[[], T] | None = None, reaches: bool = True) -> T:
        try:
            return self._outages.outlast(call, again=again, reaches=reaches)
        except StorageInternalError:
            raise
        except Exception as error:
            if is_of_the_storage(error):
                raise StorageInternalError(reason(error)) from error
            raise


def _stands(trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> bool:
    """Return whether `trial` is finished with this state and these values."""
    if trial.state != state or values is None:
        return trial.state == state
    stored = trial.values or []
    return len(stored) == len(values) and all(map(math.isclose, stored, values))
