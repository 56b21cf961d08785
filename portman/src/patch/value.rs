//! What a value becomes, whatever the format: the type of what stood there decides, and of an address only the port
//! changes. Also the little that every inserted line needs to know of its neighbours.

use std::borrow::Cow;
use std::ops::Range;

use crate::patch::key::KeyPath;
use crate::patch::{Code, Refusal};

/// What stands at a key before a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::patch) enum Standing<'a> {
    /// Nothing, or a null.
    Nothing,
    /// A truth value.
    Bool,
    /// A number of any kind.
    Number,
    /// A string, decoded.
    Text(&'a str),
}

/// What shall stand there afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::patch) enum Wanted<'a> {
    /// A truth value.
    Bool(bool),
    /// A number, in digits that are valid in every format.
    Number(&'a str),
    /// A string, decoded.
    Text(Cow<'a, str>),
}

impl<'a> Wanted<'a> {
    /// The value that `asked` means where `standing` stands.
    pub(in crate::patch) fn of(standing: Standing<'_>, asked: &'a str) -> Self {
        match standing {
            Standing::Number if is_number(asked) => Self::Number(asked),
            Standing::Number => Self::Text(asked.into()),
            Standing::Text(text) => Self::Text(with_port(text, asked)),
            Standing::Bool | Standing::Nothing => match asked {
                "true" => Self::Bool(true),
                "false" => Self::Bool(false),
                _ if is_digits(asked) && is_number(asked) => Self::Number(asked),
                _ => Self::Text(asked.into()),
            },
        }
    }
}

/// The text that `asked` means where `text` stands.
pub(in crate::patch) fn with_port<'a>(text: &str, asked: &'a str) -> Cow<'a, str> {
    match port_to_change(text, asked) {
        Some(digits) => format!("{}{asked}{}", &text[..digits.start], &text[digits.end..]).into(),
        None => asked.into(),
    }
}

/// The digits of the port in `text`, when `asked` is a port and `text` an address: `:80`, `host:80`, `http://host:80/x`.
pub(in crate::patch) fn port_to_change(text: &str, asked: &str) -> Option<Range<usize>> {
    if !is_digits(asked) {
        return None;
    }
    let start = match text.find(SCHEME_END) {
        Some(scheme) if is_scheme(&text[..scheme]) => scheme + SCHEME_END.len(),
        _ => 0,
    };
    if has_url_behind_another(&text[start..]) {
        return None;
    }
    let authority = match text[start..].find(['/', '?', '#']) {
        Some(length) => start..start + length,
        None => start..text.len(),
    };
    // What stands before the last `@` is a user and a password, which may hold a colon too.
    let start =
        text[authority.clone()].rfind('@').map_or(authority.start, |at| authority.start + at + 1);
    let (host, port) = text[start..authority.end].rsplit_once(':')?;
    (is_digits(port) && is_host(host)).then(|| authority.end - port.len()..authority.end)
}

/// Refuses to put a port in the place of an address whose own port cannot be told: nobody wants `9000` for a URL.
pub(in crate::patch) fn refuse_uncertain_port(
    text: &str,
    asked: &str,
    key: &KeyPath,
    offset: usize,
) -> Result<(), Refusal> {
    let is_address = text.contains(SCHEME_END) || text.starts_with("jdbc:");
    if !is_digits(asked) || !is_address || port_to_change(text, asked).is_some() {
        return Ok(());
    }
    Err(Refusal {
        offset,
        code: Code::NotAValue,
        message: format!("`{key}` is an address in which no single port is certain"),
        hint: format!("give `{key}` its whole value, with the port {asked} where it belongs"),
    })
}

const SCHEME_END: &str = "://";

/// `http`, `postgres+psycopg`, `jdbc:postgresql`
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.chars().all(is_of_a_scheme)
}

fn is_of_a_scheme(char: char) -> bool {
    char.is_ascii_alphanumeric() || "+-.:".contains(char)
}

/// Whether a list of URLs goes on in `rest`, what is behind the first one's scheme: `a:1;http://b:2`, `a/, http://b`.
fn has_url_behind_another(rest: &str) -> bool {
    rest.match_indices(SCHEME_END).any(|(end, _)| {
        let before = rest[..end].trim_end_matches(is_of_a_scheme);
        before.ends_with([';', ',', '|', ' ', '\t', '\n', '\r'])
    })
}

/// Empty means every address of the machine. Digits alone are no host: `8080:80` maps one port to another.
fn is_host(text: &str) -> bool {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bracketed {
        return !address.is_empty()
            && address.chars().all(|char| char.is_ascii_hexdigit() || ":.%".contains(char));
    }
    let named = text.chars().all(|char| char.is_alphanumeric() || "-._*".contains(char));
    text.is_empty() || named && !is_digits(text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Is `text` a number that JSON and TOML write alike?
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let whole = &unsigned[..unsigned.find(['.', 'e', 'E']).unwrap_or(unsigned.len())];
    if !is_digits(whole) || whole.len() > 1 && whole.starts_with('0') {
        return false;
    }
    if whole.len() == unsigned.len() {
        return text.parse::<i64>().is_ok();
    }
    let fraction = unsigned[whole.len()..].strip_prefix('.');
    let pointed =
        fraction.is_none_or(|fraction| fraction.starts_with(|first: char| first.is_ascii_digit()));
    pointed && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The sets to make: of several for one key the last. One that would both hold a value and have members is refused.
pub(in crate::patch) fn distinct<'a>(
    sets: &[(&'a KeyPath, &'a str)],
) -> Result<Vec<(&'a KeyPath, &'a str)>, Refusal> {
    let mut distinct: Vec<(&KeyPath, &str)> = Vec::new();
    for &(key, value) in sets {
        match distinct.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => distinct.push((key, value)),
        }
    }
    let inside = |outer: &KeyPath, inner: &KeyPath| {
        outer != inner && inner.steps().starts_with(outer.steps())
    };
    for (outer, _) in &distinct {
        if let Some((inner, _)) = distinct.iter().find(|(inner, _)| inside(outer, inner)) {
            return Err(Refusal {
                offset: 0,
                code: Code::NoParent,
                message: format!("`{outer}` is to be a value, and `{inner}` a member of it"),
                hint: "ask for one of the two".to_owned(),
            });
        }
    }
    Ok(distinct)
}

/// The whitespace between the line's start and `offset`; none when something else stands there.
pub(in crate::patch) fn indentation(text: &str, offset: usize) -> Option<&str> {
    let before = &text[line_start(text, offset)..offset];
    before.chars().all(|char| char == ' ' || char == '\t').then_some(before)
}

/// The whitespace that the line of `offset` begins with.
pub(in crate::patch) fn line_indentation(text: &str, offset: usize) -> &str {
    let line = &text[line_start(text, offset)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Where the line of `offset` begins.
pub(in crate::patch) fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the line of `offset` ends, before its line ending.
pub(in crate::patch) fn line_end(text: &str, offset: usize) -> usize {
    let rest = &text[offset..];
    let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
    offset + line.strip_suffix('\r').unwrap_or(line).len()
}

/// The line ending next to `offset`: a file may mix them, and its neighbours are what a new line should look like.
pub(in crate::patch) fn newline_near(text: &str, offset: usize) -> &'static str {
    let newline = text[..offset]
        .rfind('\n')
        .or_else(|| text[offset..].find('\n').map(|newline| offset + newline));
    match newline {
        Some(newline) if text[..newline].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::{Standing, Wanted, distinct, refuse_uncertain_port};
    use crate::patch::Code;
    use crate::patch::key::KeyPath;

    #[test]
    fn what_stands_decides_the_type() {
        use Standing::{Bool, Nothing, Number, Text};
        for (standing, asked, wanted) in [
            (Number, "9000", Wanted::Number("9000")),
            (Number, "-1.5e3", Wanted::Number("-1.5e3")),
            (Number, "0900", Wanted::Text("0900".into())),
            (Number, "1.", Wanted::Text("1.".into())),
            (Number, "1e999", Wanted::Text("1e999".into())),
            (Number, "99999999999999999999", Wanted::Text("99999999999999999999".into())),
            (Number, "auto", Wanted::Text("auto".into())),
            (Number, "true", Wanted::Text("true".into())),
            (Bool, "false", Wanted::Bool(false)),
            (Bool, "9000", Wanted::Number("9000")),
            (Bool, "auto", Wanted::Text("auto".into())),
            (Nothing, "9000", Wanted::Number("9000")),
            (Nothing, "-9000", Wanted::Text("-9000".into())),
            (Nothing, "true", Wanted::Bool(true)),
            (Text("8000"), "9000", Wanted::Text("9000".into())),
            (Text("x"), "true", Wanted::Text("true".into())),
        ] {
            assert_eq!(Wanted::of(standing, asked), wanted, "{standing:?} {asked}");
        }
    }

    #[test]
    fn of_an_address_only_the_port_changes() {
        for (text, after) in [
            (":8080", ":9000"),
            ("localhost:8080", "localhost:9000"),
            ("0.0.0.0:8080", "0.0.0.0:9000"),
            ("[::1]:8080", "[::1]:9000"),
            ("*:8080", "*:9000"),
            ("http://localhost:8080", "http://localhost:9000"),
            ("http://localhost:8080/a:1?b=2:3#c:4", "http://localhost:9000/a:1?b=2:3#c:4"),
            ("postgres://me:5432@db:5432/x", "postgres://me:5432@db:9000/x"),
            ("https://[::1]:8080/", "https://[::1]:9000/"),
            ("jdbc:postgresql://localhost:5432/db", "jdbc:postgresql://localhost:9000/db"),
            ("postgres+psycopg2://me@db:5432/x", "postgres+psycopg2://me@db:9000/x"),
            ("http://a:1/login?next=http://b:2/", "http://a:9000/login?next=http://b:2/"),
            ("http://a:1/http://b:2/", "http://a:9000/http://b:2/"),
            ("localhost:8080/api", "localhost:9000/api"),
            // No address with one port: the whole string is the value.
            ("8080:80", "9000"),
            ("8080/tcp", "9000"),
            ("auto", "9000"),
            ("/run/app.sock", "9000"),
            ("::1", "9000"),
            ("a b:1", "9000"),
            ("localhost:", "9000"),
        ] {
            assert_eq!(
                Wanted::of(Standing::Text(text), "9000"),
                Wanted::Text(after.into()),
                "{text}"
            );
        }
        assert_eq!(Wanted::of(Standing::Text(":80"), "x"), Wanted::Text("x".into()));
    }

    #[test]
    fn no_port_takes_the_place_of_an_address() {
        let key = KeyPath::of(["url"]);
        for text in [
            "http://localhost",
            "http://localhost/",
            "http://localhost:/",
            "postgres://me:5432@db/x",
            "http://a:1;http://b:2",
            "http://a:1/;http://b:2/",
            "http://a:1/, http://b:2/",
            "http://a:1 http://b:2",
            "jdbc:x://a:1/,jdbc:x://b:2/",
            "mongodb://a:27017,b:27017/x",
            "jdbc:sqlserver://localhost:1433;databaseName=x",
            "jdbc:oracle:thin:@localhost:1521:xe",
            "jdbc:oracle:thin:@//localhost:1521/xe",
            "http://${HOST}:8080",
            "http://localhost:${PORT}",
            "see http://localhost:8080",
        ] {
            let refusal = refuse_uncertain_port(text, "9000", &key, 3).unwrap_err();
            assert_eq!((refusal.code, refusal.offset), (Code::NotAValue, 3), "{text}");
            assert!(refusal.message.contains("`url`") && refusal.hint.contains("9000"));
            assert_eq!(refuse_uncertain_port(text, "http://x", &key, 3), Ok(()), "{text}");
        }
        for text in ["8080", "auto", "", "a:b", ":80", "http://a:1", "jdbc:postgresql://a:1/x"] {
            assert_eq!(refuse_uncertain_port(text, "9000", &key, 3), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_last_set_of_a_key_counts() {
        let (a, b, inside) = (KeyPath::of(["a"]), KeyPath::of(["b"]), KeyPath::of(["a", "x"]));
        assert_eq!(distinct(&[(&a, "1"), (&b, "2"), (&a, "3")]).unwrap(), [(&a, "3"), (&b, "2")]);
        assert!(distinct(&[(&a, "1"), (&inside, "2")]).is_err());
        assert!(distinct(&[(&inside, "1"), (&a, "2")]).is_err());
    }
}
