"""Find text in a source that looks like a password, token or key.

Such text is found where Python, JSON, YAML or a shell reads it: `token = "…"`, `"password": "…"`,
`SA_PASSWORD=…`, `%env API_KEY …`, `--token …`. Names of files, placeholders, and names under which
a secret is looked up are not secrets.
"""

import re

_LENGTH = "6,500"  # characters; not shorter than a secret parameter

# Tokens and keys in the form in which providers issue them, and addresses with a password
_ISSUED = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{36,}|xox[abprs]-[\w-]{10,}|glpat-[\w-]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"
    r"|\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>{}$]+:(?P<value>[^\s/@\"']{6,})@"
)
_WORDS = r"(?i:password|passwd|pwd|secret|token|credential|(?:api|access|account|private)[_-]?key)"
# The name before the word and after it; the words `before` and `after` decide what it is a name of
_NAME = rf"(?P<before>(?<![\w-])[\w-]{{0,60}}?)(?P<word>{_WORDS})(?P<after>[\w-]{{0,60}})"
_BARE = rf"(?P<value>[^\s\"'`;&|,<>]{{{_LENGTH}}})"
_QUOTED = rf"[rbfuRBFU]{{0,2}}(?P<quote>[\"'])(?P<value>(?:(?!(?P=quote)).){{{_LENGTH}}})(?P=quote)"
_ASSIGNED = re.compile(rf"{_NAME}[\"']?\]?\s*(?::\s*(?:[\w.\[\] |]+=\s*)?|=\s*|<-\s*){_QUOTED}")
_BARE_ASSIGNED = re.compile(rf"{_NAME}={_BARE}")
_FLAG = re.compile(rf"(?<!\S)(?=--){_NAME}[ =][\"']?{_BARE}")
_ENV_MAGIC = re.compile(rf"^\s*%(?:set_)?env\s+{_NAME}[ =]+{_BARE}")
_SHELL_LINE = re.compile(r"\s*(?:[\w, ]+=\s*)?[!%]")
_NAME_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
# `token_file` names a file, `secretId` something to look up.
_OTHER_THINGS = frozenset(
    ("file", "path", "dir", "folder", "name", "names", "id", "ids", "url", "uri", "arn", "endpoint")
) | {"env", "var", "variable", "type", "kind", "scope", "scopes", "field", "column", "label"}
_OTHER_THINGS |= {"prompt", "message", "text", "title", "header", "regex", "pattern", "policy"}
_OTHER_THINGS |= {"length", "len", "size", "count", "limit", "expiry", "ttl", "format", "version"}
_OTHER_THINGS |= {"provider", "store", "manager", "vault", "ref", "reference", "stdin"}
# `max_tokens`, `pad_token`: units of text
_UNITS = frozenset(("max", "min", "num", "total", "pad", "eos", "bos", "sep", "unk", "special"))

_PLACEHOLDER = re.compile(
    r"""(?isx)
    .*<.*>.* | .*\{\w*\}.* | .*\$[({].* | \{.*\} | \$.* | %\(?\w+\)?s?%? | [\Wx_0]+
    | .*(?:example|change[_ -]?me|placeholder|todo|redacted|dummy|fake|replace|insert|sample).*
    | .*(?:goes[_ -]?here|your[_ -]|my[_ -](?:secret|pass|token|key)).* | your[a-z]*
    | pass(?:word|wd)? | secret | token | api[_-]?key | undefined | unknown | default | string
    | .*[:?]\s* | .*\s  # a question, or the beginning of a longer text
    """
)
_LOOKUP = re.compile(
    r"""(?sx)
    [A-Za-z][\w+.-]*://.* | (?:arn|env|vault|keyring|ref\+\w+):.* | projects/.* | secrets?/.*
    | @\w.* | \w+=.*
    | (?:~|\.{1,2})?/[\w.@\ -]+(?:/[\w.@\ -]+)*/? | [A-Za-z]:\\.*
    | [\w./\\\ -]+\.(?:json|ya?ml|pem|key|txt|env|ini|cfg|conf|toml|crt|cer|pfx|p12|jks|gpg|pub)
    | [\w./\\\ -]+\.(?:csv|ipynb|py|sh|sql|db|xml|log)
    """
)
_NAME_OF_SECRET = re.compile(
    r"(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[a-z]+(?:[-_./][a-z0-9]+)+)", re.ASCII
)


def lines_with_secrets(source: str, *, shell: bool) -> list[int]:
    """Return the numbers of the lines that seem to contain a secret.

    `shell`: all of the source is text that a shell may read, not only the lines that begin with `!`
    or `%`, and the text in quotes.
    """
    numbered = enumerate(source.splitlines(), start=1)
    return [number for number, line in numbered if _has_secret(line, shell=shell)]


def _has_secret(line: str, *, shell: bool) -> bool:
    if any(not _is_harmless(match["value"] or match[0]) for match in _ISSUED.finditer(line)):
        return True
    shell = shell or bool(_SHELL_LINE.match(line))
    found = [*_ASSIGNED.finditer(line)]
    found += [each for each in _BARE_ASSIGNED.finditer(line) if shell or _is_quoted(line, each)]
    if shell:
        found += [*_FLAG.finditer(line), *_ENV_MAGIC.finditer(line)]
    return any(_names_secret(each) and not _is_harmless(each["value"]) for each in found)


def _is_quoted(line: str, match: re.Match[str]) -> bool:
    """Return True if the match begins within a text in quotes."""
    before = line[: match.start()]
    return before.count('"') % 2 == 1 or before.count("'") % 2 == 1


def _names_secret(match: re.Match[str]) -> bool:
    """Return True for `SA_PASSWORD` and `apiKey2`, False for `tokenizer` and `token_file`."""
    before, word, after = match["before"], match["word"], match["after"]
    after = re.sub(r"^s(?![a-z])|^S(?![A-Z])", "", after)
    is_one_word = after[:1].isalpha() and not (word[-1].islower() and after[0].isupper())
    if is_one_word or _UNITS & {part.lower() for part in _NAME_PART.findall(before)}:
        return False
    parts = [part.lower() for part in _NAME_PART.findall(after)]
    return not parts or parts[-1] not in _OTHER_THINGS


def _is_harmless(value: str) -> bool:
    """Return True for a placeholder, a file's name, and the name or address of a secret."""
    if _PLACEHOLDER.fullmatch(value) or _LOOKUP.fullmatch(value):
        return True
    return bool(_NAME_OF_SECRET.fullmatch(value) and re.search(rf"{_WORDS}|(?i:key|cert)", value))
