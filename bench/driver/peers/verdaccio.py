"""verdaccio: a registry of npm's that takes packages in the same way as we do, as base64 in JSON."""

import base64
import hashlib

from .. import places, tools
from ..processes import Process, free_port

_CONFIGURATION = """
storage: {folder}/storage
auth: {{}}
uplinks: {{}}
packages:
  '**': {{ access: $all, publish: $all }}
max_body_size: 500mb
listen: 127.0.0.1:{port}
web: {{ enable: false }}
log: {{ type: stdout, format: pretty, level: error }}
"""


class Verdaccio:
    def __init__(self, command: list[str]):
        self.port = free_port()
        folder = places.scratch("verdaccio")
        configuration = folder / "config.yaml"
        configuration.write_text(_CONFIGURATION.format(folder=folder, port=self.port))
        self.process = Process("verdaccio", [*command, "--config", str(configuration)], folder / "log.txt",
                               cwd=folder)
        self.process.wait_for_port(self.port)


def start() -> Verdaccio | None:
    """An empty registry, if it can be had."""
    command = tools.verdaccio()
    return Verdaccio(command) if command else None


def publication(name: str, content: bytes) -> tuple[str, bytes]:
    """Path and body of `npm publish` for a new package with one version."""
    file = f"{name}-1.0.0.tgz"
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    shasum = hashlib.sha1(content).hexdigest()
    head = (f'{{"_id":"{name}","name":"{name}","dist-tags":{{"latest":"1.0.0"}},"versions":{{"1.0.0":{{"name":"{name}",'
            f'"version":"1.0.0","_id":"{name}@1.0.0","dist":{{"integrity":"{integrity}","shasum":"{shasum}",'
            f'"tarball":"http://127.0.0.1/{name}/-/{file}"}}}}}},"access":null,"_attachments":{{"{file}":'
            f'{{"content_type":"application/octet-stream","data":"')
    tail = f'","length":{len(content)}}}}}}}'
    return f"/{name}", head.encode() + base64.b64encode(content) + tail.encode()
