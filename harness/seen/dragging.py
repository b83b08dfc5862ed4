"""Sliders, where dragging teaches; every notebook can be read without them."""

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

UNATTENDED = "LAB_UNATTENDED"  # set where nobody can drag


def drag(draw: Callable[..., None], **choices: list[int]) -> None:
    """Show a slider for each argument of `draw`, which is called anew whenever one is dragged."""
    if os.environ.get(UNATTENDED) or find_spec("ipywidgets") is None:
        return
    widgets = import_module("ipywidgets")
    sliders = {
        name: widgets.SelectionSlider(
            options=[(f"{value:,}", value) for value in values],
            value=values[len(values) // 2],
            description=name.replace("_", " "),
            style={"description_width": "initial"},
            continuous_update=False,
        )
        for name, values in choices.items()
    }
    widgets.interact(draw, **sliders)
