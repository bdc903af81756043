//! A service with as many replicas as its database allows: one server on SQLite, two replicas on PostgreSQL. For what only
//! shows when several people do something at the same time.

use super::{Answer, Backend, Harness, Plan, Request, Stopped};
use futures::future::join_all;
use serde_json::Value;
use std::{future::IntoFuture, time::Duration};
use test_support::postgres_cluster;

/// The replicas of one service.
pub(crate) struct Replicas {
    backend: Backend,
    replicas: Vec<Harness>,
}

impl Replicas {
    /// Opens the replicas of a service with the app of the samples in it.
    pub(crate) async fn open(plan: Plan) -> Self {
        let backend = plan.backend;
        let mut replicas = vec![plan.start().await];
        if backend == Backend::Postgres {
            let beside = replicas[0].beside("server.drain_seconds", "20").await;
            replicas.push(beside);
        }
        Self { backend, replicas }
    }

    /// The replica that the caller of this number asks.
    pub(crate) fn at(&self, number: usize) -> &Harness {
        &self.replicas[number % self.replicas.len()]
    }

    /// Moves all clocks on, and does what became due.
    pub(crate) async fn advance(&self, span: Duration) {
        for replica in &self.replicas {
            replica.advances(span).await;
        }
    }

    /// The audit rows of a target in the order of their making, with this action.
    pub(crate) async fn audit(&self, target: &str, action: &str) -> Vec<Value> {
        let filter = format!("target eq '{target}' and action eq '{action}'");
        let path = format!("/operator/v1/audit?$filter={filter}&$orderby=id");
        self.at(0).operator().get(path).await.expect(200).rows()
    }

    /// Ends the service. Its transactions must never have waited for each other in a circle.
    pub(crate) async fn close(self) -> Stopped {
        let mut stopped = Vec::new();
        for replica in self.replicas {
            stopped.push(replica.crash().await);
        }
        let first = stopped.swap_remove(0);
        if self.backend == Backend::Postgres {
            let deadlocks = postgres_cluster::deadlocks(&first.database_url()).await;
            assert_eq!(deadlocks, 0, "PostgreSQL counted deadlocks");
        }
        first
    }
}

/// Sends all requests at the same time; their answers, in the order of the requests.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<Answer> {
    let sent = requests
        .into_iter()
        .map(|request| tokio::spawn(request.into_future()));
    let answers = join_all(sent).await;
    answers.into_iter().map(|answer| answer.unwrap()).collect()
}
