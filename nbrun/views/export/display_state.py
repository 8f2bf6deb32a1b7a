"""The newest state of displays and widgets, which earlier outputs show too.

As in Jupyter, every output with a display id shows the newest bundle of that id, and every view of
a widget shows the widget's newest state.
"""

from typing import Any

from nbrun.core import events as ev
from nbrun.views.export.bundles import BundleStore, bundle_of
from nbrun.views.render.widgets import VIEW_MIME, ViewedModels, Widgets


class DisplayState:
    """Fold output events into `bundles`, by display id, and the state of widgets."""

    def __init__(self) -> None:
        self.bundles = BundleStore()
        self._widgets = Widgets()
        self._viewed = ViewedModels(self._widgets)

    def add(self, event: ev.Output, output: dict[str, Any]) -> None:
        """Take an output event; `output` is the output as nbformat allows it."""
        self._widgets.take(event)
        self._viewed.add(output)
        if event.display_id is not None:
            self.bundles[event.display_id] = output["data"], output["metadata"]

    def change(self, event: ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged) -> None:
        """Take an update of a display or of widgets, or the clearing of a widget."""
        match event:
            case ev.OutputUpdated():
                self.bundles[event.display_id] = data, _ = bundle_of(event)
                self._viewed.add({"data": data})
            case ev.WidgetsChanged():
                self._viewed.note_closing(event)
        self._widgets.take(event)

    def close(self) -> None:
        self.bundles.close()

    # ── after the last event ─────────────────────────────────────────────────────────────────

    def shown(self, output: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what an output shows: of the view of an `Output` widget, what the widget holds."""
        return (
            self._widgets.outputs_of_view(output)
            if VIEW_MIME in output.get("data", ())
            else [output]
        )

    def captured(self, model: str) -> list[dict[str, Any]]:
        """Return what an `Output` model holds that no view has shown; else nothing."""
        return [] if model in self._viewed else self._widgets.outputs_of_model(model)
