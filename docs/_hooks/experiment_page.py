"""What is no family's: the experiment's sections, the settings of a blend, a variable's."""

from __future__ import annotations

from config_keys import key_table, keys

from weatherml.forecast.blend.config import BlendConfig
from weatherml.run.experiment import Experiment
from weatherml.variables import Variable


def experiment() -> str:
    """A table of the experiment's keys, and one of each section that has keys of its own."""
    found = keys(Experiment)
    sections = dict.fromkeys(key.path.partition(".")[0] for key in found if "." in key.path)
    tables = [
        f"## {section}\n\n" + key_table(key for key in found if key.path.startswith(f"{section}."))
        for section in sections
    ]
    return "\n\n".join([key_table(key for key in found if "." not in key.path), *tables])


def blend() -> str:
    """The settings of a blend."""
    return key_table(keys(BlendConfig))


def variable() -> str:
    """The settings of a variable."""
    return key_table(keys(Variable))
