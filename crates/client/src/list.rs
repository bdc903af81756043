//! Lists, read page by page.

use crate::{
    Client,
    address::{next_page, with_options},
    error::Result,
    request::Request,
};
use futures::{Stream, TryStreamExt, stream};
use reqwest::{Method, StatusCode, Url};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use std::marker::PhantomData;

/// Which rows of a list, in which order, and which of their properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    filter: Option<String>,
    orderby: Option<String>,
    top: Option<u64>,
    skip: Option<u64>,
    select: Option<String>,
}

impl Query {
    /// Only rows for which this holds, as OData: `type eq 'Production'`.
    #[must_use]
    pub fn filter(mut self, expression: impl Into<Option<String>>) -> Self {
        self.filter = expression.into();
        self
    }

    /// The order of the rows, as OData: `name desc`.
    #[must_use]
    pub fn orderby(mut self, properties: impl Into<Option<String>>) -> Self {
        self.orderby = properties.into();
        self
    }

    /// At most so many rows.
    #[must_use]
    pub fn top(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.top = rows.into();
        self
    }

    /// Without the first so many rows.
    #[must_use]
    pub fn skip(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.skip = rows.into();
        self
    }

    /// Only these properties, besides the keys. Rows that lack others are read by [`List::json`].
    #[must_use]
    pub fn select(mut self, properties: impl Into<Option<String>>) -> Self {
        self.select = properties.into();
        self
    }

    fn options(&self) -> [(&'static str, Option<String>); 5] {
        [
            ("$filter", self.filter.clone()),
            ("$orderby", self.orderby.clone()),
            ("$top", self.top.map(|top| top.to_string())),
            ("$skip", self.skip.map(|skip| skip.to_string())),
            ("$select", self.select.clone()),
        ]
    }
}

/// A list of `T`, not asked for yet.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before its rows are read"]
pub struct List<T> {
    client: Client,
    method: Method,
    url: Url,
    /// Options of this list alone, before those of all lists.
    own: Vec<(&'static str, String)>,
    query: Query,
    reads: PhantomData<fn() -> T>,
}

impl<T> List<T> {
    pub(crate) fn new(client: &Client, url: Url) -> Self {
        Self {
            client: client.clone(),
            method: Method::GET,
            url,
            own: Vec::new(),
            query: Query::default(),
            reads: PhantomData,
        }
    }

    /// A list that is asked for by POST; asking changes nothing all the same.
    pub(crate) fn posted(client: &Client, url: Url) -> Self {
        Self {
            method: Method::POST,
            ..Self::new(client, url)
        }
    }

    pub(crate) fn option(mut self, name: &'static str, value: String) -> Self {
        self.own.push((name, value));
        self
    }

    /// Only what `query` asks for.
    pub fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// The same list, its rows read as `U`.
    pub fn read_as<U>(self) -> List<U> {
        List {
            client: self.client,
            method: self.method,
            url: self.url,
            own: self.own,
            query: self.query,
            reads: PhantomData,
        }
    }

    /// The same list, its rows taken as they come: with members and words that nobody here knows.
    pub fn json(self) -> List<Value> {
        self.read_as()
    }

    fn url_with(&self, options: &[(&'static str, Option<String>)]) -> Url {
        let own = self.own.iter().map(|(name, value)| (*name, Some(value.clone())));
        let all: Vec<_> = own.chain(options.iter().cloned()).collect();
        with_options(self.url.clone(), &all)
    }

    fn page<U>(&self, url: Url) -> Request<wire::List<U>> {
        Request::new(&self.client, self.method.clone(), url).repeatable()
    }

    /// The request for the first page, which holds all rows unless its `next_link` says otherwise.
    pub fn first_page(&self) -> Request<wire::List<T>> {
        self.page(self.url_with(&self.query.options()))
    }

    /// How many rows match, whatever `top` and `skip` say.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn count(&self) -> Result<u64> {
        let filter = ("$filter", self.query.filter.clone());
        let only_count = [
            filter.clone(),
            ("$count", Some("true".to_owned())),
            ("$top", Some("0".to_owned())),
        ];
        match self.page::<IgnoredAny>(self.url_with(&only_count)).await {
            Ok(wire::List {
                count: Some(count), ..
            }) => return Ok(count),
            Err(error) if error.refusal(StatusCode::BAD_REQUEST).is_none() => return Err(error),
            // A service that does not count, or will not be asked to: then the rows are counted here.
            Ok(_) | Err(_) => {}
        }
        let rows = pages(self.page::<IgnoredAny>(self.url_with(&[filter])));
        let rows = rows.try_fold(0, async |sum, page| Ok(sum + page.len() as u64));
        rows.await
    }
}

impl<T: DeserializeOwned + Send + 'static> List<T> {
    /// All rows, page after page; a page is asked for when the rows before it have been taken.
    pub fn rows(&self) -> impl Stream<Item = Result<T>> + Send + use<T> {
        let rows = |page: Vec<T>| stream::iter(page.into_iter().map(Ok));
        pages(self.first_page()).map_ok(rows).try_flatten()
    }

    /// All rows at once.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub async fn all(&self) -> Result<Vec<T>> {
        self.rows().try_collect().await
    }
}

fn pages<T>(first: Request<wire::List<T>>) -> impl Stream<Item = Result<Vec<T>>> + Send
where
    T: DeserializeOwned + Send + 'static,
{
    stream::try_unfold(Some(first), async |next| {
        let Some(request) = next else {
            return Ok(None);
        };
        let (client, method, url) = (
            request.client().clone(),
            request.method().clone(),
            request.url().clone(),
        );
        let page = request.await?;
        let next = match page.next_link {
            Some(link) => {
                let next = next_page(&url, &link)?;
                Some(Request::new(&client, method, next).repeatable())
            }
            None => None,
        };
        Ok(Some((page.value, next)))
    })
}
