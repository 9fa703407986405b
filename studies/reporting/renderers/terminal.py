"""Findings in a terminal: the headlines, and the files to open first."""

from __future__ import annotations

from collections.abc import Sequence

from studies.reporting.finding import Finding
from studies.reporting.layout import Layout

SHOWN = (
    *("best configuration", "best model", "front", "all trials", "selection", "table (html)", "effects", "figures"),
    *("sampler benchmark", "report"),
)  # labels of the files that are printed, in this order


def summary(findings: Sequence[Finding], layout: Layout) -> str:
    """Return a line for each headline, then one for each file to open first."""
    lines = [sentence for finding in findings for sentence in finding.headline]
    lines += [f"  {label}: {layout.files[label]}" for label in SHOWN if label in layout.files]
    return "\n".join(lines)
