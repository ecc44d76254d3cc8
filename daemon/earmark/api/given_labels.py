"""The labels of a request to a model that takes them at run time."""

from __future__ import annotations

from collections.abc import Iterator

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config.labels import MAX_LABEL_LENGTH, MAX_LABELS, TEMPLATE, wrong_label_set
from earmark.errors import RequestError
from earmark.parameters.parameters import Parameters
from earmark.zeroshot.label_set import LabelSet

LABELS, TEMPLATES, FUNCTION = "candidate_labels", "hypothesis_template", "function_to_apply"
NAMES = {"labels": LABELS, "template": TEMPLATES}  # of what wrong_label_set() names
MAX_CHARACTERS = MAX_LABELS * (MAX_LABEL_LENGTH + 2)  # of labels between commas


def given_labels(checkpoint: Checkpoint, parameters: Parameters) -> LabelSet | None:
    """Return the labels that a request gives, or None for a model that has its own.

    Raises RequestError 400, which names the parameter, if labels are missing, not taken, or wrong.
    """
    if not checkpoint.takes_labels:
        if parameters.candidate_labels is not None:
            raise RequestError(400, f"`{LABELS}`: {checkpoint.name} has labels of its own, and takes no others")
        return None
    if parameters.candidate_labels is None:
        raise RequestError(
            400,
            f"`{LABELS}` is missing: {checkpoint.name} has no labels of its own, and takes them from `parameters`"
            f" or from the query, as in ?{LABELS}=a+dog+barking,rain",
        )
    if parameters.function_to_apply not in (None, "softmax"):
        raise RequestError(
            400, f"Invalid value for `{FUNCTION}`: given labels share a score of 1, so it can only be softmax"
        )
    template = TEMPLATE if parameters.hypothesis_template is None else parameters.hypothesis_template
    chosen = LabelSet(tuple(_listed(parameters.candidate_labels)), template=template)
    if not chosen.labels:
        raise RequestError(400, f"Invalid value for `{LABELS}`: there are none")
    for setting, wrong in wrong_label_set(chosen.labels, (), template):
        raise RequestError(400, f"Invalid value for `{NAMES[setting]}`: {wrong}")
    return chosen


def _listed(given: tuple[str, ...] | str) -> Iterator[str]:
    """Yield the labels of a list, or those between commas."""
    if not isinstance(given, str):
        yield from given
        return
    if len(given) > MAX_CHARACTERS:
        raise RequestError(400, f"Invalid value for `{LABELS}`: it has more than {MAX_CHARACTERS} characters")
    yield from filter(None, map(str.strip, given.split(",")))
