"""The demo's tokenizer knows its words whole and survives being saved."""

from pathlib import Path

from transformers import CLIPTokenizer

from training.tokenizer import MAX_LENGTH, build_tokenizer, learn_merges
from training.world.captions import vocabulary


def test_every_word_of_ours_is_one_token() -> None:
    tokenizer = build_tokenizer(vocabulary())
    assert [word for word in vocabulary() if len(tokenizer.tokenize(word)) != 1] == []


def test_unknown_words_fall_apart_and_nothing_is_lost() -> None:
    tokenizer = build_tokenizer(vocabulary())
    assert len(tokenizer.tokenize("quixotic")) > 1
    ids = tokenizer("A quixotic Red circle, moving é").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a quixotic red circle , moving é"


def test_saved_and_loaded_it_reads_the_same(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(vocabulary())
    tokenizer.save_pretrained(tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    assert loaded.model_max_length == MAX_LENGTH
    prompt = "a red circle moving left, blue background"
    assert loaded(prompt, padding="max_length").input_ids == tokenizer(prompt, padding="max_length").input_ids
    assert len(loaded("red " * 200, truncation=True).input_ids) == MAX_LENGTH


def test_merges_are_learnt_by_frequency() -> None:
    assert learn_merges(["ab", "abc", "abd"])[0] == ("a", "b")
    assert learn_merges([]) == []
