"""Reports as tests look at them: what is printed, and what one finding says in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from rich.console import Console

from studies.analysis.values.table import ValueTables, value_tables
from studies.cli.reports import SECTIONS, design_of, report_stored, report_study, view_of
from studies.config.settings import AnalysisSettings, StudySettings
from studies.reporting.finding import Block, Finding
from studies.reporting.layout import Layout, layout
from studies.reporting.renderers import markdown
from studies.reporting.report import write_findings
from studies.reporting.view import StudyView
from studies.reporting.writer import Writer
from studies.selection.steps import Selection
from studies.storage.slots import Rules, rules_of


def printed_report(
    study: optuna.Study, settings: StudySettings, *, rules: Rules | None = None, selection: Selection | None = None
) -> str:
    """Report a study whose config is known. Return what is printed."""
    out = StringIO()
    console = Console(file=out, soft_wrap=True, width=600)
    report_study(study, settings, console=console, rules=rules, selection=selection)
    return out.getvalue()


def printed_stored_report(study: optuna.Study, folder: Path, wanted: AnalysisSettings, **more: Any) -> str:
    """Report any study from its storage alone. Return what is printed."""
    out = StringIO()
    report_stored(study, folder, wanted, seed=0, console=Console(file=out, soft_wrap=True, width=600), **more)
    return out.getvalue()


def view_of_trials(settings: StudySettings, trials: Sequence[FrozenTrial] = ()) -> StudyView:
    """Return the view of a study whose trials decided their slots."""
    study = optuna.create_study(directions=settings.objective.directions)
    study.add_trials(trials)
    return view_of(study, settings, rules=rules_of(settings))


def tables_of(trials: Sequence[FrozenTrial], settings: StudySettings) -> ValueTables | None:
    """Return the tables of a designed study's finished `trials`."""
    design = design_of(settings)
    return value_tables(trials, design) if design is not None else None


def write_finding(folder: Path, finding: Finding | Iterable[Block], *, title: str = "x") -> Layout:
    """Write the files of one finding, or of some blocks, into `folder`."""
    whole = finding if isinstance(finding, Finding) else Finding("", blocks=tuple(finding))
    writer = Writer(folder, patterns=[pattern for section in SECTIONS for pattern in section.files])
    return write_findings(writer, [whole], title=title, pages={})


def shown(finding: Finding | Iterable[Block]) -> str:
    """Return a finding, or some blocks of one, in Markdown, with its headline first."""
    whole = finding if isinstance(finding, Finding) else Finding("", blocks=tuple(finding))
    text = markdown.report([whole], layout(Path("out"), "x", [whole], []))
    return text.removeprefix("# x\n\n").partition("## Files")[0].rstrip("\n")
