@{
    RootModule           = 'Fame.psm1'
    ModuleVersion        = '0.1.0'
    GUID                 = '6f1d0b0a-4a52-4a5c-9d9e-2f7a0b8f6c31'
    Author               = 'fame'
    Copyright            = 'MIT OR Apache-2.0'
    Description          = 'Business Central apps in the App Management API: thin functions over the program fame.'
    PowerShellVersion    = '5.1'
    CompatiblePSEditions = @('Desktop', 'Core')
    FunctionsToExport    = @(
        'Add-FameCountry', 'Get-FameApp', 'Get-FameCountry', 'Get-FameEnvironment', 'Get-FameHotfix',
        'Get-FameHotfixPlan', 'Get-FamePackage', 'Get-FamePrincipal', 'Get-FameVersion', 'Invoke-Fame',
        'Invoke-FameRelease', 'Publish-FameVersion', 'Save-FameVersion', 'Set-FameProgram', 'Set-FameVersion',
        'Start-FameHotfix', 'Stop-FameHotfix', 'Wait-FameHotfix'
    )
    CmdletsToExport      = @()
    VariablesToExport    = @()
    AliasesToExport      = @()
}
