"""Ways to search compared: one whole search is one trial of a study, on a problem whose best point is known."""

from studies.race.conditional import Conditional
from studies.race.functions import Ackley, Branin, Hartmann
from studies.race.recorded import RecordedTable
from studies.race.search import Search

__all__ = ["Ackley", "Branin", "Conditional", "Hartmann", "RecordedTable", "Search"]
