# Fetches `fame`; for the scripts beside this file.

Set-StrictMode -Version 2.0

<#
.SYNOPSIS
Fetches `fame` in one version for this machine, and answers where it lies.

.DESCRIPTION
Nothing is run whose digest is not as it was pinned: Sha256 is that of the release's file SHA256SUMS, in which the
digests of the programs for all systems stand.

.PARAMETER Version
The version of fame, such as 1.2.0.

.PARAMETER Sha256
The SHA-256 of that release's file SHA256SUMS.

.PARAMETER Releases
Where releases lie, such as https://github.com/OWNER/fame/releases/download.

.PARAMETER Folder
Where fame is put: a folder that nobody else can write to.
#>
function Get-FameProgram {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Za-z.-]+$')] [string] $Version,
        [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9a-fA-F]{64}$')] [string] $Sha256,
        [Parameter(Mandatory = $true)] [ValidateNotNullOrEmpty()] [string] $Releases,
        [Parameter(Mandatory = $true)] [ValidateNotNullOrEmpty()] [string] $Folder
    )

    $archive = "fame-$Version-$(Get-FameTarget)"
    $program = Join-Path $Folder 'fame'
    if ($archive -like '*.zip') { $program = Join-Path $Folder 'fame.exe' }
    $sums = Join-Path $Folder 'SHA256SUMS'
    # For each project the script is called anew, in one job.
    if ((Test-Path -LiteralPath $program) -and (Test-FameDigest $sums $Sha256)) { return $program }

    if (Test-Path -LiteralPath $Folder) { Remove-Item -LiteralPath $Folder -Recurse -Force }
    New-Item -ItemType Directory -Path $Folder | Out-Null
    $release = "$($Releases.TrimEnd('/'))/v$Version"
    Save-FamePinned "$release/SHA256SUMS" $sums $Sha256
    $line = @(Get-Content -LiteralPath $sums | Where-Object { ($_ -split '\s+\*?', 2)[1] -eq $archive })
    if ($line.Count -ne 1) { throw "Release $Version has no $archive." }
    $file = Join-Path $Folder $archive
    Save-FamePinned "$release/$archive" $file ($line[0] -split '\s+')[0]

    if ($archive -like '*.zip') {
        Expand-Archive -LiteralPath $file -DestinationPath $Folder
        Move-Item -Path (Join-Path $Folder 'fame-*/fame.exe') -Destination $program
    } else {
        & tar -xzf $file -C $Folder --strip-components 1
        if ($LASTEXITCODE) { throw "$archive cannot be unpacked: tar ended with $LASTEXITCODE." }
    }
    Remove-Item -LiteralPath $file
    $program
}

# The end of the archive's name for this machine. Windows PowerShell runs on Windows alone and does not know $IsLinux.
function Get-FameTarget {
    if ($PSVersionTable.PSVersion.Major -lt 6 -or $IsWindows) { return 'x86_64-pc-windows-msvc.zip' }
    $processor = 'x86_64'
    if ("$([Runtime.InteropServices.RuntimeInformation]::OSArchitecture)" -eq 'Arm64') { $processor = 'aarch64' }
    if ($IsMacOS) { return "$processor-apple-darwin.tar.gz" }
    "$processor-unknown-linux-musl.tar.gz"
}

function Test-FameDigest([string] $File, [string] $Sha256) {
    (Test-Path -LiteralPath $File) -and (Get-FileHash -LiteralPath $File -Algorithm SHA256).Hash -eq $Sha256
}

function Save-FamePinned([string] $Address, [string] $File, [string] $Sha256) {
    $before = $ProgressPreference
    # Its progress makes Windows PowerShell's download many times slower.
    $ProgressPreference = 'SilentlyContinue'
    try {
        [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor
            [Net.SecurityProtocolType]::Tls12
        Invoke-WebRequest -Uri $Address -OutFile $File -UseBasicParsing
    } finally {
        $ProgressPreference = $before
    }
    if (Test-FameDigest $File $Sha256) { return }
    $found = (Get-FileHash -LiteralPath $File -Algorithm SHA256).Hash
    Remove-Item -LiteralPath $File
    throw "$Address has the SHA-256 $found, not $Sha256."
}
