//! Rows counted by what they have in common: `$apply` with `groupby`.
//!
//! The database groups wherever it decides about all rows and finds all properties; else the rows stream past. Either
//! way groups are few, so all that may follow (a filter, an order, a part of them) is decided over them in memory.

use super::{
    ListError, Scope,
    entity_set::{ColumnMapping, ColumnType, EntitySet},
    request::refused,
    statement::Statement,
    work::Watch,
};
use crate::{Db, FromRow, Row, StoreError, Value as Stored, db::RECEIVED};
use domain::{instant::Instant as Moment, version::AppVersion};
use futures::TryStreamExt;
use odata::{
    Account, Aliases, Apply, Filter, Guid, Instant, Limits, Options, OrderBy, QueryError, Row as _, Schema,
    Value, Version, bind_filter, parse_filter,
};
use std::{mem, sync::Arc};

/// The most groups that there may be, few in tests. A request for more means rows.
pub(super) const MOST_GROUPS: usize = if cfg!(test) { 20 } else { 10_000 };

/// The most groups that are looked at before those that have all in common become one.
const MOST_PARTS: usize = 4 * MOST_GROUPS;

/// Which groups come, and in which order.
#[derive(Clone, Debug)]
pub struct GroupRequest {
    apply: Apply,
    /// What a group is made of.
    pub schema: Schema,
    /// Which groups; all, if nobody says.
    filter: Option<Filter>,
    order: OrderBy,
    top: Option<u64>,
    skip: u64,
    count: bool,
}

impl GroupRequest {
    /// Whether it is to be told how many groups there are.
    pub fn is_counted(&self) -> bool {
        self.count
    }

    /// What the number of a group's rows is called, if it is asked for.
    pub fn counted(&self) -> Option<&str> {
        self.apply.count_as.as_deref()
    }

    /// What the options of a list mean where they ask for groups; nothing where they ask for rows. As OData wants it,
    /// every other option is about the groups.
    ///
    /// # Errors
    /// [`QueryError`] for everything that the options cannot mean for this list.
    pub fn bind<T>(entity_set: &EntitySet<T>, options: &Options) -> Result<Option<Self>, QueryError> {
        let Some(text) = &options.apply else {
            return Ok(None);
        };
        let limits = Limits::default();
        let apply = Apply::parse(text, &entity_set.schema, &options.aliases, &limits)?;
        entity_set.check_filter("$apply", apply.filter.as_ref())?;
        if let Some(hidden) = apply.by.iter().find(|property| entity_set.is_hidden(**property)) {
            let message = format!("The list cannot be grouped by `{}`.", entity_set.name(*hidden));
            return Err(refused("$apply", message));
        }
        if options.select.is_some() {
            let message = "`$select` does not apply to groups; they have what groupby names.";
            return Err(refused("$select", message));
        }
        if options.skip_token.is_some() {
            return Err(refused("$skiptoken", "Groups come on one page."));
        }
        let schema = apply.schema(&entity_set.schema);
        let order = match &options.order_by {
            Some(text) => OrderBy::parse(text, &schema, &limits)?,
            None => OrderBy::new(Vec::new(), &schema),
        };
        Ok(Some(Self {
            filter: filter_of(options, &schema, &options.aliases, &limits)?,
            apply,
            schema,
            order,
            top: options.top,
            skip: options.skip.unwrap_or(0),
            count: options.count,
        }))
    }
}

/// A list's `$filter` where it is about its groups.
fn filter_of(
    options: &Options,
    schema: &Schema,
    aliases: &Aliases,
    limits: &Limits,
) -> Result<Option<Filter>, QueryError> {
    let text = options.filter.as_deref().filter(|text| !text.trim().is_empty());
    text.map(|text| bind_filter(&parse_filter(text, limits)?, schema, aliases, limits))
        .transpose()
}

/// Groups of rows, each with the values that its schema names.
#[derive(Debug)]
pub struct Groups {
    /// The groups.
    pub rows: Vec<Vec<Value<'static>>>,
    /// How many there are, those included that are left out at the beginning and at the end, if that was asked for.
    pub count: Option<u64>,
}

/// The groups that the request asks for; `now` is what `now()` means in its filters.
///
/// # Errors
/// As for [`super::list`], and where there are too many groups.
pub async fn groups<T: FromRow>(
    db: &Db,
    entity_set: &'static EntitySet<T>,
    scope: Scope,
    request: GroupRequest,
    now: Moment,
) -> Result<Groups, ListError> {
    let statement = Statement::new(db, entity_set, scope, request.apply.filter.as_ref(), now);
    let statement = Arc::new(statement);
    let grouping = Grouping::of(&request, entity_set).filter(|_| statement.is_in_sql());
    let found = match grouping {
        Some(grouping) => grouping.read(db, &statement, &request).await?,
        None => in_memory(db, &statement, &request).await?,
    };
    let now = Instant::from_ticks(now.0);
    if request.filter.is_none() {
        return found.chosen(&request, now, &mut Account::default());
    }
    let decide = move |watch: &Watch| {
        let is_wanted = || watch.is_wanted();
        let decided = found.rows.len() as u64;
        (
            decided,
            found.chosen(&request, now, &mut Account::new(&is_wanted)),
        )
    };
    statement.work.aside("$filter", decide).await
}

/// How SQL makes the groups.
struct Grouping<'s> {
    columns: String,
    by: String,
    mappings: Vec<&'s ColumnMapping>,
}

impl<'s> Grouping<'s> {
    /// Nothing where SQL does not find all properties.
    fn of<T>(request: &GroupRequest, entity_set: &'s EntitySet<T>) -> Option<Self> {
        let mappings = request.apply.by.iter().map(|at| entity_set.mappings.get(*at));
        let mappings = mappings.collect::<Option<Vec<_>>>()?;
        if mappings
            .iter()
            .any(|mapping| mapping.column_type == ColumnType::Memory)
        {
            return None;
        }
        let shown: Vec<String> = mappings.iter().map(|mapping| mapping.of_group()).collect();
        let mut by: Vec<&str> = mappings
            .iter()
            .flat_map(|mapping| mapping.grouped_by().iter().copied())
            .collect();
        by.sort_unstable();
        by.dedup();
        Some(Self {
            columns: shown.join(", "),
            by: by.join(", "),
            mappings,
        })
    }

    async fn read<T: FromRow>(
        &self,
        db: &Db,
        statement: &Statement<T>,
        request: &GroupRequest,
    ) -> Result<Found, ListError> {
        let (sql, values) = statement.grouped(&self.columns, &self.by, MOST_PARTS + 1);
        let counted = db.query(sql).bind_all(values);
        let mut rows = counted.stream::<Columns>(statement.work.holder, RECEIVED).await?;
        let (mut found, mut parts) = (Found::new(request), 0);
        while let Some(batch) = rows.try_next().await? {
            parts += batch.len();
            if parts > MOST_PARTS {
                return Err(too_many().into());
            }
            for Columns(mut columns) in batch {
                let number = columns.pop();
                let values = self.mappings.iter().zip(columns);
                let values = values.map(|(mapping, column)| shown(column, &mapping.column_type));
                found.add(values.collect::<Result<_, _>>()?, number_of(number)?)?;
            }
        }
        found.settle()?;
        Ok(found)
    }
}

/// Groups the rows one by one.
async fn in_memory<T: FromRow>(
    db: &Db,
    statement: &Arc<Statement<T>>,
    request: &GroupRequest,
) -> Result<Found, ListError> {
    let mut found = Found::new(request);
    let mut rows = statement.all(db).await?;
    while let Some(batch) = rows.try_next().await? {
        for row in statement.kept(batch).await? {
            let view = statement.entity_set.view(&row);
            let values = request.apply.by.iter().map(|at| view.value(*at).into_owned());
            found.add(values.collect(), 1)?;
        }
    }
    found.settle()?;
    Ok(found)
}

/// Groups that were found so far.
struct Found {
    /// By what they are told from each other.
    by: OrderBy,
    schema: Schema,
    rows: Vec<Group>,
}

struct Group {
    /// The values, texts in their normal forms.
    key: Vec<Value<'static>>,
    /// The values as they are shown.
    shown: Vec<Value<'static>>,
    number: i64,
}

impl Found {
    fn new(request: &GroupRequest) -> Self {
        Self {
            by: OrderBy::new(Vec::new(), &request.schema),
            schema: request.schema.clone(),
            rows: Vec::new(),
        }
    }

    fn add(&mut self, shown: Vec<Value<'static>>, number: i64) -> Result<(), QueryError> {
        let key = self.by.values(&shown, &self.schema);
        self.rows.push(Group { key, shown, number });
        match self.rows.len() > MOST_PARTS {
            true => self.settle(),
            false => Ok(()),
        }
    }

    /// Makes one group of those that have the same key, and sorts by it.
    fn settle(&mut self) -> Result<(), QueryError> {
        let by = &self.by;
        self.rows.sort_by(|left, right| by.compare(&left.key, &right.key));
        self.rows.dedup_by(|other, first| {
            let is_same = by.compare(&other.key, &first.key).is_eq();
            if is_same {
                first.take_in(other);
            }
            is_same
        });
        match self.rows.len() > MOST_GROUPS {
            true => Err(too_many()),
            false => Ok(()),
        }
    }

    /// What the other options ask for of all groups.
    fn chosen(
        self,
        request: &GroupRequest,
        now: Instant,
        account: &mut Account<'_>,
    ) -> Result<Groups, ListError> {
        let mut kept = Vec::new();
        for group in self.rows {
            let row = group.into_row(request.apply.count_as.is_some());
            account.next_row();
            let is_kept = match &request.filter {
                Some(filter) => filter.holds(filter.root(), &row, now, account)?,
                None => true,
            };
            if is_kept {
                kept.push((request.order.values(&row, &request.schema), row));
            }
        }
        kept.sort_by(|(left, _), (right, _)| request.order.compare(left, right));
        let count = request.count.then_some(kept.len() as u64);
        let skip = usize::try_from(request.skip).unwrap_or(usize::MAX);
        let top = request
            .top
            .map_or(usize::MAX, |top| usize::try_from(top).unwrap_or(usize::MAX));
        let rows = kept.into_iter().map(|(_, row)| row).skip(skip).take(top);
        Ok(Groups {
            rows: rows.collect(),
            count,
        })
    }
}

fn too_many() -> QueryError {
    let message = format!("There are more than {MOST_GROUPS} groups. Group by less, or filter before it.");
    refused("$apply", message)
}

impl Group {
    /// The rows of another group besides. Of several spellings the first in the order of texts is shown.
    fn take_in(&mut self, other: &mut Self) {
        self.number = self.number.saturating_add(other.number);
        for (shown, others) in self.shown.iter_mut().zip(&mut other.shown) {
            if let (Value::Text(text), Value::Text(others_text)) = (&*shown, &*others)
                && others_text < text
            {
                mem::swap(shown, others);
            }
        }
    }

    fn into_row(self, is_counted: bool) -> Vec<Value<'static>> {
        let mut row = self.shown;
        row.extend(is_counted.then_some(Value::integer(self.number)));
        row
    }
}

impl ColumnMapping {
    /// The value that a group shows, as SQL.
    fn of_group(&self) -> String {
        match self.column_type {
            // The key is all of it, and often all that an index has.
            ColumnType::Version => self.key.to_owned(),
            _ if self.shown == self.key => self.key.to_owned(),
            _ => format!("MIN({})", self.shown),
        }
    }

    /// What decides which group a row belongs to, as SQL.
    fn grouped_by(&self) -> &[&'static str] {
        match self.determined_by {
            [] => std::slice::from_ref(&self.key),
            columns => columns,
        }
    }
}

/// A row of any columns.
struct Columns(Vec<Stored>);

impl FromRow for Columns {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let columns = (0..row.width()).map(|index| row.get(index));
        columns.collect::<Result<_, _>>().map(Self)
    }
}

fn number_of(column: Option<Stored>) -> Result<i64, StoreError> {
    match column {
        Some(Stored::Int(number)) => Ok(number),
        other => Err(StoreError::broken(format!("a number of rows is {other:?}"))),
    }
}

/// The value that a column holds.
fn shown(column: Stored, column_type: &ColumnType) -> Result<Value<'static>, StoreError> {
    let unexpected =
        |column: &Stored| StoreError::broken(format!("{column:?} where {column_type:?} belongs"));
    Ok(match (column, column_type) {
        (Stored::Null, _) => Value::Null,
        (Stored::Bool(truth), ColumnType::Truth) => Value::Boolean(truth),
        (Stored::Int(number), ColumnType::Truth) => Value::Boolean(number != 0),
        (Stored::Int(number), ColumnType::Number(_)) => Value::integer(number),
        (Stored::Int(ticks), ColumnType::Instant) => Value::Instant(Instant::from_ticks(ticks)),
        (Stored::Text(text), ColumnType::Text | ColumnType::Folded(..)) => Value::text(text),
        (Stored::Uuid(id), ColumnType::Guid) => Value::Guid(Guid(id.as_u128())),
        (Stored::Bytes(bytes), ColumnType::Guid | ColumnType::Version) => {
            let bytes = <[u8; 16]>::try_from(bytes).map_err(|bytes| unexpected(&Stored::Bytes(bytes)))?;
            match column_type {
                ColumnType::Guid => Value::Guid(Guid(u128::from_be_bytes(bytes))),
                _ => Value::Version(Version(AppVersion::from_sort_key(bytes).0)),
            }
        }
        (other, _) => return Err(unexpected(&other)),
    })
}
