"""Secret values never pass here: every event of a run goes through before anything else sees it.

Each form of a secret has a placeholder of its own, so that the source that the kernel is sent can
be made again from the one that is recorded. Streams are held back by what may be the beginning of a
secret. What a cell makes of a secret in other ways (encrypted, hashed, drawn) passes.
"""

import itertools
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.secret_encodings import encoded_forms
from nbrun.errors import SecretUnknownError

_MATCHED = "[redacted]"
_LONGEST_LINE = 65536  # characters held back for a pattern at most
_SECRET = re.compile(r"\[secret:([^\]:\n]+)(?::[^\]\n]+)?\]")
_PLACEHOLDER = re.compile(r"(\[(?:secret|redacted):[^\]\n]+\])")

# What nbrun itself reads in events: words of its own, and names that hold a plan together.
_OWN_WORDS = frozenset(
    ("run", "step", "id", "tags", "kind", "kinds", "outcome", "cause", "decision")
)


class Redaction:
    """Knows the secrets of one run: by parameter, `secrets` their values and `literals` how the
    language writes them. `patterns` are regular expressions of what is redacted besides. `lost`
    are the parameters whose secrets only the process knew that began the run."""

    def __init__(
        self,
        secrets: Mapping[str, Any] | None = None,
        literals: Mapping[str, str] | None = None,
        patterns: Iterable[str] = (),
        lost: Iterable[str] = (),
    ) -> None:
        self._names = frozenset(secrets or ())
        self._lost = frozenset(lost) - self._names
        self._forms = encoded_forms(secrets or {}, literals or {})
        self._texts = {placeholder: text for text, placeholder in self._forms.items()}
        self._known = _any_of(self._forms)
        self._patterns = re.compile("|".join(f"(?:{each})" for each in patterns) or r"(?!)")
        self._has_patterns = bool(self._patterns.pattern != r"(?!)")
        self._held: dict[tuple[str, int, str, bool], ev.Output] = {}

    @property
    def knows_all(self) -> bool:
        """Whether no secret of the run is unknown to this process."""
        return not self._lost

    def learn(self, secrets: Mapping[str, str]) -> None:
        """Secrets that come up while the run goes on. One whose value has changed is known by both,
        the later by a name with a number. May be called from any thread."""
        fresh: dict[str, str] = {}
        for name, value in secrets.items():
            if value not in self._forms:
                fresh[_unused(name, self._names | fresh.keys())] = value
        forms = encoded_forms(fresh, {})
        self._names |= fresh.keys()
        self._texts.update((told, text) for text, told in forms.items())
        self._forms = forms | self._forms  # another thread may be going through the old ones
        self._known = _any_of(self._forms)

    # ── texts ────────────────────────────────────────────────────────────────────────────────

    def text(self, text: str) -> str:
        """`text` without what must not be seen."""
        return self._matched(self._without_secrets(text), lambda _match: _MATCHED)

    def _without_secrets(self, text: str) -> str:
        return self._known.sub(lambda match: self._forms[match[0]], text)

    def _matched(self, text: str, instead: Callable[[str], str]) -> str:
        """A match of nothing, such as of `x*`, hides nothing; what is hidden already stays so."""
        if not self._has_patterns:
            return text
        parts = _PLACEHOLDER.split(text)
        parts[::2] = [
            self._patterns.sub(lambda match: instead(match[0]) if match[0] else "", part)
            for part in parts[::2]
        ]
        return "".join(parts)

    def scrub(self, data: bytes) -> bytes:
        """The same for what a process wrote; nothing of it where not all secrets are known."""
        if self._lost and data:
            names = ", ".join(sorted(self._lost))
            return f"(output not kept: the secrets {names} are not known here)\n".encode()
        text = data.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def _source(self, source: str) -> str:
        """Code, which `reveal` has to make again: what a pattern matched is remembered."""
        return self._matched(self._without_secrets(source), self._remembered)

    def _remembered(self, text: str) -> str:
        known = (each for each, original in self._texts.items() if original == text)
        placeholder = next(known, f"[redacted:{len(self._texts) + 1}]")
        self._texts[placeholder] = text
        return placeholder

    def reveal(self, source: str) -> str:
        """What the kernel is sent for the recorded `source`.

        Raises:
            SecretUnknownError: a secret in it is not known here.
        """
        for name in _SECRET.findall(source):
            if name in self._lost:
                raise SecretUnknownError(
                    f"the secret {name} is not known to this process: give it again"
                )
        if not self._texts:
            return source
        return _any_of(self._texts).sub(lambda match: self._texts[match[0]], source)

    # ── events ───────────────────────────────────────────────────────────────────────────────

    def let_through(self, event: Event) -> list[Event]:
        """What may be recorded when `event` happens: it, redacted, after what was held back; or
        less, when it ends in what may be a secret's beginning."""
        if not self._forms and not self._has_patterns:
            return [event]
        if isinstance(event, ev.Output) and event.output.get("output_type") == "stream":
            return self._streamed(event)
        return [*self._released(), self.clean(event)]

    def release(self) -> list[Event]:
        """What is held back, as it is recorded when nothing more of it can come."""
        return list(self._released())

    def _released(self, keep: ev.Output | None = None) -> Iterator[Event]:
        """What is held of every attempt but that of `keep`."""
        for key, held in list(self._held.items()):
            if keep is None or (held.step, held.attempt) != (keep.step, keep.attempt):
                del self._held[key]
                yield _with_text(held, self.text(_text(held)))

    def _streamed(self, event: ev.Output) -> list[Event]:
        """The other stream of the same attempt stays held: a process may write both at once."""
        released = list(self._released(keep=event))
        key = (event.step, event.attempt, str(event.output.get("name")), event.late)
        before = self._held.pop(key, None)
        text = (_text(before) if before else "") + _text(event)
        upto = self._safe_end(text)
        if upto < len(text):
            self._held[key] = _with_text(event, text[upto:])
        safe = [_with_text(event, self.text(text[:upto]))] if upto else []
        return [*released, *safe]

    def _safe_end(self, text: str) -> int:
        """Where the part of `text` begins that more text could make a secret of, or a match."""
        upto = self._first_beginning(text)
        if self._has_patterns:
            line = max(text.rfind("\n"), text.rfind("\r")) + 1
            upto = min(upto, line) if len(text) - line <= _LONGEST_LINE else upto
        return upto

    def _first_beginning(self, text: str) -> int:
        """Where the first end of `text` begins that a form begins with, outside the forms that are
        whole already, and can't be the beginning of a longer one."""
        start = 0
        while True:
            upto = min((_beginning(text, form, start) for form in self._forms), default=len(text))
            if upto == len(text):
                return upto
            ends = (m.end() for m in self._known.finditer(text) if m.start() < upto < m.end())
            whole = next(ends, None)
            if whole is None:
                return upto
            start = whole

    def clean(self, value: Any) -> Any:
        """An event, or a part of one, without what must not be seen."""
        match value:
            case str():
                return self.text(value)
            case int() | float() if str(value) in self._forms:
                return self._forms[str(value)]
            case ev.RunStarted():
                return self._struct(value, parameters=self.parameters(value.parameters))
            case ev.Output(output=output):
                own = {key: output[key] for key in ("output_type",) if key in output}
                return self._struct(value, output=self.clean(output) | own)
            case ev.Stopped():
                return self._struct(value, reason=value.reason)
            case msgspec.Struct():
                return self._struct(value)
            case dict():
                return {self.clean(key): self.clean(item) for key, item in value.items()}
            case list() | tuple():
                return type(value)(map(self.clean, value))
        return value

    def _struct(self, value: Any, **ready: Any) -> Any:
        changed = {
            name: self._field(name, getattr(value, name))
            for name in value.__struct_fields__
            if name not in _OWN_WORDS
        }
        return msgspec.structs.replace(value, **changed | ready)

    def _field(self, name: str, value: Any) -> Any:
        if name == "source" and value:
            return self._source(value)
        return value if isinstance(value, int | float) else self.clean(value)

    def parameters(self, values: dict[str, Any]) -> dict[str, Any]:
        """A secret number is no text in which it could be found."""
        return {
            name: f"[secret:{name}]" if name in self._names else self.clean(value)
            for name, value in values.items()
        }


class RedactingFormatter(logging.Formatter):
    """Writes warnings without what must not be seen."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction.text(super().format(record))


# ── where a secret stands in a text ───────────────────────────────────────────────────────────


def _unused(name: str, names: Collection[str]) -> str:
    """`name`, or it with a number."""
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in names)


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """The longest of `texts` at each place; of none, nothing."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _beginning(text: str, form: str, start: int) -> int:
    """Where, from `start` on, the longest end of `text` stands that `form` begins with."""
    at = text.find(form[0], max(start, len(text) - len(form) + 1))
    while at >= 0 and not form.startswith(text[at:]):
        at = text.find(form[0], at + 1)
    return len(text) if at < 0 else at


def _text(event: ev.Output) -> str:
    return str(event.output.get("text", ""))


def _with_text(event: ev.Output, text: str) -> ev.Output:
    return msgspec.structs.replace(event, output={**event.output, "text": text})
