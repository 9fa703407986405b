"""The commands as a person types them, on the digits and on a small module."""

from __future__ import annotations

import csv
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState
from shell import PLAIN, USERS, InProcess, Shell, trained

from studies.cli.uncomposed import all_problems
from studies.config.composing.configs import config_dir

FAST = ("+study=digits", "n_trials=6", "budget.amount=1")


@pytest.mark.slow
def test_the_main_job_on_digits_from_search_to_test(shell: Shell) -> None:
    """Run, run again, list, retrain from the study and from best.yaml."""
    output = shell.run("run", *FAST, "workers=2")
    assert "6 of 6 trials finished" in output
    folder = shell.folder / "outputs" / "digits"
    for name in ("best.yaml", "trials.csv", "report.md"):
        assert f"outputs/digits/{name}" in output
        assert (folder / name).stat().st_size > 0
    with (folder / "trials.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["state"] != "VOID"]
    assert [int(row["slot"]) for row in rows] == list(range(6))
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert f"{best['value']:.4f}" in output
    assert best["value"] == max(float(row["value"]) for row in rows if row["state"] == "COMPLETE")
    assert len(list((folder / "logs").glob("*/worker-*.log"))) == 2

    again = shell.run("run", *FAST)
    assert "study digits is finished" in again
    assert len(trained(shell.trials("digits"))) == 6

    listed = shell.run("list")
    assert re.search(r"digits .*6 of 6 .*complete.*val/accuracy", listed)

    retrained = shell.run("retrain", *FAST)
    assert f"val/accuracy {best['value']:.4f} at the last rung ({best['value']:.4f} in the search)" in retrained
    assert re.search(r"test/accuracy 0\.\d+ \[0\.\d+, \d\.\d+\] \(n = \d+ test samples\)", retrained)
    assert (folder / "retrain" / f"trial-{best['trial']}" / "model.ckpt").exists()
    assert not list((folder / "retrain").rglob("*.part"))
    from_file = shell.run("retrain", "config=outputs/digits/best.yaml")
    accuracy = re.compile(r"test/accuracy.*")
    assert accuracy.search(from_file)[0] == accuracy.search(retrained)[0]  # type: ignore[index]
    assert "the test part was evaluated before: once by studies.retrain. Choosing" in from_file


@pytest.mark.slow
def test_a_changed_study_is_refused_with_what_differs_and_can_be_forked(shell: Shell) -> None:
    serial = ("launcher=serial", "n_trials=2", "+study=digits")
    shell.run("run", *serial, "budget.amount=1")
    output = shell.run("run", *serial, "budget.amount=2", "search_space.lr.low=1e-5", code=2)
    assert "budget.amount is 2 but 1 in the stored study" in output
    assert "search_space.lr.low is 1e-05 but 0.0001 in the stored study" in output
    assert "resume=fork" in output
    forked = shell.run("run", *serial, "budget.amount=2", "resume=fork")
    assert "outputs/digits-2/report.md" in forked
    assert "forked: continue this study with study_name=digits-2" in forked
    assert len(shell.trials("digits")) == len(shell.trials("digits-2")) == 2


@pytest.mark.slow
def test_what_cannot_be_tested_is_trained_and_kept_all_the_same(shell: Shell) -> None:
    shell.run("run", *PLAIN, "n_trials=1", "launcher=serial")
    output = shell.run("retrain", *PLAIN, "n_trials=1", "launcher=serial")
    assert "not tested: the module has no test_step" in output
    assert (shell.folder / "outputs/plain/retrain/trial-0/model.ckpt").exists()
    broken = shell.run("retrain", "config=outputs/plain/best.yaml", "seed=3", code=2)
    assert "seed=3 would be ignored, since config= names a whole configuration" in broken


def test_a_module_that_fails_at_its_import_is_one_problem(in_process: InProcess) -> None:
    output = in_process.run("run", *PLAIN, "model._target_=broken_module.Model", code=2)
    assert "whose import fails (RuntimeError: this module cannot be imported): correct that module" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_check_finds_what_fails_in_a_corner_and_estimates_the_time(shell: Shell) -> None:
    output = shell.run("check", *PLAIN)
    assert "study plain is sound" in output
    assert re.search(r"4 trials on \d workers about \d", output)
    broken = shell.run("check", *PLAIN, "model.behaviour=raise", "model.above=0.09", code=2)
    assert "model fails in one batch at lr=0.1 (ValueError: the module is broken at lr 0.1)" in broken


@pytest.mark.slow
def test_a_metric_that_is_never_logged_is_found_before_anything_is_trained(shell: Shell) -> None:
    output = shell.run("run", *PLAIN, "objective.metric=val/accuracy", "objective.direction=maximize", code=2)
    assert "objective.metric is val/accuracy" in output
    assert "train_loss, val_loss" in output
    corrected = shell.run("run", *PLAIN, "n_trials=1", "launcher=serial")
    assert "1 of 1 trials finished" in corrected


def test_one_message_lists_every_problem(in_process: InProcess) -> None:
    output = in_process.run(
        "run",
        "+study=digits",
        *("n_trails=3", "sampler=tpee", "search_space.lr.low=0", "search_space.dropout.path=model.network.dropuot"),
        *("objective.direction=up", "storage.url=nonsense", "model._target_=no.such.thing", "datamodule.batchsize=3"),
        code=2,
    )
    for told in (
        "n_trails is not a key of the config: did you mean n_trials?",
        "sampler is tpee, which is no option of that group: did you mean tpe?",
        "search_space.lr.low is 0 but log is true: give a positive lower bound",
        "search_space.dropout.path model.network.dropuot does not exist in the config: did you mean",
        "objective.direction is 'up'",
        "storage.url is 'nonsense', which is no URL",
        "model._target_ is 'no.such.thing', which does not import",
        "datamodule.batchsize is not a key of the config: did you mean batch_size?",
    ):
        assert told in output, told
    assert "Traceback" not in output
    assert not (in_process.folder / "outputs").exists()


def told(*arguments: str) -> list[str]:
    """What keeps these arguments from being composed, as a command tells it."""
    return [str(problem) for problem in all_problems(arguments, ValueError("unknown"))]


def test_keys_below_a_null_are_given_together() -> None:
    second = ("objective.second.metric=n_flops", "objective.second.direction=minimize")
    assert told("+study=digits", *second) == [
        "objective.second is null and has no keys to set: "
        "give them all at once: 'objective.second={metric: n_flops, direction: minimize}'"
    ]
    (misspelt,) = told("+study=digits", "objective.metrik.name=x")
    assert misspelt.startswith("objective.metrik.name is x, which does not work")
    (misspelt,) = told("+study=digits", "objectiv.metric=x")
    assert misspelt.startswith("objectiv.metric is not a key of the config: did you mean objective?")


def test_what_is_there_already_is_not_added() -> None:
    assert told("+study=digits", "+n_trials=3", "+sampler=random") == [
        "n_trials is there already and cannot be added: write n_trials=3, without the +",
        "sampler is there already and cannot be added: write sampler=random, without the +",
    ]


def test_what_is_no_key_is_told_with_how_to_write_it() -> None:
    targets = ("callbacks=optimizer", "loggers.mine._target_=a.B", "links.model.n=datamodule.n")
    assert told("+study=digits", *targets) == [
        "callbacks is added and not overridden: write +callbacks=optimizer",
        "loggers.mine._target_ is not a key of the config: +loggers.mine._target_=… adds it where it may be added",
        "links.model.n is no key, since the names of links have dots: write 'links={model.n: datamodule.n}'",
    ]
    (missing,) = told("+study=digits", "search_space.lr.path=callbacks.optimizer.lr", "n_trails=3")[1:]
    assert missing.endswith("does not exist in the config: add that option first, as in +callbacks=optimizer")


@pytest.mark.slow
def test_an_option_of_a_selection_asks_for_one() -> None:
    for option in ("select.k=4", "select.rule=one_standard_error"):
        key = option.partition("=")[0]
        asked = [f"{key} is set but nothing is selected: add select=race, or remove it"]
        assert told("+study=digits", option) == asked
        assert told("+study=mnist_cnn", option, "select=none") == asked
    (only,) = told("+study=digits", "select.k=4", "select=race", "n_trails=3")
    assert only.startswith("n_trails is not a key of the config")
    assert "select=race" not in "".join(told("+study=digits", "select.kk=4"))


def test_an_unknown_option_says_where_ones_own_are_looked_for(tmp_path: Path) -> None:
    (missing,) = told("+study=digits", "search_space=next_search_spce")
    assert "options of your own lie in a folder that --config-dir or hydra.searchpath=[file://…] names" in missing
    (tmp_path / "search_space").mkdir()
    (tmp_path / "search_space" / "next_search_space.yaml").write_text("lr: {path: model.optimizer.lr}\n")
    searched = f"hydra.searchpath=[file://{tmp_path}]"
    (misspelt,) = told("+study=digits", "search_space=next_search_spce", searched)
    assert "did you mean next_search_space?" in misspelt
    found = told("+study=digits", "search_space=next_search_space", searched, "n_trails=3")
    assert not any("no option of that group" in problem for problem in found)
    more = told("--config-dir", str(USERS / "conf"), "+study=plain", "search_space=next_search_space", searched, "x=1")
    assert not any("no option of that group" in problem for problem in more)


@pytest.mark.slow
def test_a_selection_is_turned_off_on_the_command_line(shell: Shell) -> None:
    small = ("+study=mnist", "datamodule=digits", "n_trials=2", "budget.amount=1", "select=none", "launcher=serial")
    assert "the search has" not in (output := shell.run("run", *small, "analysis=none"))
    assert "2 of 2 trials finished" in output
    refused = shell.run("run", *small, "select.k=2", code=2)
    assert "1 problem in the config:\n  - select.k is set but nothing is selected: add select=race" in refused


def test_with_no_study_named_the_command_says_which_there_are(in_process: InProcess) -> None:
    output = in_process.run("run", code=2)
    assert re.search(r"study is not named: .*digits.*mnist", output)
    assert "study is added and not overridden: write +study=digits" in in_process.run("run", "study=digits", code=2)
    told = in_process.run("run", "+study=digits", "model=3", "search_space=[1]", code=2)
    assert "model is 3, which is no option of that group" in told
    assert "search_space is [1], which is no option of that group" in told
    theirs = in_process.run("run", "--config-dir", str(USERS / "conf"), "+study=plane", code=2)
    assert "did you mean plain?" in theirs


def test_cfg_and_help_answer_without_importing_torch_or_optuna(shell: Shell) -> None:
    config = shell.run("run", "+study=mnist", "--cfg", "job")
    assert yaml.safe_load(config)["study_name"] == "mnist"
    assert "search_space" in shell.run("run", "--help-all")
    assert shell.run("retrain", "--help-all").startswith(
        "`python -m studies.retrain +study=NAME [trial=best|N]`, or `con"
    )
    assert f"stands beside it in {config_dir()}: config.yaml" in shell.run("list", "--help-all")
    script = (
        "import sys, runpy; sys.argv = ['run', '+study=mnist', '--cfg', 'job']\n"
        "try: runpy.run_module('studies.run', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'pytorch_lightning', 'optuna'} & {*sys.modules}))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=shell.folder, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_that_comes_at_the_very_start_ends_a_command_as_ctrl_c_does(
    shell: Shell, number: signal.Signals
) -> None:
    """The system ignores it in the first process of a container, where nothing handles it."""
    process = shell.start("run", *PLAIN)
    status = Path(f"/proc/{process.pid}/status")
    while not int(re.findall(r"SigCgt:\s*(\w+)", status.read_text())[0], 16) >> (number - 1) & 1:
        assert process.poll() is None
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")


def test_the_dashboard_serves_the_studies_on_a_free_port(shell: Shell) -> None:
    (shell.folder / "outputs").mkdir()
    optuna.create_study(study_name="digits", storage=f"sqlite:///{shell.folder}/outputs/studies.db")
    process = shell.start("dashboard", "+study=digits", "dashboard.port=18080")
    assert process.stdout is not None
    address = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
    assert address, "the address is printed first"
    deadline = time.monotonic() + 60
    while True:
        try:
            page = urllib.request.urlopen(f"{address[0]}api/studies", timeout=5).read().decode()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert '"digits"' in page
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output


def test_commands_on_a_storage_that_does_not_exist_say_so(in_process: InProcess) -> None:
    for command in ("list", "dashboard"):
        assert "a file that does not exist: run a study first" in in_process.run(command, code=2)


def test_retrain_of_a_trial_that_is_not_there_says_which_there_are(in_process: InProcess) -> None:
    assert "a file that does not exist: run a study first" in in_process.run("retrain", "+study=digits", code=2)
    assert "cannot be read" in in_process.run("retrain", "config=nothing.yaml", code=2)


@pytest.mark.slow
def test_a_pruned_trial_is_retrained_to_its_end_and_told_how_far_it_came(shell: Shell) -> None:
    study = (*PLAIN, "n_trials=1", "launcher=serial", "budget.amount=3", "pruner=threshold", "pruner.upper=0.0")
    shell.run("run", *study)
    assert re.search(
        r"at the last rung \(\d\.\d{4} at rung 1, the last of its trial\)", shell.run("retrain", *study, "trial=0")
    )


@pytest.mark.slow
def test_a_module_from_lightnings_demos_runs_unchanged(shell: Shell) -> None:
    """Lightning's LSTM brings its own dataloader, which reads ./data/wikitext-2.txt where that is there."""
    text = shell.folder / "text"
    text.mkdir()
    (shell.folder / "data").unlink()
    (shell.folder / "data").mkdir()
    words = " ".join(f"word{i % 60}" for i in range(9000))
    (shell.folder / "data" / "wikitext-2.txt").write_text(f"{words}\n")
    output = shell.run(
        "run", "--config-dir", str(USERS / "conf"), "+study=lstm", "launcher=serial", "output_dir=outputs/lstm"
    )
    assert "3 of 3 trials finished" in output
    assert {trial.state for trial in shell.trials("lstm")} == {TrialState.COMPLETE}


def test_a_space_of_the_command_line_that_the_studys_own_file_overrules_is_refused(in_process: InProcess) -> None:
    refused = in_process.run("check", "+study=tables/dropout", "search_space=mlp", "search_space.lr.low=1e-5", code=2)
    assert "search_space is mlp, and the study's own file sets dropout of it otherwise" in refused
    assert "mode is" in in_process.run("check", "+study=digits", "search_space=mlp", "mode=neither", code=2)


def test_a_report_that_cannot_be_written_after_a_search_is_told_by_the_key_of_its_folder(in_process: InProcess) -> None:
    (in_process.folder / "out" / "report.md").mkdir(parents=True)
    told = in_process.run("run", *PLAIN, "n_trials=1", "launcher=serial", "analysis=none", "output_dir=out", code=2)
    assert "output_dir is out, and out/report.md cannot be written" in told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my study (v2)", 'it\'s "2024_01" #étude'])
def test_the_command_in_best_yaml_is_pasted_as_it_stands(shell: Shell, name: str) -> None:
    shell.run("run", *PLAIN, "n_trials=1", "launcher=serial", "analysis=none", f"study_name={name}")
    lines = (shell.folder / "outputs" / name / "best.yaml").read_text(encoding="utf-8").splitlines()
    (pasted,) = (line.removeprefix("#   python") for line in lines if line.startswith("#   python"))
    done = subprocess.run(
        f"{shlex.quote(sys.executable)}{pasted}",
        shell=True,
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"training trial 0 of study {name} for" in done.stdout


@pytest.mark.slow
def test_a_study_file_and_its_module_are_found_without_any_flag(shell: Shell) -> None:
    """The workers of the local launcher import the module from the folder of the command."""
    (shell.folder / "my_module.py").write_text("from user_modules import Plain\n\n\nclass Mine(Plain): ...\n")
    study = (USERS / "conf" / "study" / "plain.yaml").read_text().replace("study_name: plain", "study_name: mine")
    study = study.replace("- override /model: plain", "- override /model: mine").replace(
        "search_space: plain", "search_space: empty"
    )
    space = (USERS / "conf" / "search_space" / "plain.yaml").read_text()
    (shell.folder / "mine.yaml").write_text(f"{study}search_space:\n  {space}")
    (shell.folder / "conf" / "model").mkdir(parents=True)
    model = (USERS / "conf" / "model" / "plain.yaml").read_text()
    (shell.folder / "conf" / "model" / "mine.yaml").write_text(
        re.sub(r"_target_: .*", "_target_: my_module.Mine", model)
    )
    assert "study mine is sound" in shell.run("check", "mine.yaml")
    assert "4 of 4 trials finished" in shell.run("run", "mine.yaml", "workers=2", "analysis=none")
    assert "training trial" in shell.run("retrain", "mine.yaml")
    assert "mine" in shell.run("list", "mine.yaml")
