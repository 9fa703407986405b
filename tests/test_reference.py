"""The script of the reference experiments refuses mistakes before the first training, and builds its page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import reference

from studies.reporting.finding import Finding, Paragraph
from studies.reporting.layout import Layout
from studies.reporting.renderers import json, markdown

SCRIPT = Path(__file__).parents[1] / "scripts" / "reference.py"


@pytest.mark.parametrize(
    ("argument", "code", "told"),
    [
        ("--help", 0, "python scripts/reference.py"),
        ("--nonsense", 2, "--nonsense is no flag"),
        ("tables/nonsense", 2, "study is tables/nonsense, which is no reference experiment"),
    ],
)
def test_the_script_tells_its_use_and_refuses_mistakes(argument: str, code: int, told: str) -> None:
    done = subprocess.run([sys.executable, SCRIPT, argument], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert told in done.stdout + done.stderr


def test_a_benchmarks_page_is_made_from_its_report(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "Study b", {}, {})
    findings = [
        Finding("", headline=("8 of 8 trials finished.",)),
        Finding(reference.TITLE, headline=("tpe beats random.", "It is near."), blocks=(Paragraph("How."),)),
        Finding("Next round", blocks=(Paragraph("More."),)),
    ]
    (tmp_path / "report.md").write_text(markdown.report(findings, layout))
    (tmp_path / "report.json").write_text(json.report(findings, layout))
    experiment = reference.Experiment("sampler_benchmark", tmp_path, 1.0, "2026-01-01", "device cpu")
    written = reference.build([experiment], tmp_path / "page").read_text()
    assert "| [sampler benchmark](#sampler-benchmark) | tpe beats random. |" in written
    assert written.endswith("took 1 s.\n\ntpe beats random.\n\n- It is near.\n\nHow.\n")
