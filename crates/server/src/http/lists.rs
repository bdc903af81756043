//! Lists: their query options read, their rows streamed.
//!
//! Nobody is sent half a list unless he asks for pages: known clients never follow a next link. So a list is written
//! while it is read from the database, and a short one goes out in one piece.

use super::{
    answer::{self, Frame, insert, json, project},
    context::Context,
    extract::{Asking, Door},
};
use crate::{
    actions::{
        access,
        listing::{self, Listing, Within},
        plan::Plan,
    },
    error::{Error, Result},
    store::{
        self, FromRow,
        list::{ListRequest, Listed},
    },
};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    ids::AppId,
};
use odata::{Limits, Options, Select, next_link_query};
use serde::Deserialize;
use std::future::Future;
use utoipa::IntoParams;
use wire::{Entity, ListWriter, Projection};

/// Rows that are written before they are handed on.
const PIECE: usize = 64 * 1024;

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
pub(crate) struct Look {
    select: Select,
    /// What of the selection the context URL tells.
    selected: Option<String>,
    /// The page size that was granted.
    page_size: Option<u32>,
}

/// Reads the options of a list: which rows in which order, and how they are to look.
pub(crate) fn read<T>(frame: &Frame<'_>, listed: &Listed<T>) -> Result<(ListRequest, Look)> {
    frame.check_version()?;
    let prefer = frame
        .headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let context = frame.context;
    let query = store::list::ListQuery::read(
        listed,
        &context.routed,
        &context.query,
        prefer,
        frame.dollar_optional(),
    )?;
    let look = Look {
        selected: query.select.context(&listed.schema),
        select: query.select,
        page_size: query.request.page_size,
    };
    Ok((query.request, look))
}

/// Reads the options of a count.
pub(crate) fn read_count<T>(frame: &Frame<'_>, listed: &Listed<T>) -> Result<ListRequest> {
    Ok(ListRequest::read_count(
        listed,
        &frame.context.query,
        frame.dollar_optional(),
    )?)
}

/// What of the query is no option of OData's, such as `targetAppVersion`.
pub(crate) fn custom_options(query: &str) -> Vec<(String, String)> {
    let options = Options::parse(query, odata::Resource::Collection, true, &Limits::default());
    options.map(|options| options.custom).unwrap_or_default()
}

impl Asking {
    /// The query options, understood; what is wrong with them is only said to somebody who may ask for the list.
    pub(crate) async fn understood_query<T>(
        &self,
        door: &Door,
        app: AppId,
        permission: Permission,
        read: Result<T>,
    ) -> Result<T> {
        match read {
            Err(Error::Rule(problem)) => {
                Err(access::refuse(&door.service, &self.asker, app, permission, problem).await)
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
    async fn read(door: &Door, asking: &Asking, path: ListPath, resource: Resource) -> Result<Self> {
        let app = asking.app(&path.app)?;
        let permission = Permission::read(resource);
        let country = match path.country {
            Some(country) => Some(asking.country(door, app, &country, permission).await?),
            None => None,
        };
        Ok(Self {
            app,
            country,
            resource,
        })
    }

    fn within<'a>(&self, asking: &'a Asking) -> Within<'a> {
        let Self {
            app,
            country,
            resource,
        } = *self;
        Within {
            asker: &asking.asker,
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
    door: &Door,
    asking: &Asking,
    path: ListPath,
    (resource, listed): (Resource, &'static Listed<T>),
    shown: impl Fn(T) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    E: Entity + Send + 'static,
{
    let place = Place::read(door, asking, path, resource).await?;
    let frame = Frame::new(door, asking);
    let permission = Permission::read(resource);
    let (request, look) = asking
        .understood_query(door, place.app, permission, read(&frame, listed))
        .await?;
    let rows = listing::list_within(&door.service, place.within(asking), listed, request).await?;
    answer(&frame, look, rows, &place.fragment(), shown).await
}

/// Counts the rows of one kind that a path names.
pub(crate) async fn count<T: FromRow>(
    door: &Door,
    asking: &Asking,
    path: ListPath,
    (resource, listed): (Resource, &'static Listed<T>),
) -> Result<Response> {
    let place = Place::read(door, asking, path, resource).await?;
    let frame = Frame::new(door, asking);
    let permission = Permission::read(resource);
    let request = asking
        .understood_query(door, place.app, permission, read_count(&frame, listed))
        .await?;
    let count = listing::count_within(&door.service, place.within(asking), listed, request).await?;
    Ok(count_answer(count))
}

/// Lists every row of a table, for operators.
pub(crate) async fn list_everything<T, E>(
    door: &Door,
    asking: &Asking,
    (listed, fragment): (&'static Listed<T>, &str),
    shown: impl Fn(T) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    T: FromRow,
    E: Entity + Send + 'static,
{
    let frame = Frame::new(door, asking);
    let (request, look) = read(&frame, listed)?;
    let rows = listing::list_everything(&door.service, listed, request).await?;
    answer(&frame, look, rows, fragment, shown).await
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
    frame: &Frame<'_>,
    look: Look,
    source: S,
    fragment: &str,
    shown: impl Fn(S::Row) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    S: Source,
    E: Entity + Send + 'static,
{
    let projection = project(frame.context.face, &look.select);
    send(frame, look, source, fragment, projection, shown).await
}

/// A plan's rows. They are made from environments but are none, so `$select` does not apply to them.
pub(crate) async fn plan_answer(
    frame: &Frame<'_>,
    look: Look,
    plan: Plan,
    fragment: &str,
) -> Result<Response> {
    if look.select != Select::All {
        let message = "A plan is always shown whole: $select does not apply to it.";
        let code = domain::problem::Code::InvalidQueryOption;
        return Err(domain::problem::RuleError::new(code, message)
            .about("$select")
            .into());
    }
    send(
        frame,
        look,
        plan,
        fragment,
        Projection::all(frame.context.face),
        Ok,
    )
    .await
}

async fn send<S, E>(
    frame: &Frame<'_>,
    look: Look,
    source: S,
    fragment: &str,
    projection: Projection<E>,
    shown: impl Fn(S::Row) -> Result<E> + Send + 'static,
) -> Result<Response>
where
    S: Source,
    E: Entity + Send + 'static,
{
    let selected = look.selected.map_or(String::new(), |names| format!("({names})"));
    let writer = ListWriter::new(projection);
    let mut first = Vec::with_capacity(PIECE);
    writer.open(
        &frame.context_url(&format!("{fragment}{selected}")),
        source.count(),
        &mut first,
    );
    let mut writing = Writing {
        source,
        writer: Some(writer),
        shown,
        address: frame.address(),
        query: frame.context.query.clone(),
    };
    // The first piece is made before the status is sent, so that what fails at once fails with a clear answer.
    writing.fill(&mut first).await?;
    let face = frame.context.face;
    let body = if writing.writer.is_none() {
        Body::from(first)
    } else {
        writing.stream(first, frame.context)
    };
    let mut response = json(face, StatusCode::OK, body);
    if let Some(size) = look.page_size {
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
    writer: Option<ListWriter<E>>,
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
    async fn fill(&mut self, piece: &mut Vec<u8>) -> Result<()> {
        while piece.len() < PIECE {
            let Some(writer) = &mut self.writer else {
                return Ok(());
            };
            match self.source.next().await? {
                Some(rows) => {
                    for row in rows {
                        writer.row(&(self.shown)(row)?, piece);
                    }
                }
                None => self.close(piece),
            }
        }
        Ok(())
    }

    fn close(&mut self, piece: &mut Vec<u8>) {
        let token = self.source.next_token();
        let link = token.map(|token| format!("{}?{}", self.address, next_link_query(&self.query, &token)));
        if let Some(writer) = self.writer.take() {
            writer.close(link.as_deref(), piece);
        }
    }

    /// The first piece, and the rest as it is written.
    fn stream(self, first: Vec<u8>, context: &Context) -> Body {
        let correlation = context.correlation_id;
        let rest = futures::stream::try_unfold(self, move |mut writing| async move {
            if writing.writer.is_none() {
                return Ok(None);
            }
            let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
            let filled = writing.fill(&mut piece).await;
            if let Err(error) = &filled {
                tracing::error!(%correlation, "a list broke off: {error}");
            }
            filled.map(|()| Some((Bytes::from(piece), writing)))
        });
        let first = futures::stream::once(async move { Ok(Bytes::from(first)) });
        answer::streamed(futures::StreamExt::chain(first, rest))
    }
}
