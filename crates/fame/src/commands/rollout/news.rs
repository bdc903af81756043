//! What a look at the service says of an environment of the rollout: which of its hotfixes is the rollout's, and how that is.
//! Pure, so that every history can be tried.

use super::{
    members::Member,
    record::{Id, Reason, Record},
    remote::Hotfix,
};
use domain::{
    instant::Instant,
    operation::OperationStatus,
    rollout::{MemberReason, MemberState},
    version::AppVersion,
};
use std::time::Duration;

/// What is looked at, and with which eyes.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// The version to go to.
    pub target: AppVersion,
    /// When.
    pub now: Instant,
    /// After how long nobody counts on the end of what runs.
    pub unknown_after: Duration,
}

impl Look {
    /// What there is to write down of the member at `place`, of whose environment these hotfixes were read. A hotfix that is
    /// not among them has not ended for that.
    pub(super) fn news(self, place: usize, member: &Member, seen: &[Hotfix]) -> Vec<Record> {
        let mut records = Vec::new();
        // What has ended has: its hotfix says nothing new, be it Canceled where its environment counts as Expired.
        let ours = self.ours(member, seen).filter(|_| member.is_to_be_heard_of());
        if let (Some(ours), Some(_)) = (ours, &member.intent) {
            records.push(Record::Posted {
                member: place,
                hotfix: Id(ours.id),
            });
        }
        let became = match ours {
            Some(ours) => became(member, ours),
            None if member.state == MemberState::Blocked && seen.iter().all(Hotfix::has_ended) => {
                Some((MemberState::Taken, None))
            }
            None => None,
        };
        let became = became.or_else(|| self.is_lost(member).then(lost));
        records.extend(became.map(|(state, reason)| Record::Became {
            member: place,
            state,
            on: self.now,
            reason,
        }));
        records
    }

    /// The hotfix of the rollout: the one that is known, or the one that turned up after it was posted.
    pub(super) fn ours<'h>(self, member: &Member, seen: &'h [Hotfix]) -> Option<&'h Hotfix> {
        let is_ours = |hotfix: &&Hotfix| match &member.intent {
            Some(known) => hotfix.target == Some(self.target) && !known.contains(&hotfix.id),
            None => Some(hotfix.id) == member.hotfix,
        };
        seen.iter().find(is_ours)
    }

    fn is_lost(self, member: &Member) -> bool {
        member.state == MemberState::Running && self.now.since(member.since) >= self.unknown_after
    }
}

/// Where a member is by what its hotfix says, if that is news.
pub(super) fn became(member: &Member, ours: &Hotfix) -> Option<(MemberState, Option<Reason>)> {
    let status = ours.status?;
    let state = match (status, member.calling_off) {
        (OperationStatus::Canceled, Some(then)) => then,
        _ => MemberState::of_hotfix(status, None, None),
    };
    // What counts as lost is lost until it has ended.
    let is_still_lost = member.state == MemberState::Unknown && !status.is_terminal();
    let is_news = state != member.state && !is_still_lost;
    is_news.then(|| (state, reason(state, ours.message.as_deref())))
}

/// Why a member is where it is, where there is something to say.
pub(super) fn reason(state: MemberState, said: Option<&str>) -> Option<Reason> {
    let (code, text) = match state {
        MemberState::Failed | MemberState::Skipped => {
            (state.to_string(), said.unwrap_or("The service does not say why."))
        }
        MemberState::Expired => (
            MemberReason::DeadlinePassed.to_string(),
            "It had not begun when its wave's deadline passed.",
        ),
        MemberState::Canceled => match said {
            Some(said) => (state.to_string(), said),
            None => (state.to_string(), "Its hotfix was called off."),
        },
        _ => return None,
    };
    Some(Reason {
        code,
        text: text.to_owned(),
    })
}

fn lost() -> (MemberState, Option<Reason>) {
    let reason = Reason {
        code: "OutcomeUnknown".to_owned(),
        text: "It ran for longer than anybody waits; how it ends is still listened for.".to_owned(),
    };
    (MemberState::Unknown, Some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rollout::{
        members::Ledger,
        record::{Chosen, FORM, Took},
        snapshot::Snapshot,
    };
    use domain::{
        environment::EnvironmentKey,
        ids::{AppId, OperationId, TenantId},
        rollout::{
            Definition, Rollout,
            definition::{Later, Selection, Wave},
        },
    };
    use uuid::Uuid;

    const BEGIN: Instant = Instant(1_000_000_000_000);
    const LOOK: Look = Look {
        target: AppVersion([1, 0, 1, 0]),
        now: BEGIN,
        unknown_after: Duration::from_hours(24),
    };

    fn tenant() -> TenantId {
        TenantId(Uuid::from_u128(1))
    }

    /// A rollout with one environment, which its only wave has taken.
    fn ledger() -> Ledger {
        let definition = Definition {
            name: "One".to_owned(),
            target: LOOK.target,
            note: None,
            run_after: None,
            ignore_upgrade_window: None,
            select: Selection {
                countries: None,
                filter: None,
                except: Vec::new(),
                later: Later::Ignore,
            },
            waves: vec![Wave::default()],
            approval_required: false,
        };
        let chosen = Chosen {
            tenant: tenant(),
            family: "BusinessCentral".to_owned(),
            name: "North".to_owned(),
            country: "US".parse().unwrap(),
            kind: None,
            installed: None,
        };
        let mut ledger = Ledger::default();
        ledger.take(&Record::Begun {
            form: FORM,
            on: BEGIN,
            app: AppId(Uuid::from_u128(2)),
            members: vec![chosen],
        });
        ledger.take(&Record::Stood {
            rollout: Box::new(Snapshot::of(&Rollout::new(&definition, false, BEGIN))),
            took: Some(Took {
                wave: 0,
                members: vec![0],
                left: Vec::new(),
            }),
            retried: Vec::new(),
        });
        ledger
    }

    fn hotfix(id: u128, target: AppVersion, status: OperationStatus) -> Hotfix {
        Hotfix {
            id: OperationId(Uuid::from_u128(id)),
            environment: EnvironmentKey::new(tenant(), "BusinessCentral", "North"),
            target: Some(target),
            status: Some(status),
            message: None,
        }
    }

    fn looks(ledger: &mut Ledger, look: Look, seen: &[Hotfix]) -> MemberState {
        for record in look.news(0, &ledger.members[0], seen) {
            ledger.take(&record);
        }
        ledger.members[0].state
    }

    fn intends(ledger: &mut Ledger, known: &[u128]) {
        let known = known
            .iter()
            .map(|id| Id(OperationId(Uuid::from_u128(*id))))
            .collect();
        ledger.take(&Record::Intends {
            member: 0,
            attempt: 1,
            known,
            on: BEGIN,
        });
    }

    #[test]
    fn what_turned_up_after_a_post_is_its_hotfix_even_if_it_has_ended() {
        let old = hotfix(1, LOOK.target, OperationStatus::Failed);
        let other = hotfix(2, AppVersion([1, 0, 9, 0]), OperationStatus::Succeeded);
        for (status, state) in [
            (OperationStatus::Scheduled, MemberState::Scheduled),
            (OperationStatus::Failed, MemberState::Failed),
            (OperationStatus::Succeeded, MemberState::Updated),
        ] {
            let mut ledger = ledger();
            intends(&mut ledger, &[1]);
            assert_eq!(
                looks(&mut ledger, LOOK, &[old.clone(), other.clone()]),
                MemberState::Taken
            );
            let seen = [old.clone(), hotfix(3, LOOK.target, status), other.clone()];
            assert_eq!(looks(&mut ledger, LOOK, &seen), state);
            assert_eq!(ledger.members[0].hotfix, Some(OperationId(Uuid::from_u128(3))));
            assert_eq!(LOOK.news(0, &ledger.members[0], &seen), [], "it is told once");
        }
    }

    #[test]
    fn a_row_that_is_missing_and_a_word_that_nobody_knows_are_no_end() {
        let mut ledger = ledger();
        intends(&mut ledger, &[]);
        let mut seen = hotfix(1, LOOK.target, OperationStatus::Running);
        assert_eq!(looks(&mut ledger, LOOK, &[seen.clone()]), MemberState::Running);
        assert_eq!(looks(&mut ledger, LOOK, &[]), MemberState::Running);
        seen.status = None;
        assert_eq!(looks(&mut ledger, LOOK, &[seen]), MemberState::Running);
    }

    #[test]
    fn what_runs_too_long_counts_as_lost_and_a_true_end_corrects_that() {
        let mut ledger = ledger();
        intends(&mut ledger, &[]);
        let running = hotfix(1, LOOK.target, OperationStatus::Running);
        looks(&mut ledger, LOOK, std::slice::from_ref(&running));
        let at = |hours| Look {
            now: BEGIN + Duration::from_hours(hours),
            ..LOOK
        };
        assert_eq!(
            looks(&mut ledger, at(23), std::slice::from_ref(&running)),
            MemberState::Running
        );
        assert_eq!(
            looks(&mut ledger, at(24), std::slice::from_ref(&running)),
            MemberState::Unknown
        );
        assert_eq!(looks(&mut ledger, at(25), &[running]), MemberState::Unknown);
        let ended = hotfix(1, LOOK.target, OperationStatus::Succeeded);
        assert_eq!(looks(&mut ledger, at(26), &[ended]), MemberState::Updated);
    }

    #[test]
    fn what_was_called_off_is_where_it_was_to_be_and_what_others_call_off_is_canceled() {
        for (then, state) in [
            (Some(MemberState::Taken), MemberState::Taken),
            (Some(MemberState::Expired), MemberState::Expired),
            (None, MemberState::Canceled),
        ] {
            let mut ledger = ledger();
            intends(&mut ledger, &[]);
            let scheduled = hotfix(1, LOOK.target, OperationStatus::Scheduled);
            looks(&mut ledger, LOOK, &[scheduled]);
            if let Some(then) = then {
                ledger.take(&Record::CallsOff { member: 0, then });
            }
            let canceled = hotfix(1, LOOK.target, OperationStatus::Canceled);
            assert_eq!(looks(&mut ledger, LOOK, &[canceled]), state);
            let canceled = hotfix(1, LOOK.target, OperationStatus::Canceled);
            assert_eq!(
                LOOK.news(0, &ledger.members[0], &[canceled]),
                [],
                "it is told once"
            );
            let is_withdrawn = state == MemberState::Taken;
            assert_eq!(ledger.members[0].hotfix.is_none(), is_withdrawn);
            assert_eq!(
                ledger.members[0].attempt,
                u32::from(!is_withdrawn),
                "that was no attempt"
            );
        }
    }

    #[test]
    fn what_could_not_be_called_off_any_more_runs() {
        let mut ledger = ledger();
        intends(&mut ledger, &[]);
        looks(
            &mut ledger,
            LOOK,
            &[hotfix(1, LOOK.target, OperationStatus::Scheduled)],
        );
        ledger.take(&Record::CallsOff {
            member: 0,
            then: MemberState::Taken,
        });
        let state = looks(
            &mut ledger,
            LOOK,
            &[hotfix(1, LOOK.target, OperationStatus::Running)],
        );
        assert_eq!(state, MemberState::Running);
        let state = looks(
            &mut ledger,
            LOOK,
            &[hotfix(1, LOOK.target, OperationStatus::Canceled)],
        );
        assert_eq!(state, MemberState::Canceled, "that was somebody else");
    }

    #[test]
    fn who_waits_for_another_hotfix_goes_on_when_that_has_ended() {
        let mut ledger = ledger();
        ledger.take(&Record::Became {
            member: 0,
            state: MemberState::Blocked,
            on: BEGIN,
            reason: None,
        });
        let other = |status| hotfix(9, AppVersion([1, 0, 9, 0]), status);
        assert_eq!(
            looks(&mut ledger, LOOK, &[other(OperationStatus::Running)]),
            MemberState::Blocked
        );
        assert_eq!(
            looks(&mut ledger, LOOK, &[other(OperationStatus::Failed)]),
            MemberState::Taken
        );
    }
}
