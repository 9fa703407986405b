"""YAML of strangers: what is too large, too deep or too often repeated is refused unread."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from studies.config.composing.own_options import OwnOptions, source_of
from studies.errors import BadInput
from studies.text.yaml_text import LARGEST_FILE, Unreadable, parsed, read_yaml_text

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CASES = {
    "bomb": (BOMB, "stands for more than 100000 values, once its aliases are read"),
    "in itself": ("a: &a [*a]", "stands for more than 100000 values"),
    "deep": (f"a: {'[' * 60}{']' * 60}", "nests more than 30 mappings or lists"),
    "deeper": (f"a: {'[' * 1000}{']' * 1000}", "nests more than 30 mappings or lists"),
    "object": ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
}
ONLY_PARSED = {
    "twins": ("a: 1\nb: 2\na: 3", r"has the key a twice \(line 3\)"),
    "inner twins": ("b: [{c: 1, c: 1}]", r"has the key c twice"),
    "digits": (f"a: {'1' * 5000}", "holds a value that cannot be read"),
    "no date": ("a: 2001-13-45", r"holds a value that cannot be read \(month must be in 1..12"),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("text", "why"), [*CASES.values(), *ONLY_PARSED.values()], ids=[*CASES, *ONLY_PARSED])
def test_what_cannot_be_read_is_said_in_words(text: str, why: str) -> None:
    with pytest.raises(yaml.YAMLError, match=why):
        parsed(text)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("text", "why"), CASES.values(), ids=CASES.keys())
def test_the_same_text_in_an_option_of_ones_own_is_one_problem(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(BadInput, match=why) as caught:
        OwnOptions("own", source_of(tmp_path / "mine.yaml")).load_config("study/by_path/mine")
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"a: {'1' * 5000}", "is no config"),
        ("a: {b: '${'}", r"is no config \(a\.b: "),
        ("defaults: 3", "has defaults that are 3: give a list of options"),
    ],
)
def test_what_is_no_config_is_told_with_its_key(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(BadInput, match=why):
        OwnOptions("own", source_of(tmp_path / "mine.yaml")).load_config("study/by_path/mine")


def test_aliases_and_merges_that_stay_small_are_read() -> None:
    assert parsed("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": 2},
        "c": [{"x": 1}, {"x": 1}],
    }
    assert parsed("") is None
    assert parsed("\n".join(f"k{i}: &k{i} {{v: *k{i - 1}}}" if i else "k0: &k0 1" for i in range(20))) is not None


def test_a_chain_of_aliases_is_as_deep_as_what_it_stands_for() -> None:
    with pytest.raises(Unreadable, match="nests more than 30"):
        parsed("\n".join(f"k{i}: &k{i} {{v: *k{i - 1}}}" if i else "k0: &k0 1" for i in range(40)))


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(Unreadable, match="is larger than the 1000000 bytes that are read"):
        read_yaml_text(path)
    with pytest.raises(Unreadable):
        read_yaml_text(Path("/dev/zero"))
    with pytest.raises(BadInput, match="give a smaller file"):
        OwnOptions("own", source_of(path)).load_config("study/by_path/large")
