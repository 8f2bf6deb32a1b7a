"""What displays with a name, and widgets, show at last: outputs that came before show it too."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.views.export.outputs import Bundle, bundle_of
from nbrun.views.export.spool import Pieces
from nbrun.views.render.widgets import Widgets, model_id_of

_FRESH = 100  # bundles that are in memory

_bundles = msgspec.json.Decoder(tuple[dict[str, Any], dict[str, Any]])


class Shown:
    """Folds output events into the newest bundle of each display id, `bundles`, and the last words
    of each model that an output is a view of, `texts`."""

    def __init__(self) -> None:
        self.bundles = Bundles()
        self.texts: dict[str, str] = {}
        self._widgets = Widgets()

    def put_out(self, event: ev.Output, output: dict[str, Any]) -> None:
        """`output`: as the notebook has it."""
        if event.display_id is not None:
            self.bundles[event.display_id] = output["data"], output["metadata"]
        model = model_id_of(output)
        if model is not None:
            self._tell(model)

    def change(self, event: ev.OutputUpdated | ev.WidgetsChanged) -> None:
        if isinstance(event, ev.OutputUpdated):
            self.bundles[event.display_id] = bundle_of(event)
            return
        self._widgets.take(event)
        for model in self.texts:
            self._tell(model)

    def _tell(self, model: str) -> None:
        """What it says when it says nothing any more is what it said before."""
        self.texts[model] = self._widgets.text(model) or self.texts.get(model, "")


class Bundles(Mapping[str, Bundle]):
    """Mime bundles by display id; all but the newest few are in a temporary file."""

    def __init__(self) -> None:
        self._fresh: dict[str, Bundle] = {}
        self._pieces = Pieces()
        self._numbers: dict[str, int] = {}

    def __setitem__(self, display_id: str, bundle: Bundle) -> None:
        self._fresh[display_id] = bundle
        if len(self._fresh) > _FRESH:
            self._put_away()

    def __getitem__(self, display_id: str) -> Bundle:
        if display_id in self._fresh:
            return self._fresh[display_id]
        return _bundles.decode(self._pieces[self._numbers[display_id]])

    def __iter__(self) -> Iterator[str]:
        return iter({**self._numbers, **self._fresh})

    def __len__(self) -> int:
        return len({**self._numbers, **self._fresh})

    def close(self) -> None:
        self._pieces.close()

    def _put_away(self) -> None:
        for display_id, bundle in self._fresh.items():
            piece = msgspec.json.encode(bundle)
            if display_id in self._numbers:
                self._pieces.replace(self._numbers[display_id], piece)
            else:
                self._numbers[display_id] = self._pieces.add(piece)
        self._fresh.clear()
