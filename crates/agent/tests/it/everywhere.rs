//! What can go wrong with every target that speaks HTTP, told once for all drivers.

use crate::{
    desk::{Desk, work},
    double::{CLIENT_SECRET, Double, Fault, Reply, Target},
};
use agent::{
    driver::{Deployed, Driver, Found},
    failure::Failure,
};
use axum::http::Method;
use domain::operation::FailureCause;
use serde_json::Value;
use std::time::Instant;

/// A driver, the double of its target, and what they do.
pub(crate) trait Bench {
    type Target: Target;

    async fn new() -> Self;
    fn double(&self) -> &Double<Self::Target>;
    fn desk(&self) -> &Desk;
    /// Settings that differ; null leaves one out.
    fn settings(&mut self) -> &mut Value;
    /// A new driver, as after a restart.
    fn driver(&self) -> Box<dyn Driver>;
    /// How the path ends of the POST that begins it.
    fn begins(&self) -> String;
    /// How the path ends of a GET that the inventory needs.
    fn reads(&self) -> String;
    /// How the path ends of a GET that is sent after it has begun.
    fn polls(&self) -> String;
    /// How often the target began.
    fn begun(&self) -> usize;
    /// Whether it can be proved that what was lost never began, so that it is sent again.
    fn knows_what_never_began() -> bool;
    /// How many connections are signed in.
    fn sign_ins() -> usize {
        1
    }
    /// How many marks are made on the way.
    fn marks() -> usize;
    /// Installs so many more apps.
    fn fill(&self, apps: usize);

    /// A bench whose target is another one.
    async fn with(change: impl FnOnce(&mut Self::Target)) -> Self
    where
        Self: Sized,
    {
        let bench = Self::new().await;
        bench.double().change(change);
        bench
    }

    fn set(mut self, settings: Value) -> Self
    where
        Self: Sized,
    {
        *self.settings() = settings;
        self
    }

    async fn ends(&self) -> Deployed {
        self.desk().carries_out(&*self.driver()).await.unwrap()
    }

    async fn ends_well(&self, why: &str) {
        let ended = self.ends().await;
        let heard = self.desk().heard();
        assert_eq!((ended, self.begun()), (Deployed::Done, 1), "{why}: {heard}");
    }

    async fn fails(&self) -> Failure {
        match self.ends().await {
            Deployed::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }
}

fn lost_having_begun() -> [Fault; 7] {
    [
        Fault::CutAfterBody { begun: true },
        Fault::Silence { begun: true },
        Fault::CutInAnswer,
        Fault::AnswerAfter(Reply::page(502)),
        Fault::AnswerAfter(Reply::page(503)),
        Fault::AnswerAfter(Reply::page(504)),
        Fault::AnswerAfter(Reply::error(408, "", "The operation took too long")),
    ]
}

fn lost_not_having_begun() -> [Fault; 4] {
    [
        Fault::CutBeforeBody,
        Fault::CutAfterBody { begun: false },
        Fault::Silence { begun: false },
        Fault::Answer(Reply::page(502)),
    ]
}

/// A bench that waits no longer than it has to where nothing will come.
async fn facing<B: Bench>(fault: &Fault) -> B {
    let bench = B::new().await;
    if matches!(fault, Fault::Silence { .. }) {
        bench.desk().is_impatient();
    }
    bench
}

/// The end after a request that was lost and never arrived.
fn ends_as_it_can<B: Bench>(bench: &B, ended: &Deployed, why: &str) {
    match B::knows_what_never_began() {
        true => assert_eq!((ended, bench.begun()), (&Deployed::Done, 1), "{why}"),
        false => {
            let Deployed::Failed(failure) = ended else {
                panic!("{why}: {ended:?}");
            };
            assert_eq!(
                (failure.cause, bench.begun()),
                (FailureCause::TimeOut, 0),
                "{why}"
            );
        }
    }
}

pub(crate) async fn a_lost_answer_begins_nothing_twice<B: Bench>() {
    for fault in lost_having_begun() {
        let bench = facing::<B>(&fault).await;
        bench
            .double()
            .breaks(&Method::POST, &bench.begins(), 1, fault.clone());
        bench.ends_well(&format!("{fault:?}")).await;
        assert_eq!(
            bench.double().count(&Method::POST, &bench.begins()),
            1,
            "{fault:?}"
        );
    }
}

pub(crate) async fn what_never_arrived_is_not_taken_for_done<B: Bench>() {
    for fault in lost_not_having_begun() {
        let bench = facing::<B>(&fault).await;
        bench
            .double()
            .breaks(&Method::POST, &bench.begins(), 1, fault.clone());
        let ended = bench.ends().await;
        ends_as_it_can(&bench, &ended, &format!("{fault:?}"));
    }
}

pub(crate) async fn a_process_may_end_at_any_mark<B: Bench>() {
    for marks in 1..=B::marks() {
        let bench = B::new().await;
        bench.desk().dies_after(marks);
        assert_eq!(bench.desk().carries_out(&*bench.driver()).await, None, "{marks}");
        let ended = bench.ends().await;
        match bench.begun() {
            0 => ends_as_it_can(&bench, &ended, &marks.to_string()),
            begun => assert_eq!((ended, begun), (Deployed::Done, 1), "{marks}"),
        }
    }
    let bench = B::new().await;
    assert_eq!(
        bench.desk().carries_out(&*bench.driver()).await,
        Some(Deployed::Done)
    );
    assert_eq!(
        bench.desk().steps().len(),
        B::marks(),
        "{:?}",
        bench.desk().steps()
    );
}

pub(crate) async fn a_process_may_end_while_it_waits_for_the_answer<B: Bench>() {
    let bench = B::new().await;
    let begins = bench.begins();
    bench
        .double()
        .breaks(&Method::POST, &begins, 1, Fault::Silence { begun: true });
    {
        let driver = bench.driver();
        tokio::select! {
            _ = bench.desk().carries_out(&*driver) => panic!("nothing came back"),
            () = bench.double().seen(&Method::POST, &begins) => {}
        }
    }
    bench.ends_well("gone on with").await;
}

pub(crate) async fn what_was_begun_is_watched_although_the_app_is_not_seen<B: Bench>() {
    let bench = B::new().await;
    let begins = bench.begins();
    bench
        .double()
        .breaks(&Method::POST, &begins, 1, Fault::Silence { begun: true });
    {
        let driver = bench.driver();
        tokio::select! {
            _ = bench.desk().carries_out(&*driver) => panic!("nothing came back"),
            () = bench.double().seen(&Method::POST, &begins) => {}
        }
    }
    // The environment was being worked on when the next process looked.
    let unready = Found::default();
    let ended = bench.desk().goes_on(&*bench.driver(), &work(), &unready).await;
    assert_eq!((ended, bench.begun()), (Some(Deployed::Done), 1));
}

pub(crate) async fn reads_are_tried_again<B: Bench>() {
    let faults = [
        Fault::CutBeforeBody,
        Fault::CutAfterBody { begun: true },
        Fault::CutInAnswer,
        Fault::Silence { begun: true },
        Fault::Endless,
        Fault::Answer(Reply::page(502)),
        Fault::Answer(Reply::page(503)),
        Fault::Answer(Reply::page(504)),
        Fault::Answer(Reply::empty(429)),
    ];
    for fault in faults {
        let bench = facing::<B>(&fault).await;
        bench
            .double()
            .breaks(&Method::GET, &bench.reads(), 2, fault.clone());
        let found = bench.driver().inventory().await;
        assert!(found.is_ok(), "{fault:?}: {found:?}");
        bench
            .double()
            .breaks(&Method::GET, &bench.reads(), 3, fault.clone());
        let refused = bench.driver().inventory().await.unwrap_err();
        let is_passing = matches!(refused.cause, FailureCause::Connection | FailureCause::TimeOut);
        assert!(is_passing, "{fault:?}: {refused:?}");
    }
    let bench = B::new().await;
    bench
        .double()
        .breaks(&Method::GET, &bench.polls(), 2, Fault::Answer(Reply::page(503)));
    bench.ends_well("polls").await;
}

pub(crate) async fn whoever_asks_for_a_pause_gets_it<B: Bench>() {
    let busy = |after: &str| Fault::Answer(Reply::empty(429).with("retry-after", after));
    let bench = B::new().await;
    bench.double().breaks(&Method::GET, &bench.reads(), 1, busy("1"));
    let asked = Instant::now();
    bench.driver().inventory().await.unwrap();
    assert!(asked.elapsed().as_millis() >= 1_000, "{:?}", asked.elapsed());

    // By the target's clock, which is years ahead of ours: an hour.
    bench.double().set_clock("2033-01-01T00:00:00Z");
    bench.double().breaks(
        &Method::GET,
        &bench.reads(),
        1,
        busy("Sat, 01 Jan 2033 01:00:00 GMT"),
    );
    let refused = bench.driver().inventory().await.unwrap_err();
    assert_eq!(refused.cause, FailureCause::Connection, "{refused}");
    // And an hour ago.
    bench.double().breaks(
        &Method::GET,
        &bench.reads(),
        1,
        busy("Fri, 31 Dec 2032 23:00:00 GMT"),
    );
    bench.driver().inventory().await.unwrap();

    bench
        .double()
        .breaks(&Method::POST, &bench.begins(), 2, busy("0"));
    bench.ends_well("turned away").await;
}

pub(crate) async fn a_token_is_renewed_on_the_way<B: Bench>() {
    let refused = || Fault::Answer(Reply::error(401, "Authentication_InvalidCredentials", "No"));
    let bench = B::new().await;
    bench.double().breaks(&Method::GET, &bench.polls(), 1, refused());
    bench.ends_well("expired while it runs").await;
    assert_eq!(bench.double().issuer(|issuer| issuer.issued), B::sign_ins() + 1);

    let bench = B::new().await;
    bench
        .double()
        .breaks(&Method::POST, &bench.begins(), 1, refused());
    bench.ends_well("expired before it began").await;

    let bench = B::new().await;
    bench.double().issuer(|issuer| issuer.life = 300);
    bench.ends_well("tokens of five minutes").await;
}

pub(crate) async fn whoever_is_not_let_in_is_told_so<B: Bench>() {
    let refusals = [
        Reply::error(401, "Authentication_InvalidCredentials", "No"),
        Reply::error(403, "Forbidden", "You do not have sufficient permissions")
            .with("ms-correlation-x", "4711"),
    ];
    for refusal in refusals {
        let bench = B::new().await;
        bench
            .double()
            .breaks(&Method::GET, &bench.reads(), 9, Fault::Answer(refusal.clone()));
        let refused = bench.driver().inventory().await.unwrap_err();
        assert_eq!(refused.cause, FailureCause::Permission, "{refused}");
        let bench = B::new().await;
        bench
            .double()
            .breaks(&Method::POST, &bench.begins(), 9, Fault::Answer(refusal.clone()));
        let ended = bench.ends().await;
        let Deployed::Failed(failure) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(failure.cause, FailureCause::Permission, "{failure}");
        assert!(
            refusal.status == 401 || failure.text.contains("4711"),
            "{failure}"
        );
        assert_eq!(bench.begun(), 0);
    }
}

pub(crate) async fn the_issuer_of_tokens_may_be_away_for_a_while<B: Bench>() {
    for fault in [
        Fault::Answer(Reply::page(503)),
        Fault::CutAfterBody { begun: false },
        Fault::Silence { begun: false },
    ] {
        let bench = facing::<B>(&fault).await;
        bench
            .double()
            .breaks(&Method::POST, "/issuer/token", 1, fault.clone());
        bench.driver().inventory().await.unwrap();
        bench
            .double()
            .breaks(&Method::POST, "/issuer/token", 3, fault.clone());
        let asked = bench.double().asked().len();
        let refused = bench.driver().inventory().await.unwrap_err();
        assert_eq!(refused.cause, FailureCause::Connection, "{refused}");
        assert_eq!(
            bench.double().asked().len(),
            asked + 3,
            "nothing is asked without a token"
        );
    }
    let bench = B::new().await;
    let no = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret"}"#;
    bench.double().breaks(
        &Method::POST,
        "/issuer/token",
        1,
        Fault::Answer(Reply::text(401, no)),
    );
    let refused = bench.driver().inventory().await.unwrap_err();
    assert_eq!(refused.cause, FailureCause::Permission, "{refused}");
    assert!(refused.text.contains("AADSTS7000215"), "{refused}");
}

pub(crate) async fn a_target_that_is_away_is_not_begun_at<B: Bench>() {
    let bench = B::new().await;
    let driver = bench.driver();
    let found = driver.inventory().await.unwrap();
    let begun = bench.double().count(&Method::POST, &bench.begins());
    bench.double().hang_up().await;
    let ended = bench.desk().goes_on(&*driver, &work(), &found).await.unwrap();
    let (Deployed::Failed(failure) | Deployed::Unclear(failure)) = &ended else {
        panic!("{ended:?}");
    };
    assert_eq!(failure.cause, FailureCause::Connection, "{failure}");
    assert!(
        matches!(ended, Deployed::Failed(_)),
        "nothing can have begun: {ended:?}"
    );
    assert_eq!(
        (
            bench.double().count(&Method::POST, &bench.begins()),
            bench.begun()
        ),
        (begun, 0)
    );
}

pub(crate) async fn answers_may_begin_with_a_byte_order_mark<B: Bench>() {
    let bench = B::new().await;
    bench.double().breaks(&Method::GET, "", usize::MAX, Fault::Bom);
    bench.double().breaks(&Method::POST, "", usize::MAX, Fault::Bom);
    bench.ends_well("a byte order mark").await;
}

pub(crate) async fn clocks_may_differ<B: Bench>() {
    for now in ["2016-01-01T00:00:00Z", "2045-12-31T23:59:59Z"] {
        let bench = B::new().await;
        bench.double().set_clock(now);
        let lost = Fault::CutAfterBody { begun: true };
        bench.double().breaks(&Method::POST, &bench.begins(), 1, lost);
        bench.ends_well(now).await;
    }
}

pub(crate) async fn lists_may_be_long<B: Bench>() {
    let bench = B::new().await;
    let before = bench.driver().inventory().await.unwrap().apps.len();
    bench.fill(20_000);
    let found = bench.driver().inventory().await.unwrap();
    assert_eq!((found.apps.len(), found.is_complete), (before + 20_000, true));
}

pub(crate) async fn no_secret_is_repeated<B: Bench>() {
    let bench = B::new().await;
    // What begins it is signed in to last.
    let token = format!("the-token-number-{}", B::sign_ins());
    let echo = format!("{{\"message\":\"Bearer {token} of {CLIENT_SECRET} is not welcome\"}}");
    bench.double().breaks(
        &Method::POST,
        &bench.begins(),
        9,
        Fault::Answer(Reply::text(400, &echo)),
    );
    let ended = bench.ends().await;
    let told = format!("{ended:?} {} {:?}", bench.desk().heard(), bench.desk().steps());
    assert!(told.contains("is not welcome"), "{told}");
    for secret in [CLIENT_SECRET, token.as_str()] {
        assert!(!told.contains(secret), "{told}");
    }
}

pub(crate) async fn what_nobody_understands_is_passed_on<B: Bench>() {
    let bench = B::new().await;
    let danish = "{\"message\":\"Udvidelsen kunne ikke udgives, fordi månen står forkert.\"}";
    bench.double().breaks(
        &Method::POST,
        &bench.begins(),
        9,
        Fault::Answer(Reply::text(400, danish)),
    );
    let ended = bench.ends().await;
    let Deployed::Failed(failure) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(failure.cause, FailureCause::Other);
    assert!(failure.text.contains("månen står forkert"), "{failure}");
    assert_eq!(bench.begun(), 0);
}

/// Tells all of it of one driver.
macro_rules! everywhere {
    ($bench:ty: $($test:ident),+ $(,)?) => {
        mod everywhere {
            $(#[tokio::test]
            async fn $test() {
                crate::everywhere::$test::<$bench>().await;
            })+
        }
    };
    ($bench:ty) => {
        $crate::everywhere::everywhere! { $bench:
            a_lost_answer_begins_nothing_twice,
            what_never_arrived_is_not_taken_for_done,
            a_process_may_end_at_any_mark,
            a_process_may_end_while_it_waits_for_the_answer,
            what_was_begun_is_watched_although_the_app_is_not_seen,
            reads_are_tried_again,
            whoever_asks_for_a_pause_gets_it,
            a_token_is_renewed_on_the_way,
            whoever_is_not_let_in_is_told_so,
            the_issuer_of_tokens_may_be_away_for_a_while,
            a_target_that_is_away_is_not_begun_at,
            answers_may_begin_with_a_byte_order_mark,
            clocks_may_differ,
            lists_may_be_long,
            no_secret_is_repeated,
            what_nobody_understands_is_passed_on,
        }
    };
}
pub(crate) use everywhere;
