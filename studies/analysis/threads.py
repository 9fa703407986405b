"""Keeps an analysis to one thread.

Its matrices have some hundred rows. There a pool of threads costs more than it gives: on two busy cores an analysis of
500 trials took 8 to 15 times as long. The last digits would also depend on the number of cores.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

P = ParamSpec("P")
R = TypeVar("R")


def one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` so that the linear algebra in it takes one thread, as long as it runs."""

    @functools.wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with threadpool_limits(1):
            return function(*args, **kwargs)

    return limited
