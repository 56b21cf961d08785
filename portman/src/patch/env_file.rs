//! `.env` files: `KEY=value` a line, with `export`, quotes and comments.
//!
//! Of several lines for one key the last counts, as loaders in Node have it. What a loader would compute out of other
//! variables is no value of the file and stays.

mod lexer;

use std::ops::Range;

use super::key::{KeyPath, Step};
use super::value;
use super::{Code, Refusal, Splice};
use lexer::{Assignment, Content, Line, Quote, Style};

/// The splices that make `sets`; none for what is already so.
pub(super) fn locate(text: &str, sets: &[(&KeyPath, &str)]) -> Result<Vec<Splice>, Refusal> {
    let lines = lexer::lines(text)?;
    let mut splices = Vec::new();
    for (key, asked) in value::distinct(sets)? {
        match find(&lines, text, key)? {
            Some(found) => splices.extend(replacement(text, found, key, asked)?),
            None => splices.push(addition(&lines, text, key, asked)?),
        }
    }
    Ok(splices)
}

/// Reads both texts line by line: `after` is `before` with the asked values, and no other byte of a line differs.
pub(super) fn read_back(
    before: &str,
    after: &str,
    sets: &[(&KeyPath, &str)],
) -> Result<(), Refusal> {
    let were = lexer::lines(before)?;
    let are = lexer::lines(after)
        .map_err(|_| Refusal::of_read_back("the patched text could not be read back"))?;
    let (mut expected, mut actual) = (frames(&were, before), frames(&are, after));
    let mut added = 0;
    for (key, asked) in value::distinct(sets)? {
        let Ok(Some(is)) = find(&are, after, key) else {
            return Err(Refusal::of_read_back("an asked key could not be read back"));
        };
        let value = if let Some(was) = find(&were, before, key)? {
            // The quotes may be others now; the values are compared without them.
            (expected[was.line].1, actual[is.line].1) = ("", "");
            value::with_port(was.value(before), asked)
        } else {
            added += 1;
            asked.into()
        };
        if is.value(after) != value {
            return Err(Refusal::of_read_back("the patched text does not say what was asked for"));
        }
    }
    if actual.len() == expected.len() + added && actual.starts_with(&expected) {
        return Ok(());
    }
    Err(Refusal::of_read_back("the patched text differs in more than was asked for"))
}

/// The value at `key`, as text; none when nothing stands there.
pub(super) fn says(text: &str, key: &KeyPath) -> Result<Option<String>, Refusal> {
    let found = find(&lexer::lines(text)?, text, key)?.map(|found| found.value(text).to_owned());
    Ok(found.filter(|value| !value.is_empty()))
}

/// Each line in three parts: before its value with the quotes, the value, behind it.
fn frames<'t>(lines: &[Line<'t>], text: &'t str) -> Vec<(&'t str, &'t str, &'t str)> {
    let frame = |line: &Line<'t>| match &line.content {
        Content::Assignment(assignment) => {
            let whole = assignment.whole();
            let end = line.start + line.raw.len();
            (&text[line.start..whole.start], &text[whole.clone()], &text[whole.end..end])
        }
        Content::Nothing | Content::Other(_) => (line.raw, "", ""),
    };
    lines.iter().map(frame).collect()
}

/// The assignment that counts.
#[derive(Clone, Copy)]
struct Found<'l> {
    line: usize,
    assignment: &'l Assignment<'l>,
}

impl Found<'_> {
    fn value<'t>(&self, text: &'t str) -> &'t str {
        &text[self.assignment.value.clone()]
    }
}

/// Some loaders take the first of two values, some the last.
fn said_twice(assignment: &Assignment<'_>, key: &KeyPath) -> Refusal {
    Refusal {
        offset: assignment.value.start,
        code: Code::Ambiguous,
        message: format!("`{key}` stands above too, and loaders differ in which of the two counts"),
        hint: "take one of the two lines out".to_owned(),
    }
}

/// The assignment of `key`, if its value stands in the file for certain.
fn find<'l>(
    lines: &'l [Line<'l>],
    text: &str,
    key: &KeyPath,
) -> Result<Option<Found<'l>>, Refusal> {
    let name = name(key)?;
    let mut found = None;
    for (place, line) in lines.iter().enumerate() {
        match &line.content {
            Content::Other(other) => {
                refuse_template(line)?;
                if *other == name {
                    return Err(no_assignment(line, key));
                }
            }
            Content::Assignment(assignment) if assignment.name == name => {
                if found.is_some() {
                    return Err(said_twice(assignment, key));
                }
                found = Some(Found { line: place, assignment });
            }
            Content::Nothing | Content::Assignment(_) => {}
        }
    }
    if let Some(found) = found {
        refuse_template(&lines[found.line])?;
        certain(text, found.assignment, key)?;
    }
    Ok(found)
}

fn name(key: &KeyPath) -> Result<&str, Refusal> {
    let refused = |hint: &str| Refusal {
        offset: 0,
        code: Code::UnknownKey,
        message: format!("`{key}` is no key of a .env file"),
        hint: hint.to_owned(),
    };
    match key.steps() {
        [Step::Name(name)] if lexer::is_name(name) => Ok(name),
        [Step::Name(_)] => Err(refused("a key is made of letters, digits, `_`, `-` and `.`")),
        _ => Err(refused("its keys have no members; name one like PORT, with a dot like \"a.b\"")),
    }
}

/// Where another program fills something in.
fn template_in(text: &str) -> Option<usize> {
    ["{{", "{%", "<%"].iter().filter_map(|mark| text.find(mark)).min()
}

fn refuse_template(line: &Line<'_>) -> Result<(), Refusal> {
    let Some(at) = template_in(line.raw) else { return Ok(()) };
    Err(Refusal {
        offset: line.start + at,
        code: Code::Computed,
        message: "this line is a template, which another program fills in".to_owned(),
        hint: "change what fills it in".to_owned(),
    })
}

fn no_assignment(line: &Line<'_>, key: &KeyPath) -> Refusal {
    Refusal {
        offset: line.start + line.raw.len() - line.raw.trim_start().len(),
        code: Code::Syntax,
        message: format!("`{key}` stands here without a `=`, which loaders read differently"),
        hint: format!("write it like {key}=value"),
    }
}

/// Refuses a value that loaders compute, or read differently.
fn certain(text: &str, assignment: &Assignment<'_>, key: &KeyPath) -> Result<(), Refusal> {
    let start = assignment.value.start;
    let written = &text[assignment.value.clone()];
    let refused = |offset, code, message: &str, hint: &str| {
        Err(Refusal { offset, code, message: format!("`{key}` {message}"), hint: hint.to_owned() })
    };
    if let Some(at) = computed(written).filter(|_| !is_single(assignment.style)) {
        let hint = "change the variable it is made of, or write the value itself";
        return refused(start + at, Code::Computed, "is computed when the file is loaded", hint);
    }
    let hint = "put the whole value into quotes of one kind";
    match assignment.style {
        Style::Mixed => refused(start, Code::NotAValue, "is only partly in quotes", hint),
        Style::Bare if written.ends_with('\\') => {
            refused(start, Code::NotAValue, "ends in a backslash", hint)
        }
        Style::Quoted(quote @ (Quote::Single | Quote::Backtick))
            if written.contains(&format!("\\{}", quote.char())) =>
        {
            refused(start, Code::NotAValue, "has its own quote behind a backslash", hint)
        }
        Style::Bare | Style::Quoted(_) => Ok(()),
    }
}

fn is_single(style: Style) -> bool {
    style == Style::Quoted(Quote::Single)
}

/// Where a variable or the output of a command is put into a value.
fn computed(written: &str) -> Option<usize> {
    let starts = |(at, _): &(usize, &str)| {
        let escaped = written[..*at].ends_with('\\');
        let next = written[at + 1..].chars().next();
        !escaped && next.is_some_and(|next| next.is_alphanumeric() || "_{($".contains(next))
    };
    let variable = written.match_indices('$').find(starts).map(|(at, _)| at);
    variable.or_else(|| written.find('`'))
}

fn replacement(
    text: &str,
    found: Found<'_>,
    key: &KeyPath,
    asked: &str,
) -> Result<Option<Splice>, Refusal> {
    let (old, at) = (found.value(text), found.assignment.value.start);
    let new = value::with_port(old, asked);
    if new == old {
        return Ok(None);
    }
    value::refuse_uncertain_port(old, asked, key, at)?;
    let splice = |range: Range<usize>, text: String| Splice {
        range,
        text,
        key: key.to_string(),
        old: Some(old.to_owned()),
        new: new.to_string(),
    };
    // What stands around the port is written as it has to be already.
    if let Some(port) = value::port_to_change(old, asked) {
        return Ok(Some(splice(at + port.start..at + port.end, asked.to_owned())));
    }
    if carries(found.assignment.style, asked) {
        return Ok(Some(splice(found.assignment.value.clone(), asked.to_owned())));
    }
    Ok(Some(splice(found.assignment.whole(), encoded(asked, key, at)?)))
}

/// A line at the end, which looks like the last assignment there.
fn addition(lines: &[Line<'_>], text: &str, key: &KeyPath, asked: &str) -> Result<Splice, Refusal> {
    let like = lines.iter().rev().find_map(|line| match &line.content {
        Content::Assignment(assignment) => Some(assignment),
        Content::Nothing | Content::Other(_) => None,
    });
    let export = if like.is_some_and(|like| like.exported) { "export " } else { "" };
    let equals = if like.is_some_and(|like| like.spaced) { " = " } else { "=" };
    let line = format!("{export}{}{equals}{}", name(key)?, encoded(asked, key, text.len())?);
    let newline = value::newline_near(text, text.len());
    let is_begun = !text.is_empty() && !text.ends_with('\n');
    Ok(Splice {
        range: text.len()..text.len(),
        text: if is_begun { newline.to_owned() + &line } else { line + newline },
        key: key.to_string(),
        old: None,
        new: asked.to_owned(),
    })
}

/// `asked` with the quotes it needs.
fn encoded(asked: &str, key: &KeyPath, offset: usize) -> Result<String, Refusal> {
    if carries(Style::Bare, asked) {
        return Ok(asked.to_owned());
    }
    // Not all loaders know backticks.
    let quotes = [Quote::Single, Quote::Double];
    let Some(quote) = quotes.into_iter().find(|quote| carries(Style::Quoted(*quote), asked)) else {
        return Err(Refusal {
            offset,
            code: Code::NotAValue,
            message: format!("no quotes hold the value for `{key}` in every loader"),
            hint: "change it by hand, as the loader of this file wants it".to_owned(),
        });
    };
    Ok(format!("{0}{asked}{0}", quote.char()))
}

/// Whether all loaders read `asked` as it stands in this style.
fn carries(style: Style, asked: &str) -> bool {
    if asked.contains(char::is_control) || template_in(asked).is_some() {
        return false;
    }
    match style {
        Style::Bare => {
            let is_plain = |char: char| char.is_alphanumeric() || "_-./:@%+,=?*[]".contains(char);
            !asked.is_empty() && asked.chars().all(is_plain)
        }
        Style::Quoted(Quote::Single) => {
            !asked.contains('\'') && !asked.contains("\\\\") && !asked.ends_with('\\')
        }
        Style::Quoted(Quote::Double | Quote::Backtick) => !asked.contains(['"', '`', '\\', '$']),
        Style::Mixed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Style, carries, lexer, locate, read_back};
    use crate::patch::key::KeyPath;
    use crate::patch::{Code, Edit, Format, PatchError, patch, port_at};
    use crate::port::Port;

    fn set(text: &str, key: &str, value: &str) -> Result<String, PatchError> {
        let edit = Edit::Set { key: key.parse().unwrap(), value: value.to_owned() };
        let patched = patch(text, &Format::Env, std::slice::from_ref(&edit))?;
        let again = patch(&patched.text, &Format::Env, &[edit]).unwrap();
        assert_eq!((&again.text, again.changes.len()), (&patched.text, 0), "a second time: {text}");
        Ok(patched.text)
    }

    #[test]
    fn only_the_value_changes() {
        for (before, value, after) in [
            ("PORT=8000\n", "8001", "PORT=8001\n"),
            ("PORT=8000", "8001", "PORT=8001"),
            ("\u{feff}PORT=8000\r\nA=1\r\n", "8001", "\u{feff}PORT=8001\r\nA=1\r\n"),
            ("export PORT = 8000 # ours\n", "8001", "export PORT = 8001 # ours\n"),
            ("\tPORT=\"8000\"\t#x", "8001", "\tPORT=\"8001\"\t#x"),
            ("PORT=''", "8001", "PORT='8001'"),
            ("PORT=`8000`", "8001", "PORT=`8001`"),
            ("PORT=\n", "8001", "PORT=8001\n"),
            ("PORT= # ours\n", "8001", "PORT=8001 # ours\n"),
            ("PORT = 1 # ours\n", "", "PORT = '' # ours\n"),
            ("PORT=8000#x\n", "8001", "PORT=8001\n"),
            ("PORT=:8000\n", "8001", "PORT=:8001\n"),
            ("PORT='localhost:8000'\n", "8001", "PORT='localhost:8001'\n"),
            (
                "PORT=http://localhost:8000/?a=b&c=~#/d # e\n",
                "8001",
                "PORT=http://localhost:8001/?a=b&c=~#/d # e\n",
            ),
            ("PORT=8000\n", "http://a:1/x", "PORT=http://a:1/x\n"),
            ("PORT=8000\n", "a b#c$D", "PORT='a b#c$D'\n"),
            ("PORT=8000\n", "it's", "PORT=\"it's\"\n"),
            ("PORT=\"8000\"\n", "$X", "PORT='$X'\n"),
            ("PORT='a\n b'\nB=2\n", "8001", "PORT='8001'\nB=2\n"),
            ("PORT='${A} `b`'\n", "8001", "PORT='8001'\n"),
            ("PORT=\"\\$A\"\n", "8001", "PORT=\"8001\"\n"),
            ("PORT=cost$\n", "8001", "PORT=8001\n"),
            ("A=1\nPORT=2\nA=PORT\n", "8001", "A=1\nPORT=8001\nA=PORT\n"),
            ("A=${A}\nPORT=2\n", "8001", "A=${A}\nPORT=8001\n"),
            ("A='\nPORT=1\n'\nPORT=2", "8001", "A='\nPORT=1\n'\nPORT=8001"),
            ("DB_PORT=1\n#PORT=2\nPORT=3", "8001", "DB_PORT=1\n#PORT=2\nPORT=8001"),
            ("A: 1\nB\nC={{ c }}\nPORT=3", "8001", "A: 1\nB\nC={{ c }}\nPORT=8001"),
        ] {
            assert_eq!(set(before, "PORT", value).as_deref(), Ok(after), "{before}");
        }
        assert_eq!(set("a.b=1", "\"a.b\"", "2").as_deref(), Ok("a.b=2"));
    }

    #[test]
    fn a_missing_key_is_a_line_at_the_end() {
        for (before, value, after) in [
            ("", "8001", "PORT=8001\n"),
            ("A=1\n", "8001", "A=1\nPORT=8001\n"),
            ("A=1", "8001", "A=1\nPORT=8001"),
            ("A=1\r\nB=2", "8001", "A=1\r\nB=2\r\nPORT=8001"),
            ("A=1\r\n", "8001", "A=1\r\nPORT=8001\r\n"),
            ("export A=1\n# PORT=8000\n", "8001", "export A=1\n# PORT=8000\nexport PORT=8001\n"),
            ("A = '1'\n", "8001", "A = '1'\nPORT = 8001\n"),
            ("A=1\n", "a b", "A=1\nPORT='a b'\n"),
            ("A=1\n", "", "A=1\nPORT=''\n"),
            ("DB_PORT=1\nport=2\n", "8001", "DB_PORT=1\nport=2\nPORT=8001\n"),
        ] {
            assert_eq!(set(before, "PORT", value).as_deref(), Ok(after), "{before}");
        }
        let (a, b) = (KeyPath::of(["A"]), KeyPath::of(["B"]));
        let edits =
            [(a, "1"), (b, "2")].map(|(key, value)| Edit::Set { key, value: value.to_owned() });
        assert_eq!(patch("C=3", &Format::Env, &edits).unwrap().text, "C=3\nA=1\nB=2");
    }

    #[test]
    fn what_is_not_certain_is_refused_at_its_place() {
        for (text, key, value, code, place) in [
            ("A=1\nPORT=${BASE}\n", "PORT", "1", Code::Computed, (2, 6)),
            ("URL=http://a:$PORT/x", "URL", "1", Code::Computed, (1, 14)),
            ("PORT=\"$(cat port)\"", "PORT", "1", Code::Computed, (1, 7)),
            ("PORT=\"a `b`\"", "PORT", "1", Code::Computed, (1, 9)),
            ("PORT={{ port }}", "PORT", "1", Code::Computed, (1, 6)),
            ("PORT='<%= port %>'", "PORT", "1", Code::Computed, (1, 7)),
            ("{% if x %}\nPORT=1\n{% endif %}", "PORT", "2", Code::Computed, (1, 1)),
            ("A=1\n PORT: 8000\n", "PORT", "1", Code::Syntax, (2, 2)),
            ("PORT=1\nexport PORT\n", "PORT", "2", Code::Syntax, (2, 1)),
            ("PORT=1\nA=1\nexport PORT='1'\n", "PORT", "2", Code::Ambiguous, (3, 14)),
            ("A=1\nB='x\nPORT=1\n", "PORT", "2", Code::Syntax, (2, 3)),
            ("é=1\rPORT=1", "PORT", "2", Code::Syntax, (1, 4)),
            ("PORT=80'80'", "PORT", "1", Code::NotAValue, (1, 6)),
            ("PORT='80'80", "PORT", "1", Code::NotAValue, (1, 6)),
            ("PORT='it\\'s'", "PORT", "1", Code::NotAValue, (1, 7)),
            ("PORT=80\\\nA=1", "PORT", "1", Code::NotAValue, (1, 6)),
            ("URL=http://a:1,http://b:2", "URL", "1", Code::NotAValue, (1, 5)),
            ("A=1", "A", "it's \"x\"", Code::NotAValue, (1, 3)),
            ("A=1", "A", "x\ny", Code::NotAValue, (1, 3)),
            ("A=1", "B", "{{ x }}", Code::NotAValue, (1, 4)),
            ("A=1", "server.port", "1", Code::UnknownKey, (1, 1)),
            ("A=1", "A[0]", "1", Code::UnknownKey, (1, 1)),
            ("A=1", "\"a b\"", "1", Code::UnknownKey, (1, 1)),
        ] {
            let error = set(text, key, value).unwrap_err();
            assert_eq!((error.code, (error.line, error.column)), (code, place), "{text}: {error}");
            assert!(!error.hint.is_empty());
        }
    }

    #[test]
    fn a_port_is_read_where_it_stands() {
        let key = KeyPath::of(["PORT"]);
        for (text, port) in [
            ("A=1\nPORT='8000' # c\n", Some(8000)),
            ("PORT=http://localhost:8000/", Some(8000)),
            ("PORT=", None),
            ("DB_PORT=1", None),
        ] {
            assert_eq!(port_at(text, &Format::Env, &key), Ok(port.and_then(Port::new)), "{text}");
        }
        for (text, code, column) in
            [("PORT=$P", Code::Computed, 6), ("PORT='web'", Code::NotAValue, 7)]
        {
            let error = port_at(text, &Format::Env, &key).unwrap_err();
            assert_eq!((error.code, error.column), (code, column), "{text}");
        }
    }

    #[test]
    fn edits_that_name_no_key_say_nothing() {
        let port = |number| Port::new(number).unwrap();
        let edits = [
            Edit::Own { old: port(8000), new: port(8001) },
            Edit::Peer { old: port(8000), new: port(8001) },
            Edit::Given { variable: "PORT".to_owned(), port: port(8001) },
        ];
        assert_eq!(patch("PORT=8000\n", &Format::Env, &edits).unwrap().changes, []);
    }

    #[test]
    fn what_is_written_is_read_the_same_in_each_style() {
        for char in (' '..='~').chain(['é', '世']) {
            for value in [format!("{char}"), format!("a{char}"), format!("{char}{char} b")] {
                for before in ["A=1\nB=2", "A='1'\nB=2", "A=\"1\"\nB=2", "A=`1`\nB=2"] {
                    if let Ok(after) = set(before, "A", &value) {
                        let lines = lexer::lines(&after).unwrap();
                        assert_eq!((lines.len(), lines[1].raw), (2, "B=2"), "{after}");
                    } else {
                        assert!(value.contains(['\\', '{']), "{value}");
                    }
                }
            }
        }
        assert!(!carries(Style::Mixed, "1"));
    }

    #[test]
    fn one_more_changed_byte_is_noticed() {
        let before = "# c\nexport A = 'x' # d\nD=1 # e\nB: 2\n\nC=\"y\nz\"\nPORT=\"2\"\n";
        let (port, new) = (KeyPath::of(["PORT"]), KeyPath::of(["NEW"]));
        let sets = [(&port, "9"), (&new, "7")];
        let after = before.replace("\"2\"", "\"9\"") + "NEW=7\n";
        assert_eq!(read_back(before, &after, &sets), Ok(()));
        for (place, byte) in after.bytes().enumerate() {
            for other in [b'6', b'z', b'"', b'\'', b'#', b'$', b' ', b'\n', b'='] {
                let mut mutant = after.clone().into_bytes();
                mutant[place] = other;
                let mutant = String::from_utf8(mutant).unwrap();
                // What blanks a line ends in, and whether it is the last, is nothing that a loader reads.
                if byte != other && mutant.trim_end() != after.trim_end() {
                    let refusal = read_back(before, &mutant, &sets).map_err(|refusal| refusal.code);
                    assert_eq!(refusal, Err(Code::ReadBack), "{mutant}");
                }
            }
        }
        for short in [before, &after[..after.len() - "NEW=7\n".len()], &format!("{after}X=1")] {
            assert!(read_back(before, short, &sets).is_err(), "{short}");
        }
        assert_eq!(locate(&after, &sets), Ok(Vec::new()));
    }
}
