from __future__ import annotations

from pathlib import Path

from earmark.access.token_file import read


def test_a_byte_order_mark_before_the_first_token_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first\nsecond\n", encoding="utf-8-sig")
    file.chmod(0o600)
    assert [read(str(file)).refusal("clips", f"Bearer {token}") for token in ("first", "second")] == [None, None]
