"""The part of the page that types a label set, in a real browser, against the real daemon with a random model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from tests import checkpoints
from tests.browser import Browser, missing
from tests.daemon import Daemon

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

OLD, NEW = ["a dog barking", "rain on a roof"], ["a kettle", "footsteps on gravel", "someone laughs"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with one classifier that takes labels, and one that does not."""
    folder = tmp_path_factory.mktemp("labels")
    noise = 0.2 * np.random.default_rng(1).standard_normal(48_000)
    soundfile.write(folder / "room.wav", noise, 16_000)
    clap = checkpoints.save_clap(folder / "clap", seconds=2)
    (folder / "earmark.toml").write_text(f"""
journal = false
[worker]
threads = 1
max_age = 60.0
[[source]]
kind = "file"
name = "room"
path = "{folder / "room.wav"}"
loop = true
[[model]]
name = "test/clap"
path = "{clap}"
[[classifier]]
name = "sounds"
model = "test/clap"
gate = "open"
mode = "sliding"
labels = {json.dumps(OLD)}
background = ["speech"]
[[classifier]]
name = "commands"
""")
    with Daemon("--config", str(folder / "earmark.toml")) as daemon:
        daemon.logged("listening to")
        yield daemon


@pytest.fixture(scope="module")
def page(daemon: Daemon) -> Iterator[Browser]:
    with Browser() as browser:
        browser.do("open", url=f"http://{daemon.address}/")
        browser.until("store.status.size === 2 && store.now.get('sounds|room')")
        browser.do("click", on="[data-classifier=sounds] .label-set")
        browser.until("document.querySelector('.typed textarea')?.value")
        yield browser


def test_a_label_set_is_typed_where_the_model_takes_one_and_the_next_results_have_it(page: Browser) -> None:
    assert page.value("document.querySelectorAll('.label-set').length") == 1
    assert page.value("document.querySelector('.typed textarea').value").split("\n") == OLD

    page.do("fill", on=".typed [name=labels]", value=", ".join(NEW))
    page.do("fill", on=".typed [name=background]", value="")
    page.do("click", on=".typed .primary")
    lines = page.until("view.typing.toml")
    assert lines == f'[[classifier]]\nname = "sounds"\nlabels = {json.dumps(NEW)}\nbackground = []\n'
    assert page.until("store.classifiers.get('sounds').label_set").get("labels") == NEW
    assert set(page.until("store.now.get('sounds|room')?.top.map(({ label }) => label)")) == set(NEW)
    assert page.value("document.querySelector('.typed .toml').innerText") == lines
    assert page.do("axe") == []


def test_what_the_daemon_refuses_is_told_and_changes_nothing(page: Browser) -> None:
    before = page.value("store.status.get('sounds').label_set.labels")
    page.do("fill", on=".typed [name=labels]", value="alone")
    page.do("fill", on=".typed [name=background]", value="")
    page.do("click", on=".typed .primary")
    told = page.until("view.typing.failed && document.querySelector('.typed .error')?.innerText")
    assert told.startswith("labels: one alone always has the score 1")
    assert page.value("document.querySelector('.typed [name=labels]').value") == "alone"
    assert page.value("store.status.get('sounds').label_set.labels") == before
    assert page.do("overhang") <= 0
    page.do("press", key="Escape")
    assert page.until("document.querySelector('.typed') === null")
