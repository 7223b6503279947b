"""ODITS: object-driven image and text similarity (thesis 3.1), on the embeddings of any CLIP model.

Three stages: encoding (CLIP's own, done before: an image, its objects, the vocabulary), the object-text similarity
matrix, and cross-feature learning. Shapes: B images, K objects, n words, d the width of CLIP's embeddings, L lexicons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odits.models.fusion.layers import EnhancedText, Evidence, FeatureEnhancer, ImageAttention, ObjectAttention, Recall
from odits.models.fusion.settings import OditsConfig


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Embeddings of a batch of images and of their objects.

    Attributes:
        image: normalised (B, d).
        objects: normalised (B, K, d), padded with zeros.
        confidence: (B, K) in 0..1.
        present: bool (B, K), False where there is only padding, or where an object is left out.
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
class ObjectText:
    """What objects are in words.

    Attributes:
        similarity: the object-text matrix (B, K, n): CLIP's softmax over the words for each object (3.1), or what a
            spotter read.
        weighted: similarity-weighted text embeddings (B, K, d) of the objects (3.1).
        cues: how reliable an object is (B, K, 5), each about 0..1: its highest cosine, its highest probability, the
            entropy of its row relative to the largest possible, the segmenter's confidence, and whether it was read.
    """

    similarity: Tensor
    weighted: Tensor
    cues: Tensor


@dataclass(frozen=True, eq=False)
class OditsOutput:
    """The result of a forward pass.

    Attributes:
        logits: (B, n), or (B, q) of the chosen words; the softmax over all n gives the probabilities.
        similarity: the object-text matrix (B, K, n), each row a distribution over the words.
        attention: the image's attention to each object (B, K).
        object_weights: the weight of each object's own row in the evidence (B, K), in 0..1; None without evidence.
    """

    logits: Tensor
    similarity: Tensor
    attention: Tensor
    object_weights: Tensor | None


class Odits(nn.Module):
    """The fusion network. Before training its logits are CLIP's.

    Args:
        config: which parts it has.
        logit_scale: CLIP's 1 / temperature.

    Example:
        >>> network = Odits(OditsConfig(width=8), logit_scale=100.0)
        >>> image, text = F.normalize(torch.eye(8)[:2] + 0.1, dim=-1), F.normalize(torch.eye(8)[:3], dim=-1)
        >>> images = EncodedImages(image, torch.zeros(2, 1, 8), torch.zeros(2, 1), torch.zeros(2, 1, dtype=torch.bool))
        >>> torch.allclose(network(images, text).logits, 100 * image @ text.T, atol=1e-4)
        True
    """

    def __init__(self, config: OditsConfig, logit_scale: float) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("clip_scale", torch.tensor(float(logit_scale)))
        self.log_scale = nn.Parameter(torch.zeros(()))  # of the image's similarities, against CLIP's own
        self.sharpness = nn.Parameter(torch.zeros(()))  # of all logits
        self.object_attention = ObjectAttention(config.width, config.heads) if config.object_attention else None
        self.image_attention = ImageAttention(config.width, config.heads) if config.width else None
        self.enhancer = FeatureEnhancer(config.width, config.heads) if config.feature_enhancer else None
        self.evidence = Evidence(odds=config.presence) if config.evidence else None
        self.recall = Recall(config.recall and config.evidence) if config.prior else None
        self.presence_bias = nn.Parameter(torch.zeros(())) if config.presence else None

    def forward(
        self,
        images: EncodedImages,
        text: Tensor,
        lexicons: Tensor | None = None,
        own_lexicon: Tensor | None = None,
        subset: Tensor | None = None,
        sampled: bool = False,
        matrix: ObjectText | None = None,
        enhanced_text: EnhancedText | None = None,
    ) -> OditsOutput:
        """Compute the logits of the words for each image.

        Args:
            images: a batch.
            text: normalised embeddings (n, d) of the words.
            lexicons: (L, n), 1 where a training lexicon holds a word; None: there is no prior.
            own_lexicon: int64 (B,), the lexicon that is the image's own, which is left out; -1 for none.
            subset: int64 (q,), indices of the words whose logits are computed; None: all.
            sampled: the enhancer attends to the subset only, which saves time in training; else to all words.
            matrix: the result of `object_text`, where it is known already.
            enhanced_text: the result of the enhancer's `enhance_text`, where it is known already.
        """
        matrix = matrix or self.object_text(images, text)
        if self.image_attention is None:
            attention = torch.zeros_like(images.confidence)
            logits = images.confidence.new_zeros(len(images.image), len(text) if subset is None else len(subset))
        else:
            logits, attention = self._cross_features(images, matrix, text, subset, sampled, enhanced_text)
        weights, support = None, None
        if self.evidence is not None:
            weights = self.evidence.object_weights(matrix.cues, images.present)
            # each word by itself; only a prior that attends to lexicons needs the support of all
            attends = self.recall is not None and self.recall.attends and lexicons is not None
            whole = subset is None or attends
            added, support = self.evidence(matrix.similarity if whole else matrix.similarity[..., subset], weights)
            logits = logits + (added[:, subset] if subset is not None and whole else added)
        if self.recall is not None and lexicons is not None:
            added = self.recall(lexicons, support, own_lexicon)
            logits = logits + (added if subset is None else added[:, subset])
        return OditsOutput(self.sharpness.exp() * logits, matrix.similarity, attention, weights)

    def presence(self, logits: Tensor) -> Tensor | None:
        """Turn logits into the probability of each word by itself that it is in the picture; None without training."""
        return None if self.presence_bias is None else torch.sigmoid(logits + self.presence_bias)

    def _cross_features(
        self,
        images: EncodedImages,
        matrix: ObjectText,
        text: Tensor,
        subset: Tensor | None,
        sampled: bool,
        enhanced_text: EnhancedText | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the scaled cosines of image and words after the attentions, and the image's attention (B, K)."""
        assert self.image_attention is not None
        objects = images.confidence[..., None] * images.objects
        if self.object_attention is not None:
            queries = matrix.weighted if self.config.weighted_text else images.objects
            objects = self.object_attention(queries, images.objects, images.confidence, images.present)
        image, attention = self.image_attention(images.image, objects, images.present)
        words = text if subset is None else text[subset]
        if self.enhancer is not None:
            if enhanced_text is None:
                enhanced_text = self.enhancer.enhance_text(words if sampled else text)
            image, words = self.enhancer(image, objects, images.present, enhanced_text, None if sampled else subset)
        pairs = "bd,nd->bn" if words.ndim == 2 else "bd,bnd->bn"
        cosines = torch.einsum(pairs, F.normalize(image, dim=-1), F.normalize(words, dim=-1))
        return self.clip_scale * self.log_scale.exp() * cosines, attention

    def object_text(self, images: EncodedImages, text: Tensor) -> ObjectText:
        """Compute the object-text similarity matrix, softmax(scale * cosine) over the words for each object (3.1).

        Gradients flow only where the objects' embeddings require them.

        Args:
            images: a batch.
            text: normalised embeddings (n, d) of the words.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and images.objects.requires_grad):
            similarity = (self.clip_scale * images.objects @ text.T).softmax(-1)
            if not self.config.width:  # only what was read says anything
                similarity = torch.zeros_like(similarity)
            if images.read is not None and images.is_read is not None:
                similarity = torch.where(images.is_read[..., None], images.read, similarity)
            entropy = torch.special.entr(similarity).sum(-1) / max(1.0, math.log(len(text)))
            cosine = (images.objects @ text.T).amax(-1)
            read = torch.zeros_like(cosine) if images.is_read is None else images.is_read.to(cosine.dtype)
            cues = torch.stack([cosine, similarity.amax(-1), entropy, images.confidence, read], -1)
            return ObjectText(similarity, similarity @ text, cues)
