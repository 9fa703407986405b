"""Settings of the studies that come with the package."""

from __future__ import annotations

from functools import cache

from studies.admission import CHECKS
from studies.configs import compose
from studies.reading.settings import read_settings
from studies.settings import StudySettings


@cache
def settings_of(*overrides: str, study: str = "digits") -> StudySettings:
    """As the command line gives them."""
    return read_settings(compose([f"+study={study}", *overrides]), checks=CHECKS)
