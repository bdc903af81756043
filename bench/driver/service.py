"""The service under test, as it is delivered: `fame serve` in a release build with the defaults that count.

Tokens are checked, changes are audited and durable, TLS is off. Tokens come from the issuer of a `fame dev` that runs
beside it and does nothing else.
"""

import base64
import json
import pathlib
import subprocess
import urllib.parse
import urllib.request

from . import places
from .client import Client
from .processes import Process, free_port


def binary() -> pathlib.Path:
    return places.target_folder() / "release" / "fame"


class Issuer:
    """Signs in who exists in `fame dev`; its clients' ids are the same in every run."""

    def __init__(self) -> None:
        folder = places.scratch("issuer")
        command = [str(binary()), "dev", "--empty", "--json", "--listen", f"127.0.0.1:{free_port()}",
                   "--data", str(folder / "data")]
        self.process = Process("fame dev", command, folder / "log.txt", stdout=subprocess.PIPE)
        line = self.process.popen.stdout.readline()
        if not line:
            raise RuntimeError(f"fame dev did not start: {self.process.tail()}")
        self.ready = json.loads(line)
        self.tokens: dict[str, str] = {}

    def client(self, name: str) -> dict:
        return next(client for client in self.ready["clients"] if client["name"] == name)

    def token(self, name: str) -> str:
        """An access token, good for an hour."""
        if name not in self.tokens:
            client = self.client(name)
            form = urllib.parse.urlencode({
                "grant_type": "client_credentials", "client_id": client["clientId"],
                "client_secret": client["clientSecret"], "scope": self.ready["scope"]})
            with urllib.request.urlopen(self.ready["tokenUrl"], form.encode()) as answer:
                self.tokens[name] = json.load(answer)["access_token"]
        return self.tokens[name]

    def audience(self) -> str:
        """Whom its tokens are meant for."""
        payload = self.token("operator").split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["aud"]

    def configuration(self) -> str:
        """What makes a service believe it."""
        base, tenant = self.ready["authority"].rsplit("/", 1)
        operator = self.client("operator")["principalId"]
        return f"""
[identity]
ca_file = {json.dumps(self.ready["caFile"])}

[[identity.issuers]]
kind = "entra"
authority = "{base}"
tenants = ["{tenant}"]
audiences = ["{self.audience()}"]
v1_issuer = "{base}/{{tenantid}}/"
v2_issuer = "{base}/{{tenantid}}/v2.0"

[operators]
principals = [{{ type = "Application", id = "{operator}" }}]
"""


class Service:
    """A running `fame serve` on a data folder. `settings` are tables of its configuration besides."""

    def __init__(self, issuer: Issuer, data: pathlib.Path, *, name: str = "fame", core: int | None = None,
                 database: str | None = None, wait: bool = True, settings: str = ""):
        data.mkdir(parents=True, exist_ok=True)
        self.issuer, self.data, self.port = issuer, data, free_port()
        self.name, self.core = name, core
        self._configure(database, settings)
        self.start(wait)

    def _configure(self, database: str | None, besides: str) -> None:
        settings = f"""[server]
listen = "127.0.0.1:{self.port}"
data_dir = {json.dumps(str(self.data))}
"""
        if database is not None:
            settings += f"\n[database]\nurl = {json.dumps(database)}\n"
        self.configuration.write_text(settings + besides + self.issuer.configuration())

    @property
    def configuration(self) -> pathlib.Path:
        return self.data / "fame.toml"

    def start(self, wait: bool = True) -> None:
        """Starts it, again if it has ended."""
        command = [str(binary()), "serve", "--config", str(self.configuration)]
        self.process = Process(self.name, command, self.data / "log.txt", core=self.core)
        if wait:
            self.process.wait_for_port(self.port)

    def client(self, who: str) -> Client:
        return Client(self.port, self.issuer.token(who))

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{urllib.parse.quote(path, safe='/?=&$%')}"

    def stop(self) -> None:
        self.process.stop()


def build() -> None:
    """Builds the service as it is delivered."""
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "fame"], cwd=places.REPOSITORY, check=True)
