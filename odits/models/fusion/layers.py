"""The layers that ODITS adds to CLIP (thesis 3.1, cross-feature learning), each a residual branch that starts at zero.

Every branch ends in a matrix of zeros: an untrained model returns what went in, and training leads it away from CLIP
only where that lowers the loss. Shapes: B images, K objects, n words, d the width of CLIP's embeddings.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) with an output that starts at zero; returns its weights too.

    Args:
        width: d.
        heads: how many; they share the width.
    """

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = zero_linear(width, width)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        present: Tensor | None = None,
        projected: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attend from the queries to the keys.

        Args:
            query: (B, Q, d).
            key: (B, K, d).
            value: (B, K, d).
            present: bool (B, K), which keys count; a query without any gets zeros.
            projected: `self.query(query)`, where it is known already.

        Returns:
            The residual (B, Q, d) to add to the queries, and the mean (B, Q, K) of the heads' weights.
        """
        q = self._split(self.query(query) if projected is None else projected)
        absent = None if present is None or bool(present.all()) else ~present[:, None, None, :]
        few = q.shape[1] * q.shape[2] < q.shape[3]  # then it is cheaper to bring the queries to the keys
        scores = self._scores(q, key) if few else q @ self._split(self.key(key)).transpose(-1, -2)
        scores = scores / math.sqrt(q.shape[-1])
        if absent is not None:
            scores = scores.masked_fill(absent, float("-inf"))
        weights = scores.softmax(-1)
        if absent is not None:  # a softmax over nothing is not a number
            weights = weights.masked_fill(absent, 0.0)
        mixed = self._mix(weights, value) if few else weights @ self._split(self.value(value))
        added = self.out(mixed.transpose(1, 2).flatten(2))
        if present is not None:
            added = added * present.any(1)[:, None, None]
        return added, weights.mean(1)

    def _scores(self, q: Tensor, key: Tensor) -> Tensor:
        """Multiply q (B, h, Q, e) with projected keys (B, K, d) to (B, h, Q, K), without projecting every key."""
        weight, bias = self.key.weight.unflatten(0, (self.heads, -1)), self.key.bias.unflatten(0, (self.heads, -1))
        carried = torch.einsum("bhqe,hed->bhqd", q, weight)
        return carried @ key[:, None].transpose(-1, -2) + torch.einsum("bhqe,he->bhq", q, bias)[..., None]

    def _mix(self, weights: Tensor, value: Tensor) -> Tensor:
        """Multiply weights (B, h, Q, K) with projected values (B, K, d) to (B, h, Q, e), without projecting each."""
        weight, bias = self.value.weight.unflatten(0, (self.heads, -1)), self.value.bias.unflatten(0, (self.heads, -1))
        mixed = torch.einsum("bhqd,hed->bhqe", weights @ value[:, None], weight)
        return mixed + bias[:, None] * weights.sum(-1, keepdim=True)

    def _split(self, side: Tensor) -> Tensor:
        """Reshape (B, T, d) to (B, heads, T, d / heads)."""
        return side.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class ObjectAttention(nn.Module):
    """Self-attention of objects: queries and keys are their words, values their embeddings (3.1, first equation).

    The thesis sums the objects before attending, after which there is nothing left to attend to: here each object
    stays a token of its own.
    """

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.attention = Attention(width, heads)

    def forward(self, weighted_text: Tensor, objects: Tensor, confidence: Tensor, present: Tensor) -> Tensor:
        """Update the objects.

        Args:
            weighted_text: similarity-weighted text embeddings (B, K, d).
            objects: embeddings (B, K, d).
            confidence: (B, K) in 0..1.
            present: bool (B, K), which objects there are.

        Returns:
            (B, K, d): the objects times their confidence, plus the attention's residual.
        """
        values = confidence[..., None] * objects
        added, _ = self.attention(weighted_text, weighted_text, values, present)
        return values + added


class ImageAttention(nn.Module):
    """Cross-attention from the image to its objects (3.1, second equation).

    The thesis takes the image as the only value, which would return it whatever the objects are: here the image is
    the query, and the objects are keys and values.
    """

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.attention = Attention(width, heads)

    def forward(self, image: Tensor, objects: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Update the image (B, d) from its objects (B, K, d), and return its attention (B, K) to each of them too."""
        added, weights = self.attention(image[:, None], objects, objects, present)
        return image + added[:, 0], weights[:, 0]


class EnhancedText(NamedTuple):
    """Words after self-attention (1, n, d), and their projected queries (1, n, d) for attention to an image."""

    words: Tensor
    queries: Tensor


class FeatureEnhancer(nn.Module):
    """GroundingDINO's feature enhancer (Liu et al. 2023): attention within each modality, then across, both ways.

    Words attend to each other through a few learned summaries (inducing points, Lee et al. 2019), so that time and
    memory grow with n and not with its square. Words attend to the image and to its objects.
    """

    def __init__(self, width: int, heads: int = 4, summaries: int = 16) -> None:
        super().__init__()
        self.summaries = nn.Parameter(torch.empty(summaries, width))
        nn.init.normal_(self.summaries, std=width**-0.5)
        self.summarise = Attention(width, heads)
        self.text_attention = Attention(width, heads)
        self.image_attention = Attention(width, heads)
        self.image_to_text = Attention(width, heads)
        self.text_to_image = Attention(width, heads)

    def enhance_text(self, text: Tensor) -> EnhancedText:
        """Apply self-attention to the words (n, d): the part that does not depend on an image."""
        words = text[None]
        summaries = self.summaries[None] + self.summarise(self.summaries[None], words, words)[0]
        words = words + self.text_attention(words, summaries, summaries)[0]
        return EnhancedText(words, self.text_to_image.query(words))

    def forward(
        self, image: Tensor, objects: Tensor, present: Tensor, text: EnhancedText, subset: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Update image and words by attention to each other.

        Args:
            image: (B, d).
            objects: (B, K, d).
            present: bool (B, K), which objects there are.
            text: the result of `enhance_text`.
            subset: int64 (q,), the words to update; None: all.

        Returns:
            The updated image (B, d), and the updated words (B, n, d), or (B, q, d) of the subset.
        """
        tokens = torch.cat([image[:, None], objects], 1)
        there = torch.cat([present.new_ones(len(image), 1), present], 1)
        attended = image[:, None] + self.image_attention(image[:, None], tokens, tokens, there)[0]
        words, queries = text
        updated = attended + self.image_to_text(attended, words, words)[0]
        tokens = torch.cat([attended, objects], 1)
        if subset is not None:
            words, queries = words[:, subset], queries[:, subset]
        return updated[:, 0], words + self.text_to_image(words, tokens, tokens, there, queries)[0]


_CERTAIN = 1 - 1e-4  # no object is surer of a word


class Evidence(nn.Module):
    """What objects add to the logits of words directly: late interaction beside the pooled image (FILIP, Yao 2021).

    The weight w_k of an object is learned from cues, so that an unreadable one need not count. The support of a word is
    t_n = sum_k w_k S_kn, with S the object-text matrix, and its evidence gate * log(1 + t_n / e): nothing where no
    object suggests the word, and growing with the logarithm of the likelihood where one does. The gate starts at zero.

    Args:
        odds: the support is the odds of the word, if objects show it independently of each other with probabilities
            w_k S_kn (noisy or, Pearl 1988): t_n = 1 / prod_k (1 - w_k S_kn) - 1. Rows of S must not sum to more than 1.
    """

    CUES = 5

    def __init__(self, odds: bool = False) -> None:
        super().__init__()
        self.odds = odds
        self.gate = nn.Parameter(torch.zeros(()))
        self.log_floor = nn.Parameter(torch.tensor(math.log(0.1)))
        self.belief = zero_linear(self.CUES, 1)  # the name that checkpoints have

    def object_weights(self, cues: Tensor, present: Tensor) -> Tensor:
        """Compute w (B, K) in 0..1 from cues (B, K, 5) and which objects there are, bool (B, K)."""
        return torch.sigmoid(self.belief(cues)[..., 0]) * present

    def forward(self, similarity: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Compute what is added to the logits.

        Args:
            similarity: the object-text matrix S (B, K, n).
            weights: w (B, K).

        Returns:
            The evidence (B, n) and the support t (B, n).
        """
        if self.odds:
            absent = torch.log1p(-(weights[..., None] * similarity).clamp(max=_CERTAIN)).sum(1)
            support = torch.expm1(-absent)
        else:
            support = torch.einsum("bk,bkn->bn", weights, similarity)
        return self.gate * torch.log1p(support * torch.exp(-self.log_floor)), support


class Recall(nn.Module):
    """Which words occur together, from the training lexicons: a prior that the objects' support can sharpen.

    A word's weight is how many training lexicons hold it, plus attention to the lexicons (their words are keys and
    values, the support is the query), as k-nearest-neighbour language models do (Khandelwal et al. 2020):

        n_k = sum_l L_lk + b sum_l a_l L_lk
        a_l ~ (sum_k p_k r_k L_lk / sqrt(sum_k r_k L_lk))^s,   p_k = 1 - exp(-t_k)

    with r_k = log((lexicons + 1) / (lexicons with word k + 1)); gate * log(n_k + e) is added to the logits. The gate
    starts at zero. In training an image's own lexicon is left out of both sums: on new images it is not there either.

    Args:
        attends: whether the second sum is there; else the words' frequencies alone count.
    """

    def __init__(self, attends: bool = True) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(()))
        self.log_floor = nn.Parameter(torch.tensor(math.log(0.1)))
        self.log_weight = nn.Parameter(torch.tensor(2.0)) if attends else None
        self.log_sharpness = nn.Parameter(torch.tensor(0.0)) if attends else None

    @property
    def attends(self) -> bool:
        """Whether the second sum is there."""
        return self.log_weight is not None

    def forward(self, lexicons: Tensor, support: Tensor | None, own_lexicon: Tensor | None = None) -> Tensor:
        """Compute what is added to the logits.

        Args:
            lexicons: L (L, n), 1 where a training lexicon holds a word, else 0.
            support: t (B, n) of the evidence; None: the words' frequencies alone count.
            own_lexicon: int64 (B,), the lexicon to leave out for each image, -1 for none.

        Returns:
            (B, n), or (1, n) where it is the same for all images.
        """
        frequency = lexicons.sum(0)
        counts = frequency[None]
        if own_lexicon is not None:
            has_own = own_lexicon >= 0
            counts = counts - lexicons[own_lexicon.clamp_min(0)] * has_own[:, None]
        if support is not None and self.log_weight is not None and self.log_sharpness is not None:
            rarity = torch.log((len(lexicons) + 1) / (frequency + 1))
            match = ((1 - torch.exp(-support)) * rarity) @ lexicons.T / (lexicons @ rarity).clamp_min(1e-6).sqrt()
            if own_lexicon is not None:
                is_own = torch.arange(len(lexicons), device=own_lexicon.device) == own_lexicon[:, None]
                match = match.masked_fill(is_own, 0.0)
            attention = (match + 1e-6) ** (1 + self.log_sharpness.exp())
            attention = attention / attention.sum(1, keepdim=True).clamp_min(1e-3)
            counts = counts + self.log_weight.exp() * (attention @ lexicons)
        return self.gate * torch.log(counts.clamp_min(0) + self.log_floor.exp())


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer of zeros that initialisers leave alone."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    layer.starts_at_zero = True  # type: ignore[assignment]  # for odits.models.fusion.initializers
    return layer
