"""Reference experiments: a belief's parts, its conclusion from real trainings, and the page made of them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from shell import Shell

from studies.admission import CHECKS
from studies.analysis.belief import Finding
from studies.analysis.paired import Mean
from studies.configs import compose, group_options
from studies.errors import BadInput
from studies.experiment import each_part
from studies.reference import MARKS, Experiment, build, names, write_into_readme
from studies.report.belief import Conclusion, Evidence, conclude, remove_belief, write_belief
from studies.report.figures.verdict import verdict_drawing
from studies.retrain import retrain
from studies.settings_reading import read_settings
from studies.shift import Shift
from studies.storage.identity import open_study, rule_of
from studies.storage.opening import open_storage

BELIEFS = [name for name in group_options("study") if name.startswith("beliefs/")]


def parts(*overrides: str) -> dict[str, DictConfig]:
    return {part.name: part.config for part in each_part(compose(overrides), are_trained=False)}


def test_a_study_without_parts_is_its_own_only_part() -> None:
    config = compose(["+study=digits"])
    (part,) = each_part(config)
    assert (part.name, part.config) == ("", config)


def test_parts_are_studies_of_their_own() -> None:
    found = parts("+study=beliefs/larger_batches_are_better")
    assert [config.budget.unit for config in found.values()] == ["epochs", "steps"]
    assert {config.study_name for config in found.values()} == {
        "larger_batches_are_better_equal_epochs",
        "larger_batches_are_better_equal_steps",
    }
    assert len({str(config.output_dir) for config in found.values()}) == 2


@pytest.mark.parametrize("belief", BELIEFS)
def test_the_rule_of_every_belief_stands_in_its_config(belief: str) -> None:
    found = [read_settings(config, checks=CHECKS).belief for config in parts(f"+study={belief}").values()]
    deciding = [b for b in found if b is not None and b.rule != "none" and b.decides]
    assert deciding
    assert all(b.boundary != 0 for b in deciding)


def test_a_part_that_changes_what_there_is_not_is_refused() -> None:
    with pytest.raises(BadInput, match=r"belief\.parts\.x"):
        parts("+study=beliefs/larger_batches_are_better", "+belief.parts.x={bugdet: {amount: 3}}")
    with pytest.raises(BadInput, match=r"belief\.parts"):
        parts("+study=beliefs/larger_batches_are_better", "+belief.parts.x=3")


def test_a_rule_that_makes_no_sense_is_told() -> None:
    for override, key in (
        ("belief.rule=contarst", r"belief\.rule"),
        ("belief.of=lr", r"belief\.of"),
        ("belief.to=null", r"belief\.to"),
        ("belief.to=7", r"belief\.to is 7: give one of 1, 2, 4, 6"),
        ("belief.boundary=wide", r"belief\.boundary"),
        ("+belief.bondary=1", r"belief\.bondary"),
    ):
        with pytest.raises(BadInput, match=key):
            read_settings(compose(["+study=beliefs/more_layers_are_better", override]), checks=CHECKS)


def test_a_later_part_starts_from_the_model_of_an_earlier_one() -> None:
    config = compose(["+study=beliefs/one_setting_fits_all"])
    last = list(each_part(config, are_trained=False))[-1].config
    assert OmegaConf.select(last, "search_space.start.choices.taken_over") is None
    OmegaConf.update(last, "belief.checkpoints.source", "model.ckpt", force_add=True)
    assert OmegaConf.select(last, "search_space.start.choices.taken_over") == "model.ckpt"


def test_no_part_is_retrained_before_it_is_named() -> None:
    with pytest.raises(BadInput, match=r"config=outputs/beliefs/larger_batches_are_better/equal_steps/best\.yaml"):
        retrain(compose(["+study=beliefs/larger_batches_are_better"]))


def test_the_time_limit_holds_for_all_parts_together(shell: Shell) -> None:
    small = (
        *("+study=beliefs/larger_batches_are_better", "datamodule=digits", "replicates=4", "launcher=serial"),
        *("belief.parts.equal_epochs.budget.amount=1", "search_space.lr.levels=[1e-3]", "timeout_s=0.001"),
        "search_space.batch_size.levels=[32,512]",
    )
    output = shell.run("run", *small)
    assert "the time is up" in output
    assert "part equal_epochs is not finished, so the others wait" in output
    begun = datetime.now(UTC) - timedelta(hours=1)
    assert Shift.of(begun, 60).is_over
    assert not Shift.of(begun, 7200).is_over
    assert not Shift.of(begun, None).is_over


@pytest.mark.slow
def test_a_belief_of_two_parts_is_run_concluded_and_concluded_again(shell: Shell) -> None:
    small = (
        *("+study=beliefs/larger_batches_are_better", "datamodule=digits", "replicates=4"),
        *("belief.parts.equal_epochs.budget.amount=2", "belief.parts.equal_steps.budget.amount=20"),
        *("search_space.lr.levels=[1e-3,1e-2]", "search_space.batch_size.levels=[32,512]"),
    )
    output = shell.run("run", *small)
    assert "part equal_epochs:" in output
    assert "Larger batches are better: " in output
    folder = shell.folder / "outputs" / "beliefs" / "larger_batches_are_better"
    rows = {row["part"]: row for row in csv.DictReader(io.StringIO((folder / "belief.csv").read_text()))}
    assert float(rows["equal_epochs"]["gain"]) < 0 < float(rows["equal_steps"]["gain"])
    assert "contradicted" in (folder / "belief.md").read_text()
    before = (folder / "belief.csv").read_bytes()
    (folder / "belief.csv").unlink()
    assert "Larger batches are better: contradicted" in shell.run("report", *small)
    assert (folder / "belief.csv").read_bytes() == before
    refused = shell.run("run", *small, "budget.amount=3", code=2)
    assert "belief.parts.equal_epochs.budget.amount" in refused


def experiment(folder: Path, name: str, page: str, text: str) -> Experiment:
    own = folder / name
    (own / "figures").mkdir(parents=True)
    (own / f"{page}.md").write_text(f"# Title\n\n{text}\n\n## Inner\n\n![x](figures/values.png)\n\nlast")
    (own / "figures" / "values.png").write_bytes(b"png")
    (own / "figures" / "values.csv").write_text("a\n1\n")
    return Experiment(name, own, 12.3, "2026-11-24", "2 cores")


def test_the_page_holds_what_the_runs_wrote(tmp_path: Path) -> None:
    found = [
        experiment(tmp_path, "tables/dropout", "table", "dropout = 0.2 gives 0.95"),
        experiment(tmp_path, "beliefs/more", "belief", "**Contradicted** | here"),
    ]
    page = tmp_path / "page"
    text = build(found, page).read_text()
    assert "### dropout" in text
    assert "took 12 s" in text
    assert "#### # Inner" not in text
    assert "##### Inner" in text
    assert "![dropout](tables-dropout-values.png)" in text
    assert (page / "tables-dropout-values.csv").read_text() == "a\n1\n"
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{MARKS[0]}\nold\n{MARKS[1]}\n\nafter\n")
    write_into_readme(found, readme)
    text = readme.read_text()
    assert "| [dropout](docs/reference/README.md#dropout) | dropout = 0.2 gives 0.95 |" in text
    assert "**Contradicted** ∣ here" in text
    assert "old" not in text
    assert text.startswith("before")
    assert text.endswith("after\n")
    write_into_readme(found, readme)
    assert readme.read_text() == text


def test_a_readme_without_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(ValueError, match="lacks the marks"):
        write_into_readme([], tmp_path / "README.md")


def test_all_tables_beliefs_and_the_race_are_on_the_page() -> None:
    assert names() == [
        *sorted(name for name in group_options("study") if name.startswith("tables/")),
        *sorted(BELIEFS),
        "search_race",
    ]
    assert len(names()) == 11 + 5 + 1


def evidence(*overrides: str, **more: Any) -> Evidence:
    settings = read_settings(compose(["+study=beliefs/more_layers_are_better", *overrides]), checks=CHECKS)
    return Evidence("", settings, (), **{"recorded": settings.belief, **more})


def test_nothing_is_concluded_from_a_part_that_is_not_finished() -> None:
    found = conclude([evidence(is_finished=False)], console=Console())
    assert (found.word, found.missing) == ("undecided", {"": "0 of 96 trainings are finished"})


def test_a_rule_that_was_changed_after_the_first_trial_is_told(tmp_path: Path) -> None:
    part = evidence("belief.boundary=-0.5", recorded=evidence().settings.belief)
    found = conclude([part], console=Console())
    assert found.changed == ["more_layers_are_better"]
    assert "changed after the data were seen" in found.sentence
    write_belief(tmp_path, found, [part], console=Console(file=io.StringIO()))
    assert "was changed after the first trial" in (tmp_path / "belief.md").read_text()
    assert conclude([evidence()], console=Console()).changed == []


def test_what_says_nothing_has_a_row_and_an_earlier_conclusion_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    others = [tmp_path / "figures" / "main_lr.png", tmp_path / "report.md"]
    stale = [tmp_path / "figures" / name for name in ("verdict.png", "regret.csv", "regret_settings.png")]
    for path in (*others, *stale):
        path.touch()
    parts = [evidence(is_finished=False)]
    write_belief(tmp_path, conclude(parts, console=Console()), parts, console=Console(file=io.StringIO()))
    (row,) = csv.DictReader(io.StringIO((tmp_path / "belief.csv").read_text()))
    assert (row["verdict"], row["what"]) == ("undecided", "0 of 96 trainings are finished")
    assert [path.exists() for path in (*others, *stale)] == [True, True, False, False, False]
    remove_belief(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["main_lr.png", "report.md"]


def finding(value: float) -> Finding:
    return Finding("gain", Mean(value, value - 0.005, value + 0.005, 6), 0.0, "val/accuracy")


def test_how_parts_make_up_the_verdict_is_told_with_it() -> None:
    found = Conclusion("More is better", findings={"epochs": finding(-0.1), "steps": finding(0.1)})
    assert found.sentence == (
        "More is better: contradicted on this task. The claim has to hold in every part: epochs contradicts it, steps "
        "supports it."
    )
    found.missing["seconds"] = "nothing was trained"
    assert found.sentence.startswith("More is better: undecided")
    assert found.combined.endswith("steps supports it, seconds says nothing yet.")
    assert (
        Conclusion("More is better", findings={"": finding(0.1)}).sentence == "More is better: supported on this task."
    )


def test_what_parts_hold_fixed_in_common_is_told_once(tmp_path: Path) -> None:
    own = [replace(evidence(f"budget.amount={amount}"), name=f"long_{amount}") for amount in (5, 9)]
    write_belief(tmp_path, Conclusion("More is better"), own, console=Console(file=io.StringIO()))
    held = (tmp_path / "belief.md").read_text().partition("## Held fixed\n\n")[2]
    assert "| setting | long_5 | long_9 |\n| --- | --- | --- |\n| budget | 5 epochs | 9 epochs |\n" in held
    common = held.partition("In all parts:\n\n| setting | value |")[2]
    assert "| model.optimizer._target_ |" in common
    assert all(line.count("|") == 3 for line in common.strip().splitlines()[1:])
    write_belief(tmp_path, Conclusion("More is better"), own[:1], console=Console(file=io.StringIO()))
    assert (
        "## Held fixed\n\n| setting | value |\n| --- | --- |\n| budget | 5 epochs |"
        in (tmp_path / "belief.md").read_text()
    )


def test_the_verdict_stands_over_its_figure_and_the_boundary_is_named() -> None:
    drawing = verdict_drawing({"": finding(-0.1)}, claim="More is better", word="contradicted")
    figure = Figure(layout="constrained")
    drawing.draw(figure, drawing.rows)
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "More is better: contradicted"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["boundary: the least gain that supports the claim"]


def test_a_study_keeps_the_rule_of_its_belief_from_before_the_first_trial(tmp_path: Path) -> None:
    settings = evidence().settings
    study = open_study(replace(settings, output_dir=tmp_path), open_storage(f"sqlite:///{tmp_path}/s.db"))
    assert rule_of(study) == settings.belief


def test_a_fork_of_a_belief_is_refused() -> None:
    with pytest.raises(BadInput, match="resume is fork"):
        parts("+study=beliefs/more_layers_are_better", "resume=fork")
