"""The four IDX files of MNIST and of similar data sets, found on disk or downloaded once."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pooch
from numpy.typing import NDArray

from lightning_modules.checks import require
from lightning_modules.data.data_set import ImageDataSet, LabelledImages, Labels
from lightning_modules.data.idx import read_idx
from lightning_modules.data.split import Split, stratified_split

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
VAL_SHARE = 1 / 12  # of the training file: 5,000 of 60,000


@dataclass(frozen=True)
class IdxFiles(ImageDataSet):
    """Files in <data_dir>/<folder>/raw, with or without .gz, the layout of torchvision: its downloads are found too.

    The test file is for testing, and a twelfth of the training file for validation. Missing files are downloaded from
    the mirror, a URL that ends in /, and checked by the MD5 sum of the .gz file.
    """

    folder: str
    mirror: str
    md5: Mapping[str, str] = field(hash=False)

    def name(self) -> str:
        """Return the folder's name with a checksum of the files' sizes and dates, so replaced files are read anew."""
        stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in self._paths()]
        return f"{self.folder}-full-{zlib.crc32(repr(stamps).encode()):08x}"

    def read(self) -> LabelledImages:
        """Return the training images followed by the test images.

        Raises ValueError for a file that is no IDX file or does not match its partner, and FileNotFoundError for a
        missing file that cannot be downloaded.
        """
        paths = self._paths()
        train_pixels, train_labels, test_pixels, test_labels = (read_idx(path) for path in paths)
        _check_pair(train_pixels, train_labels, path=paths[1])
        _check_pair(test_pixels, test_labels, path=paths[3])
        pixels = np.concatenate((train_pixels, test_pixels))[:, np.newaxis]
        return LabelledImages(pixels=pixels, labels=np.concatenate((train_labels, test_labels)).astype(np.int64))

    def split(self, labels: Labels, *, seed: int) -> Split:
        """Validate on a stratified twelfth of the training file."""
        n_train = len(read_idx(self._paths()[1]))
        own = stratified_split(labels[:n_train], n_val=round(n_train * VAL_SHARE), n_test=0, seed=seed)
        return Split(train=own.train, val=own.val, test=np.arange(n_train, len(labels)))

    def _paths(self) -> list[Path]:
        raw = Path(self.data_dir, self.folder, "raw")
        missing = [file for file in FILES if not _candidates(raw, file)]
        if missing:
            self._download(raw, missing)
        return [_candidates(raw, file)[0] for file in FILES]

    def _download(self, raw: Path, missing: list[str]) -> None:
        pooch.get_logger().setLevel("WARNING")
        for file in missing:
            archive = f"{file}.gz"
            try:
                pooch.retrieve(self.mirror + archive, known_hash=f"md5:{self.md5[file]}", fname=archive, path=raw)
            except (OSError, ValueError) as error:  # no connection, no space, or another checksum
                raise FileNotFoundError(self._remedy(raw, missing, reason=str(error))) from error

    def _remedy(self, raw: Path, missing: list[str], *, reason: str) -> str:
        files = ", ".join(f"{file}.gz" for file in missing)
        return f"{files} cannot be downloaded ({reason}): put them into {raw.absolute()}, from {self.mirror}"


def _candidates(raw: Path, file: str) -> list[Path]:
    return [path for path in (raw / file, raw / f"{file}.gz") if path.is_file()]


def _check_pair(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], *, path: Path) -> None:
    shapes = (pixels.shape, labels.shape)
    fits = pixels.ndim == 3 and labels.ndim == 1 and len(pixels) == len(labels)
    require(fits, key=str(path), value=shapes, remedy="the file must have one label for each image of its partner")
