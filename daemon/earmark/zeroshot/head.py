"""A head that is made of the vectors of texts: it does for given labels what a trained head does for its own."""

from __future__ import annotations

from dataclasses import dataclass

from earmark.audio.types import Floats
from earmark.inference.scores import softmax


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The vectors of labels, of shape (labels, width): their products with the vector of a sound are its logits."""

    vectors: Floats

    def scores(self, sounds: Floats) -> Floats:
        """Return probabilities of shape (..., labels) for the vectors of sounds, of shape (..., width).

        Vectors of sounds have unit length, and those of texts have that of the model's logit scale: so a logit is the
        cosine of both times the scale (LAION's CLAP, https://arxiv.org/abs/2211.06687).
        """
        logits: Floats = sounds @ self.vectors.T
        return softmax(logits)
