"""Bodies of requests: raw audio or JSON, whatever the Content-Type says (docs/http-api.md)."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import soxr

from tests.posting import COMMANDS, NOW, RATE, Client, as_json, encoded, noisy, word

CLIP = encoded(word("yes"))
FLAC = encoded(word("yes"), form="FLAC")


@pytest.fixture(scope="module")
def right(client: Client) -> dict[str, float]:
    return client.post(CLIP).scores


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "application/x-www-form-urlencoded",
        "application/json",
        "video/webm",
        "audio/x-wav",
        "audio/flac",
        "multipart/form-data; boundary=x",
        "nonsense",
    ],
)
@pytest.mark.parametrize("body", [FLAC, as_json(FLAC)], ids=["raw", "json"])
def test_the_content_type_is_a_hint_and_never_a_gate(
    client: Client, right: dict[str, float], kind: str | None, body: bytes
) -> None:
    reply = client.ask("POST", COMMANDS, body, {**NOW, **({"content-type": kind} if kind else {})})
    assert reply.scores == pytest.approx(right, abs=1e-5)


def test_a_body_that_begins_with_a_brace_after_white_space_and_parses_is_json(
    client: Client, right: dict[str, float]
) -> None:
    assert client.post(b" \r\n\t" + as_json(FLAC)).scores == pytest.approx(right, abs=1e-5)
    assert client.post(b"{ not JSON").error.startswith("the body begins with { and is not JSON: ")


def test_a_compressed_body_is_unpacked(client: Client, right: dict[str, float]) -> None:
    for packed, encoding in ((gzip.compress(as_json(FLAC)), "gzip"), (zlib.compress(FLAC), "deflate")):
        reply = client.post(packed, content_encoding=encoding)
        assert reply.scores == pytest.approx(right, abs=1e-5)
    assert client.post(CLIP, content_encoding="br").status == 415


def test_accept_is_ignored_and_the_answer_is_json(client: Client) -> None:
    for accept in ("image/png", "text/html", "*/*"):
        reply = client.post(CLIP, accept=accept)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")


def test_chunked_transfer_works(client: Client, right: dict[str, float]) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(CLIP), 1000):
            yield CLIP[start : start + 1000]

    assert client.post(pieces()).scores == right


def test_of_a_multipart_form_the_first_file_is_taken(client: Client, right: dict[str, float]) -> None:
    parts = [
        b'Content-Disposition: form-data; name="note"\r\n\r\nhello',
        b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n' + CLIP,
        b'Content-Disposition: form-data; name="file"; filename="b.wav"\r\n\r\nnot this one',
    ]
    body = b"".join(b"--frontier\r\n" + part + b"\r\n" for part in parts) + b"--frontier--\r\n"
    reply = client.ask("POST", COMMANDS, body, {"content-type": "multipart/form-data; boundary=frontier"})
    assert reply.scores == right


@pytest.mark.parametrize(
    ("form", "subtype"),
    [("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)],
    ids=["wav", "flac", "vorbis", "opus", "mp3"],
)
def test_the_formats_that_always_work(client: Client, form: str, subtype: str | None) -> None:
    assert client.post(encoded(word("yes"), form=form, subtype=subtype)).labels[0] == "yes"


@pytest.mark.parametrize(("form", "codec"), [("webm", "libopus"), ("mp4", "aac"), ("adts", "aac")])
def test_webm_m4a_and_aac_work_with_the_extra(client: Client, form: str, codec: str) -> None:
    av = pytest.importorskip("av", reason="the extra `av` is not installed")
    file = io.BytesIO()
    rate = 48000
    samples = np.repeat(word("yes"), 3)[None].astype(np.float32)
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert client.post(file.getvalue(), content_type="video/webm").labels[0] == "yes"
    assert client.post(file.getvalue()[:40]).status == 400


def test_any_rate_and_channel_count_is_mixed_by_average_and_resampled(client: Client, right: dict[str, float]) -> None:
    both = np.stack([2 * word("yes") * 0.4, np.zeros_like(word("yes"))], axis=1)  # the average is 0.4 of it
    mono = client.post(encoded(0.4 * word("yes"), subtype="FLOAT")).scores
    assert client.post(encoded(both, subtype="FLOAT")).scores == pytest.approx(mono, abs=1e-5)
    for rate in (44100, 48000, 96000, 8000):
        reply = client.post(encoded(soxr.resample(word("yes"), RATE, rate), rate))
        if rate > RATE:
            assert reply.labels[0] == "yes"
            assert reply.scores == pytest.approx(right, abs=0.02)
        assert float(reply.headers["x-compute-audio-length"]) == pytest.approx(len(word("yes")) / 16000, abs=0.001)


@pytest.mark.parametrize("parameters", [{}, None, {"unknown": [1, {"deep": None}]}, {"top_k": None}])
def test_parameters_may_be_absent_empty_null_or_unknown(
    client: Client, right: dict[str, float], parameters: object
) -> None:
    body = json.dumps({"inputs": base64.b64encode(CLIP).decode(), "parameters": parameters, "more": 1})
    assert client.post(body.encode()).scores == right


def test_escaped_slashes_in_base64_are_read(client: Client, right: dict[str, float]) -> None:
    assert client.post(as_json(CLIP).replace(b"/", b"\\/")).scores == right


def test_query_parameters_serve_raw_bodies_and_the_body_wins(client: Client) -> None:
    query = COMMANDS + "?top_k=2&function_to_apply=sigmoid"
    sigmoid = client.post(CLIP, query)
    assert len(sigmoid.json) == 2
    assert sigmoid.scores == client.post(as_json(CLIP, top_k=2, function_to_apply="sigmoid")).scores
    assert len(client.post(as_json(CLIP, top_k=3), query).json) == 3
    assert client.post(as_json(CLIP, top_k=3), query).scores.items() > sigmoid.scores.items()


def test_the_old_options_are_honoured(client: Client) -> None:
    clip = encoded(noisy(0.7, 70))
    assert "x-compute-time" in client.post(clip).headers
    content = json.loads(as_json(clip))
    assert "x-compute-time" not in client.post(json.dumps(content).encode()).headers
    content["options"] = {"use_cache": False}
    assert "x-compute-time" in client.post(json.dumps(content).encode()).headers
    content["options"] = {"wait_for_model": True, "unknown": 1}
    waited = client.post(json.dumps(content).encode(), "/models/acme/patient")
    assert waited.status == 200


@pytest.mark.parametrize("value", [1e18, 3e38, np.inf, np.nan])
def test_floats_that_no_sound_has_are_classified_as_something(client: Client, value: float) -> None:
    samples = word("yes")
    samples[::100] = value
    reply = client.post(encoded(samples, subtype="FLOAT"))
    assert reply.status == 200
    assert sum(reply.scores.values()) == pytest.approx(1, abs=0.05)
