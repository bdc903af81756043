"""Reads packages as other people's programs would, and tells which apps they see in them.

Reads lines of JSON from standard input, {"package": base64 of a package, "unpack": whether to run unzip, too}, and
answers each with a line: an object from reader to the apps it sees, [id, name, publisher, version] each.

ZIPs are read by Python's zipfile (by the directory), stream-unzip (front to back) and unzip (to disk); XML by lxml
(libxml2) and expat. A reader that refuses sees nothing.
"""

import base64
import io
import json
import pathlib
import posixpath
import subprocess
import sys
import tempfile
import urllib.parse
import warnings
import xml.etree.ElementTree
import zipfile

import lxml.etree
import stream_unzip

HEADER_BYTES = 40
MANIFEST = "navxmanifest.xml"


def main() -> int:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        asked = json.loads(line)
        archive = base64.b64decode(asked["package"])[HEADER_BYTES:]
        json.dump(seen(archive, asked["unpack"]), sys.stdout)
        print(flush=True)
    return 0


def seen(archive: bytes, unpack: bool) -> dict:
    """What each pair of readers sees."""
    readers = {"zipfile": by_directory, "stream-unzip": front_to_back}
    if unpack:
        readers["unzip"] = to_disk
    apps = {}
    for zip_reader, read in readers.items():
        manifests = read(archive)
        for xml_reader, parse in {"lxml": with_lxml, "expat": with_expat}.items():
            found = [app for manifest in manifests for app in parse(manifest)]
            apps[f"{zip_reader} and {xml_reader}"] = found
    return apps


def is_manifest(name: str) -> bool:
    """Whether some program takes the name for the manifest's."""
    while (decoded := urllib.parse.unquote(name)) != name:
        name = decoded
    normal = posixpath.normpath("/" + name.replace("\\", "/")).lower()
    return normal.strip("/").rstrip(". ") == MANIFEST


def by_directory(archive: bytes) -> list:
    try:
        opened = zipfile.ZipFile(io.BytesIO(archive))
        entries = [entry for entry in opened.infolist() if is_manifest(entry.filename)]
    except Exception:
        return []
    manifests = []
    for entry in entries:
        try:
            manifests.append(opened.read(entry))
        except Exception:
            pass
    return manifests


def front_to_back(archive: bytes) -> list:
    manifests = []
    try:
        for name, _, chunks in stream_unzip.stream_unzip([archive]):
            content = b"".join(chunks)
            if is_manifest(name.decode(errors="replace")):
                manifests.append(content)
    except Exception:
        pass
    return manifests


def to_disk(archive: bytes) -> list:
    with tempfile.TemporaryDirectory() as folder:
        packed = pathlib.Path(folder, "packed.zip")
        packed.write_bytes(archive)
        unpacked = pathlib.Path(folder, "unpacked")
        unzip = ["unzip", "-oqq", "-P", "", "-d", str(unpacked), str(packed)]
        subprocess.run(unzip, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        files = [path for path in unpacked.rglob("*") if path.is_file()]
        return [path.read_bytes() for path in files if is_manifest(str(path.relative_to(unpacked)))]


def with_lxml(manifest: bytes) -> list:
    try:
        parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True)
        return apps_in(lxml.etree.fromstring(manifest, parser))
    except Exception:
        return []


def with_expat(manifest: bytes) -> list:
    try:
        return apps_in(xml.etree.ElementTree.fromstring(manifest))
    except Exception:
        return []


def apps_in(root) -> list:
    """Every App below the root, for whoever minds neither case nor namespace."""
    apps = []
    for element in root:
        if isinstance(element.tag, str) and local(element.tag).lower() == "app":
            for attributes in spellings(element.attrib):
                apps.append(identity(attributes))
    return apps


def spellings(attributes) -> list:
    """The attributes as they stand, and as they are for whoever minds neither case nor namespace."""
    plain = dict(attributes)
    folded = {}
    for name, value in attributes.items():
        folded[local(name).lower()] = value
    exact = {name: folded.get(name.lower()) for name in ("Id", "Name", "Publisher", "Version")}
    return [plain, exact]


def local(name: str) -> str:
    return name.rpartition("}")[2]


def identity(attributes) -> list:
    app = attributes.get("Id") or ""
    version = attributes.get("Version") or ""
    parts = version.split(".")
    if all(part.isascii() and part.isdigit() for part in parts):
        version = ".".join(str(int(part)) for part in parts)
    names = [attributes.get("Name") or "", attributes.get("Publisher") or ""]
    return [app.lower().removeprefix("{").removesuffix("}"), *names, version]


if __name__ == "__main__":
    sys.exit(main())
