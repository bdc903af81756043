# Thin functions over `fame --json`: each runs one command, checks its exit code, and answers objects. What a command
# does, and whom it signs in as, is said by `fame help`.

Set-StrictMode -Version 2.0

$script:Program = 'fame'

<#
.SYNOPSIS
Says where the program fame is, if it is not on the path.

.PARAMETER Path
The program.

.EXAMPLE
Set-FameProgram -Path C:\tools\fame.exe
#>
function Set-FameProgram {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(Mandatory = $true, Position = 0)] [ValidateNotNullOrEmpty()] [string] $Path)

    if ($PSCmdlet.ShouldProcess($Path)) {
        $found = Get-Command -Name $Path -CommandType Application -ErrorAction Stop
        $script:Program = @($found)[0].Source
    }
}

<#
.SYNOPSIS
Runs a command of fame, and answers what it printed as objects.

.DESCRIPTION
Fails with the exit code and its meaning when the command does not end with 0; what was wrong stands on the error
stream, where fame wrote it. The failure's TargetObject is what the command printed all the same.

.PARAMETER ArgumentList
The command's words, one each; --json is added.

.EXAMPLE
Invoke-Fame -ArgumentList 'operator', 'agents', 'list'
#>
function Invoke-Fame {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0)] [AllowEmptyString()] [string[]] $ArgumentList)

    # Windows PowerShell hands on neither a quotation mark nor nothing as they are.
    foreach ($argument in $ArgumentList) {
        if ($argument -eq '' -or $argument.Contains('"')) {
            throw [ArgumentException]::new("An argument is empty or holds a quotation mark: '$argument'")
        }
    }
    # The exit code is judged here, whatever PowerShell would make of it.
    $PSNativeCommandUseErrorActionPreference = $false
    $before = Set-FameEncoding ([Text.UTF8Encoding]::new($false))
    try {
        # First: what comes after a -- is no option any more.
        $printed = & $script:Program --json @ArgumentList
        $code = $LASTEXITCODE
    } finally {
        if ($before) { $null = Set-FameEncoding $before }
    }
    $text = @($printed) -join "`n"
    $answer = $null
    if ($text.Trim()) { $answer = ConvertFrom-Json -InputObject $text }
    if ($code) {
        $said = "fame $($ArgumentList[0]) ended with $code$(Get-FameMeaning $code)."
        $failure = [InvalidOperationException]::new($said)
        $record = [Management.Automation.ErrorRecord]::new($failure, "Fame.$code", 'InvalidResult', $answer)
        $PSCmdlet.ThrowTerminatingError($record)
    }
    # An array's elements one by one, in both editions.
    foreach ($row in @($answer)) { if ($null -ne $row) { $row } }
}

# What a native program prints is read in this encoding. Answers the one before, or nothing where there is no console.
function Set-FameEncoding([Text.Encoding] $Encoding) {
    try {
        $before = [Console]::OutputEncoding
        [Console]::OutputEncoding = $Encoding
        $before
    } catch [IO.IOException] {
        Write-Verbose 'There is no console whose encoding could be set.'
    }
}

# What an exit code means, in fame's own words.
function Get-FameMeaning([int] $Code) {
    $line = @(& $script:Program exit-codes) -match "^\s*$Code\s"
    if ($line) { ': ' + ($line[0] -replace '^\s*\d+\s+') }
}

# An option with its value, once for each; nothing where there is none.
function Get-FameOption([string] $Name, [string[]] $Value) {
    foreach ($one in $Value) { if ($one) { $Name; $one } }
}

# A switch, where it is set.
function Get-FameSwitch([string] $Name, [bool] $IsSet) {
    if ($IsSet) { $Name }
}

<#
.SYNOPSIS
Shows the apps on which you have a role, or one of them.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so. Left out, all.

.EXAMPLE
Get-FameApp
#>
function Get-FameApp {
    [CmdletBinding()]
    param(
        [Parameter(Position = 0)] [string] $App
    )

    if ($App) {
        Invoke-Fame -ArgumentList 'apps', 'get', $App
    } else {
        Invoke-Fame -ArgumentList 'apps', 'list'
    }
}

<#
.SYNOPSIS
Shows the countries in which an app is available.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.EXAMPLE
Get-FameCountry -App 'Contoso Sales Pack'
#>
function Get-FameCountry {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App
    )

    Invoke-Fame -ArgumentList 'countries', 'list', $App
}

<#
.SYNOPSIS
Adds countries to an app; those that are there stay as they are.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Country
Countries, such as US.

.EXAMPLE
Add-FameCountry -App 'Contoso Sales Pack' -Country US, DE
#>
function Add-FameCountry {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string[]] $Country
    )

    if (-not $PSCmdlet.ShouldProcess($App, "Add $Country")) { return }
    Invoke-Fame -ArgumentList (@('countries', 'add', $App) + $Country)
}

<#
.SYNOPSIS
Shows who has roles on an app.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.EXAMPLE
Get-FamePrincipal -App 'Contoso Sales Pack'
#>
function Get-FamePrincipal {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App
    )

    Invoke-Fame -ArgumentList 'principals', 'list', $App
}

<#
.SYNOPSIS
Shows the versions of an app, or one of them.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Country
Countries, such as US.

.PARAMETER Version
The version, such as 16.0.1.2; left out, all.

.PARAMETER Filter
Only what this holds for, as OData: type eq 'Production'.

.EXAMPLE
Get-FameVersion -App 'Contoso Sales Pack' -Country US -Filter "availability eq 'Preview'"
#>
function Get-FameVersion {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [string] $Version,
        [string] $Filter
    )

    $countries = @(Get-FameOption '--country' $Country)
    if ($Version) {
        Invoke-Fame -ArgumentList (@('versions', 'get', $App, $Version) + $countries)
    } else {
        Invoke-Fame -ArgumentList (@('versions', 'list', $App) + $countries + @(Get-FameOption '--filter' $Filter))
    }
}

<#
.SYNOPSIS
Uploads packages, each to all the countries; what is there with the same content is left alone.

.PARAMETER Path
Packages (.app).

.PARAMETER Country
Countries, such as US.

.PARAMETER Availability
To whom it is offered at first; left out, the service decides (Preview).

.EXAMPLE
Publish-FameVersion -Path .\sales-pack.app -Country US, DE
#>
function Publish-FameVersion {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string[]] $Path,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [ValidateSet('Preview', 'Available', 'Deprecated')] [string] $Availability
    )

    if (-not $PSCmdlet.ShouldProcess("$Path", "Upload to $Country")) { return }
    $options = @(Get-FameOption '--country' $Country) + @(Get-FameOption '--availability' $Availability)
    Invoke-Fame -ArgumentList (@('versions', 'upload', '--skip-existing') + $options + @('--') + $Path)
}

<#
.SYNOPSIS
Changes to whom a version is offered.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Version
The version, such as 16.0.1.2.

.PARAMETER Country
Countries, such as US.

.PARAMETER Availability
To whom it is offered.

.EXAMPLE
Set-FameVersion -App 'Contoso Sales Pack' -Version 16.0.1.2 -Country US -Availability Available
#>
function Set-FameVersion {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string] $Version,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [Parameter(Mandatory = $true)] [ValidateSet('Preview', 'Available', 'Deprecated')] [string] $Availability
    )

    if (-not $PSCmdlet.ShouldProcess("$App $Version", "Make $Availability in $Country")) { return }
    $options = @(Get-FameOption '--country' $Country) + @(Get-FameOption '--availability' $Availability)
    Invoke-Fame -ArgumentList (@('versions', 'update', $App, $Version) + $options)
}

<#
.SYNOPSIS
Fetches the package of a version.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Version
The version, such as 16.0.1.2.

.PARAMETER Country
The country, such as US.

.PARAMETER Path
The file or folder to put it in.

.PARAMETER Force
Replaces a file of other content.

.EXAMPLE
Save-FameVersion -App 'Contoso Sales Pack' -Version 16.0.1.2 -Country US -Path .\packages
#>
function Save-FameVersion {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string] $Version,
        [Parameter(Mandatory = $true)] [string] $Country,
        [Parameter(Mandatory = $true)] [string] $Path,
        [switch] $Force
    )

    $options = @(Get-FameOption '--country' $Country) + @(Get-FameOption '--output' $Path) +
        @(Get-FameSwitch '--force' $Force)
    Invoke-Fame -ArgumentList (@('versions', 'download', $App, $Version) + $options)
}

<#
.SYNOPSIS
Shows the customers' environments that have an app installed.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Country
Countries, such as US.

.PARAMETER Filter
Only what this holds for, as OData: type eq 'Production'.

.EXAMPLE
Get-FameEnvironment -App 'Contoso Sales Pack' -Country US -Filter "version lt '16.0.1.2'"
#>
function Get-FameEnvironment {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [string] $Filter
    )

    $options = @(Get-FameOption '--country' $Country) + @(Get-FameOption '--filter' $Filter)
    Invoke-Fame -ArgumentList (@('environments', 'list', $App) + $options)
}

<#
.SYNOPSIS
Shows hotfixes, the newest first, or one of them.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Country
Countries, such as US.

.PARAMETER Id
The hotfix; left out, all.

.PARAMETER Filter
Only what this holds for, as OData: type eq 'Production'.

.EXAMPLE
Get-FameHotfix -App 'Contoso Sales Pack' -Country US -Filter "status eq 'Failed'"
#>
function Get-FameHotfix {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [string] $Id,
        [string] $Filter
    )

    $countries = @(Get-FameOption '--country' $Country)
    if ($Id) {
        Invoke-Fame -ArgumentList (@('hotfixes', 'get', $App, $Id) + $countries)
    } else {
        Invoke-Fame -ArgumentList (@('hotfixes', 'list', $App) + $countries + @(Get-FameOption '--filter' $Filter))
    }
}

<#
.SYNOPSIS
Explains for each environment whether a hotfix could be scheduled; a self-hosted service answers it.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Version
The version, such as 16.0.1.2.

.PARAMETER Country
Countries, such as US.

.PARAMETER Filter
Only what this holds for, as OData: type eq 'Production'.

.PARAMETER EligibleOnly
Only environments for which one could be scheduled.

.EXAMPLE
Get-FameHotfixPlan -App 'Contoso Sales Pack' -Version 16.0.1.2 -Country US -EligibleOnly
#>
function Get-FameHotfixPlan {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string] $Version,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [string] $Filter,
        [switch] $EligibleOnly
    )

    $options = @(Get-FameOption '--country' $Country) + @(Get-FameOption '--filter' $Filter) +
        @(Get-FameSwitch '--eligible-only' $EligibleOnly)
    Invoke-Fame -ArgumentList (@('hotfixes', 'plan', $App, '--target', $Version) + $options)
}

<#
.SYNOPSIS
Schedules hotfixes: a version is brought to one environment, or to all that match.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Version
The version, such as 16.0.1.2.

.PARAMETER Country
Countries, such as US.

.PARAMETER Environment
The environment's name; or else Filter.

.PARAMETER Filter
Only what this holds for, as OData: type eq 'Production'.

.PARAMETER RunAfter
They start no earlier than this.

.PARAMETER IgnoreWindow
They do not wait for the environments' update windows.

.PARAMETER IdempotencyKey
A second run with the same key answers the hotfixes of the first.

.EXAMPLE
Start-FameHotfix -App 'Contoso Sales Pack' -Version 16.0.1.2 -Country US -Filter "type eq 'Sandbox'"
#>
function Start-FameHotfix {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string] $Version,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [string] $Environment,
        [string] $Filter,
        [DateTime] $RunAfter,
        [switch] $IgnoreWindow,
        [string] $IdempotencyKey
    )

    if (-not $PSCmdlet.ShouldProcess("$App $Version", "Schedule hotfixes in $Country")) { return }
    $start = ''
    if ($PSBoundParameters.ContainsKey('RunAfter')) {
        $start = $RunAfter.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ')
    }
    $options = @(Get-FameOption '--country' $Country) + @(Get-FameOption '--environment' $Environment) +
        @(Get-FameOption '--filter' $Filter) + @(Get-FameOption '--run-after' $start) +
        @(Get-FameOption '--idempotency-key' $IdempotencyKey) + @(Get-FameSwitch '--ignore-window' $IgnoreWindow)
    Invoke-Fame -ArgumentList (@('hotfixes', 'schedule', $App, '--target', $Version) + $options)
}

<#
.SYNOPSIS
Waits until hotfixes have ended, and fails unless all of them did what they were to do.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Country
Countries, such as US.

.PARAMETER Id
The hotfixes; they come from a pipeline too.

.PARAMETER Timeout
How long to wait for all of them together.

.EXAMPLE
Start-FameHotfix -App 'Contoso Sales Pack' -Version 16.0.1.2 -Country US -Environment Production |
    Wait-FameHotfix -App 'Contoso Sales Pack' -Country US
#>
function Wait-FameHotfix {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)] [string[]] $Id,
        [TimeSpan] $Timeout = '01:00:00'
    )

    begin { $all = @() }
    process { $all += $Id }
    end {
        $seconds = [Math]::Ceiling($Timeout.TotalSeconds)
        $options = @(Get-FameOption '--country' $Country) + @(Get-FameOption '--timeout' "${seconds}s")
        Invoke-Fame -ArgumentList (@('hotfixes', 'wait', $App) + $all + $options)
    }
}

<#
.SYNOPSIS
Calls off hotfixes that have not started.

.PARAMETER App
The app: its id, or its name if no other app of yours is called so.

.PARAMETER Country
Countries, such as US.

.PARAMETER Id
The hotfixes.

.EXAMPLE
Stop-FameHotfix -App 'Contoso Sales Pack' -Country US -Id 63ca2fa4-4f03-4f2b-a480-172fef340d3f
#>
function Stop-FameHotfix {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $App,
        [Parameter(Mandatory = $true)] [string[]] $Country,
        [Parameter(Mandatory = $true)] [string[]] $Id
    )

    if (-not $PSCmdlet.ShouldProcess("$Id")) { return }
    Invoke-Fame -ArgumentList (@('hotfixes', 'cancel', $App) + $Id + @(Get-FameOption '--country' $Country))
}

<#
.SYNOPSIS
Shows what is in a package.

.PARAMETER Path
The package (.app).

.EXAMPLE
Get-FamePackage -Path .\sales-pack.app
#>
function Get-FamePackage {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $Path
    )

    Invoke-Fame -ArgumentList 'package', 'inspect', '--', $Path
}

<#
.SYNOPSIS
Releases packages: uploads, availability, and hotfixes where they are asked for, each read back.

.PARAMETER Path
Packages (.app); left out, what fame.toml says.

.PARAMETER Country
Countries, such as US.

.PARAMETER Availability
To whom they are offered in the end.

.PARAMETER HotfixWhere
The environments that get a hotfix, as OData: type eq 'Sandbox'.

.PARAMETER IgnoreWindow
Hotfixes do not wait for the environments' update windows.

.PARAMETER Wait
Waits until the hotfixes have ended.

.PARAMETER Timeout
How long to wait for all of them together; left out, what fame.toml says.

.PARAMETER AddCountry
Adds countries that an app does not have yet.

.PARAMETER Plan
Only says what would happen.

.PARAMETER File
The file that says what a release is; left out, fame.toml here or above.

.EXAMPLE
Invoke-FameRelease -Path .\out\sales-pack.app -Country US, DE -Availability Available -Wait
#>
function Invoke-FameRelease {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Position = 0)] [string[]] $Path,
        [string[]] $Country,
        [ValidateSet('Preview', 'Available')] [string] $Availability,
        [string] $HotfixWhere,
        [switch] $IgnoreWindow,
        [switch] $Wait,
        [TimeSpan] $Timeout,
        [switch] $AddCountry,
        [switch] $Plan,
        [string] $File
    )

    if (-not $PSCmdlet.ShouldProcess("$Path", "Release")) { return }
    $longest = ''
    if ($PSBoundParameters.ContainsKey('Timeout')) { $longest = "$([Math]::Ceiling($Timeout.TotalSeconds))s" }
    $options = @(Get-FameOption '--countries' ($Country -join ',')) + @(Get-FameOption '--availability' $Availability) +
        @(Get-FameSwitch '--hotfix' ([bool] $HotfixWhere)) + @(Get-FameOption '--where' $HotfixWhere) +
        @(Get-FameSwitch '--ignore-window' $IgnoreWindow) + @(Get-FameSwitch '--wait' $Wait) +
        @(Get-FameOption '--timeout' $longest) + @(Get-FameOption '--file' $File) +
        @(Get-FameSwitch '--add-countries' $AddCountry) + @(Get-FameSwitch '--plan' $Plan)
    Invoke-Fame -ArgumentList (@('release') + $options + @('--') + @($Path | Where-Object { $_ }))
}
