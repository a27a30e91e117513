<#
.SYNOPSIS
  From a bare Windows machine to `cargo xtask doctor`, inside WSL.
.DESCRIPTION
  The pipeline runs on Linux and macOS only: it ends programs by process group and keeps secrets in files only their owner can
  read, neither of which it does on Windows itself yet. So this script does not pretend: it sees to it that there is a Linux
  (WSL), and hands over to scripts/bootstrap.sh there. Where PowerShell runs on Linux or macOS, it hands over at once.
  Run again it changes nothing.
.PARAMETER Yes
  Yes to all questions, for machines nobody sits at.
.PARAMETER Check
  Install nothing; exit 2 when something is missing.
.EXAMPLE
  powershell -ExecutionPolicy Bypass -File scripts\bootstrap.ps1
#>
param([switch] $Yes, [switch] $Check)

$ErrorActionPreference = 'Stop'
$repo = Split-Path -Parent $PSScriptRoot
$arguments = @()
if ($Yes) { $arguments += '--yes' }
if ($Check) { $arguments += '--check' }

function Say([string] $Text) { [Console]::Error.WriteLine($Text) }

# Windows PowerShell 5 has no $IsWindows, and runs nowhere else.
$onWindows = ($PSVersionTable.PSVersion.Major -lt 6) -or $IsWindows

if (-not $onWindows) {
  & sh (Join-Path $repo 'scripts/bootstrap.sh') @arguments
  exit $LASTEXITCODE
}

# What `wsl.exe` prints is UTF-16 unless it is told otherwise.
$env:WSL_UTF8 = '1'

function Test-Linux {
  if (-not (Get-Command wsl.exe -ErrorAction SilentlyContinue)) { return $false }
  & wsl.exe --exec true 2> $null
  return $LASTEXITCODE -eq 0
}

if (-not (Test-Linux)) {
  $command = 'wsl --install'
  Say 'A Linux is missing: the pipeline does not run on Windows itself. This brings one:'
  Say "  $command"
  $consent = $Yes
  if (-not $Yes -and -not $Check) {
    if ([Console]::IsInputRedirected) {
      Say '  (nobody is here to say yes: run it yourself, or add -Yes)'
    } else {
      $consent = (Read-Host 'Run it? [y/N]') -match '^(y|yes)$'
    }
  }
  if (-not $consent) { exit 2 }
  & wsl.exe --install
  if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
  if (-not (Test-Linux)) {
    Say 'Restart Windows, answer what the new Linux asks, then run this script again.'
    exit 2
  }
}

# Files below /mnt/c are slow and have no owner that Linux could tell: a repo is better cloned inside.
$inside = (& wsl.exe --exec wslpath -a $repo).Trim()
if ($LASTEXITCODE -ne 0) { exit 2 }
if ($inside -like '/mnt/*') {
  Say "note: $inside lies on a Windows disk. It works there, slowly; a clone in the home folder of WSL is better:"
  Say '  wsl --cd ~ -- git clone <this repo>'
}
& wsl.exe --cd $inside --exec sh scripts/bootstrap.sh @arguments
exit $LASTEXITCODE
