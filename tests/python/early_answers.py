"""Sends requests with httpx, one after the other, as a script of somebody's would.

Called with the version of HTTP, 1 or 2. Reads a list of requests from standard input, as JSON: {"method", "url",
"headers", "bytes"}. Prints one line for each: the status and the code of the answer, or the error that came instead.
"""

import io
import json
import sys

import httpx

CONTENTS = b'{"packageContents":"'


def main() -> None:
    is_second = sys.argv[1] == "2"
    with httpx.Client(http1=not is_second, http2=is_second, trust_env=False, timeout=60) as client:
        for request in json.load(sys.stdin):
            print(answer_to(client, request))


def answer_to(client: httpx.Client, request: dict) -> str:
    body = CONTENTS.ljust(request["bytes"], b"A")[: request["bytes"]]
    try:
        # As a file: of what is in one piece, httpx copies all that is left for each frame of HTTP/2.
        file = io.BytesIO(body)
        answer = client.request(request["method"], request["url"], headers=request["headers"], content=file)
        return f"{answer.status_code} {answer.json()['error']['code']}"
    except httpx.HTTPError as error:
        return repr(error)


main()
