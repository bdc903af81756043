//! A vendor's own words on the environments that have its app.

use crate::{
    entity::{Entity, entity},
    environments::Environment,
    hotfixes::required_text,
    lenient::{self, Object},
};
use domain::{
    environment::EnvironmentKey,
    ids::TenantId,
    problem::RuleError,
    tags::{MOST_TAGS, Tags},
};
use serde::Serialize;
use utoipa::ToSchema;

entity! {
    /// The words that a vendor has put on an environment.
    EnvironmentTags "environmentTags" keyed by ["aadTenantId", "applicationFamily", "name"] {
        /// The customer's Microsoft Entra tenant.
        #[schema(value_type = uuid::Uuid)]
        aad_tenant_id "aadTenantId": TenantId,
        /// The environment's application family.
        application_family "applicationFamily": String,
        /// The environment's name.
        name "name": String,
        /// The words, each once and in order.
        #[schema(example = json!(["ring0"]))]
        tags "tags": Vec<String>,
    }
}

entity! {
    /// What became of putting words on many environments.
    TagsChange "tagsChange" keyed by [] {
        /// How many environments the filter holds for.
        matched "matched": u32,
        /// How many of them have other words now.
        changed "changed": u32,
        /// How many of them stay as they were, because they would have more words than an environment may.
        full "full": u32,
    }
}

/// A request to give an environment these words and no others, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct EnvironmentTagsBody {
    /// The words: 20 at most, each of 50 characters at most, all of which are seen.
    #[schema(example = json!(["ring0"]))]
    pub tags: Vec<String>,
}

/// A request to put words on many environments, or to take some from them, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagsChangeBody {
    /// Which environments, of all countries: what could stand in `$filter` of their list. `true` means all.
    #[schema(example = "type eq 'Sandbox'")]
    pub filter: String,
    /// Words that they have from now on.
    #[schema(required = false, nullable)]
    pub add: Vec<String>,
    /// Words that they have no more.
    #[schema(required = false, nullable)]
    pub remove: Vec<String>,
}

/// A request to give an environment these words and no others, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsRequest {
    /// The words.
    pub tags: Tags,
}

impl TagsRequest {
    /// Reads a request body about the environment of this key.
    ///
    /// # Errors
    /// `RequestBodyRequired`; `InvalidInput` where there are no tags, too many, what is none, or another environment.
    pub fn read(body: &[u8], key: &EnvironmentKey) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(EnvironmentTags::PROPERTIES)?;
        object.is_about("the environment of tenant", "aadTenantId", &key.tenant_id)?;
        let family = object.text("applicationFamily")?;
        let name = object.text("name")?;
        let repeated = EnvironmentKey::new(
            key.tenant_id,
            family.as_deref().unwrap_or(&key.family_key),
            name.as_deref().unwrap_or(&key.name_key),
        );
        if repeated != *key {
            return Err(object.invalid("name", "it is another environment than that in the address"));
        }
        Ok(Self {
            tags: tags(&object, "tags")?.ok_or_else(|| object.required("tags"))?,
        })
    }
}

/// A request to put words on many environments, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsChangeRequest {
    /// Which environments, in the words of `$filter`.
    pub filter: String,
    /// What they have from now on.
    pub added: Tags,
    /// What they have no more.
    pub removed: Tags,
}

impl TagsChangeRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`; `InvalidInput` without a filter, where nothing is added or removed, and for what is no tag or is
    /// added and removed at once.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        object.only(&["filter", "add", "remove"])?;
        let request = Self {
            filter: required_text(&object, "filter")?,
            added: tags(&object, "add")?.unwrap_or_default(),
            removed: tags(&object, "remove")?.unwrap_or_default(),
        };
        if request.added.is_empty() && request.removed.is_empty() {
            return Err(object.invalid("add", "nothing is added, and nothing removed"));
        }
        if let Some(both) = request
            .added
            .iter()
            .find(|tag| request.removed.iter().any(|other| other == *tag))
        {
            return Err(object.invalid("remove", &format!("'{both}' is added as well")));
        }
        Ok(request)
    }
}

/// Tags, as far as they are named.
fn tags(object: &Object, name: &str) -> Result<Option<Tags>, RuleError> {
    let Some(words) = object.understood_list(name, |word| Ok(word.to_owned()))? else {
        return Ok(None);
    };
    if words.len() > 10 * MOST_TAGS {
        return Err(object.invalid(name, &format!("an environment has {MOST_TAGS} at most")));
    }
    Tags::new(name, words).map(Some)
}

impl Environment {
    /// Its tags as they are shown by themselves.
    #[must_use]
    pub fn with_tags(self) -> EnvironmentTags {
        EnvironmentTags {
            aad_tenant_id: self.aad_tenant_id,
            application_family: self.application_family,
            name: self.name,
            tags: self.tags,
        }
    }
}
