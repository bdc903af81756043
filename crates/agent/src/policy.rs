//! What the agent may do, whatever the service says.
//!
//! The agent and the service do not trust each other. So there is a file on the agent's machine that only its owner may
//! change, and that is read once, at the start: a service in the wrong hands cannot make the agent bring in an app that
//! nobody here wants, nor many at once, nor go back to an older version.

use crate::{
    driver::Work,
    failure::Failure,
    owner_only,
    section::{Problem, Section},
};
use domain::{
    ids::AppId,
    operation::FailureCause,
    signer::{SignerKey, SignerRule},
};
use serde::Deserialize;
use std::{collections::BTreeSet, fs, path::Path};
use toml::Table;
use uuid::{Uuid, uuid};

/// Apps that Business Central itself is made of. They come with its own updates and in no other way.
const BASE_APPS: [Uuid; 5] = [
    // System
    uuid!("8874ed3a-0643-4247-9ced-7a7002f7135d"),
    // System Application
    uuid!("63ca2fa4-4f03-4f2b-a480-172fef340d3f"),
    // Business Foundation
    uuid!("f3552374-a1f2-4356-848e-196002525837"),
    // Base Application
    uuid!("437dbf0e-84ff-417a-965d-ed2bb9650972"),
    // Application
    uuid!("c1335042-3002-4257-bf8a-75c898ccb1b8"),
];

/// What no agent ever does. A policy may say so.
const NEVER: [&str; 1] = ["allow_force_sync"];

/// What an agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The apps that it may bring in; any where nothing is said.
    allowed_apps: Option<BTreeSet<AppId>>,
    /// How many operations it begins in an hour at most.
    pub max_starts_per_hour: usize,
    /// Whether it may take apps out.
    allow_uninstall: bool,
    /// Whether it may delete their data with them.
    allow_delete_data: bool,
    /// Who must have signed the packages that it brings in.
    pub signers: SignerRule,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "it must be \"any\" or a list of app ids, each a GUID")]
enum AllowedApps {
    Word(String),
    Some(BTreeSet<Uuid>),
}

impl Policy {
    /// Reads the policy in the file at `path`, which only its owner may read.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let file = path.display().to_string();
        owner_only::check(path)
            .map_err(|error| vec![Problem::new("agent.policy", format!("will not do: {error}"))])?;
        let text = fs::read_to_string(path)
            .map_err(|error| vec![Problem::new(&file, format!("cannot be read: {error}"))])?;
        let table = text
            .parse()
            .map_err(|error| vec![Problem::new(&file, format!("is no TOML: {error}"))])?;
        Self::read(table).map_err(|problems| {
            let named = |problem: Problem| Problem::new(format!("{file}: {}", problem.at), problem.message);
            problems.into_iter().map(named).collect()
        })
    }

    fn read(table: Table) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut section = Section::new(String::new(), table, &mut problems);
        let allowed = match section.required::<AllowedApps>("allowed_apps") {
            Some(AllowedApps::Some(apps)) => Some(apps.into_iter().map(AppId).collect()),
            Some(AllowedApps::Word(word)) if word == "any" => None,
            Some(AllowedApps::Word(word)) => {
                let message = format!("is '{word}', and must be a list of app ids or \"any\"");
                section.refuse("allowed_apps", message);
                None
            }
            None => None,
        };
        let max_starts_per_hour = section.optional("max_starts_per_hour").unwrap_or(100);
        let allow_uninstall = section.optional("allow_uninstall").unwrap_or(false);
        let allow_delete_data = section.optional("allow_delete_data").unwrap_or(false);
        for key in NEVER {
            if section.optional(key).unwrap_or(false) {
                section.refuse(key, "is true, and no agent does that: it can only be false");
            }
        }
        let require_signature = section.optional("require_signature").unwrap_or(false);
        let signers = match section.optional::<Vec<String>>("signers") {
            Some(keys) => SignerRule::Pinned(signers(&mut section, &keys)),
            None if require_signature => SignerRule::Signed,
            None => SignerRule::None,
        };
        section.end();
        match problems.is_empty() {
            true => Ok(Self {
                allowed_apps: allowed,
                max_starts_per_hour,
                allow_uninstall,
                allow_delete_data,
                signers,
            }),
            false => Err(problems),
        }
    }

    /// Why nothing at all is begun under it, if that is so.
    #[must_use]
    pub fn lets_nothing_through(&self) -> Option<&'static str> {
        if self.max_starts_per_hour == 0 {
            return Some("the policy's max_starts_per_hour is 0");
        }
        let lists_none = self
            .allowed_apps
            .as_ref()
            .is_some_and(|allowed| allowed.is_empty());
        lists_none.then_some("the policy's allowed_apps is empty")
    }

    /// Makes sure that the app may be brought in, or taken out. That the version is newer than the installed one is looked at
    /// where it is known what is installed.
    ///
    /// # Errors
    /// A [`Failure`] with what forbids it.
    pub fn check(&self, work: &Work) -> Result<(), Failure> {
        let app = work.app_id;
        let refused = |text| Err(Failure::new(FailureCause::Permission, text));
        if BASE_APPS.contains(&app.0) {
            return refused(format!(
                "The agent never changes {app}: it is a part of Business Central."
            ));
        }
        if self
            .allowed_apps
            .as_ref()
            .is_some_and(|allowed| !allowed.contains(&app))
        {
            return refused(format!("The agent's policy does not allow app {app}."));
        }
        match (work.source, work.target) {
            (Some(source), Some(target)) if target <= source => refused(format!(
                "The agent does not go from {source} to {target}, which is not newer."
            )),
            (_, None) if !self.allow_uninstall => refused(
                "The agent's policy does not allow apps to be uninstalled (allow_uninstall).".to_owned(),
            ),
            _ if work.delete_data && !self.allow_delete_data => refused(
                "The agent's policy does not allow data to be deleted (allow_delete_data).".to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

fn signers(section: &mut Section<'_>, keys: &[String]) -> BTreeSet<SignerKey> {
    match keys.len() {
        0 => section.refuse(
            "signers",
            "is empty, so that no package would do: name a key, or leave it out",
        ),
        count if count > SignerRule::MAX_KEYS => {
            let message = format!(
                "names {count} keys, and may name {} at most",
                SignerRule::MAX_KEYS
            );
            section.refuse("signers", message);
        }
        _ => {}
    }
    let mut known = BTreeSet::new();
    for (number, key) in keys.iter().enumerate() {
        match key.parse::<SignerKey>() {
            Ok(key) => _ = known.insert(key),
            Err(_) => {
                let message =
                    format!("is '{key}', and must be the SHA-256 of a public key in 64 hexadecimal digits");
                section.refuse(&format!("signers[{number}]"), message);
            }
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::tests::work;
    use domain::operation::OperationKind;

    fn policy(text: &str) -> Policy {
        Policy::read(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn only_what_is_allowed_may_come_in() {
        let ours = work();
        let listed = policy(&format!("allowed_apps = [\"{}\"]", ours.app_id));
        assert_eq!(listed.max_starts_per_hour, 100);
        assert!(listed.check(&ours).is_ok());
        let other = Work {
            app_id: AppId::random(),
            ..ours.clone()
        };
        let refused = listed.check(&other).unwrap_err();
        assert_eq!(refused.cause, FailureCause::Permission);
        assert!(refused.text.contains(&other.app_id.to_string()), "{refused}");
        assert!(policy("allowed_apps = \"any\"").check(&other).is_ok());
    }

    #[test]
    fn business_central_itself_and_older_versions_never_come_in() {
        let any = policy("allowed_apps = \"any\"");
        for app in BASE_APPS {
            let base = Work {
                app_id: AppId(app),
                ..work()
            };
            assert!(any.check(&base).is_err(), "{app}");
        }
        let ours = work();
        let back = Work {
            target: ours.source,
            ..ours.clone()
        };
        assert!(any.check(&back).is_err());
    }

    #[test]
    fn apps_go_and_data_are_deleted_only_where_the_policy_says_so() {
        let uninstall = |delete_data| Work {
            kind: OperationKind::Uninstall,
            target: None,
            delete_data,
            ..work()
        };
        let refusal = |policy: &Policy, work: &Work| policy.check(work).unwrap_err().text;
        let any = "allowed_apps = \"any\"";
        let careful = policy(any);
        assert!(refusal(&careful, &uninstall(false)).contains("allow_uninstall"));
        let keeps_data = policy(&format!("{any}\nallow_uninstall = true"));
        assert!(keeps_data.check(&uninstall(false)).is_ok());
        assert!(refusal(&keeps_data, &uninstall(true)).contains("allow_delete_data"));
        let deletes = policy(&format!(
            "{any}\nallow_uninstall = true\nallow_delete_data = true"
        ));
        assert!(deletes.check(&uninstall(true)).is_ok());
        for app in BASE_APPS {
            let base = Work {
                app_id: AppId(app),
                ..uninstall(false)
            };
            assert!(refusal(&deletes, &base).contains("a part of Business Central"));
        }
        // What deletes data on its way in is as little wanted.
        let install = Work {
            kind: OperationKind::Install,
            source: None,
            delete_data: true,
            ..work()
        };
        assert!(refusal(&keeps_data, &install).contains("allow_delete_data"));
    }

    #[test]
    fn who_must_have_signed_is_read() {
        let rule = |lines: &str| policy(&format!("allowed_apps = \"any\"\n{lines}")).signers;
        let pinned = SignerRule::Pinned([SignerKey([0x0f; 32])].into());
        let signers = format!("signers = [\"{}\"]", "0F".repeat(32));
        assert_eq!(rule(""), SignerRule::None);
        assert_eq!(rule("require_signature = false"), SignerRule::None);
        assert_eq!(rule("require_signature = true"), SignerRule::Signed);
        assert_eq!(rule(&signers), pinned);
        assert_eq!(rule(&format!("require_signature = true\n{signers}")), pinned);
        assert_eq!(rule(&format!("require_signature = false\n{signers}")), pinned);
    }

    #[test]
    fn what_is_no_key_is_named() {
        let (key, longer) = ("0f".repeat(32), "0f".repeat(33));
        let no_hex = key.replace("0f", "0g");
        let problems = |signers: &[&str]| {
            let text = format!("allowed_apps = \"any\"\nsigners = {signers:?}");
            Policy::read(text.parse().unwrap()).unwrap_err()
        };
        let wrong = problems(&[&key, "0f", &key, &longer, &no_hex, ""]);
        let at: Vec<_> = wrong.iter().map(|problem| problem.at.as_str()).collect();
        assert_eq!(at, ["signers[1]", "signers[3]", "signers[4]", "signers[5]"]);
        for (Problem { message, .. }, key) in wrong.iter().zip(["0f", &longer, &no_hex, ""]) {
            assert!(
                message.contains(&format!("'{key}'")) && message.contains("64 hex"),
                "{message}"
            );
        }
        let [many] = &problems(&[key.as_str(); 17])[..] else {
            panic!("17 keys are too many")
        };
        assert_eq!(many.to_string(), "signers names 17 keys, and may name 16 at most");
    }

    #[test]
    fn what_no_agent_does_and_what_nothing_meets_cannot_be_asked_for() {
        policy("allowed_apps = \"any\"\nallow_force_sync = false");
        for (line, reason) in [
            ("allow_force_sync = true", "no agent does that"),
            ("require_signature = \"yes\"", "expected a boolean"),
            ("signers = \"0f\"", "expected a sequence"),
            ("signers = [1]", "expected a string"),
            ("signers = []", "no package would do"),
            ("allow_everything = true", "is not a setting"),
            ("max_starts_per_hour = \"many\"", "max_starts_per_hour"),
        ] {
            let text = format!("allowed_apps = \"any\"\n{line}");
            let problems = Policy::read(text.parse().unwrap()).unwrap_err();
            let [Problem { at, message }] = &problems[..] else {
                panic!("{line}: {problems:?}")
            };
            assert!(format!("{at} {message}").contains(reason), "{line}: {message}");
            assert_eq!(line.split(' ').next(), Some(at.as_str()));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_policy_that_others_may_read_counts_for_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("policy.toml");
        owner_only::replace(&path, b"allowed_apps = \"any\"").unwrap();
        assert!(Policy::load(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let problems = Policy::load(&path).unwrap_err();
        assert!(problems[0].message.contains("0644"), "{problems:?}");
    }
}
