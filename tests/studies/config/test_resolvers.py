"""What a config calls by `${NAME:…}`: resolved once where it is the same for all trials, else in the worker."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest
from omegaconf import OmegaConf
from shell import USERS

from studies.config.composing.configs import compose
from studies.config.resolvers import load_resolvers
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.launch.resolve_once import resolve_once
from studies.storage.identity import identity
from studies.trial.point_config import PointConfig
from studies.trial.preflight.preflight import preflight

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]


@pytest.fixture(autouse=True)
def _resolvers() -> Iterator[None]:
    """Resolvers of the command's process, which a worker lacks."""
    numbers = count()
    OmegaConf.register_new_resolver("times", lambda a, b: float(a) * float(b))
    OmegaConf.register_new_resolver("number", lambda: next(numbers))
    OmegaConf.register_new_resolver("twice_lr", lambda *, _root_: 2 * _root_.model.lr)
    yield
    for name in ("times", "number", "twice_lr", "halved"):
        OmegaConf.clear_resolver(name)


def sent_to_workers(settings: StudySettings) -> StudySettings:
    return replace(settings, template=resolve_once(settings))


def given(**keys: str) -> list[str]:
    return [f"+model.{key}='{text}'" for key, text in keys.items()]


def test_what_is_the_same_for_all_trials_is_sent_along_as_a_value(
    plain: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "here")
    settings = plain(*given(a="${times:2,3}", b="${oc.env:PLACE}/x", c="${times:${.n_samples},2}", d="${model.a}"))
    monkeypatch.setenv("PLACE", "there")
    before = identity(settings)
    monkeypatch.setenv("PLACE", "here")
    sent = pickle.loads(pickle.dumps(sent_to_workers(settings)))
    monkeypatch.setenv("PLACE", "elsewhere")
    OmegaConf.clear_resolver("times")
    model = PointConfig(sent, {"lr": 0.05}).resolved()["model"]
    assert (model["a"], model["b"], model["c"], model["d"]) == (6.0, "here/x", 200.0, 6.0)
    assert before["model.b"] == "there/x"  # what is stored is made of the config as it is written


def test_a_call_within_a_list_or_below_a_number_is_sent_along_too(
    plain: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "here")
    settings = plain("+model.tags=['${oc.env:PLACE}','${times:2,${model.lr}}']", "+vars={1: ['${times:2,3}']}")
    sent = pickle.loads(pickle.dumps(sent_to_workers(settings)))
    monkeypatch.setenv("PLACE", "elsewhere")
    assert OmegaConf.to_container(sent.template.vars, resolve=False) == {1: [6.0]}
    assert PointConfig(sent, {"lr": 0.05}).resolved()["model"]["tags"] == ["here", 0.1]


def test_what_follows_a_searched_key_follows_it_in_a_worker(plain: MakeSettings) -> None:
    texts = {
        "a": "${times:2,${model.lr}}",
        "b": "${model.lr}",
        "c": "${times:${oc.select:model.lr},4}",
        "d": "${twice_lr:}",
    }
    sent = sent_to_workers(plain(*given(**texts)))
    for lr in (0.01, 0.05):
        model = PointConfig(sent, {"lr": lr}).resolved()["model"]
        assert [model[key] for key in texts] == pytest.approx([2 * lr, lr, 4 * lr, 2 * lr])


def test_what_differs_from_call_to_call_has_one_value_in_all_trials(plain: MakeSettings) -> None:
    sent = sent_to_workers(plain(*given(a="${number:}")))
    assert len({PointConfig(sent, {"lr": lr}).resolved()["model"]["a"] for lr in (0.01, 0.02, 0.03)}) == 1


def test_what_follows_the_seed_or_half_a_batch_stays_a_call(plain: MakeSettings) -> None:
    texts = given(a="${times:2,${training_seed}}", b="${times:2,${model.batch_size}}")
    settings = plain(*texts, "out_of_memory.retry=halve_batch", "out_of_memory.batch_size=model.batch_size")
    template = OmegaConf.to_container(resolve_once(settings), resolve=False)
    assert template["model"]["a"] == "${times:2,${training_seed}}"  # type: ignore[index, call-overload]
    assert template["model"]["b"] == "${times:2,${model.batch_size}}"  # type: ignore[index, call-overload]


def test_what_follows_a_link_stays_a_call(make_settings: MakeSettings) -> None:
    text = "${times:2,${model.n_samples}}"
    linked = ("datamodule=digits", "+links={model.n_samples: datamodule.n_classes}")
    settings = make_settings(*linked, *given(a=text), study="plain")
    assert OmegaConf.to_container(resolve_once(settings), resolve=False)["model"]["a"] == text  # type: ignore[index, call-overload]


def test_secrets_are_not_written_into_the_files_of_jobs(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_API_KEY", "s3cret")
    monkeypatch.setenv("PLACE", "here")
    keys = given(a="${oc.env:TRACKER_API_KEY}", password="${oc.env:PLACE}", c="${oc.env:PLACE}")
    for launcher, secret in (("slurm", "${oc.env:TRACKER_API_KEY}"), ("local", "s3cret")):
        settings = make_settings(f"launcher={launcher}", "workers=1", *keys, study="plain")
        written = OmegaConf.to_container(resolve_once(settings), resolve=False)["model"]  # type: ignore[index, call-overload]
        assert written["a"] == secret
        assert written["c"] == "here"
        assert (written["password"] == "here") is (launcher == "local")


def test_a_worker_that_lacks_a_resolver_is_told_before_the_study(plain: MakeSettings) -> None:
    settings = plain(*given(a="${times:2,${model.lr}}"))
    assert preflight(settings) == []
    OmegaConf.clear_resolver("times")
    (problem,) = preflight(settings)
    assert problem.key == "model.a"
    assert problem.complaint == "cannot be resolved in a worker at lr=0.001 (Unsupported interpolation type times)"
    assert problem.remedy.startswith(
        "register it in a module of the package hydra_plugins, or in the module that model"
    )


def test_a_resolver_that_nobody_registers_is_told_with_where_to(plain: MakeSettings) -> None:
    with pytest.raises(BadInput, match=r"model.a cannot be resolved .*: correct its name, or register it in a module"):
        plain(*given(a="${tims:2,3}"))


def test_a_module_may_register_its_resolvers_itself(plain: MakeSettings) -> None:
    settings = plain("model._target_=user_resolvers.Halved", *given(half="${halved:${.lr}}"))
    assert preflight(settings) == []
    assert PointConfig(settings, {"lr": 0.05}).resolved()["model"]["half"] == 0.025


def test_known_resolvers_import_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(USERS))
    config = compose(
        ["+study=plain", "model._target_=broken_module.Model", "+model.a='${times:1,2}'"],
        config_dirs=[str(USERS / "conf")],
    )
    load_resolvers(config)
    config.model.a = "${unknown:1}"
    load_resolvers(config)  # the import fails, which is told when the target is looked at


def test_the_name_of_a_study_may_follow_its_other_keys(plain: MakeSettings) -> None:
    settings = plain("study_name='s${n_trials}'", "n_trials=3", "+loggers=csv")
    assert settings.study_name == settings.template.study_name == "s3"
    assert preflight(settings) == []
