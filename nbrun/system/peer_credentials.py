"""The process and user at the other end of a Unix socket, as the system reports them."""

import socket
import struct
import sys
from dataclasses import dataclass

from nbrun.core.model import Operator
from nbrun.system import provenance

# macOS: <sys/un.h> and <sys/ucred.h>; an xucred begins with its version and the uid.
_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2
_XUCRED = struct.Struct("IIh16I")
_UCRED = struct.Struct("iII")  # Linux, unix(7): pid, uid, gid
_PID = struct.Struct("i")


@dataclass(frozen=True)
class Peer:
    """The process at the other end of a socket, and its user."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """Return the peer of `connection`, as it was when it connected. Raises OSError."""
    if sys.platform == "darwin":
        credentials = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
        pid = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, _PID.size)
        return Peer(pid=_PID.unpack(pid)[0], uid=_XUCRED.unpack(credentials)[1])
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _gid = _UCRED.unpack(credentials)
    return Peer(pid=pid, uid=uid)


def operator(peer: Peer) -> Operator:
    """Return the peer as an operator, with what the system tells of its process."""
    return provenance.identify(peer.pid, peer.uid)
