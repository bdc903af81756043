# Brings the cmdlets of a Business Central server in; for the scripts beside this file.

Set-StrictMode -Version 3.0

function Import-FameCmdlets {
    param([Parameter(Mandatory)] [string] $ServiceFolder)

    # From version 24 on they are for PowerShell 7; Windows PowerShell loads them too, and then publishing hangs.
    $new = @('Microsoft.BusinessCentral.Management.psd1', 'Microsoft.BusinessCentral.Apps.Management.dll')
    $old = @('Microsoft.Dynamics.Nav.Management.dll', 'Microsoft.Dynamics.Nav.Apps.Management.dll')
    $sets = @(
        @{ Folder = 'Admin'; Files = $new; Edition = 'Core'; Shell = 'PowerShell 7 (pwsh)' },
        @{ Folder = 'Management'; Files = $old; Edition = 'Desktop'; Shell = 'Windows PowerShell (powershell)' },
        @{ Folder = '.'; Files = $old; Edition = 'Desktop'; Shell = 'Windows PowerShell (powershell)' }
    )
    foreach ($set in $sets) {
        $folder = Join-Path -Path $ServiceFolder -ChildPath $set.Folder
        $files = @($set.Files | ForEach-Object { Join-Path -Path $folder -ChildPath $_ })
        if (@($files | Where-Object { -not (Test-Path -LiteralPath $_ -PathType Leaf) })) { continue }
        if ($PSVersionTable.PSEdition -ne $set.Edition) { throw "The cmdlets in $folder need $($set.Shell)." }
        $files | ForEach-Object { Import-Module -Name $_ -DisableNameChecking -Global }
        return
    }
    throw "No cmdlets of a Business Central server were found in $ServiceFolder."
}
