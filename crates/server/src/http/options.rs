//! Query options and the headers that go with them, read in one place.

use super::{extract::RequestContext, openapi::HowMany};
use crate::error::Result;
use domain::problem::{Code, RuleError};
use odata::{Limits, Options, Property, Resource, Scalar, Schema, Select, max_page_size};
use store::list::{EntitySet, GroupRequest, ListRequest};
use utoipa::IntoParams;
use wire::{Entity, Projection, ResponseFormat};

/// The largest page that is sent to those who ask for pages: Business Central's own limit.
const MAX_PAGE_SIZE: u32 = 20_000;

/// The query options of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described; the options are read from the raw query")]
pub(crate) struct ListQuery {
    /// Which rows: an OData expression.
    #[param(rename = "$filter")]
    filter: Option<String>,
    /// In which order.
    #[param(rename = "$orderby")]
    order_by: Option<String>,
    /// How many rows at most.
    #[param(rename = "$top", inline)]
    top: Option<HowMany>,
    /// How many rows to leave out at the beginning.
    #[param(rename = "$skip", inline)]
    skip: Option<HowMany>,
    /// Which properties.
    #[param(rename = "$select")]
    select: Option<String>,
    /// Whether to tell how many rows there are.
    #[param(rename = "$count")]
    count: Option<bool>,
    /// Groups of rows instead of rows: `groupby((a,b),aggregate($count as n))`, with `filter(…)/` before it if need be. The
    /// other options are about the groups.
    #[param(rename = "$apply")]
    apply: Option<String>,
    /// `json`, with a degree of metadata.
    #[param(rename = "$format")]
    format: Option<String>,
}

/// The query options of a count.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described; the options are read from the raw query")]
pub(crate) struct CountQuery {
    /// Which rows: an OData expression.
    #[param(rename = "$filter")]
    filter: Option<String>,
}

/// What somebody wants of a list.
pub(crate) enum Wanted {
    /// Rows, and which of their properties.
    Rows(Box<ListRequest>, Select),
    /// Groups of rows.
    Groups(Box<GroupRequest>),
}

/// How entities are to look.
pub(crate) struct View<E> {
    pub(crate) projection: Projection<E>,
    /// What the context URL tells of the selection: nothing, or names in parentheses.
    pub(crate) selected: String,
}

impl<E: Entity> View<E> {
    /// With all properties.
    pub(crate) fn whole(format: ResponseFormat) -> Self {
        Self {
            projection: Projection::all(format),
            selected: String::new(),
        }
    }
}

/// Whether one of these properties is shown of so much of an entity.
pub(super) fn shows<E: Entity>(select: &Select, properties: &[&str]) -> bool {
    let mut places = properties.iter().filter_map(|name| E::position(name));
    places.any(|place| match select {
        Select::Only(selected) => selected.contains(&place),
        Select::All => place < E::SHOWN,
    })
}

fn schema_of<E: Entity>() -> Schema {
    let properties = E::PROPERTIES
        .iter()
        .map(|name| Property::new(name, Scalar::String))
        .collect();
    Schema::new("the entity", properties, E::KEYS)
}

impl RequestContext {
    /// The options of the request, as they are possible for a resource of this kind.
    pub(crate) fn options(&self, resource: Resource) -> Result<Options> {
        let dollar_optional =
            resource == Resource::Metadata || self.service().settings.odata.no_dollar_options;
        Ok(Options::parse(
            &self.info.query,
            resource,
            dollar_optional,
            &Limits::default(),
        )?)
    }

    /// What of the query is no option of OData's, such as `targetAppVersion`.
    pub(crate) fn custom_options(&self, resource: Resource) -> Result<Vec<(String, String)>> {
        Ok(self.options(resource)?.custom)
    }

    /// What of a list, which can be grouped.
    pub(crate) fn wanted<T>(&self, entity_set: &EntitySet<T>) -> Result<Wanted> {
        match GroupRequest::bind(entity_set, &self.options(Resource::Collection)?)? {
            Some(request) => {
                self.check_count(request.is_counted())?;
                Ok(Wanted::Groups(Box::new(request)))
            }
            None => {
                let (request, select) = self.list_request(entity_set)?;
                Ok(Wanted::Rows(Box::new(request), select))
            }
        }
    }

    /// Makes sure that the answer has a place for how many there are, if that is asked for.
    fn check_count(&self, is_asked: bool) -> Result<()> {
        match is_asked && self.info.wants_csv {
            true => {
                let message = "CSV has no place for $count.";
                Err(RuleError::new(Code::InvalidQueryOption, message)
                    .about("$count")
                    .into())
            }
            false => Ok(()),
        }
    }

    /// Which rows of a list in which order, and which of their properties.
    pub(crate) fn list_request<T>(&self, entity_set: &EntitySet<T>) -> Result<(ListRequest, Select)> {
        let options = self.options(Resource::Collection)?;
        self.check_count(options.count)?;
        let select = entity_set.select(&options)?;
        let prefer = self.headers.get_all("prefer").iter();
        let page_size = max_page_size(prefer.filter_map(|value| value.to_str().ok()), MAX_PAGE_SIZE);
        // CSV has no place for a link to another page.
        let page_size = page_size.filter(|_| !self.info.wants_csv);
        let fingerprint = options.fingerprint(&self.info.routed);
        let request = ListRequest::bind(entity_set, &options, page_size, fingerprint)?;
        Ok((request, select))
    }

    /// Which rows to count.
    pub(crate) fn count_request<T>(&self, entity_set: &EntitySet<T>) -> Result<ListRequest> {
        Ok(ListRequest::bind_count(
            entity_set,
            &self.options(Resource::Count)?,
        )?)
    }

    /// How a single entity is to look.
    pub(crate) fn view_of_entity<E: Entity>(&self) -> Result<View<E>> {
        let schema = schema_of::<E>();
        Ok(self.view(&self.select_of_entity(&schema)?, &schema))
    }

    fn select_of_entity(&self, schema: &Schema) -> Result<Select> {
        match self.options(Resource::Entity)?.select {
            Some(text) => Ok(Select::parse(&text, schema)?),
            None => Ok(Select::All),
        }
    }

    /// Whether one of these properties of a single entity is to be shown.
    pub(crate) fn selects<E: Entity>(&self, properties: &[&str]) -> Result<bool> {
        let select = self.select_of_entity(&schema_of::<E>())?;
        Ok(shows::<E>(&select, properties))
    }

    /// How entities of a schema look of which so much is selected.
    pub(crate) fn view<E: Entity>(&self, select: &Select, schema: &Schema) -> View<E> {
        let Select::Only(properties) = select else {
            return View::whole(self.info.format);
        };
        let selected = select.context(schema);
        View {
            projection: Projection::select(self.info.format, properties),
            selected: selected.map_or(String::new(), |names| format!("({names})")),
        }
    }
}
