#!/bin/sh
# The cmdlets of a Business Central server, as far as deploy.sh needs them, for one app: the name that it is started by
# is the cmdlet's. It refuses what a server refuses.
#
# The server is the folder $SERVER:
#   app/VERSION                  what is published: "scope package"
#   TENANT/state                 Operational
#   TENANT/synced/VERSION        what is synchronised
#   TENANT/installed             the installed version
#   TENANT/data                  the version of the data
#   TENANT/dependents/NAME       what depends on it and is installed
#   did                          one line for all that was changed
#   stop                         "before CMDLET", "after CMDLET" or "within Start-NAVAppDataUpgrade": there it says so, and goes on when the pipe "go" says so, or never
#   stopped                      its process group, once it has stopped there
#   fail/CMDLET                  what it fails with
#   drops                        exists: an upgrade uninstalls what depends on the app
set -u
cmdlet=${0##*/}
version='' tenant='' path='' scope='' name='' id=''
while [ $# -gt 0 ]; do
  case $1 in
  -Version) version=$2; shift ;;
  -Tenant) tenant=$2; shift ;;
  -Path) path=$2; shift ;;
  -Scope) scope=$2; shift ;;
  -Name) name=$2; shift ;;
  -Id) id=$2; shift ;;
  esac
  shift
done
at=$SERVER/$tenant

refuse() { echo "$1" >&2; exit 1; }
stop() {
  [ "$(cat "$SERVER/stop" 2>/dev/null)" = "$1 $cmdlet" ] || return 0
  echo "stopped $1 $cmdlet" >&2
  awk '{ print $5 }' /proc/$$/stat >"$SERVER/stopped.new" && mv "$SERVER/stopped.new" "$SERVER/stopped"
  [ -p "$SERVER/go" ] || exec sleep 1000
  read -r _ <"$SERVER/go"
}
# "app version build": a text says so; of a package, the agent has looked whether it is what it was told.
package_of() {
  case $(head -c 4 "$1") in
  NAVX) echo "$FAME_APP_ID $FAME_TARGET_VERSION $(sha256sum <"$1" | cut -c 1-16)" ;;
  *) cat "$1" ;;
  esac
}
version_of() { cat "$1" 2>/dev/null || echo -; }
# Two of these at once get in each other's way.
change() {
  stop before
  if [ -f "$SERVER/fail/$cmdlet" ]; then refuse "$(cat "$SERVER/fail/$cmdlet")"; fi
  mkdir "$SERVER/busy" || refuse "Another cmdlet is at work."
  "$@"
  rmdir "$SERVER/busy"
  echo "$cmdlet ${name:-$version} $tenant" >>"$SERVER/did"
  stop after
}

show_rows() {
  for file in "$SERVER/app"/*; do
    [ -f "$file" ] || continue
    row=${file##*/}
    read -r row_scope row_package <"$file"
    synced=NotSynced installed=False
    [ -f "$at/synced/$row" ] && synced=Synced
    [ "$(version_of "$at/installed")" = "$row" ] && installed=True
    echo "$row $row_scope True $installed $synced False $(version_of "$at/data") $row_package"
  done
  gone=$(version_of "$at/installed")
  [ "$gone" = - ] || [ -f "$SERVER/app/$gone" ] || echo "$gone Global False True Synced False $gone -"
}

publish() {
  version=$new
  echo "$scope $new_package" >"$SERVER/app/$new"
}
sync() { : >"$at/synced/$version"; }
install() {
  if [ -n "$name" ]; then : >"$at/dependents/$name"; return; fi
  echo "$version" >"$at/data"
  echo "$version" >"$at/installed"
}
upgrade() {
  [ ! -f "$SERVER/drops" ] || rm -f "$at/dependents"/*
  rm -f "$at/installed"
  stop within
  install
}
uninstall() { rm "$at/installed"; }
unpublish() { rm "$SERVER/app/$version"; }

case $cmdlet in
Get-NAVAppInfo)
  if [ -n "$path" ]; then
    package_of "$path"
  elif [ -n "$id" ]; then
    show_rows
  else
    ls "$at/dependents"
  fi
  ;;
Get-NAVTenant) cat "$at/state" ;;
Get-NAVAppTenant) grep -lxF "$version" "$SERVER"/*/installed ;;
Publish-NAVApp)
  # shellcheck disable=SC2046 # three words
  set -- $(package_of "$path")
  new=$2 new_package=$3
  [ ! -f "$SERVER/app/$new" ] || refuse "An extension with the same App ID and Version is published."
  change publish
  ;;
Sync-NAVApp)
  [ -f "$SERVER/app/$version" ] || refuse "No published extensions match."
  change sync
  ;;
Install-NAVApp)
  if [ -z "$name" ]; then
    [ -f "$at/synced/$version" ] || refuse "It is newer version than the current schema version. Run Sync-NavApp."
    case $(version_of "$at/data") in
    - | "$version") ;;
    *) refuse "Run Start-NAVAppDataUpgrade to upgrade the extension." ;;
    esac
  fi
  change install
  ;;
Start-NAVAppDataUpgrade)
  [ -f "$at/synced/$version" ] || refuse "It is newer version than the current schema version. Run Sync-NavApp."
  [ -f "$at/data" ] || refuse "There are no data to upgrade."
  change upgrade
  ;;
Uninstall-NAVApp)
  [ "$(version_of "$at/installed")" = "$version" ] || refuse "It is not installed."
  [ -z "$(ls "$at/dependents")" ] || refuse "It cannot be uninstalled, due to a dependency between extensions."
  change uninstall
  ;;
Unpublish-NAVApp)
  ! grep -qxF "$version" "$SERVER"/*/installed || refuse "A tenant has it."
  change unpublish
  ;;
*) refuse "There is no cmdlet $cmdlet." ;;
esac
