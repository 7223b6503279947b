"""ODITS: object-driven image and text similarity (thesis 3.1), on the embeddings of any CLIP model.

Three parts: encoding (CLIP's own, done before: an image, its objects, the vocabulary), the object-text similarity
matrix, and cross-feature learning. Shapes: B images, K objects, n words, d the width of CLIP's embeddings, L lexicons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odits.models.fusion.layers import AmongWords, Evidence, FeatureEnhancer, ImageAttention, ObjectAttention, Recall


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
        prior: words have a bias: how many training lexicons hold them.
        recall: the bias also asks which training lexicons hold the words that the objects suggest.
    """

    width: int
    heads: int = 4
    object_attention: bool = True
    weighted_text: bool = True
    feature_enhancer: bool = True
    evidence: bool = True
    prior: bool = True
    recall: bool = True


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
class ObjectText:
    """What objects are in words.

    Attributes:
        similarity: the object-text matrix (B, K, n): CLIP's softmax over the words for each object (3.1), or what a
            spotter read.
        weighted: similarity-weighted text embeddings (B, K, d) of the objects (3.1).
        cues: what tells a believable object (B, K, 5), each about 0..1: its best cosine, its best word's share, the
            entropy of its words against the most there can be, the segmenter's confidence, and whether it was read.
    """

    similarity: Tensor
    weighted: Tensor
    cues: Tensor


@dataclass(frozen=True, eq=False)
class OditsOutput:
    """What a model says.

    Attributes:
        logits: (B, n), or (B, q) of the words asked for; the softmax of all n are the probabilities.
        similarity: the object-text matrix (B, K, n), each row a distribution over the words.
        attention: how much the image looks at each object (B, K).
        believed: how much each object's own word counts (B, K), in 0..1; None without evidence.
    """

    logits: Tensor
    similarity: Tensor
    attention: Tensor
    believed: Tensor | None


class Odits(nn.Module):
    """The fusion network. Before training its logits are CLIP's.

    Args:
        config: which parts it has.
        logit_scale: CLIP's 1 / temperature.
    """

    def __init__(self, config: OditsConfig, logit_scale: float) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("clip_scale", torch.tensor(float(logit_scale)))
        self.log_scale = nn.Parameter(torch.zeros(()))  # of the image's similarities, against CLIP's own
        self.sharpness = nn.Parameter(torch.zeros(()))  # of all logits
        self.object_attention = ObjectAttention(config.width, config.heads) if config.object_attention else None
        self.image_attention = ImageAttention(config.width, config.heads)
        self.enhancer = FeatureEnhancer(config.width, config.heads) if config.feature_enhancer else None
        self.evidence = Evidence() if config.evidence else None
        self.recall = Recall(config.recall and config.evidence) if config.prior else None

    def forward(
        self,
        images: EncodedImages,
        text: Tensor,
        lexicons: Tensor | None = None,
        own: Tensor | None = None,
        asked: Tensor | None = None,
        sampled: bool = False,
        matrix: ObjectText | None = None,
        among_words: AmongWords | None = None,
    ) -> OditsOutput:
        """What the model says about the words.

        Args:
            text: normalised embeddings (n, d) of the words.
            lexicons: (L, n), 1 where a training lexicon holds a word; None: nothing is remembered.
            own: int64 (B,), the lexicon that is the image's own, which is left out; -1 for none.
            asked: int64 (q,), which words' logits are wanted; None: all.
            sampled: the enhancer sees the words asked for only, which saves time in training; else all.
            matrix: what `object_text` gives, where it is known already.
            among_words: what the enhancer's `among_words` gives for the text, where it is known already.
        """
        matrix = matrix or self.object_text(images, text)
        objects = images.confidence[..., None] * images.objects
        if self.object_attention is not None:
            asking = matrix.weighted if self.config.weighted_text else images.objects
            objects = self.object_attention(asking, images.objects, images.confidence, images.present)
        image, attention = self.image_attention(images.image, objects, images.present)
        words = text if asked is None else text[asked]
        if self.enhancer is not None:
            if among_words is None:
                among_words = self.enhancer.among_words(words if sampled else text)
            image, words = self.enhancer(image, objects, images.present, among_words, None if sampled else asked)
        pairs = "bd,nd->bn" if words.ndim == 2 else "bd,bnd->bn"
        cosines = torch.einsum(pairs, F.normalize(image, dim=-1), F.normalize(words, dim=-1))
        logits = self.clip_scale * self.log_scale.exp() * cosines
        believed, told = None, None
        if self.evidence is not None:
            believed = self.evidence.believed(matrix.cues, images.present)
            added, told = self.evidence(matrix.similarity, believed)
            logits = logits + (added if asked is None else added[:, asked])
        if self.recall is not None and lexicons is not None:
            added = self.recall(lexicons, told, own)
            logits = logits + (added if asked is None else added[:, asked])
        return OditsOutput(self.sharpness.exp() * logits, matrix.similarity, attention, believed)

    def object_text(self, images: EncodedImages, text: Tensor) -> ObjectText:
        """The object-text similarity matrix and what follows from it; gradients flow where embeddings ask for them."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and images.objects.requires_grad):
            similarity = (self.clip_scale * images.objects @ text.T).softmax(-1)
            if images.read is not None and images.is_read is not None:
                similarity = torch.where(images.is_read[..., None], images.read, similarity)
            entropy = torch.special.entr(similarity).sum(-1) / max(1.0, math.log(len(text)))
            cosine = (images.objects @ text.T).amax(-1)
            read = torch.zeros_like(cosine) if images.is_read is None else images.is_read.to(cosine.dtype)
            cues = torch.stack([cosine, similarity.amax(-1), entropy, images.confidence, read], -1)
            return ObjectText(similarity, similarity @ text, cues)
