"""Text to embeddings, also where the text is longer than the encoder's window."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

MAX_CHUNKS = 4
"""Windows of a long prompt that are encoded; what lies beyond is dropped. More would drown its beginning."""

_WORD = re.compile(r"[^\W\d_]+")
_SMALL_VOCABULARY = 10_000


@dataclass(frozen=True)
class PromptEmbeddings:
    """What the UNet attends to: ``[B, n × window, C]``, on the device, in the text encoder's dtype.

    Attributes:
        negative: Embeddings of the negative prompt, of the same shape; None without guidance.
        dropped_text: The end of the prompt (or of the negative prompt) that did not fit, or None.
    """

    prompt: torch.Tensor
    negative: torch.Tensor | None
    dropped_text: str | None

    @property
    def batch(self) -> torch.Tensor:
        """``[2B, …]`` for classifier-free guidance, all negatives first; ``[B, …]`` without."""
        return self.prompt if self.negative is None else torch.cat([self.negative, self.prompt])


class NegativeEmbeddings:
    """The negative prompts that a model was given last: most clips share one.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._kept: dict[tuple[str, int], torch.Tensor] = {}

    def find(self, text: str, windows: int) -> torch.Tensor | None:
        """``[1, windows × window, C]``, or None for one that is not known."""
        embeddings = self._kept.pop((text, windows), None)
        if embeddings is not None:
            self._kept[text, windows] = embeddings
        return embeddings

    def keep(self, text: str, windows: int, embeddings: torch.Tensor | None) -> None:
        """None is not kept."""
        if embeddings is None:
            return
        self._kept[text, windows] = embeddings
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]


def encode_prompts(
    pipe: Any,
    prompt: str,
    negative_prompt: str,
    *,
    guidance: bool,
    device: torch.device,
    negatives: NegativeEmbeddings | None = None,
) -> PromptEmbeddings:
    """Encode both prompts, as the pipeline does where they fit its window (77 tokens).

    A longer text is cut between words into up to ``MAX_CHUNKS`` windows that are encoded one by one and
    joined along the sequence: cross-attention takes any length. The shorter of the two prompts is filled up
    with empty windows.

    Args:
        negatives: The model's negative prompts that are encoded already.
    """
    chunks, dropped = split_prompt(pipe.tokenizer, prompt)
    negative_chunks, negative_dropped = (
        split_prompt(pipe.tokenizer, negative_prompt) if guidance else ([], None)
    )
    dropped_text = dropped or (f"(negative prompt) {negative_dropped}" if negative_dropped else None)
    count = max(len(chunks), len(negative_chunks))
    negatives = negatives or NegativeEmbeddings(0)
    negative = negatives.find(negative_prompt, count) if guidance else None
    if count == 1:
        embeddings, negative = pipe.encode_prompt(
            prompt, device, 1, guidance, negative_prompt, negative_prompt_embeds=negative
        )
    else:
        embeddings = _encode_chunks(pipe, chunks, count, device)
        if guidance and negative is None:
            negative = _encode_chunks(pipe, negative_chunks, count, device)
    negatives.keep(negative_prompt, count, negative)
    return PromptEmbeddings(embeddings, negative, dropped_text)


def join_embeddings(embeddings: Sequence[PromptEmbeddings]) -> PromptEmbeddings:
    """Those of several clips as one batch ``[B, n × window, C]``; all have guidance, or none."""
    if len(embeddings) == 1:
        return embeddings[0]
    negatives = [each.negative for each in embeddings if each.negative is not None]
    return PromptEmbeddings(
        prompt=torch.cat([each.prompt for each in embeddings]),
        negative=torch.cat(negatives) if negatives else None,
        dropped_text=None,
    )


def split_prompt(tokenizer: Any, text: str) -> tuple[list[list[int]], str | None]:
    """Token ids (without the special ones) by window, and the text that fits none of them or None."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids, offsets = encoded.input_ids, encoded.offset_mapping
    room = tokenizer.model_max_length - 2
    chunks: list[list[int]] = []
    start = 0
    while len(ids) - start > room and len(chunks) < MAX_CHUNKS:
        end = _word_boundary(offsets, start, start + room)
        chunks.append(ids[start:end])
        start = end
    if len(chunks) == MAX_CHUNKS:
        return chunks, text[offsets[start][0] :].strip()
    return [*chunks, ids[start:]], None


def find_unknown_words(tokenizer: Any, prompt: str) -> tuple[str, ...]:
    """Words of the prompt that a small, word-level vocabulary spells out instead of knowing them.

    Empty for a tokenizer of ordinary size, where a word of several pieces is nothing unusual.
    """
    if len(tokenizer) >= _SMALL_VOCABULARY:
        return ()
    words = dict.fromkeys(word.lower() for word in _WORD.findall(prompt))
    return tuple(word for word in words if not _is_known(tokenizer, word))


def _is_known(tokenizer: Any, word: str) -> bool:
    ids = tokenizer(word, add_special_tokens=False).input_ids
    return len(ids) == 1 and ids[0] not in tokenizer.all_special_ids


def _word_boundary(offsets: list[tuple[int, int]], start: int, end: int) -> int:
    """The last token of ``start..end`` that begins a word; ``end`` where there is none."""
    for index in range(end, start, -1):
        if offsets[index][0] > offsets[index - 1][1]:
            return index
    return end


def _encode_chunks(pipe: Any, chunks: list[list[int]], count: int, device: torch.device) -> torch.Tensor:
    tokenizer, encoder = pipe.tokenizer, pipe.text_encoder
    window = tokenizer.model_max_length
    rows, masks = [], []
    for ids in [*chunks, *([[]] * (count - len(chunks)))]:
        row = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
        padding = window - len(row)
        rows.append(row + [tokenizer.pad_token_id] * padding)
        masks.append([1] * len(row) + [0] * padding)
    mask = (
        torch.tensor(masks, device=device) if getattr(encoder.config, "use_attention_mask", False) else None
    )
    embeddings: torch.Tensor = encoder(torch.tensor(rows, device=device), attention_mask=mask)[0]
    return embeddings.to(dtype=encoder.dtype, device=device).flatten(0, 1).unsqueeze(0)
