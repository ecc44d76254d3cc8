from __future__ import annotations

import json
from pathlib import Path

import pytest

from earmark.commands.serve_ray import applications
from earmark.config.settings import Classifier, Config
from earmark.serving.applications import Arguments
from earmark_client.__main__ import main, parser

TWO = Config(classifier=(Classifier("a", model="earmark/sounds"), Classifier("b", model="earmark/emotion")))


def asked(*arguments: str, settings: Config = TWO) -> list[Arguments]:
    return applications(parser().parse_args(["serve-ray", *arguments]), settings)


def test_the_models_are_those_named_else_those_of_the_classifiers_else_the_default_one() -> None:
    assert [each.model for each in asked("--model", "acme/bells", "--model", "acme/bells")] == ["acme/bells"]
    assert [each.model for each in asked()] == ["earmark/sounds", "earmark/emotion"]
    assert [each.model for each in asked(settings=Config())] == ["earmark/commands"]


def test_replicas_and_shares_of_gpus_and_cpus_are_those_of_each_model() -> None:
    options = ("--replicas", "2", "--most-replicas", "6", "--num-gpus", "0.25", "--num-cpus", "0.5")
    assert asked("--model", "acme/bells", *options) == [Arguments("acme/bells", "", 2, 6, 0.25, 0.5)]


def test_a_file_of_settings_is_named_in_full_because_replicas_read_it_elsewhere() -> None:
    assert {each.config for each in asked("home.toml")} == {str(Path("home.toml").absolute())}


@pytest.mark.parametrize(
    "wrong", [["--replicas", "0"], ["--port", "70000"], ["--num-gpus", "-1"], ["--num-cpus", "nan"]]
)
def test_a_number_that_cannot_be_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["serve-ray", *wrong])
    assert f"{wrong[1]!r} is no" in capsys.readouterr().err


def test_a_serve_configuration_is_printed_where_there_is_no_ray(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve-ray", "--replicas", "3", "--port", "9001", "--print-config"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["grpc_options"]["port"] == 9001
    assert told["applications"][0]["args"]["replicas"] == 3
