"""The mime bundles of displays, which later events update."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.system.spool import Spool
from nbrun.views.render.nbformat_text import valid_data

MimeBundle = tuple[dict[str, Any], dict[str, Any]]  # the data and the metadata of a display

_IN_MEMORY = 100  # bundles

_bundles = msgspec.json.Decoder(tuple[dict[str, Any], dict[str, Any]])


def bundle_of(event: ev.OutputUpdated) -> MimeBundle:
    """Return the bundle of an update, as nbformat allows it."""
    return valid_data(event.data), event.metadata


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
