from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.api.multipart import MAX_FIELD_BYTES, MAX_HEAD_BYTES, fields, first_file


def read(body: bytes) -> bytes | None:
    found = first_file(body)
    return None if found is None else bytes(found)


FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\nvalue'


def form(*parts: bytes, boundary: bytes = b"frontier") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


def file(content: bytes, name: bytes = b'filename="x.wav"') -> bytes:
    return b'content-disposition: form-data; name="f"; ' + name + b"\r\nContent-Type: audio/wav\r\n\r\n" + content


@given(st.binary())
def test_a_file_comes_out_as_it_went_in(content: bytes) -> None:
    if b"\r\n--frontier" not in content:
        assert read(form(FIELD, file(content), file(b"second"))) == content


def test_a_form_without_a_file_is_none() -> None:
    assert read(form(FIELD)) is None
    assert read(form()) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"RIFF....", b"--", b"--x", b"--x\r\n", b"\r\n--x\r\n", b"--\x80\r\n", b"--\r\n", b"-x\r\n", b" --x\r\n"],
)
def test_a_body_that_begins_otherwise_is_no_form(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    ("boundary", "is_one"), [(b"x", True), (b" ~", True), (b"x" * 200, True), (b"x" * 201, False), (b"x\x7f", False)]
)
def test_a_boundary_is_1_to_200_printable_characters(boundary: bytes, is_one: bool) -> None:
    assert read(form(file(b"content"), boundary=boundary)) == (b"content" if is_one else None)


def test_a_form_that_breaks_off_is_none() -> None:
    whole = form(file(b"content"))
    assert read(whole[: whole.index(b"\r\n--frontier--")]) is None
    assert read(whole[: whole.index(b"frontier--")]) is None
    two = form(FIELD, file(b"content"))
    assert read(two[: two.rindex(b"\r\n--frontier--")]) is None


@pytest.mark.parametrize("name", [b"filename*=UTF-8''x.wav", b"filename=x.wav", b'FILENAME=""', b'\tfilename="x"'])
def test_every_spelling_of_a_file_name_is_one(name: bytes) -> None:
    assert read(form(file(b"content", name))) == b"content"


def test_the_file_name_may_stand_in_any_line_of_the_head() -> None:
    head = b'Content-Type: audio/wav\r\nX-More: 1\r\nCONTENT-DISPOSITION:form-data;filename="x"\r\n\r\n'
    assert read(form(head + b"content")) == b"content"


@pytest.mark.parametrize(
    "other",
    [
        b'X-Content-Disposition: form-data; filename="x"\r\n\r\nno',
        b'Content-Type: audio/wav; filename="x"\r\n\r\nno',
        b'Content-Disposition: form-data\r\nX-More: ; filename="x"\r\n\r\nno',
        b'Content-Disposition: form-data; name="a"\r\n\r\nContent-Disposition: form-data; filename="x"\r\n',
        b'\r\nContent-Disposition: form-data; filename="x"\r\n\r\nno',  # an empty head, and content like one
        b'Content-Disposition: form-data; filename="x"',  # without an end of its head
        b"",
    ],
)
def test_a_part_whose_head_has_no_file_name_is_passed_over(other: bytes) -> None:
    assert read(form(other, FIELD, file(b"content"), file(b"second"))) == b"content"
    assert read(form(FIELD, other, file(b"content"))) == b"content"


@pytest.mark.parametrize(("length", "found"), [(MAX_HEAD_BYTES, b"first"), (MAX_HEAD_BYTES + 1, b"second")])
def test_a_part_whose_head_is_endless_is_passed_over(length: int, found: bytes) -> None:
    assert MAX_HEAD_BYTES == 16384
    head = b'\r\ncontent-disposition: form-data; filename="x"\r\nx: \r\n\r\n'
    filled = head[2:-4] + b"x" * (length - len(head)) + b"\r\n\r\n"
    assert read(form(filled + b"first", file(b"second"))) == found
    assert read(form(FIELD, filled + b"first", file(b"second"))) == found


def test_a_file_may_be_empty_and_hold_what_looks_like_a_head_or_an_end() -> None:
    assert read(form(file(b""))) == b""
    odd = b"\r\n\r\n\n--frontier\r\n\r\n-- frontier\r\n--front" + FIELD
    assert read(form(FIELD, file(odd))) == odd


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: form-data; name="anything"\r\nContent-Type: audio/wav',
        b'Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name="x"',
        b'Content-Disposition: form-data; name="file"',
        b"Content-Disposition: form-data; name=inputs; more=1",
        b'content-disposition: form-data; NAME="Audio"\r\nX-More: 1',
    ],
)
def test_a_part_without_a_file_name_is_a_file_by_its_type_or_its_own_name(head: bytes) -> None:
    assert read(form(FIELD, head + b"\r\n\r\ncontent", FIELD)) == b"content"
    assert read(form(head + b"\r\n\r\ncontent", file(b"with a name"))) == b"with a name"
    assert read(form(head + b"\r\n\r\ncontent", head + b"\r\n\r\nsecond")) == b"content"


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: form-data; name="x"\r\nContent-Type: text/plain',
        b'Content-Disposition: form-data; name="x"\r\nContent-Type: application/json; charset=utf-8',
        b'Content-Disposition: form-data; name="files"',
        b'Content-Disposition: form-data; othername="file"',
    ],
)
def test_a_part_of_text_is_no_file(head: bytes) -> None:
    assert read(form(head + b"\r\n\r\ncontent")) is None


def field(name: bytes, value: bytes) -> bytes:
    return b"Content-Disposition: form-data; " + name + b"\r\n\r\n" + value


def test_the_text_fields_of_a_form_come_by_their_names_and_files_do_not() -> None:
    whole = form(field(b'name="top_k"', b"3"), file(b"content"), field(b"NAME=function_to_apply", b"none"))
    assert fields(whole) == {"top_k": "3", "function_to_apply": "none"}
    assert fields(b"RIFF....") == {}


@pytest.mark.parametrize(("size", "is_one"), [(MAX_FIELD_BYTES, True), (MAX_FIELD_BYTES + 1, False)])
def test_a_long_field_is_no_parameter(size: int, is_one: bool) -> None:
    assert fields(form(field(b'name="a"', b"x" * size), file(b"content"))) == ({"a": "x" * size} if is_one else {})


def test_a_form_of_very_many_parts_is_looked_through_once() -> None:
    body = b"--x\r\n" + b"--x\r\n" * 400_000
    began = time.thread_time()
    assert first_file(body) is None
    assert time.thread_time() - began < 2.0
