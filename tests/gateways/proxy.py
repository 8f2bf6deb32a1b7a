"""A proxy of TCP on loopback that cuts connections when it is told to."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit


class Proxy:
    """Forwards to `url`. `refuses`: it closes new connections at once."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self.refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.close()
            return
        host, port = str(self._target.hostname), int(self._target.port or 80)
        try:
            there, back = await asyncio.open_connection(host, port)
        except OSError:  # the gateway is away
            writer.close()
            return
        self._writers |= {writer, back}
        await asyncio.gather(_copy(reader, back), _copy(there, writer))
        self._writers -= {writer, back}

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def cut(self, *, refuse: bool = False) -> None:
        """Cut every connection; with `refuse`, do not let a new one in, either."""

        async def work() -> None:
            self.refuses = refuse
            for writer in list(self._writers):
                writer.transport.abort()

        self._run(work())

    def let_in(self) -> None:
        self.refuses = False

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
