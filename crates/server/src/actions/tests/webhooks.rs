//! Webhooks over days, of which a test has none to wait.

use super::{
    APP, Fixture, NOW,
    clocks::{on_postgres, wrong_by},
    on_both,
};
use crate::{
    actions::webhooks::{Attempt, Outcome, record_attempt},
    jobs::webhooks::remove_old,
};
use domain::{
    ids::Etag,
    instant::Instant,
    webhook::{AttemptResult, DeliveryStatus, DisabledReason, WebhookFormat},
};
use std::time::Duration;
use store::webhooks::{self, Delivery, Webhook};
use uuid::Uuid;

const HOOK: Uuid = Uuid::from_u128(0x40);

fn hook(id: Uuid) -> Webhook {
    Webhook {
        id,
        app_id: Some(APP),
        tenant_id: None,
        url: "https://hooks.contoso.com/".to_owned(),
        events: String::new(),
        format: WebhookFormat::StandardWebhooks,
        secret: String::new(),
        former_secret: None,
        former_secret_until: None,
        created_on: NOW,
        created_by: "User".to_owned(),
        disabled_on: None,
        disabled_reason: None,
        paused_until: None,
        delivered_on: None,
        etag: Etag::random(),
    }
}

/// What waits to be told for the first time at `at`.
fn waiting(webhook: Uuid, event: u128, at: Instant) -> Delivery {
    Delivery {
        webhook_id: webhook,
        event_id: Uuid::from_u128(event),
        kind: "hotfix.failed".to_owned(),
        operation_id: None,
        body: "{}".to_owned(),
        occurred_on: at,
        status: DeliveryStatus::Waiting,
        attempts: 0,
        next_on: Some(at),
        first_on: None,
        last_on: None,
        last_result: None,
        last_status: None,
        last_milliseconds: None,
    }
}

fn busy(asked: Option<Duration>) -> Attempt {
    Attempt {
        outcome: Outcome::Later {
            result: AttemptResult::Status,
            asked,
            pauses: true,
            rest: None,
        },
        status: Some(503),
        took: Duration::ZERO,
    }
}

fn taken() -> Attempt {
    Attempt {
        outcome: Outcome::Accepted,
        status: Some(204),
        took: Duration::ZERO,
    }
}

impl Fixture {
    async fn has_hook(&self, webhook: &Webhook) {
        let added = self.service.db.write(webhook.clone(), |mut tx, webhook| {
            Box::pin(async move {
                Ok::<_, crate::error::Error>(webhooks::insert_webhook(&mut tx, webhook).await?)
            })
        });
        added.await.unwrap();
    }

    async fn is_to_tell(&self, deliveries: &[Delivery]) {
        let added = self.service.db.write(deliveries.to_vec(), |mut tx, all| {
            Box::pin(
                async move { Ok::<_, crate::error::Error>(webhooks::insert_deliveries(&mut tx, all).await?) },
            )
        });
        added.await.unwrap();
    }

    async fn hook(&self) -> Webhook {
        webhooks::find_webhook(&self.service.db, HOOK)
            .await
            .unwrap()
            .unwrap()
    }

    async fn delivery(&self, event: u128) -> Option<Delivery> {
        let found = self.service.db.write(event, |mut tx, event| {
            Box::pin(async move {
                let event = Uuid::from_u128(*event);
                Ok::<_, crate::error::Error>(webhooks::lock_delivery(&mut tx, HOOK, event).await?)
            })
        });
        found.await.unwrap()
    }

    /// Tries a delivery, which goes so.
    async fn tries(&self, event: u128, attempt: Attempt) {
        let delivery = self.delivery(event).await.unwrap();
        record_attempt(&self.service, &delivery, attempt).await.unwrap();
    }

    fn passes(&self, hours: u64) {
        self.service
            .clock
            .set(self.service.clock.now() + Duration::from_hours(hours));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_dead_and_has_much_to_be_told_is_told_nothing_any_more() {
    on_both(|fixture| async move {
        fixture.has_hook(&hook(HOOK)).await;
        let all: Vec<_> = (0..200).map(|event| waiting(HOOK, event, NOW)).collect();
        fixture.is_to_tell(&all).await;
        // Each time others are tried, none of them twice.
        for event in 0..80 {
            fixture.tries(event, busy(None)).await;
            assert_eq!(fixture.hook().await.disabled_on, None, "{event}");
            fixture.passes(1);
        }
        fixture.tries(80, busy(None)).await;
        assert_eq!(
            fixture.hook().await.disabled_reason,
            Some(DisabledReason::Failing)
        );
        let told = fixture
            .service
            .db
            .query("SELECT kind FROM events WHERE kind = 'webhook.disabled'");
        assert_eq!(told.fetch_all::<(String,)>().await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_something_now_and_then_is_told_on() {
    on_both(|fixture| async move {
        fixture.has_hook(&hook(HOOK)).await;
        fixture
            .is_to_tell(&[waiting(HOOK, 1, NOW), waiting(HOOK, 2, NOW)])
            .await;
        fixture.tries(1, busy(None)).await;
        fixture.passes(90);
        fixture.tries(2, taken()).await;
        fixture.tries(1, busy(None)).await;
        assert_eq!(fixture.hook().await.disabled_on, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_not_forgotten_while_it_may_be_told() {
    on_both(|fixture| async move {
        fixture.has_hook(&hook(HOOK)).await;
        let done = Delivery {
            status: DeliveryStatus::Failed,
            next_on: None,
            ..waiting(HOOK, 2, NOW)
        };
        fixture.is_to_tell(&[waiting(HOOK, 1, NOW), done]).await;
        fixture.passes(15 * 24);
        remove_old(&fixture.service).await.unwrap();
        assert!(fixture.delivery(1).await.is_some() && fixture.delivery(2).await.is_none());
        fixture
            .tries(
                1,
                Attempt {
                    outcome: Outcome::Gone,
                    ..busy(None)
                },
            )
            .await;
        fixture.is_to_tell(&[waiting(HOOK, 3, NOW)]).await;
        assert!(fixture.hook().await.disabled_on.is_some());
        remove_old(&fixture.service).await.unwrap();
        assert!(fixture.delivery(3).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_does_not_end_a_pause_that_was_asked_for() {
    on_both(|fixture| async move {
        fixture.has_hook(&hook(HOOK)).await;
        let all = [1, 2, 3].map(|event| waiting(HOOK, event, NOW));
        fixture.is_to_tell(&all).await;
        let hour = Duration::from_hours(1);
        fixture.tries(1, busy(Some(hour))).await;
        fixture.tries(2, taken()).await;
        let due = async || {
            let now = fixture.service.clock.now();
            let due = webhooks::due_webhooks(&fixture.service.db, now).await;
            due.unwrap().len()
        };
        assert_eq!(
            (fixture.hook().await.paused_until, due().await),
            (Some(NOW + hour), 0)
        );
        fixture.passes(1);
        assert_eq!(due().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_clock_is_wrong_forgets_nothing() {
    on_postgres(|fleet| async move {
        let fixture = &fleet.fixture;
        fixture.has_hook(&hook(HOOK)).await;
        let now = fixture.service.clock.now();
        let done = Delivery {
            status: DeliveryStatus::Delivered,
            next_on: None,
            ..waiting(HOOK, 1, now)
        };
        fixture.is_to_tell(&[done]).await;
        let days = 15 * 24 * 3_600;
        let server = wrong_by(&fleet, days, days).await;
        remove_old(&server).await.unwrap();
        assert!(fixture.delivery(1).await.is_some());
        fixture.passes(15 * 24);
        remove_old(&fixture.service).await.unwrap();
        assert!(fixture.delivery(1).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_disabled_webhook_is_not_counted() {
    on_both(|fixture| async move {
        let disabled = Webhook {
            disabled_on: Some(NOW),
            disabled_reason: Some(DisabledReason::Asked),
            ..hook(HOOK)
        };
        fixture.has_hook(&disabled).await;
        fixture.is_to_tell(&[waiting(HOOK, 1, NOW)]).await;
        let (db, other) = (&fixture.service.db, Uuid::from_u128(0x41));
        let counted = async || {
            let any = webhooks::is_any_waiting(db).await.unwrap();
            (any, webhooks::count_waiting(db, 10).await.unwrap())
        };
        assert_eq!(counted().await, (false, (0, None)));
        fixture.has_hook(&hook(other)).await;
        let later = NOW + Duration::from_hours(1);
        fixture.is_to_tell(&[waiting(other, 2, later)]).await;
        assert_eq!(counted().await, (true, (1, Some(later))));
    })
    .await;
}
