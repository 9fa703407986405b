"""Settings of the studies that come with the package."""

from __future__ import annotations

from functools import cache

from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings


@cache
def settings_of(*overrides: str, study: str = "digits") -> StudySettings:
    """As the command line gives them."""
    return parse_settings(compose([f"+study={study}", *overrides]), checks=CHECKS)
