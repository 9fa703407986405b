"""An analysis takes one thread, and leaves the process as many as it had."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from known_functions import additive
from threadpoolctl import threadpool_info, threadpool_limits

from studies.analysis import sobol
from studies.analysis.gaussian_process import fitted_model, mode
from studies.analysis.threads import one_thread


def threads() -> set[int]:
    """How many threads the pools of linear algebra have."""
    assert np.linalg.norm(np.ones(3)) > 1  # loads NumPy's
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_one_thread_holds_as_long_as_the_function_runs() -> None:
    with threadpool_limits(2):
        assert one_thread(threads)() == {1}
        assert threads() == {2}


def test_indices_are_found_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []
    mode_of: Callable[..., object] = mode.mode_of

    def seeing(*arguments: object, **options: object) -> object:
        seen.append(threads())
        return mode_of(*arguments, **options)

    monkeypatch.setattr(fitted_model, "mode_of", seeing)
    table = additive().table(40, noise=0.1, seed=0)
    with threadpool_limits(2):
        sobol.sobol(table.axes, table.unit, table.y, seed=0)
    assert seen
    assert all(found == {1} for found in seen)
