#!/usr/bin/env bash
# Brings `fame` into the folder that is named: the version and the digest are pinned, and nothing else is ever run.
#
# The digest is that of SHA256SUMS, which has those of the programs for all systems; so one pin serves every runner.
set -euo pipefail

folder=$1
version=$FAME_PROGRAM_VERSION
[[ $version =~ ^[0-9A-Za-z.-]+$ ]] || { echo "'$version' is no version of fame." >&2; exit 2; }
[[ $FAME_PROGRAM_SHA256 =~ ^[0-9a-fA-F]{64}$ ]] || { echo "'$FAME_PROGRAM_SHA256' is no SHA-256." >&2; exit 2; }
release="${FAME_PROGRAM_RELEASES%/}/v$version"

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) archive=fame-$version-x86_64-unknown-linux-musl.tar.gz ;;
  Linux-aarch64) archive=fame-$version-aarch64-unknown-linux-musl.tar.gz ;;
  Darwin-x86_64) archive=fame-$version-x86_64-apple-darwin.tar.gz ;;
  Darwin-arm64) archive=fame-$version-aarch64-apple-darwin.tar.gz ;;
  MINGW*-x86_64 | MSYS*-x86_64) archive=fame-$version-x86_64-pc-windows-msvc.zip ;;
  *) echo "There is no fame for $(uname -s) on $(uname -m)." >&2; exit 2 ;;
esac

fetch() { curl --fail --silent --show-error --location --retry 3 --max-time 600 -o "$1" "$release/$1"; }
digest() { (sha256sum "$1" 2>/dev/null || shasum -a 256 "$1") | cut -d ' ' -f 1; }
# The file that is named first has the digest that comes second, or it is gone and nothing goes on.
hold() {
  local found
  found=$(digest "$1")
  [ "$found" = "$2" ] && return
  rm -f "$1"
  echo "$release/$1 has the SHA-256 $found, not $2." >&2
  exit 1
}

rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
fetch SHA256SUMS
hold SHA256SUMS "$(tr 'A-F' 'a-f' <<<"$FAME_PROGRAM_SHA256")"
expected=$(awk -v name="$archive" '{ sub(/^\*/, "", $2) } $2 == name { print $1 }' SHA256SUMS)
[ -n "$expected" ] || { echo "Release $version has no $archive." >&2; exit 1; }
fetch "$archive"
hold "$archive" "$expected"
case $archive in
  *.zip) unzip -q "$archive" && mv "${archive%.zip}/fame.exe" . ;;
  *) tar -xzf "$archive" && mv "${archive%.tar.gz}/fame" . ;;
esac
rm -rf "$archive" "fame-$version-"*
