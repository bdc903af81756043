//! Versions of an app, uploaded for a country.

use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
    value::Json,
};
use domain::{
    catalogue::Incompatibility,
    country::CountryCode,
    ids::{AppId, Etag, PackageId},
    instant::Instant,
    problem::RuleError,
    version::{self, AppVersion, Availability, SyncMode, VersionStatus},
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use utoipa::ToSchema;
use uuid::Uuid;

entity! {
    /// Another app that the version needs.
    Dependency "dependency" keyed by ["appId"] {
        /// The app needed.
        #[schema(value_type = uuid::Uuid)]
        app_id "appId": AppId,
        /// Its name.
        #[serde(default)]
        #[schema(required = true)]
        name "name": String,
        /// Its publisher.
        #[serde(default)]
        #[schema(required = true)]
        publisher "publisher": String,
        /// The least version of it that will do.
        #[schema(value_type = String, example = "1.0.0.0")]
        version "version": AppVersion,
        /// The first version of it that will no longer do.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        incompatible_from_version "incompatibleFromVersion": Option<AppVersion>,
    }
}

impl From<version::Dependency> for Dependency {
    fn from(dependency: version::Dependency) -> Self {
        Self {
            app_id: dependency.app_id,
            name: dependency.name,
            publisher: dependency.publisher,
            version: dependency.min_version,
            incompatible_from_version: dependency.incompatible_from,
        }
    }
}

entity! {
    /// An app that the version needs and its country has not.
    MissingDependency "missingDependency" keyed by ["appId"] {
        /// The app needed.
        #[schema(value_type = uuid::Uuid)]
        app_id "appId": AppId,
        /// Its name, as the package has it.
        name "name": String,
        /// The least version of it that will do.
        #[schema(value_type = String, example = "1.0.0.0")]
        version "version": AppVersion,
        /// The countries that have such a version.
        #[schema(value_type = Vec<String>)]
        countries "countries": Vec<CountryCode>,
    }
}

entity! {
    /// A package that was uploaded for a country.
    Version "version" keyed by ["version"] tagged by etag {
        /// The version number, four parts.
        #[schema(value_type = String, example = "16.0.1.2")]
        version "version": AppVersion,
        /// The app.
        #[schema(value_type = uuid::Uuid)]
        app_id "appId": AppId,
        /// The country that it was uploaded for.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// The id in the package's header.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        package_id "packageId": Option<PackageId>,
        /// The publisher, as the package says.
        #[serde(default)]
        #[schema(required = true)]
        publisher "publisher": String,
        /// The app's name, as the package says.
        #[serde(default)]
        #[schema(required = true)]
        name "name": String,
        /// When it was uploaded.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        uploaded_on "uploadedOn": Option<Instant>,
        /// To whom it is offered: Preview, Available or Deprecated.
        #[schema(value_type = crate::words::Availability)]
        availability "availability": Availability,
        /// Where its bytes are: Uploading, Uploaded or UploadFailed.
        #[schema(value_type = crate::words::VersionStatus)]
        status "status": VersionStatus,
        /// The apps that it needs.
        #[serde(default)]
        #[schema(required = true)]
        dependencies "dependencies": Vec<Dependency>,
        /// The first part of the version number.
        #[serde(default)]
        #[schema(required = true)]
        major_version "majorVersion": u32,
        /// The second part.
        #[serde(default)]
        #[schema(required = true)]
        minor_version "minorVersion": u32,
        /// The third part.
        #[serde(default)]
        #[schema(required = true)]
        build_version "buildVersion": u32,
        /// The fourth part.
        #[serde(default)]
        #[schema(required = true)]
        revision_version "revisionVersion": u32,
        /// How the database schema follows the app's on an update; `Sync` unless shown.
        #[serde(default = "usual_sync_mode")]
        #[schema(value_type = Option<crate::words::SyncMode>)]
        sync_mode "syncMode": SyncMode,
        /// A value unique to the version's current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
    when selected {
        /// What schema synchronisation with `Add` is forecast to make of it after the newest lower version of the same major
        /// and minor numbers, as `fame package diff --json` prints it; at most 200 findings, and in `findingsLeftOut` how many
        /// there are besides. Nothing where there is no such version, where it cannot be told now, and in lists.
        #[schema(value_type = Option<Object>)]
        warnings "warnings": Option<Json>,
        /// Those of the apps that it needs, and that the caller may see, of which its country has no version that will do.
        /// Nothing in lists.
        #[schema(value_type = Option<Vec<MissingDependency>>)]
        missing_dependencies "missingDependencies": Option<Vec<MissingDependency>>,
    }
}

entity! {
    /// A package that was uploaded, beside those of the app's other countries.
    UploadedVersion "uploadedVersion" keyed by ["version", "countryCode"] tagged by etag {
        /// The version number, four parts.
        #[schema(value_type = String, example = "16.0.1.2")]
        version "version": AppVersion,
        /// The country that it was uploaded for.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// The app.
        #[schema(value_type = uuid::Uuid)]
        app_id "appId": AppId,
        /// To whom it is offered: Preview, Available or Deprecated.
        #[schema(value_type = crate::words::Availability)]
        availability "availability": Availability,
        /// Where its bytes are: Uploading, Uploaded or UploadFailed.
        #[schema(value_type = crate::words::VersionStatus)]
        status "status": VersionStatus,
        /// How the database schema follows the app's on an update; `Sync` unless shown.
        #[serde(default = "usual_sync_mode")]
        #[schema(value_type = Option<crate::words::SyncMode>)]
        sync_mode "syncMode": SyncMode,
        /// The id in the package's header.
        #[schema(value_type = uuid::Uuid)]
        package_id "packageId": PackageId,
        /// The publisher, as the package says.
        publisher "publisher": String,
        /// The app's name, as the package says.
        name "name": String,
        /// When it was uploaded.
        #[schema(value_type = String, format = DateTime)]
        uploaded_on "uploadedOn": Instant,
        /// Who uploaded it.
        uploaded_by "uploadedBy": String,
        /// How many bytes the package has.
        size "size": u64,
        /// The SHA-256 of the package, 64 hexadecimal digits.
        sha256 "sha256": String,
        /// The SHA-256 of the public key by which it is signed; nothing where nobody has signed it.
        signer "signer": Option<String>,
        /// Whom the signer's certificate names.
        signer_subject "signerSubject": Option<String>,
        /// A value unique to the version's current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

fn usual_sync_mode() -> SyncMode {
    SyncMode::Sync
}

/// A request to upload a version, as a client sends it. The service reads it as a stream instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadVersion {
    /// To whom it is offered at first: Preview, Available or Deprecated; `Preview` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::Availability>)]
    pub initial_availability: Option<String>,
    /// The bytes of the `.app` file in base64.
    #[schema(format = Byte)]
    pub package_contents: String,
}

/// A request to change a version, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionPatchBody {
    /// Preview, Available or Deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::Availability>)]
    pub availability: Option<String>,
    /// `Sync` or `ForceSync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::SyncMode>)]
    pub sync_mode: Option<String>,
    /// What has become known of dependencies; those not named stay as they are.
    #[schema(nullable)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<DependencyPatch>,
}

/// What a change of a version would hit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionWhatIf {
    /// The country.
    pub country_code: String,
    /// The version.
    pub version: String,
    /// Environments in the country that have the version.
    pub environments: u64,
    /// Of these, those for production.
    pub production: u64,
    /// Hotfixes that wait and lead to it: they would be skipped where it is not offered any more.
    pub scheduled_hotfixes: u64,
    /// Versions of apps in the country that need this app, and that no version of it would fit any more that is offered.
    pub dependants: u64,
    /// What would become of each dependency that the change is about.
    pub dependencies: Vec<DependencyWhatIf>,
    /// Some of the environments.
    pub sample: Vec<EnvironmentWhatIf>,
}

/// What would become of a dependency of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencyWhatIf {
    /// The app that the version depends on.
    pub app_id: Uuid,
    /// The first version of it that would not do any more; none where what was said of it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incompatible_from_version: Option<String>,
    /// Environments with the version that have such a version of the app already.
    pub broken: u64,
    /// Environments with the version that have an earlier one, and could not get such a version.
    pub held_back: u64,
    /// Environments with the version of which nobody said which version of the app they have.
    pub unknown: u64,
}

/// An environment that a change would hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentWhatIf {
    /// The customer's Microsoft Entra tenant.
    pub aad_tenant_id: Uuid,
    /// Its application family.
    pub application_family: String,
    /// Its name.
    pub name: String,
    /// Production or Sandbox.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What has become known of a dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencyPatch {
    /// The app that the version depends on.
    pub app_id: Uuid,
    /// The first version of it that will no longer do; `null` takes an earlier word back.
    pub incompatible_from_version: Option<String>,
}

/// A request to change a version, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionPatch {
    /// To whom it is offered from now on.
    pub availability: Option<Availability>,
    /// How the database schema follows the app's from now on.
    pub sync_mode: Option<SyncMode>,
    /// What has become known of dependencies, one per app.
    pub dependencies: Vec<Incompatibility>,
    given: Object,
    given_dependencies: Vec<(AppId, Object)>,
}

const WRITABLE: &[&str] = &["availability", "syncMode", "dependencies"];
const INCOMPATIBLE_FROM: &str = "incompatibleFromVersion";

impl VersionPatch {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`, `InvalidInput`, or `EntityValidationFailed` with `NothingWritable` when there
    /// is nothing in it that can be changed: to answer 200 would hide a mistake.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let given = lenient::object(body)?;
        let mut dependencies = Vec::new();
        let mut given_dependencies = Vec::new();
        for row in given.objects("dependencies")?.unwrap_or_default() {
            row.only(Dependency::PROPERTIES)?;
            let app_id: AppId = row.parsed("appId")?.ok_or_else(|| row.required("appId"))?;
            if row.mentions(INCOMPATIBLE_FROM) {
                dependencies.push(Incompatibility {
                    app_id,
                    from: row.parsed(INCOMPATIBLE_FROM)?,
                });
            }
            given_dependencies.push((app_id, row));
        }
        check_once_each(&given_dependencies)?;
        let sync_mode = given.understood("syncMode", |text| {
            SyncMode::parse(text).map_err(|error| error.to_string())
        })?;
        let patch = Self {
            availability: given.parsed("availability")?,
            sync_mode,
            dependencies,
            given,
            given_dependencies,
        };
        if patch.writes_nothing() && patch.given.mentions(INCOMPATIBLE_FROM) {
            return Err(nothing_writable(
                "Put incompatibleFromVersion into the list of dependencies: \
                 {\"dependencies\":[{\"appId\":\"…\",\"incompatibleFromVersion\":\"…\"}]}.",
            ));
        }
        patch.given.only(Version::PROPERTIES)?;
        if patch.writes_nothing() {
            return Err(nothing_writable(
                "What can be changed is availability, syncMode and dependencies[].incompatibleFromVersion.",
            ));
        }
        Ok(patch)
    }

    /// Whether everything else that the body says is what the version is anyway.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property, or with `UnknownDependency` for a row that is none
    /// of the version's.
    pub fn check_read_only(&self, current: &Version) -> Result<(), RuleError> {
        self.given.check_read_only(current, WRITABLE)?;
        for (app_id, row) in &self.given_dependencies {
            match current.dependencies.iter().find(|row| row.app_id == *app_id) {
                Some(dependency) => row.check_read_only(dependency, &[INCOMPATIBLE_FROM])?,
                // A declaration may also be about an app that the version needs without naming it.
                None if row.mentions(INCOMPATIBLE_FROM) => {}
                None => return Err(unknown_dependency(*app_id, row)),
            }
        }
        Ok(())
    }

    fn writes_nothing(&self) -> bool {
        self.availability.is_none() && self.sync_mode.is_none() && self.dependencies.is_empty()
    }
}

fn unknown_dependency(app: AppId, row: &Object) -> RuleError {
    let message = format!("The version shows no dependency on app {app}, and nothing is declared about it.");
    RuleError::broken("UnknownDependency", message).about(row.place("appId"))
}

fn nothing_writable(hint: &str) -> RuleError {
    RuleError::broken(
        "NothingWritable",
        format!("The body holds nothing that can be changed. {hint}"),
    )
}

fn check_once_each(rows: &[(AppId, Object)]) -> Result<(), RuleError> {
    let mut seen = HashSet::new();
    for (app_id, row) in rows {
        if !seen.insert(app_id) {
            return Err(row.invalid("appId", &format!("app {app_id} is listed twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(body: &str) -> String {
        VersionPatch::read(body.as_bytes()).unwrap_err().details[0]
            .code
            .clone()
    }

    #[test]
    fn the_flat_spelling_is_answered_with_the_right_one() {
        let flat = r#"{"appId":"63ca2fa4-4f03-4f2b-a480-172fef340d3f","incompatibleFromVersion":"16.0.0.0"}"#;
        let refused = VersionPatch::read(flat.as_bytes()).unwrap_err();
        assert_eq!(refused.details[0].code, "NothingWritable");
        assert!(
            refused.message.contains(r#"{"dependencies":[{"appId""#),
            "{refused}"
        );
        assert_eq!(reason("{}"), "NothingWritable");
        assert_eq!(reason(r#"{"name":"ExampleApp"}"#), "NothingWritable");
    }

    #[test]
    fn null_takes_an_earlier_word_back() {
        let row = r#"{"appId":"63ca2fa4-4f03-4f2b-a480-172fef340d3f","incompatibleFromVersion":null}"#;
        let body = format!(r#"{{"dependencies":[{row}]}}"#);
        let patch = VersionPatch::read(body.as_bytes()).unwrap();
        assert_eq!(patch.dependencies[0].from, None);
    }

    #[test]
    fn one_app_is_spoken_of_once() {
        let row = r#"{"appId":"63ca2fa4-4f03-4f2b-a480-172fef340d3f","incompatibleFromVersion":"16.0"}"#;
        let body = format!(r#"{{"dependencies":[{row},{row}]}}"#);
        let refused = VersionPatch::read(body.as_bytes()).unwrap_err();
        assert_eq!(refused.target.as_deref(), Some("dependencies[1].appId"));
    }

    #[test]
    fn add_is_an_older_name_of_sync() {
        let patch = VersionPatch::read(br#"{"syncMode":"add"}"#).unwrap();
        assert_eq!(patch.sync_mode, Some(SyncMode::Sync));
    }
}
