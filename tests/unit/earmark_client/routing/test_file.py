from __future__ import annotations

from pathlib import Path

import pytest

from earmark.errors import ConfigError
from earmark_client.routing.file import action_of, is_plain, load

EXAMPLE = Path(__file__).parents[4] / "config" / "examples" / "routes.toml"
RUN = 'run = ["true"]'


def wrong(tmp_path: Path, text: str) -> str:
    """What is said of a routes file, without its path."""
    file = tmp_path / "routes.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert raised.value.exit_code == 2
    return str(raised.value).replace(f"{file}", "F")


def table(*lines: str) -> str:
    return "\n".join(["[[route]]", 'name = "r"', *lines])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (table(RUN, "min_scor = 1"), "F, line 4: route[0].min_scor: no such setting; did you mean min_score?"),
        (table(RUN, "min_score = 2"), "F, line 4: route[0].min_score: 2 is not a score (0 to 1)"),
        (table(RUN, 'on = "of"'), "F, line 4: route[0].on: 'of' is none of both, off, on"),
        (table(RUN, 'only = {lable = "x"}'), "F, line 4: route[0].only.lable: no such setting; did you mean label?"),
        (table(RUN, 'between = "7-9"'), "F, line 4: route[0].between: '7-9' is no time of day; write 22:00-07:00, or"),
        (table(), "F, line 1: route[0]: r does nothing; give it one of run, webhook, mqtt, notify"),
        (table(RUN, "notify = true"), "F, line 4: route[0].notify: r has run too; a route does one thing, so make two"),
        (table("run = []"), "F, line 3: route[0].run: names no program; write it as a list"),
        (table('run = "true"'), "F, line 3: route[0].run: must be a list (it is 'true')"),
        (table('run = ["a", "{lable}"]'), "F, line 3: route[0].run: no event has {lable}; did you mean label?"),
        (table('run = ["./{label}"]'), "F, line 3: route[0].run: the program itself cannot have placeholders"),
        (table(RUN, "retry = true"), "F, line 4: route[0].retry: a program may have done its work before the router"),
        (table(RUN, 'secret_file = "x"'), "F, line 4: route[0].secret_file: has no effect without `webhook`"),
        (table('webhook = "ftp://x/y"'), "F, line 3: route[0].webhook: 'ftp://x/y' is no URL; write https://HOST/PATH"),
        (table('webhook = "https://u:p@x/"'), "F, line 3: route[0].webhook: has a password in it, which others"),
        (table('webhook = "https://x/a b"'), "F, line 3: route[0].webhook: 'https://x/a b' has characters that a URL"),
        (table('mqtt = {host = "h"}'), "F, line 3: route[0].mqtt.topic: is missing"),
        (table('mqtt = {host = "h", topic = "a/#"}'), "F, line 3: route[0].mqtt.topic: 'a/#' is not a topic without #"),
        (f"{table(RUN)}\n{table(RUN)}", 'F, line 1: route: 2 are named "r"; names must differ'),
        ('[route]\nname = "r"', "F, line 1: route: is a single table; there may be several, so write [[route]]"),
        ("[daemon]\nurl = 'ftp://x'", "F: route: there is none, so nothing would ever run"),
        ("[[route]]\nname = 'a b'\n" + RUN, "F, line 2: route[0].name: 'a b' is not a name (letters, digits, - and _"),
        ("x = ", "F: not valid TOML: Invalid value (at end of document)"),
    ],
)
def test_a_mistake_is_told_with_its_file_line_table_and_key_and_what_to_write(
    tmp_path: Path, text: str, told: str
) -> None:
    assert wrong(tmp_path, text).splitlines()[0].startswith(told)


def test_all_mistakes_that_types_cannot_express_are_told_at_once(tmp_path: Path) -> None:
    text = table("run = []") + "\n" + table(RUN, "retry = true").replace('"r"', '"s"')
    assert len(wrong(tmp_path, text).splitlines()) == 2


def test_paths_begin_in_the_folder_of_the_file_and_programs_without_a_slash_are_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(
        "[daemon]\ntoken_file = 't'\n"
        "[[route]]\nname = 'a'\nrun = ['./x', './y']\n"
        "[[route]]\nname = 'b'\nrun = ['x']\n"
        "[[route]]\nname = 'c'\nwebhook = 'https://h/'\nsecret_file = '/s'\n"
        "[[route]]\nname = 'd'\nmqtt = {host = 'h', topic = 't', username = 'u', password_file = 'p'}\n"
    )
    routes = load(file)
    assert routes.daemon.token_file == str(tmp_path / "t")
    assert [each.run for each in routes.route[:2]] == [(str(tmp_path / "x"), "./y"), ("x",)]
    assert routes.route[2].secret_file == "/s"
    assert routes.route[3].mqtt is not None
    assert routes.route[3].mqtt.password_file == str(tmp_path / "p")


def test_the_example_shows_every_kind_of_action() -> None:
    assert {action_of(route) for route in load(EXAMPLE).route} == {"run", "webhook", "mqtt", "notify"}


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://example.org/x", False),
        ("http://example.org/x", True),
        ("http://192.168.1.5/x", True),
        ("http://localhost:8123/x", False),
        ("http://127.0.0.1/x", False),
        ("http://[::1]:80/x", False),
    ],
)
def test_only_https_and_this_machine_are_private(url: str, plain: bool) -> None:
    assert is_plain(url) == plain
