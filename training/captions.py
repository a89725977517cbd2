"""Describes a drawn clip in words, as varied as people would; see some with: python -m training.captions"""

import string

import numpy as np

from training.drawing import Scene, random_scene

DEFAULT_BACKGROUND = "black"
"""What a caption means that names no background."""
SHAPE_WORDS = {
    "circle": ("circle", "circle", "disc", "ball"),
    "square": ("square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
}
COLOUR_WORDS = {"purple": ("purple", "purple", "violet"), "grey": ("grey", "gray")}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "medium": ("",), "large": ("large", "big", "huge")}
MOTION_WORDS = {
    "left": ("to the left", "left", "left", "leftwards"),
    "right": ("to the right", "right", "right", "rightwards"),
    "up": ("up", "up", "upwards", "to the top"),
    "down": ("down", "down", "downwards", "to the bottom"),
}
VERBS = (
    "moving",
    "moving",
    "moving",
    "moves",
    "drifting",
    "sliding",
    "gliding",
    "flying",
    "going",
    "floating",
)
OWN_VERBS = {"up": ("rising", "rises"), "down": ("falling", "falls")}
STILL_WORDS = ("", "standing still", "not moving", "still", "staying in place", "resting")
BACKGROUND_PHRASES = (
    "on a {} background",
    "on a {} background",
    ", {} background",
    "on {}",
    "over a {} background",
    "against a {} backdrop",
    "in front of a {} background",
)
OPENINGS = ("", "", "", "", "a video of", "a clip of", "an animation of")
GRAMMAR = "a an the and with in of is there shape"
"""Words that a prompt may well hold besides those above."""


def describe(scene: Scene, rng: np.random.Generator) -> str:
    """A caption for a scene.

    Shape and colour are always named; so is a motion, unless the object stands still; the background is left
    out half the time where it is the default; the size, most of the time.
    """
    caption = " ".join(
        [_pick(OPENINGS, rng), _object(scene, rng), _motion(scene, rng), _background(scene, rng)]
    )
    caption = " ".join(caption.split()).replace(" ,", ",")
    return _with_noise_word(caption, rng) if rng.random() < 0.1 else caption


def vocabulary() -> list[str]:
    """Every word that a caption can hold, sorted; the tokenizer knows them whole."""
    phrases = [GRAMMAR, *COLOUR_WORDS, *VERBS, *STILL_WORDS, *BACKGROUND_PHRASES, *OPENINGS]
    for words in (SHAPE_WORDS, COLOUR_WORDS, SIZE_WORDS, MOTION_WORDS, OWN_VERBS):
        phrases += [phrase for group in words.values() for phrase in group]
    phrases += ["red orange yellow green blue pink white black"]
    return sorted(
        {word for phrase in phrases for word in phrase.replace(",", " ").replace("{}", " ").split()}
    )


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _object(scene: Scene, rng: np.random.Generator) -> str:
    size = _pick(SIZE_WORDS[scene.size], rng) if rng.random() < 0.4 else ""
    colour = _pick(COLOUR_WORDS.get(scene.colour, (scene.colour,)), rng)
    words = f"{size} {colour} {_pick(SHAPE_WORDS[scene.shape], rng)}".strip()
    article = "an" if words[0] in "aeiou" else "a"
    return f"{_pick((article, article, 'the', ''), rng)} {words}"


def _motion(scene: Scene, rng: np.random.Generator) -> str:
    if scene.direction == "still":
        return _pick(STILL_WORDS, rng)
    if scene.direction in OWN_VERBS and rng.random() < 0.25:
        return _pick(OWN_VERBS[scene.direction], rng)
    return f"{_pick(VERBS, rng)} {_pick(MOTION_WORDS[scene.direction], rng)}"


def _background(scene: Scene, rng: np.random.Generator) -> str:
    if scene.background == DEFAULT_BACKGROUND and rng.random() < 0.5:
        return ""
    colour = _pick(COLOUR_WORDS.get(scene.background, (scene.background,)), rng)
    return _pick(BACKGROUND_PHRASES, rng).format(colour)


def _with_noise_word(caption: str, rng: np.random.Generator) -> str:
    """Put a word of random letters in, so that words the model was never told do not throw it off."""
    noise = "".join(rng.choice(list(string.ascii_lowercase), size=int(rng.integers(2, 9))))
    words = caption.split()
    words.insert(int(rng.integers(len(words) + 1)), noise)
    return " ".join(words)


def main() -> None:
    """Print twenty captions beside the scenes that they describe."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        scene = random_scene(rng)
        print(f"{describe(scene, rng):70} {scene}")


if __name__ == "__main__":
    main()
