"""The storage's password reaches nothing that is written or printed."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest
from services.postgresql import PostgreSQL
from services.server import PASSWORD
from shell import PLAIN, TIMEOUT_S, Shell

from conftest_settings import placeholder
