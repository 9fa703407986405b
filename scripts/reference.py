"""`python scripts/reference.py [NAME …] [KEY=VALUE …]`: run every reference experiment, and build docs/reference/.

Each experiment is the command that a person would run (`studies.run +study=…`), in a process of its own; what is
finished is not trained again. Arguments are overrides for all of them (`workers=4`). Nothing on the page is typed by
hand: tables, plots and sentences are those that the runs left below `outputs/`, with the date and the kind of machine.
"""

from __future__ import annotations

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
TITLES = {"tables": "Tables", "hypotheses": "Hypotheses", "": "Samplers"}


@dataclass(frozen=True, slots=True)
class Experiment:
    """A finished experiment: its name as in `+study=`, the folder with its results, what it takes and when it ran."""

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
    """The reference experiments, in the order of the page."""
    known = group_options("study")
    grouped = [name for group in ("tables/", "hypotheses/") for name in known if name.startswith(group)]
    return [*grouped, *(name for name in known if name == "sampler_benchmark")]


def run_experiment(name: str, overrides: Sequence[str]) -> Experiment:
    """Run one to its end, or take it as it is if it is finished. Raises CalledProcessError where it fails, ValueError
    where it has not come to its end."""
    subprocess.run([sys.executable, "-m", "studies.run", f"+study={name}", *overrides], check=True)
    return experiment_of(name, overrides)


def experiment_of(name: str, overrides: Sequence[str]) -> Experiment:
    """What the storage knows of a finished experiment: when it ran, for how long, on what."""
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
    """The kind of machine that the trials ran on, in words, as they recorded it: their devices and processors."""
    recorded = ({str(t.user_attrs[key]) for t in trials if key in t.user_attrs} for key in MACHINE)
    devices, processors = recorded
    return f"device {listed(sorted(devices or {'cpu'}))}; {listed(sorted(processors or {'unknown processor'}))}"


def build(experiments: Sequence[Experiment], page: Path = PAGE) -> Path:
    """Write the page with its plots; its path."""
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
        "is what the command above it left, and its time that from the first training's begin to the last one's end. "
        "Run one again with other seeds by `seed=1 study_name=NAME`; tables also longer, by `size=full`."
    )
    yield summary(experiments)
    for group, title in TITLES.items():
        members = [experiment for experiment in experiments if experiment.group == group]
        if members:
            yield f"## {title}"
        for experiment in members:
            yield f"### {experiment.title}"
            yield f"`python -m studies.run +study={experiment.name}` took {experiment.seconds:.0f} s."
            yield from _body(experiment, page)


def _body(experiment: Experiment, page: Path) -> Iterator[str]:
    """The experiment's own page below its title, with its pictures copied."""
    text = re.sub(r"\n\n!\[[^\n]*", "", _text(experiment))
    yield re.sub(r"^#", "####", text, flags=re.MULTILINE)
    for name, path in _pictures(experiment).items():
        shutil.copy(path, page / name)
        shutil.copy(path.with_suffix(".csv"), (page / name).with_suffix(".csv"))
        yield f"![{experiment.title}]({name})"


def _pictures(experiment: Experiment) -> dict[str, Path]:
    """The experiment's pictures, by the name that each has beside the page."""
    places = [experiment.folder / inner for inner in ("figures", "sampler_benchmark")]
    found = [path for kind in PICTURES for place in places for path in sorted(place.glob(f"{kind}*.png"))]
    return {f"{experiment.name.replace('/', '-')}-{path.name}": path for path in found}


def _text(experiment: Experiment) -> str:
    """What the experiment's own page says below its title."""
    pages = (experiment.folder / f"{name}.md" for name in ("hypothesis", "sampler_benchmark", "table"))
    page = next(page for page in pages if page.exists())
    return page.read_text(encoding="utf-8").partition("\n\n")[2].strip()


def summary(experiments: Sequence[Experiment], *, link: str = "") -> str:
    """One line an experiment: what it found, in the first words of its own page."""
    lines = ["| experiment | what was found |\n| --- | --- |"]
    for experiment in experiments:
        anchor = experiment.title.replace(" ", "-")
        found = _text(experiment).partition("\n\n")[0].replace("\n", " ")
        lines.append(f"| [{experiment.title}]({link}#{anchor}) | {found.replace('|', '∣')} |")
    return "\n".join(lines)


def write_into_readme(experiments: Sequence[Experiment], readme: Path = README) -> None:
    """Put the summary and some pictures between the README's marks. Raises ValueError where they are missing."""
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
    """Run the experiments that are named. Without names run all, then write the page and the README's table."""
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
    """Run what the command line asks for."""
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
    """Raise `BadInput` for everything that cannot be run, before the first experiment trains."""
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
