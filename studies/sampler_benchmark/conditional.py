"""A closed-form problem that looks like a training: optimizers with parameters of their own, and a tilted ridge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from studies.config.space import Point
from studies.sampler_benchmark.functions import Function, number


class Conditional(Function):
    """A mixed space with conditions.

    The best learning rate grows with the square root of the batch size, at a pace of its own for each optimizer. The
    least value is 0, for SGD with momentum 0.9, batch size 64, learning rate 0.05, depth 3 and width 128. Adam is
    always at least 0.1 worse.
    """

    best = 0.0

    @property
    def search_space(self) -> Mapping[str, Mapping[str, Any]]:
        """Seven parameters, of which two belong to one optimizer each."""
        return {
            "optimizer": {"type": "categorical", "choices": ["sgd", "adam", "rmsprop"]},
            "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
            "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": ["sgd"]}},
            "beta": {"type": "float", "low": 0.8, "high": 0.999, "when": {"optimizer": ["adam"]}},
            "batch_size": {"type": "power_of_two", "low": 8, "high": 512},
            "n_layers": {"type": "int", "low": 1, "high": 6},
            "width": {"type": "power_of_two", "low": 16, "high": 512},
        }

    def truth(self, point: Point) -> float:
        """Return the value without noise."""
        optimizer = str(point["optimizer"])
        batch = math.log2(number(point, "batch_size") / 64)
        centre = {"sgd": math.log10(0.05), "adam": -3.0, "rmsprop": -3.3}[optimizer]
        distance = math.log10(number(point, "lr")) - centre - 0.5 * math.log10(2) * batch
        value = {"sgd": 0.0, "adam": 0.1, "rmsprop": 0.2}[optimizer]
        value += 1 - math.exp(-(distance**2) / 2)  # flat far away, as a training that learns nothing
        value += 0.02 * batch**2 + 0.05 * (number(point, "n_layers") - 3) ** 2
        value += 0.03 * math.log2(number(point, "width") / 128) ** 2
        if optimizer == "sgd":
            value += 0.5 * (number(point, "momentum") - 0.9) ** 2
        if optimizer == "adam":
            value += 2.0 * (number(point, "beta") - 0.9) ** 2
        return value
