from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.storages import BaseStorage
from shipped import settings_of

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import BadInput, StudyChanged
from studies.secrets.masking import without_secrets
from studies.secrets.texts import MASK
from studies.storage.creation import open_study
from studies.storage.following import following
from studies.storage.identity import (
    changed_search,
    compared,
    find_study,
    fingerprint,
    identity,
    moved_data,
    search_of,
)

STUDY_ATTRIBUTES = {value for name, value in vars(schema).items() if name.startswith("STUDY_")}
STUDY_ATTRIBUTES -= {schema.STUDY_SELECT, schema.STUDY_HYPOTHESIS}  # of a selection's rounds, and of hypotheses, alone


def begin(settings: StudySettings, storage: BaseStorage) -> optuna.Study:
    """The study with a first trial."""
    study = open_study(settings, storage)
    study.ask()
    return study


def refused(settings: StudySettings, storage: BaseStorage) -> dict[str, str]:
    with pytest.raises(StudyChanged) as caught:
        find_study(settings, storage)
    assert all("resume=fork" in problem.remedy for problem in caught.value.problems)
    return {problem.key: problem.complaint for problem in caught.value.problems}


def test_a_study_that_is_not_stored_is_none(storage: BaseStorage) -> None:
    settings = settings_of()
    assert find_study(settings, storage) == (None, settings)


def test_the_same_config_continues_the_study(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    study, settings = find_study(settings_of(), storage)
    assert study is not None
    assert (study.study_name, len(study.trials)) == ("digits", 1)
    assert settings.study_name == "digits"


@pytest.mark.parametrize(
    ("override", "changes"),
    [
        ("search_space.lr.high=0.02", {"search_space.lr.high": "is 0.02 but 0.03 in the stored study"}),
        ("search_space.lr.log=false", None),
        ("+search_space.lr.role=scientific", {"search_space.lr.role": "is 'scientific' but 'nuisance'"}),
        ("search_space.activation.choices=[relu]", {"search_space.activation.choices.gelu": "is absent but 'gelu'"}),
        ("~search_space.dropout", {"search_space.dropout.high": "is absent but 0.5"}),
        ("+search_space.lr.when={n_layers: [1]}", {"search_space.lr.when.n_layers": "is [1] but absent"}),
        ("model.label_smoothing=0.1", {"model.label_smoothing": "is 0.1 but 0.0"}),
        ("trainer.precision=bf16-true", {"trainer.precision": "is 'bf16-true' but '32-true'"}),
        ("+trainer.limit_train_batches=3", {"trainer.limit_train_batches": "is 3 but absent"}),
        ("+callbacks=early_stopping", {"callbacks.early_stopping.patience": "is 3 but absent"}),
        ("seed=1", {"seed": "is 1 but 0", "datamodule.split_seed": "is 1 but 0"}),
        ("objective.metric=val/loss", {"objective.metric": "is 'val/loss' but 'val/accuracy'"}),
        ("objective.direction=minimize", {"objective.direction": "is 'minimize' but 'maximize'"}),
        ("objective.value=best", {"objective.value": "is 'best' but 'last'"}),
        ("budget.amount=4", {"budget.amount": "is 4 but 3"}),
        ("budget={unit: steps, amount: 30}", {"budget.unit": "is 'steps' but 'epochs'"}),
    ],
)
def test_what_makes_trials_incomparable_is_refused_with_both_values(
    storage: BaseStorage, override: str, changes: dict[str, str] | None
) -> None:
    needed = {
        "search_space.lr.log=false": ("+search_space.lr.linear=true",),
        "objective.metric=val/loss": ("objective.direction=minimize",),
        "objective.direction=minimize": ("objective.direction_is_meant=true",),
    }
    extra = needed.get(override, ())
    begin(settings_of(), storage)
    found = refused(settings_of(override, *extra), storage)
    for key, complaint in (changes or {"search_space.lr.log": "is False but True"}).items():
        assert found[key].startswith(complaint)


def test_a_changed_space_is_told_in_a_line_a_parameter_with_the_command_that_goes_on(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    asked = settings_of("search_space.lr.high=0.02", "search_space.lr.low=0.001", "~search_space.dropout")
    with pytest.raises(StudyChanged) as caught:
        find_study(asked, storage)
    header, *lines, _, command = str(caught.value).splitlines()
    assert header == "2 problems in the config:"
    assert lines[0].startswith(
        "  - search_space.dropout is missing, and the stored study varies it: choose another study"
    )
    assert lines[1].startswith("  - search_space.lr has changed since the stored study (high 0.03 → 0.02, low 0.0001 →")
    assert command == "  python -m studies.run +study=digits study_name=digits-2 import_from=digits"


@pytest.mark.parametrize(
    ("study", "overrides"),
    [
        ("digits", ("search_space.lr.high=0.02", "budget.amount=4")),
        ("digits_grid", ("search_space.lr.levels=3",)),  # a grid trains each of its cells itself
    ],
)
def test_trials_that_could_not_be_taken_over_get_no_command(
    storage: BaseStorage, study: str, overrides: tuple[str, ...]
) -> None:
    begin(settings_of(study=study), storage)
    with pytest.raises(StudyChanged) as caught:
        find_study(settings_of(*overrides, study=study), storage)
    assert "import_from" not in str(caught.value)


def test_only_what_differs_is_named_and_all_of_it(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    found = refused(settings_of("search_space.lr.high=0.02", "model.l1=0.1", "n_trials=3"), storage)
    assert set(found) == {"search_space.lr.high", "model.l1"}


def test_epochs_differ_once_though_each_of_them_is_a_rung(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    assert set(refused(settings_of("budget.amount=4"), storage)) == {"budget.amount"}
    assert set(refused(settings_of("budget={unit: steps, amount: 3, rungs: 2}"), storage)) == {
        "budget.unit",
        "budget.rungs",
    }


def test_a_grid_goes_on_with_more_replicates(storage: BaseStorage) -> None:
    begin(settings_of(study="digits_grid"), storage)
    for n in (4, 3):
        study, _ = find_study(settings_of(f"replicates={n}", study="digits_grid"), storage)
        assert study is not None
    open_study(settings_of("replicates=4", study="digits_grid"), storage)
    assert set(refused(settings_of("replicates=3", study="digits_grid"), storage)) == {"replicates"}
    assert json.loads(study.user_attrs[schema.STUDY_IDENTITY])["replicates"] == 4


def test_a_hypothesis_keeps_the_replicates_that_were_chosen_before_its_data(storage: BaseStorage) -> None:
    name = "hypotheses/hyperparameters_are_independent"
    begin(settings_of(study=name), storage)
    assert set(refused(settings_of("replicates=4", study=name), storage)) == {"replicates"}


@pytest.mark.parametrize("override", ["replicates=2", "search_space.lr.levels=3"])
def test_another_grid_is_another_study(storage: BaseStorage, override: str) -> None:
    begin(settings_of(study="digits_grid"), storage)
    assert set(refused(settings_of(override, study="digits_grid"), storage)) == {override.partition("=")[0]}


@pytest.mark.parametrize(
    "override",
    [
        "n_trials=20",
        "sampler=random",
        "pruner=none",
        "workers=1",
        "launcher=serial",
        "timeout_s=60",
        "max_retries=0",
        "objective.tolerance=0.1",
        "enqueue=[{lr: 0.01}]",
        "search_space.lr.levels=3",
        "+loggers=csv",
        "trainer.accelerator=cpu",
        "trainer.devices=[0]",
        "trainer.enable_progress_bar=true",
        "+trainer.log_every_n_steps=1",
        "datamodule.data_dir=elsewhere",
        "output_dir=elsewhere",
    ],
)
def test_what_only_says_how_and_how_long_may_change(storage: BaseStorage, override: str) -> None:
    begin(settings_of(), storage)
    study, _ = find_study(settings_of(override), storage)
    assert study is not None


@pytest.mark.parametrize("key", ["datamodule.data_dir_variant", "trainer.devices_x", "loggersmith"])
def test_a_key_that_only_begins_like_one_that_may_change_is_compared(key: str) -> None:
    assert compared({key: 1, "datamodule.data_dir": 2, "loggers.csv.name": 3}) == {key: 1}


def test_a_fixed_key_that_begins_to_follow_a_searched_one_is_another_study(storage: BaseStorage) -> None:
    begin(settings_of("++model.optimizer.weight_decay=0.0", "model.network.dropout=0.0"), storage)
    follows = "++model.optimizer.weight_decay=${model.network.dropout}"
    found = refused(settings_of(follows, "model.network.dropout=0.0"), storage)
    assert list(found) == ["interpolated.model.optimizer.weight_decay"]


@pytest.mark.parametrize(
    ("overrides", "keys"),
    [
        ((), []),
        (("++model.l1=${model.l2}",), []),  # which is not searched
        (("++model.l1=${.optimizer.lr}",), ["model.l1"]),
        (("++model.l1=${model.l2}", "++model.l2=${..model.network.dropout}"), ["model.l1", "model.l2"]),
        (("++model.optimizer.lr=${model.network.dropout}",), []),  # searched itself
    ],
)
def test_keys_that_follow_searched_ones_are_found_through_others_too(
    overrides: tuple[str, ...], keys: list[str]
) -> None:
    settings = settings_of(*overrides)
    found = following(settings.template, settings.space)
    assert sorted(key for key in found if key.startswith("model.")) == keys


def test_data_that_lie_elsewhere_are_told(storage: BaseStorage) -> None:
    study = begin(settings_of("datamodule.data_dir=here"), storage)
    assert moved_data(settings_of("datamodule.data_dir=here").template, study) is None
    told = moved_data(settings_of("datamodule.data_dir=there").template, study)
    assert told is not None
    assert "datamodule.data_dir is there and was here" in told


def names_of(settings: StudySettings) -> dict[str, str]:
    return search_of(settings.sampler, settings.pruner)


def test_another_sampler_or_pruner_than_at_the_beginning_is_told(storage: BaseStorage) -> None:
    study = begin(settings_of("pruner=median"), storage)
    assert changed_search(names_of(settings_of("pruner=median")), study) is None
    told = changed_search(names_of(settings_of("pruner=none")), study)
    assert told is not None
    assert told.startswith("note: pruner is none and was median when the study began")
    both = changed_search(names_of(settings_of("pruner=none", "sampler=random")), study)
    assert both is not None
    assert "sampler is random and was tpe, pruner is none" in both


def test_more_trials_are_noted_in_the_study(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    study = open_study(settings_of("n_trials=20"), storage)
    assert study.user_attrs[schema.STUDY_N_TRIALS] == 20


def test_a_fork_has_the_next_free_name_and_a_folder_of_its_own(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    changed = settings_of("model.l1=0.1", "resume=fork")
    study, forked = find_study(changed, storage)
    assert study is None
    assert (forked.study_name, forked.output_dir) == ("digits-2", Path("outputs/digits-2"))
    begin(forked, storage)
    assert find_study(changed, storage)[1].study_name == "digits-3"


def test_a_fork_with_a_folder_of_another_name_lies_inside_it(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    assert find_study(settings_of("resume=fork", "output_dir=out"), storage)[1].output_dir == Path("out", "digits-2")


def test_what_follows_the_output_folder_follows_the_fork(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    _, forked = find_study(settings_of("resume=fork", "+loggers=csv"), storage)
    assert forked.template.loggers.csv.save_dir == "outputs/digits-2/csv"
    _, forked = find_study(settings_of("resume=fork", "+loggers=csv", "output_dir=out"), storage)
    assert forked.template.loggers.csv.save_dir == "out/digits-2/csv"


def test_a_fork_of_nothing_is_the_study_itself(storage: BaseStorage) -> None:
    assert find_study(settings_of("resume=fork"), storage)[1].study_name == "digits"


def test_a_study_of_another_tool_is_refused(storage: BaseStorage) -> None:
    optuna.create_study(study_name="digits", storage=storage, direction="maximize").ask()
    assert "that this framework did not make" in refused(settings_of(), storage)["study_name"]


def test_a_study_that_was_damaged_is_told_and_not_continued(storage: BaseStorage) -> None:
    begin(settings_of(), storage)
    optuna.load_study(study_name="digits", storage=storage).set_user_attr(schema.STUDY_N_TRIALS, "many")
    with pytest.raises(BadInput, match="the storage holds damaged: n_trials is 'many', no whole number"):
        find_study(settings_of(), storage)


def test_an_empty_study_that_was_left_behind_is_described_anew(storage: BaseStorage) -> None:
    open_study(settings_of(), storage)
    changed = settings_of("model.l1=0.1")
    assert find_study(changed, storage)[0] is not None
    study = open_study(changed, storage)
    assert json.loads(study.user_attrs[schema.STUDY_IDENTITY])["model.l1"] == 0.1
    study.ask()
    assert find_study(changed, storage)[0] is not None


def test_an_empty_study_cannot_change_its_direction(storage: BaseStorage) -> None:
    open_study(settings_of("objective.direction=minimize", "objective.direction_is_meant=true"), storage)
    assert refused(settings_of(), storage) == {"objective.direction": "is maximize but minimize in the stored study"}


def test_a_study_carries_every_attribute_of_the_schema(storage: BaseStorage) -> None:
    settings = settings_of()
    attributes = open_study(settings, storage).user_attrs
    assert set(attributes) == STUDY_ATTRIBUTES
    assert attributes[schema.STUDY_SCHEMA] == 2
    assert attributes[schema.STUDY_METRIC] == {"name": "val/accuracy", "direction": "maximize", "value": "last"}
    assert attributes[schema.STUDY_BUDGET] == {"unit": "epochs", "amount": 3, "rungs": 3}
    assert attributes[schema.STUDY_N_TRIALS] == 12
    assert attributes[schema.STUDY_VERSIONS]["optuna"] == optuna.__version__
    assert attributes[schema.STUDY_FINGERPRINT] == fingerprint(identity(settings))
    assert yaml.safe_load(attributes[schema.STUDY_SPACE])["lr"]["paths"] == ["model.optimizer.lr"]
    assert yaml.safe_load(attributes[schema.STUDY_CONFIG])["model"]["network"]["input_shape"] == [1, 8, 8]


def test_a_fingerprint_is_of_the_identity_alone() -> None:
    first, same, other = settings_of(), settings_of("n_trials=3", "pruner=none"), settings_of("model.l1=0.1")
    assert fingerprint(identity(first)) == fingerprint(identity(same)) != fingerprint(identity(other))


def test_secrets_are_masked_in_what_is_stored(storage: BaseStorage) -> None:
    study = open_study(settings_of("+datamodule.api_key=abc123", "+datamodule.db={password: abc123}"), storage)
    assert "abc123" not in json.dumps(study.user_attrs)
    assert yaml.safe_load(study.user_attrs[schema.STUDY_CONFIG])["datamodule"]["api_key"] == "***"


def test_a_truth_value_named_like_a_token_is_compared(storage: BaseStorage) -> None:
    begin(settings_of("+datamodule.class_token=true"), storage)
    changed = refused(settings_of("+datamodule.class_token=false"), storage)
    assert changed == {"datamodule.class_token": "is False but True in the stored study"}


def test_a_renewed_secret_continues_the_study_and_leaves_no_trace_in_it(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(token: str) -> StudySettings:
        monkeypatch.setenv("MY_API_TOKEN", token)
        return settings_of("+datamodule.hf_token=" + token, "+datamodule.header='${oc.env:MY_API_TOKEN}'")

    study = begin(asked("first-value"), storage)
    assert find_study(asked("second-value"), storage)[0] is not None
    assert not [key for key in identity(asked("first-value")) if key.startswith(("datamodule.hf", "datamodule.header"))]
    assert fingerprint(identity(asked("first-value"))) == fingerprint(identity(asked("second-value")))
    assert "first-value" not in json.dumps(study.user_attrs)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "++vars.url='s3://key:FIRSTFIRST@bucket/${training_seed}'",
            "++vars.url='s3://key:OTHER@bucket/${training_seed}'",
        ),
        ("++vars.hf_token='FIRSTFIRST-${training_seed}'", "++vars.hf_token='OTHER-${training_seed}'"),
        ("++vars.credentials={user: 'FIRSTFIRST-${training_seed}'}", "++vars.credentials={user: 'O-${training_seed}'}"),
        ("++vars={api_key: FIRSTFIRST, note: 'by ${vars.api_key}'}", "++vars={api_key: O, note: 'by ${vars.api_key}'}"),
    ],
)
def test_a_secret_among_keys_that_follow_others_is_neither_stored_nor_compared(
    storage: BaseStorage, first: str, second: str
) -> None:
    study = begin(settings_of(first), storage)
    assert "FIRSTFIRST" not in json.dumps(study.user_attrs)
    assert find_study(settings_of(second), storage)[0] is not None
    assert fingerprint(identity(settings_of(first))) == fingerprint(identity(settings_of(second)))


def test_a_logger_that_follows_the_seed_may_be_renamed(storage: BaseStorage) -> None:
    begin(settings_of("+loggers=csv", "+loggers.csv.name='r-${training_seed}'"), storage)
    assert find_study(settings_of("+loggers=csv", "+loggers.csv.name='s-${training_seed}'"), storage)[0] is not None
    assert find_study(settings_of(), storage)[0] is not None


def test_a_value_that_is_like_a_secret_is_compared_all_the_same(storage: BaseStorage) -> None:
    begin(settings_of("++vars={password: adam_one, kind: adam_one, mark: '***'}"), storage)
    renewed = settings_of("++vars={password: adam_two, kind: adam_one, mark: '***'}")
    assert identity(renewed)["vars.mark"] == MASK
    assert find_study(renewed, storage)[0] is not None
    changed = refused(settings_of("++vars={password: adam_one, kind: adam_two, mark: '***'}"), storage)
    assert set(changed) == {"vars.kind"}


def test_a_secret_that_an_earlier_version_has_stored_is_not_compared(storage: BaseStorage) -> None:
    study = begin(settings_of("++vars.gh_pat=abc"), storage)
    stored = json.loads(study.user_attrs[schema.STUDY_IDENTITY])
    study.set_user_attr(schema.STUDY_IDENTITY, json.dumps({**stored, "vars.gh_pat": "old", "loggers.csv.name": "x"}))
    assert find_study(settings_of("++vars.gh_pat=abc"), storage)[0] is not None


def test_what_an_earlier_version_has_masked_is_not_compared(storage: BaseStorage) -> None:
    study = begin(settings_of("+datamodule.class_token=true"), storage)
    stored = json.loads(study.user_attrs[schema.STUDY_IDENTITY])
    study.set_user_attr(schema.STUDY_IDENTITY, json.dumps({**stored, "datamodule.class_token": MASK}))
    assert find_study(settings_of("+datamodule.class_token=false"), storage)[0] is not None


def test_a_choice_named_like_a_secret_is_compared(storage: BaseStorage) -> None:
    pooling = "+search_space.pool={path: model.pool, type: categorical, choices: {token: %s, mean: mean}}"
    begin(settings_of("+model.pool=mean", pooling % "cls"), storage)
    changed = refused(settings_of("+model.pool=mean", pooling % "first"), storage)
    assert changed == {"search_space.pool.choices.token": "is 'first' but 'cls' in the stored study"}


@pytest.mark.parametrize(
    "key",
    ["api_key", "apikey", "API_KEY", "password", "db_passwd", "client_secret", "token", "hf_token", "credentials"],
)
def test_what_is_named_like_a_secret_is_masked(key: str) -> None:
    assert without_secrets({"a": [{key: "x"}]}) == {"a": [{key: "***"}]}


@pytest.mark.parametrize("key", ["n_tokens", "tokenizer", "max_tokens", "lr", "key"])
def test_a_hyperparameter_is_no_secret(key: str) -> None:
    assert without_secrets({key: 7}) == {key: 7}


def test_a_study_that_lacks_what_is_compared_is_refused_by_the_keys(storage: BaseStorage) -> None:
    study = begin(settings_of(), storage)
    study.set_user_attr(schema.STUDY_IDENTITY, '{"budget.amount": 99}')
    assert "budget.unit" in refused(settings_of(), storage)


def test_a_study_in_the_words_of_version_1_is_found_with_its_own_config(storage: BaseStorage) -> None:
    settings = settings_of(study="hypotheses/random_search_suffices")
    study = begin(settings, storage)
    written = study.user_attrs[schema.STUDY_IDENTITY].replace("studies.sampler_benchmark", "studies.race")
    assert "studies.race.Search" in written
    study.set_user_attr(schema.STUDY_IDENTITY, written)
    assert find_study(settings, storage)[0] is not None
    assert schema.recorded({"belief": 1}, schema.STUDY_HYPOTHESIS) == 1
    assert schema.recorded({"place": "worker 1"}, schema.DEVICE_SLOT) == "worker 1"
    assert schema.in_present_words("${belief.checkpoints.source}") == "${hypothesis.checkpoints.source}"
