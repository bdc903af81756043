//! The roles of a principal: three bits in a column, so that a condition on them is a mask.

use super::{
    fragment::{Fragment, Yields},
    translator::{Translation, Translator},
};
use crate::list::entity_set::ColumnType;
use domain::principal::{Role, Roles};
use odata::{Expression, NodeId, Reference, Row, Value};

/// How many roles the column called `{}` has.
pub(crate) const COUNT_OF_ROLES: &str = "(({} & 1) + ({} & 2) / 2 + ({} & 4) / 4)";

/// A principal with one role. What a condition says of it, it says of the role.
struct OneRole {
    property: usize,
    role: Role,
}

impl Row for OneRole {
    fn value(&self, property: usize) -> Value<'_> {
        if property == self.property {
            Value::List(vec![Value::text(self.role.as_str())])
        } else {
            Value::Null
        }
    }
}

/// `'X' in roles`, `roles/any(…)` and `roles/all(…)`, where nothing but the role is looked at: whether the bits of
/// those roles for which the condition holds are there, or those for which it does not hold are not.
pub(crate) fn membership(
    translator: &mut Translator<'_>,
    source: Reference,
    id: NodeId,
) -> Option<Translation> {
    let (property, column) = column(translator, source)?;
    if !looks_at_roles_only(translator, property, id) {
        return None;
    }
    let mut holds_for = Roles::NONE;
    for role in Role::ALL {
        if translator
            .filter
            .holds(
                id,
                &OneRole {
                    property,
                    role: *role,
                },
                translator.now,
                translator.account,
            )
            .ok()?
        {
            holds_for = holds_for.with(*role);
        }
    }
    let for_none = translator
        .filter
        .holds(
            id,
            &Vec::<Value<'static>>::new(),
            translator.now,
            translator.account,
        )
        .ok()?;
    let everything: Roles = Role::ALL.iter().copied().collect();
    let (mask, word) = match for_none {
        // Without any role `all` is true: it fails for the roles for which it does not hold.
        true => (everything.bits() & !holds_for.bits(), ") = 0"),
        false => (holds_for.bits(), ") <> 0"),
    };
    Some(Translation::Sql(
        Fragment::new(Yields::Truth)
            .sql("(")
            .sql(column)
            .sql(" & ")
            .value(mask)
            .sql(word),
    ))
}

pub(crate) fn count(translator: &Translator<'_>, source: Reference) -> Option<Translation> {
    let (_, column) = column(translator, source)?;
    let sql = COUNT_OF_ROLES.replace("{}", column);
    Some(Translation::Sql(Fragment::column(
        &sql,
        Yields::Number(0..=3),
        false,
    )))
}

fn column(translator: &Translator<'_>, source: Reference) -> Option<(usize, &'static str)> {
    let Reference::Property(property) = source else {
        return None;
    };
    let mapping = translator
        .mapping(property)
        .filter(|mapping| mapping.column_type == ColumnType::Roles)?;
    Some((property, mapping.key))
}

/// Whether each role decides alone: the condition looks at no other property, and at the roles only once.
fn looks_at_roles_only(translator: &Translator<'_>, property: usize, id: NodeId) -> bool {
    let mut waiting = vec![id];
    let mut times = 0;
    while let Some(id) = waiting.pop() {
        let expression = &translator.filter.node(id).expression;
        let source = match expression {
            Expression::Reference(source) => *source,
            Expression::Lambda { collection, .. }
            | Expression::InCollection { collection, .. }
            | Expression::Count(collection) => collection.source,
            other => {
                waiting.extend(other.children());
                continue;
            }
        };
        match source {
            Reference::Property(looked_at) if looked_at == property => times += 1,
            Reference::Property(_) => return false,
            Reference::Variable(_) | Reference::Member { .. } => {}
        }
        waiting.extend(expression.children());
    }
    times == 1
}
