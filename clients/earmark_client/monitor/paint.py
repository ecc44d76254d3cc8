"""The screen of the monitor: lines for a session, of any width and height, with and without colour. Pure but for rich.

Import it only where rich is known to be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from rich.text import Text

from earmark.columns import printable
from earmark_client.sessions.session import Session, SourceNow
from earmark_client.sessions.stretches import Stretch, cells, shares
from earmark_client.sessions.timeline import Timeline
from earmark_client.sessions.words import clock, is_limited, lasted, letters, percent, state, sure

STRIPS_MIN = (1, 2, 5)  # minutes that the strip shows: the fewest that hold the session, or the last ones
SILENT_S = 5.0  # seconds after which the scores are said to be old
COLUMN = 80  # characters for each of several columns
KEYS = "space pause   m mark a moment   ? help   q quit"
HELP = (
    "space  hold the display still; everything goes on being counted and recorded",
    "m      mark this moment; type a note and press Enter, or Esc for none",
    "q      quit (Ctrl-C too)",
    "?      this help",
    "",
    "A bar is a score, smoothed over a second. The stroke on it is the score at",
    "which the label goes on.",
    "The strip is the last minutes: a letter is a label, a dot is silence or no",
    "label, a slash is a time in which nobody listened or events are missing.",
    "A share is the part of the time listened to in which a label was on.",
    "",
    "A label is what the sound resembles most, not what somebody feels.",
)
COLOURS = ("red", "green", "cyan", "yellow", "magenta", "bright_blue", "bright_yellow", "bright_magenta", "bright_red")


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters of bars and strips."""

    full: str = "█"
    parts: str = " ▏▎▍▌▋▊▉"
    stroke: str = "│"
    none: str = "·"
    unheard: str = "/"
    on: str = "●"
    dash: str = "─"


UNICODE = Signs()
ASCII = Signs("#", " #", "|", ".", "/", "*", "-")


@dataclass(frozen=True, slots=True)
class View:
    """What is shown besides the session. `now` is the time up to which it counts; `link` says how the connection is."""

    now: float
    daemon: str = ""
    link: str = "connected"
    linked: bool = True
    held: bool = False  # the display is paused
    help: bool = False
    note: str | None = None  # what has been typed of a note
    message: str = ""
    signs: Signs = UNICODE
    zone: tzinfo | None = None


def screen(session: Session, view: View, width: int, height: int) -> list[Text]:
    """Return the lines of the whole screen."""
    top = _sides(
        Text.assemble((" Earmark monitor ", "bold reverse"), f"  {printable(view.daemon)}  "),
        Text.assemble((f"{printable(view.link)}  ", "green" if view.linked else "bold red"), _times(session, view)),
        width,
    )
    body = _help(width) if view.help else _timelines(session, view, width, max(height - 3, 1))
    body = (body + [Text("")] * height)[: max(height - 3, 0)]
    lines = [top, *body, _losses(session, view), _foot(view)]
    return [_fit(line, width) for line in lines][:height]


def _times(session: Session, view: View) -> str:
    return f"{clock(view.now, view.zone)}  {lasted(view.now - session.begin)} "


def _help(width: int) -> list[Text]:
    return [Text(""), *(Text(f"  {line}") for line in HELP)]


def foot(view: View, width: int) -> Text:
    """Return the last line: the keys, or what is being typed."""
    return _fit(_foot(view), width)


def _foot(view: View) -> Text:
    if view.note is not None:
        return Text.assemble((" note: ", "reverse"), f" {printable(view.note)}_   (Enter keeps it, Esc keeps none)")
    if view.held:
        return Text.assemble((" the display is paused ", "reverse"), f"   space goes on   {KEYS.partition('   ')[2]}")
    return Text.assemble(f" {KEYS}", (f"   {printable(view.message)}" if view.message else "", "bold"))


def _losses(session: Session, view: View) -> Text:
    told = []
    if session.lost:
        told.append(f"{lasted(session.lost)} of sound lost, last: {session.losses[-1].cause}")
    if session.gaps:
        told.append(f"{session.missed} events missed in {session.gaps} {'gap' if session.gaps == 1 else 'gaps'}")
    if session.marks:
        mark = session.marks[-1]
        told.append(f"mark {len(session.marks)} at {clock(mark.time, view.zone)} {printable(mark.note)}".rstrip())
    return Text(
        f" {'; '.join(told) if told else 'nothing was lost'}", "yellow" if session.lost or session.gaps else "dim"
    )


def _timelines(session: Session, view: View, width: int, height: int) -> list[Text]:
    timelines = list(session.timelines.values())
    if not timelines:
        return [Text(""), Text("  waiting for the daemon" if not session.version else "  no source is classified")]
    columns = max(1, min(len(timelines), width // COLUMN, 4)) if len(timelines) > 1 else 1
    rows = -(-len(timelines) // columns)
    shown, left = len(timelines), 0
    if rows > height:
        shown = max((height - 1) * columns, 1)
        left, rows = len(timelines) - shown, max(height - 1, 1)
    each, wide = (height - bool(left)) // rows, width // columns
    lines: list[Text] = []
    for row in range(rows):
        blocks = [
            _timeline(session, timeline, view, wide - 1, each)
            for timeline in timelines[:shown][row * columns :][:columns]
        ]
        for parts in zip(*blocks, strict=True):
            lines.append(Text.assemble(*(part for block in parts for part in (_fit(block, wide - 1), " "))))
    if left:
        lines.append(Text(f"  and {left} more; a larger window shows them", "bold"))
    return lines


def _timeline(session: Session, timeline: Timeline, view: View, width: int, height: int) -> list[Text]:
    """Return exactly `height` lines for a timeline, with as much as fits."""
    known = session.sources[timeline.source]
    stretches = timeline.stretches(view.now)
    signs = letters(timeline.labels)
    label = _label(timeline, view, large=height >= 8)
    words = Text(_how_sure(timeline, view), "" if timeline.on else "dim")
    strip = _strip(stretches, signs, timeline, view, width)
    if height == 1:
        name = Text.assemble((f"{printable(timeline.source)} {printable(timeline.classifier)} ", "bold"), label[0], " ")
        return [Text.assemble(_fit(name, min(40, width)), _strip(stretches, signs, timeline, view, max(width - 40, 0)))]
    if height < 8:
        head = _sides(Text.assemble(_name(timeline), "  ", label[0]), _state(known), width)
        lines = [head, *_bars(session, timeline, view, stretches, width, max(height - 3, 0)), strip]
        return _exactly([*lines, words] if height in (3,) else lines, height)
    lines = [_sides(_name(timeline), Text.assemble(_state(known), "  ", _level(known, view.signs)), width)]
    large = height >= 13
    text = label[0]
    lines += (
        [Text(""), Text.assemble("  ", text, "   ", words)]
        if not large
        else [
            Text(""),
            Text.assemble("  ", Text(" " * text.cell_len, text.style)),
            Text.assemble("  ", text, "   ", label[1]),
            Text.assemble("  ", Text(" " * text.cell_len, text.style), "   ", words),
            Text(""),
        ]
    )
    if not large:
        lines[-1] = Text.assemble("  ", text, "  ", label[1], "   ", words)
    spent = _shares(stretches, width, 2 if large else 1)
    lines += _bars(session, timeline, view, stretches, width, height - len(lines) - 3 - len(spent))
    lines += [Text(""), strip, *spent]
    return _exactly(lines, height)


def _name(timeline: Timeline) -> Text:
    return Text.assemble((f" {printable(timeline.source)}", "bold"), (f" {printable(timeline.classifier)}", "bold dim"))


def _state(known: SourceNow) -> Text:
    good = known.state in ("listening", "quiet") and not is_limited(known.state, known.detail)
    return Text(printable(state(known.state, known.detail)), "dim" if good else "bold yellow")


def _level(known: SourceNow, signs: Signs) -> Text:
    if known.level is None:
        return Text("")
    full = round(10 * min(max((known.level.db + 60) / 60, 0.0), 1.0))
    return Text.assemble((signs.full * full, "green"), signs.none * (10 - full), f" {known.level.db:4.0f} dB ")


def _label(timeline: Timeline, view: View, *, large: bool) -> tuple[Text, Text]:
    """Return the current label, and how long it has been on."""
    span = timeline.current()
    if span is None:
        last = timeline.spans[-1] if timeline.spans else None
        since = "" if last is None or last.end is None else f"for {lasted(view.now - last.end)}; before: {last.label}"
        why = timeline.open_hole.why if timeline.open_hole is not None else "no label"
        return Text(f" {why} ", "reverse dim" if large else "dim"), Text(printable(since), "dim")
    shown = printable(span.label)
    if large:
        shown = " ".join(shown.upper()) if len(shown) <= 12 else shown.upper()
    age = f"for {lasted(view.now - span.start)}" if span.end is None else f"{lasted(view.now - span.end)} ago"
    name = Text(f"  {shown}  " if large else f"{shown.upper()} {age}", f"bold {_colour(timeline, span.label)}")
    if large or span.end is None:
        name.stylize("reverse")
    return name, Text(age)


def _how_sure(timeline: Timeline, view: View) -> str:
    old = 0.0 if timeline.scored is None else view.now - timeline.scored
    return printable(sure(timeline.ranked())) + (f" ({lasted(old)} ago)" if old > SILENT_S else "")


def _colour(timeline: Timeline, label: str) -> str:
    return COLOURS[timeline.labels.index(label) % len(COLOURS)] if label in timeline.labels else "white"


def _bars(
    session: Session, timeline: Timeline, view: View, stretches: list[Stretch], width: int, count: int
) -> list[Text]:
    """Return a line for each label, in the model's order if all fit, else the best ones."""
    if count <= 0:
        return []
    names = list(timeline.labels) or [name for name, _ in timeline.ranked()]
    if len(names) > count:
        names = list(dict.fromkeys([name for name, _ in timeline.ranked()] + names))[:count]
    wide = min(max((len(name) for name in names), default=0), 20)
    spent, marks = shares(stretches), letters(timeline.labels)
    on = {span.label for span in timeline.on.values()}
    thresholds = session.thresholds.get(timeline.classifier, {})
    dim = "" if timeline.scored is not None and view.now - timeline.scored <= SILENT_S else " dim"
    lines = []
    for name in names:
        score, threshold = timeline.scores.get(name, 0.0), thresholds.get(name)
        told = (
            f" {score:.2f}{'' if threshold is None else f'  on at {threshold:.2f}'}  share {percent(spent.of(name)):>5}"
        )
        size = max(width - wide - 6 - len(told), 4)
        line = Text.assemble(
            (f" {view.signs.on if name in on else ' '}{marks.get(name, '?')} ", "bold"),
            (f"{printable(name)[:wide]:<{wide}} ", "bold" if name in on else ""),
            (_bar(score, threshold, size, view.signs), _colour(timeline, name) + dim),
            told,
        )
        lines.append(line)
    return lines


def _bar(score: float, threshold: float | None, size: int, signs: Signs) -> str:
    steps = len(signs.parts)
    full, part = divmod(round(min(max(score, 0.0), 1.0) * size * steps), steps)
    bar = list((signs.full * full + (signs.parts[part] if part else "")).ljust(size)[:size])
    if threshold is not None:
        bar[min(int(threshold * size), size - 1)] = signs.stroke
    return "".join(bar)


def _strip(stretches: list[Stretch], marks: dict[str, str], timeline: Timeline, view: View, width: int) -> Text:
    """Return the last minutes: a letter where a label was on, a dot where none was, a slash where nobody listened."""
    minutes = next((each for each in STRIPS_MIN if view.now - timeline.begin <= each * 60), STRIPS_MIN[-1])
    name = f" last {minutes} min " if width >= 40 else ""
    count = max(width - len(name) - 1, 0)
    strip = Text.assemble((name, "dim"))
    for stretch in cells(stretches, view.now - minutes * 60, view.now, count):
        if stretch is None:
            strip.append(" ")
        elif stretch.unheard:
            strip.append(view.signs.unheard, "yellow")
        elif stretch.label:
            strip.append(marks.get(stretch.label, "?"), f"bold reverse {_colour(timeline, stretch.label)}")
        else:
            strip.append(view.signs.none, "dim")
    return strip


def _shares(stretches: list[Stretch], width: int, most: int) -> list[Text]:
    """Return what became of the session's time, in at most so many lines."""
    spent = shares(stretches)
    best = sorted(spent.labels.items(), key=lambda item: -item[1])
    told = [f"{printable(label)} {percent(spent.of(label))} ({lasted(time)})" for label, time in best]
    silent = percent(spent.none / spent.listened) if spent.listened else "0 %"
    unheard = [f"not heard {lasted(spent.unheard)}"] if spent.unheard >= 0.05 else []
    head = " session   "
    lines = [head]
    for each in [*told, f"no label {silent}", *unheard]:
        if len(lines[-1]) + len(each) + 2 > width and len(lines) < most:
            lines.append(" " * len(head))
        lines[-1] += f" {each},"
    lines[-1] = lines[-1].removesuffix(",")
    return [Text(line) for line in lines]


def _sides(left: Text, right: Text, width: int) -> Text:
    """Return both at the two ends of a line; the right one is cut first."""
    space = width - left.cell_len - right.cell_len
    if space < 1:
        right = _fit(right, max(width - left.cell_len - 1, 0)) if width > left.cell_len + 8 else Text("")
        space = max(width - left.cell_len - right.cell_len, 0)
    return Text.assemble(left, " " * space, right)


def _exactly(lines: list[Text], height: int) -> list[Text]:
    return (lines + [Text("")] * height)[:height]


def _fit(line: Text, width: int) -> Text:
    line = line.copy()
    line.truncate(width, overflow="ellipsis", pad=True)
    return line
