//! Lists: their query options read, their rows streamed.
//!
//! Nobody is sent half a list unless he asks for pages: known clients never follow a next link. So a list is written
//! while it is read from the database, and a short one goes out in one piece.

use super::{
    answer::{self, ResponseWriter, insert, json, project},
    extract::{AppState, RequestContext},
};
use crate::{
    actions::{
        access,
        listing::{self, Listing, Within},
        plan::Plan,
    },
    error::{Error, Result},
};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    access::{Permission, Resource},
    chain::Chain,
    country::CountryCode,
    ids::AppId,
};
use odata::{Limits, Options, Select, next_link_query};
use serde::Deserialize;
use std::future::Future;
use store::{
    FromRow,
    list::{EntitySet, ListRequest},
};
use utoipa::IntoParams;
use wire::{Entity, ListWriter, Projection};

/// Rows that are written before they are handed on.
const CHUNK_BYTES: usize = 64 * 1024;

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
    #[param(rename = "$top")]
    top: Option<u64>,
    /// How many rows to leave out at the beginning.
    #[param(rename = "$skip")]
    skip: Option<u64>,
    /// Which properties.
    #[param(rename = "$select")]
    select: Option<String>,
    /// Whether to tell how many rows there are.
    #[param(rename = "$count")]
    count: Option<bool>,
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

/// How a list is to look.
pub(crate) struct View {
    select: Select,
    /// What of the selection the context URL tells.
    selected: Option<String>,
    /// The page size that was granted.
    page_size: Option<u32>,
}

/// Reads the options of a list: which rows in which order, and how they are to look.
pub(crate) fn read<T>(writer: &ResponseWriter<'_>, entity_set: &EntitySet<T>) -> Result<(ListRequest, View)> {
    writer.check_version()?;
    let prefer = writer
        .headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let info = writer.info;
    let query = store::list::ListQuery::read(
        entity_set,
        &info.routed,
        &info.query,
        prefer,
        writer.dollar_optional(),
    )?;
    let view = View {
        selected: query.select.context(&entity_set.schema),
        select: query.select,
        page_size: query.request.page_size,
    };
    Ok((query.request, view))
}

/// Reads the options of a count.
pub(crate) fn read_count<T>(writer: &ResponseWriter<'_>, entity_set: &EntitySet<T>) -> Result<ListRequest> {
    Ok(ListRequest::read_count(
        entity_set,
        &writer.info.query,
        writer.dollar_optional(),
    )?)
}

/// What of the query is no option of OData's, such as `targetAppVersion`.
pub(crate) fn custom_options(query: &str) -> Vec<(String, String)> {
    let options = Options::parse(query, odata::Resource::Collection, true, &Limits::default());
    options.map(|options| options.custom).unwrap_or_default()
}

impl RequestContext {
    /// The query options, understood; what is wrong with them is only said to somebody who may ask for the list.
    pub(crate) async fn reveal_query_errors<T>(
        &self,
        state: &AppState,
        app: AppId,
        permission: Permission,
        read: Result<T>,
    ) -> Result<T> {
        match read {
            Err(Error::Rule(problem)) => {
                Err(
                    access::reveal_to_permitted(&state.service, &self.principal, app, permission, problem)
                        .await,
                )
            }
            other => other,
        }
    }
}

/// Which rows a path names: those of an app, or of one of its countries.
struct Place {
    app: AppId,
    country: Option<CountryCode>,
    resource: Resource,
}

impl Place {
    async fn read(
        state: &AppState,
        context: &RequestContext,
        path: ListPath,
        resource: Resource,
    ) -> Result<Self> {
        let app = context.app(&path.app)?;
        let permission = Permission::read(resource);
        let country = match path.country {
            Some(country) => Some(context.country(state, app, &country, permission).await?),
            None => None,
        };
        Ok(Self {
            app,
            country,
            resource,
        })
    }

    fn within<'a>(&self, context: &'a RequestContext) -> Within<'a> {
        let Self {
            app,
            country,
            resource,
        } = *self;
        Within {
            principal: &context.principal,
            app,
            country,
            resource,
        }
    }

    /// What the context URL says of it.
    fn fragment(&self) -> String {
        let Self { app, resource, .. } = self;
        match self.country {
            Some(country) => format!("apps({app})/countries('{country}')/{}", resource.as_str()),
            None => format!("apps({app})/{}", resource.as_str()),
        }
    }
}

/// The keys in the path of a list.
#[derive(Deserialize)]
pub(crate) struct ListPath {
    #[serde(rename = "appId")]
    app: String,
    #[serde(rename = "countryCode")]
    country: Option<String>,
}

/// Lists the rows of one kind that a path names.
pub(crate) async fn list<T, E>(
    state: &AppState,
    context: &RequestContext,
    path: ListPath,
    (resource, entity_set): (Resource, &'static EntitySet<T>),
    shown: impl Fn(T) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    E: Entity + Send + 'static,
{
    let place = Place::read(state, context, path, resource).await?;
    let writer = ResponseWriter::new(state, context);
    let permission = Permission::read(resource);
    let (request, view) = context
        .reveal_query_errors(state, place.app, permission, read(&writer, entity_set))
        .await?;
    let rows = listing::list_within(&state.service, place.within(context), entity_set, request).await?;
    answer(&writer, view, rows, &place.fragment(), shown).await
}

/// Counts the rows of one kind that a path names.
pub(crate) async fn count<T: FromRow>(
    state: &AppState,
    context: &RequestContext,
    path: ListPath,
    (resource, entity_set): (Resource, &'static EntitySet<T>),
) -> Result<Response> {
    let place = Place::read(state, context, path, resource).await?;
    let writer = ResponseWriter::new(state, context);
    let permission = Permission::read(resource);
    let request = context
        .reveal_query_errors(state, place.app, permission, read_count(&writer, entity_set))
        .await?;
    let count = listing::count_within(&state.service, place.within(context), entity_set, request).await?;
    Ok(count_answer(count))
}

/// Lists every row of a table, for operators.
pub(crate) async fn list_everything<T, E>(
    state: &AppState,
    context: &RequestContext,
    (entity_set, fragment): (&'static EntitySet<T>, &str),
    shown: impl Fn(T) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    E: Entity + Send + 'static,
{
    let writer = ResponseWriter::new(state, context);
    let (request, view) = read(&writer, entity_set)?;
    let rows = listing::list_everything(&state.service, entity_set, request).await?;
    answer(&writer, view, rows, fragment, shown).await
}

/// A number of rows.
pub(crate) fn count_answer(count: u64) -> Response {
    let mut response = count.to_string().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
        .headers_mut()
        .insert("odata-version", HeaderValue::from_static("4.0"));
    response
}

/// Where the rows of an answer come from.
pub(crate) trait Source: Send + 'static {
    type Row: Send;

    fn count(&self) -> Option<u64>;
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Self::Row>>>> + Send;
    fn next_token(&self) -> Option<String>;
}

impl<T: FromRow> Source for Listing<T> {
    type Row = T;

    fn count(&self) -> Option<u64> {
        Listing::count(self)
    }

    async fn next(&mut self) -> Result<Option<Vec<T>>> {
        Listing::next(self).await
    }

    fn next_token(&self) -> Option<String> {
        Listing::next_token(self)
    }
}

impl Source for Plan {
    type Row = wire::hotfixes::PlanRow;

    fn count(&self) -> Option<u64> {
        Plan::count(self)
    }

    async fn next(&mut self) -> Result<Option<Vec<Self::Row>>> {
        Plan::next(self).await
    }

    fn next_token(&self) -> Option<String> {
        Plan::next_token(self)
    }
}

/// The rows of `source`, each as `shown` shows it.
pub(crate) async fn answer<S, E>(
    writer: &ResponseWriter<'_>,
    view: View,
    source: S,
    fragment: &str,
    shown: impl Fn(S::Row) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    S: Source,
    E: Entity + Send + 'static,
{
    let projection = project(writer.info.format, &view.select);
    send(writer, view, source, fragment, projection, shown).await
}

/// A plan's rows. They are made from environments but are none, so `$select` does not apply to them.
pub(crate) async fn plan_answer(
    writer: &ResponseWriter<'_>,
    view: View,
    plan: Plan,
    fragment: &str,
) -> Result<Response> {
    if view.select != Select::All {
        let message = "A plan is always shown whole: $select does not apply to it.";
        let code = domain::problem::Code::InvalidQueryOption;
        return Err(domain::problem::RuleError::new(code, message)
            .about("$select")
            .into());
    }
    send(
        writer,
        view,
        plan,
        fragment,
        Projection::all(writer.info.format),
        Ok,
    )
    .await
}

async fn send<S, E>(
    writer: &ResponseWriter<'_>,
    view: View,
    source: S,
    fragment: &str,
    projection: Projection<E>,
    shown: impl Fn(S::Row) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    S: Source,
    E: Entity + Send + 'static,
{
    let selected = view.selected.map_or(String::new(), |names| format!("({names})"));
    let list_writer = ListWriter::new(projection);
    let mut first = Vec::with_capacity(CHUNK_BYTES);
    list_writer.open(
        &writer.context_url(&format!("{fragment}{selected}")),
        source.count(),
        &mut first,
    );
    let mut writing = Writing {
        source,
        list_writer: Some(list_writer),
        shown,
        address: writer.address(),
        query: writer.info.query.clone(),
    };
    // The first piece is made before the status is sent, so that what fails at once fails with a clear answer.
    writing.fill(&mut first).await?;
    let format = writer.info.format;
    let body = if writing.list_writer.is_none() {
        Body::from(first)
    } else {
        writing.stream(first)
    };
    let mut response = json(format, StatusCode::OK, body);
    if let Some(size) = view.page_size {
        let applied = HeaderName::from_static("preference-applied");
        insert(
            response.headers_mut(),
            applied,
            &format!("odata.maxpagesize={size}"),
        );
    }
    Ok(response)
}

/// A list that is being written.
struct Writing<S, E, F> {
    source: S,
    /// Gone once the end is written.
    list_writer: Option<ListWriter<E>>,
    shown: F,
    address: String,
    query: String,
}

impl<S, E, F> Writing<S, E, F>
where
    S: Source,
    E: Entity + Send + 'static,
    F: Fn(S::Row) -> Result<E> + Send + 'static,
{
    /// Writes until there is a piece worth sending, or to the end.
    async fn fill(&mut self, chunk: &mut Vec<u8>) -> Result<()> {
        while chunk.len() < CHUNK_BYTES {
            let Some(list_writer) = &mut self.list_writer else {
                return Ok(());
            };
            match self.source.next().await? {
                Some(rows) => {
                    for row in rows {
                        list_writer.row(&(self.shown)(row)?, chunk);
                    }
                }
                None => self.close(chunk),
            }
        }
        Ok(())
    }

    fn close(&mut self, chunk: &mut Vec<u8>) {
        let token = self.source.next_token();
        let link = token.map(|token| format!("{}?{}", self.address, next_link_query(&self.query, &token)));
        if let Some(list_writer) = self.list_writer.take() {
            list_writer.close(link.as_deref(), chunk);
        }
    }

    /// The first piece, and the rest as it is written.
    fn stream(self, first: Vec<u8>) -> Body {
        let rest = futures::stream::try_unfold(self, |mut writing| async move {
            if writing.list_writer.is_none() {
                return Ok(None);
            }
            let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
            let filled = writing.fill(&mut chunk).await;
            if let Err(error) = &filled {
                tracing::error!("a list broke off: {}", Chain(error));
            }
            filled.map(|()| Some((Bytes::from(chunk), writing)))
        });
        let first = futures::stream::once(async move { Ok(Bytes::from(first)) });
        answer::streamed(futures::StreamExt::chain(first, rest))
    }
}
