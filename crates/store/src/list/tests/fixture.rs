//! Both databases with the same rows, and the answer that the evaluator in memory would give.

use super::rows;
use crate::settings::DatabaseSettings;
use crate::{
    Db, FromRow, Value,
    list::{EntitySet, ListError, ListRequest, Page, Scope, count_only, list},
    open,
};
use domain::instant::Instant;
use odata::{Filter, Limits, Options, QueryError, Resource};
use std::{fmt::Debug, sync::LazyLock};
use test_support::postgres_cluster;
use tokio::runtime::Runtime;

pub(crate) static FIXTURE: LazyLock<Fixture> = LazyLock::new(Fixture::open);

/// What `now()` means in all tests: 2026-11-20T12:00:00Z.
pub(crate) const NOW: Instant = Instant(17_951_760_000_000_000);

pub(crate) struct Fixture {
    pub(crate) runtime: Runtime,
    pub(crate) databases: Vec<(&'static str, Db)>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite:{}", folder.path().join("fame.db").display());
        let databases = runtime.block_on(async {
            let mut databases = Vec::new();
            for (name, url) in [("SQLite", file), ("PostgreSQL", postgres_cluster::database_url())] {
                let db = open(&DatabaseSettings::at(&url)).await.unwrap();
                insert(&db, rows::all()).await;
                databases.push((name, db));
            }
            databases
        });
        Self {
            runtime,
            databases,
            _folder: folder,
        }
    }
}

/// A statement and its values.
pub(crate) type Insert = (String, Vec<Value>);

pub(crate) async fn insert(db: &Db, statements: Vec<Insert>) {
    db.write(statements, |mut tx, statements| {
        Box::pin(async move {
            for (sql, values) in statements {
                tx.query(sql.as_str()).bind_all(values.clone()).execute().await?;
            }
            Ok::<_, crate::StoreError>(())
        })
    })
    .await
    .unwrap();
}

pub(crate) fn read<T>(entity_set: &EntitySet<T>, query: &str) -> Result<ListRequest, QueryError> {
    read_page(entity_set, "/list", query, None)
}

/// The same for a list at `path` that is asked for in pages.
pub(crate) fn read_page<T>(
    entity_set: &EntitySet<T>,
    path: &str,
    query: &str,
    size: Option<u32>,
) -> Result<ListRequest, QueryError> {
    let options = Options::parse(query, Resource::Collection, true, &Limits::default())?;
    entity_set.select(&options)?;
    ListRequest::bind(entity_set, &options, size, options.fingerprint(path))
}

/// The same request for rows with all that they have, looked at or not, where whole rows are compared.
pub(crate) fn whole(request: ListRequest) -> ListRequest {
    ListRequest {
        without_bulk: false,
        ..request
    }
}

/// A query option's value as a URL has it.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

pub(crate) async fn collected<T: FromRow>(page: &mut Page<T>) -> Result<Vec<T>, ListError> {
    let mut rows = Vec::new();
    while let Some(batch) = page.next().await? {
        assert!(!batch.is_empty());
        rows.extend(batch);
    }
    Ok(rows)
}

/// The rows that a database gives; what is wrong with the query, if it refuses.
pub(crate) async fn answered<T: FromRow>(
    db: &Db,
    entity_set: &'static EntitySet<T>,
    request: ListRequest,
) -> Result<Vec<T>, QueryError> {
    let rows = match list(db, entity_set, Scope::everything(), request, NOW).await {
        Ok(mut page) => collected(&mut page).await,
        Err(error) => Err(error),
    };
    rows.map_err(query_error)
}

pub(crate) fn query_error(error: ListError) -> QueryError {
    match error {
        ListError::Query(error) => error,
        ListError::Store(error) => panic!("{error}"),
    }
}

/// The rows that the evaluator in memory gives.
pub(crate) fn expected<T>(
    rows: Vec<T>,
    entity_set: &EntitySet<T>,
    request: &ListRequest,
) -> Result<Vec<T>, QueryError> {
    let now = odata::Instant::from_ticks(NOW.0);
    let mut kept = Vec::new();
    for row in rows {
        let matches = match &request.filter {
            Some(filter) => keeps(filter, &entity_set.view(&row), now)?,
            None => true,
        };
        if matches {
            kept.push((
                request.order.values(&entity_set.view(&row), &entity_set.schema),
                row,
            ));
        }
    }
    kept.sort_by(|(left, _), (right, _)| request.order.compare(left, right));
    Ok(kept.into_iter().map(|(_, row)| row).collect())
}

/// What the evaluator says of the whole filter. Where that fails, a row still is out with the first condition that is
/// not true, before another can fail for it; for the evaluator a null is no reason to stop.
fn keeps(filter: &Filter, row: &impl odata::Row, now: odata::Instant) -> Result<bool, QueryError> {
    if let Ok(matches) = filter.matches(row, now) {
        return Ok(matches);
    }
    for condition in filter.conjuncts() {
        if !filter
            .holds(condition, row, now, &mut odata::Account::default())
            .map_err(|error| error.as_query_error().unwrap())?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks that both databases give what the evaluator gives, and count it right.
pub(crate) fn agree<T: FromRow + PartialEq + Debug>(entity_set: &'static EntitySet<T>, query: &str) {
    let request = whole(read(entity_set, query).unwrap_or_else(|error| panic!("{query}: {error}")));
    FIXTURE.runtime.block_on(async {
        for (name, db) in &FIXTURE.databases {
            let all = answered(db, entity_set, ListRequest::all(entity_set))
                .await
                .unwrap();
            let wanted = expected(all, entity_set, &request);
            let got = answered(db, entity_set, request.clone()).await;
            assert_eq!(got, wanted, "{name}: {query}");
            let count = count_only(db, entity_set, Scope::everything(), &request, NOW)
                .await
                .map_err(query_error);
            assert_eq!(
                count,
                wanted.map(|rows| rows.len() as u64),
                "{name}, count: {query}"
            );
        }
    });
}
