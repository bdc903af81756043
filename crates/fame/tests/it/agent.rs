//! The agent's commands: what is wrong with a configuration, what a check says, and how a process starts and stops.

use crate::service::{binary, run};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.writes("policy.toml", "allowed_apps = \"any\"");
        host.writes(
            "agent.toml",
            r#"
            [service]
            url = "https://fame.contoso.com"
            [agent]
            folder = "state"
            policy = "policy.toml"
            [[environment]]
            tenant = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
            name = "Production"
            country = "US"
            type = "Production"
            driver = "simulate"
            "#,
        );
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn writes(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    async fn agent(&self, command: &str) -> crate::service::Ended {
        let config = self.path("agent.toml").display().to_string();
        run(binary(&["agent", command, "--config", &config])).await
    }
}

#[tokio::test]
async fn all_that_is_wrong_with_a_configuration_is_told_at_once() {
    let host = Host::new();
    host.writes(
        "agent.toml",
        "[service]\nurl = \"http://fame.contoso.com\"\n[agnet]\n",
    );
    for command in ["enrol", "check", "run"] {
        let ended = host.agent(command).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        for problem in [
            "service.url",
            "agent.folder is missing",
            "agnet is not a setting; did you mean agent?",
        ] {
            assert!(ended.err.contains(problem), "{problem}: {}", ended.err);
        }
    }
}

#[tokio::test]
async fn who_was_never_enrolled_is_told_so() {
    let host = Host::new();
    let ended = host.agent("run").await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("fame agent enrol"), "{}", ended.err);
    let ended = host.agent("check").await;
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.out.contains("It is not enrolled"), "{}", ended.out);
    assert!(ended.out.contains("only simulated"), "{}", ended.out);
    let ended = host.agent("enrol").await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("FAME_ENROLMENT_CODE"), "{}", ended.err);
}

#[tokio::test]
async fn a_policy_that_others_may_read_keeps_the_agent_from_starting() {
    let host = Host::new();
    fs::set_permissions(host.path("policy.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let ended = host.agent("run").await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("chmod 0600"), "{}", ended.err);
}
