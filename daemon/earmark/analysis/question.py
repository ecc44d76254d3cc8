"""What a client wants of an analysis: the parameters of its request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from earmark.errors import RequestError
from earmark.hints import did_you_mean
from earmark.protocol import names

SOURCE = "analyze"  # where no other name is given
PARAMETERS = ("classifiers", "source", "scores")
MAX_QUOTED, MAX_NAME = 100, 100


@dataclass(frozen=True, slots=True)
class Question:
    """The classifiers that shall hear the recording, the name of its source, and whether results have all scores."""

    classifiers: tuple[str, ...]
    source: str = SOURCE
    all_scores: bool = False


def parse_question(parameters: Sequence[tuple[str, str]], known: Iterable[str]) -> Question:
    """Return what the parameters of a request ask for. Raises RequestError 400, which names the parameter."""
    given: dict[str, str] = {}
    for name, value in parameters:
        if name not in PARAMETERS:
            hint = did_you_mean(name, PARAMETERS) or f"known are {', '.join(PARAMETERS)}"
            raise RequestError(400, f"{name[:MAX_QUOTED]}: no such parameter; {hint}")
        if name in given:
            raise RequestError(400, f"{name}: given more than once, and one value is wanted")
        given[name] = value
    scores = given.get("scores", "some")
    if scores not in ("some", "all"):
        raise RequestError(400, f"scores: {scores[:MAX_QUOTED]!r} is not known; write all, or leave it out")
    return Question(_classifiers(given, list(known)), _source(given), scores == "all")


def _source(given: Mapping[str, str]) -> str:
    source = given.get("source", SOURCE)
    if not source or len(source) > MAX_NAME:
        raise RequestError(400, f"source: a name has 1 to {MAX_NAME} characters")
    return source


def _classifiers(given: Mapping[str, str], known: Sequence[str]) -> tuple[str, ...]:
    try:
        wanted = names.split(given.get("classifiers", ""))
    except ValueError as error:
        raise RequestError(400, f"classifiers: {error}") from None
    for name in wanted:
        if name not in known:
            hint = did_you_mean(name, known) or (f"there are {', '.join(known)}" if known else "there is none at all")
            raise RequestError(400, f"classifiers: there is no classifier {name[:MAX_QUOTED]!r}; {hint}")
    if not known:
        raise RequestError(400, "classifiers: the daemon has none; its configuration needs a [[classifier]]")
    return tuple(name for name in known if name in wanted or not wanted)
