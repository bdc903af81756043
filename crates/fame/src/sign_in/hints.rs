//! What to do about a refusal of Microsoft Entra, by the number that it gives. Source: Microsoft's "troubleshoot workload
//! identity" of Azure DevOps, and its "considerations for workload identity federation".

/// What may help, if the number in `description` is one that people meet in pipelines.
pub(crate) fn for_refusal(description: &str) -> Option<&'static str> {
    let rest = description.split_once("AADSTS")?.1;
    let end = rest
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(rest.len());
    Some(match rest.get(..end)? {
        "700024" => {
            "The token that the application showed was too old, or the clocks differ. Let fame ask for a fresh one itself."
        }
        "70021" | "700211" | "700212" | "700213" => {
            "The application's federated credential names another issuer, subject or audience; all three are compared to the \
             letter. fame whoami --show-claims prints what is shown, ready to be pasted there. Renaming or transferring a \
             repository changes its subject, and those made since July 2026 have ids in it."
        }
        "70025" => "The application has no federated credential: add one in its registration.",
        "700223" | "700238" => "A policy of the tenant allows no federated credentials for this application.",
        "70052" => {
            "The application is registered for several tenants, which cannot trust tokens that Microsoft Entra issued for a \
             service connection: register one for a single tenant."
        }
        "7000215" => "The secret is wrong: its value is needed, not its id.",
        "7000222" => "The secret has run out: make another one in the application's registration.",
        "7000218" | "700025" => {
            "The registration and the way to sign in do not fit: people sign in by an application that allows public client \
             flows, and others show a secret."
        }
        "50011" => {
            "The application needs the redirect address http://localhost (platform: mobile and desktop)."
        }
        "65001" => {
            "Nobody consented to the application's permissions: an administrator does that in its registration."
        }
        "530032" | "53003" => "A policy of the tenant (Conditional Access) blocks this way to sign in.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_whole() {
        let hint = |number: &str| for_refusal(&format!("AADSTS{number}: no. Trace ID: 1"));
        assert!(hint("700213").unwrap().contains("whoami --show-claims"));
        assert!(hint("70025").unwrap().contains("no federated credential"));
        assert!(hint("700025").unwrap().contains("public client"));
        assert_eq!(hint("7002"), None);
        assert_eq!(hint(""), None);
        assert_eq!(for_refusal("no number"), None);
    }
}
