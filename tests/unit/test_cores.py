from __future__ import annotations

from pathlib import Path

import pytest

from earmark.cores import usable


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_without_a_quota_all_processors_of_the_process_are_used(tmp_path: Path) -> None:
    unlimited = put(tmp_path / "v2", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert usable(unlimited) == usable(tmp_path / "nothing") >= 1


@pytest.mark.parametrize("group", ["/", "/pod", "/pod/container"])
def test_the_quota_of_a_group_counts_and_is_rounded_down_to_one_at_least(group: str, tmp_path: Path) -> None:
    at = f"sys/fs/cgroup{group.rstrip('/')}/cpu.max"
    put(tmp_path, {"proc/self/cgroup": "1:memory:/x\n0::/pod/container\n", at: "150000 100000\n"})
    assert usable(tmp_path) == 1
    put(tmp_path, {at: "20000 100000"})
    assert usable(tmp_path) == 1


def test_the_quota_of_the_first_version_of_groups_counts(tmp_path: Path) -> None:
    files = {"cpu.cfs_quota_us": "100000\n", "cpu.cfs_period_us": "100000\n"}
    put(tmp_path, {f"sys/fs/cgroup/cpu/{name}": text for name, text in files.items()})
    put(tmp_path, {"proc/self/cgroup": "4:cpu,cpuacct:/docker/0123\n"})
    assert usable(tmp_path) == 1
