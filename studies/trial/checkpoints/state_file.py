"""Writes a training's state into one file that can be read without running code from it.

Context: a checkpoint may lie in a folder that others can write, and torch's default format runs code when it is read.
Choice: everything is read with torch's `weights_only=True`, and values that this refuses are found at the writing.
Cost: a module with other objects in its checkpoints is not saved, and a warning says so.

Lightning keeps the arguments of a module for `load_from_checkpoint`. The secrets among them are masked.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from omegaconf import OmegaConf

from studies.secrets.masking import without_secrets
from studies.text.printable import described
from studies.trial.checkpoints.files import ASIDE, put_in_place

PLAIN = (str, dict, list, tuple)  # arguments of these types may hold a secret
ARGUMENTS = ("hyper_parameters", "datamodule_hyper_parameters")
OPTIONAL = {  # Lightning's keys for arguments of module and data: ours come from the config
    *ARGUMENTS,
    *("hparams_name", "hparams_type", "datamodule_hparams_name", "datamodule_hparams_type"),
}


class NotPlain(Exception):
    """The state holds an object that only unpickling could restore."""


def write(state: Mapping[str, Any], path: Path) -> str:
    """Write `state` aside, rename it to `path`, and return the sha256 of the file. Make the folder if it is missing.

    Optional parts that are not plain are left out. Raises `NotPlain` for any other, OSError where it cannot be written.
    """
    kept = plain(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ASIDE)
    try:
        aside.unlink(missing_ok=True)  # left by a dead writer, or a link
        with aside.open("xb") as file:
            hashing = _Hashing(file)
            _save(kept, hashing)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    return hashing.digest


def _save(state: Mapping[str, Any], hashing: _Hashing) -> None:
    """Have torch write. Raise the file's own error in place of torch's, which tells only a position."""
    try:
        torch.save(state, hashing)  # type: ignore[arg-type]  # write and flush are all it asks for
    except RuntimeError as error:
        raise hashing.error or error from None


def plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return `state` without the optional parts that cannot be read back. Raises `NotPlain` for any other such part."""
    kept: dict[str, Any] = {}
    for key, value in without_secret_arguments(state).items():
        converted = _plain(value)
        refusal = _refusal(converted)
        if refusal is None:
            kept[key] = converted
        elif key not in OPTIONAL:
            raise NotPlain(f"its part {key!r} holds more than tensors and plain values ({refusal})")
    return kept


@contextlib.contextmanager
def secrets_kept_out(strategy: Any) -> Iterator[None]:
    """Mask the secrets among the arguments of module and data in the checkpoints that Lightning writes in here."""
    own, strategy.checkpoint_io = strategy.checkpoint_io, _Masking(strategy.checkpoint_io)
    try:
        yield
    finally:
        strategy.checkpoint_io = own


class _Masking:
    """Wraps Lightning's own writer."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self._own.save_checkpoint(without_secret_arguments(checkpoint), path, storage_options)


def without_secret_arguments(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a checkpoint, with the secrets in the arguments of module and data masked."""
    return {key: _without_secrets(value) if key in ARGUMENTS else value for key, value in state.items()}


def _without_secrets(arguments: Any) -> Any:
    """Return arguments with their secrets masked. Objects stay what they are."""
    if OmegaConf.is_config(arguments):
        plain_values = OmegaConf.to_container(arguments, resolve=False)
        return OmegaConf.create(without_secrets(plain_values, plain_values), flags={"allow_objects": True})
    if not isinstance(arguments, Mapping):
        return arguments
    named = {key: {key: value} for key, value in arguments.items()}
    return {key: without_secrets(one)[key] if isinstance(one[key], PLAIN) else one[key] for key, one in named.items()}


def _plain(value: Any) -> Any:
    """Return `value` with numpy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {key: _plain(member) for key, member in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(member) for member in value)
    return value


def _refusal(value: Any) -> str | None:
    """Return why `value` could not be read back, if so. It is tried on a copy without tensors, which are always
    readable."""
    buffer = io.BytesIO()
    try:
        torch.save(_without_tensors(value), buffer)
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line), str(error))
        return reason.strip()
    except Exception as error:  # noqa: BLE001 - objects of users fail to pickle in their own ways
        return described(error)
    return None


def _without_tensors(value: Any) -> Any:
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        return None
    if type(value) in (dict, OrderedDict):
        return {key: _without_tensors(member) for key, member in value.items()}
    if type(value) in (list, tuple):
        return [_without_tensors(member) for member in value]
    return value


class _Hashing:
    """Digests everything that is written to a file. Torch writes it in order."""

    def __init__(self, file: BinaryIO) -> None:
        self.error: OSError | None = None
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write and digest."""
        self._hash.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        """Hand everything to the system."""
        self._file.flush()

    @property
    def digest(self) -> str:
        """Return the sha256 of everything written."""
        return self._hash.hexdigest()
