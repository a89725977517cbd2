"""Pictures of places and events that move as a whole, each in a file of its own."""

from training.world.scenery.ball import ball
from training.world.scenery.canvas import Painter
from training.world.scenery.city import city
from training.world.scenery.clock import clock
from training.world.scenery.fireworks import fireworks
from training.world.scenery.rain import rain
from training.world.scenery.reef import reef
from training.world.scenery.shapes import shapes
from training.world.scenery.snow import snow
from training.world.scenery.sunset import sunset
from training.world.scenery.waves import waves

SCENERIES: dict[str, Painter] = {
    "sunset": sunset,
    "city": city,
    "reef": reef,
    "shapes": shapes,
    "rain": rain,
    "snow": snow,
    "fireworks": fireworks,
    "ball": ball,
    "clock": clock,
    "waves": waves,
}
"""Each draws uint8[T, size, size, 3] from (rng, size, num_frames)."""
