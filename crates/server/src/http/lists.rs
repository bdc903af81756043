//! Lists: their rows, streamed.
//!
//! Nobody is sent half a list unless they ask for pages: known clients never follow a next link. So a list is written
//! while it is read from the database, and a short one goes out in one piece.

use super::{
    answer::{insert, json, streamed},
    extract::RequestContext,
    options::{View, shows},
};
use crate::{
    actions::listing::{self, ListScope},
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
    problem::{Code, RuleError},
};
use odata::{Select, next_link_query};
use serde::Deserialize;
use store::{
    FromRow,
    list::{EntitySet, ListRequest, Page},
};
use wire::{Entity, ListWriter, hotfixes::PlanRow};

/// Rows that are written before they are handed on.
const CHUNK_BYTES: usize = 64 * 1024;

/// The keys in the path of a list.
#[derive(Deserialize)]
pub(crate) struct ListPath {
    #[serde(rename = "appId")]
    app: Option<String>,
    #[serde(rename = "countryCode")]
    country: Option<String>,
}

/// The list that a path names: of the caller's apps, or of what belongs to an app or to one of its countries.
struct RequestedList {
    app: Option<AppId>,
    country: Option<CountryCode>,
    permission: Permission,
}

impl RequestedList {
    async fn read(context: &RequestContext, path: ListPath, resource: Resource) -> Result<Self> {
        let permission = Permission::read(resource);
        let mut list = Self {
            app: path.app.map(|app| context.app(&app)).transpose()?,
            country: None,
            permission,
        };
        if let (Some(app), Some(country)) = (list.app, path.country) {
            list.country = Some(context.country(app, &country, permission).await?);
        }
        Ok(list)
    }

    fn scope<'a>(&self, context: &'a RequestContext) -> ListScope<'a> {
        let principal = &context.principal;
        match self.app {
            None => ListScope::AppsOf(principal),
            Some(app) => ListScope::OfApp {
                principal,
                app,
                country: self.country,
                permission: self.permission,
            },
        }
    }

    /// What was understood; what is wrong with it is only said to somebody who may see the list.
    async fn reveal<T>(&self, context: &RequestContext, read: Result<T>) -> Result<T> {
        match self.app {
            Some(app) => context.reveal_to_permitted(app, self.permission, read).await,
            None => read,
        }
    }

    fn fragment(&self) -> String {
        let resource = self.permission.resource;
        self.app.map_or_else(
            || resource.as_str().to_owned(),
            |app| fragment(resource, app, self.country),
        )
    }
}

/// What the context URL says of what belongs to an app, or to one of its countries.
pub(crate) fn fragment(resource: Resource, app: AppId, country: impl Into<Option<CountryCode>>) -> String {
    match country.into() {
        Some(country) => format!("apps({app})/countries('{country}')/{}", resource.as_str()),
        None => format!("apps({app})/{}", resource.as_str()),
    }
}

/// Lists the rows of one kind that a path names, each as `shown` shows it.
pub(crate) async fn list<T, E>(
    context: &RequestContext,
    path: ListPath,
    (resource, entity_set): (Resource, &'static EntitySet<T>),
    shown: impl Fn(T) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    E: Entity + Send + 'static,
{
    let list = RequestedList::read(context, path, resource).await?;
    let wanted = list.reveal(context, context.list_request(entity_set)).await?;
    let (scope, fragment) = (list.scope(context), list.fragment());
    list_wanted(context, scope, (entity_set, &fragment), wanted, shown).await
}

/// Counts the rows of one kind that a path names.
pub(crate) async fn count<T: FromRow>(
    context: &RequestContext,
    path: ListPath,
    (resource, entity_set): (Resource, &'static EntitySet<T>),
) -> Result<Response> {
    let list = RequestedList::read(context, path, resource).await?;
    let request = list.reveal(context, context.count_request(entity_set)).await?;
    context.preconditions.check_untagged()?;
    let count = listing::count(context.service(), list.scope(context), entity_set, request).await?;
    let mut response = count.to_string().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert("odata-version", HeaderValue::from_static("4.0"));
    Ok(response)
}

/// Lists the rows of a scope, for those who may see all of it anyway.
pub(crate) async fn list_scope<T, E>(
    context: &RequestContext,
    scope: ListScope<'_>,
    (entity_set, fragment): (&'static EntitySet<T>, &str),
    shown: impl Fn(T) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    E: Entity + Send + 'static,
{
    let wanted = context.list_request(entity_set)?;
    list_wanted(context, scope, (entity_set, fragment), wanted, shown).await
}

/// Lists the rows of one kind that a path names, each with what `complete` adds to those of a batch, which it is told
/// whether it is shown.
pub(crate) async fn list_with<T, U, E, Completing>(
    context: &RequestContext,
    path: ListPath,
    (resource, entity_set): (Resource, &'static EntitySet<T>),
    added: (&[&str], impl Fn(Vec<T>, bool) -> Completing + Send + 'static),
    shown: impl Fn(U) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    U: Send + 'static,
    E: Entity + Send + 'static,
    Completing: Future<Output = Result<Vec<U>>> + Send + 'static,
{
    let list = RequestedList::read(context, path, resource).await?;
    let wanted = list.reveal(context, context.list_request(entity_set)).await?;
    let (scope, fragment) = (list.scope(context), list.fragment());
    list_wanted_with(context, scope, (entity_set, &fragment), wanted, added, shown).await
}

/// The same of the rows of a scope.
pub(crate) async fn list_completed<T, U, E, Completing>(
    context: &RequestContext,
    scope: ListScope<'_>,
    list: (&'static EntitySet<T>, &str),
    added: (&[&str], impl Fn(Vec<T>, bool) -> Completing + Send + 'static),
    shown: impl Fn(U) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    U: Send + 'static,
    E: Entity + Send + 'static,
    Completing: Future<Output = Result<Vec<U>>> + Send + 'static,
{
    let wanted = context.list_request(list.0)?;
    list_wanted_with(context, scope, list, wanted, added, shown).await
}

async fn list_wanted_with<T, U, E, Completing>(
    context: &RequestContext,
    scope: ListScope<'_>,
    (entity_set, fragment): (&'static EntitySet<T>, &str),
    (request, select): (ListRequest, Select),
    (parts, complete): (&[&str], impl Fn(Vec<T>, bool) -> Completing + Send + 'static),
    shown: impl Fn(U) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    U: Send + 'static,
    E: Entity + Send + 'static,
    Completing: Future<Output = Result<Vec<U>>> + Send + 'static,
{
    let is_shown = shows::<E>(&select, parts);
    let request = ListRequest {
        in_portions: is_shown,
        ..request
    };
    let rows = listing::list(context.service(), scope, entity_set, request).await?;
    let rows = rows.and_then(move |batch| complete(batch, is_shown));
    send(
        context,
        context.view(&select, &entity_set.schema),
        rows,
        fragment,
        shown,
    )
    .await
}

async fn list_wanted<T, E>(
    context: &RequestContext,
    scope: ListScope<'_>,
    (entity_set, fragment): (&'static EntitySet<T>, &str),
    (request, select): (ListRequest, Select),
    shown: impl Fn(T) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    E: Entity + Send + 'static,
{
    let rows = listing::list(context.service(), scope, entity_set, request).await?;
    let view = context.view(&select, &entity_set.schema);
    send(context, view, rows, fragment, shown).await
}

/// A plan's rows. They are made from environments but are none, so `$select` does not apply to them.
pub(crate) async fn send_plan(
    context: &RequestContext,
    select: &Select,
    plan: Page<PlanRow, Error>,
    fragment: &str,
) -> Result<Response> {
    if *select != Select::All {
        let message = "A plan is always shown whole: $select does not apply to it.";
        return Err(RuleError::new(Code::InvalidQueryOption, message)
            .about("$select")
            .into());
    }
    send(context, View::whole(context.info.format), plan, fragment, Ok).await
}

/// The rows of a page, each as `shown` shows it.
async fn send<T, E>(
    context: &RequestContext,
    view: View<E>,
    page: Page<T, Error>,
    fragment: &str,
    shown: impl Fn(T) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: Send + 'static,
    E: Entity + Send + 'static,
{
    context.preconditions.check_untagged()?;
    let page_size = page.page_size;
    let list_writer = ListWriter::new(view.projection);
    let mut first = Vec::with_capacity(CHUNK_BYTES);
    list_writer.open(
        &context.context_url(&format!("{fragment}{}", view.selected)),
        page.count,
        &mut first,
    );
    let mut writing = Writing {
        page,
        list_writer: Some(list_writer),
        shown,
        address: context.address(),
        query: context.info.query.clone(),
    };
    // The first chunk is made before the status is sent, so that what fails at once fails with a clear answer.
    writing.fill(&mut first).await?;
    let body = if writing.list_writer.is_none() {
        Body::from(first)
    } else {
        writing.stream(first)
    };
    let mut response = json(context.info.format, StatusCode::OK, body);
    if let Some(size) = page_size {
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
struct Writing<T, E, F> {
    page: Page<T, Error>,
    /// Gone once the end is written.
    list_writer: Option<ListWriter<E>>,
    shown: F,
    address: String,
    query: String,
}

impl<T, E, F> Writing<T, E, F>
where
    T: Send + 'static,
    E: Entity + Send + 'static,
    F: Fn(T) -> Result<E> + Send + 'static,
{
    /// Writes until there is a chunk worth sending, or to the end.
    async fn fill(&mut self, chunk: &mut Vec<u8>) -> Result<()> {
        while chunk.len() < CHUNK_BYTES {
            let Some(list_writer) = &mut self.list_writer else {
                return Ok(());
            };
            match self.page.next().await? {
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
        let token = self.page.next_token();
        let link = token.map(|token| format!("{}?{}", self.address, next_link_query(&self.query, token)));
        if let Some(list_writer) = self.list_writer.take() {
            list_writer.close(link.as_deref(), chunk);
        }
    }

    /// The first chunk, and the rest as it is written.
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
        streamed(futures::StreamExt::chain(first, rest))
    }
}
