#!/bin/sh
# The steps of contrib/powershell/Deploy-FameApp.ps1, function by function, for sh and the cmdlets of cmdlet.sh: where
# there is no PowerShell, it is still seen that they may be ended anywhere and started again.
#
# $1 is the tenant. A row is: version scope published installed synced needs-upgrade data-version package.
set -u
tenant=$1
keep_old=1
new_app_scope=Global
app=$FAME_APP_ID
target=$FAME_TARGET_VERSION
kind=$FAME_OPERATION_KIND

step() { echo "FAME:progress $1 $2 $3"; }
failed() { echo "FAME:failure $1 $2"; exit 1; }
skipped() { echo "$1"; exit 3; }

rows() { Get-NAVAppInfo -Id "$app" -Tenant "$tenant" || exit 1; }
target_row() { rows | awk -v version="$target" '$1 == version'; }
installed_row() { rows | awk '$4 == "True"'; }
field() { echo "$1" | awk -v number="$2" '{ print $number }'; }
is_newer() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]; }

read_package() {
  package=$(Get-NAVAppInfo -Path "$FAME_PACKAGE") || exit 1
  [ "$(field "$package" 1) $(field "$package" 2)" = "$app $target" ] ||
    failed PackageChanged "The package holds $package."
}

assert_tenant_ready() {
  state=$(Get-NAVTenant -Tenant "$tenant") || exit 1
  case $state in
  Operational | Mounted) ;;
  *) failed Lock "The tenant '$tenant' is $state." ;;
  esac
}

assert_sound() {
  rows | awk '$4 == "True" && $3 != "True" { exit 1 }' || failed Other "A version is installed and not published."
}

publish_target() {
  step 20 Publish "Version $target is published."
  Publish-NAVApp -Path "$FAME_PACKAGE" -Scope "$1" -Tenant "$tenant" || [ -n "$(target_row)" ] || exit 1
}

assert_same_package() {
  [ "$(field "$1" 8)" = "$(field "$package" 3)" ] ||
    failed AlreadyPublished "Version $target is published from another package."
}

sync_target() {
  step 40 Sync "The tables of version $target are synchronised."
  Sync-NAVApp -AppId "$app" -Version "$target" -Tenant "$tenant" -Mode Add -Force || exit 1
  [ "$(field "$(target_row)" 5)" = Synced ] || failed Other "After the synchronisation, the app is not Synced."
}

install_target() {
  data=$(field "$1" 7)
  if [ "$data" = - ] || [ "$data" = "$target" ]; then
    step 60 Install "Version $target is installed."
    Install-NAVApp -AppId "$app" -Version "$target" -Tenant "$tenant" -Force || exit 1
  else
    step 60 Upgrade "The data of version $data are upgraded to $target."
    Start-NAVAppDataUpgrade -AppId "$app" -Version "$target" -Tenant "$tenant" -Force || exit 1
  fi
}

# What was installed before anything was begun: kept beside the package, for a process after this one finds it gone. $1
# is whether the target is installed.
save_dependents() {
  kept=$FAME_PACKAGE.dependents
  if [ ! -f "$kept" ] && [ "$1" != True ]; then
    Get-NAVAppInfo -Tenant "$tenant" >"$kept.new" && mv "$kept.new" "$kept" || exit 1
  fi
  [ ! -f "$kept" ] || cat "$kept"
}

restore_dependents() {
  now=$(Get-NAVAppInfo -Tenant "$tenant") || exit 1
  for dependent in $1; do
    echo "$now" | grep -qxF "$dependent" && continue
    step 85 Dependents "$dependent is installed again."
    Install-NAVApp -Name "$dependent" -Tenant "$tenant" -Force || failed Other "$dependent was uninstalled."
  done
}

assert_installed() {
  step 80 Verify "What is installed is read back."
  installed=$(installed_row)
  [ "$(field "$installed" 1)" = "$target" ] || failed Other "Installed is $installed."
  [ "$(field "$installed" 6)" = False ] || failed UpgradeCode "Version $target needs an upgrade."
}

unpublish_old() {
  step 90 Unpublish "All but $keep_old of the older versions are unpublished."
  rows | awk '$4 != "True" { print $1 }' | sort -Vr | while read -r old; do
    is_newer "$target" "$old" && echo "$old"
  done | tail -n +$((keep_old + 1)) | while read -r old; do
    [ -z "$(Get-NAVAppTenant -Id "$app" -Version "$old" -IncludeFailed)" ] || continue
    Unpublish-NAVApp -AppId "$app" -Version "$old" || echo "Version $old stays published."
  done
}

update_app() {
  assert_tenant_ready
  assert_sound
  installed=$(installed_row)
  row=$(target_row)
  is_newer "$(field "$installed" 1)" "$target" && skipped "AlreadyUpToDate: version $(field "$installed" 1) is installed."
  [ -n "$installed$row" ] || [ "$kind" = Install ] || skipped "AppUninstalled: no version of the app is installed."
  scope=$(field "${installed:-$(rows | head -n 1)}" 2)
  scope=${scope:-$new_app_scope}
  before=$(save_dependents "$(field "$row" 4)") || exit 1
  if [ "$(field "$row" 4)" != True ]; then
    [ -n "$row" ] || publish_target "$scope"
    row=$(target_row)
    assert_same_package "$row"
    [ "$(field "$row" 5)" = Synced ] || sync_target
    row=$(target_row)
    [ "$(field "$row" 4)" = True ] || install_target "$row"
  fi
  restore_dependents "$before"
  assert_installed
  unpublish_old
  step 100 Done "Version $target is installed."
}

# An uninstall, in place of steps 3 to 7. Every version stays published, and the data stay.
remove_app() {
  assert_tenant_ready
  assert_sound
  installed=$(installed_row)
  [ -n "$installed" ] || skipped "AppUninstalled: no version of the app is installed."
  step 50 Uninstall "Version $(field "$installed" 1) is uninstalled."
  Uninstall-NAVApp -AppId "$app" -Version "$(field "$installed" 1)" -Tenant "$tenant" || exit 1
  [ -z "$(installed_row)" ] || failed Other "It is still installed."
  step 100 Done "The app is uninstalled."
}

wait_mutex() {
  exec 8>"$SERVER/mutex"
  flock -n 8 && return
  step 0 Wait "Another deployment is waited for."
  flock 8
}

[ "$FAME_DELETE_DATA" = false ] || failed NotSupported "This script deletes no data."
[ "$kind" = Uninstall ] || read_package
wait_mutex
if [ "$kind" = Uninstall ]; then remove_app; else update_app; fi
