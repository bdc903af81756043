"""Packages as the service takes them: a header of forty bytes and a ZIP with a manifest."""

import io
import os
import struct
import uuid
import zipfile

_NAMESPACE = "http://schemas.microsoft.com/navx/2015/manifest"
_EMPTY = ["IdRanges", "Dependencies", "InternalsVisibleTo", "ScreenShots", "SupportedLocales", "Features",
          "PreprocessorSymbols", "SuppressWarnings", "ResourceExposurePolicy", "KeyVaultUrls", "Source"]
_noise: dict[int, bytes] = {}


def build(app: str, version: str, size: int, inside: str = "") -> bytes:
    """A package of about `size` bytes that cannot be packed any smaller, with so much more in its manifest; no two are the
    same."""
    if size not in _noise:
        _noise[size] = os.urandom(size)
    payload = io.BytesIO()
    with zipfile.ZipFile(payload, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry("NavxManifest.xml"), _manifest(app, version, inside), zipfile.ZIP_DEFLATED)
        archive.writestr(_entry("resources/filler.bin"), os.urandom(64) + _noise[size])
        # Without it a package holds only symbols.
        archive.writestr(_entry("MediaIdListing.xml"), "<MediaIdListing />")
        archive.writestr(_entry("[Content_Types].xml"), "<Types />")
    content = payload.getbuffer()
    header = b"NAVX" + struct.pack("<II", 40, 2) + uuid.uuid4().bytes_le + struct.pack("<q", len(content)) + b"NAVX"
    return header + content


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0))


def dependencies(count: int) -> str:
    """So many, each with names as long as they may be."""
    one = f'Name="{"N" * 250}" Publisher="{"P" * 250}" MinVersion="1.0.0.0"'
    return "<Dependencies>" + "".join(f'<Dependency Id="{uuid.UUID(int=number + 1)}" {one} />'
                                      for number in range(count)) + "</Dependencies>"


def _manifest(app: str, version: str, inside: str) -> str:
    attributes = {
        "Id": app, "Name": "Sales Pack", "Publisher": "Contoso", "Brief": "", "Description": "", "Version": version,
        "CompatibilityId": "0.0.0.0", "Platform": "27.0.0.0", "Application": "27.0.0.0", "Runtime": "16.0",
        "Target": "Cloud", "ShowMyCode": "False",
    }
    told = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    empty = "\r\n".join(f"  <{name} />" for name in _EMPTY if f"<{name}>" not in inside)
    return f'<Package xmlns="{_NAMESPACE}">\r\n  <App {told} />\r\n{empty}\r\n{inside}</Package>'
