"""ODITS: object-driven image and text similarity (thesis 3.1), on the embeddings of any CLIP model.

Three parts: encoding (CLIP's own, done before: an image, its objects, the vocabulary), the object-text similarity
matrix, and cross-feature learning. Shapes: B images, K objects, n words, d the width of CLIP's embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odits.models.odits_layers import Evidence, FeatureEnhancer, ImageAttention, ObjectAttention


@dataclass(frozen=True)
class OditsConfig:
    """Which parts a model has; leaving one out is an ablation.

    Attributes:
        width: d.
        heads: of every attention.
        object_attention: objects look at each other.
        weighted_text: queries and keys of the objects are their similarity-weighted words; else their looks.
        feature_enhancer: image and words look at each other.
        evidence: objects speak for words by themselves.
        prior: words have a bias, which starts at their frequency in training.
    """

    width: int
    heads: int = 4
    object_attention: bool = True
    weighted_text: bool = True
    feature_enhancer: bool = True
    evidence: bool = True
    prior: bool = True


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Embeddings of a batch: what encoding gives.

    Attributes:
        image: normalised (B, d).
        objects: normalised (B, K, d), filled up with zeros.
        confidence: (B, K) in 0..1.
        present: bool (B, K), which objects there are.
        read: rows (B, K, n) of the object-text matrix that a spotter has read instead of CLIP, or None.
        is_read: bool (B, K), for which objects `read` counts, or None.
    """

    image: Tensor
    objects: Tensor
    confidence: Tensor
    present: Tensor
    read: Tensor | None = None
    is_read: Tensor | None = None


@dataclass(frozen=True, eq=False)
class OditsOutput:
    """What a model says.

    Attributes:
        logits: (B, n); their softmax are the probabilities.
        similarity: the object-text matrix (B, K, n), each row a distribution over the words.
        attention: how much the image looks at each object (B, K).
    """

    logits: Tensor
    similarity: Tensor
    attention: Tensor


class Odits(nn.Module):
    """The fusion network. Before training its logits are CLIP's.

    Args:
        config: which parts it has.
        logit_scale: CLIP's 1 / temperature.
        log_prior: logarithms (n,) of the words' frequencies in training; zeros where there is no prior.
    """

    def __init__(self, config: OditsConfig, logit_scale: float, log_prior: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("clip_scale", torch.tensor(float(logit_scale)))
        self.log_scale = nn.Parameter(torch.zeros(()))  # of the image's similarities, against CLIP's own
        self.sharpness = nn.Parameter(torch.zeros(()))  # of all logits
        self.object_attention = ObjectAttention(config.width, config.heads) if config.object_attention else None
        self.image_attention = ImageAttention(config.width, config.heads)
        self.enhancer = FeatureEnhancer(config.width, config.heads) if config.feature_enhancer else None
        self.evidence = Evidence() if config.evidence else None
        self.register_buffer("log_prior", log_prior.float().clone())
        self.prior_gate = nn.Parameter(torch.zeros(()))

    def forward(self, images: EncodedImages, text: Tensor, log_prior: Tensor | None = None) -> OditsOutput:
        """What the model says about the words.

        Args:
            text: normalised embeddings (n, d) of the words.
            log_prior: (n,) or (B, n) in the place of the model's own.
        """
        similarity = self.object_text(images, text)
        objects = images.confidence[..., None] * images.objects
        if self.object_attention is not None:
            asking = similarity @ text if self.config.weighted_text else images.objects
            objects = self.object_attention(asking, images.objects, images.confidence, images.present)
        image, attention = self.image_attention(images.image, objects, images.present)
        words = text
        if self.enhancer is not None:
            image, words = self.enhancer(image, objects, images.present, text)
        pairs = "bd,nd->bn" if words.ndim == 2 else "bd,bnd->bn"
        cosines = torch.einsum(pairs, F.normalize(image, dim=-1), F.normalize(words, dim=-1))
        logits = self.clip_scale * self.log_scale.exp() * cosines
        if self.evidence is not None:
            logits = logits + self.evidence(similarity, images.confidence, images.present)
        if self.config.prior:
            logits = logits + self.prior_gate * (self.log_prior if log_prior is None else log_prior)
        return OditsOutput(self.sharpness.exp() * logits, similarity, attention)

    def object_text(self, images: EncodedImages, text: Tensor) -> Tensor:
        """The object-text similarity matrix (B, K, n): CLIP's softmax over the words for each object (3.1)."""
        similarity = (self.clip_scale * images.objects @ text.T).softmax(-1)
        if images.read is not None and images.is_read is not None:
            similarity = torch.where(images.is_read[..., None], images.read, similarity)
        return similarity
