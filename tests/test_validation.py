from dataclasses import replace

import pytest

from models.video import MAX_SEED, Quality, VideoCreate
from services.catalogue import Catalogue
from services.catalogue_entry import CatalogueEntry
from services.errors import InvalidRequest
from services.tiers import EXACT, Tier
from services.validation import complete_params, resolve_model

CATALOGUE = Catalogue.create("demo")
REFERENCE = CATALOGUE.get("text-to-video-ms-1.7b")
assert REFERENCE is not None


def test_what_is_left_out_takes_the_models_defaults() -> None:
    params = complete_params(VideoCreate(prompt=" a dog "), REFERENCE)
    defaults = REFERENCE.defaults
    for name in (
        "width",
        "height",
        "num_frames",
        "fps",
        "num_inference_steps",
        "guidance_scale",
        "scheduler",
    ):
        assert getattr(params, name) == getattr(defaults, name)
    assert (params.prompt, params.negative_prompt) == ("a dog", defaults.negative_prompt)


@pytest.mark.parametrize("quality", ["fast", "balanced", "exact"])
def test_a_tier_brings_its_steps_and_sampler(quality: Quality) -> None:
    tier = REFERENCE.tier(quality)
    assert tier is not None
    params = complete_params(VideoCreate(prompt="x", quality=quality), REFERENCE)
    assert params.quality == quality
    assert params.num_inference_steps == REFERENCE.default_steps(tier)
    assert params.scheduler == (tier.scheduler or REFERENCE.defaults.scheduler)
    asked = VideoCreate(prompt="x", quality=quality, num_inference_steps=7, scheduler="euler")
    params = complete_params(asked, REFERENCE)
    assert (params.num_inference_steps, params.scheduler) == (7, "euler")


def test_exact_is_the_default_and_changes_nothing() -> None:
    assert complete_params(VideoCreate(prompt="x"), REFERENCE).quality == "exact"
    assert REFERENCE.tier("exact") == Tier("exact", REFERENCE.tiers[0].description)
    assert REFERENCE.default_steps(REFERENCE.tiers[0]) == REFERENCE.defaults.num_inference_steps


def test_a_model_without_the_tier_names_those_it_has() -> None:
    entry = replace(REFERENCE, tiers=(EXACT,))
    with pytest.raises(InvalidRequest, match=r"'fast' is not offered .*; accepted values: exact") as caught:
        complete_params(VideoCreate(prompt="x", quality="fast"), entry)
    assert (caught.value.param, caught.value.status) == ("quality", 422)


@pytest.mark.parametrize("entry", list(CATALOGUE), ids=lambda entry: entry.name)
def test_every_model_can_do_what_its_tiers_say(entry: CatalogueEntry) -> None:
    assert entry.tiers[0] == EXACT
    for tier in entry.tiers:
        assert tier.scheduler in (None, *entry.schedulers)
        complete_params(VideoCreate(prompt="x", quality=tier.quality), entry)


def test_the_seed_is_kept_or_drawn() -> None:
    assert complete_params(VideoCreate(prompt="x", seed=0), REFERENCE).seed == 0
    drawn = {complete_params(VideoCreate(prompt="x"), REFERENCE).seed for _ in range(5)}
    assert len(drawn) > 1
    assert all(0 <= seed <= MAX_SEED for seed in drawn)


def test_zero_and_empty_are_values() -> None:
    request = VideoCreate(prompt="x", guidance_scale=0, negative_prompt="")
    params = complete_params(request, REFERENCE)
    assert (params.guidance_scale, params.negative_prompt) == (0, "")


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"width": 100}, "width", ["100", "128 to 1024 in steps of 64"]),
        ({"width": 2048}, "width", ["2048", "128 to 1024"]),
        ({"height": 130}, "height", ["130", "steps of 64"]),
        ({"num_frames": 10**30}, "num_frames", ["1 to 128"]),
        ({"fps": 61}, "fps", ["61", "1 to 60"]),
        ({"num_inference_steps": 201}, "num_inference_steps", ["201", "1 to 200"]),
        ({"guidance_scale": 30.5}, "guidance_scale", ["30.5", "0 to 30"]),
        ({"scheduler": "magic"}, "scheduler", ["magic", "dpm++", "ddim"]),
        ({"width": 1024, "height": 1024, "num_frames": 128}, "num_frames", ["at most 11 frames"]),
    ],
)
def test_a_broken_limit_is_named_with_what_is_accepted(body: dict, param: str, words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        complete_params(VideoCreate(prompt="x", **body), REFERENCE)
    assert caught.value.param == param
    assert caught.value.status == 422
    assert caught.value.message.startswith(f"{param}: ")
    for word in words:
        assert word in caught.value.message


def test_a_model_with_one_size_says_so() -> None:
    with pytest.raises(InvalidRequest, match="accepted value: 128"):
        complete_params(VideoCreate(prompt="x", width=64), CATALOGUE.default_entry)


def test_models_are_found_by_name() -> None:
    assert resolve_model(VideoCreate(prompt="x"), CATALOGUE).name == "demo"
    assert resolve_model(VideoCreate(prompt="x", model=REFERENCE.name), CATALOGUE) is REFERENCE
    with pytest.raises(InvalidRequest, match="available: text-to-video-ms") as caught:
        resolve_model(VideoCreate(prompt="x", model="sora"), CATALOGUE)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
