"""The newest state of displays and widgets, which earlier outputs show too.

As in Jupyter, every output with a display id shows the newest bundle of that id, and every view of
a widget shows the widget's newest text.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.views.export.outputs import MimeBundle, bundle_of
from nbrun.views.export.spool import Spool
from nbrun.views.render.widgets import Widgets, model_id_of

_IN_MEMORY = 100  # bundles

_bundles = msgspec.json.Decoder(tuple[dict[str, Any], dict[str, Any]])


class DisplayState:
    """Fold output events into `bundles`, by display id, and `texts`, by the id of a widget model.

    `texts` holds only models that an output shows.
    """

    def __init__(self) -> None:
        self.bundles = BundleStore()
        self.texts: dict[str, str] = {}
        self._widgets = Widgets()

    def add(self, event: ev.Output, output: dict[str, Any]) -> None:
        """Take an output event; `output` is its entry in the notebook."""
        if event.display_id is not None:
            self.bundles[event.display_id] = output["data"], output["metadata"]
        model = model_id_of(output)
        if model is not None:
            self._update_text(model)

    def change(self, event: ev.OutputUpdated | ev.WidgetsChanged) -> None:
        """Take an update of a display or of widgets."""
        if isinstance(event, ev.OutputUpdated):
            self.bundles[event.display_id] = bundle_of(event)
            return
        self._widgets.take(event)
        for model in self.texts:
            self._update_text(model)

    def _update_text(self, model: str) -> None:
        """A closed widget has no text any more: its last one stays."""
        self.texts[model] = self._widgets.text(model) or self.texts.get(model, "")


class BundleStore(Mapping[str, MimeBundle]):
    """Mime bundles by display id; all but the newest few are in a temporary file."""

    def __init__(self) -> None:
        self._newest: dict[str, MimeBundle] = {}
        self._spool = Spool()
        self._numbers: dict[str, int] = {}

    def __setitem__(self, display_id: str, bundle: MimeBundle) -> None:
        self._newest[display_id] = bundle
        if len(self._newest) > _IN_MEMORY:
            self._store_newest()

    def __getitem__(self, display_id: str) -> MimeBundle:
        if display_id in self._newest:
            return self._newest[display_id]
        return _bundles.decode(self._spool[self._numbers[display_id]])

    def __iter__(self) -> Iterator[str]:
        return iter({**self._numbers, **self._newest})

    def __len__(self) -> int:
        return len({**self._numbers, **self._newest})

    def close(self) -> None:
        self._spool.close()

    def _store_newest(self) -> None:
        for display_id, bundle in self._newest.items():
            data = msgspec.json.encode(bundle)
            if display_id in self._numbers:
                self._spool.replace(self._numbers[display_id], data)
            else:
                self._numbers[display_id] = self._spool.add(data)
        self._newest.clear()
