"""How a report is made: sections conclude, renderers render, one writer owns the folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import optuna
import pytest
from rich.console import Console

from studies.cli.reports import SECTIONS, view_of_stored
from studies.config.settings import AnalysisSettings
from studies.errors import BadInput, Problem
from studies.reporting.finding import Bullets, Command, Drawing, File, Finding, Heading, Paragraph, Table
from studies.reporting.layout import Layout
from studies.reporting.report import PAGES, ReportSection, write_report
from studies.reporting.view import StudyView
from studies.reporting.writer import Writer

NONE = AnalysisSettings("none", None, "auto", None)


@pytest.fixture
def view() -> StudyView:
    study = optuna.create_study(study_name="toy")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    return view_of_stored(study, NONE, seed=0)


def toy_section(view: StudyView) -> Finding | None:
    """The number of trials: a section that is one function."""
    text = File("count", "count.txt", f"{len(view.trials)}\n")
    return Finding("Toy", headline=(f"{len(view.trials)} trial.",), blocks=(Paragraph(" *told*.", lead="It is"), text))


def toy_renderer(findings: Sequence[Finding], layout: Layout) -> str:
    """The titles: a medium that is one function."""
    return "".join(f"{finding.title}\n" for finding in findings)


def written(view: StudyView, folder: Path, *sections: ReportSection, **more: object) -> str:
    out = StringIO()
    write_report(view, folder, sections, console=Console(file=out, soft_wrap=True, width=400), **more)  # type: ignore[arg-type]
    return out.getvalue()


def test_a_section_is_one_function_and_one_entry_of_the_list(view: StudyView, tmp_path: Path) -> None:
    printed = written(view, tmp_path, *SECTIONS, ReportSection(toy_section, ("count.txt",)))
    assert "1 trial.\n" in printed
    assert (tmp_path / "count.txt").read_text() == "1\n"
    report = (tmp_path / "report.md").read_text()
    assert "## Toy\n\n**It is** \\*told\\*." in report
    assert f"- count: `{tmp_path / 'count.txt'}`" in report
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["findings"][-1]["blocks"][0] == {"kind": "paragraph", "text": " *told*.", "lead": "It is"}


def test_a_medium_is_one_function_and_one_entry_of_the_list(view: StudyView, tmp_path: Path) -> None:
    written(view, tmp_path, *SECTIONS, pages={**PAGES, "titles.txt": toy_renderer})
    assert "How trials ended\n" in (tmp_path / "titles.txt").read_text()


def test_what_a_section_no_longer_leaves_goes_and_nothing_else(view: StudyView, tmp_path: Path) -> None:
    section = ReportSection(toy_section, ("count.txt",))
    written(view, tmp_path, section)
    (tmp_path / "mine.txt").touch()
    silent = ReportSection(lambda view: None, ("count.txt",))
    assert f"removed, of an earlier report: {tmp_path / 'count.txt'}" in written(view, tmp_path, silent)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "report.md", "report.json"}


def test_a_report_from_the_storage_alone_leaves_the_files_that_need_the_config(view: StudyView, tmp_path: Path) -> None:
    for name in ("best.yaml", "select.csv", "pareto.csv"):
        (tmp_path / name).touch()
    written(view, tmp_path, *SECTIONS)
    assert {path.name for path in tmp_path.iterdir()} >= {"best.yaml", "select.csv"}
    assert not (tmp_path / "pareto.csv").exists()


def test_a_file_that_no_section_declares_is_an_error(view: StudyView, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no section declares that it leaves count\.txt"):
        written(view, tmp_path, ReportSection(toy_section))


def test_a_slow_section_that_fails_leaves_the_report_of_all_others(view: StudyView, tmp_path: Path) -> None:
    def fail(view: StudyView) -> Finding | None:
        raise BadInput([Problem("analysis.params", "is x", "give y")])

    toy = ReportSection(toy_section, ("count.txt",))
    (tmp_path / "effects.csv").write_text("of an earlier report")
    with pytest.raises(BadInput):
        written(view, tmp_path, toy, ReportSection(fail, ("effects.csv",), is_slow=True))
    report = (tmp_path / "report.md").read_text()
    assert "## Toy" in report
    assert "Not analysed: an error or an interruption ended the analysis." in report
    assert not (tmp_path / "effects.csv").exists()


def test_a_file_is_made_aside_so_that_a_reader_sees_the_old_or_the_new_one(tmp_path: Path) -> None:
    """A link is replaced and not written through."""
    other = tmp_path / "other.txt"
    other.write_text("theirs")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "count.txt").symlink_to(other)
    Writer(tmp_path / "out", patterns=["count.txt"]).write({"count.txt": "ours"}, {})
    assert other.read_text() == "theirs"
    assert (tmp_path / "out" / "count.txt").read_text() == "ours"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["count.txt"]


def test_every_block_is_plain_data_and_has_its_form_in_markdown(view: StudyView, tmp_path: Path) -> None:
    drawing = Drawing("main_x", "A caption", 2, 2, ("x",), [{"x": 1}], lambda figure, rows: None)
    blocks = (
        Heading("Part"),
        Bullets((Paragraph("one"), Paragraph("two"))),
        Command("run it"),
        Table(("a", "b"), (("1", "x|y"),), "Above"),
        drawing,
    )
    section = ReportSection(lambda view: Finding("All", "ok", (), blocks), ("figures/main_*",))
    written(view, tmp_path, section)
    report = (tmp_path / "report.md").read_text()
    for part in (
        "### Part\n",
        "- one\n- two\n",
        "```sh\nrun it\n```",
        "Above\n\n| a | b |\n| --- | --- |\n| 1 | x∣y |",
        "![main_x](figures/main_x.png)\n\n*A caption.*",
    ):
        assert part in report
    kinds = [block["kind"] for block in json.loads((tmp_path / "report.json").read_text())["findings"][0]["blocks"]]
    assert kinds == ["heading", "bullets", "command", "table", "drawing"]
    assert (tmp_path / "figures" / "main_x.csv").read_text() == "x\n1\n"


def test_what_a_report_mentions_lies_there(view: StudyView, tmp_path: Path) -> None:
    written(view, tmp_path, *SECTIONS)
    report = (tmp_path / "report.md").read_text()
    paths = [line.split("`")[1] for line in report.partition("## Files")[2].splitlines() if line.startswith("- ")]
    assert paths
    assert all(Path(path).exists() for path in paths)
