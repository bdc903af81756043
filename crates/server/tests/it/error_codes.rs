//! The codes that programs may rely on, as closed lists: `docs/ERRORS.md` is made from the code itself, and a code
//! that the lists do not have fails here.
//!
//! What a code means stands once, in the comment above it in the source; this file only carries it over. Codes that
//! are not of an enumeration have their row below.

use crate::reviewed_file::{self, in_repository};
use domain::{
    hotfix::Reason,
    operation::{FailReason, FailureCause, SkipReason},
    problem::Code,
};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Where the codes of packages are: of those that cannot be read, and of signatures that prove nothing.
const NAVX: [&str; 2] = ["navx/src/error.rs", "navx/src/proof.rs"];

/// A code in `details` that belongs to no enumeration: itself, the code of the error that it comes with, and what it
/// means.
const DETAILS: &[(&str, Code, &str)] = &[
    (
        "ChangeInDoubt",
        Code::ServiceUnavailable,
        "The database became unavailable while the change was being saved: it may or may not have been made.",
    ),
    (
        "NothingSelected",
        Code::EntityValidationFailed,
        "No environment that a rollout selects can have a hotfix; the message counts the reasons.",
    ),
    (
        "UnknownEnvironment",
        Code::EntityValidationFailed,
        "An environment is named that has not the app, or is none of the rollout's; the message names the nearest.",
    ),
    (
        "TooManyEnvironments",
        Code::EntityValidationFailed,
        "A rollout selects more environments than one may have.",
    ),
    (
        "TooManyRollouts",
        Code::EntityValidationFailed,
        "As many rollouts of the app are not over as there may be.",
    ),
    (
        "ReasonRequired",
        Code::EntityValidationFailed,
        "A rollout can go on only because somebody says so, with a reason.",
    ),
    (
        "TargetWithdrawn",
        Code::RolloutNotInState,
        "The target of a rollout is Available in no country that is still to be done.",
    ),
    (
        "ApproverMustBeUser",
        Code::Forbidden,
        "A rollout is approved by a person.",
    ),
    (
        "CreatorMayNotApprove",
        Code::Forbidden,
        "A rollout is approved by somebody else than its creator.",
    ),
    (
        "UploaderMayNotApprove",
        Code::Forbidden,
        "A rollout is approved by somebody else than who uploaded its target.",
    ),
    (
        "ApproverNeedsRole",
        Code::Forbidden,
        "Who approves a rollout is Contributor or Owner of its app.",
    ),
    (
        "RoleTooNew",
        Code::Forbidden,
        "Who approves a rollout has been Contributor or Owner for 24 hours.",
    ),
    (
        "SignInTooOld",
        Code::Forbidden,
        "Who approves a rollout has signed in within the last 15 minutes.",
    ),
    (
        "ReadOnly",
        Code::EntityValidationFailed,
        "A property that cannot be changed was given another value.",
    ),
    (
        "NothingWritable",
        Code::EntityValidationFailed,
        "The body holds nothing that can be changed; the message says what can.",
    ),
    (
        "TypeRequired",
        Code::EntityValidationFailed,
        "A new principal needs a type.",
    ),
    (
        "RolesRequired",
        Code::EntityValidationFailed,
        "A principal needs at least one role.",
    ),
    (
        "TenantRequired",
        Code::EntityValidationFailed,
        "A principal of type User needs its tenant.",
    ),
    (
        "TenantNotAllowed",
        Code::EntityValidationFailed,
        "A principal of type Application must not carry a tenant.",
    ),
    (
        "TokenTenantNotAllowed",
        Code::EntityValidationFailed,
        "Only a principal of type Application has a `tokenTenant`.",
    ),
    (
        "Frozen",
        Code::Forbidden,
        "The operator has frozen the app, the principal, or all scheduling; the message says why.",
    ),
    (
        "QuotaExceeded",
        Code::EntityValidationFailed,
        "The app has as much of what would be added as the service's settings allow; the message says how much.",
    ),
    (
        "AddressRefused",
        Code::EntityValidationFailed,
        "Nothing is sent to the address that was given for a webhook; the message says why.",
    ),
    (
        "TooManyWebhooks",
        Code::EntityValidationFailed,
        "The app, or the operator, has as many webhooks as may be.",
    ),
    (
        "WebhookDisabled",
        Code::EntityValidationFailed,
        "The webhook is disabled, so it cannot be tested.",
    ),
    (
        "HostCannotChange",
        Code::EntityValidationFailed,
        "A webhook that is moved to another host would not hear who begins to listen meanwhile: add another.",
    ),
    (
        "FormatCannotChange",
        Code::EntityValidationFailed,
        "What waits for the webhook is written in its format already: remove it and add another.",
    ),
    (
        "NoSecretKey",
        Code::EntityValidationFailed,
        "The service has no key under which it could keep secrets, so it has no webhooks.",
    ),
    (
        "IssuerNotEnabled",
        Code::EntityValidationFailed,
        "The operator has not enabled the issuer of the pipeline's tokens; the message names those that are.",
    ),
    (
        "ProviderNotSupported",
        Code::EntityValidationFailed,
        "What the tokens of these pipelines say has not been checked, so none is trusted.",
    ),
    (
        "IdsRequired",
        Code::EntityValidationFailed,
        "A trusted publisher names both ids, the repository's and its owner's, or neither; on Azure DevOps both.",
    ),
    (
        "BindingTooWide",
        Code::EntityValidationFailed,
        "Any branch could publish: a trusted publisher needs a narrow `refPattern` or an `environment`.",
    ),
    (
        "EventNotAllowed",
        Code::EntityValidationFailed,
        "Strangers can cause the event, so no trusted publisher may act upon it.",
    ),
    (
        "NotForProvider",
        Code::EntityValidationFailed,
        "Pipelines of that provider are not allowed as much.",
    ),
    (
        "NothingToConfirm",
        Code::EntityValidationFailed,
        "A trusted publisher is confirmed by repeating its ids.",
    ),
    (
        "TooManyPublishers",
        Code::EntityValidationFailed,
        "The app has as many trusted publishers as may be.",
    ),
    (
        "PublisherMismatch",
        Code::Forbidden,
        "The pipeline's token says otherwise than a trusted publisher expects; the message names both.",
    ),
    (
        "LastOwner",
        Code::EntityValidationFailed,
        "The app would have no owner any more.",
    ),
    (
        "UnknownDependency",
        Code::EntityValidationFailed,
        "The version does not depend on the app that was named.",
    ),
    (
        "NoSuchUpdate",
        Code::EntityValidationFailed,
        "The service does not update the platform, so there is no update to choose.",
    ),
    (
        "NotCancelable",
        Code::EntityValidationFailed,
        "The operation runs or is over, so it cannot be canceled.",
    ),
    (
        "NothingToChange",
        Code::EntityValidationFailed,
        "The change of a hotfix has no status.",
    ),
    (
        "StatusNotAllowed",
        Code::EntityValidationFailed,
        "The status can be set to `Canceled` and to nothing else.",
    ),
    (
        "WindowTooShort",
        Code::EntityValidationFailed,
        "An update window has at least six hours.",
    ),
    (
        "DifferentContentElsewhere",
        Code::EntityValidationFailed,
        "Another country has other bytes under this version, and the service is set to want the same.",
    ),
    (
        "StorageLocationUnmapped",
        Code::InvalidInput,
        "The storage location is not configured.",
    ),
    (
        "IdenticalContent",
        Code::ResourceExists,
        "The version was uploaded before, with the same bytes.",
    ),
    (
        "DifferentContent",
        Code::ResourceExists,
        "The version was uploaded before, with other bytes.",
    ),
    (
        "SameContentBuiltAgain",
        Code::ResourceExists,
        "Beside `DifferentContent`: the packages differ only in where and when they were built.",
    ),
    (
        "InvalidBase64",
        Code::InvalidPackage,
        "`packageContents` is not base64.",
    ),
    (
        "AppIdMismatch",
        Code::InvalidPackage,
        "The package is of another app than the address.",
    ),
    (
        "RuntimePackage",
        Code::InvalidPackage,
        "It is a runtime package, whose manifest cannot be read.",
    ),
    (
        "NotSigned",
        Code::InvalidPackage,
        "Packages of the app must be signed, and nothing proves who signed this one; the next code says why.",
    ),
    (
        "SignedByAnother",
        Code::InvalidPackage,
        "Packages of the app must be signed with another key; the message names both.",
    ),
    (
        "SymbolsOnly",
        Code::InvalidPackage,
        "It holds only the symbols of an app, and installs nowhere.",
    ),
    (
        "ManifestMissing",
        Code::InvalidPackage,
        "The package has no manifest.",
    ),
    (
        "TargetNotFound",
        Code::EntityValidationFailed,
        "The app has no such version, or none at all, that is offered in the environment's country.",
    ),
    (
        "AlreadyInstalled",
        Code::EntityValidationFailed,
        "The app that was to be installed is there already.",
    ),
    (
        "DependentsInstalled",
        Code::EntityValidationFailed,
        "An installed app depends on the one that was to be uninstalled; `data.requirements` lists all that do.",
    ),
    (
        "AppCannotBeUninstalled",
        Code::EntityValidationFailed,
        "The app, or one that would have to be uninstalled with it, is part of the environment.",
    ),
    (
        "DeleteDataNotAllowed",
        Code::EntityValidationFailed,
        "The service does not let customers have an app's data deleted.",
    ),
    (
        "HotfixCannotBeCanceled",
        Code::EntityValidationFailed,
        "A hotfix is canceled by its vendor alone; its customer can postpone it.",
    ),
    (
        "NotPostponable",
        Code::EntityValidationFailed,
        "The operation is no hotfix, or it runs or is over, so it cannot be postponed.",
    ),
    (
        "PostponedTooLong",
        Code::EntityValidationFailed,
        "The hotfix would run later than the service lets customers postpone it; the message says how late it may.",
    ),
    (
        "TooManyCombinations",
        Code::EntityValidationFailed,
        "It could not be found out within the service's limit which versions of the apps needed go together.",
    ),
];

const HEAD: &str = "\
# Error codes

Generated from the code and compared by a test; `FAME_UPDATE=1` writes it anew.

Every answer that is no success has this body, and the id of the request in the headers `ms-correlation-x` and
`request-id`:

```json
{\"error\":{\"code\":\"…\",\"message\":\"…\",\"target\":\"…\",\"details\":[{\"code\":\"…\",\"message\":\"…\"}],
          \"innererror\":{\"correlationId\":\"…\"}},
 \"code\":\"…\",\"message\":\"…\",\"target\":\"…\"}
```

Callers that speak OData get `error` alone. Codes are stable: a program may branch on them. Messages are for people and
may change. The lists are closed: there are no other codes.
";

#[test]
fn the_committed_list_is_the_one_the_code_makes() {
    reviewed_file::holds("docs/ERRORS.md", &page());
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let problem = source("domain/src/problem.rs");
    page.push_str("\n## `error.code`\n\n| status | code | meaning |\n|---|---|---|\n");
    for code in Code::ALL {
        writeln!(
            page,
            "| {} | `{code}` | {} |",
            code.status(),
            meaning(&problem, code.as_str())
        )
        .unwrap();
    }
    page.push_str("\nAnswers with 429 and 503, `UploadInProgress` and `EnvironmentBusy` say in `Retry-After` after how many seconds to try again.\n");
    write_details(&mut page);
    write_reasons(&mut page);
    write_outcomes(&mut page);
    page
}

fn write_details(page: &mut String) {
    page.push_str("\n## `details[].code`\n\n| with | code | meaning |\n|---|---|---|\n");
    for (code, with, meaning) in DETAILS {
        writeln!(page, "| `{with}` | `{code}` | {meaning} |").unwrap();
    }
    for navx in NAVX.map(source) {
        for (variant, code) in package_refusals(&navx) {
            writeln!(
                page,
                "| `{}` | `{code}` | {} |",
                Code::InvalidPackage,
                meaning(&navx, &variant)
            )
            .unwrap();
        }
    }
}

fn write_reasons(page: &mut String) {
    let hotfix = source("domain/src/hotfix.rs");
    page.push_str(
        "\n## Why a hotfix may not be\n\nIn `details[].code` with `EntityValidationFailed` when it is scheduled, and in `reasons[].code` of a plan. The first\nthat applies is the one that is answered; what it comes to when the hotfix starts is in the last column.\n\n\
         | code | meaning | at the start |\n|---|---|---|\n",
    );
    for reason in Reason::ALL {
        let at_start = reason
            .skip_reason()
            .map_or("does not count".into(), |skip| format!("`{skip}`"));
        writeln!(
            page,
            "| `{reason}` | {} | {at_start} |",
            meaning(&hotfix, reason.code())
        )
        .unwrap();
    }
}

fn write_outcomes(page: &mut String) {
    let operation = source("domain/src/operation.rs");
    page.push_str(
        "\n## Why an operation was skipped or failed\n\n`errorMessage` of an operation that is `Skipped` begins with one of these, a colon and a blank:\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for reason in SkipReason::ALL {
        writeln!(page, "| `{reason}` | {} |", meaning(&operation, reason.as_str())).unwrap();
    }
    page.push_str(
        "\nOf one that is `Failed` it is what the agent told, and behind it what it found installed. If nobody knows the outcome it begins with\n`OutcomeUnknown` in the same way:\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for reason in FailReason::ALL {
        writeln!(page, "| `{reason}` | {} |", meaning(&operation, reason.as_str())).unwrap();
    }
    page.push_str(
        "\n`failureCause` (shown to whoever selects it, and can be filtered by) is one of these:\n\n\
         | cause | meaning |\n|---|---|\n",
    );
    for cause in FailureCause::ALL {
        writeln!(page, "| `{cause}` | {} |", meaning(&operation, cause.as_str())).unwrap();
    }
}

fn crates() -> PathBuf {
    in_repository("crates")
}

fn source(path: &str) -> String {
    fs::read_to_string(crates().join(path)).unwrap()
}

/// What the comment above an enumeration's member says.
fn meaning(source: &str, member: &str) -> String {
    let mut comment = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.trim());
            continue;
        }
        let is_member = line
            .strip_prefix(member)
            .is_some_and(|rest| rest.starts_with(',') || rest.starts_with(" = "));
        if is_member && !comment.is_empty() {
            return comment.join(" ").replace('|', "\\|");
        }
        comment.clear();
    }
    panic!("no comment above {member}");
}

/// The members of the package reader's enumeration with their codes.
fn package_refusals(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in source.lines().map(str::trim) {
        let arm = line
            .strip_prefix("Self::")
            .and_then(|rest| rest.split_once(" => \""));
        if let Some((member, code)) = arm
            && let Some(code) = code.strip_suffix("\",")
        {
            found.push((member.to_owned(), code.to_owned()));
        }
    }
    found.retain(|(_, code)| code != "io_error");
    found
}

#[test]
fn every_code_is_listed_once() {
    let mut seen = BTreeSet::new();
    let refusals = NAVX.map(source).map(|navx| package_refusals(&navx));
    let [read, proven] = &refusals;
    assert!(read.len() >= 13 && proven.len() >= 9, "{refusals:?}");
    let details = DETAILS.iter().map(|(code, ..)| (*code).to_owned());
    let reasons = Reason::ALL.iter().map(|reason| reason.code().to_owned());
    for code in details
        .chain(reasons)
        .chain(refusals.into_iter().flatten().map(|(_, code)| code))
    {
        assert!(seen.insert(code.clone()), "{code} is listed twice");
    }
}

#[test]
fn no_code_is_sent_that_is_not_listed() {
    let listed: BTreeSet<_> = DETAILS
        .iter()
        .map(|(code, ..)| *code)
        .chain(Reason::ALL.iter().map(|reason| reason.code()))
        .collect();
    let mut sent = BTreeSet::new();
    for krate in ["domain", "wire", "server"] {
        for_each_source(&crates().join(krate).join("src"), &mut |text| {
            sent.extend(literals(text))
        });
    }
    for code in &sent {
        assert!(
            listed.contains(code.as_str()),
            "{code} is sent, and is not in the list"
        );
    }
    assert!(
        sent.contains("LastOwner") && sent.contains("NothingWritable"),
        "the search finds nothing: {sent:?}"
    );
}

#[test]
fn no_code_is_listed_that_is_never_sent() {
    let mut all = String::new();
    for krate in ["domain", "wire", "server"] {
        for_each_source(&crates().join(krate).join("src"), &mut |text| all.push_str(text));
    }
    for (code, ..) in DETAILS {
        assert!(
            all.contains(&format!("\"{code}\"")),
            "{code} is nowhere in the code"
        );
    }
}

fn for_each_source(folder: &Path, see: &mut dyn FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_source(&path, see);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            see(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// The codes that are written where a narrower code belongs: as first argument of what makes one.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for maker in ["RuleError::broken(", ".because(", "invalid_package("] {
        for after in source.split(maker).skip(1) {
            let argument = after
                .trim_start()
                .strip_prefix('"')
                .and_then(|rest| rest.split_once('"'));
            found.extend(argument.map(|(code, _)| code.to_owned()));
        }
    }
    found
}
