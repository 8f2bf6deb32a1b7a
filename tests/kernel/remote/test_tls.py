"""A gateway that only a private authority vouches for, and that asks for a client certificate."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.errors import KernelError
from nbrun.kernel.messages import Replied
from nbrun.kernel.remote.kernel_socket import ClientSession, KernelSocket
from tests.kernel.remote.conftest import RemoteSession
from tests.support.certificates import Authority
from tests.support.fake_gateway import FakeGateway, fake_gateway


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "house-ca")


@pytest.fixture
def secure(authority: Authority) -> Iterator[FakeGateway]:
    """A gateway that wants a client certificate of the authority."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # With TLS 1.3 the client learns of the refusal later, in one of several ways.
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(*authority.issue("gateway"))
    tls.load_verify_locations(authority.certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    with fake_gateway(tls) as made:
        yield made


def test_private_authority_and_client_certificate_are_used_on_both_ways(
    secure: FakeGateway, authority: Authority
) -> None:
    certificate, key = authority.issue("ada")
    remote = RemoteSession(
        secure, ca=authority.certificate, client_cert=certificate, client_key=key
    )
    remote.start()
    remote.kernel.execute("print hello")
    assert remote.names(Replied) == ["TextPrinted", "Replied"]
    remote.kernel.shutdown()
    assert secure.kernels == {}


def test_key_may_be_in_the_file_of_the_certificate(
    secure: FakeGateway, authority: Authority
) -> None:
    certificate, key = authority.issue("ada")
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    remote = RemoteSession(secure, ca=authority.certificate, client_cert=certificate)
    remote.start()
    remote.kernel.shutdown()


@pytest.mark.parametrize(
    ("trusted", "shown", "told"),
    [
        pytest.param(False, True, "certificate verify failed", id="unknown authority"),
        pytest.param(True, False, "handshake failure", id="no client certificate"),
    ],
)
def test_refusal_is_in_words_and_starts_nothing(
    secure: FakeGateway, authority: Authority, *, trusted: bool, shown: bool, told: str
) -> None:
    certificate, key = authority.issue("ada")
    remote = RemoteSession(
        secure,
        ca=authority.certificate if trusted else None,
        client_cert=certificate if shown else None,
        client_key=key if shown else None,
    )
    with pytest.raises(KernelError, match=f"{secure.url}: can't be reached: .*{told}"):
        remote.start()
    socket = KernelSocket(
        remote.settings,
        "some-kernel",
        headers={},
        session=ClientSession(),
        on_message=lambda _frame: None,
        on_close=lambda _socket, _why: None,
    )
    with pytest.raises(KernelError, match=f"{secure.url}: can't be reached: .*{told}"):
        socket.open()
    assert secure.requests == [], "neither request got as far as its headers"


def test_certificate_of_another_authority_is_refused(
    secure: FakeGateway, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path, "stranger-ca").issue("mallory")
    remote = RemoteSession(
        secure, ca=authority.certificate, client_cert=certificate, client_key=key
    )
    with pytest.raises(KernelError, match=r"can't be reached: .*unknown ca"):
        remote.start()
    assert secure.requests == []
