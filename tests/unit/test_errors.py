from __future__ import annotations

import pytest

from earmark import errors
from earmark.errors import AudioError, ConfigError, EarmarkError, ModelError, RequestError, TooMuchAudio, WorkerDied


@pytest.mark.parametrize(("kind", "code"), [(EarmarkError, 1), (ConfigError, 2), (ModelError, 1), (AudioError, 1)])
def test_a_wrong_configuration_ends_with_2_and_any_other_trouble_with_1(kind: type[EarmarkError], code: int) -> None:
    assert kind("a sentence").exit_code == code


def test_a_refused_request_has_its_status_and_when_to_try_again() -> None:
    refused, later = RequestError(404, "no such model"), RequestError(429, "too many", retry_after=5)

    assert (str(refused), refused.status, refused.reason, refused.retry_after) == ("no such model", 404, "", None)
    assert (str(later), later.status, later.retry_after) == ("too many", 429, 5)


def test_a_refused_request_may_have_a_sentence_beside_its_fixed_text() -> None:
    refused = RequestError(404, "not_found", reason="there is no model x")
    assert (str(refused), refused.reason) == ("not_found", "there is no model x")


def test_all_errors_are_of_one_tree_and_in_its_picture() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]

    assert all(issubclass(kind, EarmarkError) for kind in kinds)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)
    assert issubclass(TooMuchAudio, errors.SourceError)
    assert issubclass(WorkerDied, errors.WorkerError)
