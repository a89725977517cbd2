"""The words for what is drawn. [a|b] in a phrase stands for a or b; a repeated word is likelier."""

import re

import numpy as np

from training.world.motions import DIRECTIONS

SHAPE_WORDS = {
    "circle": "[circle|circle|circle|disc|disk|ball|dot]",
    "square": "[square|square|square|box|block]",
    "triangle": "triangle",
    "star": "star",
    "ring": "[ring|ring|ring|hoop|donut]",
    "heart": "heart",
    "cross": "[cross|cross|cross|plus|plus sign]",
    "crescent": "[crescent|crescent|moon|crescent moon|half moon]",
}
COLOUR_WORDS = {
    "red": "[red|red|red|crimson|scarlet]",
    "orange": "[orange|orange|orange|tangerine]",
    "yellow": "[yellow|yellow|yellow|golden|gold]",
    "green": "[green|green|green|emerald]",
    "cyan": "[cyan|cyan|turquoise|aqua|light blue]",
    "blue": "[blue|blue|blue|azure|royal blue]",
    "purple": "[purple|purple|violet]",
    "pink": "[pink|pink|pink|rose]",
    "brown": "[brown|brown|brown|chocolate]",
    "white": "white",
    "black": "black",
    "grey": "[grey|gray|grey|gray|silver]",
}
SIZE_WORDS = {
    "small": "[small|small|little|tiny]",
    "medium": "[||||||medium|medium-sized]",
    "large": "[large|large|big|huge|giant]",
}
SPEED_WORDS = {
    "slow": "[slowly|slowly|gently|at a slow pace|at low speed]",
    "normal": "[||||||||at normal speed|steadily]",
    "fast": "[fast|fast|quickly|rapidly|at high speed|at a fast pace]",
}
RELATION_WORDS = {
    "above": "[above|above|over|higher than]",
    "below": "[below|below|under|beneath|underneath]",
    "left of": "[left of|to the left of|to the left of|on the left of]",
    "right of": "[right of|to the right of|to the right of|on the right of]",
}
WAYS = {
    "left": "[left|left|to the left|leftwards|leftward|towards the left|from right to left]",
    "right": "[right|right|to the right|rightwards|rightward|towards the right|from left to right]",
    "up": "[up|up|upwards|upward|to the top|towards the top|from bottom to top]",
    "down": "[down|down|downwards|downward|to the bottom|towards the bottom|from top to bottom]",
    "up-left": "[up and left|up and to the left|diagonally up and left|to the [upper|top] left|up-left]",
    "up-right": "[up and right|up and to the right|diagonally up and right|to the [upper|top] right"
    "|up-right]",
    "down-left": "[down and left|down and to the left|diagonally down and left|to the [lower|bottom] left"
    "|down-left]",
    "down-right": "[down and right|down and to the right|diagonally down and right"
    "|to the [lower|bottom] right|down-right]",
}
VERBS = (
    *(("moving", "moves"),) * 4,
    ("drifting", "drifts"),
    ("sliding", "slides"),
    ("gliding", "glides"),
    ("flying", "flies"),
    ("floating", "floats"),
    ("going", "goes"),
    ("heading", "heads"),
    ("travelling", "travels"),
    ("traveling", "travels"),
)
"""Each as it follows "is" and "it"."""
OWN_VERBS = {
    "up": (("rising", "rises"), ("ascending", "ascends"), ("climbing", "climbs")),
    "down": (
        ("falling", "falls"),
        ("sinking", "sinks"),
        ("descending", "descends"),
        ("dropping", "drops"),
    ),
    "still": (
        ("standing still", "stands still"),
        ("not moving", "does not move"),
        ("staying still", "stays still"),
        ("staying in place", "stays in place"),
        ("resting", "rests"),
    ),
    "rotate": (
        ("rotating", "rotates"),
        ("spinning", "spins"),
        ("turning around", "turns around"),
        ("rotating clockwise", "rotates clockwise"),
    ),
    "grow": (
        ("growing", "grows"),
        ("expanding", "expands"),
        ("getting [bigger|larger]", "gets [bigger|larger]"),
        ("growing [bigger|larger]", "grows [bigger|larger]"),
    ),
    "shrink": (
        ("shrinking", "shrinks"),
        ("getting smaller", "gets smaller"),
        ("contracting", "contracts"),
    ),
    "bounce": (
        ("bouncing", "bounces"),
        ("bouncing up and down", "bounces up and down"),
        ("hopping", "hops"),
        ("jumping up and down", "jumps up and down"),
    ),
    "orbit": (
        ("orbiting", "orbits"),
        ("circling", "circles"),
        ("moving in a circle", "moves in a circle"),
        ("going around in circles", "goes around in circles"),
        ("orbiting the [centre|center|middle]", "orbits the [centre|center|middle]"),
    ),
}
ADJECTIVES = {
    "left": "leftward-moving",
    "right": "rightward-moving",
    "up": "rising",
    "down": "[falling|downward-moving]",
    "still": "[still|motionless]",
    "rotate": "[rotating|spinning]",
    "grow": "growing",
    "shrink": "shrinking",
    "bounce": "[bouncing|hopping]",
    "orbit": "circling",
}
"""Motions that can stand before what moves, after "a"."""
_PLAIN = "[on|on|over|against|in front of|with] [a|a|the] {} [background|background|background|backdrop]"
_PLAIN_NAMES = {
    "black": "black",
    "white": "white",
    "grey": "[grey|gray]",
    "blue": "[blue|blue|dark blue|navy]",
    "green": "[green|green|dark green]",
    "yellow": "[yellow|yellow|light yellow|pale yellow]",
    "pink": "[pink|pink|light pink|pale pink]",
}
BACKGROUND_NAMES = {
    **{name: f"{words} [background|background|backdrop]" for name, words in _PLAIN_NAMES.items()},
    "blue gradient": "blue gradient [background|backdrop|]",
    "sunrise": "sunrise [gradient|background|sky]",
    "night": "[night sky|starry sky|starry night|night sky background]",
    "grass": "[grass|meadow|green meadow|grassy field|grass background]",
    "beach": "[beach|sandy beach|beach background]",
}
BACKGROUND_PHRASES = {
    **{
        name: f"[{_PLAIN.format(words)}|{_PLAIN.format(words)}|[on|over] {words}]"
        for name, words in _PLAIN_NAMES.items()
    },
    "blue gradient": "[on|over|against|with] a blue gradient [|background|backdrop]",
    "sunrise": "[at sunrise|in front of a sunrise|against a sunrise sky|on a sunrise [background|gradient]]",
    "night": "[at night|in the night sky|under the stars|[against|in front of] [a|the] [night|starry] sky"
    "|on a night sky background]",
    "grass": "[[on|over|in] [a|the] [green meadow|meadow|grassy field]|[on|over] [the|green] grass"
    "|on a grass background]",
    "beach": "[[on|at|over] [a|the] [beach|sandy beach]|over the sand|in front of a beach"
    "|on a beach background]",
}
BACKGROUND_LIKENESS = {
    **_PLAIN_NAMES,
    "blue gradient": "a blue gradient",
    "sunrise": "a sunrise",
    "night": "[the night sky|a starry sky]",
    "grass": "[a meadow|grass]",
    "beach": "a beach",
}
"""As it follows "the background is"."""
_INNERMOST = re.compile(r"\[([^\[\]]*)\]")


def verbs_of(motion: str) -> tuple[tuple[str, str], ...]:
    """The phrases for a motion, each as it follows "is" and "it"."""
    own = OWN_VERBS.get(motion, ())
    if motion not in DIRECTIONS:
        return own
    return (*((f"{doing} {WAYS[motion]}", f"{does} {WAYS[motion]}") for doing, does in VERBS), *own)


def say(phrase: str, rng: np.random.Generator) -> str:
    """A phrase with every [a|b] decided and single spaces between words."""

    def decide(found: re.Match[str]) -> str:
        options = found[1].split("|")
        return options[int(rng.integers(len(options)))]

    while "[" in phrase:
        phrase = _INNERMOST.sub(decide, phrase)
    return re.sub(r" ([,.:])", r"\1", " ".join(phrase.split()))


def words_in(*phrases: str) -> set[str]:
    """Every word that a phrase can be said with."""
    return {word for phrase in phrases for word in re.findall("[a-z]+", re.sub(r"\{.*?\}", " ", phrase))}
