"""The region that trains as rules."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from studies.analysis.axis import Array, Axis, axis_of
from studies.analysis.surface import Functions
from studies.analysis.training.classifier import Classifier
from studies.analysis.training.region import region_of


def axes() -> tuple[Axis, ...]:
    return tuple(axis for name in ("a", "b") if (axis := axis_of(name, [FloatDistribution(0.0, 1.0)])) is not None)


def classifier(constant: float, slopes: tuple[float, float]) -> Classifier:
    """A classifier whose function is linear in both parameters, and known."""
    mains = []
    for axis, slope in zip(axes(), slopes, strict=True):
        main: Array = np.zeros((1, len(axis.degrees())))
        main[0, 0] = slope / (axis.basis(np.array([1.0]))[0, 0] - axis.basis(np.array([0.0]))[0, 0])
        mains.append(main)
    pair = np.zeros((1, mains[0].shape[1], mains[1].shape[1]))
    functions = Functions(axes(), np.array([constant]), tuple(mains), {(0, 1): pair})
    none = np.zeros(0)
    return Classifier(axes(), functions, np.zeros((1, 4)), none, none.astype(bool), 1.0, 1.0)


def test_a_half_is_told_by_one_bound() -> None:
    region = region_of(classifier(0.0, (-1.0, 0.0)))
    assert region is not None
    (box,) = region.boxes
    (bound,) = box
    assert (bound.axis.name, bound.low) == ("a", None)
    assert bound.high == pytest.approx(0.5, abs=0.01)
    assert region.agreement > 0.99


@pytest.mark.parametrize("corner", [0.02, 0.1, 0.2])
def test_rules_that_say_everywhere_are_no_region(corner: float) -> None:
    """Only a small corner does not train, and a rule on one parameter does not tell it from the rest."""
    region = region_of(classifier(1.0 - corner, (-1.0, -1.0)))
    assert region is None or (region.boxes and all(region.boxes))


@pytest.mark.parametrize("constant", [5.0, -5.0])
def test_a_space_that_trains_everywhere_or_nowhere_has_no_region(constant: float) -> None:
    assert region_of(classifier(constant, (1.0, 0.0))) is None
