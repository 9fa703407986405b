"""Samplers compared: one whole search is one trial of a study, on a problem whose best point is known."""

from studies.sampler_benchmark.conditional import Conditional
from studies.sampler_benchmark.functions import Ackley, Branin, Hartmann
from studies.sampler_benchmark.recorded import RecordedTable
from studies.sampler_benchmark.search import Search

__all__ = ["Ackley", "Branin", "Conditional", "Hartmann", "RecordedTable", "Search"]
