"""Redaction of secrets: every event of a run passes through here before it is recorded or shown.

Each encoding of a secret has its own placeholder, so that the source to send to the kernel can be
restored from the recorded source. Stream text that may be the beginning of a secret is held back.
Colours, erasures and tags may stand between the characters of a secret: a screen shows it whole.
What a cell makes of a secret in other ways (encryption, hashes, images) is not detected.
"""

import itertools
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core.bounded_patterns import BoundedPattern
from nbrun.core.events import Event
from nbrun.core.markup import (
    Unmarked,
    markup_in,
    may_have_markup,
    without_markup,
    without_unfinished,
)
from nbrun.core.redaction import unredacted
from nbrun.core.redaction.secret_encodings import encoded_forms
from nbrun.errors import SecretUnknownError, SlowPatternError

_PATTERN_PLACEHOLDER = "[redacted]"
_WITHHELD = "[redacted: a pattern of nbrun.toml takes too long on this text]"
_MATCH_SECONDS = 1.0  # of the processor's time, for the patterns on one text
_LEAST_MATCH_SECONDS = 0.05
_MAX_HELD_LINE = 65536  # characters: a longer unfinished line is not held back for a pattern
_MAX_HELD_MARKUP = 65536  # characters of markup, and of what it breaks up, that are held back
_OPENING = "[secret:"
_SECRET = re.compile(r"\[secret:([^\]:\n]+)(?::[^\]\n]+)?\]")
_PLACEHOLDER = re.compile(r"(\[(?:secret|redacted):[^\]\n]+\])")


class Redaction:
    """The redaction for one run.

    - `secrets`: the values of the secret parameters, by name.
    - `literals`: how the kernel's language writes each of them, by name.
    - `patterns`: regular expressions; their matches are redacted too.
    - `unknown`: names of parameters whose secrets only the process knew that began the run.
    """

    def __init__(
        self,
        secrets: Mapping[str, Any] | None = None,
        literals: Mapping[str, str] | None = None,
        patterns: Iterable[str] = (),
        unknown: Iterable[str] = (),
    ) -> None:
        self._names = frozenset(secrets or ())
        self._unknown = frozenset(unknown) - self._names
        self._withheld: frozenset[str] = frozenset()  # names of secrets that no kernel gets
        self._forms = encoded_forms(secrets or {}, literals or {})
        self._originals = {placeholder: text for text, placeholder in self._forms.items()}
        self._index_forms()
        combined = "|".join(f"(?:{each})" for each in patterns)
        self._patterns = BoundedPattern(combined) if combined else None
        self._match_seconds = _MATCH_SECONDS
        self._held: dict[tuple[str, int, str, bool, str], ev.Output] = {}

    @property
    def knows_all_secrets(self) -> bool:
        """Return True if this process knows every secret of the run."""
        return not self._unknown

    def add_secrets(self, secrets: Mapping[str, str], *, withheld: bool = False) -> None:
        """Redact further secrets from now on. May be called from any thread.

        `withheld`: they are nbrun's own. Code that has one, or its placeholder, is not sent to a
        kernel, which may act as another user.

        If the value of a secret has changed, both values are redacted, the new one under its name
        with a number.
        """
        new: dict[str, str] = {}
        for name, value in secrets.items():
            if value not in self._forms:
                new[_unused_name(name, self._names | new.keys())] = value
        forms = encoded_forms(new, {})
        self._names |= new.keys()
        if withheld:
            self._withheld |= new.keys()
        self._originals.update((placeholder, text) for text, placeholder in forms.items())
        self._forms = forms | self._forms  # a new dict: another thread may iterate over the old one
        self._index_forms()

    def _index_forms(self) -> None:
        self._known = _known_pattern(self._forms)
        self._bare = _longest_first_pattern(self._forms)
        self._by_character: dict[str, list[str]] = {}

    # ── texts ────────────────────────────────────────────────────────────────────────────────

    def redact_text(self, text: str) -> str:
        """Return `text` with secrets and matches of patterns replaced by placeholders."""
        return self._redact_patterns(
            self._redact_secrets(text), lambda _match: _PATTERN_PLACEHOLDER, _withhold
        )

    def _redact_secrets(self, text: str) -> str:
        text = self._known.sub(lambda match: self._forms.get(match[0], match[0]), text)
        return self._redact_broken(text) if may_have_markup(text) and self._forms else text

    def _redact_broken(self, text: str) -> str:
        """Redact secrets that markup breaks up. The markup stays, after the placeholder."""
        if not self._bare.search(without_markup(text)):
            return text  # most texts; the search below takes ten times as long
        parts, done = [], 0
        for start, end, placeholder in self._broken_forms(Unmarked(text)):
            parts += [text[done:start], placeholder, markup_in(text[start:end])]
            done = end
        return "".join([*parts, text[done:]]) if parts else text

    def _redact_patterns(
        self, text: str, replacement: Callable[[str], str], withhold: Callable[[str], str]
    ) -> str:
        """Apply `replacement` to each match of a pattern, outside placeholders.

        Empty matches, such as of `x*`, are ignored. `withhold` is applied to a text that takes too
        long: nobody knows what would match in it.
        """
        if self._patterns is None:
            return text
        parts = _PLACEHOLDER.split(text)
        parts[::2] = [
            self._replace(self._patterns, part, replacement, withhold) for part in parts[::2]
        ]
        return "".join(parts)

    def _replace(
        self,
        patterns: BoundedPattern,
        text: str,
        replacement: Callable[[str], str],
        withhold: Callable[[str], str],
    ) -> str:
        try:
            return patterns.replace(text, replacement, self._match_seconds)
        except SlowPatternError:
            # A step that prints many such texts must not delay the run each time.
            self._match_seconds = max(self._match_seconds / 2, _LEAST_MATCH_SECONDS)
            return withhold(text)

    def redact_bytes(self, data: bytes) -> bytes:
        """Return a process's output redacted; drop it all if some secrets are unknown here."""
        if self._unknown and data:
            names = ", ".join(sorted(self._unknown))
            return f"(output not kept: the secrets {names} are not known here)\n".encode()
        text = data.decode("utf-8", "surrogateescape")
        return self.redact_text(text).encode("utf-8", "surrogateescape")

    def _redact_source(self, source: str) -> str:
        """Redact code, and remember what patterns matched, so that `restore` can undo it."""
        return self._redact_patterns(self._redact_secrets(source), self._remember, self._remember)

    def _remember(self, text: str) -> str:
        known = (each for each, original in self._originals.items() if original == text)
        placeholder = next(known, f"[redacted:{len(self._originals) + 1}]")
        self._originals[placeholder] = text
        return placeholder

    def restore(self, source: str) -> str:
        """Return the source to send to the kernel for the recorded `source`.

        Raises:
            SecretUnknownError: a secret in it is not known to this process, or is no kernel's.
        """
        for name in _SECRET.findall(source):
            if name in self._withheld:
                raise SecretUnknownError(
                    f"the secret {name} is not sent to a kernel: take it out of the code"
                )
            if name in self._unknown:
                raise SecretUnknownError(
                    f"the secret {name} is not known to this process: give it again"
                )
        if not self._originals:
            return source
        return _longest_first_pattern(self._originals).sub(
            lambda match: self._originals[match[0]], source
        )

    # ── events ───────────────────────────────────────────────────────────────────────────────

    def redact_event(self, event: Event) -> list[Event]:
        """Return the events that may be recorded now that `event` has happened.

        These are the redacted event, after any text held back before. A stream output whose end may
        be the beginning of a secret is returned without that end.
        """
        if not self._forms and self._patterns is None:
            return [event]
        if isinstance(event, ev.Output) and event.output.get("output_type") == "stream":
            return self._redact_stream(event)
        return [*self._release_held(), self.redact(event)]

    def flush(self) -> list[Event]:
        """Return all text held back, redacted: nothing will complete it any more."""
        return list(self._release_held())

    def _release_held(self, keep: ev.Output | None = None) -> Iterator[Event]:
        """Release the text held back for every attempt except that of `keep`."""
        for key, held in list(self._held.items()):
            if keep is None or (held.step, held.attempt) != (keep.step, keep.attempt):
                del self._held[key]
                yield _with_text(held, self.redact_text(_stream_text(held)))

    def _redact_stream(self, event: ev.Output) -> list[Event]:
        """Redact one chunk of a stream.

        The other stream of the same attempt stays held back: a process may write both at once.
        """
        released = list(self._release_held(keep=event))
        key = (event.step, event.attempt, str(event.output.get("name")), event.late, event.widget)
        before = self._held.pop(key, None)
        text = (_stream_text(before) if before else "") + _stream_text(event)
        length = self._safe_length(text)
        if length < len(text):
            self._held[key] = _with_text(event, text[length:])
        safe = [_with_text(event, self.redact_text(text[:length]))] if length else []
        return [*released, *safe]

    def _safe_length(self, text: str) -> int:
        """Return the length of the part of `text` that more text can't turn into a secret."""
        length = self._first_partial_form(text)
        if self._patterns is not None:
            line_start = max(text.rfind("\n"), text.rfind("\r")) + 1
            length = min(length, line_start) if len(text) - line_start <= _MAX_HELD_LINE else length
        return length

    def _first_partial_form(self, text: str) -> int:
        """Return where the first suffix of `text` starts that may be the beginning of a form.

        Suffixes inside a complete form don't count, unless a longer form may begin there.
        """
        if not may_have_markup(text):
            return self._first_partial(text, lambda: self._whole_forms(text))
        tail = max(0, len(text) - _MAX_HELD_MARKUP)
        finished = without_unfinished(text[tail:])
        if not self._may_be_partial(without_markup(finished)):
            return self._first_partial(text, lambda: self._whole_forms(text))
        unmarked = Unmarked(finished)

        def spans() -> Iterator[tuple[int, int]]:
            yield from self._whole_forms(text)
            yield from ((tail + a, tail + b) for a, b, _ in self._broken_forms(unmarked))

        def unmarked_spans() -> Iterator[tuple[int, int]]:
            within = ((a - tail, b - tail) for a, b in spans())
            yield from ((unmarked.position(a), unmarked.position(b)) for a, b in within if b > 0)

        partials = [self._first_partial(text, spans)]
        for end in range(len(unmarked.text) - ("\b" in text), len(unmarked.text) + 1):
            # One character less, too: a backspace may come that takes the last one away.
            partial = self._first_partial(unmarked.text[:end], unmarked_spans)
            partials += [tail + unmarked.offset(partial)] if partial < end else []
        return min(partials)

    def _first_partial(self, text: str, spans: Callable[[], Iterable[tuple[int, int]]]) -> int:
        """Return where the first partial form starts that is not inside one of `spans`."""
        start = 0
        while True:
            partial = min(
                (_partial_form_start(text, form, start) for form in self._forms_with(text[-1:])),
                default=len(text),
            )
            if partial == len(text):
                return partial
            end = next((end for begin, end in spans() if begin < partial < end), None)
            if end is None:
                return partial
            start = end

    def _may_be_partial(self, unmarked: str) -> bool:
        """Return False if no form begins at the end of `unmarked`, nor one character before it."""
        ends = (unmarked, unmarked[:-1])
        return any(self._first_partial(end, tuple) < len(end) for end in ends)

    def _forms_with(self, last: str) -> list[str]:
        """Return the forms that have the character `last`: others can't begin at a text's end."""
        found = self._by_character.get(last)
        if found is None:
            found = self._by_character[last] = [form for form in self._forms if last in form]
        return found

    def _whole_forms(self, text: str) -> Iterator[tuple[int, int]]:
        return (found.span() for found in self._known.finditer(text))

    def _broken_forms(self, unmarked: Unmarked) -> Iterator[tuple[int, int, str]]:
        """Yield the offsets of each form that markup breaks up, and its placeholder."""
        for found in self._known.finditer(unmarked.text):
            start, end = unmarked.span(*found.span())
            if end - start > len(found[0]) and found[0] in self._forms:
                yield start, end, self._forms[found[0]]

    def redact(self, value: Any) -> Any:
        """Return an event, or a part of one, redacted."""
        match value:
            case str():
                return self.redact_text(value)
            case int() | float() if str(value) in self._forms:
                return self._forms[str(value)]
            case ev.RunStarted(parameters=parameters):
                return self._redact_struct(value, parameters=self.redact_parameters(parameters))
            case msgspec.Struct():
                return self._redact_struct(value)
            case dict():
                return {self.redact(key): self.redact(item) for key, item in value.items()}
            case list() | tuple():
                return type(value)(map(self.redact, value))
        return value

    def _redact_struct(self, value: Any, **preset: Any) -> Any:
        changed = {
            name: self._redact_field(name, getattr(value, name))
            for name in value.__struct_fields__
            if name not in unredacted.FIELDS
        }
        changed |= unredacted.exceptions(value, self.redact)
        return msgspec.structs.replace(value, **changed | preset)

    def _redact_field(self, name: str, value: Any) -> Any:
        if name == "source" and value:
            return self._redact_source(value)
        return value if isinstance(value, int | float) else self.redact(value)

    def redact_parameters(self, values: dict[str, Any]) -> dict[str, Any]:
        """Redact parameter values by name: a secret number can't be found in text."""
        return {
            name: f"[secret:{name}]" if name in self._names else self.redact(value)
            for name, value in values.items()
        }


class RedactingFormatter(logging.Formatter):
    """A log formatter that redacts."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction.redact_text(super().format(record))


# ── finding secrets in text ───────────────────────────────────────────────────────────────────


def _unused_name(name: str, names: Collection[str]) -> str:
    """Return `name`, with a number if `names` has it already."""
    numbered = (f"{name} {number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in names)


def _longest_first_pattern(texts: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches the longest of `texts` at each place; nothing if empty."""
    return re.compile(_longest_first(texts) or r"(?!)")


def _longest_first(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))


def _known_pattern(forms: Mapping[str, str]) -> re.Pattern[str]:
    """Return a pattern of the forms, and of their placeholders, which stay as they are.

    Else a secret such as `secret` would be found in its own placeholder, when a source that was
    redacted is recorded again. Only placeholders of this run count: a cell can print others.
    """
    if not forms:
        return re.compile(r"(?!)")
    inside = "|".join(re.escape(each[len(_OPENING) : -1]) for each in dict.fromkeys(forms.values()))
    return re.compile(rf"{re.escape(_OPENING)}(?:{inside})\]|{_longest_first(forms)}")


def _partial_form_start(text: str, form: str, start: int) -> int:
    """Return where the longest suffix of `text`, from `start` on, begins that starts `form`."""
    at = text.find(form[0], max(start, len(text) - len(form) + 1))
    while at >= 0 and not form.startswith(text[at:]):
        at = text.find(form[0], at + 1)
    return len(text) if at < 0 else at


def _withhold(text: str) -> str:
    return _WITHHELD + "\n" * text.endswith("\n")


def _stream_text(event: ev.Output) -> str:
    return str(event.output.get("text", ""))


def _with_text(event: ev.Output, text: str) -> ev.Output:
    return msgspec.structs.replace(event, output={**event.output, "text": text})
