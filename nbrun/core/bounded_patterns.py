"""Regular expressions of a notebook or a team, matched with a limit on time.

Python's `re` backtracks without an end on patterns such as `^(a+)+$`, and can't be stopped. This is
the only importer of `regex`, which understands the same patterns and takes a timeout.
"""

from collections.abc import Callable

from nbrun.errors import SlowPatternError


class BoundedPattern:
    """A regular expression whose matching takes a limited time."""

    def __init__(self, pattern: str) -> None:
        """Compile `pattern`.

        Raises:
            ValueError: `pattern` is not a regular expression.
        """
        import regex

        try:
            self._compiled = regex.compile(pattern)
        except (regex.error, RecursionError, OverflowError) as error:
            raise ValueError(str(error)) from None

    def found_in(self, text: str, seconds: float) -> bool:
        """Return True if the pattern matches somewhere in `text`.

        Raises:
            SlowPatternError: to find out takes more than `seconds` of the processor's time.
        """
        try:
            return self._compiled.search(text, timeout=seconds) is not None
        except TimeoutError:
            raise self._slow(seconds) from None

    def replace(self, text: str, replacement: Callable[[str], str], seconds: float) -> str:
        """Return `text` with `replacement` applied to each match. Empty matches are ignored.

        Raises:
            SlowPatternError: to find them takes more than `seconds` of the processor's time.
        """
        try:
            return self._compiled.sub(
                lambda match: replacement(match[0]) if match[0] else "", text, timeout=seconds
            )
        except TimeoutError:
            raise self._slow(seconds) from None

    def _slow(self, seconds: float) -> SlowPatternError:
        return SlowPatternError(f"{self._compiled.pattern!r} takes more than {seconds:g} s")
