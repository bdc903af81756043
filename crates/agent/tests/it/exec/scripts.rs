//! The scripts for a Business Central server: ended anywhere, they are started again and end right.
//!
//! What runs here is the script for `sh`, with cmdlets that refuse what a server refuses. The one for PowerShell is held
//! to the same steps and to rules by its text.

use super::*;
use domain::operation::FailureCause;
use std::os::unix::fs::symlink;

const CMDLETS: &[&str] = &[
    "Get-NAVAppInfo",
    "Get-NAVAppTenant",
    "Get-NAVTenant",
    "Install-NAVApp",
    "Publish-NAVApp",
    "Start-NAVAppDataUpgrade",
    "Sync-NAVApp",
    "Uninstall-NAVApp",
    "Unpublish-NAVApp",
];

fn folder_of_crate() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A server with an app in versions 0.8, 0.9 and 1.0, the last of them installed for two tenants.
struct Server(Place);

impl Server {
    fn new() -> Self {
        let server = Self(Place::new());
        for folder in ["bin", "app", "fail"] {
            fs::create_dir(server.0.path(folder)).unwrap();
        }
        for cmdlet in CMDLETS {
            symlink(
                folder_of_crate().join("tests/server/cmdlet.sh"),
                server.0.path("bin").join(cmdlet),
            )
            .unwrap();
        }
        for version in ["0.8.0.0", "0.9.0.0", "1.0.0.0"] {
            server.publish(version, version);
        }
        for tenant in ["one", "two"] {
            for folder in ["synced", "dependents"] {
                fs::create_dir_all(server.0.path(tenant).join(folder)).unwrap();
            }
            server.write(&format!("{tenant}/state"), "Operational");
            server.write(&format!("{tenant}/synced/1.0.0.0"), "");
            server.write(&format!("{tenant}/dependents/Reports"), "");
            server.write(&format!("{tenant}/installed"), "1.0.0.0\n");
            server.write(&format!("{tenant}/data"), "1.0.0.0\n");
        }
        server.write("package.app", &format!("{APP} 1.0.0.1 built-today\n"));
        server
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.path(file), text).unwrap();
    }

    fn publish(&self, version: &str, package: &str) {
        self.write(&format!("app/{version}"), &format!("Global {package}\n"));
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.0.path(file)).unwrap();
    }

    /// What was changed, one line each.
    fn did(&self) -> Vec<String> {
        let did = fs::read_to_string(self.0.path("did")).unwrap_or_default();
        did.lines().map(str::to_owned).collect()
    }

    fn published(&self) -> Vec<String> {
        let files = fs::read_dir(self.0.path("app")).unwrap();
        let mut versions: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        versions.sort();
        versions
    }

    fn exec_of(&self, tenant: &str) -> Exec {
        let script = folder_of_crate().join("tests/server/deploy.sh");
        exec(json!({
            "deploy": ["env", format!("PATH={}:/usr/bin:/bin", self.0.path("bin").display()), "sh", script, tenant],
            "inventory": ["true"],
            "environment": {"SERVER": self.0.folder.path()},
            "reenterable": true,
            "stop_within": "5s",
        }))
    }

    async fn deploy(&self) -> Deployed {
        self.does(&work()).await
    }

    async fn does(&self, work: &Work) -> Deployed {
        self.exec_of("one").deploy(work, &Found::default(), &self.0).await
    }

    /// Brings the version in until the server stops there, and then everything is killed.
    async fn is_killed(&self, when: &str, cmdlet: &str) {
        self.write("stop", &format!("{when} {cmdlet}"));
        let exec = self.exec_of("one");
        let (work, found) = (work(), Found::default());
        let words = format!("stopped {when} {cmdlet}");
        tokio::select! {
            deployed = exec.deploy(&work, &found, &self.0) => panic!("it ended before it was killed: {deployed:?}"),
            () = self.0.hears(&words) => {}
        }
        self.remove("stop");
        // A cmdlet that is ended gives the server back.
        let _freed = fs::remove_dir(self.0.path("busy"));
    }

    fn assert_is_right(&self) {
        assert_eq!(self.0.read("one/installed"), "1.0.0.1\n");
        assert_eq!(self.0.read("one/data"), "1.0.0.1\n");
        assert!(self.0.path("one/dependents/Reports").exists());
    }
}

const WHOLE: &[&str] = &[
    "Publish-NAVApp 1.0.0.1 one",
    "Sync-NAVApp 1.0.0.1 one",
    "Start-NAVAppDataUpgrade 1.0.0.1 one",
    "Unpublish-NAVApp 0.9.0.0 ",
    "Unpublish-NAVApp 0.8.0.0 ",
];

/// A server on which only one tenant has the app, so that older versions can go.
fn server_of_one() -> Server {
    let server = Server::new();
    server.remove("two/installed");
    server
}

#[tokio::test]
async fn a_newer_version_is_published_synchronised_upgraded_and_the_oldest_unpublished() {
    let server = server_of_one();
    assert_eq!(server.deploy().await, Deployed::Done);
    server.assert_is_right();
    assert_eq!(server.did(), WHOLE);
    assert_eq!(
        server.published(),
        ["1.0.0.0", "1.0.0.1"],
        "one is kept for a way back"
    );
    let told = server.0.told();
    let steps: Vec<_> = told
        .iter()
        .filter(|(percent, ..)| percent.is_some())
        .map(|(_, step, _)| step.as_str())
        .collect();
    assert_eq!(
        steps,
        ["Publish", "Sync", "Upgrade", "Verify", "Unpublish", "Done"]
    );

    assert_eq!(server.deploy().await, Deployed::Done);
    assert_eq!(server.did(), WHOLE, "a second run finds nothing to do");
}

#[tokio::test]
async fn killed_between_any_two_steps_it_goes_on_where_it_was() {
    for cmdlet in [
        "Publish-NAVApp",
        "Sync-NAVApp",
        "Start-NAVAppDataUpgrade",
        "Unpublish-NAVApp",
    ] {
        for when in ["before", "after"] {
            let server = server_of_one();
            server.is_killed(when, cmdlet).await;
            assert_eq!(server.deploy().await, Deployed::Done, "{when} {cmdlet}");
            server.assert_is_right();
            assert_eq!(
                server.did(),
                WHOLE,
                "{when} {cmdlet}: nothing twice, nothing left out"
            );
        }
    }
}

#[tokio::test]
async fn killed_again_and_again_it_comes_to_its_end() {
    let server = server_of_one();
    for cmdlet in [
        "Publish-NAVApp",
        "Sync-NAVApp",
        "Start-NAVAppDataUpgrade",
        "Unpublish-NAVApp",
    ] {
        server.is_killed("before", cmdlet).await;
        server.is_killed("after", cmdlet).await;
    }
    assert_eq!(server.deploy().await, Deployed::Done);
    assert_eq!(server.did(), WHOLE);
}

#[tokio::test]
async fn two_tenants_of_a_server_take_turns_and_publish_once() {
    let server = Server::new();
    let other = Place::new();
    fs::copy(server.0.path("package.app"), other.path("package.app")).unwrap();
    let (one, two) = (server.exec_of("one"), server.exec_of("two"));
    let (work, found) = (work(), Found::default());
    server.write("stop", "before Sync-NAVApp");
    let go = server.0.pipe("go");
    let second = async {
        server.0.hears("stopped before Sync-NAVApp").await;
        server.remove("stop");
        let release = async {
            other.hears("Another deployment is waited for.").await;
            tokio::task::spawn_blocking(move || fs::write(go, "go\n").unwrap())
                .await
                .unwrap();
        };
        tokio::join!(two.deploy(&work, &found, &other), release).0
    };
    let both = tokio::join!(one.deploy(&work, &found, &server.0), second);
    assert_eq!(both, (Deployed::Done, Deployed::Done));
    let did = [
        "Publish-NAVApp 1.0.0.1 one",
        "Sync-NAVApp 1.0.0.1 one",
        "Start-NAVAppDataUpgrade 1.0.0.1 one",
        "Unpublish-NAVApp 0.9.0.0 ",
        "Unpublish-NAVApp 0.8.0.0 ",
        "Sync-NAVApp 1.0.0.1 two",
        "Start-NAVAppDataUpgrade 1.0.0.1 two",
    ];
    assert_eq!(server.did(), did);
}

#[tokio::test]
async fn two_server_instances_are_worked_at_at_once() {
    let (one, two) = (server_of_one(), server_of_one());
    one.write("stop", "before Sync-NAVApp");
    let go = one.0.pipe("go");
    let second = async {
        one.0.hears("stopped before Sync-NAVApp").await;
        let deployed = two.deploy().await;
        one.remove("stop");
        tokio::task::spawn_blocking(move || fs::write(go, "go\n").unwrap())
            .await
            .unwrap();
        deployed
    };
    let both = tokio::join!(one.deploy(), second);
    assert_eq!(both, (Deployed::Done, Deployed::Done));
    assert_eq!(one.did(), WHOLE);
    assert_eq!(two.did(), WHOLE);
}

#[tokio::test]
async fn a_version_that_a_tenant_has_stays_published() {
    let server = server_of_one();
    server.write("two/installed", "0.8.0.0\n");
    assert_eq!(server.deploy().await, Deployed::Done);
    assert_eq!(server.published(), ["0.8.0.0", "1.0.0.0", "1.0.0.1"]);
}

#[tokio::test]
async fn without_older_data_it_is_installed_and_not_upgraded() {
    for data in [None, Some("1.0.0.1\n")] {
        let server = Server::new();
        match data {
            None => server.remove("one/data"),
            Some(version) => server.write("one/data", version),
        }
        assert_eq!(server.deploy().await, Deployed::Done);
        assert!(server.did().contains(&"Install-NAVApp 1.0.0.1 one".to_owned()));
    }
}

#[tokio::test]
async fn what_is_newer_or_not_there_is_skipped() {
    let server = Server::new();
    server.publish("1.0.0.10", "later");
    server.write("one/installed", "1.0.0.10\n");
    let Deployed::Skipped(reason) = server.deploy().await else {
        panic!("not skipped")
    };
    assert_eq!(reason, "AlreadyUpToDate: version 1.0.0.10 is installed.");
    server.remove("one/installed");
    let Deployed::Skipped(reason) = server.deploy().await else {
        panic!("not skipped")
    };
    assert_eq!(reason, "AppUninstalled: no version of the app is installed.");
    assert!(server.did().is_empty());
}

#[tokio::test]
async fn a_new_app_is_published_and_installed() {
    let install = Work {
        kind: OperationKind::Install,
        source: None,
        ..work()
    };
    let server = Server::new();
    for gone in [
        "one/installed",
        "one/data",
        "two/installed",
        "app/0.8.0.0",
        "app/0.9.0.0",
        "app/1.0.0.0",
    ] {
        server.remove(gone);
    }
    assert_eq!(server.does(&install).await, Deployed::Done);
    server.assert_is_right();
    let steps = [
        "Publish-NAVApp 1.0.0.1 one",
        "Sync-NAVApp 1.0.0.1 one",
        "Install-NAVApp 1.0.0.1 one",
    ];
    assert_eq!(server.did(), steps);
    assert_eq!(server.0.read("app/1.0.0.1"), "Global built-today\n");
    assert_eq!(server.does(&install).await, Deployed::Done);
    assert_eq!(server.did(), steps, "a second run finds nothing to do");
}

#[tokio::test]
async fn an_uninstall_takes_the_app_out_and_leaves_data_and_dependents_alone() {
    let uninstall = |delete_data| Work {
        kind: OperationKind::Uninstall,
        target: None,
        delete_data,
        ..work()
    };
    let server = Server::new();
    let failure = failed(server.does(&uninstall(true)).await);
    assert_eq!(failure.cause, FailureCause::NotSupported, "{failure}");
    let failure = failed(server.does(&uninstall(false)).await);
    assert_eq!(failure.cause, FailureCause::MissingDependency, "{failure}");
    assert!(server.did().is_empty());
    server.remove("one/dependents/Reports");
    assert_eq!(server.does(&uninstall(false)).await, Deployed::Done);
    assert_eq!(server.did(), ["Uninstall-NAVApp 1.0.0.0 one"]);
    assert!(!server.0.path("one/installed").exists());
    assert_eq!(server.0.read("one/data"), "1.0.0.0\n");
    assert!(matches!(
        server.does(&uninstall(false)).await,
        Deployed::Skipped(_)
    ));
}

#[tokio::test]
async fn a_published_version_is_taken_if_it_is_the_same_package() {
    let server = Server::new();
    server.publish("1.0.0.1", "built-yesterday");
    let failure = failed(server.deploy().await);
    assert_eq!(failure.cause, FailureCause::AlreadyPublished);
    assert!(server.did().is_empty());

    server.publish("1.0.0.1", "built-today");
    assert_eq!(server.deploy().await, Deployed::Done);
    assert_eq!(server.did()[0], "Sync-NAVApp 1.0.0.1 one");
}

#[tokio::test]
async fn what_a_cmdlet_says_is_the_failure_and_nothing_goes_on() {
    for (cmdlet, text, cause, steps) in [
        (
            "Publish-NAVApp",
            "The extension has not been code signed",
            FailureCause::Other,
            0,
        ),
        (
            "Publish-NAVApp",
            "error AL1024: package not found",
            FailureCause::MissingDependency,
            0,
        ),
        (
            "Sync-NAVApp",
            "Table A :: Unsupported field change",
            FailureCause::SchemaBreak,
            1,
        ),
        (
            "Start-NAVAppDataUpgrade",
            "OnUpgradePerCompany failed",
            FailureCause::UpgradeCode,
            2,
        ),
    ] {
        let server = server_of_one();
        server.write(&format!("fail/{cmdlet}"), text);
        let failure = failed(server.deploy().await);
        assert_eq!(failure.cause, cause, "{failure}");
        assert!(failure.text.contains(text), "{failure}");
        assert_eq!(server.did(), WHOLE[..steps], "{cmdlet}");

        server.remove(&format!("fail/{cmdlet}"));
        assert_eq!(server.deploy().await, Deployed::Done);
        assert_eq!(server.did(), WHOLE);
    }
}

#[tokio::test]
async fn a_tenant_that_is_not_ready_is_left_alone() {
    let server = Server::new();
    for state in ["OperationalDataUpgradePending", "OperationalWithSyncPending", ""] {
        server.write("one/state", state);
        assert_eq!(failed(server.deploy().await).cause, FailureCause::Lock, "{state}");
    }
    assert!(server.did().is_empty());
    server.write("one/state", "Mounted");
    assert_eq!(server.deploy().await, Deployed::Done);
}

#[tokio::test]
async fn what_the_upgrade_uninstalled_comes_back() {
    let server = Server::new();
    server.write("drops", "");
    assert_eq!(server.deploy().await, Deployed::Done);
    server.assert_is_right();
    assert!(server.did().contains(&"Install-NAVApp Reports one".to_owned()));
}

#[tokio::test]
async fn what_the_upgrade_uninstalled_comes_back_whoever_ended_the_script_meanwhile() {
    for (when, cmdlet) in [("after", "Start-NAVAppDataUpgrade"), ("before", "Install-NAVApp")] {
        let server = Server::new();
        server.write("drops", "");
        server.is_killed(when, cmdlet).await;
        assert!(
            !server.0.path("one/dependents/Reports").exists(),
            "{when} {cmdlet}"
        );
        assert_eq!(server.deploy().await, Deployed::Done, "{when} {cmdlet}");
        server.assert_is_right();
        let again = server
            .did()
            .into_iter()
            .filter(|did| did == "Install-NAVApp Reports one");
        assert_eq!(again.count(), 1, "{when} {cmdlet}");
    }
}

#[tokio::test]
async fn an_old_version_that_cannot_go_is_told_and_no_failure() {
    let server = server_of_one();
    server.write("fail/Unpublish-NAVApp", "Something has it");
    assert_eq!(server.deploy().await, Deployed::Done);
    server.0.hears("Version 0.9.0.0 stays published.").await;
}

#[tokio::test]
async fn what_is_broken_or_not_the_package_stops_it() {
    let server = Server::new();
    server.remove("app/1.0.0.0");
    let failure = failed(server.deploy().await);
    assert!(failure.text.contains("installed and not published"), "{failure}");

    server.publish("1.0.0.0", "1.0.0.0");
    server.write("package.app", &format!("{APP} 1.0.0.2 other\n"));
    assert_eq!(failed(server.deploy().await).cause, FailureCause::PackageChanged);
    assert!(server.did().is_empty());
}

/// Code lines of a script: without comments.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = match text.split_once("#>") {
        Some((_, code)) => code.to_owned(),
        None => text,
    };
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

fn powershell(name: &str) -> String {
    code_of(&folder_of_crate().join("../../contrib/powershell").join(name))
}

#[test]
fn no_script_for_powershell_makes_code_of_data_or_deletes_data() {
    for name in [
        "Deploy-FameApp.ps1",
        "Get-FameInventory.ps1",
        "Import-FameCmdlets.ps1",
    ] {
        let code = powershell(name).to_lowercase();
        for never in [
            "invoke-expression",
            "iex ",
            "scriptblock",
            "invoke-command",
            "start-process",
            "cmd /c",
            "& \"",
            "& $",
            "-clearschema",
            "-mode clean",
            "-mode development",
            "forcesync",
            "-skipversioncheck",
            "-donotsavedata",
            "-encodedcommand",
            "downloadstring",
            "set-executionpolicy",
            "test-path -path",
            "get-content -path",
            "remove-item",
        ] {
            assert!(!code.contains(never), "{name}: {never}");
        }
        assert!(code.contains("set-strictmode -version 3.0"), "{name}");
        for line in code
            .lines()
            .filter(|line| line.contains("test-path") || line.contains("get-content"))
        {
            assert!(line.contains("-literalpath"), "{name}: {line}");
        }
    }
    for name in ["Deploy-FameApp.ps1", "Get-FameInventory.ps1"] {
        let code = powershell(name);
        for always in [
            "$ErrorActionPreference = 'Stop'",
            "$ProgressPreference = 'SilentlyContinue'",
            "'en-US'",
        ] {
            assert!(code.contains(always), "{name}: {always}");
        }
    }
}

#[test]
fn every_cmdlet_names_its_server_instance_and_those_of_a_tenant_the_tenant() {
    for name in ["Deploy-FameApp.ps1", "Get-FameInventory.ps1"] {
        // Lines that go on are one.
        let code = powershell(name).replace("`\n", " ");
        let calls = code.lines().filter(|line| {
            line.contains("-NAV") && !line.contains("Get-AppArgument") && !line.contains("-Path $PackageFile")
        });
        for call in calls {
            let is_bound = call.contains("-ServerInstance $ServerInstance") || call.contains("@arguments");
            assert!(is_bound, "{name}: {call}");
            let is_of_server = [
                "Get-NAVAppTenant",
                "Publish-NAVApp",
                "Unpublish-NAVApp",
                "Get-NAVServerInstance",
            ]
            .iter()
            .any(|cmdlet| call.contains(cmdlet));
            assert!(is_of_server || call.contains("-Tenant $Tenant"), "{name}: {call}");
        }
    }
}

/// The steps in the order in which the function that leads through them names them.
fn steps_of(code: &str, start: &str, end: &str) -> Vec<String> {
    let body = code.split_once(start).unwrap().1.split_once(end).unwrap().0;
    let plain = |word: &str| word.to_lowercase().replace(['-', '_'], "");
    let steps = [
        "AssertTenantReady",
        "AssertSound",
        "StopSkipped",
        "Skipped",
        "SaveDependent",
        "PublishTarget",
        "AssertSamePackage",
        "SyncTarget",
        "InstallTarget",
        "RestoreDependent",
        "AssertInstalled",
        "UnpublishOld",
    ];
    let words = body.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_');
    let found = words.filter_map(|word| {
        steps
            .iter()
            .find(|step| plain(word).trim_end_matches('s') == step.to_lowercase())
    });
    found
        .map(|step| step.trim_start_matches("Stop").to_owned())
        .collect()
}

#[test]
fn both_scripts_take_the_same_steps_in_the_same_order() {
    let sh = code_of(&folder_of_crate().join("tests/server/deploy.sh"));
    let steps = steps_of(&sh, "update_app() {", "\n}");
    assert_eq!(steps.len(), 12, "{steps:?}");
    assert_eq!(
        steps_of(&powershell("Deploy-FameApp.ps1"), "function Update-App {", "\n}"),
        steps
    );
}
