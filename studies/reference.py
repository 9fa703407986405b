"""`python -m studies.reference`: run every reference experiment and build the page docs/reference/ of what they found.

Each experiment is the command that a person would run (`studies.run +study=…`), in a process of its own; what is
finished is not trained again. Arguments are overrides for all of them (`size=full`). Nothing on the page is typed by
hand: tables, plots and sentences are those that the runs left below `outputs/`, with the date and the kind of machine.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from studies.configs import compose, group_options

PAGE = Path("docs/reference")
README = Path("README.md")
MARKS = ("<!-- reference experiments: written by make tables -->", "<!-- end of the reference experiments -->")
RECORD = "reference.json"
PICTURES = ("values", "verdict", "regret", "best_so_far")
TITLES = {"tables": "Tables", "beliefs": "Beliefs", "": "Ways to search"}


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
        """`tables`, `beliefs`, or nothing."""
        return self.name.rpartition("/")[0]

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.rpartition("/")[2].replace("_", " ")


def names() -> list[str]:
    """The reference experiments, in the order of the page."""
    known = group_options("study")
    grouped = [name for group in ("tables/", "beliefs/") for name in known if name.startswith(group)]
    return [*grouped, *(name for name in known if name == "search_race")]


def run_experiment(name: str, overrides: Sequence[str]) -> Experiment:
    """Run one to its end, or take it as it is if it is finished. Raises CalledProcessError where it fails."""
    folder = Path(str(compose([f"+study={name}", *overrides]).output_dir))
    record = folder / RECORD
    begun, is_new = time.monotonic(), not record.exists()
    subprocess.run([sys.executable, "-m", "studies.run", f"+study={name}", *overrides], check=True)
    if is_new:
        found = Experiment(name, folder, round(time.monotonic() - begun, 1), date.today().isoformat(), machine())
        record.write_text(json.dumps({**asdict(found), "folder": str(folder)}))
    return Experiment(**{**json.loads(record.read_text()), "folder": folder})


def machine() -> str:
    """The kind of machine, in words."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{len(os.sched_getaffinity(0))} cores ({model}), no GPU used"


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
        f"Measured by `make tables` on {', '.join(sorted(days))}, {'; '.join(sorted(machines))}. Every number is what "
        "the command above it left; run it again with other seeds by `seed=1 study_name=…`, and longer by `size=full`."
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
    for picture in PICTURES:
        for path in sorted((experiment.folder / "figures").glob(f"{picture}*.png")):
            name = f"{experiment.name.replace('/', '-')}-{path.name}"
            shutil.copy(path, page / name)
            shutil.copy(path.with_suffix(".csv"), (page / name).with_suffix(".csv"))
            yield f"![{experiment.title}]({name})"


def _text(experiment: Experiment) -> str:
    """What the experiment's own page says below its title."""
    pages = (experiment.folder / f"{name}.md" for name in ("belief", "race", "table"))
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
    """Put the summary between the README's marks. Raises ValueError where they are missing."""
    text = readme.read_text(encoding="utf-8")
    begin, end = (text.find(mark) for mark in MARKS)
    if not 0 <= begin < end:
        raise ValueError(f"{readme} lacks the marks {MARKS[0]} and {MARKS[1]}: write both, each on a line of its own")
    told = summary(experiments, link="docs/reference/README.md")
    readme.write_text(f"{text[:begin]}{MARKS[0]}\n\n{told}\n\n{text[end:]}", encoding="utf-8")


def main() -> None:
    """Run all, then build the page and the README's table."""
    overrides = sys.argv[1:]
    experiments = []
    for name in names():
        print(f"== {name}", flush=True)
        experiments.append(run_experiment(name, overrides))
    print(f"page: {build(experiments)}")
    if README.exists():
        write_into_readme(experiments)


if __name__ == "__main__":
    main()
