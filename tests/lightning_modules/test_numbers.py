"""Every number of the shipped modules refuses what is none, and what is beyond all reason, by its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from lightning_modules import CNN, MLP, Augmentation, Classifier, Digits, Gratings
from lightning_modules.schedule import CosineDecay, ReduceOnPlateau, StepDecay, WarmupCosine

NETWORK = {"input_shape": (1, 8, 8), "n_classes": 10}
MODULES: list[tuple[Callable[..., Any], dict[str, Any], tuple[str, ...]]] = [
    (MLP, NETWORK, ("input_shape", "n_classes", "n_layers", "width", "dropout")),
    (CNN, NETWORK, ("input_shape", "n_classes", "n_layers", "width", "dropout", "kernel_size")),
    (Classifier, {"network": MLP(**NETWORK), "optimizer": None}, ("label_smoothing", "l1", "l2")),
    (Augmentation, {}, ("rotation", "scaling", "translation", "horizontal_flip", "vertical_flip", "noise")),
    (Digits, {}, ("batch_size", "eval_batch_size", "split_seed", "image_shape")),
    (Gratings, {}, ("data_seed", "n_train", "n_val", "n_test", "noise", "split_seed")),
    (StepDecay, {"rate": 0.5, "every": 1}, ("rate", "every")),
    (ReduceOnPlateau, {"rate": 0.5, "patience": 1}, ("rate", "patience")),
    (CosineDecay, {}, ("floor",)),
    (WarmupCosine, {"warmup": 0.1}, ("floor", "warmup")),
]
BAD = (math.nan, math.inf, -1, 1e300, 10**12, True, "x", [None])


@pytest.mark.parametrize("value", BAD, ids=repr)
@pytest.mark.parametrize(
    ("module", "arguments", "key"),
    [(module, arguments, key) for module, arguments, keys in MODULES for key in keys],
    ids=[f"{module.__name__}.{key}" for module, _, keys in MODULES for key in keys],
)
def test_what_is_no_number_of_its_kind_is_refused_by_its_name(
    module: Callable[..., Any], arguments: dict[str, Any], key: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=rf"{key} is .*: give"):
        module(**{**arguments, key: value})
