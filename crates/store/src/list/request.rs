//! What a caller wants of a list: their query options, bound to the list's description.

use super::entity_set::EntitySet;
use crate::filter::hidden_property;
use odata::{
    ErrorCode, Filter, Limits, Options, OrderBy, OrderKey, QueryError, Select, SkipToken, bind_filter,
    parse_filter,
};

/// Which rows come, and in which order.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Which rows; all, if nobody says.
    pub filter: Option<Filter>,
    /// In which order.
    pub order: OrderBy,
    /// How many rows at most.
    pub top: Option<u64>,
    /// How many rows to leave out before the first.
    pub skip: u64,
    /// Whether the number of rows is to be sent.
    pub count: bool,
    /// The most rows of a page, if the caller wants pages.
    pub page_size: Option<u32>,
    /// Where the page before this one ended.
    pub after: Option<SkipToken>,
    /// Tells the tokens of this query from those of others.
    pub fingerprint: u64,
    /// Whether nobody looks at what makes rows large.
    pub without_bulk: bool,
    /// Whether whoever reads the rows has to ask the database more about each batch. Then none of its connections is held
    /// between two batches, and each batch shows its rows as they are when it is read.
    pub in_portions: bool,
}

impl ListRequest {
    /// All rows, in the usual order.
    pub fn all<T>(entity_set: &EntitySet<T>) -> Self {
        Self {
            filter: None,
            order: entity_set.order.clone(),
            top: None,
            skip: 0,
            count: false,
            page_size: None,
            after: None,
            fingerprint: 0,
            without_bulk: false,
            in_portions: false,
        }
    }

    /// The rows that the text of a `$filter` leaves, in the usual order.
    ///
    /// # Errors
    /// [`QueryError`] for a text that is no filter of this list.
    pub fn filtered<T>(entity_set: &EntitySet<T>, filter: Option<&str>) -> Result<Self, QueryError> {
        let mut options = Options::default();
        options.filter = filter.map(str::to_owned);
        Ok(Self {
            filter: entity_set.filter(&options, &Limits::default())?,
            ..Self::all(entity_set)
        })
    }

    /// What the options of a list mean for it. Tokens of its pages bear the `fingerprint` of the query.
    ///
    /// # Errors
    /// [`QueryError`] for everything that the options cannot mean for this list.
    pub fn bind<T>(
        entity_set: &EntitySet<T>,
        options: &Options,
        page_size: Option<u32>,
        fingerprint: u64,
    ) -> Result<Self, QueryError> {
        let limits = Limits::default();
        let order = match &options.order_by {
            Some(text) => entity_set.order_by(text, &limits)?,
            None => entity_set.order.clone(),
        };
        let after = match &options.skip_token {
            Some(text) => Some(SkipToken::decode(text, fingerprint, &order, &entity_set.schema)?),
            None => None,
        };
        let filter = entity_set.filter(options, &limits)?;
        let without_bulk = entity_set.is_without_bulk(&entity_set.select(options)?, filter.as_ref(), &order);
        Ok(Self {
            filter,
            order,
            without_bulk,
            top: options.top,
            skip: options.skip.unwrap_or(0),
            count: options.count,
            page_size,
            after,
            fingerprint,
            in_portions: false,
        })
    }

    /// Whether the filter or the order looks at one of these properties.
    pub fn looks_at<T>(&self, entity_set: &EntitySet<T>, names: &[&str]) -> bool {
        let is_one = |property| names.contains(&entity_set.name(property));
        let filter = self.filter.as_ref();
        filter.is_some_and(|filter| hidden_property(filter, is_one).is_some())
            || self.order.terms.iter().any(|term| {
                let (OrderKey::Property(at) | OrderKey::Lower(at) | OrderKey::Count(at)) = term.key;
                is_one(at)
            })
    }

    /// What the options of a list's `/$count` mean, which knows a filter only.
    ///
    /// # Errors
    /// As for [`ListRequest::bind`].
    pub fn bind_count<T>(entity_set: &EntitySet<T>, options: &Options) -> Result<Self, QueryError> {
        let filter = entity_set.filter(options, &Limits::default())?;
        Ok(Self {
            without_bulk: entity_set.is_without_bulk(
                &Select::Only(Default::default()),
                filter.as_ref(),
                &entity_set.order,
            ),
            filter,
            ..Self::all(entity_set)
        })
    }
}

impl<T> EntitySet<T> {
    fn filter(&self, options: &Options, limits: &Limits) -> Result<Option<Filter>, QueryError> {
        // A known client sends the option whether its user typed a filter or not.
        let Some(text) = options.filter.as_deref().filter(|text| !text.trim().is_empty()) else {
            return Ok(None);
        };
        let filter = bind_filter(
            &parse_filter(text, limits)?,
            &self.schema,
            &options.aliases,
            limits,
        )?;
        match hidden_property(&filter, |property| self.is_hidden(property)) {
            Some((property, position)) => {
                let what = format!("The list cannot be filtered by `{}`", self.name(property));
                Err(QueryError::at(
                    ErrorCode::InvalidFilter,
                    "$filter",
                    position,
                    what,
                ))
            }
            None => Ok(Some(filter)),
        }
    }

    /// Whether nobody looks at the property that makes rows large.
    fn is_without_bulk(&self, select: &Select, filter: Option<&Filter>, order: &OrderBy) -> bool {
        let Some((bulk, _)) = self.bulk else {
            return false;
        };
        let is_selected = match select {
            Select::Only(properties) => properties.contains(&bulk),
            Select::All => true,
        };
        let is_filtered = || filter.is_some_and(|filter| hidden_property(filter, |at| at == bulk).is_some());
        let is_sorted = || {
            order.terms.iter().any(|term| {
                let (OrderKey::Property(at) | OrderKey::Lower(at) | OrderKey::Count(at)) = term.key;
                at == bulk
            })
        };
        !is_selected && !is_filtered() && !is_sorted()
    }

    fn order_by(&self, text: &str, limits: &Limits) -> Result<OrderBy, QueryError> {
        let order = OrderBy::parse(text, &self.schema, limits)?;
        for term in &order.terms {
            let (OrderKey::Property(property) | OrderKey::Lower(property) | OrderKey::Count(property)) =
                term.key;
            if self.is_hidden(property) {
                let message = format!("The list cannot be sorted by `{}`.", self.name(property));
                return Err(refused("$orderby", message));
            }
        }
        Ok(order)
    }

    /// Which properties the options select.
    ///
    /// # Errors
    /// [`QueryError`] for what is no property, or is shown as a part of another only.
    pub fn select(&self, options: &Options) -> Result<Select, QueryError> {
        let Some(text) = &options.select else {
            return Ok(Select::All);
        };
        let select = Select::parse(text, &self.schema)?;
        let Select::Only(properties) = &select else {
            return Ok(select);
        };
        for property in properties {
            if let Some(whole) = self.shown_in(*property) {
                let name = self.name(*property);
                let message = format!("`{name}` is shown as a part of `{whole}` only; select `{whole}`.");
                return Err(refused("$select", message));
            }
        }
        Ok(select)
    }

    fn name(&self, property: usize) -> &str {
        self.schema
            .properties
            .get(property)
            .map_or("", |property| &property.name)
    }
}

/// An option that is wrong as a whole.
pub(crate) fn refused(target: &str, message: impl Into<String>) -> QueryError {
    QueryError::new(ErrorCode::InvalidQueryOption, target, message)
}
