//! Bringing an address of the Admin Center API to the one form that is routed.
//!
//! Its clients ask for v2.0 to v2.29, in whatever case, with a slash at the end or without, with braces around ids. The table
//! says what there is; what is not in it goes where it is said that it is not served.

use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// What all of it lies below, in the form that is routed.
pub(crate) const ROOT: &str = "/admin/v2.0";

/// Every address below the root. Where a name could be a word too, the word stands first: an environment that is called
/// `operations` has to be asked for by the list of all.
const ADDRESSES: &[&str] = &[
    "applications",
    "applications/environments",
    "applications/settings/timezones",
    "applications/*/environments",
    "applications/*/environments/operations",
    "applications/*/environments/*",
    "applications/*/environments/*/apps",
    "applications/*/environments/*/apps/availableUpdates",
    "applications/*/environments/*/apps/*/install",
    "applications/*/environments/*/apps/*/update",
    "applications/*/environments/*/apps/*/update/cancel",
    "applications/*/environments/*/apps/*/uninstall",
    "applications/*/environments/*/apps/*/uninstallRequirements",
    "applications/*/environments/*/apps/*/operations",
    "applications/*/environments/*/apps/*/operations/*",
    "applications/*/environments/*/operations",
    "applications/*/environments/*/operations/*",
    "applications/*/environments/*/operations/*/cancel",
    "applications/*/environments/*/operations/*/postpone",
    "applications/*/environments/*/settings/upgrade",
    "applications/*/environments/*/settings/appSourceAppsUpdateCadence",
    "applications/*/environments/*/updates",
    "applications/*/environments/*/updates/*",
    "applications/*/environments/*/upgrade",
    "environments/operations",
    "environments/operations/*",
    "environments/*/operations",
    "authorizedAadApps",
    "authorizedAadApps/manageableTenants",
    "delegatedPartners",
    "delegatedPartners/*",
    "delegatedPartners/*/*",
];

/// The routed form of an address below `/admin/v2.0` to `/admin/v2.99`; nothing for any other. `plain` is what stands in a
/// segment as it is.
pub(crate) fn routed(path: &str, plain: &'static AsciiSet) -> Option<String> {
    let segments: Vec<_> = path.trim_end_matches('/').split('/').skip(1).collect();
    let [admin, version, rest @ ..] = segments.as_slice() else {
        return None;
    };
    if !admin.eq_ignore_ascii_case("admin") || !is_version(version) {
        return None;
    }
    let texts: Vec<_> = rest
        .iter()
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
        .collect();
    let fits = |address: &&&str| {
        let words: Vec<_> = address.split('/').collect();
        let fits = |(word, text): (&&str, &Cow<'_, str>)| *word == "*" || word.eq_ignore_ascii_case(text);
        words.len() == texts.len() && words.iter().zip(&texts).all(fits)
    };
    let known = ADDRESSES.iter().find(fits).map(|address| address.split('/'));
    let mut routed = ROOT.to_owned();
    let mut words = known.into_iter().flatten();
    for text in &texts {
        routed.push('/');
        match words.next() {
            Some(word) if word != "*" => routed.push_str(word),
            _ => routed.extend(utf8_percent_encode(text, plain)),
        }
    }
    Some(routed)
}

/// `v2.0` to `v2.99`.
fn is_version(text: &str) -> bool {
    let number = text
        .split_once('.')
        .filter(|(major, _)| major.eq_ignore_ascii_case("v2"));
    number.is_some_and(|(_, minor)| {
        let is_number = minor.bytes().all(|byte| byte.is_ascii_digit());
        is_number && matches!(minor.len(), 1..=2) && (minor.len() == 1 || !minor.starts_with('0'))
    })
}

/// Whether somebody meant the Admin Center API by an address, in whatever version.
pub(crate) fn is_meant_by(path: &str) -> bool {
    let first = path.split('/').nth(1);
    first.is_some_and(|first| first.eq_ignore_ascii_case("admin"))
}

/// Whether an address in the form that is routed lies below the root.
pub(crate) fn is_below_root(routed: &str) -> bool {
    routed
        .strip_prefix(ROOT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::NON_ALPHANUMERIC;

    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');

    fn of(path: &str) -> Option<String> {
        routed(path, PLAIN)
    }

    #[test]
    fn every_spelling_comes_to_one_form() {
        let one =
            "/admin/v2.0/applications/BusinessCentral/environments/My%20Sandbox/apps/%7BA-1%7D/update/cancel";
        for path in [
            "/admin/v2.28/applications/BusinessCentral/environments/My%20Sandbox/apps/%7BA-1%7D/update/cancel",
            "/ADMIN/V2.0/Applications/BusinessCentral/ENVIRONMENTS/My%20Sandbox/Apps/%7bA-1%7d/Update/CANCEL/",
            "/admin/v2.99/applications/BusinessCentral/environments/My%20Sandbox/apps/{A-1}/update/cancel",
        ] {
            assert_eq!(of(path).as_deref(), Some(one), "{path}");
        }
        assert_eq!(
            of("/admin/v2.3/applications/").as_deref(),
            Some("/admin/v2.0/applications")
        );
        assert_eq!(of("/admin/v2.3").as_deref(), Some("/admin/v2.0"));
    }

    #[test]
    fn other_versions_and_places_are_left_alone() {
        for path in [
            "/admin/v1.0/applications",
            "/admin/v3.0/applications",
            "/admin/v2/applications",
            "/admin/v2.100/applications",
            "/admin/v2.07/applications",
            "/admin/v2.x/applications",
            "/admin/v2./applications",
            "/administration/v2.0/applications",
            "/v1.0/apps",
            "/",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn names_may_look_like_words() {
        let environments = "/admin/v2.0/applications/Apps/environments";
        for (name, kept) in [
            ("Settings", "Settings"),
            ("APPS", "APPS"),
            ("a%2Fb", "a%2Fb"),
            ("Environments", "Environments"),
        ] {
            let path = format!("/admin/v2.5/applications/Apps/environments/{name}");
            assert_eq!(of(&path), Some(format!("{environments}/{kept}")));
            let path = format!("/admin/v2.5/applications/Apps/environments/{name}/OPERATIONS");
            assert_eq!(of(&path), Some(format!("{environments}/{kept}/operations")));
        }
    }
}
