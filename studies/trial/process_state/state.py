"""Restores after a trial what it has set for its whole process, before the next trial begins.

Context: a worker runs one trial after another, and a module may set the default dtype, the working folder or a signal's
handler. Choice: read all of it before a trial, and put back every difference after it. A module's own import is no part
of its trial: its settings stay, as in a script. So all targets of a config are imported at once before: otherwise the
trials of a worker would differ by the order of their imports. Cost: about a millisecond a trial.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.space import SearchSpace
from studies.config.targets import target_of
from studies.trial.process_state.patches import Patches
from studies.trial.process_state.python_settings import PYTHON
from studies.trial.process_state.setting import ProcessSetting
from studies.trial.process_state.torch_settings import TORCH

SETTINGS: tuple[ProcessSetting, ...] = (*PYTHON, *TORCH)
UNREADABLE = object()
_done: list[tuple[DictConfig, tuple[type, ...]]] = []  # of this process's study


@dataclass(slots=True)
class ChangedState:
    """The names of changed settings."""

    put_back: list[str]
    stuck: list[str]  # could not be put back, or not with certainty


class ProcessState:
    """The present state of this process. `own` are classes of a user, watched like those of libraries."""

    def __init__(self, own: Sequence[type] = ()) -> None:
        self.left = ChangedState([], [])
        self._before = [(setting, _read(setting)) for setting in SETTINGS]
        self._patches = Patches(own)
        self._streams = _Streams()

    def put_back(self) -> ChangedState:
        """Put back every difference, and return all that were found so far."""
        faulthandler.cancel_dump_traceback_later()
        if self._streams.put_back():
            self._note("the standard streams", is_back=True)
        for setting, before in self._before:
            if before is not UNREADABLE and setting.differs(before, _read(setting)):
                self._note(setting.name, is_back=_put_back(setting, before))
        for name in self._patches.put_back():
            self._note(name, is_back=False)  # code that imported the replacement by name keeps it
        return self.left

    def close(self) -> None:
        """Close the duplicates of the standard streams."""
        self._streams.close()

    def _note(self, name: str, *, is_back: bool) -> None:
        names = self.left.put_back if is_back else self.left.stuck
        if name not in names:
            names.append(name)


@contextlib.contextmanager
def kept(own: Sequence[type] = ()) -> Iterator[ProcessState]:
    """Restore the state of the process at the end of the block."""
    state = ProcessState(own)
    try:
        yield state
    finally:
        state.put_back()
        state.close()


def import_targets(template: DictConfig, space: SearchSpace) -> tuple[type, ...]:
    """Import each `_target_` in the config `template` and the choices of `space`. Return the users' classes.

    Targets that fail to import are passed over: building them raises the error.
    """
    if not _done or _done[0][0] is not template:
        config = _plain(template)
        choices = [[*parameter.choices.values()] for parameter in space.parameters]
        classes = dict.fromkeys(one for one in _targets([config, choices]) if isinstance(one, type))
        _done[:] = [(template, tuple(classes))]
    return _done[0][1]


def _plain(template: DictConfig) -> Any:
    """Return the config as plain values, with its references resolved where all can be."""
    try:
        return OmegaConf.to_container(template, resolve=True)
    except OmegaConfBaseException:  # building the trial reports it
        return OmegaConf.to_container(template, resolve=False)


def _targets(node: Any) -> Iterator[Any]:
    if isinstance(node, list | tuple):
        for member in node:
            yield from _targets(member)
    elif isinstance(node, dict):
        if "$" not in str(node.get("_target_")):
            yield target_of(node)
        for member in node.values():
            yield from _targets(member)


def _read(setting: ProcessSetting) -> Any:
    """Return the value of a setting, or `UNREADABLE`."""
    try:
        return setting.read()
    except Exception:  # noqa: BLE001 - a deleted folder, a system without such a limit
        return UNREADABLE


def _put_back(setting: ProcessSetting, before: Any) -> bool:
    """Put a setting back, and return whether it is as before again."""
    if setting.write is None:
        return False
    try:
        setting.write(before)
    except Exception:  # noqa: BLE001 - such as a limit that needs an administrator
        return False
    return not setting.differs(before, _read(setting))


class _Streams:
    """Standard output and error, by their numbers and as Python's objects."""

    def __init__(self) -> None:
        self._files = {number: _duplicate(number) for number in (1, 2)}
        self._objects = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}

    def put_back(self) -> bool:
        """Put the streams back, and return whether any was changed."""
        changed = [number for number, kept in self._files.items() if kept is not None and not _are_one(number, kept)]
        for number in changed:
            os.dup2(self._files[number] or 0, number)
        replaced = [name for name, stream in self._objects.items() if getattr(sys, name) is not stream]
        for name in replaced:
            setattr(sys, name, self._objects[name])
        closed = [name for name in ("stdout", "stderr") if _is_closed(self._objects[name])]
        for name in closed:
            stream = open(("stdin", "stdout", "stderr").index(name), "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
            _hand_over(self._objects[name], stream)
            self._objects[name] = stream
            setattr(sys, name, stream)
        return bool(changed or replaced or closed)

    def close(self) -> None:
        for kept in self._files.values():
            if kept is not None:
                with contextlib.suppress(OSError):
                    os.close(kept)
        self._files = {}


def _hand_over(closed: Any, stream: TextIO) -> None:
    """Let the handlers of loggers that write to a closed stream write to another one."""
    loggers = (logging.getLogger(), *logging.root.manager.loggerDict.values())
    for handler in (one for logger in loggers for one in getattr(logger, "handlers", ())):
        if isinstance(handler, logging.StreamHandler) and handler.stream is closed:
            handler.stream = stream


def _duplicate(number: int) -> int | None:
    try:
        return os.dup(number)
    except OSError:
        return None


def _are_one(number: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(number, other)
    except OSError:
        return False


def _is_closed(stream: TextIO | None) -> bool:
    return stream is not None and getattr(stream, "closed", False) is True
