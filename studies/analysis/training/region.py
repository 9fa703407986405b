"""The region that trains, in words: a few rules on parameters that describe it, and how well.

A decision tree of three levels (Breiman et al. 1984) is fitted to what the classifier predicts at evenly spread points.
The tree with the fewest leaves is taken that agrees almost as often as the best one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from studies.analysis.axis import Array, Axis
from studies.analysis.spread_points import spread_points
from studies.analysis.training.classifier import Classifier

N_POINTS = 2048
MOST_LEAVES = 6
DEPTH = 3
WORTH = 0.02  # of the agreement, which a further leaf has to add
EVERYWHERE = ()  # the box without a condition


@dataclass(frozen=True, slots=True)
class Bound:
    """A condition on a parameter: its encoded value lies between `low` and `high`, or it is one of `choices`."""

    axis: Axis
    low: float | None = None
    high: float | None = None
    choices: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingRegion:
    """Boxes of which each trains, and the share of the points where they say what the classifier says."""

    boxes: tuple[tuple[Bound, ...], ...]
    agreement: float


def region_of(classifier: Classifier) -> TrainingRegion | None:
    """Return the rules for {x: P(trains | x) ≥ ½}. None if it is everywhere or nowhere, or too small for such rules."""
    axes, unit = classifier.axes, spread_points(classifier.axes, N_POINTS)
    inside = classifier.mean(unit) >= 0
    if inside.all() or not inside.any():
        return None
    columns, owners = _columns(axes, unit)
    trees = [
        DecisionTreeClassifier(max_depth=DEPTH, max_leaf_nodes=leaves, random_state=0).fit(columns, inside)
        for leaves in range(2, MOST_LEAVES + 1)
    ]
    found = [(_boxes(axes, owners, tree), float(tree.score(columns, inside))) for tree in trees]
    most = max(agreement for _, agreement in found)
    simple = [own for k, own in enumerate(found) if own[1] >= most - WORTH * (len(found) - 1 - k)]
    return next((TrainingRegion(*own) for own in simple if own[0] and EVERYWHERE not in own[0]), None)


def _columns(axes: Sequence[Axis], unit: Array) -> tuple[Array, list[tuple[int, int | None]]]:
    """Return a column for each ordered axis and for each choice of the others, with the axis and choice of each."""
    columns: list[Array] = []
    owners: list[tuple[int, int | None]] = []
    for i, axis in enumerate(axes):
        if axis.kind != "categorical":
            columns.append(unit[:, i])
            owners.append((i, None))
            continue
        nodes, _ = axis.nodes()
        own = np.argmin(np.abs(unit[:, i, None] - nodes), axis=1)
        for choice in range(len(nodes)):
            columns.append((own == choice).astype(float))
            owners.append((i, choice))
    return np.column_stack(columns), owners


def _boxes(
    axes: Sequence[Axis], owners: Sequence[tuple[int, int | None]], found: DecisionTreeClassifier
) -> tuple[tuple[Bound, ...], ...]:
    """Return the conditions of each leaf that trains. Two leaves that differ by one cut alone are one."""
    tree = found.tree_
    boxes: list[tuple[Bound, ...]] = []

    def trains(node: int) -> bool:
        """Return whether all leaves below a node train."""
        if tree.children_left[node] < 0:
            return bool(found.classes_[np.argmax(tree.value[node][0])])
        return trains(tree.children_left[node]) and trains(tree.children_right[node])

    def visit(node: int, ranges: Mapping[int, tuple[float, float]], choices: Mapping[int, frozenset[int]]) -> None:
        if trains(node):
            boxes.append(_bounds(axes, ranges, choices))
        elif tree.children_left[node] >= 0:
            i, choice = owners[tree.feature[node]]
            cut = float(tree.threshold[node])
            left, right = int(tree.children_left[node]), int(tree.children_right[node])
            if choice is None:
                low, high = ranges.get(i, (0.0, 1.0))
                visit(left, {**ranges, i: (low, cut)}, choices)
                visit(right, {**ranges, i: (cut, high)}, choices)
            else:
                known = choices.get(i, frozenset(range(len(axes[i].values))))
                visit(left, ranges, {**choices, i: known - {choice}})
                visit(right, ranges, {**choices, i: known & {choice}})

    visit(0, {}, {})
    return tuple(boxes)


def _bounds(
    axes: Sequence[Axis], ranges: Mapping[int, tuple[float, float]], choices: Mapping[int, frozenset[int]]
) -> tuple[Bound, ...]:
    found = [
        Bound(
            axes[i],
            low=None if low <= 0 else float(axes[i].at(np.asarray(low))),
            high=None if high >= 1 else float(axes[i].at(np.asarray(high))),
        )
        for i, (low, high) in sorted(ranges.items())
    ]
    return (
        *found,
        *(Bound(axes[i], choices=tuple(axes[i].values[k] for k in sorted(own))) for i, own in choices.items()),
    )
