"""Secrets that are common words: other text contains them by chance, and reveals them."""

import builtins
import keyword
import sys
from collections.abc import Iterable, Mapping
from typing import Any

_PASSWORDS_AND_NAMES = (
    "abc123 account admin123 administrator ansible apache bastion changeme cluster "
    "configuration connection container database default development docker elastic "
    "elasticsearch endpoint environment example grafana guest123 hostname jenkins jupyter "
    "kernel kubernetes letmein localhost manager mariadb master mongodb monitoring mysql123 "
    "namespace network notebook operator oracle p@ssw0rd passw0rd password password1 "
    "password123 postgres postgresql primary prod production prometheus python python3 qwerty "
    "rabbitmq readonly replica runbook secret secret123 secrets server service staging "
    "standby storage superuser system terraform testing ubuntu username vagrant welcome "
    "welcome1 wildfly windows 123456 1234567 12345678 123456789"
)


def common_secrets(secrets: Mapping[str, Any], texts: Iterable[str]) -> list[str]:
    """Return the names of the secrets that are common words, or that `texts` contain.

    `texts` is what a reader of the record knows without the secrets, such as sources and paths.
    """
    known = {*_PASSWORDS_AND_NAMES.split(), *keyword.kwlist, *dir(builtins)}
    lower = {word.lower() for word in known | sys.stdlib_module_names}
    texts = list(texts)
    return [
        name
        for name, value in secrets.items()
        if str(value).strip().lower() in lower or any(str(value) in text for text in texts)
    ]
