"""Probes: one HTTP/1.1 request to an instance's own address, over a connection of its own."""

import asyncio
from contextlib import suppress

MOST = 65_536  # bytes that are read of an answer, so that the service can finish it


async def probe(port: int, path: str, timeout: float) -> str:
    """Ask once; empty when the answer is good (below 400), else why it is not."""
    writer = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MOST)
            status = await _ask(reader, writer, port, path)
        await _hear_out(reader)
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except ConnectionRefusedError:
        return f"nothing listens on 127.0.0.1:{port}"
    except (OSError, ValueError) as error:
        return f"no answer: {error}"
    finally:
        if writer:
            writer.close()
    return "" if status < 400 else f"GET {path} is answered with {status}"


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, path: str
) -> int:
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: slipway-probe\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n".encode()
    )
    await writer.drain()
    return _status(await reader.readline())


async def _hear_out(reader: asyncio.StreamReader) -> None:
    """Read the rest for a moment: a service that is cut off might log an error."""
    left = MOST
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(1):
            while left > 0 and (data := await reader.read(left)):
                left -= len(data)


def _status(line: bytes) -> int:
    """Return the status of an answer's first line; raises ValueError when there is none."""
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError(
            f"{line[:60]!r} is no HTTP answer" if line else "the connection was closed"
        )
    return int(words[1])
