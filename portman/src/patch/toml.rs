//! TOML 1, through headers, dotted keys, inline tables and arrays of tables.
//!
//! `toml_edit` says where a value stands; it never prints the file, because its printer rewrites line endings. A key
//! that is missing goes where its table already has its lines, so that no later header can claim it.

mod insert;
mod tree;

use std::ops::Range;

use toml_edit::{Array, ArrayOfTables, Document, InlineTable, Item, Table, TomlError, Value};

use super::key::{KeyPath, Step};
use super::value;
use super::{Code, Refusal, Splice};
use tree::Tree;

/// The splices that make `sets`; none for what is already so.
pub(super) fn locate(text: &str, sets: &[(&KeyPath, &str)]) -> Result<Vec<Splice>, Refusal> {
    let document = parse(text)?;
    let mut splices = Vec::new();
    let mut additions = insert::Additions::new(text, document.as_table());
    for (key, asked) in value::distinct(sets)? {
        match find(document.as_table(), key)? {
            Found::Value(standing) => splices.extend(replacement(text, standing, key, asked)?),
            Found::Missing(place) => additions.add(&place, key, asked),
        }
    }
    splices.extend(additions.into_splices());
    Ok(splices)
}

/// Reads both texts: `after` is `before` with the asked values, and nothing else differs.
pub(super) fn read_back(
    before: &str,
    after: &str,
    sets: &[(&KeyPath, &str)],
) -> Result<(), Refusal> {
    let mut expected = Tree::of_table(parse(before)?.as_table());
    let actual = Document::parse(after)
        .map_err(|_| Refusal::of_read_back("the patched text could not be read back"))?;
    for (key, asked) in value::distinct(sets)? {
        expected.set(key.steps(), asked);
    }
    if expected == Tree::of_table(actual.as_table()) {
        return Ok(());
    }
    Err(Refusal::of_read_back("the patched text differs in more than was asked for"))
}

/// The value at `key` if it is a string or a whole number, as text; none when nothing stands there.
pub(super) fn says(text: &str, key: &KeyPath) -> Result<Option<String>, Refusal> {
    let document = parse(text)?;
    Ok(match find(document.as_table(), key)? {
        Found::Value(Value::String(text)) => Some(text.value().clone()),
        Found::Value(Value::Integer(number)) => Some(number.value().to_string()),
        Found::Value(_) | Found::Missing(_) => None,
    })
}

fn parse(text: &str) -> Result<Document<&str>, Refusal> {
    Document::parse(text).map_err(|error| syntax(&error))
}

/// What a key path leads to.
enum Found<'f> {
    Value(&'f Value),
    Missing(Place<'f>),
}

/// Something with members that lacks one.
struct Place<'f> {
    /// The table or inline table whose lines or braces the new member goes into.
    owner: Node<'f>,
    /// The dotted keys between the owner and the member, and what they lead to.
    dotted: Vec<&'f str>,
    inner: Node<'f>,
    /// The names from the root to the owner. An element of an array of tables has the name of its array.
    path: Vec<&'f str>,
    /// The names to be made, the last of which is the value's.
    names: Vec<&'f str>,
}

/// Something a step can lead to.
#[derive(Clone, Copy)]
enum Node<'f> {
    Table(&'f Table),
    Inline(&'f InlineTable),
    Tables(&'f ArrayOfTables),
    Array(&'f Array),
    Value(&'f Value),
}

impl<'f> Node<'f> {
    fn of(item: &'f Item) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
            Item::Value(value) => Some(Self::of_value(value)),
        }
    }

    fn of_value(value: &'f Value) -> Self {
        match value {
            Value::InlineTable(table) => Self::Inline(table),
            Value::Array(array) => Self::Array(array),
            value => Self::Value(value),
        }
    }

    fn member(self, name: &str) -> Option<Self> {
        match self {
            Self::Table(table) => Self::of(table.get(name)?),
            Self::Inline(table) => Some(Self::of_value(table.get(name)?)),
            Self::Tables(_) | Self::Array(_) | Self::Value(_) => None,
        }
    }

    fn element(self, index: usize) -> Option<Self> {
        match self {
            Self::Tables(tables) => Some(Self::Table(tables.get(index)?)),
            Self::Array(array) => Some(Self::of_value(array.get(index)?)),
            Self::Table(_) | Self::Inline(_) | Self::Value(_) => None,
        }
    }

    fn has_members(self) -> bool {
        matches!(self, Self::Table(_) | Self::Inline(_))
    }

    /// Only keys with dots lead here: it has neither a header nor braces.
    fn is_dotted(self) -> bool {
        match self {
            Self::Table(table) => table.is_dotted(),
            Self::Inline(table) => table.is_dotted(),
            Self::Tables(_) | Self::Array(_) | Self::Value(_) => false,
        }
    }

    fn start(self) -> usize {
        let span = match self {
            Self::Table(table) => table.span(),
            Self::Inline(table) => table.span(),
            Self::Tables(tables) => tables.span(),
            Self::Array(array) => array.span(),
            Self::Value(value) => value.span(),
        };
        span.map_or(0, |span| span.start)
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Table(_) | Self::Inline(_) => "a table",
            Self::Tables(_) | Self::Array(_) => "a list",
            Self::Value(Value::String(_)) => "a string",
            Self::Value(Value::Boolean(_)) => "a boolean",
            Self::Value(Value::Datetime(_)) => "a date",
            Self::Value(_) => "a number",
        }
    }
}

fn find<'f>(root: &'f Table, key: &'f KeyPath) -> Result<Found<'f>, Refusal> {
    let mut at = Node::Table(root);
    let (mut owner, mut dotted, mut path) = (at, Vec::new(), Vec::new());
    for (depth, step) in key.steps().iter().enumerate() {
        let next = match step {
            Step::Name(name) => at.member(name),
            Step::Index(index) => at.element(*index),
        };
        if let Step::Name(name) = step {
            if next.is_none() && at.has_members() {
                let names = names(at, key, depth)?;
                return Ok(Found::Missing(Place { owner, dotted, inner: at, path, names }));
            }
            dotted.push(name.as_str());
        }
        at = next.ok_or_else(|| no_parent(at, key, step))?;
        if !at.is_dotted() {
            owner = at;
            path.append(&mut dotted);
        }
    }
    match at {
        Node::Value(value) => Ok(Found::Value(value)),
        _ => Err(Refusal {
            offset: at.start(),
            code: Code::NotAValue,
            message: format!("`{key}` is {}, not one value", at.kind()),
            hint: "name one value inside it".to_owned(),
        }),
    }
}

/// The names from `depth` on, all of which are to be made.
fn names<'f>(at: Node<'_>, key: &'f KeyPath, depth: usize) -> Result<Vec<&'f str>, Refusal> {
    let name = |step: &'f Step| match step {
        Step::Name(name) => Ok(name.as_str()),
        Step::Index(_) => Err(Refusal {
            offset: at.start(),
            code: Code::NoParent,
            message: format!("`{key}` asks for an element of a list that is not there"),
            hint: "add the list to the file first".to_owned(),
        }),
    };
    key.steps()[depth..].iter().map(name).collect()
}

fn no_parent(at: Node<'_>, key: &KeyPath, step: &Step) -> Refusal {
    let length = match at {
        Node::Tables(tables) => Some(tables.len()),
        Node::Array(array) => Some(array.len()),
        _ => None,
    };
    let (message, hint) = match (step, length) {
        (Step::Index(index), Some(length)) => {
            let message = format!("`{key}` asks for element {index} of a list of {length}");
            (message, "elements are counted from 0; add the element to the file first")
        }
        (Step::Index(_), None) => {
            (format!("`{key}` asks for an element of {}", at.kind()), "correct the key")
        }
        (Step::Name(name), _) => {
            (format!("`{key}` asks for `{name}` in {}", at.kind()), "correct the key")
        }
    };
    Refusal { offset: at.start(), code: Code::NoParent, message, hint: hint.to_owned() }
}

fn syntax(error: &TomlError) -> Refusal {
    Refusal {
        offset: error.span().map_or(0, |span| span.start),
        code: Code::Syntax,
        message: error.message().lines().next().unwrap_or("not TOML").to_owned(),
        hint: "correct the file: TOML 1 can be read".to_owned(),
    }
}

fn replacement(
    text: &str,
    standing: &Value,
    key: &KeyPath,
    asked: &str,
) -> Result<Option<Splice>, Refusal> {
    let range = standing.span().unwrap_or_default();
    let says = standing.as_str().unwrap_or_default();
    value::refuse_uncertain_port(says, asked, key, range.start)?;
    let old = &text[range.clone()];
    let before = Tree::of_value(standing);
    let wanted = before.wanted(asked);
    if wanted == before {
        return Ok(None);
    }
    let (part, new_part) = match (standing, value::port_to_change(says, asked)) {
        (Value::String(says), Some(digits)) => {
            port_in_literal(old, &says.value()[digits], asked, &wanted)
        }
        _ => None,
    }
    .unwrap_or_else(|| (0..old.len(), encode(&wanted, old)));
    let new = format!("{}{new_part}{}", &old[..part.start], &old[part.end..]);
    let part = range.start + part.start..range.start + part.end;
    let (key, old) = (key.to_string(), Some(old.to_owned()));
    Ok(Some(Splice { range: part, text: new_part, key, old, new }))
}

/// Where in a string literal the digits of the port stand: there where other digits make it say what is wanted.
fn port_in_literal(
    literal: &str,
    digits: &str,
    asked: &str,
    wanted: &Tree,
) -> Option<(Range<usize>, String)> {
    literal.match_indices(digits).map(|(start, _)| start..start + digits.len()).find_map(|place| {
        let candidate = format!("{}{asked}{}", &literal[..place.start], &literal[place.end..]);
        let says = candidate.parse().ok().map(|value: Value| Tree::of_value(&value));
        (says.as_ref() == Some(wanted)).then(|| (place, asked.to_owned()))
    })
}

/// `wanted` as TOML; a string in the manner of the literal `like`, as far as that can hold it.
fn encode(wanted: &Tree, like: &str) -> String {
    match wanted {
        Tree::Bool(boolean) => boolean.to_string(),
        Tree::Integer(integer) => integer.to_string(),
        Tree::Float(bits) => format!("{:?}", f64::from_bits(*bits)),
        Tree::Datetime(datetime) => datetime.clone(),
        Tree::Text(text) => quoted(text, like),
        Tree::Members(_) | Tree::Elements(_) | Tree::Missing => String::new(),
    }
}

fn quoted(text: &str, like: &str) -> String {
    let quote =
        ["\"\"\"", "'''", "'"].into_iter().find(|quote| like.starts_with(quote)).unwrap_or("\"");
    // A literal string has no escapes, so it ends at the first quote and cannot hold what may not be written plainly.
    let holds = |char: char| char != '\'' && (char == '\t' || !char.is_control());
    let quote = match quote {
        "'''" if !text.chars().all(holds) => "\"\"\"",
        "'" if !text.chars().all(holds) => "\"",
        quote => quote,
    };
    // The line break after an opening triple quote belongs to no string.
    let opening = match quote.len() {
        3 => ["\r\n", "\n"]
            .into_iter()
            .find(|newline| like[3..].starts_with(newline))
            .unwrap_or_default(),
        _ => "",
    };
    let body = if quote.starts_with('"') { escaped(text) } else { text.to_owned() };
    format!("{quote}{opening}{body}{quote}")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            _ if char.is_control() => escaped.extend(format!("\\u{:04X}", u32::from(char)).chars()),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{locate, read_back};
    use crate::patch::key::KeyPath;
    use crate::patch::{Code, Edit, Format, patch, spliced};

    fn patched(before: &str, sets: &[(&str, &str)]) -> Result<String, Code> {
        let keys: Vec<(KeyPath, &str)> =
            sets.iter().map(|&(key, value)| (key.parse().unwrap(), value)).collect();
        let sets: Vec<_> = keys.iter().map(|(key, value)| (key, *value)).collect();
        let mut splices = locate(before, &sets).map_err(|refusal| refusal.code)?;
        splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
        let after = spliced(before, &splices);
        read_back(before, &after, &sets)
            .unwrap_or_else(|refusal| panic!("{refusal:?}\n{before}\n->\n{after}"));
        assert_eq!(locate(&after, &sets), Ok(Vec::new()), "not idempotent: {after}");
        Ok(after)
    }

    /// The patch commutes with what an editor does to a whole file.
    fn check(before: &str, sets: &[(&str, &str)], after: &str) {
        let changes: [fn(&str) -> String; 4] = [
            str::to_owned,
            |text| text.replace('\n', "\r\n"),
            |text| text.trim_end().to_owned(),
            |text| format!("# Grüße, 世界 👋 [\n\n{text}"),
        ];
        for change in changes {
            let (before, after) = (change(before), change(after));
            assert_eq!(patched(&before, sets).as_deref(), Ok(after.as_str()), "{before}");
        }
    }

    #[test]
    fn replaces_only_the_value() {
        for (before, value, after) in [
            ("port = 8080\n", "9000", "port = 9000\n"),
            ("port=8_080 # note\nx = 1.0\n", "9000", "port=9000 # note\nx = 1.0\n"),
            ("port = 0x1F90\n", "9000", "port = 9000\n"),
            ("port = +80\n", "9000", "port = 9000\n"),
            ("port = 80.5\n", "9000", "port = 9000.0\n"),
            ("port = 80.5\n", "1e3", "port = 1000.0\n"),
            ("port = 80\n", "1.5", "port = 1.5\n"),
            ("port = 80\n", "auto", "port = \"auto\"\n"),
            ("port = true\n", "false", "port = false\n"),
            ("port = false\n", "9000", "port = 9000\n"),
            ("port = 2024-01-01\n", "2026-02-03", "port = 2026-02-03\n"),
            ("port = \"8080\"\n", "9000", "port = \"9000\"\n"),
            ("port = '8080'\n", "9000", "port = '9000'\n"),
            ("port = 'x'\n", "it's", "port = \"it's\"\n"),
            ("port = 'x'\n", "a\tb\\c\"", "port = 'a\tb\\c\"'\n"),
            ("port = \"x\"\n", "a\tb\\c\"\n\u{1}", "port = \"a\\tb\\\\c\\\"\\n\\u0001\"\n"),
            ("port = \"\"\"x\"\"\"\n", "say \"\"\"", "port = \"\"\"say \\\"\\\"\\\"\"\"\"\n"),
            ("port = \"\"\"\nx\"\"\"\n", "y", "port = \"\"\"\ny\"\"\"\n"),
            ("port = '''x'''\n", "y", "port = '''y'''\n"),
            ("port = '''\nx'''\n", "it's", "port = \"\"\"\nit's\"\"\"\n"),
            ("port = \":8080\"\n", "9000", "port = \":9000\"\n"),
            (
                "port = 'jdbc:postgresql://localhost:5432/db'\n",
                "9000",
                "port = 'jdbc:postgresql://localhost:9000/db'\n",
            ),
            (
                "port = \"http://a:1;http://b:2\"\n",
                "http://a:3;http://b:4",
                "port = \"http://a:3;http://b:4\"\n",
            ),
            ("port = '0.0.0.0:8080'\n", "9000", "port = '0.0.0.0:9000'\n"),
            (
                "port = \"http://a8080:8080/\\u00e9\" # 8080\n",
                "9000",
                "port = \"http://a8080:9000/\\u00e9\" # 8080\n",
            ),
            ("port = \"http://a:\\u00380\\u00380/\"\n", "9000", "port = \"http://a:9000/\"\n"),
            ("\"po\\u0072t\" = 1\n", "9000", "\"po\\u0072t\" = 9000\n"),
            (
                "a = [\n  1, # port = 1\n]\nport = 1",
                "9000",
                "a = [\n  1, # port = 1\n]\nport = 9000",
            ),
        ] {
            check(before, &[("port", value)], after);
        }
    }

    #[test]
    fn finds_values_through_every_kind_of_table() {
        for (before, key, after) in [
            ("[server]\nport = 1\n", "server.port", "[server]\nport = 9000\n"),
            ("[a.b]\nport = 1\n", "a.b.port", "[a.b]\nport = 9000\n"),
            ("server.port = 1\n", "server.port", "server.port = 9000\n"),
            (
                "[a]\nb . \"c.d\" . port = 1\n",
                "a.b.\"c.d\".port",
                "[a]\nb . \"c.d\" . port = 9000\n",
            ),
            ("server = { port = 1, x = 2 }\n", "server.port", "server = { port = 9000, x = 2 }\n"),
            ("server = { tls.port = 1 }\n", "server.tls.port", "server = { tls.port = 9000 }\n"),
            (
                "[[s]]\nport = 1\n[[s]]\nport = 2\n",
                "s[1].port",
                "[[s]]\nport = 1\n[[s]]\nport = 9000\n",
            ),
            (
                "s = [{ port = 1 }, { port = 2 }]\n",
                "s[0].port",
                "s = [{ port = 9000 }, { port = 2 }]\n",
            ),
            ("l = [[1, 2], [3]]\n", "l[0][1]", "l = [[1, 9000], [3]]\n"),
        ] {
            check(before, &[(key, "9000")], after);
        }
    }

    #[test]
    fn inserts_where_the_table_has_its_lines() {
        for (before, key, after) in [
            ("a = 1\n", "port", "a = 1\nport = 9000\n"),
            ("a=1 # note\n", "port", "a=1 # note\nport=9000\n"),
            ("a   = 1\n\n[b]\nx = 1\n", "port", "a   = 1\nport = 9000\n\n[b]\nx = 1\n"),
            (
                "a = [\n  1,\n] # end\n# last\n",
                "port",
                "a = [\n  1,\n] # end\nport = 9000\n# last\n",
            ),
            ("[s]\n", "s.port", "[s]\nport = 9000\n"),
            ("[s] # note\n\n[t]\n", "s.port", "[s] # note\nport = 9000\n\n[t]\n"),
            (
                "[s]\n  a = 1\n  # b = 2\n[s.t]\n",
                "s.port",
                "[s]\n  a = 1\n  port = 9000\n  # b = 2\n[s.t]\n",
            ),
            ("  [s]\n", "s.port", "  [s]\n  port = 9000\n"),
            ("[s]\na = \"\"\"\nx\n\"\"\"\n", "s.port", "[s]\na = \"\"\"\nx\n\"\"\"\nport = 9000\n"),
            (
                "[[s]]\na = 1\n[[s]]\na = 2\n",
                "s[0].port",
                "[[s]]\na = 1\nport = 9000\n[[s]]\na = 2\n",
            ),
            ("s.a = 1\nb = 2\n", "s.port", "s.a = 1\ns.port = 9000\nb = 2\n"),
            ("[x]\ns.t.a = 1\nb = 2\n", "x.s.port", "[x]\ns.t.a = 1\ns.port = 9000\nb = 2\n"),
            ("s.a = 1\n", "s.t.port", "s.a = 1\ns.t.port = 9000\n"),
            ("[s]\na = 1\n[s.t]\n", "s.\"x y\".port", "[s]\na = 1\n\"x y\".port = 9000\n[s.t]\n"),
            // Braces.
            ("s = {}\n", "s.port", "s = { port = 9000 }\n"),
            ("s = { }\n", "s.port", "s = { port = 9000 }\n"),
            ("s = { a = 1 } # note\n", "s.port", "s = { a = 1, port = 9000 } # note\n"),
            ("s = {a = 1}\n", "s.port", "s = {a = 1, port = 9000}\n"),
            ("s = {a=1}\n", "s.port", "s = {a=1,port=9000}\n"),
            ("s = { a = 1 }\n", "s.t.port", "s = { a = 1, t.port = 9000 }\n"),
            ("s = { t.a = 1, b = 2 }\n", "s.t.port", "s = { t.a = 1, b = 2, t.port = 9000 }\n"),
            ("s = { a = 1, }\n", "s.port", "s = { a = 1, port = 9000, }\n"),
            ("s = [{ a = { x = 1 } }]\n", "s[0].a.port", "s = [{ a = { x = 1, port = 9000 } }]\n"),
            (
                "s = {\n  a = 1, # one, two\n}\n",
                "s.port",
                "s = {\n  a = 1, # one, two\n  port = 9000,\n}\n",
            ),
            (
                "s = {\n  a = 1 # one, two\n}\n",
                "s.port",
                "s = {\n  a = 1, # one, two\n  port = 9000\n}\n",
            ),
            ("s = { a = 1 # one\n}\n", "s.port", "s = { a = 1, # one\nport = 9000\n}\n"),
            ("s = { # none\n}\n", "s.port", "s = { # none\n  port = 9000\n}\n"),
        ] {
            check(before, &[(key, "9000")], after);
        }
    }

    #[test]
    fn gives_a_header_to_tables_without_one() {
        for (before, key, after) in [
            ("a = 1\n", "s.port", "a = 1\n\n[s]\nport = 9000\n"),
            ("[a]\nb = 1\n# end\n", "s.t.port", "[a]\nb = 1\n# end\n\n[s.t]\nport = 9000\n"),
            ("[a]\nb = 1\n\n\n", "\"x y\".port", "[a]\nb = 1\n\n[\"x y\"]\nport = 9000\n\n\n"),
            ("[a.b]\nx = 1\n[c]\n", "a.port", "[a.b]\nx = 1\n\n[a]\nport = 9000\n[c]\n"),
            ("[a.b]\nx = 1\n[c]\n", "a.d.port", "[a.b]\nx = 1\n\n[a.d]\nport = 9000\n[c]\n"),
            (
                "[[a.b]]\nx = 1\n[[a.b]]\n[c]\n",
                "a.port",
                "[[a.b]]\nx = 1\n[[a.b]]\n\n[a]\nport = 9000\n[c]\n",
            ),
            (
                "[[s]]\n[s.t.u]\n[[s]]\nx = 1\n",
                "s[0].t.port",
                "[[s]]\n[s.t.u]\n\n[s.t]\nport = 9000\n[[s]]\nx = 1\n",
            ),
            (
                "[[s]]\n[s.t]\n[[s]]\nx = 1\n",
                "s[0].t.port",
                "[[s]]\n[s.t]\nport = 9000\n[[s]]\nx = 1\n",
            ),
        ] {
            // Blank lines at the end are for the file as it is.
            if !before.ends_with("\n\n") {
                check(before, &[(key, "9000")], after);
            }
            assert_eq!(patched(before, &[(key, "9000")]).as_deref(), Ok(after));
        }
    }

    #[test]
    fn puts_root_keys_before_the_first_header() {
        let sets = [("port", "1"), ("name", "x"), ("mode", "y")];
        for (before, after) in [
            ("[a]\n", "port = 1\nname = \"x\"\nmode = \"y\"\n\n[a]\n"),
            ("# about a\n[a]\n", "port = 1\nname = \"x\"\nmode = \"y\"\n\n# about a\n[a]\n"),
            (
                "# file\n\n# about a\n[[a]]\n",
                "# file\n\nport = 1\nname = \"x\"\nmode = \"y\"\n\n# about a\n[[a]]\n",
            ),
            ("", "port = 1\nname = \"x\"\nmode = \"y\"\n"),
            ("\n", "port = 1\nname = \"x\"\nmode = \"y\"\n\n"),
            ("# file\n", "# file\nport = 1\nname = \"x\"\nmode = \"y\"\n"),
        ] {
            assert_eq!(patched(before, &sets).as_deref(), Ok(after), "{before}");
        }
        assert_eq!(patched("[a]\r\n", &[("b", "1")]).as_deref(), Ok("b = 1\r\n\r\n[a]\r\n"));
    }

    #[test]
    fn makes_several_edits_at_once() {
        check(
            "a = 1\n\n[s]\nx = 'y'\n",
            &[
                ("new.port", "1"),
                ("s.port", "2"),
                ("new.host", ":3"),
                ("b", "4"),
                ("s.host", "h"),
                ("new.t.u", "5"),
                ("a", "6"),
            ],
            "a = 6\nb = 4\n\n[s]\nx = 'y'\nport = 2\nhost = \"h\"\n\n[new]\nport = 1\nhost = \":3\"\n\n[new.t]\nu = 5\n"
                .replace("\"h\"", "'h'")
                .as_str(),
        );
        check(
            "s = { x = 1 }\n",
            &[("s.a", "2"), ("s.x", "3"), ("s.b", "4")],
            "s = { x = 3, a = 2, b = 4 }\n",
        );
        check("s = { x = 1, }\n", &[("s.a", "2"), ("s.b", "4")], "s = { x = 1, a = 2, b = 4, }\n");
        check(
            "s = {}\n",
            &[("s.a", "2"), ("s.b.c", "4"), ("s.d", "5")],
            "s = { a = 2, b.c = 4, d = 5 }\n",
        );
        check(
            "s = {\n  x = 1 # one\n}\n",
            &[("s.a", "2"), ("s.b", "4")],
            "s = {\n  x = 1, # one\n  a = 2,\n  b = 4\n}\n",
        );
        check(
            "s = { # none\n}\n",
            &[("s.a", "2"), ("s.b", "4")],
            "s = { # none\n  a = 2,\n  b = 4\n}\n",
        );
        let empty = patched("", &[("s.a", "1"), ("b", "2"), ("t.c", "3"), ("s.d", "4")]);
        assert_eq!(empty.as_deref(), Ok("b = 2\n\n[s]\na = 1\nd = 4\n\n[t]\nc = 3\n"));
        assert_eq!(
            patched("", &[("s.a", "1"), ("t.c", "3")]).as_deref(),
            Ok("[s]\na = 1\n\n[t]\nc = 3\n")
        );
    }

    #[test]
    fn leaves_alone_what_is_already_so() {
        for (before, value) in [
            ("port = 8_080\n", "8080"),
            ("port = 0x1F90\n", "8080"),
            ("port = 8080.0\n", "8080"),
            ("port = '8080'\n", "8080"),
            ("port = \"80\\u00380\"\n", "8080"),
            ("port = \"http://localhost:8080/\"\n", "8080"),
            ("port = true\n", "true"),
            ("port = 2024-01-01\n", "2024-01-01"),
        ] {
            check(before, &[("port", value)], before);
        }
    }

    #[test]
    fn takes_the_line_ending_of_the_neighbouring_line() {
        assert_eq!(
            patched("a = 1\r\nb = 2\n", &[("c", "3")]).as_deref(),
            Ok("a = 1\r\nb = 2\r\nc = 3\n")
        );
        assert_eq!(
            patched("[s]\r\n[t]\nb = 2\n", &[("s.c", "3")]).as_deref(),
            Ok("[s]\r\nc = 3\r\n[t]\nb = 2\n")
        );
    }

    #[test]
    fn tells_what_changed() {
        let url = "s.url".parse().unwrap();
        let splices = locate("[s]\nurl = 'http://localhost:8080/x'\n", &[(&url, "9000")]).unwrap();
        let splice = &splices[0];
        assert_eq!(
            (splice.range.clone(), splice.text.as_str(), splice.key.as_str()),
            (28..32, "9000", "s.url")
        );
        assert_eq!(splice.old.as_deref(), Some("'http://localhost:8080/x'"));
        assert_eq!(splice.new, "'http://localhost:9000/x'");
        let splices = locate("[s]\n", &[(&url, "x")]).unwrap();
        assert_eq!((splices[0].old.as_deref(), splices[0].new.as_str()), (None, "\"x\""));
    }

    #[test]
    fn refuses_with_the_place() {
        for (before, key, code, offset) in [
            ("[a]\n[a.b]\nx = 1\n", "a.b", Code::NotAValue, 4),
            ("a = [1]\n", "a", Code::NotAValue, 4),
            ("a = { b = 1 }\n", "a", Code::NotAValue, 4),
            ("[[a]]\n", "a", Code::NotAValue, 0),
            ("a = \"http://a:1;http://b:2\"\n", "a", Code::NotAValue, 4),
            ("a = 'http://localhost/'\n", "a", Code::NotAValue, 4),
            ("a.b = 1\n", "a", Code::NotAValue, 0),
            ("a = 1\n", "a.b", Code::NoParent, 4),
            ("a = [1]\n", "a[1]", Code::NoParent, 4),
            ("a = [1]\n", "a.b", Code::NoParent, 4),
            ("\n[[a]]\n", "a.b", Code::NoParent, 1),
            ("\n[[a]]\n", "a[1].b", Code::NoParent, 1),
            ("[a]\n", "a[0]", Code::NoParent, 0),
            ("[a]\n", "b[0].c", Code::NoParent, 0),
            ("é = 1\n", "b", Code::Syntax, 0),
            ("a = 1\na = 2\n", "a", Code::Syntax, 6),
            ("[a]\nb = \n", "a", Code::Syntax, 8),
            ("a = 'x\n", "a", Code::Syntax, 6),
        ] {
            let key = key.parse().unwrap();
            let refusal = locate(before, &[(&key, "1")]).unwrap_err();
            assert_eq!((refusal.code, refusal.offset), (code, offset), "{before}: {refusal:?}");
            assert!(
                refusal.message.starts_with(|first: char| !first.is_uppercase()),
                "{refusal:?}"
            );
            assert!(!refusal.message.ends_with('.') && !refusal.hint.is_empty(), "{refusal:?}");
        }
        let many = "a.".repeat(100_000);
        for deep in
            ["a = ".to_owned() + &"[".repeat(100_000), format!("{many}a = 1"), format!("[{many}a]")]
        {
            assert_eq!(locate(&deep, &[]).unwrap_err().code, Code::Syntax);
        }
    }

    #[test]
    fn one_more_changed_byte_is_noticed() {
        let before = "a = [true, { b = 'x' }]\n[t]\nport = 1\nc = 2.5\nd = 2024-01-01\n";
        let after = before.replace("port = 1", "port = 9");
        let port = KeyPath::of(["t", "port"]);
        assert_eq!(read_back(before, &after, &[(&port, "9")]), Ok(()));
        for (place, byte) in after.bytes().enumerate() {
            for other in [b'7', b'z', b'"', b'}', b','] {
                let mut mutant = after.clone().into_bytes();
                mutant[place] = other;
                let mutant = String::from_utf8(mutant).unwrap();
                if byte != other && byte != b' ' {
                    let refusal =
                        read_back(before, &mutant, &[(&port, "9")]).map_err(|refusal| refusal.code);
                    assert_eq!(refusal, Err(Code::ReadBack), "{mutant}");
                }
            }
        }
        assert!(read_back(before, before, &[(&port, "9")]).is_err());
    }

    #[test]
    fn works_behind_a_byte_order_mark() {
        let edit = Edit::Set { key: KeyPath::of(["a"]), value: "2".to_owned() };
        let after = patch("\u{feff}a = 1\r\n", &Format::Toml, &[edit]).unwrap();
        assert_eq!(after.text, "\u{feff}a = 2\r\n");
    }
}
