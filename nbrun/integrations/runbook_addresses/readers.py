"""Read the bytes at an address, with the libraries that papermill reads it with.

papermill's own handlers would not do for a record: they join lines anew, so that the SHA-256 is not
that of the object, take an error page for a notebook, and wait without a limit.
"""

from collections.abc import Callable, Iterator

from nbrun.core import addresses
from nbrun.errors import RunbookError
from nbrun.system.faults import root_cause

LARGEST = 64 * 2**20  # bytes of a runbook
_CONNECT_TIMEOUT, _READ_TIMEOUT = 10.0, 30.0  # seconds
_MAX_REDIRECTS = 5
_PIECE = 2**20  # bytes

Reader = Callable[[str], bytes]


def reader_of(address: str) -> Reader:
    """Return what reads `address`.

    Raises:
        RunbookError: the address is refused, or its library is not installed.
    """
    shown = addresses.without_credentials(address)
    scheme = addresses.scheme(address)
    if addresses.has_credentials(address):
        raise RunbookError(
            f"{shown}: every user can read a password on a command line: put it into ~/.netrc "
            "(https), or into the environment as the library of the store expects it"
        )
    if scheme == "http" and not addresses.is_loopback(address):
        raise RunbookError(
            f"{shown}: whoever is in between can change what comes by http, and it would run as "
            "you: use https"
        )
    if scheme in ("http", "https"):
        return _read_http
    return _STORES[scheme](shown)


def words(error: BaseException) -> str:
    """Return an error of a library in one line."""
    text = " ".join(str(error).split())
    return text or type(error).__name__


# ── http and https ───────────────────────────────────────────────────────────────────────────


def _read_http(address: str) -> bytes:
    """Return the body. `~/.netrc` and proxies of the environment apply."""
    import requests

    session = requests.Session()
    session.max_redirects = _MAX_REDIRECTS
    if addresses.scheme(address) == "https":
        del session.adapters["http://"]  # a redirect to it is an error
    timeouts = _CONNECT_TIMEOUT, _READ_TIMEOUT
    try:
        with session.get(address, stream=True, timeout=timeouts) as response:
            if not response.ok:
                raise RunbookError(f"the server answered {response.status_code} {response.reason}")
            return _limited(response.iter_content(_PIECE))
    except requests.exceptions.InvalidSchema:
        raise RunbookError("it is redirected to an address that is not https") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise RunbookError(words(root_cause(error))) from None


def _limited(pieces: Iterator[bytes]) -> bytes:
    """Return `pieces` in one.

    Raises:
        RunbookError: they are more than a runbook may have.
    """
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > LARGEST:
            raise RunbookError(f"it has more than {LARGEST // 2**20} MiB, too many for a runbook")
    return bytes(content)


# ── stores ───────────────────────────────────────────────────────────────────────────────────


def _s3(shown: str) -> Reader:
    try:
        from papermill.s3 import S3
    except ImportError:
        raise RunbookError(f"{shown}: needs boto3: pip install 'nbrun-cli[aws]'") from None
    # Neither decoded nor decompressed: the bytes of the object
    return lambda address: _limited(S3().cat(address, encoding=None, raw=True))


def _gs(shown: str) -> Reader:
    try:
        from gcsfs import GCSFileSystem
    except ImportError:
        raise RunbookError(f"{shown}: needs gcsfs: pip install 'papermill[gcs]'") from None

    def read(address: str) -> bytes:
        with GCSFileSystem().open(address, "rb") as file:
            return _limited(iter(lambda: file.read(_PIECE), b""))

    return read


def _abs(shown: str) -> Reader:
    try:
        from papermill.abs import AzureBlobStore
    except ImportError:
        raise RunbookError(
            f"{shown}: needs azure-storage-blob: pip install 'papermill[azure]'"
        ) from None
    # papermill downloads it whole, and decodes each line with its end
    return lambda address: _limited(line.encode() for line in AzureBlobStore().read(address))


_STORES: dict[str, Callable[[str], Reader]] = {"s3": _s3, "gs": _gs, "abs": _abs}
