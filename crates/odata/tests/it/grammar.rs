//! What is accepted, what is refused, and where a refusal points.

use crate::shop::{COLOURS, bind, bind_with};
use odata::*;

#[test]
fn accepts_the_language() {
    let accepted = [
        // operators and blanks
        "hidden",
        "  hidden \t",
        "(hidden)",
        "( hidden )",
        "title eq 'Chair'",
        "title\teq   'Chair'",
        "title EQ 'Chair' AnD Not hidden",
        "not(hidden)",
        "not not hidden",
        "not hidden and hidden or hidden",
        "hidden eq (1 lt 2)",
        "1 eq 1 eq true",
        "'Chair' eq title",
        "null eq null",
        "null",
        "stock gt 1 and null",
        "stock add 1 mul 2 sub -3 gt -stock",
        "- stock lt 0",
        "--1 gt 0",
        "price divby 2 eq 1.5 or price div 2 eq 1 or price mod 2 eq 1",
        // names
        "TITLE eq TitLE",
        "in",
        "in eq true and in",
        "not in",
        // lists and collections
        "title in ('a','b')",
        "title in ( 'a' , null )",
        "title in ()",
        "stock in (1,2.5,-3e2)",
        "'wood' in tags",
        "title in tags",
        "not 'wood' in tags",
        "'de' in markets",
        "null in tags",
        "tags/$count gt 1",
        "tags/any()",
        "tags/any( )",
        "tags/ANY(t:t eq 'wood')",
        "tags/all( t : startswith(t,'w') or t eq title )",
        "parts/any(p:p/partId eq 01234567-89AB-cdef-0123-456789abcdef)",
        "parts/any(p:p/labels/any(l:l eq 'new' and p/minimum ge '1.0'))",
        "parts/any(p:'new' in p/labels and p/labels/$count eq 1)",
        "tags/any(t:tags/any(t:t eq 'x'))",
        "parts/$count eq 0",
        // literals
        "id eq abcdef01-2345-6789-abcd-ef0123456789",
        "id eq 'ABCDEF01-2345-6789-abcd-ef0123456789'",
        "id in ('abcdef01-2345-6789-abcd-ef0123456789',abcdef01-2345-6789-abcd-ef0123456780)",
        "id eq 12345678-1234-1234-1234-123456789012",
        "id eq 01e45678-1234-1234-1234-123456789012",
        "added gt 2024-02-29T23:59:60.123456789+05:30",
        "added gt 2024-02-29T23:59:60.123456789000Z",
        "added gt 2024-02-29t23:59z",
        "added gt 2024-02-29T11:00:00 02:00",
        "added gt 2024-02-29",
        "added gt '2024-02-29'",
        "added gt '2024-02-29T00:00Z'",
        "since gt 2024-02-29 and since lt '2024-03-01'",
        "opens ge 08:30 and opens lt '17:00:00.5'",
        "warranty ge duration'P2D' and warranty lt 'P3D'",
        "warranty gt DURATION'-PT0.5S'",
        "photo eq binary'Zm9v' or photo ne BINARY'Zg=='",
        "title eq '' or title eq '''' or title eq 'O''Neill; 100% & more'",
        "title eq 'Stühle – 椅子 🪑'",
        "title eq My.Kind'Chair'",
        "stock lt 79228162514264337593543950335",
        "price eq +1.5E-3 or price lt INF or price gt -INF or price ne NaN",
        "release lt '16.0.10' and release ge '1' and release in ('1.2','2')",
        "region eq 'de' or region eq line",
        "line gt title",
        "colour eq 'red' or colour eq Shop.Colour'Red,Blue'",
        "colour has 'Green' and colour has colour and colour has null",
        "true lt hidden",
        // calls
        "contains(title,'a') and startswith(tolower(title),'b') and endswith(toupper(title),'C')",
        "CONTAINS( title , 'a' )",
        "length(trim(title)) ge indexof(concat(title,'x'),'x')",
        "substring(title,1) eq substring(title,-2,1)",
        "contains(release,'16.') and length(region) eq 2",
        "matchesPattern(title,'^[A-Z]+$')",
        "matchespattern(release,null)",
        "year(added) eq 2024 and month(since) eq 2 and day(2024-02-29) eq 29",
        "hour(added) eq 1 and minute(opens) eq 2 and second(warranty) eq 3",
        "fractionalseconds(added) lt 0.5 and totalseconds(warranty) gt 1",
        "date(added) eq 2024-02-29 and time(added) lt 12:00 and totaloffsetminutes(added) eq 0",
        "added lt now() and added gt mindatetime() and added lt maxdatetime()",
        "now( ) gt added",
        "added gt now() sub duration'P7D'",
        "added sub now() lt duration'PT1H' mul 2",
        "since add duration'P1D' gt since and since sub since eq duration'PT0S'",
        "round(price) eq floor(price) and ceiling(stock) eq 1",
        "-warranty lt warranty div 2 add warranty",
        "length(null) eq 0 or null add 1 eq 2 or null has 'x'",
    ];
    for text in accepted {
        if let Err(error) = bind(text) {
            panic!("{text}: {error}");
        }
    }
}

#[test]
fn refuses_the_rest_and_says_where() {
    let refused = [
        ("", 0),
        ("   ", 3),
        ("title eq", 8),
        ("title eq ", 9),
        ("eq 'x'", 3),
        ("title eq 'x' and", 16),
        ("title eq 'x' and and hidden", 21),
        ("(hidden", 0),
        ("hidden and (tags/any(t:hidden)", 11),
        ("hidden)", 6),
        ("()", 1),
        ("title eq 'x", 9),
        ("title eq x'y'", 10),
        ("title eq \"x\"", 9),
        ("'", 0),
        ("titleeq 'x'", 8),
        ("title eq'x'", 8),
        ("(hidden)and hidden", 8),
        ("hidden and(hidden)", 10),
        ("title in('a')", 8),
        ("title == 'x'", 6),
        ("hidden && hidden", 7),
        ("title like 'x'", 6),
        ("title not eq 'x'", 6),
        ("title\u{a0}eq 'x'", 5),
        ("title eq\n'x'", 8),
        ("Stühle eq 'x'", 0),
        ("title eq 'Stühle' und hidden", 18),
        ("missing eq 1", 0),
        ("NULL eq 1", 0),
        ("title/part eq 1", 0),
        ("tags/part eq 1", 0),
        ("parts/partId eq null", 0),
        ("title/any()", 0),
        ("title/$count eq 1", 0),
        ("tags/some(t:true)", 5),
        ("tags/all()", 9),
        ("tags/any(:true)", 9),
        ("tags/any(t true)", 11),
        ("tags/any(t:)", 11),
        ("tags/any(t:true", 0),
        ("tags/any(t:T eq 'x')", 11),
        ("tags/any(t:t/x eq 1)", 11),
        ("tags/any(t:'x')", 11),
        ("parts/any(p:p eq null)", 12),
        ("parts/any(p:p/missing eq null)", 12),
        ("parts/any(p:p/labels/x eq null)", 12),
        ("parts/any(p:p/minimum/x eq null)", 12),
        ("'x' in parts", 7),
        ("any(t:true)", 3),
        ("tags", 0),
        ("title", 0),
        ("not title eq 'x'", 0),
        ("hidden and 1", 11),
        ("1 add 2", 2),
        ("title and hidden", 0),
        ("title eq 1", 6),
        ("title eq true", 6),
        ("hidden eq 1", 7),
        ("hidden eq 'true'", 7),
        ("stock eq '1'", 6),
        ("added gt 16", 6),
        ("since gt 2024-02-29T00:00Z", 6),
        ("since lt added", 6),
        ("tags eq 'x'", 0),
        ("tags eq tags", 0),
        ("-title eq 'x'", 0),
        ("title add 1 eq 2", 6),
        ("added add 1 eq added", 6),
        ("added add added gt added", 6),
        ("title has 'x'", 6),
        ("colour has 1", 7),
        ("colour eq 'purple'", 10),
        ("colour has 'purple'", 11),
        ("photo gt binary'Zg'", 6),
        ("photo eq binary'Zh'", 9),
        ("release eq 'x'", 11),
        ("release eq '1.2.3.4.5'", 11),
        ("release in ('1','2147483648')", 16),
        ("release eq title", 8),
        ("release gt 1", 8),
        ("id eq '01234567-89ab-cdef-456789abcdef'", 6),
        ("id eq 01234567-89ab-cdef-456789abcdef", 6),
        ("id eq {01234567-89ab-cdef-0123-456789abcdef}", 6),
        ("id eq guid'01234567-89ab-cdef-0123-456789abcdef'", 6),
        ("added gt '2024-02-30'", 9),
        ("added gt '2024-02-29 or so'", 9),
        ("added gt 2024-02-30T00:00Z", 9),
        ("added gt 2024-02-29T24:00Z", 20),
        ("added gt 2024-02-29T00:00", 25),
        ("added gt datetime'2024-02-29T00:00'", 9),
        ("warranty gt duration'P1Y'", 12),
        ("warranty gt 'P1Y'", 12),
        ("stock eq 42.", 12),
        ("stock lt 170141183460469231731687303715884105728", 9),
        ("stock lt 7.000000000000000000000000000000000000000000001", 9),
        ("stock in (1,1e999999999)", 12),
        ("price gt 1e-999999999", 9),
        ("added gt 2024-02-29T23:59:60.123456789012+05:30", 29),
        ("added lt 9999-12-31T23:59:60Z", 29),
        ("opens lt 11:22:33.123456789012", 18),
        ("since gt 12345-01-01", 9),
        ("since gt -10000-12-31", 9),
        ("warranty gt duration'PT4.500000000001S'", 12),
        ("warranty gt 'PT4.500000000001S'", 12),
        ("stock eq 1_000", 9),
        ("title in ('a' 'b')", 14),
        ("title in ('a',)", 14),
        ("title in ('a'", 13),
        ("title in (title)", 10),
        ("title in (('a'))", 10),
        ("title in ('a',1)", 14),
        ("title in 'a'", 9),
        ("title in title", 9),
        ("1 in tags", 2),
        ("hidden, hidden", 6),
        ("(hidden, hidden)", 7),
        ("contains(title)", 0),
        ("hidden and contains(title,'a','b')", 11),
        ("contains(title,)", 15),
        ("contains(title,1)", 15),
        ("contains(tags,'x')", 9),
        ("contains (title,'x')", 9),
        ("now(1) gt added", 0),
        ("substring(title,1.5) eq 'x'", 16),
        ("length(stock) eq 1", 7),
        ("year(opens) eq 1", 5),
        ("hour(since) eq 1", 5),
        ("round(title) eq 1", 6),
        ("unknown(title)", 0),
        ("substringof('x',title)", 0),
        ("matchesPattern(title,'(')", 21),
        ("matchesPattern(title,title)", 21),
        ("matchesPattern(title,'(?=x)')", 21),
        ("matchesPattern(title,'((a{100}){100}){100}')", 21),
        ("title eq @", 9),
        ("title eq @1", 9),
        ("title eq $count", 9),
        ("title/ eq 1", 6),
        ("title eq title.", 14),
        ("price eq 1.2.3", 9),
    ];
    for (text, position) in refused {
        let error = bind(text).map(|_| ()).expect_err(text);
        assert_eq!(error.code, ErrorCode::InvalidFilter, "{text}: {error}");
        assert_eq!(error.position, Some(position), "{text}: {error}");
        assert!(
            error.message.contains(&format!("at position {position}")),
            "{text}: {error}"
        );
        assert_eq!(error.target, "$filter");
    }
}

#[test]
fn what_odata_has_and_we_have_not_is_501() {
    for (text, position) in [
        ("title in ['a','b']", 9),
        ("title eq {\"a\":1}", 9),
        ("$it", 0),
        ("hidden and $root/products eq null", 11),
        ("tags/$filter(true)/$count gt 1", 5),
        ("tags/$count/x eq 1", 5),
        ("tags/$count($filter=true) gt 1", 5),
        ("geo.distance(title,title) lt 5", 0),
        ("cast(stock,Edm.String) eq 'x'", 0),
        ("case(true:1)", 0),
        ("hassubset(tags,tags)", 0),
        ("isof(title)", 0),
        ("Shop.Product/title eq 'x'", 0),
        ("tags/Shop.Count() eq 1", 5),
        ("title/@Core.Note eq 'x'", 6),
        ("@Core.Note eq 'x'", 0),
    ] {
        let error = bind(text).map(|_| ()).expect_err(text);
        assert_eq!(error.code, ErrorCode::NotImplemented, "{text}: {error}");
        assert_eq!(
            (error.code.status(), error.position),
            (501, Some(position)),
            "{text}: {error}"
        );
    }
}

#[test]
fn messages_say_what_to_write_instead() {
    for (text, hint) in [
        ("not title eq 'x'", "use not (…)"),
        ("hidden && hidden", "write `and`"),
        ("title eq \"x\"", "write 'x'"),
        ("tags eq 'x'", "write 'x' in tags"),
        ("added gt 2024-02-29T00:00", "append Z"),
        (
            "id eq guid'01234567-89ab-cdef-0123-456789abcdef'",
            "without prefix and quotes",
        ),
        ("NULL eq title", "lower case"),
        ("parts/partId eq null", "parts/any(x:x/partId"),
        ("substringof('x',title)", "contains(text,'part')"),
        ("title like 'x'", "contains("),
        ("title eq\u{a0}'x'", "a blank"),
        ("title\u{a0}eq 'x'", "U+00A0"),
        ("title eq ;", "Unexpected character `;`"),
        ("opens gt time'08:30'", "a time of day as 12:00:00"),
        ("title in (title)", "a collection property without parentheses"),
        (
            "warranty gt duration'P1Y'",
            "write it as duration'P1DT2H30M15.5S'",
        ),
        ("photo eq binary'Zh'", "not base64url"),
        ("stock lt 1e999999999", "`1e999999999` cannot be held exactly"),
        (
            "added gt 2024-02-29T00:00:00.0000000001Z",
            "write no more than nine",
        ),
        ("warranty gt 'PT0.0000000001S'", "at most nine digits"),
        ("since gt 12345-01-01", "ends with the years -9999 and 9999"),
        ("release eq '1.x'", "`1.x` is not a version"),
        (
            "stock eq 1_234_567_890_123_456_789_012_345_678_901_234_567_890",
            "`1_234_567_890_123_456_789_012_345_678_901_234...` is not a number",
        ),
        (
            "release eq 'a text that nobody would want to read to its very end in a message'",
            "`a text that nobody would want to read to its ...` is not a version",
        ),
        ("parts/any(p:p eq null)", "name one of its properties"),
        ("contains(title)", "takes 2 arguments, not 1"),
        ("length(title,title) eq 1", "takes 1 argument, not 2"),
        ("substring(title) eq 'x'", "takes 2 or 3 arguments, not 1"),
        ("contains(title,1)", "needs a string here, not an integer"),
        ("length(stock) eq 1", "`stock` (an integer)"),
        ("()", "Expected an operand"),
        ("contains(title,,'x')", "Expected an operand"),
    ] {
        let error = bind(text).map(|_| ()).expect_err(text);
        assert!(error.message.contains(hint), "{text}: {error}");
    }
    let example = bind("hidden or not")
        .map(|_| ())
        .expect_err("an operand is missing");
    assert_eq!(example.message, "Expected an operand at position 13.");
}

#[test]
fn a_refused_pattern_says_what_the_compiler_said() {
    use std::error::Error;
    let refused = |pattern: &str| {
        bind(&format!("matchesPattern(title,'{pattern}')"))
            .map(|_| ())
            .expect_err(pattern)
    };
    let cause = refused("(").source().map(ToString::to_string).expect("a cause");
    assert!(cause.contains("unclosed group"), "{cause}");
    assert!(refused(&"a".repeat(2_000)).source().is_none());
}

#[test]
fn precedence_is_the_standards() {
    for (text, same) in [
        ("hidden or hidden and in", "hidden or (hidden and in)"),
        ("hidden and in or hidden", "(hidden and in) or hidden"),
        ("not hidden and in", "(not hidden) and in"),
        ("not 'x' in tags", "not ('x' in tags)"),
        ("not colour has 'Red'", "not (colour has 'Red')"),
        ("stock add 2 mul 3 eq 4", "(stock add (2 mul 3)) eq 4"),
        ("stock sub 2 sub 3 eq 4", "((stock sub 2) sub 3) eq 4"),
        ("stock mod 2 mul 3 eq 4", "((stock mod 2) mul 3) eq 4"),
        ("-stock mul 2 eq 4", "((-stock) mul 2) eq 4"),
        ("1 lt 2 eq 3 gt 4", "(1 lt 2) eq (3 gt 4)"),
        ("1 eq 1 eq true ne false", "((1 eq 1) eq true) ne false"),
        ("stock in (1) eq true", "(stock in (1)) eq true"),
    ] {
        assert_eq!(shape(text), shape(same), "{text}");
    }
}

/// The tree without positions.
fn shape(text: &str) -> Vec<Syntax> {
    let ast = parse_filter(text, &Limits::default()).expect(text);
    let (mut nodes, mut waiting) = (Vec::new(), vec![ast.root()]);
    while let Some(id) = waiting.pop() {
        let syntax = ast.node(id).syntax.clone();
        let (stripped, children) = without_ids(syntax);
        nodes.push(stripped);
        waiting.extend(children);
    }
    nodes
}

fn without_ids(syntax: Syntax) -> (Syntax, Vec<NodeId>) {
    match syntax {
        Syntax::And(operands) => (Syntax::And(Vec::new()), operands),
        Syntax::Or(operands) => (Syntax::Or(Vec::new()), operands),
        Syntax::Binary {
            operator,
            left,
            right,
        } => (
            Syntax::Call {
                name: operator.keyword().into(),
                arguments: Vec::new(),
            },
            vec![left, right],
        ),
        Syntax::Unary { operator, operand } => (
            Syntax::Call {
                name: format!("{operator:?}"),
                arguments: Vec::new(),
            },
            vec![operand],
        ),
        Syntax::InList { operand, items } => (
            Syntax::Call {
                name: format!("in {}", items.len()),
                arguments: Vec::new(),
            },
            vec![operand],
        ),
        Syntax::InCollection { operand, collection } => (
            Syntax::Call {
                name: "in".into(),
                arguments: Vec::new(),
            },
            vec![operand, collection],
        ),
        Syntax::Path(path) => (Syntax::Alias(path.names.join("/")), Vec::new()),
        other => (other, Vec::new()),
    }
}

#[test]
fn long_chains_are_one_node() {
    let ast = parse_filter("hidden and hidden and hidden and hidden", &Limits::default()).expect("a chain");
    assert_eq!(ast.size(), 5);
    assert!(matches!(&ast.node(ast.root()).syntax, Syntax::And(operands) if operands.len() == 4));
}

#[test]
fn limits_are_kept() {
    let mut limits = Limits::default();
    limits.bytes = 100;
    limits.depth = 3;
    limits.lambda_depth = 1;
    limits.nodes = 9;
    limits.list_items = 2;
    limits.pattern_bytes = 8;
    limits.patterns = 1;
    let accept = |text: &str| {
        let ast = parse_filter(text, &limits)?;
        bind_filter(&ast, &crate::shop::schema(), &Aliases::default(), &limits)
    };
    for (fits, exceeds) in [
        ("(((hidden)))", "((((hidden))))"),
        ("not not not hidden", "not not not not hidden"),
        (
            "not hidden and not hidden and not hidden and not hidden",
            "not (not (not (not hidden)))",
        ),
        ("---1 lt 0 ", "----- 1 lt 0"),
        ("tags/any(t:true)", "tags/any(t:tags/any(u:true))"),
        ("1 add 1 add 1 add 1 gt 1", "1 add 1 add 1 add 1 add 1 gt 1"),
        ("stock in (1,2)", "stock in (1,2,3)"),
        (
            "matchesPattern(title,'12345678')",
            "matchesPattern(title,'123456789')",
        ),
        (
            "matchesPattern(title,'a')",
            "matchesPattern(title,'a') or matchesPattern(title,'b')",
        ),
    ] {
        assert!(accept(fits).is_ok(), "{fits}");
        let error = accept(exceeds).map(|_| ()).expect_err(exceeds);
        assert_eq!(error.code, ErrorCode::InvalidFilter, "{exceeds}: {error}");
    }
    let operators_do_not_nest = "hidden and stock gt 1 add 2 mul 3";
    assert!(accept(operators_do_not_nest).is_ok());
    let long = format!("title eq '{}'", "x".repeat(89));
    assert_eq!(long.len(), 100);
    assert!(accept(&long).is_ok());
    assert!(accept(&format!("{long} ")).is_err());
}

#[test]
fn aliases_stand_for_literals() {
    let mut aliases = Aliases::default();
    for (name, text) in [
        ("t", "'Chair'"),
        ("n", "1.5"),
        ("id", "01234567-89ab-cdef-0123-456789abcdef"),
        ("bad", "'Chair"),
        ("two", "1 2"),
        ("path", "title"),
        ("json", "[1]"),
    ] {
        aliases.texts.insert(name.into(), text.into());
    }
    for text in [
        "title eq @t",
        "stock in (1,@n)",
        "id eq @id",
        "title eq @missing",
        "contains(title,@t)",
        "@t in tags",
    ] {
        if let Err(error) = bind_with(text, &aliases) {
            panic!("{text}: {error}");
        }
    }
    for (text, target, position) in [
        ("title eq @bad", "@bad", 0),
        ("stock eq @two", "@two", 2),
        ("title eq @path", "@path", 0),
        ("title eq @n", "$filter", 6),
        ("title eq @json", "@json", 0),
    ] {
        let error = bind_with(text, &aliases).map(|_| ()).expect_err(text);
        assert_eq!(
            (error.target.as_str(), error.position),
            (target, Some(position)),
            "{text}: {error}"
        );
    }
}

#[test]
fn bound_literals_have_the_type_of_what_they_meet() {
    let literal = |text: &str| {
        let filter = bind(text).expect(text);
        let mut values = filter.nodes().iter().filter_map(|node| match &node.expression {
            Expression::Literal(value) => Some(value.clone()),
            Expression::InList { items, .. } => items.first().cloned(),
            _ => None,
        });
        values.next().expect("a literal")
    };
    assert_eq!(
        literal("release eq '16.1'"),
        Value::Version(Version([16, 1, 0, 0]))
    );
    assert_eq!(literal("'de' eq region"), Value::text("DE"));
    assert_eq!(literal("line in ('Garden  Chairs')"), Value::text("gardenchairs"));
    assert_eq!(literal("'de' in markets"), Value::text("DE"));
    assert_eq!(
        literal("id eq '00000000-0000-0000-0000-0000000000FF'"),
        Value::Guid(Guid(255))
    );
    assert_eq!(
        literal("added gt 1970-01-01"),
        Value::Instant(Instant::from_ticks(0))
    );
    assert_eq!(literal("colour has 'Red,Blue'"), Value::Flags(5));
    assert_eq!(
        literal("stock eq 9223372036854775808").to_owned(),
        Value::Number("9223372036854775808".parse().unwrap())
    );
}

#[test]
fn a_fold_is_known_by_its_name() {
    use crate::shop::{COMPACT, UPPER};
    assert_eq!(Scalar::Folded(UPPER), Scalar::Folded(UPPER));
    assert_ne!(Scalar::Folded(UPPER), Scalar::Folded(COMPACT));
}

#[test]
fn folds_are_applied_to_what_is_not_a_literal() {
    let domain = |text: &str| {
        let filter = bind(text).expect(text);
        let domain = match &filter.node(filter.root()).expression {
            Expression::Compare { domain, .. }
            | Expression::InList { domain, .. }
            | Expression::InCollection { domain, .. } => *domain,
            other => panic!("{other:?}"),
        };
        match domain {
            Domain::Folded { left, right } => (left.map(|fold| fold.name), right.map(|fold| fold.name)),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(domain("region eq 'de'"), (Some("upper"), None));
    assert_eq!(domain("'de' eq region"), (None, Some("upper")));
    assert_eq!(domain("region eq line"), (Some("upper"), Some("compact")));
    assert_eq!(domain("region eq title"), (Some("upper"), Some("upper")));
    assert_eq!(domain("region in ('de')"), (Some("upper"), None));
    assert_eq!(domain("'de' in markets"), (None, Some("upper")));
    assert_eq!(domain("title in markets"), (Some("upper"), Some("upper")));
}

#[test]
fn constants_are_told_from_what_needs_a_row() {
    let filter = bind("added gt now() sub duration'P1D' and hidden").expect("a filter");
    let [first, second] = filter.conjuncts()[..] else {
        panic!("two conjuncts")
    };
    assert!(!filter.is_constant(first) && !filter.is_constant(second));
    let Expression::Compare { right, .. } = filter.node(first).expression else {
        panic!("a comparison")
    };
    assert!(filter.is_constant(right));
    let day = Duration::from_hours(24);
    let now = Instant::from_ticks(0).plus(day).expect("a day later");
    assert_eq!(
        filter.constant(right, now, &mut Account::default()),
        Ok(Value::Instant(Instant::from_ticks(0)))
    );
}
#[test]
fn members_of_enumerations_have_numbers() {
    for (text, bits) in [
        ("1", Some(1)),
        ("5", Some(5)),
        ("1, Blue", Some(5)),
        ("0", Some(0)),
        ("007", Some(7)),
        ("8", None),
        ("15", None),
        ("-1", None),
        ("+1", None),
        ("", None),
        ("1.0", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(COLOURS.parse(text), bits, "{text}");
    }
    assert_eq!(
        bind("colour has '8'").expect_err("no member").code,
        ErrorCode::InvalidFilter
    );
}
