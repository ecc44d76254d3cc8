"""Labels: those that are Earmark's own, and what may stand in a label set, which is given at run time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from earmark.visible import is_visible

RESERVED_PREFIX = "_"  # a user's labels must not begin so
UNKNOWN = "_unknown_"  # speech, but none of the model's words
SILENCE = "_silence_"  # no sound
BACKGROUND = "_background_"  # noise, but none of the model's sounds
REJECTED = (UNKNOWN, SILENCE, BACKGROUND)
"""Labels that never go on, unless the settings say otherwise."""

MAX_LABELS = 256  # of a label set, with its background: each is a text that the model must read
MAX_LABEL_LENGTH = 100  # characters
MAX_TEMPLATE_LENGTH = 200
PLACE = "{}"  # of the label in a template
TEMPLATE = "This is a sound of {}."
"""What a label is read in, unless somebody says otherwise: transformers' own, and that of the authors of CLAP."""


def wrong_label_set(labels: Sequence[str], background: Sequence[str], template: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a label set, as the name of a setting and the rest of a sentence."""
    for setting, chosen in (("labels", labels), ("background", background)):
        for label in chosen:
            if not label.strip():
                yield setting, "a label is empty"
            elif len(label) > MAX_LABEL_LENGTH:
                yield setting, f'"{label[:20]}…" has {len(label)} characters; {MAX_LABEL_LENGTH} is the most'
            elif label != label.strip() or not is_visible(label):
                yield setting, f"{label!r} has spaces at its ends, or characters that cannot be seen"
    included, all_told = (", background included", " with the background") if background else ("", "")
    for label, count in Counter([*labels, *background]).items():
        if count > 1:
            where = "labels" if label in labels else "background"
            yield where, f'"{label[:MAX_LABEL_LENGTH]}" stands there {count} times{included}'
    if (count := len(labels) + len(background)) > MAX_LABELS:
        yield "labels", f"there are {count}{all_told}; {MAX_LABELS} is the most"
    if background and not labels:
        yield "labels", "there is only a background, and that never goes on"
    if template.count(PLACE) != 1 or "{" in template.replace(PLACE, "") or "}" in template.replace(PLACE, ""):
        yield (
            "template",
            f"{template[:MAX_LABEL_LENGTH]!r} must have {PLACE} once, where the label goes, and no other brace",
        )
    elif len(template) > MAX_TEMPLATE_LENGTH or not is_visible(template):
        yield "template", f"it has more than {MAX_TEMPLATE_LENGTH} characters, or some that cannot be seen"
