"""The sentences that people make about one thing or two."""

OPENING = "[||||||a video of|a clip of|an animation of|video of]"
SILENT_FORMS = (
    *("{opening} {a thing} {there}",) * 3,
    "{there}, {a thing}",
    "{thing}, {backdrop}",
    "there is {a thing} {there}",
)
"""About what stands still, which need not be said."""
FORMS = (
    *("{opening} {a thing} {doing} {there}",) * 6,
    *("{there}, {a thing} {does}",) * 2,
    *("{thing}, {doing}, {backdrop}",) * 2,
    "there is {a thing} that {does} {there}",
    "{a thing} is {doing}, and the background is {like}",
    "{a thing} {does} {there}",
    *("{backdrop}, {a thing} {doing}",) * 2,
    "{there} {a thing} is {doing}",
    "{a thing}, {like} behind it, {doing}",
)
HELD_OUT_FORMS = (
    "{there} there is {a thing}, it {does}",
    "the background is {like}, and {a thing} is {doing}",
    "{backdrop} with {a thing} that is {doing}",
)
"""Sentences about one thing that only testing uses."""
ADJECTIVE_FORM = "{opening} a {quick} {adjective} {thing} {there}"
PAIR_FORMS = (
    *("{opening} {a thing}, {doing} {there}",) * 3,
    *("{opening} {a thing} {doing} {there}",) * 2,
    "{there}, {a thing}, {doing}",
    "{thing}, {doing}, {backdrop}",
    "there is {a thing}, {doing} {there}",
    "{backdrop}, {a thing}, {doing}",
    "{a thing} {there}, {doing}",
)
HELD_OUT_PAIR_FORMS = (
    "{there} there is {a thing}, {doing}",
    "{backdrop} with {a thing}, {doing}",
    "{doing} {there}, {a thing}",
)
"""Sentences about two things that only testing uses."""
