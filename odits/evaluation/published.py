"""Published results (the thesis's Table 2.6), to stand beside what is measured here."""

from __future__ import annotations

from typing import NamedTuple


class PublishedRow(NamedTuple):
    """A row of published results: a model's metrics by the second approach (2.3.10-2.3.13), and uniformity (2.3.15).

    Attributes:
        epochs: of fine-tuning; 0 for the unmodified ViT-B/32.
    """

    epochs: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    uniformity: float

    @property
    def name(self) -> str:
        """As shown to users, e.g. "ViT-B/32 (+3)"."""
        return f"ViT-B/32 (+{self.epochs})" if self.epochs else "ViT-B/32"


TABLE_2_6 = (
    PublishedRow(0, 0.986354, 0.192545, 0.041989, 0.064774, 0.335908),
    PublishedRow(1, 0.989814, 0.234369, 0.036764, 0.060481, 0.250820),
    PublishedRow(2, 0.989699, 0.252353, 0.037998, 0.060288, 0.240897),
    PublishedRow(3, 0.989755, 0.276059, 0.039749, 0.062460, 0.250511),
    PublishedRow(4, 0.989400, 0.275336, 0.040184, 0.062257, 0.264263),
    PublishedRow(5, 0.989430, 0.275841, 0.042163, 0.064984, 0.283437),
    PublishedRow(7, 0.989304, 0.264843, 0.040815, 0.061682, 0.270127),
    PublishedRow(20, 0.989431, 0.293133, 0.042821, 0.065624, 0.291966),
    PublishedRow(40, 0.988204, 0.245166, 0.046244, 0.063810, 0.322949),
)
"""Table 2.6: fine-tuned on SVT's 100 training images, measured on its 249 others over 5,363 words."""

TABLE_2_6_IMAGES, TABLE_2_6_WORDS = 249, 5363
