"""What becomes of a test whose service is not installed: skipped, or a failure where every service is required."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, or fail it under STUDIES_SERVICES=required."""
    if os.environ.get("STUDIES_SERVICES") == "required":
        pytest.fail(f"a service is missing: {reason}")
    pytest.skip(reason)
