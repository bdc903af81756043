//! The walk over a condition: operands first, each translated once, no recursion over what a caller wrote.

use super::{
    calls, comparisons,
    fragment::{Fragment, Yields},
    numbers, roles,
    translator::{Translation, Translator},
    words,
};
use crate::{dialect::Dialect, list::entity_set::ColumnMapping};
use odata::{Account, Expression, Filter, Instant, NodeId, Reference};

/// A node on the way, and whether its being null is the same as its being false.
type Visit = (NodeId, bool);

/// A condition as SQL; `None` if SQL cannot say exactly this.
pub(crate) fn condition(
    filter: &Filter,
    mappings: &[ColumnMapping],
    dialect: Dialect,
    (now, account): (Instant, &mut Account<'static>),
    condition: NodeId,
) -> Option<Fragment> {
    let mut translator = Translator::new(filter, mappings, dialect, (now, account));
    for (id, null_is_false) in parents_first(filter, condition).into_iter().rev() {
        let translation = translate(&mut translator, id, null_is_false).unwrap_or_default();
        let is_too_deep = matches!(&translation, Translation::Sql(fragment) if fragment.is_too_deep());
        if !is_too_deep {
            translator.set(id, translation);
        }
    }
    translator.truth(condition)
}

fn parents_first(filter: &Filter, condition: NodeId) -> Vec<Visit> {
    let mut visits = Vec::new();
    let mut waiting = vec![(condition, true)];
    while let Some((id, null_is_false)) = waiting.pop() {
        visits.push((id, null_is_false));
        let expression = &filter.node(id).expression;
        let is_chain = matches!(expression, Expression::And(_) | Expression::Or(_));
        // What a lambda looks at is no property of the row.
        let is_leaf = filter.is_constant(id) || matches!(expression, Expression::Lambda { .. });
        if !is_leaf {
            waiting.extend(
                expression
                    .children()
                    .into_iter()
                    .map(|child| (child, null_is_false && is_chain)),
            );
        }
    }
    visits
}

fn translate(translator: &mut Translator<'_>, id: NodeId, null_is_false: bool) -> Option<Translation> {
    let filter = translator.filter;
    if filter.is_constant(id) {
        return filter
            .constant(id, translator.now, translator.account)
            .ok()
            .map(Translation::Constant);
    }
    match &filter.node(id).expression {
        Expression::Reference(Reference::Property(property)) => Some(Translation::Property(*property)),
        Expression::Not(operand) => {
            let operand = translator.truth(*operand)?;
            Some(Translation::Sql(
                Fragment::new(Yields::Truth).sql("NOT (").piece(operand).sql(")"),
            ))
        }
        Expression::And(operands) => chain(translator, operands, " AND "),
        Expression::Or(operands) => chain(translator, operands, " OR "),
        Expression::Compare {
            operator,
            domain,
            left,
            right,
        } => comparisons::compare(translator, *operator, *domain, (*left, *right), null_is_false),
        Expression::InList {
            domain,
            operand,
            items,
        } => comparisons::in_list(translator, *domain, *operand, items, null_is_false),
        Expression::Negate(operand) => numbers::negate(translator, *operand),
        Expression::Arithmetic {
            operator,
            left,
            right,
        } => numbers::arithmetic(translator, *operator, filter.node(id).kind, *left, *right),
        Expression::Call { function, arguments } => calls::call(translator, *function, arguments),
        Expression::InCollection {
            collection, operand, ..
        } if filter.is_constant(*operand) => membership(translator, collection.source, id),
        Expression::Lambda { collection, .. } => membership(translator, collection.source, id),
        Expression::Count(collection) => roles::count(translator, collection.source),
        _ => None,
    }
}

fn membership(translator: &mut Translator<'_>, source: Reference, id: NodeId) -> Option<Translation> {
    roles::membership(translator, source, id).or_else(|| words::membership(translator, source, id))
}

fn chain(translator: &mut Translator<'_>, operands: &[NodeId], word: &str) -> Option<Translation> {
    let conditions: Option<Vec<Fragment>> = operands
        .iter()
        .map(|operand| translator.truth(*operand))
        .collect();
    Fragment::chain(conditions?, word).map(Translation::Sql)
}
