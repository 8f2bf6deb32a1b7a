"""Credentials for a gateway: fetched, told to the redaction, and fetched again."""

import pytest

from nbrun.errors import UsageError
from nbrun.kernel.remote.credentials import Credentials
from nbrun.kernel.remote.settings import GatewaySettings

SETTINGS = GatewaySettings(
    "https://gateway", token="@env:T", headers=(("X-Team", "dba"), ("X-Key", "@env:K"))
)


def test_secrets_are_in_headers_and_reported() -> None:
    told: list[dict[str, str]] = []
    values = {"@env:T": "open-sesame-1\n", "@env:K": "key-of-ada"}
    found = Credentials(SETTINGS, lambda _called, source: values[source])
    found.report_secrets_to(lambda secrets: told.append(dict(secrets)))
    assert found.headers() == {
        "Authorization": "token open-sesame-1",
        "X-Team": "dba",
        "X-Key": "key-of-ada",
    }
    assert told == [{"gateway token": "open-sesame-1", "gateway header X-Key": "key-of-ada"}]
    before = found.headers()
    assert not found.renew(before)
    values["@env:T"] = "open-sesame-2"
    assert found.renew(before)
    assert found.headers()["Authorization"] == "token open-sesame-2"
    assert told[-1]["gateway token"] == "open-sesame-2"


def test_credentials_renewed_meanwhile_are_not_fetched_again() -> None:
    fetched: list[str] = []

    def fetch(_called: str, source: str) -> str:
        fetched.append(source)
        return f"open-sesame-{len(fetched)}"

    found = Credentials(GatewaySettings("https://gateway", token="@env:T"), fetch)
    old = found.headers()
    assert found.renew(old)
    assert found.renew(old)
    assert len(fetched) == 2


@pytest.mark.parametrize("secret", ["short", "", "two\nlines-of-it", "größer-als"])
def test_secret_that_can_not_be_used_is_refused_without_quoting_it(secret: str) -> None:
    with pytest.raises(UsageError, match="gateway token from @env: ") as caught:
        Credentials(SETTINGS, lambda _called, _source: secret)
    assert not secret or secret not in str(caught.value)
