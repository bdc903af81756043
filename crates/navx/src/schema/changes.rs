//! Findings as they are made, and put in order at the end.

use super::finding::{Finding, Forecast, Mode, ObjectRef, Part, Side, severity};
use super::model::{Field, Key, Object, ObjectKind};
use super::rules::{self, Rule};

/// The most findings of a forecast. Whoever has so many reads none of them.
const MAX_FINDINGS: usize = 10_000;
/// The most bytes of names and values in all of them.
const MAX_FOUND_BYTES: usize = 16 << 20;

/// The most things that are looked at, some of them several times. The Base Application against another takes about a fifth.
const MAX_STEPS: usize = 5_000_000;

/// What was found so far, and how much may still be.
pub(super) struct Changes {
    mode: Mode,
    findings: Vec<(Place, Finding)>,
    bytes_left: usize,
    steps_left: usize,
    /// Whether nothing is looked for any more.
    is_over: bool,
}

/// Where a finding is told: by the kind of the object, before what the finding itself says of it.
type Place = Option<ObjectKind>;

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
        Self {
            mode,
            findings: Vec::new(),
            bytes_left: MAX_FOUND_BYTES,
            steps_left: MAX_STEPS,
            is_over: false,
        }
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
        if self.is_over {
            return;
        }
        let object = about.object;
        let shown = ObjectRef {
            kind: object.kind.as_str(),
            id: object.id,
            name: object.name.to_string(),
            namespace: object.namespace.to_string(),
        };
        self.push(
            rule,
            Some(object.kind),
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
            object,
            member,
            before,
            after,
            ..Finding::of(rule, self.mode)
        };
        let bytes = finding.bytes();
        if self.is_over {
            return;
        }
        if self.findings.len() == MAX_FINDINGS || bytes > self.bytes_left {
            self.end(&rules::TOO_MANY_FINDINGS);
            return;
        }
        self.bytes_left -= bytes;
        self.findings.push((place, finding));
    }

    /// Whether so many things may still be looked at, which are then counted.
    pub(super) fn may_look_at(&mut self, count: usize) -> bool {
        if self.is_over {
            return false;
        }
        match self.steps_left.checked_sub(count) {
            Some(left) => self.steps_left = left,
            None => self.end(&rules::TOO_COSTLY),
        }
        !self.is_over
    }

    #[cfg(test)]
    pub(super) fn codes(&self) -> Vec<&'static str> {
        self.findings.iter().map(|(_, finding)| finding.code).collect()
    }

    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        MAX_STEPS - self.steps_left
    }

    /// Says why nothing is looked for any more.
    fn end(&mut self, rule: &'static Rule) {
        self.findings.push((None, Finding::of(rule, self.mode)));
        self.is_over = true;
    }

    /// Whether something is gone.
    pub(super) fn has_removals(&self) -> bool {
        let is_gone = |code: &str| code.ends_with("-removed") || code.contains("-gone-");
        self.findings.iter().any(|(_, finding)| is_gone(finding.code))
    }

    /// All that was found, in order.
    pub(super) fn forecast(mut self, old: Side, new: Side) -> Forecast {
        self.findings.sort_by(|(one_place, one), (other_place, other)| {
            one_place
                .cmp(other_place)
                .then_with(|| one.order().cmp(&other.order()))
        });
        let findings = self.findings.into_iter().map(|(_, finding)| finding).collect();
        Forecast::new(self.mode, old, new, findings)
    }
}

impl Finding {
    /// What a rule says, of nothing in particular.
    fn of(rule: &'static Rule, mode: Mode) -> Self {
        Self {
            code: rule.code,
            severity: severity(rule.outcome, mode, rule.applied),
            object: None,
            member: None,
            before: None,
            after: None,
            outcome: rule.outcome,
            evidence: rule.evidence,
            rule: rule.number,
            source: rule.source,
            message: rule.message,
        }
    }

    /// In which order findings about objects of one kind are told.
    fn order(&self) -> impl Ord {
        let object = self.object.as_ref().map(|object| (object.id, &object.name));
        (object, &self.member, self.code, &self.before, &self.after)
    }

    /// Bytes of its names and values.
    fn bytes(&self) -> usize {
        let object = self
            .object
            .as_ref()
            .map(|object| object.name.len() + object.namespace.len());
        let member = self.member.as_ref().map(|member| member.name.len());
        let values = [&self.before, &self.after].into_iter().flatten().map(String::len);
        object.into_iter().chain(member).chain(values).sum()
    }
}
