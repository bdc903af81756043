//! Laws that hold for all inputs: what is printed is read back, nothing panics, and the machine that evaluates agrees
//! with a plain recursive reading of the rules.

use crate::shop::{bind, row, schema, texts};
use odata::*;
use proptest::prelude::*;

// Printed and read back

/// A tree as the grammar sees it, without types.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    Name(String),
    Not(Box<Tree>),
    Negate(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Binary(&'static str, Box<Tree>, Box<Tree>),
    InList(Box<Tree>, Vec<i64>),
    InName(Box<Tree>, String),
    Call(String, Vec<Tree>),
    Any(String, String, Box<Tree>),
}

const LEVELS: [(u8, &[&str]); 5] = [
    (3, &["eq", "ne"]),
    (4, &["gt", "ge", "lt", "le"]),
    (5, &["add", "sub"]),
    (6, &["mul", "div", "divby", "mod"]),
    (8, &["has"]),
];

fn level(tree: &Tree) -> u8 {
    match tree {
        Tree::Or(_) => 1,
        Tree::And(_) => 2,
        Tree::Not(_) | Tree::Negate(_) => 7,
        Tree::InList(..) | Tree::InName(..) => 8,
        Tree::Binary(keyword, ..) => LEVELS
            .iter()
            .find(|(_, keywords)| keywords.contains(keyword))
            .map_or(0, |(level, _)| *level),
        _ => 9,
    }
}

/// Text with no more parentheses than are needed.
fn print(tree: &Tree) -> String {
    let list = |trees: &[Tree], level, separator: &str| {
        trees
            .iter()
            .map(|tree| print_at(tree, level))
            .collect::<Vec<_>>()
            .join(separator)
    };
    match tree {
        Tree::Null => "null".into(),
        Tree::Bool(value) => value.to_string(),
        Tree::Int(value) => value.to_string(),
        Tree::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Tree::Name(name) => name.clone(),
        Tree::Not(operand) => format!("not {}", print_at(operand, 7)),
        Tree::Negate(operand) => match print_at(operand, 7) {
            // A sign directly before digits would be the literal's own.
            text if text.starts_with(|c: char| c.is_ascii_digit()) => format!("-({text})"),
            text => format!("-{text}"),
        },
        Tree::And(operands) => list(operands, 3, " and "),
        Tree::Or(operands) => list(operands, 2, " or "),
        Tree::Binary(keyword, left, right) => {
            let own = level(tree);
            format!("{} {keyword} {}", print_at(left, own), print_at(right, own + 1))
        }
        Tree::InList(operand, items) => {
            let items: Vec<String> = items.iter().map(i64::to_string).collect();
            format!("{} in ({})", print_at(operand, 8), items.join(","))
        }
        Tree::InName(operand, name) => format!("{} in {name}", print_at(operand, 8)),
        Tree::Call(name, arguments) => format!("{name}({})", list(arguments, 0, ",")),
        Tree::Any(collection, variable, body) => format!("{collection}/any({variable}:{})", print(body)),
    }
}

fn print_at(tree: &Tree, needed: u8) -> String {
    let text = print(tree);
    if level(tree) < needed {
        format!("({text})")
    } else {
        text
    }
}

fn read_back(ast: &Ast, id: NodeId) -> Tree {
    let child = |id: &NodeId| Box::new(read_back(ast, *id));
    let children = |ids: &[NodeId]| ids.iter().map(|id| read_back(ast, *id)).collect();
    match &ast.node(id).syntax {
        Syntax::Literal(Literal::Null) => Tree::Null,
        Syntax::Literal(Literal::Boolean(value)) => Tree::Bool(*value),
        Syntax::Literal(Literal::Number { value, integer: true }) => {
            Tree::Int(value.to_i64().expect("an integer"))
        }
        Syntax::Literal(Literal::String(text)) => Tree::Text(text.clone()),
        Syntax::Path(path) => Tree::Name(path.names.join("/")),
        Syntax::Unary {
            operator: UnaryOperator::Not,
            operand,
        } => Tree::Not(child(operand)),
        Syntax::Unary {
            operator: UnaryOperator::Negate,
            operand,
        } => Tree::Negate(child(operand)),
        Syntax::And(operands) => Tree::And(children(operands)),
        Syntax::Or(operands) => Tree::Or(children(operands)),
        Syntax::Binary {
            operator,
            left,
            right,
        } => Tree::Binary(operator.keyword(), child(left), child(right)),
        Syntax::InList { operand, items } => {
            let number = |item: &Item| match &item.value {
                ItemValue::Literal(Literal::Number { value, .. }) => value.to_i64().expect("an integer"),
                other => panic!("{other:?}"),
            };
            Tree::InList(child(operand), items.iter().map(number).collect())
        }
        Syntax::InCollection { operand, collection } => match read_back(ast, *collection) {
            Tree::Name(name) => Tree::InName(child(operand), name),
            other => panic!("{other:?}"),
        },
        Syntax::Call { name, arguments } => Tree::Call(name.clone(), children(arguments)),
        Syntax::Lambda {
            lambda,
            body: Some(body),
        } => {
            let head = ast.lambda(*lambda);
            Tree::Any(
                head.collection.names.join("/"),
                head.variable.clone().expect("a variable"),
                child(body),
            )
        }
        other => panic!("{other:?}"),
    }
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zäß_][a-z0-9_]{0,5}(/[a-z]{1,3})?",
        Just("in".to_string()),
        Just("eq".to_string())
    ]
    .prop_filter("a constant or an operator", |name| {
        !["not", "null", "true", "false"].contains(&name.as_str())
    })
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i64>().prop_map(Tree::Int),
        "[a-z'ü🪑 ()]{0,6}".prop_map(Tree::Text),
        names().prop_map(Tree::Name),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new).boxed();
        let keywords: Vec<&'static str> = LEVELS
            .iter()
            .flat_map(|(_, keywords)| keywords.iter().copied())
            .collect();
        prop_oneof![
            boxed.clone().prop_map(Tree::Not),
            boxed.clone().prop_map(Tree::Negate),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Tree::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Tree::Or),
            (prop::sample::select(keywords), boxed.clone(), boxed.clone())
                .prop_map(|(keyword, left, right)| Tree::Binary(keyword, left, right)),
            (boxed.clone(), prop::collection::vec(any::<i64>(), 0..4))
                .prop_map(|(operand, items)| Tree::InList(operand, items)),
            (boxed.clone(), names()).prop_map(|(operand, name)| Tree::InName(operand, name)),
            ("f[a-z]{1,5}", prop::collection::vec(inner, 0..3))
                .prop_map(|(name, arguments)| Tree::Call(name, arguments)),
            ("[a-z]{2,4}x", "[a-z]{2}v", boxed)
                .prop_map(|(path, variable, body)| Tree::Any(path, variable, body)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_back(tree in trees()) {
        let text = print(&tree);
        let mut limits = Limits::default();
        limits.bytes = usize::MAX;
        limits.lambda_depth = 100;
        let ast = parse_filter(&text, &limits).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(read_back(&ast, ast.root()), tree, "{}", text);
    }
}

// Nothing panics, positions are inside the text

/// Text that is nearly a filter.
fn almost_filters() -> impl Strategy<Value = String> {
    let words = [
        "title",
        "stock",
        "hidden",
        "added",
        "release",
        "region",
        "tags",
        "parts",
        "colour",
        "warranty",
        "in",
        "and",
        "or",
        "not",
        "eq",
        "ne",
        "lt",
        "ge",
        "add",
        "div",
        "mod",
        "has",
        "(",
        ")",
        ",",
        "/",
        "'",
        "''",
        "'x'",
        "'16.0'",
        "-",
        "+",
        "1",
        "0",
        "2.5",
        "1e9",
        "INF",
        "NaN",
        "null",
        "true",
        "2024-02-29",
        "T12:00",
        "Z",
        "12:30",
        "@p",
        "$it",
        "$count",
        "any(",
        "all(",
        "t:",
        "t",
        "contains(",
        "substring(",
        "length(",
        "now()",
        "matchesPattern(",
        "duration'P1D'",
        "01234567-89ab-cdef-0123-456789abcdef",
        "ü",
        "🪑",
        "\u{a0}",
        ":",
        ".",
        "[",
        "{",
        "\"",
        "%",
    ];
    let word = prop::sample::select(words.to_vec());
    prop::collection::vec((word, prop::bool::weighted(0.6)), 0..25).prop_map(|words| {
        words
            .into_iter()
            .map(|(word, blank)| format!("{word}{}", if blank { " " } else { "" }))
            .collect()
    })
}

fn check_outcome(text: &str) -> Result<(), TestCaseError> {
    let mut aliases = Aliases::default();
    aliases.texts.insert("p".into(), "'x'".into());
    match crate::shop::bind_with(text, &aliases) {
        Ok(filter) => {
            let _ = filter.matches(&row(vec![("tags", texts(&["x"]))]), Instant::from_ticks(0));
        }
        Err(error) => {
            if let Some(position) = error.position {
                prop_assert!(position <= text.chars().count(), "{}: {}", text, error);
            }
        }
    }
    let _ = OrderBy::parse(text, &schema(), &Limits::default());
    let _ = Select::parse(text, &schema());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_text(text in any::<String>()) {
        check_outcome(&text)?;
    }

    #[test]
    fn nothing_panics_on_almost_filters(text in almost_filters()) {
        check_outcome(&text)?;
    }

    #[test]
    fn nothing_panics_on_query_strings(raw in "[&=%+$@a-f0-9 ü]{0,40}", header in any::<String>()) {
        if let Ok(options) = Options::parse(&raw, Resource::Collection, true, &Limits::default()) {
            options.fingerprint("x");
        }
        next_link_query(&raw, "t");
        max_page_size([header.as_str()], 20_000);
    }

    #[test]
    fn nothing_panics_on_tokens(text in "[A-Za-z0-9_=-]{0,80}", cut in 0usize..60, flip in 0usize..60) {
        let schema = schema();
        let order = OrderBy::parse("title,stock,added", &schema, &Limits::default()).expect("an order");
        let _ = SkipToken::decode(&text, 1, &order, &schema);
        let row = row(vec![("title", Value::text("x")), ("stock", Value::integer(5))]);
        let token = SkipToken { values: order.values(&row, &schema), remaining_top: Some(1) }.encode(1);
        let _ = SkipToken::decode(&token[..cut.min(token.len())], 1, &order, &schema);
        let mut damaged = token.into_bytes();
        let index = flip % damaged.len();
        damaged[index] = if damaged[index] == b'A' { b'B' } else { b'A' };
        let _ = SkipToken::decode(&String::from_utf8_lossy(&damaged), 1, &order, &schema);
    }
}

// The machine against a plain reading of the rules

#[derive(Clone, Debug)]
enum Number {
    Literal(i64),
    Null,
    Stock,
    Length(Text),
    Calculate(&'static str, Box<Number>, Box<Number>),
}

#[derive(Clone, Debug)]
enum Text {
    Literal(String),
    Null,
    Title,
    Item,
    Concat(Box<Text>, Box<Text>),
    Substring(Box<Text>, Box<Number>),
}

#[derive(Clone, Debug)]
enum Condition {
    Literal(Option<bool>),
    Hidden,
    Not(Box<Condition>),
    Chain(bool, Vec<Condition>),
    Numbers(&'static str, Number, Number),
    Texts(&'static str, Text, Text),
    Truths(&'static str, Box<Condition>, Box<Condition>),
    InList(Number, Vec<Option<i64>>),
    InTags(Text),
    Contains(Text, Text),
    Lambda(bool, Box<Condition>),
}

struct Sample {
    stock: Option<i64>,
    title: Option<String>,
    hidden: Option<bool>,
    tags: Vec<String>,
}

/// The plain reading; `Err` where the request fails.
type Plain<T> = Result<Option<T>, ()>;

impl Sample {
    fn number(&self, number: &Number, item: Option<&str>) -> Plain<i128> {
        Ok(match number {
            Number::Literal(value) => Some((*value).into()),
            Number::Null => None,
            Number::Stock => self.stock.map(i128::from),
            Number::Length(text) => self.text(text, item)?.map(|text| text.chars().count() as i128),
            Number::Calculate(keyword, left, right) => {
                let (left, right) = (self.number(left, item)?, self.number(right, item)?);
                let (Some(left), Some(right)) = (left, right) else {
                    return Ok(None);
                };
                match *keyword {
                    "add" => Some(left + right),
                    "sub" => Some(left - right),
                    "mul" => Some(left * right),
                    "div" => Some(left.checked_div(right).ok_or(())?),
                    _ => Some(left.checked_rem(right).ok_or(())?),
                }
            }
        })
    }

    fn text(&self, text: &Text, item: Option<&str>) -> Plain<String> {
        Ok(match text {
            Text::Literal(text) => Some(text.clone()),
            Text::Null => None,
            Text::Title => self.title.clone(),
            Text::Item => Some(item.unwrap_or("none").to_string()),
            Text::Concat(left, right) => {
                let (left, right) = (self.text(left, item)?, self.text(right, item)?);
                left.zip(right).map(|(left, right)| left + &right)
            }
            Text::Substring(text, start) => {
                let (text, start) = (self.text(text, item)?, self.number(start, item)?);
                let (Some(text), Some(start)) = (text, start) else {
                    return Ok(None);
                };
                let characters: Vec<char> = text.chars().collect();
                let length = characters.len() as i128;
                let from = if start < 0 {
                    (length + start).max(0)
                } else {
                    start.min(length)
                };
                Some(characters[from as usize..].iter().collect())
            }
        })
    }

    fn condition(&self, condition: &Condition, item: Option<&str>) -> Plain<bool> {
        Ok(match condition {
            Condition::Literal(value) => *value,
            Condition::Hidden => self.hidden,
            Condition::Not(operand) => self.condition(operand, item)?.map(|value| !value),
            Condition::Chain(decisive, operands) => {
                let mut result = Some(!decisive);
                for operand in operands {
                    match self.condition(operand, item)? {
                        Some(value) if value == *decisive => return Ok(Some(value)),
                        None => result = None,
                        Some(_) => {}
                    }
                }
                result
            }
            Condition::Numbers(keyword, left, right) => Some(compared(
                keyword,
                self.number(left, item)?,
                self.number(right, item)?,
            )),
            Condition::Texts(keyword, left, right) => {
                Some(compared(keyword, self.text(left, item)?, self.text(right, item)?))
            }
            Condition::Truths(keyword, left, right) => Some(compared(
                keyword,
                self.condition(left, item)?,
                self.condition(right, item)?,
            )),
            Condition::InList(number, items) => {
                let number = self.number(number, item)?;
                Some(items.iter().any(|item| item.map(i128::from) == number))
            }
            Condition::InTags(text) => {
                let text = self.text(text, item)?;
                Some(text.is_some_and(|text| self.tags.contains(&text)))
            }
            Condition::Contains(text, part) => {
                let (text, part) = (self.text(text, item)?, self.text(part, item)?);
                text.zip(part).map(|(text, part)| text.contains(&part))
            }
            Condition::Lambda(is_any, body) => {
                for tag in &self.tags {
                    let holds = self.condition(body, Some(tag))? == Some(true);
                    if holds == *is_any {
                        return Ok(Some(holds));
                    }
                }
                Some(!is_any)
            }
        })
    }

    fn row(&self) -> Vec<Value<'static>> {
        row(vec![
            ("stock", Value::or_null(self.stock)),
            ("title", self.title.clone().map_or(Value::Null, Value::text)),
            ("hidden", Value::or_null(self.hidden)),
            (
                "tags",
                Value::List(self.tags.iter().cloned().map(Value::text).collect()),
            ),
        ])
    }
}

fn compared<T: Ord>(keyword: &str, left: Option<T>, right: Option<T>) -> bool {
    match (keyword, left, right) {
        ("eq", left, right) => left == right,
        ("ne", left, right) => left != right,
        (_, None, _) | (_, _, None) => false,
        ("lt", left, right) => left < right,
        ("le", left, right) => left <= right,
        ("gt", left, right) => left > right,
        (_, left, right) => left >= right,
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Literal(value) => write!(f, "{value}"),
            Number::Null => write!(f, "null"),
            Number::Stock => write!(f, "stock"),
            Number::Length(text) => write!(f, "length({text})"),
            Number::Calculate(keyword, left, right) => write!(f, "({left} {keyword} {right})"),
        }
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Text::Literal(text) => write!(f, "'{text}'"),
            Text::Null => write!(f, "null"),
            Text::Title => write!(f, "title"),
            Text::Item => write!(f, "t"),
            Text::Concat(left, right) => write!(f, "concat({left},{right})"),
            Text::Substring(text, start) => write!(f, "substring({text},{start})"),
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Condition::Literal(None) => write!(f, "null"),
            Condition::Literal(Some(value)) => write!(f, "{value}"),
            Condition::Hidden => write!(f, "hidden"),
            Condition::Not(operand) => write!(f, "not ({operand})"),
            Condition::Chain(decisive, operands) => {
                let operands: Vec<String> = operands.iter().map(|operand| format!("({operand})")).collect();
                write!(f, "{}", operands.join(if *decisive { " or " } else { " and " }))
            }
            Condition::Numbers(keyword, left, right) => write!(f, "{left} {keyword} {right}"),
            Condition::Texts(keyword, left, right) => write!(f, "{left} {keyword} {right}"),
            Condition::Truths(keyword, left, right) => write!(f, "({left}) {keyword} ({right})"),
            Condition::InList(number, items) => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| item.map_or("null".to_string(), |item| item.to_string()))
                    .collect();
                write!(f, "{number} in ({})", items.join(","))
            }
            Condition::InTags(text) => write!(f, "{text} in tags"),
            Condition::Contains(text, part) => write!(f, "contains({text},{part})"),
            Condition::Lambda(true, body) => write!(f, "tags/any(t:{body})"),
            Condition::Lambda(false, body) => write!(f, "tags/all(t:{body})"),
        }
    }
}

fn texts_in(inside_lambda: bool) -> BoxedStrategy<Text> {
    let item = if inside_lambda { Text::Item } else { Text::Title };
    let leaf = prop_oneof![
        "[abä]{0,2}".prop_map(Text::Literal),
        Just(Text::Null),
        Just(Text::Title),
        Just(item),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        let boxed = inner.prop_map(Box::new).boxed();
        prop_oneof![
            (boxed.clone(), boxed.clone()).prop_map(|(left, right)| Text::Concat(left, right)),
            (boxed, -3i64..4)
                .prop_map(|(text, start)| Text::Substring(text, Box::new(Number::Literal(start)))),
        ]
    })
    .boxed()
}

fn numbers_in(inside_lambda: bool) -> BoxedStrategy<Number> {
    let leaf = prop_oneof![
        (-3i64..4).prop_map(Number::Literal),
        Just(Number::Null),
        Just(Number::Stock),
        texts_in(inside_lambda).prop_map(Number::Length),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        let boxed = inner.prop_map(Box::new).boxed();
        let keywords = prop::sample::select(vec!["add", "sub", "mul", "div", "mod"]);
        (keywords, boxed.clone(), boxed)
            .prop_map(|(keyword, left, right)| Number::Calculate(keyword, left, right))
    })
    .boxed()
}

fn conditions_in(inside_lambda: bool) -> BoxedStrategy<Condition> {
    let keyword = || prop::sample::select(vec!["eq", "ne", "lt", "le", "gt", "ge"]);
    let numbers = || numbers_in(inside_lambda);
    let texts = || texts_in(inside_lambda);
    let leaf = prop_oneof![
        any::<Option<bool>>().prop_map(Condition::Literal),
        Just(Condition::Hidden),
        (keyword(), numbers(), numbers())
            .prop_map(|(keyword, left, right)| Condition::Numbers(keyword, left, right)),
        (keyword(), texts(), texts())
            .prop_map(|(keyword, left, right)| Condition::Texts(keyword, left, right)),
        (numbers(), prop::collection::vec(prop::option::of(-3i64..4), 0..3))
            .prop_map(|(number, items)| Condition::InList(number, items)),
        texts().prop_map(Condition::InTags),
        (texts(), texts()).prop_map(|(text, part)| Condition::Contains(text, part)),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let boxed = inner.clone().prop_map(Box::new).boxed();
        prop_oneof![
            boxed.clone().prop_map(Condition::Not),
            (any::<bool>(), prop::collection::vec(inner, 2..4))
                .prop_map(|(decisive, operands)| Condition::Chain(decisive, operands)),
            (keyword(), boxed.clone(), boxed)
                .prop_map(|(keyword, left, right)| Condition::Truths(keyword, left, right)),
        ]
    })
    .boxed()
}

fn conditions() -> impl Strategy<Value = Condition> {
    let lambda = (any::<bool>(), conditions_in(true))
        .prop_map(|(is_any, body)| Condition::Lambda(is_any, body.into()));
    let plain = conditions_in(false);
    prop_oneof![
        plain.clone(),
        lambda.clone(),
        (any::<bool>(), plain, lambda).prop_map(|(decisive, left, right)| {
            Condition::Chain(decisive, vec![left, Condition::Not(right.into())])
        })
    ]
}

fn samples() -> impl Strategy<Value = Sample> {
    let fields = (
        prop::option::of(-3i64..4),
        prop::option::of("[abä]{0,3}"),
        any::<Option<bool>>(),
        prop::collection::vec("[abä]{0,2}", 0..3),
    );
    fields.prop_map(|(stock, title, hidden, tags)| Sample {
        stock,
        title,
        hidden,
        tags,
    })
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} {:?} {:?} {:?}",
            self.stock, self.title, self.hidden, self.tags
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evaluation_agrees_with_a_plain_reading(condition in conditions(), sample in samples()) {
        let text = condition.to_string();
        let filter = bind(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let result = filter.matches(&sample.row(), Instant::from_ticks(0));
        match sample.condition(&condition, None) {
            Ok(value) => prop_assert_eq!(result, Ok(value == Some(true)), "{}", text),
            Err(()) => prop_assert!(result.is_err(), "{}: {:?}", text, result),
        }
    }
}
