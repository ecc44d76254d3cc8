"""One word, one meaning: names that were given up are not used again. docs/glossary.md has those that are used."""

from __future__ import annotations

import ast
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(file for folder in ("daemon", "clients", "tests") for file in (ROOT / folder).rglob("*.py"))

RETIRED = {
    # old name: the name that took its place
    **{"Listener": "Segmenter", "Ear": "SourceStream", "Hearing": "ClassifierInput", "Track": "ResampledRing"},
    **{"Cutter": "Windowing", "Utterances": "UtteranceWindows or UtteranceDecider"},
    **{"Sliding": "SlidingWindows or SlidingDecider", "News": "Message", "Turned": "GateClosed"},
    **{"GateTurned": "GateClosed", "Silence": "GateClosed", "Finished": "SourceEnded", "Began": "Started"},
    **{"Broke": "Failed", "Lane": "ReorderBuffer", "Place": "Ticket", "Reporter": "Detector", "Desk": "Detectors"},
    **{"Missed": "Unscored", "Asking": "ClipScorer", "Piece": "ClipWindow", "Life": "WorkerProcess"},
    **{"Classifies": "Engine", "Loads": "Engine", "Answer": "Logits, ClipAnswer, Outcome or Response"},
    **{"Share": "Reservation", "Suspects": "PoisonClips", "Asked": "ParsedRequest", "Standing": "ModelStatus"},
    **{"settled": "wait_settled", "Thinner": "Throttle", "Upgrades": "Handshake", "Guard": "AccessMiddleware"},
    **{"Take": "Example", "Finder": "ExampleFinder", "Wish": "LearnRequest", "Learned": "LearnedModel"},
    **{"Lessons": "TrainingSet", "Figures": "Evaluation", "Opening": "SoundProcess", "stir": "wake"},
    **{"deaf": "detached", "patience": "timeout", "Printer": "LineWriter", "WorkerState": "EngineState"},
    **{"ear": "stream", "ears": "streams", "hearing": "classifier input", "hearings": "classifier inputs"},
    **{"news": "messages", "desk": "detectors", "reporter": "detector", "reporters": "detectors", "lane": "buffer"},
    **{"asking": "scorer", "standing": "status", "upgrades": "handshake", "thinner": "throttle", "wish": "request"},
    **{"lessons": "training set", "fewest": "min_…"},
    **{"ENOUGH": "a name that says what and in which unit", "MANY": "…", "HOLD": "…", "AHEAD": "…", "BULK": "…"},
    **{"LEAST": "…", "SHOWN": "…", "DROWSY": "…"},
}


def names(file: Path) -> set[str]:
    """The identifiers in a file, with those within dotted module names."""
    with tokenize.open(file) as lines:
        return {token.string for token in tokenize.generate_tokens(lines.readline) if token.type == tokenize.NAME}


def test_no_retired_name_is_used_in_the_code() -> None:
    found = [f"{file.relative_to(ROOT)}: {name}" for file in FILES for name in sorted(names(file) & RETIRED.keys())]
    assert found == []


@pytest.mark.parametrize("phrase", ["listening thread", "the desk", "reporter", "thinner", "the hearing", " ears "])
def test_no_retired_word_is_used_in_the_prose(phrase: str) -> None:
    prose = [*FILES, *(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found = [str(file.relative_to(ROOT)) for file in prose if file != Path(__file__) and phrase in text_of(file)]
    assert found == []


def text_of(file: Path) -> str:
    """A document, or the docstrings and comments of a module, in lower case."""
    if file.suffix != ".py":
        return file.read_text(encoding="utf-8").lower()
    with tokenize.open(file) as lines:
        comments = [
            token.string for token in tokenize.generate_tokens(lines.readline) if token.type == tokenize.COMMENT
        ]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, documented)
    ]
    return "\n".join((*comments, *docstrings)).lower()
