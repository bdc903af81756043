//! Agents between two requests: calls at once, a token that is replaced while it is used, and who is told.

use super::{Fixture, on_both, owner_asks};
use crate::actions::{
    Arrival,
    agents::{
        AgentCall, AgentCaller, Credential, GivenToken, RegisterAgent, SignIn, enrol, put_agent,
        rotate_token, sign_in,
    },
    preconditions::Preconditions,
};
use crate::error::{Error, Result};
use auth::OwnToken;
use domain::{agent::AgentScope, problem::Code};
use futures::future::join_all;
use store::{FromRow, Row, StoreError};
use uuid::Uuid;
use wire::lenient::Object;

const SESSION: Uuid = Uuid::from_u128(0x5E55);

struct Told {
    kind: String,
    payload: String,
}

impl FromRow for Told {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            kind: row.get(0)?,
            payload: row.get(1)?,
        })
    }
}

impl Fixture {
    /// Registers an agent; the code to enrol it by.
    async fn registers_agent(&self) -> OwnToken {
        let command = RegisterAgent {
            scope: AgentScope::default(),
            scope_reason: Some("One agent for all".into()),
            serves_unreported: false,
            identity: None,
            given: Object::default(),
        };
        let name = "eu".to_owned();
        let (operator, conditions) = (owner_asks(), Preconditions::default());
        let saved = put_agent(&self.service, &operator, name, command, conditions);
        saved.await.unwrap().code.unwrap()
    }

    /// The same, and enrols it.
    async fn has_agent(&self) -> OwnToken {
        let code = self.registers_agent().await;
        let enrolled = enrol(&self.service, code.text(), Arrival::direct()).await;
        enrolled.unwrap().token
    }

    async fn calls(&self, token: &OwnToken, session: Uuid) -> Result<AgentCaller> {
        let call = AgentCall {
            credential: Credential::Token(token.sha256()),
            session_id: Some(session),
            software: None,
            is_ready: None,
            arrival: Arrival::direct(),
        };
        match sign_in(&self.service, call).await? {
            SignIn::Agent(caller) => Ok(*caller),
            SignIn::Unknown | SignIn::Expired => panic!("nobody knows the token"),
        }
    }

    /// Asks for a new token once the last one is old enough.
    async fn rotates(&self, token: &OwnToken) -> Result<GivenToken> {
        self.advance(60);
        let caller = self.calls(token, SESSION).await?;
        rotate_token(&self.service, &caller).await
    }

    /// The events about agents, in their order.
    async fn told_of_agents(&self) -> Vec<Told> {
        let sql = "SELECT kind, payload FROM events WHERE kind LIKE 'agent.%' ORDER BY id";
        self.service.db.query(sql).fetch_all().await.unwrap()
    }
}

#[track_caller]
fn refused<T>(answer: Result<T>, code: Code) {
    match answer.err().expect("it was not refused") {
        Error::Rule(problem) => assert_eq!(problem.code, code, "{problem}"),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_process_may_be_many_at_once() {
    on_both(|fixture| async move {
        let token = fixture.has_agent().await;
        let calls = (0..20).map(|_| fixture.calls(&token, SESSION));
        for caller in join_all(calls).await {
            assert_eq!(caller.unwrap().name, "eu");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_in_use_is_not_replaced_by_the_one_before() {
    on_both(|fixture| async move {
        let first = fixture.has_agent().await;
        let second = fixture.rotates(&first).await.unwrap().token;
        fixture.calls(&first, SESSION).await.unwrap();
        fixture.calls(&second, SESSION).await.unwrap();
        refused(fixture.rotates(&first).await, Code::Forbidden);
        fixture.rotates(&second).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_found_out_and_told_of_once() {
    on_both(|fixture| async move {
        let token = fixture.has_agent().await;
        fixture.calls(&token, SESSION).await.unwrap();
        fixture.calls(&token, Uuid::from_u128(0xC0FF)).await.unwrap();
        let calls = (0..8).map(|_| fixture.calls(&token, SESSION));
        for answer in join_all(calls).await {
            refused(answer, Code::AgentFrozen);
        }
        let told = fixture.told_of_agents().await;
        let kinds: Vec<_> = told.iter().map(|told| told.kind.as_str()).collect();
        assert_eq!(kinds, ["agent.enrolled", "agent.frozen"]);
        let payload: serde_json::Value = serde_json::from_str(&told[1].payload).unwrap();
        assert_eq!(payload["name"], "eu");
        assert!(
            payload["frozenReason"]
                .as_str()
                .unwrap()
                .contains("Two processes")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_bring_one_code_one_gets_a_token() {
    on_both(|fixture| async move {
        let code = fixture.registers_agent().await;
        let enrolling = (0..4).map(|_| enrol(&fixture.service, code.text(), Arrival::direct()));
        let (given, others): (Vec<_>, Vec<_>) =
            join_all(enrolling).await.into_iter().partition(Result::is_ok);
        assert_eq!(given.len(), 1);
        for other in others {
            refused(other, Code::EnrolmentRefused);
        }
    })
    .await;
}
