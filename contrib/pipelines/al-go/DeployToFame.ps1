<#
.SYNOPSIS
AL-Go's deployment to an environment of type Fame: makes a version available, and brings it to a ring of environments.

.DESCRIPTION
Called by AL-Go's CI/CD and Publish to Environment workflows. Lies in .github, with Get-FameProgram.ps1 and
Invoke-FameRelease.ps1 beside it; the environment's AuthContext and its setting DeployTo<Name> belong to it.

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

    # AL-Go hands over files, folders, and sometimes archives of them.
    function Get-FamePackageFile([string] $Path, [string] $Unpacked) {
        if ($Path -like '*.zip') {
            $folder = Join-Path $Unpacked ([Guid]::NewGuid())
            Expand-Archive -LiteralPath $Path -DestinationPath $folder
            $Path = $folder
        }
        if (Test-Path -LiteralPath $Path -PathType Container) {
            Get-ChildItem -LiteralPath $Path -Filter '*.app' -Recurse -File | ForEach-Object { $_.FullName }
        } else {
            (Get-Item -LiteralPath $Path).FullName
        }
    }

    $unpacked = Join-Path ([IO.Path]::GetTempPath()) "fame-$([Guid]::NewGuid())"
    New-Item -ItemType Directory -Path $unpacked | Out-Null
    try {
        $packages = @()
        if ($parameters.ContainsKey('Apps')) {
            $packages = @($parameters.Apps | Where-Object { $_ } | ForEach-Object { Get-FamePackageFile $_ $unpacked })
        }
        if (-not $packages) { throw "There is no app to deploy to '$($parameters.EnvironmentName)'." }
        $context = ''
        if ($parameters.ContainsKey('AuthContext')) { $context = $parameters.AuthContext }
        Invoke-FameRelease -Package $packages -Context $context -Setting $parameters -Availability 'Available'
    } finally {
        Remove-Item -LiteralPath $unpacked -Recurse -Force
    }
}
