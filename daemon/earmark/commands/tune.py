"""`earmark tune`: choose thresholds by a recording."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.commands.learn import Progress
from earmark.commands.packages import needs_daemon_packages
from earmark.errors import ConfigError

if TYPE_CHECKING:
    from earmark.listening.plan import Plan
    from earmark.tuning.choose import Choice
    from earmark.tuning.replay import Step
    from earmark.tuning.truth import Truth

DESCRIPTION = """\
Run a recording once through the configured gate and model, decide again and again with other thresholds, and tell for
each label what would have been detected, the threshold to choose, and the lines for the configuration. Without a
configuration the three embedded models hear it as in `earmarkd --demo`. No daemon needs to run.
"""
EXAMPLES = """\
examples:
  earmark tune evening.flac                                  what is detected now, and how safely
  earmark tune evening.flac --config earmark.toml --classifier emotion
  earmark tune evening.flac --truth labels.csv --plot evening.png
  earmark tune evening.flac --classifier commands --gate 0.3,0.5,0.7
labels.csv has the columns start,end,label; start and end are seconds. It must name all that is to be heard.
The rule: a threshold with the least errors (missed and false), in the middle of the widest run of such thresholds.
Without --truth, it tells how far each threshold could move with the same detections, and chooses none.
Needs the daemon's packages; --plot needs matplotlib.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "tune",
        help="choose thresholds by a recording",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recording", metavar="RECORDING", help="an audio file")
    parser.add_argument("--truth", metavar="FILE", type=Path, help="CSV of what is to be heard: start,end,label")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the daemon's configuration")
    parser.add_argument("--classifier", metavar="NAME", help="only this one (default: all)")
    parser.add_argument(
        "--gate",
        metavar="VALUES",
        help="try these values of vad.threshold (gate speech) or vad.level_db (gate level) too; a pass for each",
    )
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw the scores and thresholds, as PNG or SVG")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found. Returns the exit code. Raises EarmarkError."""
    with needs_daemon_packages("tune"):
        from earmark.config import presets
        from earmark.config.file import load
        from earmark.config.settings import Config
        from earmark.listening.plan import plans
        from earmark.recordings.recording import check
        from earmark.tuning.plot import plot
        from earmark.tuning.record import Recorder
        from earmark.tuning.replay import ScoredWindow
        from earmark.tuning.truth import parse_truth
        from earmark.tuning.variants import with_gate

    settings = load(args.config) if args.config else Config(classifier=presets.ALL)
    chosen = [plan for plan in plans(settings) if args.classifier in (None, plan.name)]
    if not chosen:
        known = ", ".join(each.name for each in settings.classifier) or "none"
        raise ConfigError(f"--classifier: there is no classifier {args.classifier!r}; there are {known}")
    truth: tuple[Truth, ...] | None = None
    if args.truth:
        labels = sorted({label for plan in chosen for label in plan.labels})
        truth = parse_truth(_text(args.truth), str(args.truth), labels)
    variants = [(value, [with_gate(plan, value) for plan in chosen]) for value in _values(args.gate)]
    check(args.recording)
    progress, last = Progress(sys.stderr), 0.0

    def told(heard: float, whole: float) -> None:
        nonlocal last
        last = heard
        progress.show(f"heard {heard:.0f} s" + (f" of {whole:.0f} s" if whole else ""))

    progress.tell("loading " + ", ".join(sorted({plan.settings.model for plan in chosen})))
    recorder = Recorder(settings.worker, told)
    first, *others = recorder.passes(args.recording, [chosen, *(plans for _, plans in variants)])
    panels = []
    for plan in chosen:
        steps = first[plan.name]
        windows = sum(isinstance(step, ScoredWindow) for step in steps)
        print(f"{plan.name} ({plan.settings.model}): {windows} windows in {last:.1f} s")
        choices = _tuned(plan, steps, truth, progress)
        for (value, _), heard in zip(variants, others, strict=True):
            errors = sum(each.then.errors for each in _tuned(plan, heard[plan.name], truth, progress))
            print(f"gate {value:g}: {errors} errors with the best thresholds")
        _show(plan, steps, choices, truth is not None, last)
        names = plan.labels
        panels += [(each.label, steps, names.index(each.label), each) for each in choices]
        print()
    if args.plot:
        plot(args.plot, panels, truth or ())
        progress.tell(f"the plot is in {args.plot}")
    return 0


def _tuned(plan: Plan, steps: list[Step], truth: tuple[Truth, ...] | None, progress: Progress) -> list[Choice]:
    from earmark.tuning.choose import sweep
    from earmark.tuning.variants import decisions

    labels = [label for label in plan.labels if label not in plan.deciding.ignore]
    decide = decisions(plan, steps)
    shown = progress.show
    return sweep(decide, plan.settings.decide, labels, truth, lambda share: shown(f"deciding {share:.0%}"))


def _show(plan: Plan, steps: list[Step], choices: list[Choice], judged: bool, seconds: float) -> None:
    """Print what is known of one classifier."""
    from earmark.tuning import report
    from earmark.tuning.variants import decisions

    if not choices:
        print("no label is detected at any threshold, and none is to be heard")
        return
    for line in (*report.table(choices, judged), *report.rejections(decisions(plan, steps)(plan.settings.decide))):
        print(line)
    width = max(len(each.label) for each in choices)
    print(f"\nthe highest scores over {seconds:.0f} s, and the thresholds now and best:")
    for each in choices:
        bars = report.curve(steps, plan.labels.index(each.label), seconds)
        print(f"{each.label:<{width}} {bars} {each.present:.2f} {each.chosen:.2f}")
    if lines := report.settings(plan.name, choices):
        print(f"\n{lines}")
    elif judged:
        print("\nthe present thresholds are the ones to choose")


def _values(text: str | None) -> list[float]:
    """Return the numbers between commas. Raises ConfigError."""
    try:
        return [float(each) for each in (text or "").split(",") if each.strip()]
    except ValueError:
        raise ConfigError(f"--gate: {text!r} is no list of numbers, such as 0.3,0.5,0.7") from None


def _text(path: Path) -> str:
    """Return the text of a file. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
