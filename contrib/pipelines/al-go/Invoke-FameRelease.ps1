# Runs `fame release` for AL-Go; for the scripts beside this file.

Set-StrictMode -Version 2.0
. (Join-Path $PSScriptRoot 'Get-FameProgram.ps1')

# A value of AL-Go's settings or of the secret's JSON, which are hashtables here and objects there; or nothing.
function Get-FameValue($From, [string] $Name) {
    if ($From -is [System.Collections.IDictionary]) {
        if ($From.Contains($Name)) { $From[$Name] }
    } elseif ($null -ne $From -and $From.PSObject.Properties[$Name]) {
        $From.$Name
    }
}

<#
.SYNOPSIS
Runs `fame release` for these packages, as AL-Go's settings say, and fails as it does.

.PARAMETER Package
Packages (.app).

.PARAMETER Context
The text of AL-Go's secret: {"serverUrl":"https://fame.contoso.com"}, and what an application signs in with where that
is needed.

.PARAMETER Setting
DeliverToFame, or the settings of the environment.

.PARAMETER Availability
To whom versions are offered where the settings do not say it.
#>
function Invoke-FameRelease {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)] [string[]] $Package,
        [string] $Context,
        [Parameter(Mandatory = $true)] $Setting,
        [Parameter(Mandatory = $true)] [string] $Availability
    )

    # GitHub empties this folder before and after each job, so what lies there is of this one.
    $temporary = $env:RUNNER_TEMP
    if (-not $temporary) { $temporary = Join-Path ([IO.Path]::GetTempPath()) "fame-$([Guid]::NewGuid())" }
    $pin = @{ Folder = Join-Path $temporary 'fame-program' }
    foreach ($name in 'version', 'sha256', 'releases') {
        $pin[$name] = Get-FameValue $Setting $name
        if (-not $pin[$name]) { throw "The settings say no '$name' of fame." }
    }
    $said = Get-FameValue $Setting 'availability'
    if ($said) { $Availability = $said }

    $arguments = @('release', '--availability', $Availability)
    $options = @{
        countries = '--countries'
        file      = '--file'
        profile   = '--profile'
        runAfter  = '--run-after'
        timeout   = '--timeout'
    }
    foreach ($name in $options.Keys) {
        $value = @(Get-FameValue $Setting $name) -join ','
        if ($value) { $arguments += @($options[$name], $value) }
    }
    # Who is pushed to is said here and nowhere else, so that a delivery never does what a file has for releases.
    $where = Get-FameValue $Setting 'hotfixWhere'
    if ($where) { $arguments += @('--hotfix', '--where', $where) } else { $arguments += '--no-hotfix' }
    if (Get-FameValue $Setting 'ignoreWindow') { $arguments += '--ignore-window' }
    if (Get-FameValue $Setting 'wait') { $arguments += '--wait' }
    if (Get-FameValue $Setting 'addCountries') { $arguments += '--add-countries' }
    $arguments += @('--')
    $arguments += @($Package)
    # Windows PowerShell hands a quotation mark on in a way that other programs misread.
    if (@($arguments | Where-Object { "$_".Contains('"') })) { throw 'A setting holds a quotation mark (").' }

    $program = Get-FameProgram @pin
    # AL-Go's clientAssertion was made a step earlier and may have run out by now: fame asks GitHub for a fresh one.
    $secret = $null
    if ($Context) { $secret = ConvertFrom-Json -InputObject $Context }
    $variables = @{
        FAME_URL           = 'serverUrl'
        FAME_TENANT_ID     = 'tenantId'
        FAME_CLIENT_ID     = 'clientId'
        FAME_CLIENT_SECRET = 'clientSecret'
    }
    $before = @{}
    foreach ($name in $variables.Keys) {
        $before[$name] = [Environment]::GetEnvironmentVariable($name)
        $value = Get-FameValue $secret $variables[$name]
        if ($value) { [Environment]::SetEnvironmentVariable($name, $value) }
    }
    try {
        # The exit code is judged here, whatever PowerShell would make of it.
        $PSNativeCommandUseErrorActionPreference = $false
        & $program @arguments
        $code = $LASTEXITCODE
    } finally {
        foreach ($name in $before.Keys) {
            if ($null -ne $before[$name]) {
                [Environment]::SetEnvironmentVariable($name, $before[$name])
            } else {
                Remove-Item -Path "Env:$name" -ErrorAction SilentlyContinue
            }
        }
    }
    if ($code) { throw "fame release ended with $code$(Get-FameMeaning $program $code). The log above says why." }
}

# What an exit code means, in fame's own words.
function Get-FameMeaning([string] $Program, [int] $Code) {
    $line = @(& $Program exit-codes) -match "^\s*$Code\s"
    if ($line) { ': ' + ($line[0] -replace '^\s*\d+\s+') }
}
