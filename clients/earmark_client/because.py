"""The reasons for which a label went on, or did not, in sentences. Nothing here connects or knows the time."""

from __future__ import annotations

from collections.abc import Sequence

from earmark.protocol.events import Label, Result
from earmark_client.answers import ClassifierStatus

BARS = "▁▂▃▄▅▆▇█"
CURVE = 40  # results, the newest ones
REASONS = {
    "quiet": "the score sank below its `off`, or the sound ended",
    "replaced": "another label took over",
    "timeout": "it had lasted for `max_on`",
    "source_lost": "the source was lost",
    "reload": "the configuration was changed",
    "paused": "the source was paused",
    "shutdown": "the daemon ended",
}
SUPPRESSED = {
    "margin": "the runner-up was too close (`margin`)",
    "refractory": "the same label had just fired (`refractory_ms`)",
    "long": "the utterance was longer than a command (`longest`)",
}


def label_reasons(
    on: Label, off: Label | None, before: Sequence[Result], status: ClassifierStatus | None, changed: str
) -> list[str]:
    """Return the lines about a label: its `on` and `off`, the results before, and the settings in force now.

    `changed` is when the daemon was changed after that; empty if it was not.
    """
    lines = [_what(on, off)]
    why = on.why
    if why is None:
        return [*lines, "The event does not say why."]
    smoothed = "" if abs(why.raw - why.smoothed) < 0.00005 else f" (the mean; of the newest window alone {why.raw:.2f})"
    lines.append(
        f"Its score was {why.smoothed:.2f}{smoothed}, and its threshold {why.threshold:.2f}:"
        f" {why.smoothed - why.threshold:.2f} above it."
    )
    if why.member is not None:
        lines.append(f"It is a group, and {why.member.label} spoke in it: {why.member.score:.2f} in the newest window.")
    if why.second is not None:
        lines.append(
            f"{why.second.model} looked a second time and confirmed it: {why.second.score:.2f}, with a threshold of"
            f" {why.second.threshold:.2f}."
        )
    if why.needed > 1:
        lines.append(f"It needed {why.needed} windows in a row above the threshold, and had {why.hits}.")
    lines.append(f"The gate was `{why.gate}`.")
    heard = [result for result in before if result.seq < on.seq]
    lines += _nearly(on, heard, status)
    lines += curve(on.label, heard, why.threshold)
    return [*lines, *_since(changed, status)]


def result_reasons(
    result: Result, before: Sequence[Result], status: ClassifierStatus | None, changed: str
) -> list[str]:
    """Return the lines about a result: what was heard, and why a label did or did not follow."""
    if not result.result:
        return ["The result has no scores."]
    best = result.result[0]
    lines = [
        f"From {result.start:.2f} s to {result.end:.2f} s in the stream of {result.source}, {result.classifier} heard"
        f" {', '.join(f'{each.label} {each.score:.2f}' for each in result.result[:3])}."
    ]
    unconfirmed = [
        f"{each.label} would have gone on, but {each.model} looked a second time and did not confirm it:"
        f" {each.score:.2f}, with a threshold of {each.threshold:.2f}."
        for each in result.unconfirmed
    ]
    threshold = status.thresholds.get(best.label) if status is not None else None
    if unconfirmed:
        lines += unconfirmed
    elif result.suppressed:
        because = SUPPRESSED.get(result.suppressed, result.suppressed)
        lines.append(f"{best.label} would have gone on, but it was suppressed: {because}.")
    elif status is None:
        lines.append("Its thresholds are not known: the classifier is gone, or this is a gateway, which knows none.")
    elif threshold is None:
        lines.append(f"No label went on: {best.label} is one that never does (`ignore`).")
    elif best.score < threshold:
        lines.append(
            f"No label began: {best.label} is {threshold - best.score:.2f} below its threshold, {threshold:.2f}."
        )
    else:
        needed = int(status.decide.get("hits", 1)) if status.mode == "sliding" else 1
        more = f"; it takes the mean of {status.decide.get('smooth', 1)} and {needed} in a row" if needed > 1 else ""
        lines.append(f"{best.label} is {best.score - threshold:.2f} above its threshold, {threshold:.2f}{more}.")
    if threshold is not None:
        lines += curve(best.label, before, threshold)
    return [*lines, *_since(changed, status)]


def curve(label: str, results: Sequence[Result], threshold: float) -> list[str]:
    """Return the scores of a label in the newest results as one line of bars, and what they are."""
    scores = [next((each.score for each in result.result if each.label == label), 0.0) for result in results[-CURVE:]]
    if not scores:
        return ["The results before it are not kept any more."]
    bars = "".join(_bar(score) for score in scores)
    marks = "".join("^" if score >= threshold else " " for score in scores).rstrip()
    told = f"{len(scores)} windows of {label}, oldest first; ^ is {threshold:.2f} or more"
    return ["", f"  {bars}  {told}", *([f"  {marks}"] if marks else [])]


def _what(on: Label, off: Label | None) -> str:
    place = f"{on.label} ({on.classifier}) at {on.start:.2f} s in the stream of {on.source}, {on.start_time or on.time}"
    if on.end is not None:
        return f"{place}: an utterance of {on.end - on.start:.2f} s."
    if off is None or off.end is None:
        return f"{place}: it is still on, or its end is not kept."
    reason = REASONS.get(off.reason or "", off.reason or "")
    return f"{place}: on for {off.end - on.start:.2f} s, until {reason}."


def _nearly(on: Label, heard: Sequence[Result], status: ClassifierStatus | None) -> list[str]:
    """Return what came nearest to stopping the label, nearest first."""
    assert on.why is not None
    near = [(on.why.smoothed - on.why.threshold, f"a threshold above {on.why.smoothed:.2f}")]
    settings = status.decide if status is not None else {}
    cause = heard[-1] if heard else None
    if cause is not None and on.end is not None and len(cause.result) > 1:
        margin, lead = float(settings.get("margin", 0.0)), cause.result[0].score - cause.result[1].score
        name = cause.result[1].label
        near.append((lead - margin, f"the runner-up {name}, had it been {max(0.0, lead - margin):.2f} closer"))
    earlier = [each for each in heard[:-1] if on.end is not None and each.result and each.result[0].label == on.label]
    refractory = float(settings.get("refractory_ms", 0)) / 1000
    if earlier and refractory and (pause := on.start - earlier[-1].end) < 4 * refractory:
        near.append(((pause - refractory) / refractory, f"the same label {pause:.2f} s before (`refractory_ms`)"))
    longest = float(settings.get("longest", 0.0))
    if on.end is not None and longest:
        left = longest - (on.end - on.start)
        near.append((left / longest, f"its length, had it been {max(0.0, left):.2f} s longer (`longest`)"))
    first, *others = [text for _, text in sorted(near)]
    return [f"What came nearest to stopping it: {first}{'; then ' + '; then '.join(others) if others else ''}."]


def _since(changed: str, status: ClassifierStatus | None) -> list[str]:
    if changed and status is not None:
        return [f"The daemon was changed since then, first at {changed}: its settings may have been others."]
    return []


def _bar(score: float) -> str:
    return BARS[min(len(BARS) - 1, max(0, int(score * len(BARS))))]
