from __future__ import annotations

import msgspec
from openapi_spec_validator import validate

from earmark.analysis import question
from earmark.analysis.openapi import with_analysis
from earmark.api import openapi


def test_the_route_is_added_with_the_parameters_that_it_takes_and_the_document_is_valid() -> None:
    document = with_analysis(openapi.document("0"))
    validate(msgspec.json.decode(msgspec.json.encode(document)))
    post = document["paths"]["/v1/analyze"]["post"]
    assert tuple(each["name"] for each in post["parameters"]) == question.PARAMETERS
    assert post["requestBody"] == document["paths"]["/"]["post"]["requestBody"]
    assert {"200", "400", "413", "429", "503"} <= post["responses"].keys()
