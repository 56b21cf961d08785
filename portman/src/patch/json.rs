//! JSON, JSON with comments and JSON5, all read as one: which of them a file may be is its reader's business.
//!
//! `jsonc-parser` says where a value stands; this file decides which bytes to put there. Of duplicate keys the last one
//! counts, as `JSON.parse` has it. What nobody but `jsonc-parser` reads is refused when the result is read back.

mod insert;
mod text;
mod tree;

use std::ops::Range;

use jsonc_parser::ast::{Array, Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseError;
use jsonc_parser::tokens::{Token, TokenAndRange};
use jsonc_parser::{
    CollectOptions, CommentCollectionStrategy, ParseOptions, Scanner, ScannerOptions,
};

use super::key::{KeyPath, Step};
use super::value::{self, Standing, Wanted};
use super::{Code, Refusal, Splice};
use insert::Additions;
use text::{Text, encode, quote_of};
use tree::Tree;

/// Objects and lists inside each other. Every reader recurses, so this bounds the stack they need.
const DEEPEST: usize = 200;

const FIX_THE_FILE: &str = "correct the file: JSON, JSON with comments and JSON5 can be read";

/// The splices that make `sets`; none for what is already so.
pub(super) fn locate(text: &str, sets: &[(&KeyPath, &str)]) -> Result<Vec<Splice>, Refusal> {
    let file = File::parse(text)?;
    let mut splices = Vec::new();
    let mut additions = Additions::default();
    for (key, asked) in value::distinct(sets)? {
        match file.find(key)? {
            Found::Value(standing) => splices.extend(file.replacement(standing, key, asked)?),
            Found::Missing(place, names) => additions.add(place, &names, key, asked),
        }
    }
    splices.extend(additions.splices(&file));
    Ok(splices)
}

/// Reads both texts with a second parser: `after` is `before` with the asked values, and nothing else differs.
pub(super) fn read_back(
    before: &str,
    after: &str,
    sets: &[(&KeyPath, &str)],
) -> Result<(), Refusal> {
    let (mut expected, reader) = Tree::read(before).ok_or_else(|| Refusal {
        offset: 0,
        code: Code::Syntax,
        message: "the file is neither JSON nor JSON5".to_owned(),
        hint: FIX_THE_FILE.to_owned(),
    })?;
    let unread = || Refusal::of_read_back("the patched text could not be read back");
    let actual = reader(after).ok_or_else(unread)?;
    for (key, asked) in value::distinct(sets)? {
        expected.set(key.steps(), asked);
    }
    if expected == actual {
        return Ok(());
    }
    Err(Refusal::of_read_back("the patched text differs in more than was asked for"))
}

/// The string at `key`; none when there is nothing, or something else.
pub(super) fn string_at(text: &str, key: &KeyPath) -> Result<Option<Text>, Refusal> {
    let file = File::parse(text)?;
    Ok(match file.find(key) {
        Ok(Found::Value(Value::StringLit(string))) => Some(Text::of(text, range(string))),
        _ => None,
    })
}

/// The plain value at `key`, as text; none when nothing stands there.
pub(super) fn says(text: &str, key: &KeyPath) -> Result<Option<String>, Refusal> {
    let file = File::parse(text)?;
    Ok(match file.find(key)? {
        Found::Value(Value::StringLit(string)) => Some(Text::of(text, range(string)).value),
        Found::Value(standing @ (Value::Object(_) | Value::Array(_))) => {
            return Err(not_a_value(standing, key));
        }
        Found::Value(standing) => Some(text[range(standing)].to_owned()),
        Found::Missing(..) => None,
    })
}

/// A parsed file.
struct File<'t> {
    text: &'t str,
    root: Value<'t>,
    tokens: Vec<TokenAndRange<'t>>,
}

/// What a key path leads to.
enum Found<'f> {
    Value(&'f Value<'f>),
    /// An object without the first of these names.
    Missing(Place<'f>, Vec<&'f str>),
}

/// An object that gets new members.
struct Place<'f> {
    object: &'f Object<'f>,
    /// The object around it and its member that leads here.
    around: Option<(&'f Object<'f>, &'f ObjectProp<'f>)>,
}

impl<'t> File<'t> {
    fn parse(text: &'t str) -> Result<Self, Refusal> {
        refuse_depth(text)?;
        let collect =
            CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
        // The rest of the options is as loose as it gets; no reader that anyone uses does without commas.
        let options = ParseOptions { allow_missing_commas: false, ..ParseOptions::default() };
        let parsed =
            jsonc_parser::parse_to_ast(text, &collect, &options).map_err(|error| syntax(&error))?;
        match parsed.value {
            Some(root) => Ok(Self { text, root, tokens: parsed.tokens.unwrap_or_default() }),
            None => Err(Refusal {
                offset: text.len(),
                code: Code::Syntax,
                message: "the file holds no value".to_owned(),
                hint: "write `{}` into it".to_owned(),
            }),
        }
    }

    fn find<'f>(&'f self, key: &'f KeyPath) -> Result<Found<'f>, Refusal> {
        let mut at = &self.root;
        let mut around = None;
        for (depth, step) in key.steps().iter().enumerate() {
            at = match (at, step) {
                (Value::Object(object), Step::Name(name)) => match last_member(object, name) {
                    Some(member) => {
                        around = Some((object, member));
                        &member.value
                    }
                    None => {
                        return Ok(Found::Missing(
                            Place { object, around },
                            names(at, key, depth)?,
                        ));
                    }
                },
                (Value::Array(Array { elements, .. }), Step::Index(index))
                    if *index < elements.len() =>
                {
                    &elements[*index]
                }
                _ => return Err(no_parent(at, key, step)),
            };
        }
        Ok(Found::Value(at))
    }

    fn replacement(
        &self,
        standing: &Value<'_>,
        key: &KeyPath,
        asked: &str,
    ) -> Result<Option<Splice>, Refusal> {
        let range = range(standing);
        let (kind, quote) = match standing {
            Value::NullKeyword(_) => (Standing::Nothing, self.quote_before(range.start)),
            Value::BooleanLit(_) => (Standing::Bool, self.quote_before(range.start)),
            Value::NumberLit(_) => (Standing::Number, self.quote_before(range.start)),
            Value::StringLit(string) => {
                return self.string_replacement(&string.value, range, key, asked);
            }
            Value::Object(_) | Value::Array(_) => return Err(not_a_value(standing, key)),
        };
        let wanted = Wanted::of(kind, asked);
        let already = match (standing, &wanted) {
            (Value::BooleanLit(boolean), Wanted::Bool(wanted)) => boolean.value == *wanted,
            (Value::NumberLit(number), Wanted::Number(wanted)) => {
                is_same_number(number.value, wanted)
            }
            _ => false,
        };
        let new = encode(&wanted, quote);
        let old = Some(self.text[range.clone()].to_owned());
        Ok((!already).then(|| Splice { range, text: new.clone(), key: key.to_string(), old, new }))
    }

    fn string_replacement(
        &self,
        says: &str,
        range: Range<usize>,
        key: &KeyPath,
        asked: &str,
    ) -> Result<Option<Splice>, Refusal> {
        value::refuse_uncertain_port(says, asked, key, range.start)?;
        let wanted = Wanted::of(Standing::Text(says), asked);
        if wanted == Wanted::Text(says.into()) {
            return Ok(None);
        }
        let old = &self.text[range.clone()];
        let (part, text) = match value::port_to_change(says, asked) {
            Some(digits) => (Text::of(self.text, range.clone()).raw(digits), asked.to_owned()),
            None => (range.clone(), encode(&wanted, quote_of(old))),
        };
        let new = format!(
            "{}{text}{}",
            &self.text[range.start..part.start],
            &self.text[part.end..range.end]
        );
        let (key, old) = (key.to_string(), Some(old.to_owned()));
        Ok(Some(Splice { range: part, text, key, old, new }))
    }

    /// The quote of the string nearest before `offset`: a file that uses single quotes gets them.
    fn quote_before(&self, offset: usize) -> char {
        let strings =
            self.tokens.iter().rev().filter(|token| matches!(token.token, Token::String(_)));
        let nearest = strings.map(Ranged::start).find(|&start| start < offset);
        nearest.map_or('"', |start| quote_of(&self.text[start..]))
    }
}

/// Counts brackets with the scanner, which does not recurse. What it cannot read the parser will refuse.
fn refuse_depth(text: &str) -> Result<(), Refusal> {
    let mut scanner = Scanner::new(text, &ScannerOptions::default());
    let mut depth: usize = 0;
    while let Ok(Some(token)) = scanner.scan() {
        match token {
            Token::OpenBrace | Token::OpenBracket => depth += 1,
            Token::CloseBrace | Token::CloseBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(Refusal {
                offset: scanner.token_start(),
                code: Code::Syntax,
                message: format!("more than {DEEPEST} objects and lists inside each other"),
                hint: "nest the file less deeply".to_owned(),
            });
        }
    }
    Ok(())
}

fn syntax(error: &ParseError) -> Refusal {
    let message = error.kind().to_string();
    let mut chars = message.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    Refusal {
        offset: error.range().start,
        code: Code::Syntax,
        message: first.into_iter().chain(chars).collect(),
        hint: FIX_THE_FILE.to_owned(),
    }
}

fn not_a_value(standing: &Value<'_>, key: &KeyPath) -> Refusal {
    Refusal {
        offset: standing.start(),
        code: Code::NotAValue,
        message: format!("`{key}` is {}, not one value", kind(standing)),
        hint: "name one value inside it".to_owned(),
    }
}

fn no_parent(at: &Value<'_>, key: &KeyPath, step: &Step) -> Refusal {
    let (message, hint) = match (at, step) {
        (Value::Array(array), Step::Index(index)) => {
            let message =
                format!("`{key}` asks for element {index} of a list of {}", array.elements.len());
            (message, "elements are counted from 0; add the element to the file first")
        }
        (_, Step::Index(_)) => {
            (format!("`{key}` asks for an element of {}", kind(at)), "correct the key")
        }
        (_, Step::Name(name)) => {
            (format!("`{key}` asks for `{name}` in {}", kind(at)), "correct the key")
        }
    };
    Refusal { offset: at.start(), code: Code::NoParent, message, hint: hint.to_owned() }
}

/// The names from `depth` on, all of which are to be made.
fn names<'f>(at: &Value<'_>, key: &'f KeyPath, depth: usize) -> Result<Vec<&'f str>, Refusal> {
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

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "a boolean",
        Value::NullKeyword(_) => "a null",
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
    }
}

/// Of duplicate keys the last one counts.
fn last_member<'f>(object: &'f Object<'f>, name: &str) -> Option<&'f ObjectProp<'f>> {
    object.properties.iter().rev().find(|member| member.name.as_str() == name)
}

fn range(node: &impl Ranged) -> Range<usize> {
    let range = node.range();
    range.start..range.end
}

/// Is the number `written` in a file, in any of JSON5's ways, the one that is `wanted`?
fn is_same_number(written: &str, wanted: &str) -> bool {
    match (whole_number(written), whole_number(wanted)) {
        (Some(written), Some(wanted)) => written == wanted,
        _ => {
            matches!((written.parse::<f64>(), wanted.parse::<f64>()), (Ok(written), Ok(wanted)) if same(written, wanted))
        }
    }
}

fn same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

fn whole_number(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => i128::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    number.ok().map(|number| if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::text::Text;
    use super::{locate, read_back, string_at};
    use crate::patch::key::KeyPath;
    use crate::patch::{Code, Edit, Format, patch, spliced};

    fn keys<'a>(sets: &[(&str, &'a str)]) -> Vec<(KeyPath, &'a str)> {
        sets.iter().map(|&(key, value)| (key.parse().unwrap(), value)).collect()
    }

    fn patched(before: &str, sets: &[(&str, &str)]) -> Result<String, Code> {
        let keys = keys(sets);
        let sets: Vec<_> = keys.iter().map(|(key, value)| (key, *value)).collect();
        let mut splices = locate(before, &sets).map_err(|refusal| refusal.code)?;
        splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
        let after = spliced(before, &splices);
        read_back(before, &after, &sets).map_err(|refusal| refusal.code)?;
        assert_eq!(locate(&after, &sets), Ok(Vec::new()), "not idempotent: {after}");
        Ok(after)
    }

    /// The patch commutes with what an editor does to a whole file.
    fn check(before: &str, sets: &[(&str, &str)], after: &str) {
        let changes: [fn(&str) -> String; 4] = [
            str::to_owned,
            |text| text.replace('\n', "\r\n"),
            |text| text.trim_end().to_owned(),
            |text| format!("// Grüße, 世界 👋 {{\n{text}"),
        ];
        for change in changes {
            assert_eq!(
                patched(&change(before), sets).as_deref(),
                Ok(change(after).as_str()),
                "{before}"
            );
        }
    }

    #[test]
    fn replaces_only_the_value() {
        for (before, value, after) in [
            ("{\"port\":8080}", "9000", "{\"port\":9000}"),
            ("{ \"port\" : 8080 , \"x\": 1.0 }\n", "9000", "{ \"port\" : 9000 , \"x\": 1.0 }\n"),
            (
                "{\n\t\"port\": /* old */ 8080 // note\n}\n",
                "9000",
                "{\n\t\"port\": /* old */ 9000 // note\n}\n",
            ),
            (
                "{\"big\": 12345678901234567890, \"port\": 1, \"e\": \"\\u00e9\\/\"}",
                "2",
                "{\"big\": 12345678901234567890, \"port\": 2, \"e\": \"\\u00e9\\/\"}",
            ),
            ("{\"port\": \"8080\"}", "9000", "{\"port\": \"9000\"}"),
            ("{port: '8080'}", "9000", "{port: '9000'}"),
            ("{port: 'a'}", "it's \"so\"", "{port: 'it\\'s \"so\"'}"),
            (
                "{\"port\": \"a\"}",
                "it's \"so\"\n\t\\\u{1}",
                "{\"port\": \"it's \\\"so\\\"\\n\\t\\\\\\u0001\"}",
            ),
            ("{\"port\": 8080}", "auto", "{\"port\": \"auto\"}"),
            ("{'x': 'y', port: 8080}", "auto", "{'x': 'y', port: 'auto'}"),
            ("{\"port\": 8080}", "0", "{\"port\": 0}"),
            ("{\"port\": 8080.5}", "9000", "{\"port\": 9000}"),
            ("{\"port\": 0x1F90}", "9000", "{\"port\": 9000}"),
            ("{port: +8080}", "9000", "{port: 9000}"),
            ("{port: .5}", "9000", "{port: 9000}"),
            ("{port: -Infinity}", "true", "{port: \"true\"}"),
            ("{port: -Infinity}", "9000", "{port: 9000}"),
            ("{\"port\": null}", "9000", "{\"port\": 9000}"),
            ("{\"port\": null}", "true", "{\"port\": true}"),
            ("{\"port\": null}", "x", "{\"port\": \"x\"}"),
            ("{\"port\": true}", "false", "{\"port\": false}"),
            ("{\"port\": false}", "9000", "{\"port\": 9000}"),
            ("{\"port\": \":8080\"}", "9000", "{\"port\": \":9000\"}"),
            (
                "{\"port\": \"http:\\/\\/localhost:8080\\/\\u00e9\"}",
                "9000",
                "{\"port\": \"http:\\/\\/localhost:9000\\/\\u00e9\"}",
            ),
            (
                "{\"port\": \"jdbc:postgresql:\\/\\/localhost:5432/db\"}",
                "9000",
                "{\"port\": \"jdbc:postgresql:\\/\\/localhost:9000/db\"}",
            ),
            (
                "{\"port\": \"http://a:1;http://b:2\"}",
                "http://a:3;http://b:4",
                "{\"port\": \"http://a:3;http://b:4\"}",
            ),
            ("{\"port\": \"\\u003a\\u0038080\"}", "9000", "{\"port\": \"\\u003a9000\"}"),
            ("{\"port\": 1, \"port\": 2}", "3", "{\"port\": 1, \"port\": 3}"),
            ("{\"p\\u006frt\": 1}", "3", "{\"p\\u006frt\": 3}"),
            ("{\"port\": 1,}", "3", "{\"port\": 3,}"),
            (
                "/* { \"port\": 1 } */ {\"x\": \"}//\", \"port\": 1}",
                "3",
                "/* { \"port\": 1 } */ {\"x\": \"}//\", \"port\": 3}",
            ),
        ] {
            check(before, &[("port", value)], after);
        }
    }

    #[test]
    fn inserts_in_the_style_of_the_neighbours() {
        for (before, after) in [
            // One line.
            ("{\"a\":1}", "{\"a\":1,\"port\":9000}"),
            ("{\"a\": 1}", "{\"a\": 1, \"port\": 9000}"),
            ("{ \"a\": 1 }\n", "{ \"a\": 1, \"port\": 9000 }\n"),
            ("{ \"a\": 1, }", "{ \"a\": 1, \"port\": 9000, }"),
            ("{ \"a\": 1 /* one */ }", "{ \"a\": 1, /* one */ \"port\": 9000 }"),
            ("{ \"a\": 1, /* one */ }", "{ \"a\": 1, /* one */ \"port\": 9000, }"),
            ("{'a':1}", "{'a':1,'port':9000}"),
            ("{a:1}", "{a:1,port:9000}"),
            ("{ a: 1, 'b-c': 2 }", "{ a: 1, 'b-c': 2, port: 9000 }"),
            ("{ 'b-c': 2 }", "{ 'b-c': 2, 'port': 9000 }"),
            ("{ \"a\": 1, b: 2 }", "{ \"a\": 1, b: 2, port: 9000 }"),
            // Lines of their own.
            ("{\n  \"a\": 1\n}\n", "{\n  \"a\": 1,\n  \"port\": 9000\n}\n"),
            ("{\n\t\"a\" : 1\n}\n", "{\n\t\"a\" : 1,\n\t\"port\" : 9000\n}\n"),
            ("{\n    a: 1,\n}\n", "{\n    a: 1,\n    port: 9000,\n}\n"),
            ("{\n  \"a\": 1  \n}\n", "{\n  \"a\": 1,  \n  \"port\": 9000\n}\n"),
            ("{\n  \"a\": 1 // note\n}\n", "{\n  \"a\": 1, // note\n  \"port\": 9000\n}\n"),
            ("{\n  \"a\": 1, // note\n}\n", "{\n  \"a\": 1, // note\n  \"port\": 9000,\n}\n"),
            (
                "{\n  \"a\": 1 /* , */ // note\n}\n",
                "{\n  \"a\": 1, /* , */ // note\n  \"port\": 9000\n}\n",
            ),
            (
                "{\n  \"a\": 1 /* two\n  lines */\n}\n",
                "{\n  \"a\": 1, /* two\n  lines */\n  \"port\": 9000\n}\n",
            ),
            (
                "{\n  \"a\": 1\n  // \"b\": 2\n}\n",
                "{\n  \"a\": 1,\n  \"port\": 9000\n  // \"b\": 2\n}\n",
            ),
            (
                "{\n  \"a\": 1\n  , // late\n}\n",
                "{\n  \"a\": 1\n  , // late\n  \"port\": 9000,\n}\n",
            ),
            (
                "{ \"a\": 1,\n  \"b\": [\n    2 ] }\n",
                "{ \"a\": 1,\n  \"b\": [\n    2 ],\n  \"port\": 9000 }\n",
            ),
            ("{ \"a\": 1 // one\n}\n", "{ \"a\": 1, // one\n  \"port\": 9000\n}\n"),
            ("{\n  \"a\": 1, \"b\": 2\n}\n", "{\n  \"a\": 1, \"b\": 2, \"port\": 9000\n}\n"),
            ("{ \"a\": 1\n, \"b\": 2\n}\n", "{ \"a\": 1\n, \"b\": 2, \"port\": 9000\n}\n"),
            ("{\n\"a\": 1\n}\n", "{\n\"a\": 1,\n\"port\": 9000\n}\n"),
            // Nothing there yet.
            ("{}", "{\n  \"port\": 9000\n}"),
            ("{ }\n", "{\n  \"port\": 9000\n}\n"),
            ("{\n}\n", "{\n  \"port\": 9000\n}\n"),
            ("{ // todo\n}\n", "{ // todo\n  \"port\": 9000\n}\n"),
            ("{\n  // todo\n}\n", "{\n  // todo\n  \"port\": 9000\n}\n"),
            ("{ /* todo */ }\n", "{ /* todo */\n  \"port\": 9000\n}\n"),
        ] {
            // An LF file without a line shows no ending to copy.
            if before.contains('\n') {
                check(before, &[("port", "9000")], after);
            }
            assert_eq!(patched(before, &[("port", "9000")]).as_deref(), Ok(after), "{before}");
        }
    }

    #[test]
    fn makes_missing_parents() {
        for (before, key, after) in [
            ("{\"a\":1}", "server.port", "{\"a\":1,\"server\":{\"port\":9000}}"),
            ("{\"a\": 1}", "server.port", "{\"a\": 1, \"server\": {\"port\": 9000}}"),
            ("{ a: 1 }", "server.port", "{ a: 1, server: { port: 9000 } }"),
            ("{ a: 1 }", "\"dev server\".port", "{ a: 1, \"dev server\": { port: 9000 } }"),
            ("{ a: 'x' }", "\"dev server\".true", "{ a: 'x', 'dev server': { 'true': 9000 } }"),
            (
                "{\n\t\"a\": 1\n}\n",
                "x.y.port",
                "{\n\t\"a\": 1,\n\t\"x\": {\n\t\t\"y\": {\n\t\t\t\"port\": 9000\n\t\t}\n\t}\n}\n",
            ),
            (
                "{\n  \"x\": {},\n  \"b\": 1\n}\n",
                "x.port",
                "{\n  \"x\": {\n    \"port\": 9000\n  },\n  \"b\": 1\n}\n",
            ),
            ("{\n    x: {}\n}\n", "x.port", "{\n    x: {\n        port: 9000\n    }\n}\n"),
            ("{ \"x\": {} }", "x.port", "{ \"x\": { \"port\": 9000 } }"),
            ("{\"x\":{ }}", "x.port", "{\"x\":{\"port\":9000}}"),
            ("{ \"x\": { /* no */ } }", "x.port", "{ \"x\": { /* no */ \"port\": 9000 } }"),
            ("[{ \"a\": 1 }, {\"a\":2}]", "", "[{ \"a\": 1 }, {\"a\":2}]"),
            (
                "{\"l\": [{\"a\": 1}, {\"b\": 2}]}",
                "l[1].port",
                "{\"l\": [{\"a\": 1}, {\"b\": 2, \"port\": 9000}]}",
            ),
            (
                "{\n  \"l\": [\n    {}\n  ]\n}\n",
                "l[0].port",
                "{\n  \"l\": [\n    {\n      \"port\": 9000\n    }\n  ]\n}\n",
            ),
            ("{\"l\": [[0, 1]]}", "l[0][1]", "{\"l\": [[0, 9000]]}"),
            (
                "{\"x\": {}, \"x\": {\"a\": 1}}",
                "x.port",
                "{\"x\": {}, \"x\": {\"a\": 1, \"port\": 9000}}",
            ),
        ] {
            if !key.is_empty() {
                check(before, &[(key, "9000")], after);
            }
        }
    }

    #[test]
    fn makes_several_edits_at_once() {
        let sets = [
            ("server.port", "1"),
            ("b", "2"),
            ("server.hmr.port", "3"),
            ("a", "4"),
            ("server.host", ":5"),
        ];
        check(
            "{\n  \"a\": 1 // note\n}\n",
            &sets,
            concat!(
                "{\n  \"a\": 4, // note\n  \"server\": {\n    \"port\": 1,\n    \"hmr\": {\n      \"port\": 3\n    },\n",
                "    \"host\": \":5\"\n  },\n  \"b\": 2\n}\n"
            ),
        );
        check(
            "{ a: { x: 1, }, }",
            &[("a.y", "2"), ("b", "3"), ("a.z", "4")],
            "{ a: { x: 1, y: 2, z: 4, }, b: 3, }",
        );
        check("{\"a\":1}", &[("a", "2"), ("b", "x"), ("a", "3")], "{\"a\":3,\"b\":\"x\"}");
        check(
            "{ \"x\": {} }",
            &[("x.a", "1"), ("x.b.c", "2")],
            "{ \"x\": { \"a\": 1, \"b\": { \"c\": 2 } } }",
        );
    }

    #[test]
    fn leaves_alone_what_is_already_so() {
        for (before, value) in [
            ("{\"port\": 8080}", "8080"),
            ("{port: 0x1F90}", "8080"),
            ("{port: +8080}", "8080"),
            ("{port: 8080.}", "8080"),
            ("{\"port\": 8.08e3}", "8080"),
            ("{\"port\": \"8080\"}", "8080"),
            ("{\"port\": \"80\\u00380\"}", "8080"),
            ("{\"port\": \"http://localhost:8080/\"}", "8080"),
            ("{\"port\": true}", "true"),
        ] {
            check(before, &[("port", value)], before);
        }
    }

    #[test]
    fn takes_the_line_ending_of_the_neighbouring_line() {
        let after = patched("{\r\n  \"a\": 1\r\n}\n", &[("port", "2")]);
        assert_eq!(after.as_deref(), Ok("{\r\n  \"a\": 1,\r\n  \"port\": 2\r\n}\n"));
        let after = patched("{\n  \"a\": 1\r\n}\r\n", &[("port", "2")]);
        assert_eq!(after.as_deref(), Ok("{\n  \"a\": 1,\n  \"port\": 2\r\n}\r\n"));
        assert_eq!(
            patched("{}\r\n", &[("port", "2")]).as_deref(),
            Ok("{\r\n  \"port\": 2\r\n}\r\n")
        );
    }

    #[test]
    fn tells_what_changed() {
        let port = "server.url".parse().unwrap();
        let splices =
            locate("{\"server\": {\"url\": \"http://localhost:8080/x\"}}", &[(&port, "9000")])
                .unwrap();
        assert_eq!(
            (splices[0].range.clone(), splices[0].text.as_str(), splices[0].key.as_str()),
            (37..41, "9000", "server.url")
        );
        assert_eq!(splices[0].old.as_deref(), Some("\"http://localhost:8080/x\""));
        assert_eq!(splices[0].new, "\"http://localhost:9000/x\"");
        let splices = locate("{\"server\": {}}", &[(&port, "x")]).unwrap();
        assert_eq!((splices[0].old.as_deref(), splices[0].new.as_str()), (None, "\"x\""));
    }

    #[test]
    fn refuses_with_the_place() {
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(200), "]".repeat(200));
        for (before, key, code, offset) in [
            ("{\"a\": {\"b\": 1}}", "a", Code::NotAValue, 6),
            ("{\"a\": [1]}", "a", Code::NotAValue, 6),
            ("{\"a\": \"http://a:1;http://b:2\"}", "a", Code::NotAValue, 6),
            ("{\"a\": 'http:\\/\\/localhost/'}", "a", Code::NotAValue, 6),
            ("{\"a\": 1}", "a.b", Code::NoParent, 6),
            ("{\"a\": null}", "a.b", Code::NoParent, 6),
            ("{\"a\": [1]}", "a[1]", Code::NoParent, 6),
            ("{\"a\": [1]}", "a.b", Code::NoParent, 6),
            ("{\"a\": {}}", "a[0]", Code::NoParent, 6),
            ("{\"b\": 1}", "a[0].port", Code::NoParent, 0),
            ("[1]", "a", Code::NoParent, 0),
            ("{\"é\": 1 \"a\": 2}", "a", Code::Syntax, 8),
            ("{\"a\": 1", "a", Code::Syntax, 0),
            ("{\"a\": tru}", "a", Code::Syntax, 6),
            ("{\"a\": \"x}", "a", Code::Syntax, 6),
            ("{\"a\": 1} x", "a", Code::Syntax, 9),
            ("", "a", Code::Syntax, 0),
            ("// nothing\n", "a", Code::Syntax, 11),
            (&deep, "a", Code::Syntax, 205),
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
        assert!(locate(&"[".repeat(1_000_000), &[]).is_err());
        let shallow = format!("{{\"a\": {}{}, \"b\": 1}}", "[".repeat(199), "]".repeat(199));
        assert!(patched(&shallow, &[("b", "2")]).is_ok());
    }

    #[test]
    fn refuses_what_the_second_reader_cannot_read() {
        assert_eq!(patched("{\"a\": 1, b-c: 2}", &[("a", "2")]), Err(Code::Syntax));
        // A tab inside a string is for json5 alone, a single surrogate for neither.
        check("{\"a\": 1, \"b\": \"\t\"}", &[("a", "2")], "{\"a\": 2, \"b\": \"\t\"}");
    }

    #[test]
    fn one_more_changed_byte_is_noticed() {
        let before = "{\"a\": [true, {\"b\": \"x\\u0041\"}], \"port\": 1, \"c\": 2.5}";
        let after = "{\"a\": [true, {\"b\": \"x\\u0041\"}], \"port\": 9, \"c\": 2.5}";
        let port = KeyPath::of(["port"]);
        assert_eq!(read_back(before, after, &[(&port, "9")]), Ok(()));
        for (place, byte) in after.bytes().enumerate() {
            for other in [b'7', b'z', b'"', b'}', b','] {
                let mut mutant = after.as_bytes().to_vec();
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
    fn a_decoded_string_knows_its_raw_bytes() {
        let literal = r#""vite\u0020-p \"é👋\n\uD83D\uDC4B\/x""#;
        let text = Text::of(literal, 0..literal.len());
        assert_eq!(text.value, "vite -p \"é👋\n👋/x");
        for (decoded, raw) in [
            ("vite", "vite"),
            (" ", "\\u0020"),
            ("-p", "-p"),
            ("\"é👋", "\\\"é👋"),
            ("\n👋", "\\n\\uD83D\\uDC4B"),
            ("/x", "\\/x"),
        ] {
            let start = text.value.find(decoded).unwrap();
            assert_eq!(&literal[text.raw(start..start + decoded.len())], raw);
        }
        assert_eq!(
            text.raw(text.value.len()..text.value.len()),
            literal.len() - 1..literal.len() - 1
        );
        assert_eq!(text.raw(4..4), 5..5);
        let json5 = "'a\\\r\nb\\x41\\v\\0\\q'";
        assert_eq!(Text::of(json5, 0..json5.len()).value, "abA\u{b}\0q");
    }

    #[test]
    fn finds_the_string_of_a_script() {
        let script = KeyPath::of(["scripts", "dev"]);
        let at = |text| string_at(text, &script).map(|found| found.map(|text| text.value));
        assert_eq!(at("{\"scripts\": {\"dev\": \"vite\"}}"), Ok(Some("vite".to_owned())));
        assert_eq!(at("{\"scripts\": {\"dev\": 1}}"), Ok(None));
        assert_eq!(at("{\"scripts\": {}}"), Ok(None));
        assert_eq!(at("{\"scripts\": 1}"), Ok(None));
        assert_eq!(at("{").map_err(|refusal| refusal.code), Err(Code::Syntax));
    }

    #[test]
    fn works_behind_a_byte_order_mark() {
        let edit = Edit::Set { key: KeyPath::of(["a"]), value: "2".to_owned() };
        let after = patch("\u{feff}{\"a\": 1}", &Format::Json, &[edit]).unwrap();
        assert_eq!(after.text, "\u{feff}{\"a\": 2}");
    }
}
