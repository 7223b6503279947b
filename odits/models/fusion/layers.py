"""The layers that ODITS adds to CLIP (thesis 3.1, cross-feature learning), each a residual branch that starts at zero.

Every branch ends in a matrix of zeros: a model that was never trained returns what went in, and training can only lead
it away from CLIP where there is evidence. Shapes: B images, K objects, n words, d the width of CLIP's embeddings.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) whose output starts at zero, and with it its weights, for explanation.

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
        """What is added to the queries (B, Q, d), and the mean of the heads' weights (B, Q, K).

        Args:
            query: (B, Q, d).
            key, value: (B, K, d).
            present: bool (B, K), which keys count; a query without any gets nothing.
            projected: `self.query(query)`, where it is known already.
        """
        q = self._split(self.query(query) if projected is None else projected)
        absent = None if present is None or bool(present.all()) else ~present[:, None, None, :]
        few = q.shape[1] * q.shape[2] < q.shape[3]  # then it is cheaper to bring the queries to the keys
        scores = self._ask(q, key) if few else q @ self._split(self.key(key)).transpose(-1, -2)
        scores = scores / math.sqrt(q.shape[-1])
        if absent is not None:
            scores = scores.masked_fill(absent, float("-inf"))
        weights = scores.softmax(-1)
        if absent is not None:  # a softmax over nothing is not a number
            weights = weights.masked_fill(absent, 0.0)
        mixed = self._answer(weights, value) if few else weights @ self._split(self.value(value))
        added = self.out(mixed.transpose(1, 2).flatten(2))
        if present is not None:
            added = added * present.any(1)[:, None, None]
        return added, weights.mean(1)

    def _ask(self, q: Tensor, key: Tensor) -> Tensor:
        """q (B, h, Q, e) times projected keys (B, K, d), as (B, h, Q, K), without projecting every key."""
        weight, bias = self.key.weight.unflatten(0, (self.heads, -1)), self.key.bias.unflatten(0, (self.heads, -1))
        carried = torch.einsum("bhqe,hed->bhqd", q, weight)
        return carried @ key[:, None].transpose(-1, -2) + torch.einsum("bhqe,he->bhq", q, bias)[..., None]

    def _answer(self, weights: Tensor, value: Tensor) -> Tensor:
        """weights (B, h, Q, K) times projected values (B, K, d), as (B, h, Q, e), without projecting every value."""
        weight, bias = self.value.weight.unflatten(0, (self.heads, -1)), self.value.bias.unflatten(0, (self.heads, -1))
        mixed = torch.einsum("bhqd,hed->bhqe", weights @ value[:, None], weight)
        return mixed + bias[:, None] * weights.sum(-1, keepdim=True)

    def _split(self, side: Tensor) -> Tensor:
        """(B, heads, T, d / heads) of (B, T, d)."""
        return side.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class ObjectAttention(nn.Module):
    """Objects look at each other: queries and keys say what each is in words, values what it looks like (3.1, first).

    The thesis sums the objects before attending, after which there is nothing left to attend to: here each object
    stays a token of its own.
    """

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.attention = Attention(width, heads)

    def forward(self, weighted_text: Tensor, objects: Tensor, confidence: Tensor, present: Tensor) -> Tensor:
        """Updated objects (B, K, d) from what they are in words, look like (B, K, d each) and confidences (B, K)."""
        values = confidence[..., None] * objects
        added, _ = self.attention(weighted_text, weighted_text, values, present)
        return values + added


class ImageAttention(nn.Module):
    """The image looks at its objects (3.1, second).

    The thesis takes the image as the only value, which would return it whatever the objects are: here the image asks,
    and the objects are keys and values.
    """

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.attention = Attention(width, heads)

    def forward(self, image: Tensor, objects: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """The updated image (B, d) and how much it looks at each object (B, K), from (B, d) and (B, K, d)."""
        added, weights = self.attention(image[:, None], objects, objects, present)
        return image + added[:, 0], weights[:, 0]


class AmongWords(NamedTuple):
    """Words after they have looked at each other (1, n, d), and how they ask about an image (1, n, d)."""

    words: Tensor
    queries: Tensor


class FeatureEnhancer(nn.Module):
    """GroundingDINO's feature enhancer (Liu et al. 2023): attention within each side, then across, both ways.

    Words attend to each other through a few learned summaries (inducing points, Lee et al. 2019), so that time and
    memory grow with n and not with its square. Words look at the image and at its objects.
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

    def among_words(self, text: Tensor) -> AmongWords:
        """Words that have looked at each other, from (n, d): the part that no image changes."""
        words = text[None]
        summaries = self.summaries[None] + self.summarise(self.summaries[None], words, words)[0]
        words = words + self.text_attention(words, summaries, summaries)[0]
        return AmongWords(words, self.text_to_image.query(words))

    def forward(
        self, image: Tensor, objects: Tensor, present: Tensor, among: AmongWords, asked: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The updated image (B, d) and words (B, n, d), from (B, d), (B, K, d), bool (B, K), and `among_words`.

        Args:
            asked: int64 (q,), the words that are wanted: the second result is (B, q, d).
        """
        tokens = torch.cat([image[:, None], objects], 1)
        there = torch.cat([present.new_ones(len(image), 1), present], 1)
        seen = image[:, None] + self.image_attention(image[:, None], tokens, tokens, there)[0]
        words, queries = among
        updated = seen + self.image_to_text(seen, words, words)[0]
        tokens = torch.cat([seen, objects], 1)
        if asked is not None:
            words, queries = words[:, asked], queries[:, asked]
        return updated[:, 0], words + self.text_to_image(words, tokens, tokens, there, queries)[0]


class Evidence(nn.Module):
    """What objects say about words by themselves: late interaction beside the pooled image (FILIP, Yao et al. 2021).

    How much an object is believed is learned from cues, so that an unreadable one need not speak. A word's evidence is
    log(1 + t / e), with t the sum of the objects' similarities to it, each times its belief: nothing where no object
    suggests the word, and growing with the logarithm of the likelihood where one does. The gate starts at zero.
    """

    CUES = 5

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(()))
        self.log_floor = nn.Parameter(torch.tensor(math.log(0.1)))
        self.belief = zero_linear(self.CUES, 1)

    def believed(self, cues: Tensor, present: Tensor) -> Tensor:
        """How much each object is believed (B, K) in 0..1, from cues (B, K, 5) and which objects there are (B, K)."""
        return torch.sigmoid(self.belief(cues)[..., 0]) * present

    def forward(self, similarity: Tensor, believed: Tensor) -> tuple[Tensor, Tensor]:
        """What is added to the logits (B, n) and t (B, n), from the object-text matrix (B, K, n) and beliefs (B, K)."""
        told = torch.einsum("bk,bkn->bn", believed, similarity)
        return self.gate * torch.log1p(told * torch.exp(-self.log_floor)), told


class Recall(nn.Module):
    """Which words go together, from the lexicons seen in training: a prior that what the objects say can sharpen.

    A word's weight is how many training lexicons hold it, plus attention to the lexicons (their words are keys and
    values, what the objects tell is the query), as k-nearest-neighbour language models do (Khandelwal et al. 2020):

        n_k = sum_l L_lk + b sum_l a_l L_lk
        a_l ~ (sum_k p_k r_k L_lk / sqrt(sum_k r_k L_lk))^s,   p_k = 1 - exp(-t_k)

    with r_k = log((lexicons + 1) / (lexicons with word k + 1)); gate * log(n_k + e) is added to the logits. The gate
    starts at zero. In training an image's own lexicon is left out of both sums: on new images it is not there either.
    """

    def __init__(self, attends: bool = True) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(()))
        self.log_floor = nn.Parameter(torch.tensor(math.log(0.1)))
        self.log_weight = nn.Parameter(torch.tensor(2.0)) if attends else None
        self.log_sharpness = nn.Parameter(torch.tensor(0.0)) if attends else None

    def forward(self, lexicons: Tensor, told: Tensor | None, own: Tensor | None = None) -> Tensor:
        """What is added to the logits (B, n), or (1, n) where it is the same for all images.

        Args:
            lexicons: (L, n), 1 where a training lexicon holds a word, else 0.
            told: t (B, n) of the evidence; None: the words' frequencies alone count.
            own: int64 (B,), the lexicon to leave out for each image, -1 for none.
        """
        frequency = lexicons.sum(0)
        counts = frequency[None]
        if own is not None:
            mine = own >= 0
            counts = counts - lexicons[own.clamp_min(0)] * mine[:, None]
        if told is not None and self.log_weight is not None and self.log_sharpness is not None:
            rarity = torch.log((len(lexicons) + 1) / (frequency + 1))
            alike = ((1 - torch.exp(-told)) * rarity) @ lexicons.T / (lexicons @ rarity).clamp_min(1e-6).sqrt()
            if own is not None:
                alike = alike.masked_fill(torch.arange(len(lexicons), device=own.device) == own[:, None], 0.0)
            attention = (alike + 1e-6) ** (1 + self.log_sharpness.exp())
            attention = attention / attention.sum(1, keepdim=True).clamp_min(1e-3)
            counts = counts + self.log_weight.exp() * (attention @ lexicons)
        return self.gate * torch.log(counts.clamp_min(0) + self.log_floor.exp())


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer of zeros that initialisers leave alone."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    layer.starts_at_zero = True  # type: ignore[assignment]  # for odits.models.fusion.initializers
    return layer
