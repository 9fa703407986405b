"""Settings of Python, its libraries and the system that hold for a whole process."""

from __future__ import annotations

import builtins
import decimal
import gc
import locale
import logging
import math
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from typing import Any

from studies.trial.process_state.setting import ProcessSetting, copied, is_any_replaced, of_attributes

OF_LIGHTNING = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")  # set for each training
REALTIME = {getattr(signal, name) for name in ("SIGRTMIN", "SIGRTMAX") if hasattr(signal, name)}
CATCHABLE = tuple(sorted({*signal.Signals} - {signal.SIGKILL, signal.SIGSTOP, *REALTIME}))
LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
TIMER_S = 1.0  # smaller differences come from reading twice
OURS = "studies"  # our loggers, which stay as they were
SYSTEMS_OWN = multiprocessing.get_all_start_methods()[0]
DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in OF_LIGHTNING}


def _set_environment(before: dict[str, str]) -> None:
    now = _environment()
    for key in now.keys() - before.keys():
        del os.environ[key]
    os.environ.update({key: value for key, value in before.items() if now.get(key) != value})


def _umask() -> int:
    mask = os.umask(0o077)  # reading needs a write; a file made meanwhile is private
    os.umask(mask)
    return mask


def _search_path(name: str) -> ProcessSetting:
    """Return the setting of a list of `sys`. Additions are kept, at the end: a loaded module may need them for later
    imports."""
    places: list[Any] = getattr(sys, name)

    def write(before: list[Any]) -> None:
        added = [path for path in getattr(sys, name) if path not in before]
        places[:] = [*before, *added]
        setattr(sys, name, places)

    return ProcessSetting(
        f"sys.{name}", lambda: [*getattr(sys, name)], write, lambda before, now: now[: len(before)] != before
    )


def _handlers() -> list[tuple[signal.Signals, Any]]:
    is_main = threading.current_thread() is threading.main_thread()  # another one may not set any
    return [(number, signal.getsignal(number)) for number in CATCHABLE] if is_main else []


def _set_handlers(before: list[tuple[signal.Signals, Any]]) -> None:
    for number, handler in before:
        if signal.getsignal(number) != handler and handler is not None:
            signal.signal(number, handler)


def _timers() -> list[tuple[float, float]]:
    """Return when each timer rings, and its interval. The time is infinity for a timer that is off."""
    found = [signal.getitimer(which) for which in TIMERS]
    return [(time.monotonic() + left_s if left_s else math.inf, each_s) for left_s, each_s in found]


def _are_other_timers(before: list[tuple[float, float]], now: list[tuple[float, float]]) -> bool:
    return not all(
        one == other or (abs(one[0] - other[0]) < TIMER_S and one[1] == other[1])
        for one, other in zip(before, now, strict=True)
    )


def _set_timers(before: list[tuple[float, float]]) -> None:
    for which, (until, each_s) in zip(TIMERS, before, strict=True):
        left_s = 0.0 if math.isinf(until) else max(1e-3, until - time.monotonic())
        signal.setitimer(which, left_s, each_s)


def _set_warnings(before: tuple[list[Any], Any]) -> None:
    warnings.resetwarnings()  # clears Python's cache of filter results
    warnings.filters[:], warnings.showwarning = before  # type: ignore[index]  # typeshed declares it read-only


def _loggers() -> tuple[Any, ...]:
    root, found = logging.getLogger(), logging.root.manager.loggerDict
    ours = {name: logger for name, logger in found.items() if name.partition(".")[0] == OURS}
    levels = {name: (one.level, one.propagate) for name, one in ours.items() if isinstance(one, logging.Logger)}
    disabled = {name for name, one in found.items() if isinstance(one, logging.Logger) and one.disabled}
    return [*root.handlers], [*root.filters], root.level, root.disabled, root.manager.disable, levels, disabled


def _are_other_loggers(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    *_, levels, disabled = now
    return (
        before[:5] != now[:5]
        or bool(disabled - before[6])
        or any(levels[name] != before[5][name] for name in before[5])
    )


def _set_loggers(before: tuple[Any, ...]) -> None:
    handlers, filters, level, is_disabled, disable, levels, disabled = before
    root, found = logging.getLogger(), logging.root.manager.loggerDict
    root.handlers[:], root.filters[:], root.disabled = handlers, filters, is_disabled
    root.setLevel(level)
    logging.disable(disable)
    for name, one in found.items():
        if isinstance(one, logging.Logger):
            one.disabled = one.disabled and name in disabled
            if name in levels:
                one.propagate = levels[name][1]
                one.setLevel(levels[name][0])


def _decimals() -> tuple[Any, ...]:
    context = decimal.getcontext()
    return (*(getattr(context, name) for name in DECIMAL), dict(context.traps))


def _set_decimals(before: tuple[Any, ...]) -> None:
    *values, traps = before
    context = decimal.getcontext()
    for name, value in zip(DECIMAL, values, strict=True):
        setattr(context, name, value)
    context.traps.update(traps)


def _set_collector(before: tuple[Any, ...]) -> None:
    is_enabled, threshold, debug = before
    gc.enable() if is_enabled else gc.disable()
    gc.set_threshold(*threshold)
    gc.set_debug(debug)


def _set_limits(before: list[tuple[int, tuple[int, int]]]) -> None:
    for which, limits in before:
        if resource.getrlimit(which) != limits:
            resource.setrlimit(which, limits)


_OF_THE_SYSTEM = (
    ProcessSetting("the working folder", os.getcwd, os.chdir),
    ProcessSetting("the environment", _environment, _set_environment),
    ProcessSetting("the time zone", lambda: time.tzname, lambda _before: time.tzset()),  # from the environment
    ProcessSetting("the umask", _umask, os.umask),
    ProcessSetting("the handlers of signals", _handlers, _set_handlers),
    ProcessSetting("timers", _timers, _set_timers, _are_other_timers),
    ProcessSetting(
        "the blocked signals",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda before: signal.pthread_sigmask(signal.SIG_SETMASK, before),
    ),
    ProcessSetting(
        "the limits of the process", lambda: [(one, resource.getrlimit(one)) for one in LIMITS], _set_limits
    ),
    ProcessSetting(
        "the priority",
        lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda before: os.setpriority(os.PRIO_PROCESS, 0, before),
    ),
    ProcessSetting(
        "the cores of the process", lambda: os.sched_getaffinity(0), lambda before: os.sched_setaffinity(0, before)
    ),
    ProcessSetting(
        "the folder of temporary files", tempfile.gettempdir, lambda before: setattr(tempfile, "tempdir", before)
    ),
    ProcessSetting(
        "the locale", lambda: locale.setlocale(locale.LC_ALL), lambda before: locale.setlocale(locale.LC_ALL, before)
    ),
)
_OF_PYTHON = (
    ProcessSetting("sys.modules", lambda: copied("modules", sys.modules), sys.modules.update, is_any_replaced),
    ProcessSetting("builtins", lambda: copied("builtins", vars(builtins)), vars(builtins).update, is_any_replaced),
    *map(_search_path, ("path", "meta_path", "path_hooks")),
    ProcessSetting("sys.argv", lambda: [*sys.argv], lambda before: setattr(sys, "argv", before)),
    ProcessSetting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    ProcessSetting("the size of threads' stacks", threading.stack_size, threading.stack_size),
    ProcessSetting("how libraries are loaded", sys.getdlopenflags, sys.setdlopenflags),
    ProcessSetting("the switch interval of threads", sys.getswitchinterval, sys.setswitchinterval),
    ProcessSetting("the longest text of an integer", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    of_attributes(
        "the hooks of sys and threading",
        *((sys, name) for name in ("excepthook", "unraisablehook", "displayhook")),
        (threading, "excepthook"),
    ),
    ProcessSetting("the trace function", sys.gettrace, sys.settrace),
    ProcessSetting("the profile function", sys.getprofile, sys.setprofile),
    ProcessSetting(
        "the garbage collector", lambda: (gc.isenabled(), gc.get_threshold(), gc.get_debug()), _set_collector
    ),
)
_OF_LIBRARIES = (
    ProcessSetting("the filters of warnings", lambda: ([*warnings.filters], warnings.showwarning), _set_warnings),
    ProcessSetting("loggers and their handlers", _loggers, _set_loggers, _are_other_loggers),
    ProcessSetting("the context of decimal", _decimals, _set_decimals),
    ProcessSetting("the time limit of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    ProcessSetting(
        "the start method of processes",
        lambda: multiprocessing.get_start_method(allow_none=True),
        lambda before: multiprocessing.set_start_method(before, force=True),
        lambda before, now: (now or SYSTEMS_OWN) != (before or SYSTEMS_OWN),  # None is the system's own
    ),
)
PYTHON = (*_OF_THE_SYSTEM, *_OF_PYTHON, *_OF_LIBRARIES)
