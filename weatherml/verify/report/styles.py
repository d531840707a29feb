"""The look of each forecast on the page: classes of the style sheet."""

from __future__ import annotations

from weatherml.verify.scores.scores import Scores

STYLES = 8  # colours in the style sheet for each kind of line


def styles(scores: Scores) -> dict[str, str]:
    """The style-sheet classes of each forecast's and baseline's lines."""
    ours = {name: f"f{index % STYLES}" for index, name in enumerate(scores.forecasts)}
    return ours | {name: f"b{index % STYLES}" for index, name in enumerate(scores.baselines)}
