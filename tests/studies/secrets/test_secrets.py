"""What is a secret, and that it decides nothing, is written nowhere, and reaches the retraining all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from omegaconf import OmegaConf

from studies.errors import Problem
from studies.secrets.masking import LEFT_OUT, remember, remember_those_of, to_be_given, without_secrets
from studies.secrets.names import is_secret_name
from studies.secrets.texts import MASK, masked

SECRETS = """
    hf_token api_key password pwd passphrase access_key private_key dsn HF_TOKEN WANDB_API_KEY apiKey clientSecret
    aws_secret_access_key sslpassword token auth_token secret db_pass hfToken user_token refreshToken
    aws_access_key_id client_secret ssh_key credentials connection_string model.init_args.api-key
    kaggle_key KAGGLE_KEY webhook_url gh_pat pw db_pw otp auth pass PASS target_access_token service_key
"""
NONE = """
    class_token pad_token eos_token bos_token mask_token cls_token sep_token unk_token max_tokens n_tokens token_type
    token_mixer num_special_tokens additional_special_tokens tokens sort_key primary_key key low_pass_width keyboard
    secretary monkey tokenizer decoder_start_token image_token n_keys query_key_dim padToken password_free.width
    target_token action_token goal_token noise_token state_token shared_key client_key session_key session_id pass_rate
    pattern pw_conv auth_mode multi_pass
"""


@pytest.mark.parametrize("key", SECRETS.split())
def test_a_key_is_a_secret_by_its_whole_words(key: str) -> None:
    assert is_secret_name(key)


@pytest.mark.parametrize("key", NONE.split())
def test_a_word_of_models_and_tokenizers_is_none(key: str) -> None:
    assert not is_secret_name(key)


@pytest.mark.parametrize("value", [False, True, 0, 7, 1.5, None])
def test_a_truth_value_or_a_number_never_is(value: object) -> None:
    config = {"class_token": value, "api_key": value, "credentials": {"port": value}}
    assert without_secrets(config) == config


def test_all_texts_below_a_secret_key_are_secrets() -> None:
    config = {"credentials": {"user": "me", "port": 1}, "tokens": ["a"], "api_keys": ["b"]}
    assert without_secrets(config) == {
        "credentials": {"user": MASK, "port": 1},
        "tokens": ["a"],
        "api_keys": [MASK],
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://TOKENabc@host/x", "https://***@host/x"),
        ("git+https://ghp_abcdefghijklmnop1234@host/x", "git+https://***@host/x"),
        ("https://0123456789abcdef0123:x-oauth-basic@host/x", "https://***:***@host/x"),
        ("https://h/x?token=abc&sig=Z%2F1&pad_token=3&n=2", "https://h/x?token=***&sig=***&pad_token=3&n=2"),
        ("host=x password='a b' user=y", "host=x password='***' user=y"),
        ("host=x password=abc user=y", "host=x password=*** user=y"),
        ("Server=x;PWD=abc;Uid=1", "Server=x;PWD=***;Uid=1"),
        ("+model.api_key=abc model.class_token=false", "+model.api_key=*** model.class_token=false"),
        ("{'hf_token': 'abc', 'n': 3}", "{'hf_token': '***', 'n': 3}"),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***"),
        ("login with hf_abcdefghijklmnopqrstu failed", "login with *** failed"),
        ("password=${oc.env:DB}", "password=${oc.env:DB}"),
        ("postgresql://user@h/db and ssh://git@host/x", "postgresql://user@h/db and ssh://git@host/x"),
        ("redis://TOKENabc@host/0", "redis://***@host/0"),
        ("s3://0123456789abcdef0123@bucket/x", "s3://***@bucket/x"),
        (r"{'password': 'a\'b\"cSECRET', 'n': 3}", "{'password': '***', 'n': 3}"),
        ("password=${oc.env:DB,${oc.env:OTHER}}", "password=${oc.env:DB,${oc.env:OTHER}}"),
        ("password=${oc.env:DB,literal}", "password=***"),
        ("in a password write %40 for @", "in a password write %40 for @"),
        ("lr=0.1 token_type=cls", "lr=0.1 token_type=cls"),
    ],
)
def test_secrets_within_a_text_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_a_problem_does_not_show_the_value_of_a_secret_key() -> None:
    assert "s3cr3t" not in str(Problem("model.api_key", "is 's3cr3t', which is no int", "give an int"))
    assert "SECRET" not in str(Problem("model.api_key", "is 'a\\'b\"cSECRET', which is no int", "give an int"))
    assert "SECRET" not in str(Problem("model.api_key", "is absent but 'SECRET' in the stored study", "change it"))
    assert str(Problem("model.class_token", "is 'mean', which is no int", "give an int")) == (
        "model.class_token is 'mean', which is no int: give an int"
    )


WRITTEN = {
    "hub": "${oc.env:HF_TOKEN}",
    "model": {"token": "${hub}", "api_key": "a literal one", "url": "https://u:${oc.env:PASS}@h/x", "lr": 0.1},
    "uri": "https://u:literal@h/x",
}
RESOLVED = {
    "hub": "hf-value-1",
    "model": {"token": "hf-value-1", "api_key": "a literal one", "url": "https://u:pass-value@h/x", "lr": 0.1},
    "uri": "https://u:literal@h/x",
}


def test_a_secret_of_the_environment_stays_a_reference_and_a_literal_one_is_left_out() -> None:
    assert to_be_given(RESOLVED, WRITTEN) == {
        "hub": "${oc.env:HF_TOKEN}",
        "model": {
            "token": "${oc.env:HF_TOKEN}",
            "api_key": LEFT_OUT,
            "url": "https://u:${oc.env:PASS}@h/x",
            "lr": 0.1,
        },
        "uri": LEFT_OUT,
    }


def test_what_a_secret_variable_gives_is_masked_under_any_key() -> None:
    assert without_secrets(RESOLVED, WRITTEN) == {
        "hub": MASK,
        "model": {"token": MASK, "api_key": MASK, "url": MASK, "lr": 0.1},
        "uri": "https://u:***@h/x",
    }


def test_a_known_secret_is_masked_wherever_it_appears() -> None:
    remember({"api_key": "correct horse"})
    assert masked("the server said: no such key (correct horse)") == "the server said: no such key (***)"


@pytest.mark.parametrize("write", [repr, json.dumps, quote, quote_plus, lambda secret: repr(f"'\"{secret}")])
def test_a_known_secret_is_masked_as_python_json_and_urls_write_it(write: Callable[[str], str]) -> None:
    secret = 'it\'s "a"/\\ bß&c'
    remember({"password": secret})
    assert MASK in masked(f"the server said {write(secret)}")
    assert not any(part in masked(write(secret)) for part in ("it", "bß", "b%C3", "b\\u"))


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("${oc.env:CUSTOM,${oc.env:HF_TOKEN}}", "${oc.env:CUSTOM,${oc.env:HF_TOKEN}}"),
        ("${oc.env:'HF_TOKEN'}", "${oc.env:'HF_TOKEN'}"),
        ("${oc.env:HF_TOKEN,null}", "${oc.env:HF_TOKEN,null}"),
        ("${oc.env:HF_TOKEN,a literal one}", LEFT_OUT),
        ("${oc.env:HF_TOKEN,${hub}}", LEFT_OUT),
        ("${.token}", "${oc.env:HF_TOKEN}"),
        ("${..hub}", "${oc.env:HF_TOKEN}"),
        ("${[hub]}", "${oc.env:HF_TOKEN}"),
        ("${.[token]}", "${oc.env:HF_TOKEN}"),
        ("by ${.token}", LEFT_OUT),
        ("${oc.select:hub}", LEFT_OUT),
    ],
)
def test_a_secret_is_found_through_whatever_reads_it(written: str, given: str) -> None:
    source = {"hub": "${oc.env:HF_TOKEN}", "model": {"token": "${hub}", "header": written}}
    values = {"hub": "value-1", "model": {"token": "value-1", "header": "the value-1"}}
    assert without_secrets(values, source)["model"]["header"] == MASK
    assert to_be_given(values, source)["model"]["header"] == given


def test_the_members_of_a_secret_mapping_are_secrets_where_another_key_refers_to_it() -> None:
    source = {"credentials": {"user": "me"}, "model": {"login": "${credentials}", "list": ["${..login.user}"]}}
    values = {"credentials": {"user": "me"}, "model": {"login": {"user": "me"}, "list": ["me"]}}
    assert without_secrets(values, source)["model"] == {"login": {"user": MASK}, "list": [MASK]}


def test_the_secrets_of_a_config_are_known_though_another_key_cannot_be_resolved() -> None:
    remember_those_of(OmegaConf.create({"vars": {"api_key": "one of many"}, "lr": "${missing}", "all": "${vars}"}))
    assert masked("not one of many") == "not ***"
