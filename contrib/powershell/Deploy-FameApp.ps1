<#
.SYNOPSIS
Brings an app, or a newer version of one, into a tenant of a Business Central server, or takes one out. Data stay.

.DESCRIPTION
The deploy command of the agent's exec driver (docs/agents/exec.md). What to bring where comes in variables FAME_*; the
parameters below come from the agent's configuration.

Whatever it finds done already, it does not do again, so it may be started again after it was ended anywhere: what is
published, synchronised and installed decides, and nothing else.

Ends with 0 when it is as it was asked for, with 3 when there was nothing to do, and with 1 otherwise.

.PARAMETER ServerInstance
The server instance: BC260, or MicrosoftDynamicsNavServer$BC260.

.PARAMETER ServiceFolder
Its Service folder, such as C:\Program Files\Microsoft Dynamics 365 Business Central\260\Service.

.PARAMETER Tenant
The tenant's id on that server; default on a server of one tenant.

.PARAMETER KeepOldVersions
So many older versions stay published, for a way back.

.PARAMETER NewAppScope
For whom an app is published of which the server has no version yet: Global or Tenant.

.PARAMETER SkipVerification
Takes packages that are not signed.

.PARAMETER PublisherTenant
The publisher's Microsoft Entra tenant, where a package needs it.

.PARAMETER WaitMinutes
How long to wait for another one of these scripts at the same server instance.
#>
#Requires -Version 5.1
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [ValidatePattern('^[\w.$-]+$')] [string] $ServerInstance,
    [Parameter(Mandatory)] [ValidateNotNullOrEmpty()] [string] $ServiceFolder,
    [ValidateNotNullOrEmpty()] [string] $Tenant = 'default',
    [ValidateRange(0, 10)] [int] $KeepOldVersions = 1,
    [ValidateSet('Global', 'Tenant')] [string] $NewAppScope = 'Global',
    [switch] $SkipVerification,
    [string] $PublisherTenant,
    [ValidateRange(1, 1440)] [int] $WaitMinutes = 60
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
# The agent knows failures by their English words.
[System.Threading.Thread]::CurrentThread.CurrentUICulture = 'en-US'
[System.Threading.Thread]::CurrentThread.CurrentCulture = 'en-US'
try {
    [Console]::OutputEncoding = [System.Text.UTF8Encoding]::new($false)
} catch [System.IO.IOException] {
    # Without a console there is nothing to set, and the agent makes of it what it can.
    [Console]::Error.WriteLine('The output is not UTF-8.')
}

. (Join-Path -Path $PSScriptRoot -ChildPath 'Import-FameCmdlets.ps1')

$Done = 0
$Failed = 1
$Skipped = 3

function Write-Step([int] $Percent, [string] $Step, [string] $Text) {
    [Console]::Out.WriteLine("FAME:progress $Percent $Step $Text")
}

# Ends the script, once the mutex is given back.
class Ending : System.Exception {
    [int] $Code
    Ending([int] $code, [string] $line) : base($line) { $this.Code = $code }
}

function Stop-Failed([string] $Cause, [string] $Text) {
    throw [Ending]::new($Failed, "FAME:failure $Cause $Text")
}

function Stop-Skipped([string] $Text) {
    throw [Ending]::new($Skipped, $Text)
}

# A fact, never more than data.
function Get-Fact([string] $Name) {
    $value = [Environment]::GetEnvironmentVariable("FAME_$Name")
    if ([string]::IsNullOrEmpty($value)) { Stop-Failed 'Other' "FAME_$Name is not set: an agent starts this script." }
    $value
}

# By what a cmdlet is told which app: the id, or where it is too old for that, name and publisher.
function Get-AppArgument([string] $Cmdlet, [version] $Version) {
    $arguments = @{ ServerInstance = $ServerInstance; Version = $Version }
    if ((Get-Command -Name $Cmdlet).Parameters.ContainsKey('AppId')) {
        $arguments.AppId = $AppId
    } else {
        $arguments.Name = $Package.Name
        $arguments.Publisher = $Package.Publisher
    }
    $arguments
}

# Step 2: every published version of the app, as the tenant sees it.
function Get-Row {
    Get-NAVAppInfo -ServerInstance $ServerInstance -Id $AppId -Tenant $Tenant -TenantSpecificProperties
}

function Get-TargetRow {
    Get-Row | Where-Object { [version] $_.Version -eq $Target } | Select-Object -First 1
}

function Get-InstalledApp {
    Get-NAVAppInfo -ServerInstance $ServerInstance -Tenant $Tenant -TenantSpecificProperties |
        Where-Object { $_.IsInstalled }
}

# Step 0
function Read-Package {
    if (-not (Test-Path -LiteralPath $PackageFile -PathType Leaf)) { Stop-Failed 'Other' 'The package is not there.' }
    $info = Get-NAVAppInfo -Path $PackageFile
    if ([guid] "$($info.AppId)" -ne $AppId -or [version] $info.Version -ne $Target) {
        Stop-Failed 'PackageChanged' "The package holds $($info.AppId) $($info.Version), not $AppId $Target."
    }
    $info
}

# Step 1
function Assert-TenantReady {
    $state = "$((Get-NAVTenant -ServerInstance $ServerInstance -Tenant $Tenant -ForceRefresh).State)"
    if ($state -notin 'Operational', 'Mounted') { Stop-Failed 'Lock' "The tenant '$Tenant' is $state." }
}

function Assert-Sound($Rows) {
    $broken = @($Rows | Where-Object { $_.IsInstalled -and -not $_.IsPublished })
    if ($broken) { Stop-Failed 'Other' "Version $($broken[0].Version) is installed and not published." }
}

# Step 3
function Publish-Target([string] $Scope) {
    Write-Step 20 'Publish' "Version $Target is published."
    $arguments = @{ ServerInstance = $ServerInstance; Path = $PackageFile; PackageType = 'Extension'; Scope = $Scope }
    if ($Scope -eq 'Tenant') { $arguments.Tenant = $Tenant }
    if ($SkipVerification) { $arguments.SkipVerification = $true }
    if ($PublisherTenant) { $arguments.PublisherAzureActiveDirectoryTenantId = $PublisherTenant }
    try {
        Publish-NAVApp @arguments
    } catch {
        # Somebody else may have been quicker. What is published then decides, and not who did it.
        $failure = $_
        if (-not (Get-TargetRow)) { throw $failure }
    }
}

function Assert-SamePackage($Row) {
    if ("$($Row.PackageId)" -ne "$($Package.PackageId)") {
        Stop-Failed 'AlreadyPublished' "Version $Target is published from another package, $($Row.PackageId)."
    }
}

# Step 4
function Sync-Target {
    Write-Step 40 'Sync' "The tables of version $Target are synchronised."
    $arguments = Get-AppArgument 'Sync-NAVApp' $Target
    Sync-NAVApp @arguments -Tenant $Tenant -Mode Add -Force
    $state = "$((Get-TargetRow).SyncState)"
    if ($state -ne 'Synced') { Stop-Failed 'Other' "After the synchronisation, the app is $state." }
}

# Step 5
function Install-Target($Row) {
    $data = "$($Row.ExtensionDataVersion)"
    if (-not $data -or [version] $data -eq $Target) {
        Write-Step 60 'Install' "Version $Target is installed."
        $arguments = Get-AppArgument 'Install-NAVApp' $Target
        Install-NAVApp @arguments -Tenant $Tenant -Force
    } else {
        Write-Step 60 'Upgrade' "The data of version $data are upgraded to $Target."
        $arguments = Get-AppArgument 'Start-NAVAppDataUpgrade' $Target
        Start-NAVAppDataUpgrade @arguments -Tenant $Tenant -Force
    }
}

# Step 6
function Assert-Installed {
    Write-Step 80 'Verify' "What is installed is read back."
    $installed = @(Get-Row | Where-Object { $_.IsInstalled })
    if ($installed.Count -ne 1 -or [version] $installed[0].Version -ne $Target) {
        Stop-Failed 'Other' "Installed is $(($installed | ForEach-Object { $_.Version }) -join ', '), not $Target."
    }
    if ($installed[0].NeedsUpgrade) { Stop-Failed 'UpgradeCode' "Version $Target is installed and needs an upgrade." }
}

# What was installed before step 3: kept beside the package, for a script after this one finds it gone.
function Save-Dependent([bool] $IsDone) {
    $kept = "$PackageFile.dependents"
    if (-not (Test-Path -LiteralPath $kept -PathType Leaf)) {
        if ($IsDone) { return }
        $apps = @(Get-InstalledApp | ForEach-Object {
                [pscustomobject] @{
                    AppId = "$($_.AppId)"; Name = $_.Name; Publisher = $_.Publisher; Version = "$($_.Version)"
                }
            })
        ConvertTo-Json -InputObject $apps | Set-Content -LiteralPath "$kept.new" -Encoding UTF8
        # Half a list is none.
        Move-Item -LiteralPath "$kept.new" -Destination $kept -Force
    }
    $apps = Get-Content -LiteralPath $kept -Raw -Encoding UTF8 | ConvertFrom-Json
    $apps
}

# What was installed before and is not any more depends on the app, and comes back.
function Restore-Dependent($Before) {
    $now = @(Get-InstalledApp)
    foreach ($app in $Before) {
        if ("$($app.AppId)" -in @($now | ForEach-Object { "$($_.AppId)" })) { continue }
        Write-Step 85 'Dependents' "$($app.Name) $($app.Version) is installed again."
        try {
            Install-NAVApp -ServerInstance $ServerInstance -Name $app.Name -Publisher $app.Publisher `
                -Version $app.Version -Tenant $Tenant -Force
        } catch {
            Stop-Failed 'Other' "$($app.Name) $($app.Version) was uninstalled and cannot be installed again: $_"
        }
    }
}

# Step 7. That something old stays is no failure.
function Unpublish-Old([string] $Scope) {
    Write-Step 90 'Unpublish' "All but $KeepOldVersions of the older versions are unpublished."
    $old = @(Get-Row | Where-Object { [version] $_.Version -lt $Target -and -not $_.IsInstalled } |
            Sort-Object -Property { [version] $_.Version } -Descending | Select-Object -Skip $KeepOldVersions)
    foreach ($row in $old) {
        try {
            $users = @(Get-NAVAppTenant -ServerInstance $ServerInstance -Id $AppId -Version $row.Version -IncludeFailed)
            if ($users) { continue }
            $arguments = Get-AppArgument 'Unpublish-NAVApp' $row.Version
            if ($Scope -eq 'Tenant') { $arguments.Tenant = $Tenant }
            Unpublish-NAVApp @arguments
        } catch {
            [Console]::Out.WriteLine("Version $($row.Version) stays published: $_")
        }
    }
}

function Update-App {
    Assert-TenantReady
    $rows = @(Get-Row)
    Assert-Sound $rows
    $installed = $rows | Where-Object { $_.IsInstalled } | Select-Object -First 1
    $row = $rows | Where-Object { [version] $_.Version -eq $Target } | Select-Object -First 1
    if ($installed -and [version] $installed.Version -gt $Target) {
        Stop-Skipped "AlreadyUpToDate: version $($installed.Version) is installed."
    }
    if (-not $installed -and -not $row -and $Kind -ne 'Install') {
        Stop-Skipped 'AppUninstalled: no version of the app is installed.'
    }
    $scope = if ($installed) { "$($installed.Scope)" } elseif ($rows) { "$($rows[0].Scope)" } else { $NewAppScope }
    $isDone = [bool] ($row -and $row.IsInstalled)
    $before = @(Save-Dependent $isDone)
    if (-not $isDone) {
        if (-not $row) {
            Publish-Target $scope
            $row = Get-TargetRow
        }
        Assert-SamePackage $row
        if ("$($row.SyncState)" -ne 'Synced') {
            Sync-Target
            $row = Get-TargetRow
        }
        if (-not $row.IsInstalled) { Install-Target $row }
    }
    Restore-Dependent $before
    Assert-Installed
    Unpublish-Old $scope
    Write-Step 100 'Done' "Version $Target is installed."
}

# An uninstall, in place of steps 3 to 7. Every version stays published, and the data stay.
function Remove-App {
    Assert-TenantReady
    $rows = @(Get-Row)
    Assert-Sound $rows
    $installed = $rows | Where-Object { $_.IsInstalled } | Select-Object -First 1
    if (-not $installed) { Stop-Skipped 'AppUninstalled: no version of the app is installed.' }
    Write-Step 50 'Uninstall' "Version $($installed.Version) is uninstalled."
    $arguments = Get-AppArgument 'Uninstall-NAVApp' $installed.Version
    # Without -Force, a server refuses where other apps need it.
    Uninstall-NAVApp @arguments -Tenant $Tenant
    $left = @(Get-Row | Where-Object { $_.IsInstalled })
    if ($left) { Stop-Failed 'Other' "Version $($left[0].Version) is still installed." }
    Write-Step 100 'Done' 'The app is uninstalled.'
}

# One at a time for each server instance: cmdlets that publish get in each other's way.
function Wait-Mutex([string] $Name) {
    $mutex = [System.Threading.Mutex]::new($false, $Name)
    $until = [DateTime]::UtcNow.AddMinutes($WaitMinutes)
    do {
        try {
            if ($mutex.WaitOne([TimeSpan]::FromSeconds(15))) { return $mutex }
        } catch [System.Threading.AbandonedMutexException] {
            # Whoever had it was ended. What is found decides, so it does not matter where.
            return $mutex
        }
        Write-Step 0 'Wait' "Another deployment at $ServerInstance is waited for."
    } while ([DateTime]::UtcNow -lt $until)
    $mutex.Dispose()
    Stop-Failed 'Lock' "Another deployment at $ServerInstance has not ended for $WaitMinutes minutes."
}

$mutex = $null
$code = $Done
try {
    $AppId = [guid] (Get-Fact 'APP_ID')
    $Kind = Get-Fact 'OPERATION_KIND'
    if ((Get-Fact 'SYNC_MODE') -ne 'Sync') { Stop-Failed 'Other' 'Only the mode Sync is served.' }
    if ((Get-Fact 'DELETE_DATA') -ne 'false') { Stop-Failed 'NotSupported' 'This script deletes no data.' }
    Import-FameCmdlets -ServiceFolder $ServiceFolder
    if ($Kind -eq 'Uninstall') {
        # What older cmdlets find the app by.
        $Package = [pscustomobject] @{ Name = $env:FAME_APP_NAME; Publisher = $env:FAME_APP_PUBLISHER }
    } else {
        $Target = [version] (Get-Fact 'TARGET_VERSION')
        $PackageFile = Get-Fact 'PACKAGE'
        $Package = Read-Package
    }
    $mutex = Wait-Mutex "Global\fame-$(($ServerInstance -replace '^.*\$').ToLowerInvariant())"
    if ($Kind -eq 'Uninstall') { Remove-App } else { Update-App }
} catch [Ending] {
    [Console]::Out.WriteLine($_.Exception.Message)
    $code = $_.Exception.Code
} catch {
    # The message in full: the console would break it and shorten it.
    for ($exception = $_.Exception; $exception; $exception = $exception.InnerException) {
        [Console]::Error.WriteLine($exception.Message)
    }
    [Console]::Error.WriteLine($_.ScriptStackTrace)
    $code = $Failed
} finally {
    if ($mutex) {
        $mutex.ReleaseMutex()
        $mutex.Dispose()
    }
}
exit $code
