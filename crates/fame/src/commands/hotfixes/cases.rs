//! Hotfixes and environments as the cases of a report.

use crate::{
    output::cell,
    reports::{Case, CaseResult, Report, Suite},
};
use serde_json::Value;
use std::collections::HashMap;

/// What became of one hotfix, or of the wish for one.
pub(super) struct CaseOf {
    /// The environment.
    pub name: String,
    /// Its customer's tenant; not known of a hotfix that nobody has seen.
    pub tenant: Option<String>,
    pub seconds: Option<f64>,
    pub result: CaseResult,
}

impl CaseOf {
    /// What a plan says of an environment: those for which no hotfix can be scheduled are left out of it.
    pub(super) fn planned(row: &Value) -> Self {
        let reasons = row["reasons"].as_array().into_iter().flatten();
        let reasons: Vec<String> = reasons
            .map(|reason| format!("{}: {}", cell(&reason["code"]), cell(&reason["message"])))
            .collect();
        Self {
            name: cell(&row["name"]),
            tenant: row["aadTenantId"].as_str().map(str::to_owned),
            seconds: None,
            result: match row["eligible"] == true {
                true => CaseResult::Passed,
                false => CaseResult::Skipped {
                    message: reasons.join("; "),
                },
            },
        }
    }

    /// A hotfix that has been scheduled, or was before.
    pub(super) fn scheduled(row: &Value) -> Self {
        Self {
            name: cell(&row["environmentName"]),
            tenant: row["environmentAadTenantId"].as_str().map(str::to_owned),
            seconds: None,
            result: CaseResult::Passed,
        }
    }
}

/// The report of what became of an app's hotfixes. Every customer has an environment that is called Production, so tenants are
/// named where names are not enough.
pub(super) fn of_app(app: &str, cases: impl Iterator<Item = CaseOf>) -> Report {
    let cases: Vec<CaseOf> = cases.collect();
    let mut of_name: HashMap<String, u32> = HashMap::new();
    for case in &cases {
        *of_name.entry(case.name.clone()).or_default() += 1;
    }
    let case = |case: CaseOf| Case {
        name: match case.tenant.filter(|_| of_name.get(&case.name) > Some(&1)) {
            Some(tenant) => format!("{} ({tenant}) hotfix", case.name),
            None => format!("{} hotfix", case.name),
        },
        classname: app.to_owned(),
        seconds: case.seconds,
        result: case.result,
    };
    let cases = cases.into_iter().map(case).collect();
    let name = app.to_owned();
    Report {
        suites: vec![Suite { name, cases }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tenants_are_named_where_names_are_not_enough() {
        let row =
            |name: &str, tenant: &str| json!({"environmentName": name, "environmentAadTenantId": tenant});
        let rows = [row("Production", "a"), row("Production", "b"), row("Test", "a")];
        let report = of_app("Contoso Sales", rows.iter().map(CaseOf::scheduled));
        let names: Vec<&str> = report.suites[0]
            .cases
            .iter()
            .map(|case| case.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["Production (a) hotfix", "Production (b) hotfix", "Test hotfix"]
        );
    }

    #[test]
    fn a_plan_leaves_out_what_it_explains() {
        let no = json!({"name": "South", "eligible": false,
                        "reasons": [{"code": "NotNewer", "message": "It has a newer one."}]});
        let message = "NotNewer: It has a newer one.".to_owned();
        assert_eq!(CaseOf::planned(&no).result, CaseResult::Skipped { message });
        let yes = json!({"name": "North", "eligible": true, "reasons": []});
        assert_eq!(CaseOf::planned(&yes).result, CaseResult::Passed);
    }
}
