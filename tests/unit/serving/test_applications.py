from __future__ import annotations

import json

import msgspec
import pytest

from earmark.remote.application import application
from earmark.serving.applications import SERVICER, Arguments, Where, configuration, route


def test_an_application_is_named_as_the_daemon_asks_for_it() -> None:
    assert application("earmark/commands") == "earmark-commands"
    assert application("house-of-moods") == "house-of-moods"
    assert route("MIT/ast-10") == "/MIT-ast-10"


def test_the_servicer_is_a_function_under_the_name_that_ray_is_told() -> None:
    pytest.importorskip("grpc", reason="the extra oip is not installed")
    from earmark.serving import servicer

    assert f"{servicer.__name__}.{servicer.add_to_server.__name__}" == SERVICER


def test_a_serve_configuration_has_an_application_for_each_model_and_no_port_of_http_for_others() -> None:
    models = [Arguments("earmark/commands", "/etc/earmark.toml", 2, 4, 0.5), Arguments("acme/bells")]
    told = json.loads(configuration(models, Where(port=9001, http_port=9002)))
    assert told["http_options"] == {"host": "127.0.0.1", "port": 9002}
    assert told["grpc_options"] == {"port": 9001, "grpc_servicer_functions": [SERVICER]}
    assert [(each["name"], each["route_prefix"]) for each in told["applications"]] == [
        ("earmark-commands", "/earmark-commands"),
        ("acme-bells", "/acme-bells"),
    ]
    assert [msgspec.convert(each["args"], Arguments) for each in told["applications"]] == models


def test_arguments_of_a_command_line_are_text_and_an_unknown_one_is_refused() -> None:
    told = {"model": "acme/bells", "replicas": "3", "num_gpus": "0.25"}
    assert msgspec.convert(told, Arguments, strict=False) == Arguments("acme/bells", replicas=3, num_gpus=0.25)
    with pytest.raises(msgspec.ValidationError, match="replica`"):
        msgspec.convert(told | {"replica": 1}, Arguments, strict=False)
