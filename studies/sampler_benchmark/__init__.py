"""Samplers compared: one whole search is one trial of a study, on a problem whose best point is known."""

from studies.sampler_benchmark.functions import Ackley, Branin, Conditional, Hartmann
from studies.sampler_benchmark.search import Search
from studies.sampler_benchmark.table import RecordedTable

__all__ = ["Ackley", "Branin", "Conditional", "Hartmann", "RecordedTable", "Search"]
