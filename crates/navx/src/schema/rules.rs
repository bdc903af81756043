//! The rules, one row each: what is found, what becomes of it, and how that is known.
//!
//! `AS` and `PTE` are numbers of Microsoft's analyzers; `learn:` is a page of its documentation for developers, `AL#` an
//! issue in its repository for the language, where people report what happened. A code with several rows has several
//! outcomes. A rule that is only inferred refuses nothing: a test holds that.

use super::finding::{
    Evidence::{self, Documented, Field, Inferred},
    Outcome::{Applied, Data, Loss, Refused, Undecided},
    Outcomes,
    Severity::{self, Breaking, Environment, Meaning, Note},
};
use super::unreadable::Unreadable;

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
    pub(super) outcome: Outcomes,
    /// How bad it is where it is applied.
    pub(super) applied: Severity,
    pub(super) number: Option<&'static str>,
    pub(super) evidence: Evidence,
    pub(super) source: &'static str,
}

macro_rules! rules {
    ($($name:ident: $code:literal, $message:literal, $add:ident / $force:ident, $applied:ident, $number:literal, $evidence:ident, $source:literal;)*) => {
        $(pub(super) static $name: Rule = Rule {
            code: $code,
            message: $message,
            outcome: Outcomes { add: $add, force_sync: $force },
            applied: $applied,
            number: number($number),
            evidence: $evidence,
            source: $source,
        };)*
        #[cfg(test)]
        static ALL: &[&Rule] = &[$(&$name),*];
    };
}

const fn number(text: &'static str) -> Option<&'static str> {
    if text.is_empty() { None } else { Some(text) }
}

rules! {
    // Tables.
    TABLE_REMOVED: "table-removed", "the table is gone", Refused / Loss, Breaking, "AS0001", Documented, "AS0001";
    TABLE_RENAMED: "table-renamed", "the table has another name, which is another table", Refused / Undecided, Breaking, "AS0006", Documented, "learn: upgrade/known-issues; AL#1669";
    TABLE_NAME_CASE: "table-renamed", "the table's name is spelt in another case", Undecided / Undecided, Breaking, "AS0006", Inferred, "AS0006";
    TABLE_ID_CHANGED: "table-id-changed", "the table has another number", Undecided / Undecided, Breaking, "AS0001", Inferred, "AS0001";
    TABLE_GONE_NO_SCHEMA: "table-gone-no-schema", "a table without rows in the database is gone", Applied / Applied, Breaking, "AS0001", Documented, "learn: properties/devenv-tabletype-property";
    TABLE_ADDED: "table-added", "the table is new", Applied / Applied, Note, "", Documented, "learn: devenv-retaining-data-after-publishing";
    NAMESPACE_CHANGED: "namespace-changed", "the object is in another namespace", Applied / Applied, Breaking, "AS0007", Inferred, "AS0007";
    MOVED_OUT: "moved-out", "it moves to another app, whose package decides", Undecided / Undecided, Breaking, "AS0116", Documented, "learn: devenv-move-table-fields-between-extensions; PTE0024 refuses it in an app for one tenant";
    MOVED_IN: "moved-in", "it comes from another app, whose package decides", Undecided / Undecided, Breaking, "AS0117", Documented, "learn: devenv-move-table-fields-between-extensions";
    DATA_PER_COMPANY: "data-per-company", "DataPerCompany changes", Refused / Loss, Breaking, "AS0034", Documented, "learn: properties/devenv-datapercompany-property";
    TABLE_TO_TEMPORARY: "table-to-temporary", "the table becomes temporary, which fails where it has rows", Data / Loss, Breaking, "AS0109", Documented, "AS0109; learn: properties/devenv-tabletype-property";
    TABLE_FROM_TEMPORARY: "table-from-temporary", "the table becomes a table of the database", Applied / Applied, Note, "", Documented, "learn: properties/devenv-tabletype-property";
    COMPRESSION: "compression", "the table is compressed otherwise, and rebuilt", Applied / Applied, Note, "", Documented, "learn: properties/devenv-compressiontype-property";
    TABLE_TYPE: "table-type", "the table's type changes", Undecided / Undecided, Breaking, "AS0034", Inferred, "AS0034";
    OBSOLETE_STATE: "obsolete-state", "it is obsolete in another way; its data stays", Applied / Applied, Note, "AS0115", Documented, "AS0115";
    TABLE_PROPERTY: "table-property", "less may be done with the table from other apps", Applied / Applied, Breaking, "AS0049", Documented, "AS0049; AS0050";
    // Extensions of tables.
    EXTENSION_REMOVED: "extension-removed", "the table extension is gone with its fields", Refused / Loss, Breaking, "AS0001", Documented, "AS0001; AL#7646 reports a crash under ForceSync";
    EXTENSION_GONE_NO_SCHEMA: "extension-gone-no-schema", "a table extension without stored fields is gone", Applied / Applied, Breaking, "AS0001", Documented, "AS0131; AS0132";
    EXTENSION_RETARGETED: "extension-retargeted", "the table extension extends another table", Refused / Loss, Breaking, "AS0068", Documented, "AS0068";
    EXTENSION_TARGET_MOVED: "extension-retargeted", "the extended table belongs to another app", Undecided / Undecided, Breaking, "AS0068", Inferred, "AS0068";
    EXTENSION_RENUMBERED: "extension-renumbered", "the table extension has another number or name", Undecided / Undecided, Breaking, "AS0001", Inferred, "AL#7557; AL#7646";
    FIELD_CHANGED_EXTENSION: "field-changed-extension", "the field is in another extension of the same table", Undecided / Undecided, Breaking, "AS0002", Inferred, "AL#7557; AL#7646";
    // Fields.
    FIELD_ADDED: "field-added", "the field is new", Applied / Applied, Note, "", Documented, "learn: devenv-retaining-data-after-publishing";
    FIELD_REMOVED: "field-removed", "the field is gone", Refused / Loss, Breaking, "AS0002", Documented, "AS0002";
    FIELD_GONE_NO_SCHEMA: "field-gone-no-schema", "a field without a column is gone", Applied / Applied, Breaking, "AS0002", Documented, "AS0036";
    FIELD_RENAMED: "field-renamed", "the field has another name, which is another column", Refused / Applied, Breaking, "AS0005", Documented, "learn: upgrade/known-issues, devenv-retaining-data-after-publishing";
    FIELD_RENAMED_AND_RETYPED: "field-renamed", "the field has another name and another type", Refused / Loss, Breaking, "AS0004", Documented, "learn: upgrade/known-issues";
    FIELD_NAME_CASE: "field-renamed", "the field's name is spelt in another case", Undecided / Undecided, Breaking, "AS0005", Inferred, "AS0005";
    FIELD_ID_CHANGED: "field-id-changed", "the field has another number", Undecided / Undecided, Breaking, "AS0136", Inferred, "AS0002; AS0136";
    KEY_FIELD_ID_CHANGED: "field-id-changed", "a field of the primary key has another number", Undecided / Undecided, Breaking, "AS0137", Inferred, "AS0137";
    TYPE_CHANGED: "type-changed", "the field has another type", Refused / Loss, Breaking, "AS0004", Documented, "AS0004; learn: administration/appmanagement/app-management-updating-with-forcesync";
    OPTION_TO_ENUM: "option-to-enum", "the option becomes an enum", Applied / Applied, Breaking, "AS0069", Documented, "AS0069; AS0070; AS0071";
    INTEGER_TO_BIGINTEGER: "integer-to-biginteger", "the Integer becomes a BigInteger", Applied / Applied, Breaking, "AS0146", Documented, "AS0146";
    ENUM_TYPE_CHANGED: "enum-type-changed", "another enum, option or integer is stored in the same column", Undecided / Undecided, Breaking, "AS0004", Field, "AL#5818";
    CODE_TEXT: "code-text", "Code becomes Text, or Text Code", Undecided / Undecided, Breaking, "AS0004", Inferred, "AS0004";
    LENGTH_SHORTER: "length-shorter", "the field is shorter", Refused / Loss, Breaking, "AS0080", Documented, "AS0080";
    LENGTH_LONGER: "length-longer", "the field is longer", Applied / Applied, Breaking, "AS0086", Documented, "AS0086; learn: devenv-retaining-data-after-publishing";
    LENGTH_IN_PRIMARY_KEY: "length-in-primary-key", "the length of a field of the primary key changes", Refused / Undecided, Breaking, "AS0118", Documented, "AS0118; AL#4620; AL#5544";
    LENGTH_IN_KEY: "length-in-key", "a field of a key is longer", Undecided / Undecided, Breaking, "AS0086", Inferred, "AS0086";
    FIELD_CLASS: "field-class", "the field is calculated now and loses its column", Refused / Loss, Breaking, "AS0036", Documented, "AS0036";
    FIELD_CLASS_TO_NORMAL: "field-class-to-normal", "the field was calculated and gets a column", Applied / Applied, Note, "", Documented, "AS0036";
    FIELD_ENABLED: "field-enabled", "the field was disabled and gets a column", Applied / Applied, Note, "", Documented, "AS0036";
    FIELD_DISABLED: "field-disabled", "the field is disabled and loses its column", Refused / Loss, Breaking, "AS0036", Documented, "AS0036";
    AUTO_INCREMENT: "auto-increment", "the field counts by itself, or does so no more", Undecided / Undecided, Breaking, "AS0044", Documented, "AS0044; AL#3479; AL#7067";
    SQL_DATA_TYPE: "sql-data-type", "the type in the database changes", Undecided / Undecided, Breaking, "AS0044", Documented, "learn: properties/devenv-sqldatatype-property";
    SQL_DATA_TYPE_FROM_VARIANT: "sql-data-type", "the type in the database is Variant no more, which fails where values do not fit", Data / Undecided, Breaking, "AS0044", Documented, "learn: properties/devenv-sqldatatype-property";
    FIELD_ACCESS: "field-access", "fewer may use the field", Applied / Applied, Breaking, "AS0095", Documented, "AS0095";
    MEMBERS_CHANGED: "members-changed", "stored numbers mean other members of the option", Applied / Applied, Meaning, "AS0044", Inferred, "AS0044";
    UNKNOWN_PROPERTY: "unknown-property", "a property changes of which these rules know nothing", Undecided / Undecided, Breaking, "", Inferred, "none";
    // Keys.
    KEY_ADDED: "key-added", "the key is new", Applied / Applied, Note, "", Documented, "learn: devenv-table-keys";
    KEY_CHANGED: "key-changed", "the key changes, and its index is rebuilt", Applied / Applied, Note, "", Documented, "AS0009; learn: devenv-table-keys";
    KEY_REMOVED: "key-removed", "the key is gone", Applied / Applied, Note, "", Documented, "AS0009; learn: devenv-table-keys";
    PRIMARY_KEY_FIELDS: "primary-key-fields", "the primary key has other fields", Refused / Loss, Breaking, "AS0009", Documented, "AS0009; learn: upgrade/known-issues";
    PRIMARY_KEY_RENAMED: "primary-key-renamed", "the primary key has another name", Refused / Undecided, Breaking, "AS0010", Documented, "AS0010";
    PRIMARY_KEY_PROPERTY: "primary-key-property", "a property of the primary key changes", Refused / Undecided, Breaking, "AS0042", Documented, "AS0038; AS0042; learn: devenv-table-keys";
    CLUSTERED_MOVED: "clustered-moved", "rows are kept in the order of another key", Refused / Undecided, Breaking, "AS0043", Documented, "AS0043; AS0123";
    UNIQUE_ADDED: "unique-added", "the key permits no two equal rows, which fails where there are some", Data / Undecided, Breaking, "AS0038", Documented, "AS0038; learn: devenv-table-keys";
    EXTENSION_KEY_ON_BASE_FIELDS: "extension-key-on-base-fields", "the extension adds a key of the table's own fields", Undecided / Undecided, Breaking, "", Documented, "learn: devenv-table-keys says both";
    // Enums.
    ENUM_VALUE_REMOVED: "enum-value-removed", "a value of the enum is gone; stored numbers mean nothing", Applied / Applied, Meaning, "AS0082", Field, "AL#6646";
    ENUM_VALUE_RENAMED: "enum-value-renamed", "stored numbers mean another value of the enum", Applied / Applied, Meaning, "AS0083", Field, "AL#6646";
    ENUM_VALUE_REORDINAL: "enum-value-reordinal", "a value of the enum has another number than the stored one", Applied / Applied, Meaning, "AS0082", Field, "AL#6646";
    ENUM_REMOVED: "enum-removed", "the enum is gone", Applied / Applied, Breaking, "AS0088", Inferred, "AS0088";
    ENUM_VALUE_ADDED: "enum-value-added", "a value is new in an enum of which others know all, or what to implement", Applied / Applied, Breaking, "AS0067", Documented, "AS0067; AS0098";
    // What others build upon.
    BREAKING_OBJECT: "breaking-object", "an object that others may use is gone, renamed or hidden", Applied / Applied, Breaking, "AS0029", Documented, "AS0018 to AS0033; AS0088 to AS0090";
    BREAKING_MEMBER: "breaking-member", "a part that others may use is gone or other than it was", Applied / Applied, Breaking, "AS0018", Documented, "AS0018 to AS0033; AS0063 to AS0066; AS0077; AS0078; AS0106 to AS0108";
    BREAKING_API: "breaking-api", "callers of the web service find it no more, or other than it was", Applied / Applied, Breaking, "AS0032", Inferred, "AS0032";
    PERMISSION_REDUCED: "permission-reduced", "the permission set permits less", Applied / Applied, Breaking, "", Inferred, "none";
    // The app.
    NOT_NEWER: "not-newer", "the version is not higher: no hotfix brings it", Applied / Applied, Environment, "", Documented, "learn: administration/appmanagement";
    OTHER_LINE: "other-line", "the version is of another major or minor: no hotfix brings it", Applied / Applied, Environment, "", Documented, "learn: administration/appmanagement";
    DEPENDENCY_ADDED: "dependency-added", "the app needs another app, which must be there first", Applied / Applied, Environment, "", Documented, "AVS0109; LC0168";
    DEPENDENCY_RAISED: "dependency-raised", "the app needs a higher version of another app, which must be there first", Applied / Applied, Environment, "", Documented, "AVS0109; LC0168";
    APPLICATION_RAISED: "application-raised", "environments with a lower Application cannot take it", Applied / Applied, Environment, "", Documented, "learn: devenv-json-files";
    PLATFORM_RAISED: "platform-raised", "environments with a lower platform cannot take it", Applied / Applied, Environment, "", Documented, "learn: devenv-json-files";
    RUNTIME_RAISED: "runtime-raised", "older environments cannot run it", Applied / Applied, Environment, "", Documented, "AVS0002; AVS0006; learn: devenv-choose-runtime";
    TARGET_ONPREM: "target-onprem", "the app is for servers on premises only, and refused online", Applied / Applied, Environment, "AS0053", Documented, "AS0053; PTE0005";
    ID_RANGE_NARROWED: "id-range-narrowed", "numbers of objects are given up", Applied / Applied, Note, "AS0013", Documented, "AS0013; AS0014";
    OBJECT_OUTSIDE_RANGE: "object-outside-range", "a number is in none of the app's ranges: build or upload is refused", Applied / Applied, Environment, "AS0084", Documented, "AS0084; PTE0001; PTE0002";
    IDENTITY_TEXT_CHANGED: "identity-text-changed", "the app has another name or publisher, which AppSource refuses", Applied / Applied, Note, "AS0096", Documented, "AS0096; AS0097";
    PROPAGATION_DROPPED: "propagation-dropped", "dependants do not see the app's dependencies any more", Applied / Applied, Note, "", Inferred, "none";
    FRIEND_REMOVED: "friend-removed", "an app may not use this one's internals any more", Applied / Applied, Note, "", Inferred, "none";
    EXPOSURE_CHANGED: "exposure-changed", "other things may be done with the source", Applied / Applied, Note, "", Inferred, "none";
    SAME_CONTENT: "same-content", "both are the same build, signed or not", Applied / Applied, Note, "", Documented, "the bytes";
    // What cannot be seen.
    RUNTIME_PACKAGE: "runtime-package", "nobody can read what is in a runtime package", Undecided / Undecided, Note, "", Documented, "the file";
    SYMBOLS_MISSING: "symbols-missing", "the package has no SymbolReference.json", Undecided / Undecided, Note, "", Documented, "the file";
    SYMBOLS_MALFORMED: "symbols-malformed", "the package's SymbolReference.json is not what compilers write", Undecided / Undecided, Note, "", Documented, "the file";
    TOO_MANY_FINDINGS: "too-many-findings", "more is found than is told, and nothing further was looked for", Undecided / Undecided, Note, "", Documented, "the file";
    TOO_COSTLY: "too-costly", "comparing takes longer than is allowed, and nothing further was looked for", Undecided / Undecided, Note, "", Documented, "the file";
    SYMBOLS_TOO_LARGE: "symbols-too-large", "the package's SymbolReference.json is larger than is read", Undecided / Undecided, Note, "", Documented, "the file";
    SYMBOLS_MISMATCH: "symbols-mismatch", "the package's SymbolReference.json is of another app or version than its manifest", Undecided / Undecided, Note, "", Documented, "the file";
    SYMBOLS_ONLY: "symbols-only", "the package holds symbols, and installs nowhere", Applied / Applied, Note, "", Documented, "the file";
    PREPROCESSOR: "preprocessor", "source is left out by conditions: what looks gone may be there in another build", Applied / Applied, Note, "", Documented, "the file";
    NEWER_COMPILER: "newer-compiler", "the package is of a newer compiler than these rules know", Applied / Applied, Note, "", Documented, "the file";
}

/// The rule for symbols that cannot be compared.
pub(super) fn unreadable(reason: Unreadable) -> &'static Rule {
    match reason {
        Unreadable::RuntimePackage => &RUNTIME_PACKAGE,
        Unreadable::Missing => &SYMBOLS_MISSING,
        Unreadable::Malformed => &SYMBOLS_MALFORMED,
        Unreadable::TooLarge => &SYMBOLS_TOO_LARGE,
        Unreadable::Mismatch => &SYMBOLS_MISMATCH,
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Evidence, unreadable};
    use crate::schema::finding::Outcome;
    use crate::schema::unreadable::Unreadable;
    use std::collections::HashSet;

    #[test]
    fn what_is_only_inferred_refuses_nothing() {
        for rule in ALL {
            let outcomes = [rule.outcome.add, rule.outcome.force_sync];
            let refuses = outcomes.contains(&Outcome::Refused);
            assert!(!refuses || rule.evidence != Evidence::Inferred, "{}", rule.code);
        }
    }

    #[test]
    fn no_two_rows_say_the_same() {
        let mut seen = HashSet::new();
        for rule in ALL {
            assert!(seen.insert((rule.code, rule.message)), "{}", rule.code);
        }
    }

    #[test]
    fn what_cannot_be_read_is_undecided_and_named() {
        for reason in [
            Unreadable::RuntimePackage,
            Unreadable::Missing,
            Unreadable::Malformed,
            Unreadable::TooLarge,
            Unreadable::Mismatch,
        ] {
            let rule = unreadable(reason);
            assert_eq!(rule.code, reason.as_str());
            assert_eq!(rule.outcome.add, Outcome::Undecided);
        }
    }
}
