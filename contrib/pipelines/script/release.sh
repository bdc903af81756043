#!/usr/bin/env bash
# The release of an app as a build system runs it: build, plan, upload to all countries, offer, hotfix what matches, wait.
#
#   VERSION        the version to release, such as 16.1.3.0
#   COUNTRIES      where to, such as US,DK,DE
#   ENVIRONMENTS   which environments get a hotfix, as OData; production where nothing else is said
#   FAME_URL       the service; with it goes what signs in there, such as FAME_TOKEN
#
# What is given after the script's name is passed on to `fame release`, such as --ignore-window.
set -euo pipefail

: "${VERSION:?is the version to release}" "${COUNTRIES:?are the countries, such as US,DK,DE}"
: "${FAME_URL:?is the service to release to}"
ENVIRONMENTS="${ENVIRONMENTS:-type eq 'Production'}"

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

echo "== Build"
# In the place of your compiler.
fame dev package "$VERSION" "$build/app.app"

release=(fame release "$build"/*.app --countries "$COUNTRIES" --availability Available
         --hotfix --where "$ENVIRONMENTS" "$@")

echo "== Plan"
"${release[@]}" --plan

# 6: the service is out of reach; 20: a part was done, the rest was not. Whatever is done already is not done again; where
# an attempt ends as the one before, another would too. An outage passes by itself.
before=
for attempt in 1 2 3 4 5; do
  echo "== Release, attempt $attempt"
  code=0
  shown=$("${release[@]}" --wait) || code=$?
  printf '%s\n' "$shown"
  case $code in
    6) ;;
    20) [[ $shown != "$before" ]] || exit "$code" ;;
    *) exit "$code" ;;
  esac
  before=$shown
  sleep "$attempt"
done
exit "$code"
