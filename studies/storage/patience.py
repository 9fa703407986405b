"""Waits out the outages of a storage, so that a server that is started anew costs a study nothing but the time.

Every call that fails for a reason which passes is tried again. A call may have been carried out though its answer was
lost; the second try must then be harmless:

- Attributes, parameters and intermediate values are written over with the same.
- A trial that was told is told: the same state and values that stand already are no error.
- A new trial may be made twice, and the claim of a waiting one may be lost. Either leaves a RUNNING trial without a
  worker, which the lease sets free.
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


def wait(seconds: float) -> bool:
    """Wait so long; nothing ends it but an exception."""
    time.sleep(seconds)
    return False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an outage is waited out, in seconds. `pause` waits so many seconds and says whether to give up."""

    seconds: float = 600.0
    pause: Callable[[float], bool] = wait


USUAL = Patience()


class Outages:
    """The outages of one storage as this process meets them; its threads share one patience, and tell of it once."""

    def __init__(self, patience: Patience, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = False

    def outlast(self, call: Callable[[], T], *, again: Callable[[], T] | None = None, reaches: bool = True) -> T:
        """The result of `call`, tried again by `again` while it fails for a reason that passes.

        `reaches`: the call reaches the storage and is not answered out of a cache, so its success ends an outage.
        Raises the last error when the patience is over or the pause was ended; at least one more try is always made,
        since a broken connection is noticed only by its use.
        """
        tries = 0
        while True:
            failure: Exception | None = None
            try:
                result = (again or call)() if tries else call()
            except Exception as error:
                if not passes(error):
                    raise
                failure = error  # tried again outside of this block: the next error must not have it as its context
            if failure is None:
                if reaches or tries:
                    self._end()
                return result
            tries += 1
            if not self._wait(failure, tries):
                raise failure

    def _wait(self, failure: Exception, tries: int) -> bool:
        """Pause before the next try, at first not at all; False where there is to be none."""
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
            log.warning("the storage does not answer (%s); waiting up to %.0f s", reason(failure), left)
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
    """Optuna's `storage`, whose outages are waited out.

    What tells of the storage's own failure is raised as `StorageInternalError`, whatever the storage is.
    """

    def __init__(self, storage: BaseStorage, *, patience: Patience) -> None:
        self._storage = storage
        self._outages = Outages(patience)
        self._just_read: Sequence[FrozenTrial] | None = None

    @contextlib.contextmanager
    def having_read(self, trials: Sequence[FrozenTrial]) -> Iterator[None]:
        """Within it, a question for the waiting trials, as `Study.ask` puts it, is answered from `trials`, all of the
        study's as read just now. One that was taken since then is refused when it is claimed."""
        self._just_read = trials
        try:
            yield
        finally:
            self._just_read = None

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """As Optuna's; a study that was made by a try whose answer was lost is a duplicate, which callers expect."""
        return self._try(lambda: self._storage.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        """As Optuna's; gone is gone."""

        def again() -> None:
            try:
                self._storage.delete_study(study_id)
            except KeyError:
                return

        self._try(lambda: self._storage.delete_study(study_id), again=again)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """As Optuna's."""
        self._try(lambda: self._storage.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """As Optuna's."""
        self._try(lambda: self._storage.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        """As Optuna's."""
        return self._try(lambda: self._storage.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        """As Optuna's."""
        return self._try(lambda: self._storage.get_study_name_from_id(study_id), reaches=False)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """As Optuna's."""
        return self._try(lambda: self._storage.get_study_directions(study_id), reaches=False)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """As Optuna's."""
        return self._try(lambda: self._storage.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """As Optuna's."""
        return self._try(lambda: self._storage.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[Any]:
        """As Optuna's."""
        return self._try(lambda: self._storage.get_all_studies())

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """As Optuna's."""
        return self._try(lambda: self._storage.create_new_trial(study_id, template_trial))

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """As Optuna's."""
        self._try(lambda: self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """As Optuna's."""
        return self._try(
            lambda: self._storage.get_trial_id_from_study_id_trial_number(study_id, trial_number), reaches=False
        )

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """As Optuna's; True where a try whose answer was lost has finished the trial in just this way."""

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
        """As Optuna's."""
        self._try(lambda: self._storage.set_trial_intermediate_value(trial_id, step, intermediate_value))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """As Optuna's."""
        self._try(lambda: self._storage.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """As Optuna's."""
        self._try(lambda: self._storage.set_trial_system_attr(trial_id, key, value))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """As Optuna's."""
        return self._try(lambda: self._storage.get_trial(trial_id), reaches=False)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """As Optuna's."""
        if self._just_read is not None and states == (TrialState.WAITING,) and not deepcopy:
            return [trial for trial in self._just_read if trial.state == TrialState.WAITING]
        return self._try(lambda: self._storage.get_all_trials(study_id, deepcopy, states))

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """As Optuna's."""
        return self._try(lambda: self._storage.get_best_trial(study_id))

    def remove_session(self) -> None:
        """As Optuna's."""
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
    """Whether `trial` is finished in just this way."""
    if trial.state != state or values is None:
        return trial.state == state
    stored = trial.values or []
    return len(stored) == len(values) and all(map(math.isclose, stored, values))
