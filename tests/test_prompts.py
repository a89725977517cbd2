"""Prompts: short, long, too long, and with words the model does not know."""

import pytest
import torch

from services.generation.prompts import (
    MAX_CHUNKS,
    NegativeEmbeddings,
    encode_prompts,
    find_unknown_words,
    split_prompt,
)
from tests.tiny_checkpoint import make_pipeline

CPU = torch.device("cpu")
WINDOW = 77
ROOM = WINDOW - 2


@pytest.fixture(scope="module")
def pipe():
    return make_pipeline()


def encode(pipe, prompt, negative_prompt="", *, guidance=True, negatives=None):
    with torch.inference_mode():
        return encode_prompts(
            pipe, prompt, negative_prompt, guidance=guidance, device=CPU, negatives=negatives
        )


def test_a_prompt_that_fits_is_encoded_as_the_pipeline_does(pipe):
    embeddings = encode(pipe, "a red circle", "blue")
    expected, negative = pipe.encode_prompt("a red circle", CPU, 1, True, "blue")
    assert torch.equal(embeddings.prompt, expected)
    assert torch.equal(embeddings.negative, negative)
    assert torch.equal(embeddings.batch, torch.cat([negative, expected]))
    assert embeddings.dropped_text is None


def test_without_guidance_there_is_no_negative(pipe):
    embeddings = encode(pipe, "a red circle", "blue", guidance=False)
    assert embeddings.negative is None
    assert embeddings.batch.shape == (1, WINDOW, 32)


@pytest.mark.parametrize("prompt", ["a red circle", "red " * (ROOM + 1)], ids=["short", "two windows"])
def test_a_negative_prompt_is_encoded_once(pipe, prompt):
    negatives = NegativeEmbeddings()
    encoded = []
    handle = pipe.text_encoder.register_forward_hook(lambda *_: encoded.append(1))
    try:
        first = encode(pipe, prompt, "blue", negatives=negatives)
        before = len(encoded)
        second = encode(pipe, prompt, "blue", negatives=negatives)
    finally:
        handle.remove()
    assert (before, len(encoded)) == (2, 3)
    assert torch.equal(second.batch, first.batch)
    assert torch.equal(second.batch, encode(pipe, prompt, "blue").batch)
    assert not torch.equal(encode(pipe, prompt, "green", negatives=negatives).negative, first.negative)


def test_the_last_few_negative_prompts_are_kept():
    negatives = NegativeEmbeddings(2)
    for name in ("a", "b"):
        negatives.keep(name, 1, torch.zeros(1))
    assert negatives.find("a", 1) is not None
    assert negatives.find("a", 2) is None
    negatives.keep("c", 1, torch.zeros(1))
    assert negatives.find("b", 1) is None
    assert negatives.find("a", 1) is not None


@pytest.mark.parametrize("words", [ROOM - 1, ROOM])
def test_a_full_window_is_one_chunk(pipe, words):
    assert encode(pipe, "red " * words).batch.shape == (2, WINDOW, 32)


def test_a_long_prompt_is_encoded_window_by_window(pipe):
    first, rest = " ".join(["red"] * ROOM), "blue star"
    embeddings = encode(pipe, f"{first} {rest}", "white")
    assert embeddings.batch.shape == (2, 2 * WINDOW, 32)
    assert embeddings.dropped_text is None
    for text, part in [(first, embeddings.prompt[:, :WINDOW]), (rest, embeddings.prompt[:, WINDOW:])]:
        assert torch.allclose(part, encode(pipe, text, guidance=False).prompt, atol=1e-6)
    empty = encode(pipe, "", guidance=False).prompt
    assert torch.allclose(embeddings.negative[:, WINDOW:], empty, atol=1e-6)


def test_a_long_negative_prompt_fills_up_the_prompt(pipe):
    embeddings = encode(pipe, "red", "blue " * (ROOM + 1))
    assert embeddings.prompt.shape == embeddings.negative.shape == (1, 2 * WINDOW, 32)


def test_words_are_not_cut(pipe):
    chunks, dropped = split_prompt(pipe.tokenizer, "red " * (ROOM - 3) + "sideways")
    assert [len(chunk) for chunk in chunks] == [ROOM - 3, len("sideways")]
    assert dropped is None


def test_a_word_longer_than_a_window_is_cut(pipe):
    chunks, dropped = split_prompt(pipe.tokenizer, "z" * (ROOM + 10))
    assert [len(chunk) for chunk in chunks] == [ROOM, 10]
    assert dropped is None


def test_the_end_of_an_endless_prompt_is_reported_as_written(pipe):
    embeddings = encode(pipe, "red " * (ROOM * MAX_CHUNKS) + "Blue  STAR, élan", guidance=False)
    assert embeddings.batch.shape == (1, MAX_CHUNKS * WINDOW, 32)
    assert embeddings.dropped_text == "Blue  STAR, élan"


def test_the_end_of_an_endless_negative_prompt_is_reported(pipe):
    embeddings = encode(pipe, "red", "red " * (ROOM * MAX_CHUNKS) + "star")
    assert embeddings.dropped_text == "(negative prompt) star"


@pytest.mark.parametrize("text", ["", "🎉" * 200, "日本語 " * 150, "a\x00b\n\tc " * 60])
def test_any_text_can_be_encoded(pipe, text):
    assert torch.isfinite(encode(pipe, text, text).batch).all()


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("a red circle moving left", ()),
        ("A RED Circle, moving LEFT!", ()),
        ("a crimson circle and a Crimson star", ("crimson", "and")),
        ("", ()),
        ("circles", ("circles",)),
        ("2 red stars", ("stars",)),
    ],
)
def test_unknown_words(pipe, prompt, unknown):
    assert find_unknown_words(pipe.tokenizer, prompt) == unknown
