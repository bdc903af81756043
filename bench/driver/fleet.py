"""Replicas of the service on one PostgreSQL, and what they cost together."""

import dataclasses
import json

from . import places
from .peers.postgresql import Postgres
from .service import Issuer, Service


@dataclasses.dataclass
class Spent:
    """Processor seconds of all replicas and of the database, and the most memory that one replica had."""
    service: float
    database: float
    memory: int


class Fleet:
    def __init__(self, issuer: Issuer, server: Postgres, name: str, replicas: int):
        self.issuer, self.server, self.name, self.replicas = issuer, server, name, replicas
        self.services: list[Service] = []
        self.packages = places.scratch(f"{name}-packages")
        server.create(name)
        self.start()

    def start(self, settings: str = "") -> None:
        """All replicas, one after the other, with settings besides."""
        # Used up by those that were killed.
        self.used, self.memory = 0.0, 0
        self.services = []
        locations = f'\n[storage.locations]\n"West Europe" = {{ directory = {json.dumps(str(self.packages))} }}\n'
        for number in range(self.replicas):
            label = f"{self.name}-{number}"
            self.services.append(Service(self.issuer, places.SCRATCH / label, name=label,
                                         database=self.server.url(self.name), settings=locations + settings))

    def kill(self, number: int) -> None:
        process = self.services[number].process
        self.used += process.cpu_seconds()
        self.memory = max(self.memory, process.memory("VmHWM"))
        process.kill()

    def start_again(self, number: int) -> None:
        self.services[number].start()

    def _cpu(self) -> tuple[float, float]:
        used = self.used + sum(service.process.cpu_seconds() for service in self.services)
        return used, self.server.process.cpu_seconds()

    def begin(self) -> None:
        """What is spent counts from here."""
        for service in self.services:
            service.process.forget_peak()
        self.memory = 0
        self.before = self._cpu()

    def spent(self) -> Spent:
        service, database = (now - then for now, then in zip(self._cpu(), self.before))
        peaks = [service.process.memory("VmHWM") for service in self.services]
        return Spent(service, database, max(self.memory, *peaks))

    def sql(self, text: str) -> str:
        return self.server.sql(self.name, text)

    def database_size(self) -> int:
        return int(self.sql("SELECT pg_database_size(current_database())"))

    def stop(self) -> None:
        for service in self.services:
            service.stop()
