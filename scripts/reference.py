"""`python scripts/reference.py [NAME …] [KEY=VALUE …]`: run every reference experiment, and build docs/reference/.

Each experiment is a usual command (`studies.run +study=…`) in a process of its own. Finished ones do not train again.
Arguments are overrides for all of them (`workers=4`). Nothing on the page is typed by hand: tables, plots and sentences
are the results of the runs below `outputs/`, with the date and the kind of machine.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial

from studies import schema
from studies.cli.arguments import Arguments, as_text, read_arguments
from studies.cli.command import make_importable
from studies.cli.help import versions
from studies.cli.uncomposed import COMPOSITION_ERRORS, all_problems
from studies.config.composing.configs import compose, group_options
from studies.errors import BadInput, Problems, StudyError, nearest
from studies.sampler_benchmark.section import TITLE
from studies.text.wording import listed

PAGE = Path("docs/reference")
README = Path("README.md")
MARKS = ("<!-- reference experiments: written by make tables -->", "<!-- end of the reference experiments -->")
IN_README = {
    "tables/number_of_layers": "values",
    "hypotheses/larger_batches_are_better": "verdict",
    "sampler_benchmark": "best_so_far_digits_table",
}  # the picture of each that the README shows
PICTURES = ("values", "verdict", "regret", "best_so_far")
MACHINE = (schema.DEVICE, schema.PROCESSOR)
MEANING = re.compile(r"(?<=\.) (Means over training seeds|All else at its default|Each value at its best).*")
ENOUGH_DECIDED = 0.8  # of the values of a table
TITLES = {"tables": "Tables", "hypotheses": "Hypotheses", "": "Samplers"}


@dataclass(frozen=True, slots=True)
class Experiment:
    """A finished experiment. `name` is that of `+study=`, and `folder` holds the results."""

    name: str
    folder: Path
    seconds: float
    day: str
    machine: str

    @property
    def group(self) -> str:
        """`tables`, `hypotheses`, or nothing."""
        return self.name.rpartition("/")[0]

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.rpartition("/")[2].replace("_", " ")


def names() -> list[str]:
    """Return the reference experiments, in the order of the page."""
    known = group_options("study")
    grouped = [name for group in ("tables/", "hypotheses/") for name in known if name.startswith(group)]
    return [*grouped, *(name for name in known if name == "sampler_benchmark")]


def run_experiment(name: str, overrides: Sequence[str]) -> Experiment:
    """Run an experiment to its end, unless it is finished.

    Raises CalledProcessError if it fails, and ValueError if it stops before its end.
    """
    subprocess.run([sys.executable, "-m", "studies.run", f"+study={name}", *overrides], check=True)
    return experiment_of(name, overrides)


def experiment_of(name: str, overrides: Sequence[str]) -> Experiment:
    """Return a finished experiment, as the storage knows it."""
    from studies.cli.experiment import each_part, stored
    from studies.storage.slots import rules_of

    config = compose([f"+study={name}", *overrides])
    seconds, trials, ends = 0.0, [], []
    for part in each_part(config):
        settings, study = stored(part.config)
        own = study.get_trials(deepcopy=False)
        if not rules_of(settings).are_all_finished(own):
            raise ValueError(f"{settings.study_name} is not finished: run +study={name} again")
        begun = min(trial.datetime_start for trial in own if trial.datetime_start is not None)
        ended = max(trial.datetime_complete for trial in own if trial.datetime_complete is not None)
        seconds += (ended - begun).total_seconds()
        trials += own
        ends.append(ended)
    day = max(ends).date().isoformat()
    return Experiment(name, Path(str(config.output_dir)), round(seconds, 1), day, machine(trials))


def machine(trials: Sequence[FrozenTrial]) -> str:
    """Return the devices and processors of the trials, in words."""
    recorded = ({str(t.user_attrs[key]) for t in trials if key in t.user_attrs} for key in MACHINE)
    devices, processors = recorded
    return f"device {listed(sorted(devices or {'cpu'}))}; {listed(sorted(processors or {'unknown processor'}))}"


def build(experiments: Sequence[Experiment], page: Path = PAGE) -> Path:
    """Write the page with its plots. Return its path."""
    shutil.rmtree(page, ignore_errors=True)
    page.mkdir(parents=True)
    index = page / "README.md"
    index.write_text("\n\n".join(_page(experiments, page)) + "\n", encoding="utf-8")
    return index


def _page(experiments: Sequence[Experiment], page: Path) -> Iterator[str]:
    days, machines = ({getattr(e, key) for e in experiments} for key in ("day", "machine"))
    yield "# Reference experiments"
    yield (
        f"Measured by `make tables` on {', '.join(sorted(days))}, {' and '.join(sorted(machines))}. Every number "
        "comes from the command above it. Times are from the start of the first training to the end of the last one. "
        "`seed=1 study_name=NAME` runs one again with other seeds, and `size=full` runs a table at full size."
    )
    yield summary(experiments)
    for group, title in TITLES.items():
        members = [experiment for experiment in experiments if experiment.group == group]
        if members:
            yield f"## {title}"
        for experiment in members:
            yield f"### {experiment.title}"
            command = f"`python -m studies.run +study={experiment.name}`"
            yield f"{command} took {experiment.seconds:.0f} s. {_decided(experiment)}".rstrip()
            yield from _body(experiment, page)


def _decided(experiment: Experiment) -> str:
    """Return how many values of a table are worse or equivalent, and what decides more if these are few."""
    path = experiment.folder / "table.csv"
    if experiment.group != "tables" or not path.exists():
        return ""
    with path.open(encoding="utf-8", newline="") as file:
        words = [row["standing"] for row in csv.DictReader(file)]
    others = [word for word in words if word not in ("best", "none")]
    n = sum(word in ("worse", "equivalent") for word in others)
    more = "" if n >= ENOUGH_DECIDED * len(others) else " `size=full` decides more of them."
    return f"{n} of {len(others)} comparisons with the best value are decided.{more}"


def _body(experiment: Experiment, page: Path) -> Iterator[str]:
    """Yield the text of the experiment's own page, and its pictures, which are copied."""
    text = re.sub(r"\n\n!\[[^\n]*", "", _text(experiment))
    yield re.sub(r"^#", "####", text, flags=re.MULTILINE)
    for name, path in _pictures(experiment).items():
        shutil.copy(path, page / name)
        shutil.copy(path.with_suffix(".csv"), (page / name).with_suffix(".csv"))
        yield f"![{experiment.title}]({name})"


def _pictures(experiment: Experiment) -> dict[str, Path]:
    """Return the experiment's pictures by their names beside the page."""
    places = [experiment.folder / inner for inner in ("figures", "sampler_benchmark")]
    found = [path for kind in PICTURES for place in places for path in sorted(place.glob(f"{kind}*.png"))]
    return {f"{experiment.name.replace('/', '-')}-{path.name}": path for path in found}


def _text(experiment: Experiment) -> str:
    """Return the text of a hypothesis, a table or a benchmark's report, without its title."""
    pages = (experiment.folder / f"{name}.md" for name in ("hypothesis", "table"))
    page = next((page for page in pages if page.exists()), None)
    if page is not None:
        return page.read_text(encoding="utf-8").partition("\n\n")[2].strip()
    return "\n\n".join(_benchmark_text(experiment.folder))


def _benchmark_text(folder: Path) -> Iterator[str]:
    """Yield the first sentence of a benchmark's finding, the others as a list, and its section of the report."""
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    first, *others = next(finding["headline"] for finding in told["findings"] if finding["title"] == TITLE)
    yield first
    yield from ["\n".join(f"- {sentence}" for sentence in others)] if others else []
    section = (folder / "report.md").read_text(encoding="utf-8").partition(f"## {TITLE}\n\n")[2]
    yield section.partition("\n\n## ")[0].strip()


def summary(experiments: Sequence[Experiment], *, link: str = "") -> str:
    """Return a table with the main result of each experiment, from the first paragraph of its own page.

    The caption of a table goes on with the meaning of its numbers, which is left out.
    """
    lines = ["| experiment | what was found |\n| --- | --- |"]
    for experiment in experiments:
        anchor = experiment.title.replace(" ", "-")
        found = _text(experiment).partition("\n\n")[0].replace("\n", " ")
        found = MEANING.sub("", found)
        lines.append(f"| [{experiment.title}]({link}#{anchor}) | {found.replace('|', '∣')} |")
    return "\n".join(lines)


def write_into_readme(experiments: Sequence[Experiment], readme: Path = README) -> None:
    """Put the summary and some pictures between the README's marks. Raises ValueError if they are missing."""
    text = readme.read_text(encoding="utf-8")
    begin, end = _between_marks(text)
    told = [summary(experiments, link=f"{PAGE}/README.md")]
    for experiment in experiments:
        shown = (name for name, path in _pictures(experiment).items() if path.stem == IN_README.get(experiment.name))
        told += [f"![{experiment.title}]({PAGE}/{name})" for name in shown]
    readme.write_text(text[:begin] + "\n\n".join([MARKS[0], *told, text[end:]]), encoding="utf-8")


def _between_marks(text: str) -> tuple[int, int]:
    begin, end = (text.find(mark) for mark in MARKS)
    if not 0 <= begin < end:
        raise ValueError(f"README.md lacks the marks {MARKS[0]} and {MARKS[1]}: write each on a line of its own")
    return begin, end


def reference(chosen: Sequence[str], overrides: Sequence[str]) -> None:
    """Run the chosen experiments. Without any, run all, then write the page and the README's table."""
    if README.exists() and not chosen:
        _between_marks(README.read_text(encoding="utf-8"))
    experiments = []
    for name in chosen or names():
        print(f"== {name}", flush=True)
        experiments.append(run_experiment(name, overrides))
    if chosen:
        print(f"{PAGE} stays as it is: it is written when all experiments are run")
        return
    print(f"page: {build(experiments)}")
    if README.exists():
        write_into_readme(experiments)


def main() -> None:
    """Run the experiments of the command line."""
    try:
        given = read_arguments(sys.argv[1:])
        if given.has("--help") or given.has("--help-all"):
            print(__doc__)
        elif given.has("--version"):
            print(versions())
        else:
            _refuse(given)
            overrides = [as_text(override) for override in given.overrides]
            make_importable(Path.cwd())
            reference(given.words, overrides)
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _refuse(given: Arguments) -> None:
    """Raise `BadInput` for all mistakes, before the first experiment trains."""
    problems = Problems()
    for flag, _ in given.flags:
        problems.add(flag, "does nothing for reference experiments", "remove it, and give overrides")
    for word in given.words:
        if word not in names():
            problems.add("study", f"is {word}, which is no reference experiment", nearest(word, names()))
    problems.raise_if_any()
    for name in given.words or names():
        arguments = [f"+study={name}", *given.overrides]
        try:
            compose(arguments)
        except COMPOSITION_ERRORS as error:
            raise BadInput(all_problems(arguments, error)) from None


if __name__ == "__main__":
    main()
