"""Example messages and answers for the documents. They are made of the types, so a field that changes changes here."""

from __future__ import annotations

from typing import Any

import msgspec

from earmark.config.settings import Decide, Vad
from earmark.control.steering import SourceStatus, classifier_status
from earmark.protocol.events import (
    ClassifierInfo,
    Config,
    Error,
    Event,
    Gap,
    GateLevel,
    Hello,
    Label,
    Level,
    Loss,
    Result,
    Score,
    Source,
    SourceInfo,
    Subscribed,
    Tick,
    Why,
)
from earmark.protocol.readiness import Need, answer

EPOCH = "9f2c61d0"
_OFFICE = SourceInfo("office", "listening", "USB Microphone", 16000)
_LABELS = ("angry", "calm", "happy", "neutral")
_EMOTION = ClassifierInfo("emotion", "earmark/emotion", _LABELS, ("office",), "speech", "sliding", 3.0, 1.0)
_SCORES = (Score(0.81, "happy"), Score(0.1, "neutral"))
_ON = Label(
    seq=1044,
    time="2026-11-22T07:31:05.121Z",
    source="office",
    classifier="emotion",
    id=f"{EPOCH}-311",
    label="happy",
    state="on",
    start=13.96,
    score=0.77,
    why=Why(raw=0.81, smoothed=0.77, threshold=0.6, hits=3, needed=3, gate="speech"),
    lag=0.049,
    start_time="2026-11-22T07:31:03.712Z",
)
_OFF = Label(
    seq=1061,
    time="2026-11-22T07:31:09.180Z",
    source="office",
    classifier="emotion",
    id=f"{EPOCH}-311",
    label="happy",
    state="off",
    start=13.96,
    end=18.89,
    peak=0.93,
    reason="quiet",
    lag=0.538,
)
_COMMAND = Label(
    seq=1062,
    time="2026-11-22T07:31:10.402Z",
    source="office",
    classifier="commands",
    id=f"{EPOCH}-312",
    label="stop",
    state="on",
    start=20.1,
    score=0.98,
    end=20.61,
    reason="utterance",
    lag=0.183,
)
_RESULT = Result(
    seq=1043,
    time="2026-11-22T07:31:05.120Z",
    source="office",
    classifier="emotion",
    start=12.32,
    end=15.32,
    lag=0.048,
    result=_SCORES,
    start_time="2026-11-22T07:31:02.072Z",
    end_time="2026-11-22T07:31:05.072Z",
)

EVENTS: tuple[tuple[str, Event], ...] = (
    ("hello", Hello("1.0.0", EPOCH, 1042, 17, (_OFFICE,), (_EMOTION,))),
    ("subscribed", Subscribed(1042)),
    ("result", _RESULT),
    ("suppressed", msgspec.structs.replace(_RESULT, seq=1045, suppressed="refractory")),
    ("on", _ON),
    ("off", _OFF),
    ("command", _COMMAND),
    ("lost", Source(1063, "2026-11-22T07:31:11.004Z", "office", "lost", "the device stopped delivering")),
    ("away", Loss(1064, "2026-11-22T07:31:11.700Z", "office", 21.39, 22.09, "device")),
    ("changed", Config(1065, "2026-11-22T07:31:12.300Z", (_OFFICE,), (_EMOTION,), "api")),
    ("slow", Gap(1066, 1190, "slow")),
    ("too_old", Gap(1043, 1189, "too_old")),
    (
        "meter",
        Level(
            "office",
            "2026-11-22T07:31:12.020Z",
            -42.1,
            -30.2,
            -61.0,
            {"commands": GateLevel(True, value=0.93, threshold=0.5)},
        ),
    ),
    ("alive", Tick(1065, "2026-11-22T07:31:15.000Z")),
    ("refused", Error("min_score: 'high' is not a number")),
)
"""Examples of all messages to a subscriber, by name."""

SUBSCRIBE: dict[str, Any] = {"type": "subscribe", "types": ["label", "result"], "min_score": 0.5, "top_k": 3}
RESUME: dict[str, Any] = {"type": "subscribe", "classifiers": "commands", "since": f"{EPOCH}:1042"}


def plain(content: object) -> Any:
    """Return the content as JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(content))


SCORES = plain(_SCORES)
HISTORY: dict[str, Any] = {
    "epoch": EPOCH,
    "oldest": 17,
    "next": f"older-{EPOCH}:1061",
    "events": plain((_COMMAND, _OFF)),
}


def of(kind: type) -> list[dict[str, Any]]:
    """Return the examples of a message of this type, in the form of AsyncAPI."""
    return [{"name": name, "payload": plain(event)} for name, event in EVENTS if isinstance(event, kind)]


_SOURCE = plain(
    SourceStatus("office", "paused", "USB Microphone", 16000, "", True, {"kind": "microphone", "device": "USB"})
)
_CLASSIFIER = plain(classifier_status(_EMOTION, Decide(on=0.7), Vad()))
_CHANGED: dict[str, Any] = {
    "changed": [{"key": "classifier[emotion].decide.on", "before": 0.8, "after": 0.7}],
    "restart": [],
}
_STATUS = {"loaded": True, "state": "Loaded", "compute_type": "cpu", "framework": "transformers"}
_MODEL = {
    "id": "earmark/emotion",
    "aliases": [],
    "default": True,
    "origin": "embedded",
    "revision": "",
    "licence": "cc-by-nc-4.0",
    "labels": [*_LABELS],
    "rate": 16000,
    "bytes": 24_000_000,
    "state": "loaded",
    "why": "",
    "function": "softmax",
    "values": [],
    "remarks": [],
    "takes_labels": False,
}
NOT_READY = answer({"listening": Need(False, {"source office": "lost for 42 s"}), "clips": Need(True)})[0]

CLASSIFY = ("classify", "classifyByDefault", "classifyByTask", "classifyByPipeline", "classifyByProvider")
ANSWERS: dict[str, Any] = {
    **{operation: SCORES for operation in CLASSIFY},
    "status": _STATUS,
    "models": [_MODEL],
    "health": {"status": "ok"},
    "live": {"live": True},
    "modelHealth": {"status": "ok"},
    "ready": answer({"listening": Need(True), "clips": Need(True)})[0],
    "history": HISTORY,
    "sources": [_SOURCE],
    "source": _SOURCE,
    "classifiers": [_CLASSIFIER],
    "classifier": _CLASSIFIER,
    "patchSource": {
        **_SOURCE,
        "changed": [{"key": "source[office].paused", "before": False, "after": True}],
        "restart": [],
    },
    "patchClassifier": {
        **_CLASSIFIER,
        **_CHANGED,
        "toml": '[[classifier]]\nname = "emotion"\n[classifier.decide]\non = 0.7\n',
    },
    "reload": {**_CHANGED, "restart": ["server.listen"]},
}
"""Answers with status 200, by the names of the operations."""

BODIES: dict[str, Any] = {
    **{operation: {"inputs": "UklGRiQAAABXQVZF", "parameters": {"top_k": 3}} for operation in CLASSIFY},
    "patchSource": {"paused": True},
    "patchClassifier": {"decide": {"on": 0.7, "labels": {"happy": 0.9, "calm": None}}, "vad": {"hangover_ms": 200}},
}
"""What such operations are asked for, in JSON."""
