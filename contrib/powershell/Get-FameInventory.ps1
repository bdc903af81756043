<#
.SYNOPSIS
Prints what is installed in a tenant of a Business Central server, as JSON.

.DESCRIPTION
The inventory command of the agent's exec driver (docs/agents/exec.md). It changes nothing. Country, type and update
window are in the agent's configuration.

.PARAMETER ServerInstance
The server instance: BC260, or MicrosoftDynamicsNavServer$BC260.

.PARAMETER ServiceFolder
Its Service folder, such as C:\Program Files\Microsoft Dynamics 365 Business Central\260\Service.

.PARAMETER Tenant
The tenant's id on that server; default on a server of one tenant.
#>
#Requires -Version 5.1
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [ValidatePattern('^[\w.$-]+$')] [string] $ServerInstance,
    [Parameter(Mandatory)] [ValidateNotNullOrEmpty()] [string] $ServiceFolder,
    [ValidateNotNullOrEmpty()] [string] $Tenant = 'default'
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
# Warnings would stand in the middle of the JSON.
$WarningPreference = 'SilentlyContinue'
[System.Threading.Thread]::CurrentThread.CurrentUICulture = 'en-US'
[System.Threading.Thread]::CurrentThread.CurrentCulture = 'en-US'
try {
    [Console]::OutputEncoding = [System.Text.UTF8Encoding]::new($false)
} catch [System.IO.IOException] {
    # Without a console there is nothing to set, and the agent makes of it what it can.
    [Console]::Error.WriteLine('The output is not UTF-8.')
}

. (Join-Path -Path $PSScriptRoot -ChildPath 'Import-FameCmdlets.ps1')

# Older versions have no app 'Application' above it.
$BaseApplication = [guid] '437dbf0e-84ff-417a-965d-ed2bb9650972'

function Get-Row($App) {
    [ordered] @{
        id        = "$([guid] "$($App.AppId)")"
        version   = "$($App.Version)"
        name      = "$($App.Name)"
        publisher = "$($App.Publisher)"
        scope     = "$($App.Scope)"
    }
}

function Get-ApplicationVersion($Installed) {
    $application = @($Installed | Where-Object { $_.Name -eq 'Application' -and $_.Publisher -eq 'Microsoft' })
    $base = @($Installed | Where-Object { [guid] "$($_.AppId)" -eq $BaseApplication })
    $known = @($application + $base)
    if ($known) { "$($known[0].Version)" }
}

try {
    Import-FameCmdlets -ServiceFolder $ServiceFolder
    $state = "$((Get-NAVTenant -ServerInstance $ServerInstance -Tenant $Tenant -ForceRefresh).State)"
    $apps = @(Get-NAVAppInfo -ServerInstance $ServerInstance -Tenant $Tenant -TenantSpecificProperties)
    $installed = @($apps | Where-Object { $_.IsInstalled })
    $published = @($apps | Where-Object { -not $_.IsInstalled })
    $inventory = [ordered] @{
        applicationVersion = Get-ApplicationVersion $installed
        platformVersion    = "$((Get-NAVServerInstance -ServerInstance $ServerInstance).Version)"
        ready              = $state -in 'Operational', 'Mounted'
        inventoryComplete  = $true
        apps               = @($installed | ForEach-Object { Get-Row $_ })
        published          = @($published | ForEach-Object { Get-Row $_ })
    }
    [Console]::Out.WriteLine((ConvertTo-Json -InputObject $inventory -Depth 4 -Compress))
} catch {
    [Console]::Error.WriteLine($_.Exception.Message)
    [Console]::Error.WriteLine($_.ScriptStackTrace)
    exit 1
}
