"""The short context gives what open_clip's own `encode_text` gives."""

import open_clip
import pytest
import torch

from odits.models.clip import text
from odits.models.clip.embedded import new_model, tokenizer
from odits.models.clip.text import encode_prefixes, encode_tokens, encode_vocabulary, is_causal

WORDS = ["BAR", "RESTAURANT", "street lamp", "a", "ÉCLAIR", "7", "one two three four five six seven eight nine ten"]
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.mark.parametrize("kind", [open_clip.CLIP, open_clip.CustomTextCLIP])
def test_equals_encode_text(kind: type) -> None:
    torch.manual_seed(0)
    model, tokenize = kind(**TINY).eval(), open_clip.get_tokenizer("ViT-B-32")
    assert is_causal(model)
    with torch.inference_mode():
        expected = model.encode_text(tokenize(WORDS), normalize=True)
    assert torch.allclose(encode_vocabulary(model, tokenize, WORDS), expected, atol=1e-6)


def test_embedded_equals_encode_text() -> None:
    torch.manual_seed(0)
    model, tokenize = new_model().eval(), tokenizer()
    with torch.inference_mode():
        expected = model.encode_text(tokenize(WORDS), normalize=True)
    assert torch.allclose(encode_vocabulary(model, tokenize, WORDS), expected, atol=1e-6)


def test_a_tower_that_looks_at_padding_is_called_as_it_is() -> None:
    torch.manual_seed(0)
    config = {**TINY, "text_cfg": {**TINY["text_cfg"], "no_causal_mask": True}}
    model, tokenize = open_clip.CustomTextCLIP(**config).eval(), open_clip.get_tokenizer("ViT-B-32")
    assert not is_causal(model)
    tokens = tokenize(WORDS)
    with torch.inference_mode():
        assert torch.equal(encode_tokens(model, tokens), model.encode_text(tokens))


@pytest.mark.parametrize("room", [1, 7, 512])
def test_shared_beginnings_change_nothing(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "SHARED_TOKENS", room)
    torch.manual_seed(0)
    model, tokenize = open_clip.CLIP(**TINY).eval(), open_clip.get_tokenizer("ViT-B-32")
    words = [*WORDS, "street", "street lamp post", "BAR", "a", *(f"a photo of the word {word}" for word in WORDS)]
    with torch.inference_mode():
        expected = model.encode_text(tokenize(words), normalize=True)
    assert torch.allclose(encode_vocabulary(model, tokenize, words), expected, atol=1e-6)


def test_what_texts_share_is_encoded_once() -> None:
    model, tokenize = open_clip.CLIP(**TINY).eval(), open_clip.get_tokenizer("ViT-B-32")
    lengths: list[int] = []
    model.transformer.register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    with torch.inference_mode():
        encode_prefixes(model, tokenize(["street lamp", "street", "street lamp", "bar"]))
    assert lengths == [1 + len(["street", "lamp", "its end"]) + len(["the end of street"]) + len(["bar", "its end"])]


def test_gradients_flow() -> None:
    model = open_clip.CLIP(**TINY)
    encode_tokens(model, open_clip.get_tokenizer("ViT-B-32")(WORDS)).sum().backward()
    assert model.token_embedding.weight.grad.abs().sum() > 0


def test_characters_are_tokens() -> None:
    ids = tokenizer()(["ab", "AB", "abc"])
    assert ids.shape == (3, 32)
    assert torch.equal(ids[0], ids[1])
    assert int((ids[2] != 0).sum()) == 5  # start, three letters, end
