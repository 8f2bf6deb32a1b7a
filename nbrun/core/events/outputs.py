"""Events of what an attempt shows."""

from typing import Any

from nbrun.core.events.base import EventBase


class Output(EventBase, frozen=True, kw_only=True, tag="output"):
    """One nbformat 4 output (stream text as a plain string), in the order of arrival.

    `late`: it arrived after its attempt had finished. `display_id` names it for later updates.
    `widget`: the id of the ipywidgets `Output` model that captured it, and that shows it in place
    of the cell; empty for the cell's own output.
    """

    step: str
    attempt: int
    output: dict[str, Any]
    display_id: str | None = None
    late: bool = False
    widget: str = ""


class OutputUpdated(EventBase, frozen=True, kw_only=True, tag="output.updated"):
    """Every output shown under `display_id`, of any attempt, changed to this mime bundle."""

    step: str
    attempt: int
    display_id: str
    data: dict[str, Any]
    metadata: dict[str, Any] = {}
    late: bool = False


class OutputCleared(EventBase, frozen=True, kw_only=True, tag="output.cleared"):
    """The attempt's outputs were cleared: at once or, if `wait`, when its next output arrives.

    `widget`: what the `Output` model with this id holds was cleared instead; empty for the cell.
    """

    step: str
    attempt: int
    wait: bool
    late: bool = False
    widget: str = ""


class OutputCapped(EventBase, frozen=True, kw_only=True, tag="output.capped"):
    """An attempt's output exceeded `limit` bytes, and nbrun dropped the rest.

    So far it dropped `outputs` outputs of `bytes` bytes in all, with this SHA-256 (see
    `kernel.output_limit`). Recorded when dropping begins and when the attempt has ended; an
    attempt's later event replaces its earlier one.
    """

    step: str
    attempt: int
    limit: int
    outputs: int
    bytes: int
    sha256: str
    late: bool = False


class WidgetsChanged(EventBase, frozen=True, kw_only=True, tag="widgets.changed"):
    """Progress bars of ipywidgets, the text beside them, or the boxes that hold them, changed.

    `models` maps a model's id to its changed values of `_model_name`, `value`, `min`, `max`,
    `description`, `children`, `bar_style`. `closed`: the models that were closed, views and all.
    """

    step: str
    attempt: int
    models: dict[str, Any]
    late: bool = False
    closed: tuple[str, ...] = ()
