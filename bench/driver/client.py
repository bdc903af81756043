"""HTTP as a client of the service speaks it: connections that are kept, bodies that are sent from memory."""

import http.client
import json
import socket
import time
import urllib.parse
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor


class Refused(Exception):
    """An answer that was not expected."""

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class Client:
    """One connection."""

    def __init__(self, port: int, token: str | None = None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        """The body of the answer, if it is a good one."""
        headers = dict(self.headers)
        if body is not None:
            headers["Content-Type"] = kind
        self.connection.request(method, urllib.parse.quote(path, safe="/?=&$%'(),:@"), body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status // 100 != 2:
            raise Refused(f"{method} {path}: {response.status} {answer[:500].decode(errors='replace')}", response.status)
        return answer

    def ask(self, method: str, path: str, body: object = None):
        """The same in JSON."""
        answer = self.send(method, path, None if body is None else json.dumps(body).encode())
        return json.loads(answer) if answer else None

    def connect(self) -> None:
        """Connects if that has not happened, so that it is no part of what is timed next."""
        if self.connection.sock is None:
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def each(port: int, token: str, requests: Iterable[tuple[str, str, object]], connections: int = 8) -> None:
    """Sends requests over several connections; any order."""
    work = iter(list(requests))

    def worker(share: list) -> None:
        with Client(port, token) as client:
            for method, path, body in share:
                client.ask(method, path, body)

    everything = list(work)
    shares = [everything[number::connections] for number in range(connections)]
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(worker, [share for share in shares if share]))


def receive_all(port: int, head: bytes, *, check=None) -> tuple[int, float]:
    """Sends a request that closes its connection, and takes everything in; bytes and seconds.

    Reads as a program written for large answers does: into one buffer, used again.
    """
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    start = time.perf_counter()
    received = 0
    with socket.create_connection(("127.0.0.1", port), 300) as connection:
        connection.sendall(head)
        while count := connection.recv_into(view):
            if received == 0 and b" 200 " not in buffer[:20]:
                raise Refused(bytes(buffer[:400]).decode(errors="replace"))
            received += count
            if check is not None:
                check(view[:count])
    return received, time.perf_counter() - start


def get_head(method: str, path: str, token: str | None = None) -> bytes:
    """The head of a request without a body, for `receive_all`."""
    lines = [f"{method} {urllib.parse.quote(path, safe='/?=&$%')} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if method == "POST":
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
