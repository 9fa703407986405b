"""The search space: parameters in an order in which each comes after those that its `when` names.

It draws points (from a trial, from a point of the unit cube, or all cells of a grid) and writes a point into a config.
Writing to a path that does not exist is an error, never a new key; the one exception is an argument that the
callable at the path's parent names in its own signature (`torch.optim.Adam` takes `lr` whether or not the YAML says
so); what a `**kwargs` would swallow does not count, for the parameter would be ignored silently.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
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
    """Parameters, each after the ones that its condition names."""

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
        """The parameters' names, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def is_conditional(self) -> bool:
        """Whether some parameter is active only under a condition."""
        return any(parameter.when for parameter in self.parameters)

    def suggest(self, trial: BaseTrial) -> Point:
        """Ask `trial` for a value of each active parameter."""
        point: Point = {}
        for parameter in self.parameters:
            if is_active(parameter, point):
                point[parameter.name] = parameter.suggest(trial)
        return point

    def from_unit(self, u: Sequence[float]) -> Point:
        """The point at `u`, one quantile in [0, 1) a parameter; those of inactive parameters are not used."""
        point: Point = {}
        for parameter, quantile in zip(self.parameters, u, strict=True):
            if is_active(parameter, point):
                point[parameter.name] = parameter.from_unit(float(quantile))
        return point

    def grid(self) -> list[Point]:
        """Every cell once: the product of the levels over the parameters that are active together."""
        return self._product({parameter.name: parameter.levels or () for parameter in self.parameters})

    def count_cells(self, *, limit: int) -> int | None:
        """The number of cells of the grid; None where there are more than `limit`, which are not made."""
        if not self.is_conditional:
            n_cells = math.prod(len(parameter.levels or ()) for parameter in self.parameters)
            return n_cells if n_cells <= limit else None
        levels = {parameter.name: parameter.levels or () for parameter in self.parameters}
        points = self._product(levels, limit=limit)
        return len(points) if len(points) <= limit else None

    def corners(self, *, limit: int) -> list[Point]:
        """Up to `limit` extreme points: all low, all high, then each end and each choice at least once."""
        values = {parameter.name: parameter.corners() for parameter in self.parameters}
        middles = {parameter.name: parameter.spread(3)[len(parameter.spread(3)) // 2] for parameter in self.parameters}
        points = [self._active({name: ends[0] for name, ends in values.items()})]
        points.append(self._active({name: ends[-1] for name, ends in values.items()}))
        for name, ends in values.items():
            points += [self._reach(name, value, middles) for value in ends]
        distinct = [point for i, point in enumerate(points) if point not in points[:i]]
        return distinct[:limit]

    def apply(self, config: DictConfig, point: Mapping[str, Value]) -> DictConfig:
        """A copy of `config` with `point` written into it; sub-configs first, then what lies inside them.

        Raises KeyError naming the parameter and the path where a path does not exist.
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

    def _product(self, levels: Mapping[str, Sequence[Value]], *, limit: int | None = None) -> list[Point]:
        """Every combination of the levels; where there are more than `limit`, one more than that."""
        points: list[Point] = [{}]
        for parameter in self.parameters:
            longer = (
                {**point, parameter.name: level} if level is not _INACTIVE else point
                for point in points
                for level in (levels[parameter.name] if is_active(parameter, point) else (_INACTIVE,))
            )
            points = list(longer if limit is None else itertools.islice(longer, limit + 1))
        return points

    def _active(self, values: Mapping[str, Value]) -> Point:
        point: Point = {}
        for parameter in self.parameters:
            if is_active(parameter, point):
                point[parameter.name] = values[parameter.name]
        return point

    def _reach(self, name: str, value: Value, middles: Mapping[str, Value]) -> Point:
        """The point in the middle of everything with `name` at `value` and the conditions met that make it active."""
        wanted: Point = {**middles, name: value}
        pending = [name]
        while pending:
            for parent, allowed in self[pending.pop()].when.items():
                if wanted[parent] not in allowed:
                    wanted[parent] = allowed[0]
                pending.append(parent)
        return self._active(wanted)


_INACTIVE: Any = object()


def is_active(parameter: Parameter, point: Mapping[str, Value]) -> bool:
    """Whether every condition of `parameter` is met by `point`, which holds the parameters before it."""
    return all(parent in point and point[parent] in allowed for parent, allowed in parameter.when.items())


def path_exists(config: DictConfig, path: str) -> bool:
    """Whether `path` is a key of `config`, or an argument that the callable at its parent may name."""
    parent_path, _, key = path.rpartition(".")
    parent = select(config, parent_path) if parent_path else config
    if isinstance(parent, ListConfig):
        return key.isdigit() and int(key) < len(parent)
    if not isinstance(parent, DictConfig):
        return False
    return key in parent or ("_target_" in parent and names_argument(str(parent["_target_"]), key))


def select(config: DictConfig, path: str) -> Any:
    """The node at `path`, or None where there is none: an interpolation that leads nowhere is told by its reader, and
    a path with an index where the config has keys leads nowhere too."""
    try:
        return OmegaConf.select(config, path, throw_on_missing=False)
    except OmegaConfBaseException:
        return None


def select_plain(config: DictConfig, path: str) -> Any:
    """Return what `select` does, with a mapping or list as plain values."""
    node = select(config, path)
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
