//! Findings as they are made, and put in order at the end.

use super::finding::{Finding, Forecast, Mode, ObjectRef, Part, Side, severity};
use super::model::{Field, Key, Object, ObjectKind};
use super::rules::Rule;

/// What was found so far.
pub(super) struct Changes {
    mode: Mode,
    findings: Vec<(Place, Finding)>,
}

/// Where a finding is told: by kind, number and name of the object, then of its part.
type Place = Option<(ObjectKind, i64, String)>;

/// What a change is about.
#[derive(Clone)]
pub(super) struct About<'o> {
    object: &'o Object,
    part: Option<Part>,
}

impl<'o> About<'o> {
    pub(super) fn object(object: &'o Object) -> Self {
        Self { object, part: None }
    }

    pub(super) fn field(object: &'o Object, field: &Field) -> Self {
        Self::part(object, "field", Some(field.id), &field.name)
    }

    pub(super) fn key(object: &'o Object, key: &Key) -> Self {
        Self::part(object, "key", None, &key.name)
    }

    pub(super) fn part(object: &'o Object, kind: &'static str, id: Option<i64>, name: &str) -> Self {
        let name = name.to_owned();
        Self {
            object,
            part: Some(Part { kind, id, name }),
        }
    }
}

impl Changes {
    pub(super) fn new(mode: Mode) -> Self {
        let findings = Vec::new();
        Self { mode, findings }
    }

    /// Something about the app.
    pub(super) fn add(&mut self, rule: &'static Rule, before: Option<String>, after: Option<String>) {
        self.push(rule, None, None, None, (before, after));
    }

    /// Something about an object, or a part of it.
    pub(super) fn about(
        &mut self,
        rule: &'static Rule,
        about: &About<'_>,
        before: Option<String>,
        after: Option<String>,
    ) {
        let object = about.object;
        let place = (object.kind, object.id, object.name.to_string());
        let shown = ObjectRef {
            kind: object.kind.as_str(),
            id: object.id,
            name: object.name.to_string(),
            namespace: object.namespace.to_string(),
        };
        self.push(
            rule,
            Some(place),
            Some(shown),
            about.part.clone(),
            (before, after),
        );
    }

    /// Something that is no more.
    pub(super) fn gone(&mut self, rule: &'static Rule, about: &About<'_>, before: impl Into<String>) {
        self.about(rule, about, Some(before.into()), None);
    }

    /// Something that was not there.
    pub(super) fn new_there(&mut self, rule: &'static Rule, about: &About<'_>, after: impl Into<String>) {
        self.about(rule, about, None, Some(after.into()));
    }

    /// Something that is other than it was.
    pub(super) fn changed(
        &mut self,
        rule: &'static Rule,
        about: &About<'_>,
        before: impl Into<String>,
        after: impl Into<String>,
    ) {
        self.about(rule, about, Some(before.into()), Some(after.into()));
    }

    fn push(
        &mut self,
        rule: &'static Rule,
        place: Place,
        object: Option<ObjectRef>,
        member: Option<Part>,
        (before, after): (Option<String>, Option<String>),
    ) {
        let finding = Finding {
            code: rule.code,
            severity: severity(rule.outcome, self.mode, rule.applied),
            object,
            member,
            before,
            after,
            outcome: rule.outcome,
            evidence: rule.evidence,
            rule: rule.number,
            source: rule.source,
            message: rule.message,
        };
        self.findings.push((place, finding));
    }

    /// Whether something is gone.
    pub(super) fn has_removals(&self) -> bool {
        let is_gone = |code: &str| code.ends_with("-removed") || code.contains("-gone-");
        self.findings.iter().any(|(_, finding)| is_gone(finding.code))
    }

    /// All that was found, in order.
    pub(super) fn forecast(mut self, old: Side, new: Side) -> Forecast {
        self.findings.sort_by(|(one_place, one), (other_place, other)| {
            let rest = |finding: &Finding| {
                let part = finding.member.clone();
                let part = part.map(|part| (part.kind, part.id, part.name));
                (part, finding.code, finding.before.clone(), finding.after.clone())
            };
            one_place
                .cmp(other_place)
                .then_with(|| rest(one).cmp(&rest(other)))
        });
        let findings = self.findings.into_iter().map(|(_, finding)| finding).collect();
        Forecast::new(self.mode, old, new, findings)
    }
}
