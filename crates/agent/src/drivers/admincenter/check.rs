//! What can be said of an environment without changing anything.

use super::{AdminCenter, Mode, Way};
use crate::{
    driver::{AppScope, Driver, Finding, Weight},
    failure::Failure,
};

impl AdminCenter {
    pub(super) async fn find_out(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.look_around(&mut findings).await {
            Ok(()) => {}
            Err(failure) => findings.push(Finding {
                weight: Weight::Problem,
                text: failure.to_string(),
            }),
        }
        findings
    }

    async fn look_around(&self, findings: &mut Vec<Finding>) -> Result<(), Failure> {
        let mut tell = |weight, text: String| findings.push(Finding { weight, text });
        self.http.sign_in().await?;
        tell(Weight::Good, "Signed in".to_owned());
        let name = &self.environment.name;
        let Some(row) = self.environment().await? else {
            tell(
                Weight::Problem,
                format!("There is no environment {name}, or its name has changed"),
            );
            return Ok(());
        };
        if !row.is_active() {
            tell(
                Weight::Warning,
                format!("The environment is {}: nothing starts there now", row.status()),
            );
            return Ok(());
        }
        let found = self.inventory().await?;
        let count = |way| {
            let apps = found.apps.iter();
            apps.filter(|app| self.way(app.scope) == Ok(way)).count()
        };
        let (updates, installs) = (count(Way::Update), count(Way::PteInstall));
        tell(
            Weight::Good,
            format!(
                "{} apps are installed: {updates} are updated from Microsoft's catalogue, {installs} are replaced as \
                 per-tenant extensions",
                found.apps.len()
            ),
        );
        let dev = found
            .apps
            .iter()
            .filter(|app| app.scope == Some(AppScope::Dev))
            .count();
        if dev > 0 {
            tell(
                Weight::Warning,
                format!(
                    "{dev} apps were published from developers' machines; the Admin Center replaces none of them"
                ),
            );
        }
        let may_install = installs > 0 || self.settings.mode == Mode::PteInstall;
        if let (true, Err(refused)) = (may_install, self.refuse_without_eula()) {
            tell(Weight::Problem, refused.text);
        }
        tell(
            Weight::Warning,
            "AdminCenter.ReadWrite.All may also create and delete environments of this tenant: register an application \
             for each customer, and keep its secret where only the agent reads it"
                .to_owned(),
        );
        Ok(())
    }
}
