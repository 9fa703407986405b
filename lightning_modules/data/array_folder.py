"""A folder of .npy files that appears whole or not at all. All processes of a machine share its pages."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def write_arrays(folder: Path, arrays: Mapping[str, Array]) -> None:
    """Write each array under its name, first beside the folder, then rename. Of several writers the first one wins.

    Raises OSError if the folder cannot be written.
    """
    aside = folder.with_name(f"{folder.name}.{uuid4().hex}")
    aside.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            np.save(aside / f"{name}.npy", array)
        aside.replace(folder)
    except OSError:
        if not folder.is_dir():  # another process wrote the same content
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read_arrays(folder: Path, *names: str) -> list[Array]:
    """Return the named arrays as copy-on-write maps of their files: writing to one changes neither file nor process.

    Torch warns of read-only arrays, hence the mode. Raises FileNotFoundError if one is missing.
    """
    return [np.load(folder / f"{name}.npy", mmap_mode="c") for name in names]
