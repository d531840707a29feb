"""Pictures and animations of a forecast: `view` chooses what is seen, `scenes` reads it, `drawing` draws it."""

from weatherml.verify.plot.drawing import MOVING as MOVING
from weatherml.verify.plot.drawing import draw as draw
from weatherml.verify.plot.scenes import read_scenes as read_scenes
from weatherml.verify.plot.view import SHOWN as SHOWN
from weatherml.verify.plot.view import View as View
