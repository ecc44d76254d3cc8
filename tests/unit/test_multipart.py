from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.core.multipart import first_file

FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\nvalue'


def form(*parts: bytes, boundary: bytes = b"frontier") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


def file(content: bytes, name: bytes = b'filename="x.wav"') -> bytes:
    return b'content-disposition: form-data; name="f"; ' + name + b"\r\nContent-Type: audio/wav\r\n\r\n" + content


@given(st.binary())
def test_a_file_comes_out_as_it_went_in(content: bytes) -> None:
    if b"\r\n--frontier" not in content:
        assert first_file(form(FIELD, file(content), file(b"second"))) == content


def test_a_form_without_a_file_is_none() -> None:
    assert first_file(form(FIELD)) is None
    assert first_file(form()) is None


def test_what_begins_otherwise_is_no_form() -> None:
    for body in (b"", b"RIFF....", b"--", b"--x", b"--x\r\n", b"\r\n--x\r\n", b"--\x80\r\n"):
        assert first_file(body) is None


def test_a_form_that_breaks_off_is_none() -> None:
    whole = form(file(b"content"))
    assert first_file(whole[: whole.index(b"\r\n--frontier--")]) is None


def test_an_encoded_file_name_is_a_file_name() -> None:
    assert first_file(form(file(b"content", b"filename*=UTF-8''x.wav"))) == b"content"
