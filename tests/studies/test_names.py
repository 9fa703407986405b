"""A name means one thing: no two public classes share one."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import studies
from studies.analysis import levels

STUDIES = Path(studies.__file__).parent


def test_no_public_class_name_is_defined_twice() -> None:
    places = defaultdict(list)
    for path in sorted(STUDIES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(STUDIES)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_a_statistical_threshold_has_one_place() -> None:
    names = {name for name in vars(levels) if name.isupper()}
    places = [
        f"{path.relative_to(STUDIES)}: {target.id}"
        for path in sorted(STUDIES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for whole in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for target in (whole.elts if isinstance(whole, ast.Tuple) else [whole])
        if isinstance(target, ast.Name) and target.id in {*names, "RISK", "SURE", "MIN_TRIALS"}
        if path != Path(str(levels.__file__))
    ]
    assert places == []


def test_an_interval_is_as_wide_as_the_one_level_says() -> None:
    quantiles = [
        f"{path.relative_to(STUDIES)}:{node.lineno}"
        for path in sorted(STUDIES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "ppf"
        if isinstance(node.args[0], ast.Constant) and node.args[0].value in (0.025, 0.95, 0.975)
    ]
    assert quantiles == []
