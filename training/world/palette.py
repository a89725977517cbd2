"""The colours that things have, as far from each other as twelve names allow."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 28, 36),
    "orange": (255, 138, 12),
    "yellow": (255, 226, 45),
    "green": (40, 178, 64),
    "cyan": (45, 214, 226),
    "blue": (45, 88, 242),
    "purple": (146, 44, 204),
    "pink": (255, 130, 192),
    "brown": (122, 66, 26),
    "white": (250, 250, 250),
    "black": (14, 14, 16),
    "grey": (130, 130, 130),
}
"""RGB, 0 to 255."""
