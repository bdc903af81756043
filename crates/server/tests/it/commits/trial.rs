//! A service whose connections to PostgreSQL are cut, and one attempt at a flow through it.

use crate::harness::{Answer, Backend, Caller, Environment, Harness, Request};
use std::{cell::Cell, future::IntoFuture, time::Duration};
use test_support::{
    postgres_cluster::PostgresCluster,
    postgres_proxy::{Moment, PostgresProxy},
};
use uuid::Uuid;

/// More commits than any flow has.
pub(super) const MANY: usize = 20;

/// A service behind a proxy that cuts its connections, and the same data through another that is not.
pub(super) struct Fixture {
    pub proxy: PostgresProxy,
    pub service: Harness,
    pub direct: Harness,
    pub postgres: PostgresCluster,
}

impl Fixture {
    pub(super) async fn set() -> Self {
        let postgres = PostgresCluster::start();
        let proxy = PostgresProxy::to(&postgres).await;
        let on = async |url: &str| {
            let plan = Harness::with(Backend::Postgres).on_database(url);
            plan.without_simulator().start_empty().await
        };
        let service = on(&proxy.url_of("postgres")).await;
        let direct = on(&postgres.url).await;
        Self {
            proxy,
            service,
            direct,
            postgres,
        }
    }

    /// Ends both services. Their transactions must never have waited for each other in a circle.
    pub(super) async fn close(mut self) {
        drop(self.service.crash().await);
        drop(self.direct.crash().await);
        assert_eq!(self.postgres.deadlocks(), 0, "PostgreSQL counted deadlocks");
    }

    /// Lets `flow` happen with each of its commits cut in both ways, on an app of its own each time.
    pub(super) async fn with_each_commit_cut(&self, flow: impl AsyncFn(&Trial<'_>)) {
        for moment in Moment::BOTH {
            for nth in 1.. {
                assert!(nth < MANY, "the flow never gets through uncut");
                let trial = Trial::begin(self, nth, moment).await;
                flow(&trial).await;
                if !trial.was_cut.get() {
                    assert!(nth > 1, "no commit was cut: the flow changes nothing");
                    break;
                }
            }
        }
    }
}

/// Lets a flow that needs nothing else happen with each of its commits cut in both ways.
pub(super) async fn each_commit_cut(flow: impl AsyncFn(&Trial<'_>)) {
    let fixture = Fixture::set().await;
    fixture.with_each_commit_cut(flow).await;
    fixture.close().await;
}

/// One attempt at a flow.
pub(super) struct Trial<'s> {
    pub fixture: &'s Fixture,
    pub nth: usize,
    pub moment: Moment,
    pub app: Uuid,
    pub was_cut: Cell<bool>,
}

impl<'s> Trial<'s> {
    pub(super) async fn begin(fixture: &'s Fixture, nth: usize, moment: Moment) -> Self {
        let app = Uuid::new_v4();
        fixture.direct.has_app(app).await;
        Self {
            fixture,
            nth,
            moment,
            app,
            was_cut: Cell::new(false),
        }
    }

    /// What to call it when something is wrong.
    pub(super) fn name(&self) -> String {
        format!("commit {} cut {:?}", self.nth, self.moment)
    }

    pub(super) fn owner(&self) -> Caller {
        self.fixture.service.owner().on(self.app)
    }

    pub(super) fn operator(&self) -> Caller {
        self.fixture.service.operator().on(self.app)
    }

    /// Somebody whose requests go past the proxy.
    pub(super) fn looker(&self) -> Caller {
        self.fixture.direct.owner().on(self.app)
    }

    pub(super) fn looking_operator(&self) -> Caller {
        self.fixture.direct.operator().on(self.app)
    }

    /// Sends a request while the proxy cuts its connection; it succeeds, or is told to come again.
    pub(super) async fn sends(&self, request: Request) -> Answer {
        self.fixture.proxy.cut(self.nth, self.moment);
        let answer = tokio::time::timeout(Duration::from_secs(20), request.into_future()).await;
        self.was_cut.set(self.fixture.proxy.release());
        let answer = answer.unwrap_or_else(|_| panic!("{}: no answer", self.name()));
        let is_told = answer.status == 503 && answer.has_header("retry-after");
        assert!(
            answer.status / 100 == 2 || is_told,
            "{}: {} answered {} {}",
            self.name(),
            answer.request,
            answer.status,
            answer.text()
        );
        answer
    }

    pub(super) async fn audited(&self, target: &str, action: &str) -> usize {
        let filter = format!("target eq '{target}' and action eq '{action}'");
        let path = format!("/operator/v1/audit?$filter={filter}");
        let answer = self.looking_operator().get(path).await.expect(200);
        answer.rows().len()
    }

    /// Makes one change. Either all of it is there or nothing, which the answer tells if it tells success; and then
    /// the same request succeeds.
    pub(super) async fn changes(&self, change: Change<'_>) {
        let answer = self.sends((change.request)()).await;
        let is_there = (change.is_there)().await;
        assert!(
            is_there || answer.status == 503,
            "{}: {} was acknowledged and is not there",
            self.name(),
            answer.request
        );
        let (target, action) = &change.audited;
        let recorded = self.audited(target, action).await;
        assert_eq!(
            recorded,
            usize::from(is_there),
            "{}: {} has as many audit rows",
            self.name(),
            answer.request
        );
        if answer.status != 503 {
            return;
        }
        let again = (change.request)().await;
        assert!(
            change.again.contains(&again.status),
            "{}: {} answered {} {} when it was repeated",
            self.name(),
            again.request,
            again.status,
            again.text()
        );
        assert!((change.is_there)().await, "{}: {}", self.name(), again.request);
        let expected = 1 + usize::from(is_there && change.repeats_count);
        assert_eq!(self.audited(target, action).await, expected, "{}", self.name());
    }
}

type Sends<'c> = Box<dyn Fn() -> Request + 'c>;
type Looks<'c> = Box<dyn Fn() -> futures::future::LocalBoxFuture<'c, bool> + 'c>;

/// A change that one request makes.
pub(super) struct Change<'c> {
    request: Sends<'c>,
    /// What the same request may be answered when it is repeated.
    again: &'static [u16],
    is_there: Looks<'c>,
    /// Target and action of its audit row.
    audited: (String, &'static str),
    /// Whether the same request is a change anew each time.
    repeats_count: bool,
}

impl<'c> Change<'c> {
    pub(super) fn of(
        request: impl Fn() -> Request + 'c,
        audited: (String, &'static str),
        look: impl Fn() -> Request + 'c,
        is_so: impl Fn(&Answer) -> bool + Copy + 'c,
    ) -> Self {
        Self {
            request: Box::new(request),
            again: &[200, 201],
            is_there: Box::new(move || {
                let looking = look();
                Box::pin(async move { is_so(&looking.await) })
            }),
            audited,
            repeats_count: false,
        }
    }

    pub(super) fn again(self, again: &'static [u16]) -> Self {
        Self { again, ..self }
    }

    pub(super) fn repeats_count(self) -> Self {
        Self {
            repeats_count: true,
            ..self
        }
    }
}

pub(super) fn is_found(answer: &Answer) -> bool {
    answer.status == 200
}

pub(super) fn is_gone(answer: &Answer) -> bool {
    answer.status == 404
}

/// An environment of a trial's own, in which its app is installed.
pub(super) fn environment(trial: &Trial<'_>) -> Environment {
    Environment::named(&trial.app.to_string()).has(trial.app, "1.0.0.0")
}
