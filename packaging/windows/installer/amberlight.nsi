; Setup.exe: installs Amberlight for one user, without administrator's rights. deliver.py runs this with
; VERSION, PROGRAM (the frozen program's directory), ASSETS and OUT.
;
; Files in use, by a client's bridge for example, can't be deleted on Windows, but renamed: they move to _replaced, which
; the next installation clears. Logins, configuration and start at login are the program's own: this script leaves them
; to it, and asks before they are deleted.
Target amd64-unicode
ManifestDPIAware true
RequestExecutionLevel user
SetCompressor /SOLID lzma
SetDateSave off

!include MUI2.nsh
!include LogicLib.nsh
!include FileFunc.nsh
!include x64.nsh
!include WinVer.nsh
!include Win\COM.nsh
!include Win\Propkey.nsh

!define NAME "Amberlight"
!define ID "Amberlight" ; the AppUserModelID under which the program shows its notifications (system/activation.py)
!define SCHEME "Software\Classes\amberlight" ; the address that a click on a notification opens (system/activation.py)
!define APPS "Software\Classes\AppUserModelId\${ID}"
!define CURRENT "Software\Microsoft\Windows\CurrentVersion"
!define UNINSTALL "${CURRENT}\Uninstall\${NAME}"
!define APPROVED "${CURRENT}\Explorer\StartupApproved\Run"
!define LINK "$SMPROGRAMS\${NAME}.lnk"
!define IN_USE 2 ; exit code: a file could neither be replaced nor moved away

Name "${NAME}"
OutFile "${OUT}"
InstallDir "$LOCALAPPDATA\Programs\${NAME}"
InstallDirRegKey HKCU "${UNINSTALL}" "InstallLocation"
BrandingText "${NAME} ${VERSION}"
VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "${NAME}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "${NAME} Setup"
VIAddVersionKey "CompanyName" "The Amberlight developers"
VIAddVersionKey "LegalCopyright" "Apache-2.0"

!define MUI_ICON "${ASSETS}/amberlight.ico"
!define MUI_UNICON "${ASSETS}/amberlight.ico"
!define MUI_FINISHPAGE_RUN "$INSTDIR\amberlightw.exe"
!define MUI_FINISHPAGE_RUN_PARAMETERS "run --page"
!define MUI_FINISHPAGE_RUN_TEXT "Start Amberlight"
!define MUI_FINISHPAGE_TEXT "Amberlight is in the Start menu. Its own menu has Start at login."
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

Var Running ; 1 if Amberlight ran before
Var Number ; of files moved to _replaced
Var Logins ; 1 if they are to be deleted, too

; The functions that Setup and the uninstaller share; UN is "" or "un.".
!macro SHARED UN
Function ${UN}Quit
  StrCpy $Running 0
  ${If} ${FileExists} "$INSTDIR\amberlight.exe"
    nsExec::ExecToLog '"$INSTDIR\amberlight.exe" quit'
    Pop $0
    ${If} $0 == 0
      StrCpy $Running 1
    ${EndIf}
  ${EndIf}
FunctionEnd

Function ${UN}Remove ; the file named by $R9
  ClearErrors
  Delete "$R9"
  ${If} ${Errors}
    CreateDirectory "$INSTDIR\_replaced"
    IntOp $Number $Number + 1
    ClearErrors
    Rename "$R9" "$INSTDIR\_replaced\$Number"
    ${If} ${Errors}
      DetailPrint "In use: $R9"
      SetErrorLevel ${IN_USE}
      MessageBox MB_OK|MB_ICONSTOP "$R9 is in use. Quit the programs that use Amberlight and try again." /SD IDOK
      Abort "A file is in use."
    ${EndIf}
  ${EndIf}
FunctionEnd

Function ${UN}RemoveFound ; what Locate calls
  Call ${UN}Remove
  Push 0
FunctionEnd

Function ${UN}RemoveProgram
  RMDir /r "$INSTDIR\_replaced"
  StrCpy $Number 0
  ${While} ${FileExists} "$INSTDIR\_replaced\$Number" ; still in use since the last time
    IntOp $Number $Number + 1
  ${EndWhile}
  IntOp $Number $Number + 1000
  ${If} ${FileExists} "$INSTDIR\amberlight.exe"
    StrCpy $R9 "$INSTDIR\amberlight.exe"
    Call ${UN}Remove
  ${EndIf}
  ${If} ${FileExists} "$INSTDIR\amberlightw.exe"
    StrCpy $R9 "$INSTDIR\amberlightw.exe"
    Call ${UN}Remove
  ${EndIf}
  ${If} ${FileExists} "$INSTDIR\_internal\*.*"
    !if "${UN}" == ""
      ${Locate} "$INSTDIR\_internal" "/L=F" "RemoveFound"
    !else
      ${un.Locate} "$INSTDIR\_internal" "/L=F" "un.RemoveFound"
    !endif
    RMDir /r "$INSTDIR\_internal"
  ${EndIf}
FunctionEnd
!macroend
!insertmacro SHARED ""
!insertmacro SHARED "un."

Function .onInit
  ${IfNot} ${RunningX64}
  ${OrIfNot} ${AtLeastWin10}
    MessageBox MB_OK|MB_ICONSTOP "Amberlight needs a 64-bit Windows 10 or newer." /SD IDOK
    SetErrorLevel 1
    Quit
  ${EndIf}
FunctionEnd

; The shortcut has the AppUserModelID: Windows takes the name and the icon of notifications from it. It has no
; ToastActivatorCLSID: with one, Windows would no longer tell the running program of a click on a button.
Function Shortcut
  CreateShortcut "${LINK}" "$INSTDIR\amberlightw.exe" "run --page"
  !insertmacro ComHlpr_CreateInProcInstance ${CLSID_ShellLink} ${IID_IShellLink} r0 ""
  ${If} $0 P<> 0
    ${IUnknown::QueryInterface} $0 '("${IID_IPersistFile}",.r1)'
    ${IUnknown::QueryInterface} $0 '("${IID_IPropertyStore}",.r2)'
    ${If} $1 P<> 0
    ${AndIf} $2 P<> 0
      ${IPersistFile::Load} $1 '("${LINK}",${STGM_READWRITE})'
      System::Call '*${SYSSTRUCT_PROPERTYKEY}(${PKEY_AppUserModel_ID})p.r3'
      System::Call '*(&w64 "${ID}")p.r5'
      System::Call '*${SYSSTRUCT_PROPVARIANT}(${VT_LPWSTR},,r5)p.r4'
      ${IPropertyStore::SetValue} $2 '($3,$4)'
      ${IPropertyStore::Commit} $2 ""
      ${IPersistFile::Save} $1 '("${LINK}",1)'
      System::Free $3
      System::Free $4
      System::Free $5
    ${EndIf}
    ${If} $1 P<> 0
      ${IUnknown::Release} $1 ""
    ${EndIf}
    ${If} $2 P<> 0
      ${IUnknown::Release} $2 ""
    ${EndIf}
    ${IUnknown::Release} $0 ""
  ${EndIf}
FunctionEnd

Section
  SetShellVarContext current
  Call Quit
  Call RemoveProgram
  SetOutPath "$INSTDIR"
  File /r "${PROGRAM}/*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  nsExec::ExecToLog '"$INSTDIR\amberlight.exe" search-path add' ; not by this script, whose strings are too short for it
  Pop $0
  ${If} $0 != 0
    DetailPrint "amberlight couldn't be put on the search path. In a terminal, give its whole path."
  ${EndIf}
  SendMessage ${HWND_BROADCAST} ${WM_SETTINGCHANGE} 0 "STR:Environment" /TIMEOUT=2000
  Call Shortcut
  WriteRegStr HKCU "${APPS}" "DisplayName" "${NAME}"
  WriteRegStr HKCU "${APPS}" "IconUri" "$INSTDIR\_internal\trayapp\tray\app.png"
  WriteRegStr HKCU "${SCHEME}" "" "URL:${NAME}"
  WriteRegStr HKCU "${SCHEME}" "URL Protocol" ""
  WriteRegStr HKCU "${SCHEME}\DefaultIcon" "" "$INSTDIR\amberlightw.exe,0"
  WriteRegStr HKCU "${SCHEME}\shell\open\command" "" '"$INSTDIR\amberlightw.exe" activate "%1"'
  WriteRegStr HKCU "${CURRENT}\App Paths\amberlight.exe" "" "$INSTDIR\amberlight.exe"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "${NAME}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL}" "Publisher" "The Amberlight developers"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\amberlightw.exe"
  WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" $0
  ${If} $Running == 1
    Exec '"$INSTDIR\amberlightw.exe" run'
  ${EndIf}
SectionEnd

Function un.onInit
  StrCpy $Logins 0
  MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 \
    "Also revoke and delete your logins, and delete your configuration and history?$\r$\n$\r$\nIf you choose No, they're kept for the next installation." \
    /SD IDNO IDNO kept
  StrCpy $Logins 1
  kept:
FunctionEnd

Section Uninstall
  SetShellVarContext current
  ; The program itself turns off start at login, leaves the clients' files and quits. Only a running one revokes logins.
  ${If} $Logins == 1
    nsExec::ExecToLog '"$INSTDIR\amberlight.exe" run --background'
    Pop $0
    nsExec::ExecToLog '"$INSTDIR\amberlight.exe" uninstall --logins --files --yes'
  ${Else}
    nsExec::ExecToLog '"$INSTDIR\amberlight.exe" uninstall --yes'
  ${EndIf}
  Pop $0
  ${If} $0 != 0
    MessageBox MB_YESNO|MB_ICONEXCLAMATION \
      "Not everything could be undone. See the details. Remove the program anyway?" /SD IDYES IDYES anyway
    SetErrorLevel 1
    Abort "Nothing was removed."
    anyway:
  ${EndIf}
  Call un.Quit
  nsExec::ExecToLog '"$INSTDIR\amberlight.exe" search-path remove'
  Pop $0
  SendMessage ${HWND_BROADCAST} ${WM_SETTINGCHANGE} 0 "STR:Environment" /TIMEOUT=2000
  Call un.RemoveProgram
  Delete "$INSTDIR\uninstall.exe"
  RMDir /r "$INSTDIR\_replaced"
  RMDir "$INSTDIR" ; only if nothing else is in it
  ${If} $Logins == 1 ; the mark that a person quit, by which clients don't start the program: nothing is left to start
    RMDir /r "$LOCALAPPDATA\Temp\amberlight"
  ${EndIf}
  Delete "${LINK}"
  DeleteRegKey HKCU "${APPS}"
  DeleteRegKey HKCU "${SCHEME}"
  DeleteRegKey HKCU "${CURRENT}\App Paths\amberlight.exe"
  DeleteRegValue HKCU "${CURRENT}\Run" "${NAME}"
  DeleteRegValue HKCU "${APPROVED}" "${NAME}"
  DeleteRegKey HKCU "${UNINSTALL}"
SectionEnd
