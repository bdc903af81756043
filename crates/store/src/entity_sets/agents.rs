//! Agents, and what there is to do for them.

use super::{environments::NAME, guid_value, instant_or_null, instant_value, text_or_null};
use crate::{
    agents::{AgentEntry, DUE_ON, ENVIRONMENTS, RUNNING},
    list::{EntitySet, Spelling, folded, guid, hidden, hidden_text, instant, number, property, text, truth},
};
use odata::Value;
use std::sync::LazyLock;

/// No agent has more of anything.
const MOST: i64 = u32::MAX as i64;

/// All agents. How one is depends on the time; what that follows from can be asked by.
pub static AGENTS: LazyLock<EntitySet<AgentEntry>> = LazyLock::new(|| {
    let name = folded("t.name", "t.name_key", NAME, Spelling::SmallLetters);
    let properties = vec![
        property("name", name, |row: &AgentEntry| {
            Value::text(row.agent.name.as_str())
        }),
        property("scope", hidden(), |_| Value::Null),
        property("servesUnreported", truth("t.serves_unreported"), |row| {
            Value::Boolean(row.agent.serves_unreported)
        }),
        property("identity", hidden(), |_| Value::Null),
        property("state", hidden_text(), |_| Value::Null),
        property("createdOn", instant("t.created_on"), |row| {
            instant_value(row.agent.created_on)
        }),
        property("lastSeenOn", instant("t.last_seen_on").or_null(), |row| {
            instant_or_null(row.agent.last_seen_on)
        }),
        property("software", text("t.software").or_null(), |row| {
            text_or_null(row.agent.software.as_ref())
        }),
        property("ready", truth("t.is_ready").or_null(), |row| {
            row.agent.is_ready.map_or(Value::Null, Value::Boolean)
        }),
        property("tokenExpiresOn", instant("t.token_until").or_null(), |row| {
            instant_or_null(row.agent.token_until)
        }),
        property("enrolmentCode", hidden_text(), |_| Value::Null),
        property(
            "enrolmentCodeExpiresOn",
            instant("t.code_until").or_null(),
            |row| instant_or_null(row.agent.code_until),
        ),
        property("overlaps", hidden(), |_| Value::Null),
        property("frozenOn", instant("t.frozen_on").or_null(), |row| {
            instant_or_null(row.agent.frozen_on)
        }),
        property("frozenReason", text("t.frozen_reason").or_null(), |row| {
            text_or_null(row.agent.frozen_reason.as_ref())
        }),
        property("environments", number(ENVIRONMENTS, 0..=MOST), |row| {
            Value::integer(row.environments)
        }),
        property("running", number(RUNNING, 0..=MOST), |row| {
            Value::integer(row.running)
        }),
        property("dueOn", instant(DUE_ON).or_null(), |row| {
            instant_or_null(row.due_on)
        }),
        property("inventoryOn", instant("t.inventory_on").or_null(), |row| {
            instant_or_null(row.agent.inventory_on)
        }),
        property("_etag", guid("t.etag"), |row| guid_value(row.agent.etag.0)),
    ];
    EntitySet::new(
        "registeredAgent",
        ("agents t", AgentEntry::columns().leak()),
        &["name"],
        None,
        properties,
    )
});
