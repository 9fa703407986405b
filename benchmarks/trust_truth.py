"""What is true of a surface: of the noise-free function, under the measure of the analysis's own axes.

The function is evaluated on a tensor grid: all levels where an axis has levels, Gauss-Legendre nodes elsewhere. An
effect of a conditional parameter is one among the points where it is active. For all other effects it is averaged
over, as the analysis does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from studies.analysis.axis import Axis, axis_of
from studies.config.parameter import Parameter
from studies.sampler_benchmark.problem import space_of

Array = npt.NDArray[np.float64]
Columns = Mapping[str, npt.NDArray[Any]]  # values of each parameter, which broadcast together
Names = tuple[str, ...]  # one parameter, two, or none: what mains and pairs leave unexplained
Indices = dict[Names, float]

UNEXPLAINED: Names = ()
LOG_NODES = 160  # of a log axis, where cliffs lie
LINEAR_NODES = 12


@dataclass(frozen=True)
class Tensor:
    """Values of a function at all combinations of the nodes of its parameters, which have weights of sum 1."""

    parameters: tuple[Parameter, ...]
    nodes: tuple[npt.NDArray[Any], ...]  # of each parameter, in its own values
    weights: tuple[Array, ...]
    values: Array  # (nodes of each parameter…)

    @property
    def names(self) -> Names:
        """The names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    def mean_over(self, values: Array, kept: Sequence[int]) -> Array:
        """Average `values` over all parameters but the ones at these positions."""
        for i in reversed(range(len(self.parameters))):
            if i not in kept:
                values = np.tensordot(values, self.weights[i], axes=([i], [0]))
        return np.asarray(values)

    def without(self, name: str) -> Tensor:
        """Average over a parameter."""
        i = self.names.index(name)
        values = self.mean_over(self.values, [j for j in range(len(self.parameters)) if j != i])
        return replace(self, **{key: _without(own, i) for key, own in self._axes().items()}, values=values)

    def among(self, name: str, allowed: Sequence[Any]) -> Tensor:
        """Keep the nodes of a parameter that are allowed. One that has a single value left goes."""
        i = self.names.index(name)
        rows = [k for k, node in enumerate(self.nodes[i].tolist()) if node in allowed]
        weights = self.weights[i][rows] / self.weights[i][rows].sum()
        kept = replace(
            self,
            nodes=(*self.nodes[:i], self.nodes[i][rows], *self.nodes[i + 1 :]),
            weights=(*self.weights[:i], weights, *self.weights[i + 1 :]),
            values=np.take(self.values, rows, axis=i),
        )
        return kept if len(rows) > 1 else kept.without(name)

    @property
    def variance(self) -> float:
        """The variance of the values."""
        return float(self.mean_over((self.values - float(self.mean_over(self.values, []))) ** 2, []))

    def indices(self) -> Indices:
        """Return the index of each parameter and pair, and what they leave."""
        centred, variance = self.values - float(self.mean_over(self.values, [])), self.variance
        mains = [self.mean_over(centred, [i]) for i in range(len(self.names))]
        found: Indices = {(name,): float(self.weights[i] @ mains[i] ** 2) for i, name in enumerate(self.names)}
        for i, j in itertools.combinations(range(len(self.names)), 2):
            pair = self.mean_over(centred, [i, j]) - mains[i][:, None] - mains[j][None, :]
            found[self.names[i], self.names[j]] = float(self.weights[i] @ pair**2 @ self.weights[j])
        found[UNEXPLAINED] = max(0.0, variance - sum(found.values()))
        return {names: share / variance for names, share in found.items()}

    def _axes(self) -> dict[str, tuple[Any, ...]]:
        return {"parameters": self.parameters, "nodes": self.nodes, "weights": self.weights}


@dataclass(frozen=True, slots=True)
class TrueLoss:
    """What is lost if a parameter stays at its middle while the others are tuned, in the metric's unit.

    range: from the best value of the function to the worst
    """

    lost: float
    range: float

    @property
    def share(self) -> float:
        """The loss as a share of the range, from 0 to 1."""
        return self.lost / self.range


def tensor(
    search_space: Mapping[str, Mapping[str, Any]], function: Callable[[Columns], Array], *, resolution: float = 1.0
) -> Tensor:
    """Evaluate `function` at all nodes, as many as `resolution` times the usual number."""
    parameters = tuple(space_of(search_space))
    nodes, weights = zip(*(_nodes(_axis(parameter), resolution) for parameter in parameters), strict=True)
    columns = dict(zip([parameter.name for parameter in parameters], np.ix_(*map(_places, nodes)), strict=True))
    values = function({name: nodes[i][place] for i, (name, place) in enumerate(columns.items())})
    shape = tuple(len(own) for own in nodes)
    return Tensor(parameters, nodes, weights, np.array(np.broadcast_to(values, shape), dtype=float))


def true_indices(found: Tensor) -> Indices:
    """Return the indices of all parameters and pairs, those of a conditional parameter among its active points."""
    indices = unconditional(found).indices()
    for name, inside in _scopes(found):
        indices |= {names: index for names, index in inside.indices().items() if name in names}
    return indices


def true_losses(found: Tensor, *, maximize: bool) -> dict[Names, TrueLoss]:
    """Return what is lost by each parameter at its middle. That of a conditional one is among its active points."""
    everywhere = unconditional(found)
    losses = {(name,): _loss(everywhere, name, maximize=maximize) for name in everywhere.names}
    return losses | {(name,): _loss(inside, name, maximize=maximize) for name, inside in _scopes(found)}


def true_effects(found: Tensor, inside: npt.NDArray[np.bool_]) -> Indices:
    """Return the Shapley effects (Owen 2014) where `inside` holds, a mask of the values' shape."""
    d = len(found.names)
    share = inside.astype(float)
    earned = {}
    for kept in itertools.chain.from_iterable(itertools.combinations(range(d), k) for k in range(d + 1)):
        weight, total = found.mean_over(share, kept), found.mean_over(share * found.values, kept)
        means = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
        squares = weight * means**2
        for i in reversed(kept):
            squares = np.tensordot(squares, found.weights[i], axes=([kept.index(i)], [0]))
        earned[kept] = float(squares)
    variance = earned[tuple(range(d))] - earned[()]
    effects = dict.fromkeys([(name,) for name in found.names], 0.0)
    for order in itertools.permutations(range(d)):
        for place, i in enumerate(order):
            before, after = tuple(sorted(order[:place])), tuple(sorted(order[: place + 1]))
            effects[found.names[i],] += (earned[after] - earned[before]) / variance / math.factorial(d)
    return effects


def middle_of(axis: Axis) -> Any:
    """Return the node of an axis in the middle, the upper one of two."""
    nodes = _nodes(axis, 1.0)[0].tolist()
    return nodes[len(nodes) // 2]


def unconditional(found: Tensor) -> Tensor:
    """Average over all conditional parameters."""
    for parameter in found.parameters:
        found = found.without(parameter.name) if parameter.when else found
    return found


def _scopes(found: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield each conditional parameter with the points where it is active, averaged over the other ones."""
    conditional = [parameter for parameter in found.parameters if parameter.when]
    for parameter in conditional:
        inside = found
        for other in conditional:
            inside = inside if other is parameter else inside.without(other.name)
        for parent, allowed in parameter.when.items():
            inside = inside.among(parent, allowed)
        yield parameter.name, inside


def _loss(found: Tensor, name: str, *, maximize: bool) -> TrueLoss:
    i = found.names.index(name)
    values = -found.values if maximize else found.values
    lost = float(np.take(values, len(found.nodes[i]) // 2, axis=i).min() - values.min())
    return TrueLoss(lost, float(np.ptp(values)))


def _axis(parameter: Parameter) -> Axis:
    is_power = parameter.type == "power_of_two"
    axis = axis_of(parameter.name, [parameter.distribution()], is_power_of_two=is_power)
    assert axis is not None
    return axis


def _nodes(axis: Axis, resolution: float) -> tuple[npt.NDArray[Any], Array]:
    """Return nodes in the study's own values, and their weights."""
    if axis.levels:
        return np.array(axis.values), np.array(axis.weights)
    nodes, weights = legendre.leggauss(round(resolution * (LOG_NODES if axis.scale == "log10" else LINEAR_NODES)))
    encoded = axis.low + (nodes + 1) / 2 * (axis.high - axis.low)
    return np.array([axis.decode(float(node)) for node in encoded]), weights / 2


def _places(nodes: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    return np.arange(len(nodes))


def _without(own: tuple[Any, ...], i: int) -> tuple[Any, ...]:
    return (*own[:i], *own[i + 1 :])
