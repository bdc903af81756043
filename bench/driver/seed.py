"""Sets to measure on: begun over the API as everybody does it, then multiplied in the database's file.

What multiplies is always a row that the service wrote itself, so no knowledge of the tables is needed but the names of
the columns that have to differ. Sets are made once and copied for every use.
"""

import base64
import hashlib
import json
import pathlib
import shutil
import sqlite3
import uuid
from collections.abc import Iterable

from . import package, places
from .service import Issuer, Service

APP = "63ca2fa4-4f03-4f2b-a480-172fef340d3f"
FAMILY = "Business Central"
# Environments are registered in one country and versions are listed in another.
HOME, LISTED = "US", "DK"
INSTALLED, TARGET, OLD = "16.0.0.0", "16.0.1.0", "16.0.0.5"
VERSIONS = 10_000
ENVIRONMENTS_OF_A_TENANT = 10


def tenant_of(number: int) -> uuid.UUID:
    """The tenant of an environment; sorts as the numbers do."""
    return uuid.UUID(fields=(number // ENVIRONMENTS_OF_A_TENANT, 0, 0x4000, 0x80, 0, 0))


def name_of(number: int) -> str:
    return f"Environment {number:07d}"


def environment(number: int) -> dict[str, str]:
    """What differs between environments: one in ten has the old version, one in ten is a sandbox."""
    return {
        "tenant": str(tenant_of(number)),
        "name": name_of(number),
        "type": "Sandbox" if number % 10 == 3 else "Production",
        "version": OLD if number // 10 % 10 == 7 else INSTALLED,
    }


def begin(service: Service) -> None:
    """An app with roles, countries, three versions, and one environment."""
    issuer = service.issuer
    with service.client("operator") as operator:
        operator.ask("PUT", f"/operator/v1/apps/{APP}", {
            "publisher": "Contoso", "publisherAadTenantId": issuer.client("owner")["tenantId"],
            "publisherContactEmail": "apps@contoso.com", "storageLocation": "West Europe",
            "owner": {"type": "Application", "id": issuer.client("owner")["principalId"]}})
    with service.client("owner") as owner:
        for country in (HOME, LISTED):
            owner.ask("PATCH", f"/v1.0/apps/{APP}/countries/{country}", {})
        for name, role in (("contributor", "Contributor"), ("reader", "Reader")):
            owner.ask("PATCH", f"/v1.0/apps/{APP}/principals/{issuer.client(name)['principalId']}",
                      {"type": "Application", "roles": [role]})
    with service.client("contributor") as contributor:
        for country, version in ((HOME, INSTALLED), (HOME, OLD), (HOME, TARGET), (LISTED, INSTALLED)):
            upload(contributor, country, package.build(APP, version, 4_000))
    with service.client("operator") as operator:
        one = environment(0)
        operator.ask("PUT", f"/operator/v1/environments/{one['tenant']}/{FAMILY}/{one['name']}", {
            "countryCode": HOME, "type": one["type"], "locationName": "West Europe", "applicationVersion": "27.0.0.0",
            "platformVersion": "27.0.0.0",
            "window": {"start": "20:00", "end": "06:00", "timeZone": "Romance Standard Time"},
            "inventoryComplete": True,
            "apps": [{"id": APP, "name": "Sales Pack", "publisher": "Contoso", "version": one["version"]}]})


def upload_body(content: bytes) -> bytes:
    """The JSON of an upload."""
    return b'{"initialAvailability":"Available","packageContents":"' + base64.b64encode(content) + b'"}'


def upload(contributor, country: str, content: bytes) -> dict:
    path = f"/v1.0/apps/{APP}/countries/{country}/versions"
    return json.loads(contributor.send("POST", path, upload_body(content)))


def _edition() -> str:
    """Sets are made anew when the tables, or the way in which sets are made, have changed."""
    migrations = sorted((places.REPOSITORY / "crates" / "store" / "migrations").glob("*.sql"))
    made_of = b"".join(path.read_bytes() for path in [*migrations, pathlib.Path(__file__)])
    return hashlib.sha256(made_of).hexdigest()[:8]


def seeded(issuer: Issuer, environments: int) -> pathlib.Path:
    """The data folder of a service with ten thousand versions and so many environments."""
    folder = places.SETS / f"{_edition()}-{environments}"
    marker = folder / "complete"
    if marker.exists():
        return folder
    for former in places.SETS.glob("*"):
        if former == folder or not former.name.startswith(_edition()):
            shutil.rmtree(former)
    print(f"  making a set with {environments:,} environments …", flush=True)
    service = Service(issuer, folder)
    try:
        begin(service)
    finally:
        service.stop()
    multiply(folder / "fame.db", environments)
    marker.write_text("made\n")
    return folder


def multiply(file: pathlib.Path, environments: int) -> None:
    database = sqlite3.connect(file)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -262144")
    with database:
        _insert(database, "versions", _versions(_template(database, "versions", f"country_code = '{LISTED}'")))
        if environments > 1:
            place = _template(database, "environments", "true")
            installation = _template(database, "installations", "true")
            version_keys = dict(database.execute("SELECT version, version_key FROM versions WHERE country_code = ?", [HOME]))
            # The service gives ids that grow with time.
            first = int.from_bytes(place["id"], "big")
            ids = {number: (first + (number << 80)).to_bytes(16, "big") for number in range(1, environments)}
            _insert(database, "environments", (_environment(place, number, ids) for number in ids))
            _insert(database, "installations",
                    (_installation(installation, number, ids, version_keys) for number in ids))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


Row = dict[str, object]


def _template(database: sqlite3.Connection, table: str, where: str) -> Row:
    cursor = database.execute(f"SELECT * FROM {table} WHERE {where} LIMIT 1")
    return dict(zip([column[0] for column in cursor.description], cursor.fetchone()))


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    rows = iter(rows)
    first = next(rows)
    columns = ", ".join(first)
    places_for = ", ".join("?" * len(first))

    def values():
        yield tuple(first.values())
        for row in rows:
            yield tuple(row.values())
    database.executemany(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places_for})", values())


def _versions(template: Row) -> Iterable[Row]:
    """Twenty lines of five hundred: 15.0 to 19.3."""
    for number in range(VERSIONS):
        major, minor = 15 + number // 2000, number % 2000 // 500
        build, revision = number % 500 // 10, number % 10
        key = b"".join(part.to_bytes(4, "big") for part in (major, minor, build, revision))
        yield {**template, "version": f"{major}.{minor}.{build}.{revision}", "version_key": key, "major": major,
               "minor": minor, "build": build, "revision": revision, "package_id": uuid.uuid4().bytes,
               "upload_id": uuid.uuid4().bytes, "etag": uuid.uuid4().bytes}


def _environment(template: Row, number: int, ids: dict[int, bytes]) -> Row:
    one = environment(number)
    return {**template, "id": ids[number], "tenant_id": tenant_of(number).bytes, "name": one["name"],
            "name_key": _name_key(template, one["name"]), "kind": one["type"], "etag": uuid.uuid4().bytes}


def _installation(template: Row, number: int, ids: dict[int, bytes], version_keys: dict[str, bytes]) -> Row:
    one = environment(number)
    return {**template, "environment_id": ids[number], "tenant_id": tenant_of(number).bytes, "name": one["name"],
            "name_key": _name_key(template, one["name"]), "kind": one["type"], "version": one["version"],
            "version_key": version_keys[one["version"]]}


def _name_key(template: Row, name: str) -> str:
    """The key of a name, made as the service made it for the template."""
    made = template["name_key"]
    if made == template["name"].lower():
        return name.lower()
    raise RuntimeError(f"names have keys of an unknown kind: {made!r}")


def listed_rows(service: Service, resource: str, country: str, query: str = "") -> list[dict]:
    """Rows as the API lists them."""
    with service.client("reader") as reader:
        return reader.ask("GET", f"/v1.0/apps/{APP}/countries/{country}/{resource}{query}")["value"]


def rows_for_peers(service: Service, folder: pathlib.Path) -> pathlib.Path:
    """The same rows, as they are shown, in a file for peers that read SQLite; indexed for the questions asked."""
    file = folder / "rows.db"
    if file.exists():
        return file
    staged = folder / "rows.part"
    staged.unlink(missing_ok=True)
    database = sqlite3.connect(staged)
    for table, rows in (("versions", listed_rows(service, "versions", LISTED)),
                        ("environments", listed_rows(service, "environments", HOME))):
        columns = list(rows[0])
        types = ", ".join(f'"{name}" {"INTEGER" if isinstance(rows[0][name], int) else "TEXT"}' for name in columns)
        database.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {types})")
        places_for = ", ".join("?" * (len(columns) + 1))
        database.executemany(
            f"INSERT INTO {table} VALUES ({places_for})",
            ([number, *(json.dumps(value) if isinstance(value, list) else value for value in row.values())]
             for number, row in enumerate(rows)))
    database.execute("CREATE INDEX versions_by_line ON versions (majorVersion, minorVersion)")
    database.execute("CREATE UNIQUE INDEX versions_by_version ON versions (version)")
    database.execute("CREATE INDEX environments_by_version ON environments (version, type)")
    database.commit()
    database.close()
    staged.rename(file)
    return file
