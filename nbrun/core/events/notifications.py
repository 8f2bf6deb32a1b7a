"""Events about what was told elsewhere: to hooks and to chat services."""

from nbrun.core.events.base import EventBase
from nbrun.core.model import Occasion


class NotificationSent(EventBase, frozen=True, kw_only=True, tag="notification.sent"):
    """A hook or a chat service accepted a message about line `about` of this record.

    `target`: the hook's program, or the source of the service's URL.
    """

    on: Occasion
    about: int
    target: str


class NotificationFailed(EventBase, frozen=True, kw_only=True, tag="notification.failed"):
    """A hook or a chat service did not take a message about line `about` of this record.

    `on` and `target` are as in `notification.sent`. `about` is -1 for the run as a whole.
    """

    on: Occasion
    about: int
    target: str
    why: str
