<#
.SYNOPSIS
AL-Go's delivery target Fame: uploads what a project's build made, as Preview.

.DESCRIPTION
Called by AL-Go's CI/CD workflow, once for each project. Lies in .github, with Get-FameProgram.ps1 and
Invoke-FameRelease.ps1 beside it; the secret FameContext and the setting DeliverToFame belong to it.

.PARAMETER parameters
What AL-Go hands over.
#>
[CmdletBinding()]
param([Parameter(Mandatory = $true)] [hashtable] $parameters)

# AL-Go reads this script into a scope of its own: what is named here stays in this block.
& {
    Set-StrictMode -Version 2.0
    $ErrorActionPreference = 'Stop'
    . (Join-Path $PSScriptRoot 'Invoke-FameRelease.ps1')

    # A project's own settings first.
    $setting = $null
    foreach ($name in 'ProjectSettings', 'RepoSettings') {
        if ($null -eq $setting -and $parameters.ContainsKey($name)) {
            $setting = Get-FameValue $parameters[$name] 'DeliverToFame'
        }
    }
    if ($null -eq $setting) { throw 'There is no setting DeliverToFame.' }

    # Other build modes make other packages of the same version; what is delivered is the default one.
    $packages = @()
    if ($parameters.ContainsKey('appsFolder') -and $parameters.appsFolder) {
        $found = @(Get-ChildItem -Path $parameters.appsFolder -Filter '*.app' -Recurse -File)
        $packages = @($found | ForEach-Object { $_.FullName })
    }
    # A delivery of nothing is no delivery, and a green job would say otherwise.
    if (-not $packages) { throw "The project '$($parameters.Project)' has no app to deliver." }

    $context = ''
    if ($parameters.ContainsKey('Context')) { $context = $parameters.Context }
    Invoke-FameRelease -Package $packages -Context $context -Setting $setting -Availability 'Preview'
}
