#!/usr/bin/env bash
# Runs `fame release` with what the action was given, and ends as it does. `fame` lies in the folder that is named.
set -euo pipefail

export FAME_URL=${SERVICE:-} FAME_TENANT_ID=${TENANT_ID:-} FAME_CLIENT_ID=${CLIENT_ID:-}
for name in FAME_URL FAME_TENANT_ID FAME_CLIENT_ID; do
  [ -n "${!name}" ] || unset "$name"
done

junit=$RUNNER_TEMP/fame-release.xml
arguments=(release --junit "$junit")
with() { if [ -n "$2" ]; then arguments+=("$1" "$2"); fi; }
switch() {
  case $2 in
    true) arguments+=("$1") ;;
    false | '') ;;
    *) echo "${1#--} is true or false, not '$2'." >&2; exit 2 ;;
  esac
}
with --countries "$COUNTRIES"
with --file "$RELEASE_FILE"
with --availability "$AVAILABILITY"
if [ -n "$HOTFIX_WHERE" ]; then arguments+=(--hotfix --where "$HOTFIX_WHERE"); fi
with --run-after "$RUN_AFTER"
switch --ignore-window "$IGNORE_WINDOW"
switch --wait "$WAIT"
with --timeout "$TIMEOUT"
switch --add-countries "$ADD_COUNTRIES"
switch --plan "$PLAN"

# No file's name is taken for an option.
arguments+=(--)
while IFS= read -r pattern; do
  pattern=${pattern%$'\r'}
  [ -n "$pattern" ] || continue
  count=${#arguments[@]}
  # `compgen` finds files by their pattern, also with blanks in it, and does nothing else that a shell would.
  while IFS= read -r file; do arguments+=("$file"); done < <(compgen -G "$pattern")
  [ "${#arguments[@]}" -gt "$count" ] || { echo "No package is called '$pattern'." >&2; exit 2; }
done <<<"$PACKAGES"

echo "junit=$junit" >>"$GITHUB_OUTPUT"
exec "$1/fame" "${arguments[@]}"
