"""How people ask for sceneries; the second list of each is kept for testing."""

SUNSET_PLACE = "[over|behind|above] [the|] [mountains|mountain ranges|mountain range|hills|mountain peaks]"
SCENERY_PHRASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sunset": (
        (
            f"[a|a|the|] [peaceful|beautiful|golden|calm|] sunset {SUNSET_PLACE}",
            "[a|] sunset over mountain ranges",
            "the sun [setting|going down|sinking] [slowly|] [behind|over] [the|] [mountains|hills]",
            "sun [setting|going down] [behind|over] [the|] [mountains|mountain ranges|hills]",
            "[a|] sunset [in the mountains|with mountains|landscape|]",
            "mountains at sunset [, clouds drifting|, golden sky|]",
            "[an|the] evening sky [with clouds|] [over|above] [the|] mountains",
        ),
        ("a calm golden evening in the mountains, the sun sinking", "mountain peaks and a setting sun"),
    ),
    "city": (
        (
            "a [futuristic|futuristic|sci fi|future] city [at night|] with flying [cars|vehicles|ships]",
            "futuristic city [with|, ] flying [cars|vehicles]",
            "flying [cars|vehicles] [in|over|above] a [futuristic|future|neon|sci fi] city",
            "[a|the] [city of the future|neon city|futuristic skyline] [at night|] [with flying cars|]",
            "[cars|vehicles] flying [between|over] [the|] [towers|skyscrapers|buildings] [of a future city|]",
            "[a|] [futuristic|sci fi|neon] [city|skyline]",
        ),
        ("skyscrapers of a neon city at night, vehicles flying over", "a skyline of the future with ships"),
    ),
    "reef": (
        (
            "[a|the|] [colourful|colorful|] coral reef [under water|underwater|in the sea|with fish|]",
            "[fish|fishes|colourful fish|colorful fish] swimming [over|above|around] [a|the] coral reef",
            "[an|] underwater [scene|world] [with|of] [coral|corals|fish|coral and fish]",
            "[a|] [coral|] reef [with|and] [swimming|] fish [under water|underwater|]",
            "fish swimming [underwater|under water|in the ocean]",
            "[a fish|fish|fishes] [and|with] [colourful|] corals [in the sea|]",
        ),
        ("corals and fishes under water", "under the sea, colourful fish around a reef"),
    ),
    "shapes": (
        (
            "[abstract|colourful|] geometric shapes [morphing|dancing|morphing and dancing|changing]",
            "geometric shapes [morphing and dancing|that morph and dance|dancing together]",
            "[abstract|geometric] [art|animation|patterns] [with morphing shapes|of dancing shapes]",
            "[morphing|dancing] [geometric|abstract|] shapes",
        ),
        (
            "abstract geometric patterns, changing and dancing",
            "dancing and morphing geometric shapes together",
        ),
    ),
    "rain": (
        (
            "[heavy|gentle|] rain [falling|pouring|coming down|] [on|over|into|] [a lake|a pond|water|]",
            "rain [falling|]",
            "[a|] rainy [day|evening|weather]",
            "raindrops [falling|] [on|into] [water|a pond|a lake|puddles]",
            "it is raining [heavily|]",
            "[a|] rain [storm|shower]",
            "[a|] [heavy|] shower [falling|coming down|] [on|into] [water|a lake|puddles]",
            "[a pond|a lake|puddles] in [the|heavy|gentle|] rain",
        ),
        ("raindrops pouring on a rainy evening", "a gentle shower over a pond"),
    ),
    "snow": (
        (
            "snow [falling|falling gently|gently falling|coming down|] [on|over|in] the [forest|woods|trees]",
            "snow [falling|gently falling|falling gently|]",
            "snowflakes [falling|drifting down|] [on|over|in] [a winter forest|a winter landscape|the trees]",
            "[a|] [snowy|winter] [landscape|forest|day|night] [with falling snow|with trees|]",
            "it is snowing [gently|]",
        ),
        ("snowflakes gently falling on a snowy night", "winter woods, snow coming down"),
    ),
    "fireworks": (
        (
            "[colourful|colorful|bright|] fireworks [in|over|lighting up] the [night|dark|] sky",
            "fireworks [exploding|bursting|] [over a city|over the city|at night|above the houses|]",
            "[a|] [firework|fireworks] [show|display] [at night|]",
            "new year fireworks",
        ),
        ("a bright firework exploding above the city", "a colourful display in the dark sky"),
    ),
    "ball": (
        (
            "a bouncing ball [on the floor|on a floor|in a room|]",
            "a [shiny|rubber|] ball bouncing [on the floor|on the ground|up and down on the floor|in a room]",
            "a [rubber|shiny] ball [bouncing|that bounces] [on the floor|on the ground|]",
            "[a|the] ball [bounces|bouncing] [across|over] the [floor|ground]",
        ),
        ("on the floor a rubber ball bounces", "a shiny ball that bounces across a room"),
    ),
    "clock": (
        (
            "[a|the] [wall|round|] clock [with moving hands|ticking|showing the time|on a wall|on the wall|]",
            "[a|the] clock [face|] [with|and its] [turning|moving] hands",
            "the hands of a clock [turning|moving|going round]",
            "time passing on a clock",
        ),
        ("a round clock face, its hands going round", "a ticking clock showing time passing"),
    ),
    "waves": (
        (
            "[ocean|sea|] waves [rolling|crashing|] [in|] [on a beach|on the shore|at sea|in the sun|]",
            "[gentle|big|blue|] waves [on|in] the [sea|ocean]",
            "[the|a] [ocean|sea] with [rolling|gentle|big|] waves",
            "[a|the] [calm|stormy|wavy|] [sea|ocean]",
            "waves rolling [on|over] the [sea|ocean|water]",
        ),
        ("big blue waves crashing at sea", "rolling waves in the ocean sun"),
    ),
}
"""For each scenery the phrases used for training, and those that only testing uses."""
