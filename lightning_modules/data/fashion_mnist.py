"""Fashion-MNIST: articles of clothing of 28×28 pixels (Xiao, Rasul & Vollgraf, 2017, arXiv:1708.07747)."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import ClassVar

from lightning_modules.data.data_set import ImageDataSet, PixelScale
from lightning_modules.data.idx_files import IdxFiles
from lightning_modules.data.image_data_module import ImageDataModule

full_fashion_mnist = partial(
    IdxFiles,
    folder="FashionMNIST",
    mirror="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    scale=PixelScale(white=255, mean=0.2860, sd=0.3530),  # of the 60,000 training images
    md5={
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)


class FashionMNIST(ImageDataModule):
    """Ten kinds of clothing, 1×28×28: trains on 55,000 images, validates on 5,000, tests on the official 10,000."""

    sources: ClassVar[Mapping[str, Callable[[str], ImageDataSet]]] = MappingProxyType({"full": full_fashion_mnist})
