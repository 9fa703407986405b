"""The search space: its parameters, in an order that puts each after the parameters of its `when`.

It draws points (from a trial, from a point of the unit cube, or all cells of a grid) and writes a point into a config.
Writing to a path that does not exist is an error, never a new key. There is one exception: an argument in the signature
of the callable at the path's parent (`torch.optim.Adam` takes `lr` whether or not the YAML has it). An argument that
only `**kwargs` would take does not count, as the parameter would be ignored silently.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.parameter import Parameter, Value
from studies.config.targets import names_argument

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Point = dict[str, Value]


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Parameters, each after those of its condition."""

    parameters: tuple[Parameter, ...]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def is_conditional(self) -> bool:
        """Whether any parameter has a condition."""
        return any(parameter.when for parameter in self.parameters)

    def suggest(self, trial: BaseTrial) -> Point:
        """Ask `trial` for a value of each active parameter."""
        return self.point(lambda parameter: parameter.suggest(trial))

    def from_unit(self, u: Sequence[float]) -> Point:
        """Return the point at `u`, one quantile in [0, 1) a parameter. Those of inactive parameters are ignored."""
        quantiles = dict(zip(self.names, u, strict=True))
        return self.point(lambda parameter: parameter.from_unit(float(quantiles[parameter.name])))

    def point(self, value_of: Callable[[Parameter], Value]) -> Point:
        """Return the point with `value_of` each active parameter."""
        point: Point = {}
        for parameter in self.parameters:
            if is_active(parameter, point):
                point[parameter.name] = value_of(parameter)
        return point

    def grid(self) -> list[Point]:
        """Return every cell once: the product of the levels of all parameters that are active together."""
        return self._product()

    def count_cells(self, *, limit: int) -> int | None:
        """Return the number of cells of the grid, or None if there are more than `limit`."""
        if self.is_conditional:
            n_cells = len(self._product(limit=limit))
        else:
            n_cells = math.prod(len(parameter.levels or ()) for parameter in self.parameters)
        return n_cells if n_cells <= limit else None

    def corners(self, *, limit: int) -> list[Point]:
        """Return up to `limit` extreme points: all low, all high, then each end and each choice at least once."""
        ends = {parameter.name: parameter.corners() for parameter in self.parameters}
        middles = {parameter.name: parameter.spread(3)[len(parameter.spread(3)) // 2] for parameter in self.parameters}
        points = [self.point(lambda parameter: ends[parameter.name][0])]
        points.append(self.point(lambda parameter: ends[parameter.name][-1]))
        points += [self._reach(name, value, middles) for name, values in ends.items() for value in values]
        distinct = [point for i, point in enumerate(points) if point not in points[:i]]
        return distinct[:limit]

    def apply(self, config: DictConfig, point: Mapping[str, Value]) -> DictConfig:
        """Return a copy of `config` with `point` written into it: sub-configs first, then the keys inside them.

        Raises KeyError with the parameter and the path if a path does not exist.
        """
        applied = copy.deepcopy(config)
        OmegaConf.set_struct(applied, False)
        named = [parameter for parameter in self.parameters if parameter.name in point]
        writes = [(path, parameter) for parameter in named for path in parameter.paths]
        for path, parameter in sorted(writes, key=lambda write: (write[0].count("."), not write[1].replaces_subconfig)):
            value = point[parameter.name]
            if not path_exists(applied, path):
                raise KeyError(f"search_space.{parameter.name}.path {path} does not exist in the config")
            written = parameter.choices[value] if parameter.type == "categorical" else value
            OmegaConf.update(applied, path, copy.deepcopy(written), merge=False, force_add=True)
        return applied

    def _product(self, *, limit: int | None = None) -> list[Point]:
        """Return every combination of the levels, or `limit` + 1 of them if there are more than `limit`."""
        points: list[Point] = [{}]
        for parameter in self.parameters:
            longer = (
                {**point, parameter.name: level} if level is not _INACTIVE else point
                for point in points
                for level in ((parameter.levels or ()) if is_active(parameter, point) else (_INACTIVE,))
            )
            points = list(longer if limit is None else itertools.islice(longer, limit + 1))
        return points

    def _reach(self, name: str, value: Value, middles: Mapping[str, Value]) -> Point:
        """Return the middle point with `name` at `value`, and with the conditions met that make it active."""
        wanted: Point = {**middles, name: value}
        pending = [name]
        while pending:
            for parent, allowed in self[pending.pop()].when.items():
                if wanted[parent] not in allowed:
                    wanted[parent] = allowed[0]
                pending.append(parent)
        return self.point(lambda parameter: wanted[parameter.name])


_INACTIVE: Any = object()


def is_active(parameter: Parameter, point: Mapping[str, Value]) -> bool:
    """Return whether `point`, with the parameters before this one, meets every condition of `parameter`."""
    return all(parent in point and point[parent] in allowed for parent, allowed in parameter.when.items())


def path_exists(config: DictConfig, path: str) -> bool:
    """Return whether `path` is a key of `config`, or a possible argument of the callable at its parent."""
    parent_path, _, key = path.rpartition(".")
    parent = select(config, parent_path) if parent_path else config
    if isinstance(parent, ListConfig):
        return key.isdigit() and int(key) < len(parent)
    if not isinstance(parent, DictConfig):
        return False
    return key in parent or ("_target_" in parent and names_argument(str(parent["_target_"]), key))


def select(config: DictConfig, path: str) -> Any:
    """Return the node at `path`, or None if there is none.

    An interpolation that leads nowhere is reported elsewhere. An index into a mapping leads nowhere too.
    """
    try:
        return OmegaConf.select(config, path, throw_on_missing=False)
    except OmegaConfBaseException:
        return None


def select_plain(config: DictConfig, path: str) -> Any:
    """Return what `select` does, with a mapping or list as plain values."""
    return plain_values(select(config, path))


def plain_values(node: Any, *, resolve: bool = True) -> Any:
    """Return a node of a config as plain values, or a value as it is."""
    return OmegaConf.to_container(node, resolve=resolve) if OmegaConf.is_config(node) else node
