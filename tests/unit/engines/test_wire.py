"""The messages and the memory between the daemon and the model process."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.engines import wire
from earmark.errors import WorkerError


@pytest.mark.parametrize(
    "request_",
    [
        wire.Start("cpu", "fp32", 0, 32),
        wire.Load("m", "/m", 400, 2, "onnx", "its folder holds it", strict=False, threads=1),
        wire.Start("cuda", "bf16", 0, 32, 0, "overlapped"),
        wire.Load("m", "/m", 400, 2, graphs=(400, 800)),
        wire.Unload("m"),
        wire.Classify(1, "m", 0, 2, 3),
        wire.Stop(),
    ],
)
def test_requests_arrive_as_they_were_sent(request_: wire.Request) -> None:
    sent = wire.frame(request_)
    assert int.from_bytes(sent[: wire.HEADER], "big") == len(sent) - wire.HEADER
    assert wire.decode_request(sent[wire.HEADER :]) == request_


def test_a_slot_holds_as_many_windows_as_fit_and_at_least_one() -> None:
    most = wire.SLOT_BYTES // 4
    assert [wire.capacity(length) for length in (1, most // 2, most // 2 + 1, most)] == [most, 2, 1, 1]
    with pytest.raises(WorkerError, match=f"{most + 1} samples is too long: {most} is the most"):
        wire.capacity(most + 1)


def test_what_is_written_is_read_and_slots_do_not_touch() -> None:
    slots = wire.Slots.create()
    try:
        full = [np.full(wire.SLOT_BYTES // 4, 7, np.float32)]
        slots.write(0, full)
        slots.write(1, [np.arange(3, dtype=np.float32), np.arange(3, 6, dtype=np.float32)])
        assert slots.rows(1, 2, 3).tolist() == [[0, 1, 2], [3, 4, 5]]
        assert slots.rows(0, 1, len(full[0]))[0, -1] == 7
    finally:
        slots.close()
