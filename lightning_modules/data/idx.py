"""The IDX file format of the MNIST family: a magic number, the length of each dimension, then the raw bytes.

Source: "the IDX file format" at the foot of https://yann.lecun.com/exdb/mnist/. Only unsigned bytes are read, the one
type of these data sets.
"""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTE = 0x08  # the format's code for the type


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of an IDX file, compressed if its name ends in .gz.

    Raises ValueError with the file's name if it is no IDX file of unsigned bytes, or has another length than it says.
    """
    content = _read_bytes(path)
    if len(content) < 4 or content[:3] != bytes((0, 0, UNSIGNED_BYTE)):
        raise ValueError(f"{path} starts with {content[:4].hex(' ')!r}: not an IDX file of unsigned bytes; replace it")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path} has {len(content)} bytes and ends within its header: replace the file")
    shape = tuple(np.frombuffer(content[4:start], dtype=">u4").tolist())
    n_expected = start + prod(shape)
    if len(content) != n_expected:
        raise ValueError(f"{path} has {len(content)} bytes where its header asks for {n_expected}: replace the file")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is no complete gzip file ({error}): replace the file") from error
