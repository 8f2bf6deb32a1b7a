"""Runbooks that are fetched: from a web server and an S3 store on loopback, and from fakes."""

import io
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nbrun.core import addresses
from nbrun.errors import RunbookError
from nbrun.integrations.runbook_addresses import files, readers
from nbrun.integrations.runbook_addresses.files import RunbookFile, runbook_file
from tests.support.file_server import FileServer, serving

CONTENT = b'{"cells": [],\r\n "nbformat": 4}\n\n'  # papermill would change its line ends


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        server.files["/ops/restore.ipynb"] = CONTENT
        yield server


def test_path_stays_a_path() -> None:
    assert runbook_file("ops/restore.ipynb") == RunbookFile(Path("ops/restore.ipynb"))


def test_exact_bytes_are_kept_privately_and_the_query_is_not_shown(server: FileServer) -> None:
    found = runbook_file(f"{server.url}/ops/restore.ipynb?signature=hunter2")
    assert server.requests == ["/ops/restore.ipynb?signature=hunter2"]
    assert found.address == f"{server.url}/ops/restore.ipynb"
    assert found.path.read_bytes() == CONTENT
    assert found.path.name == "restore.ipynb"
    assert found.path.parent.name == sha256(CONTENT).hexdigest()
    assert found.path.stat().st_mode & 0o777 == 0o600
    assert found.path.parent.stat().st_mode & 0o777 == 0o700


def test_object_of_s3_has_its_own_bytes(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from papermill.s3 import S3

    monkeypatch.setattr(S3, "s3_session", (None, None, None))
    for name, value in {
        "AWS_ENDPOINT_URL": moto,
        "BOTO3_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "AKIAOPERATORSOWNKEY1",
        "AWS_SECRET_ACCESS_KEY": "operators-own-secret-key",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="runbooks")
    client.put_object(Bucket="runbooks", Key="ops/restore.ipynb", Body=CONTENT)
    found = runbook_file("s3://runbooks/ops/restore.ipynb")
    assert found.address == "s3://runbooks/ops/restore.ipynb"
    assert found.path.read_bytes() == CONTENT
    with pytest.raises(RunbookError, match=r"s3://runbooks/other.ipynb: can't be fetched: .*404"):
        runbook_file("s3://runbooks/other.ipynb")


def fake(monkeypatch: pytest.MonkeyPatch, module: str, **names: Any) -> None:
    made = ModuleType(module)
    for name, value in names.items():
        setattr(made, name, value)
    monkeypatch.setitem(sys.modules, module, made)


def test_object_of_google_is_read_by_gcsfs(monkeypatch: pytest.MonkeyPatch) -> None:
    class GCSFileSystem:
        def open(self, path: str, mode: str) -> io.BytesIO:
            assert (path, mode) == ("gs://runbooks/restore.ipynb", "rb")
            return io.BytesIO(CONTENT)

    fake(monkeypatch, "gcsfs", GCSFileSystem=GCSFileSystem)
    assert runbook_file("gs://runbooks/restore.ipynb").path.read_bytes() == CONTENT


def test_blob_of_azure_is_read_by_papermill(monkeypatch: pytest.MonkeyPatch) -> None:
    class AzureBlobStore:
        def read(self, address: str) -> list[str]:
            assert address == "abs://ops.blob.core.windows.net/books/restore.ipynb?sas-hunter2"
            return CONTENT.decode().splitlines(keepends=True)

    fake(monkeypatch, "papermill.abs", AzureBlobStore=AzureBlobStore)
    found = runbook_file("abs://ops.blob.core.windows.net/books/restore.ipynb?sas-hunter2")
    assert found.path.read_bytes() == CONTENT
    assert found.address == "abs://ops.blob.core.windows.net/books/restore.ipynb"


@pytest.mark.parametrize(
    ("address", "module", "message"),
    [
        (
            "s3://b/x.ipynb",
            "papermill.s3",
            r"s3://b/x.ipynb: needs boto3: pip install 'nbrun-cli\[aws",
        ),
        ("gs://b/x.ipynb", "gcsfs", r"gs://b/x.ipynb: needs gcsfs: pip install 'papermill\[gcs"),
        (
            "abs://b/x.ipynb",
            "papermill.abs",
            r"needs azure-storage-blob: pip install 'papermill\[az",
        ),
        ("http://example.invalid/x.ipynb", "", "whoever is in between can change .* use https"),
        ("https://ada:hunter2@example.invalid/x.ipynb", "", "every user can read a password"),
    ],
)
def test_address_that_is_refused_says_what_to_do(
    address: str, module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RunbookError, match=message) as raised:
        runbook_file(address)
    assert "hunter2" not in str(raised.value)


def test_error_page_is_not_a_runbook(server: FileServer) -> None:
    with pytest.raises(RunbookError, match=r"/none.ipynb: can't be fetched: .*answered 404 Not F"):
        runbook_file(f"{server.url}/none.ipynb?key=hunter2")


def test_address_that_nobody_serves_is_an_error_without_its_query() -> None:
    with pytest.raises(RunbookError, match=r"fetched: \[Errno \d+\] Connection refused$") as raised:
        runbook_file("http://127.0.0.1:9/x.ipynb?key=hunter2")
    assert "hunter2" not in str(raised.value)


def test_large_file_ends_the_download(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "LARGEST", 20)
    with pytest.raises(RunbookError, match="too many for a runbook"):
        runbook_file(f"{server.url}/ops/restore.ipynb")


def test_server_that_hangs_is_given_up(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TIMEOUT", 0.2)
    with pytest.raises(RunbookError, match="it took longer than 0 s"):
        runbook_file(f"{server.url}/hangs")


def test_redirects_are_followed_and_limited(server: FileServer) -> None:
    server.redirects = {"/latest": "/ops/restore.ipynb", "/round": "/round"}
    assert runbook_file(f"{server.url}/latest").path.read_bytes() == CONTENT
    with pytest.raises(RunbookError, match="redirects"):
        runbook_file(f"{server.url}/round")


def test_redirect_from_https_to_http_is_refused(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    server.redirects = {"/secure.ipynb": f"{server.url}/ops/restore.ipynb"}
    plain = requests.adapters.HTTPAdapter.send

    def send(self: Any, request: Any, **named: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)  # instead of a certificate
        return plain(self, request, **named)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    with pytest.raises(RunbookError, match="redirected to an address that is not https"):
        runbook_file(f"{server.url}/secure.ipynb".replace("http://", "https://", 1))
    assert server.requests == ["/secure.ipynb"]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://h/ops/restore.ipynb", "restore.ipynb"),
        ("https://h/ops/r%C3%A9tablir.md?x=1", "rétablir.md"),
        ("https://h/", "runbook.ipynb"),
        ("https://h/a/..", "runbook.ipynb"),
        ("https://h/a%2Fb%00.ipynb", "b-.ipynb"),
        ("s3://bucket/.hidden", "hidden"),
    ],
)
def test_name_of_the_copy_is_safe(address: str, name: str) -> None:
    assert addresses.file_name(address) == name


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("https://h/x", True),
        ("s3://b/x", True),
        ("ops/https://x", False),
        ("ftp://h/x", False),
        ("C:/x", False),
    ],
)
def test_only_known_schemes_are_addresses(named: str, expected: bool) -> None:
    assert addresses.is_address(named) is expected
