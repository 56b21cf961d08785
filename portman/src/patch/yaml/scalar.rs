//! What a plain scalar is, and how a value is written. The readers of YAML 1.1 and 1.2 disagree about `yes` and `1:30`:
//! what is written here is the same to all of them.

use granit_parser::ScalarStyle;

use super::tree::Says;

/// What `text` without quotes says.
pub(super) fn resolved(text: &str) -> Says {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Says::Null,
        _ => {}
    }
    if let Some(boolean) = boolean(text) {
        return Says::Bool(boolean);
    }
    if is_number(text) { Says::Number(text.to_owned()) } else { Says::Text(text.to_owned()) }
}

/// `yes` and `off` too, which are words to YAML 1.2.
fn boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 3]| {
        words.iter().any(|word| {
            let capital = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
            [(*word).to_owned(), capital, word.to_uppercase()].iter().any(|form| form == text)
        })
    };
    match (is(["true", "yes", "on"]), is(["false", "no", "off"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let based = |prefix: &str, digits: &str| {
        unsigned.strip_prefix(prefix).is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|char| char == '_' || digits.contains(char))
        })
    };
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if based("0x", "0123456789abcdefABCDEF") || based("0o", "01234567") || based("0b", "01") {
        return true;
    }
    // What Rust takes for a float and YAML does not: `inf`, `nan` and their like.
    let is_float = unsigned.chars().all(|char| "0123456789_.eE+-".contains(char))
        && unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    is_float && unsigned.replace('_', "").parse::<f64>().is_ok()
}

/// Is the number that is `written` the one that is `wanted`? `010` is another to each reader, and no number here.
pub(super) fn is_same_number(written: &str, wanted: &str) -> bool {
    if let (Some(written), Some(wanted)) = (whole(written), whole(wanted)) {
        return written == wanted;
    }
    let is_ambiguous = whole(written).is_none() && !written.contains(['.', 'e', 'E']);
    let float = |text: &str| text.replace('_', "").parse::<f64>().ok();
    match (float(written), float(wanted)) {
        (Some(written), Some(wanted)) => !is_ambiguous && written.total_cmp(&wanted).is_eq(),
        _ => false,
    }
}

fn whole(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text).replace('_', "");
    let number = match unsigned.get(..2) {
        Some("0x") => i128::from_str_radix(&unsigned[2..], 16),
        Some("0o") => i128::from_str_radix(&unsigned[2..], 8),
        Some("0b") => i128::from_str_radix(&unsigned[2..], 2),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => return None,
        _ => unsigned.parse(),
    };
    number.ok().map(|number| if text.starts_with('-') { -number } else { number })
}

/// `says` as YAML; a text in the quotes of `style`, as far as they can hold it.
pub(super) fn encode(says: &Says, style: ScalarStyle) -> String {
    match says {
        Says::Bool(boolean) => boolean.to_string(),
        Says::Number(number) => number.clone(),
        Says::Text(text) => text_in(text, style),
        Says::Null | Says::Elements(_) | Says::Members(_) | Says::Alias(_) => String::new(),
    }
}

pub(super) fn text_in(text: &str, style: ScalarStyle) -> String {
    match style {
        ScalarStyle::Plain if can_be_plain(text) => text.to_owned(),
        ScalarStyle::SingleQuoted if !text.contains(char::is_control) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => format!("\"{}\"", escaped(text)),
    }
}

/// Is `text` without quotes itself to every reader, in a block as in braces?
fn can_be_plain(text: &str) -> bool {
    let is_text = matches!(resolved(text), Says::Text(_)) && !matches!(text, "=" | "<<");
    // `1:30` is 90 and `2026-01-01` a date to YAML 1.1; `y` and `n` are truth values to a few.
    let is_clock = text.contains(':')
        && text.chars().all(|char| char.is_ascii_digit() || ":+-._".contains(char))
        && text.matches('.').count() < 2;
    let is_date = text.starts_with(|first: char| first.is_ascii_digit())
        && text.get(4..5) == Some("-")
        && text[..4].bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = matches!(text, "y" | "Y" | "n" | "N");
    let first = |char: char| !"-?:,[]{}#&*!|>'\"%@`.".contains(char) && !char.is_whitespace();
    let inner = |char: char| !char.is_control() && !"[]{},\u{feff}\u{2028}\u{2029}".contains(char);
    is_text
        && !is_clock
        && !is_date
        && !is_letter
        && text.starts_with(first)
        && text.chars().all(inner)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains("<%")
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
            '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                escaped.extend(format!("\\u{:04X}", u32::from(char)).chars());
            }
            _ if char.is_control() => escaped.extend(format!("\\u{:04X}", u32::from(char)).chars()),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{encode, is_same_number, resolved};
    use crate::patch::yaml::tree::Says;
    use granit_parser::ScalarStyle::{DoubleQuoted, Plain, SingleQuoted};

    #[test]
    fn a_plain_scalar_is_what_its_readers_take_it_for() {
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(resolved(text), Says::Null, "{text}");
        }
        for (text, boolean) in [("true", true), ("Yes", true), ("OFF", false), ("no", false)] {
            assert_eq!(resolved(text), Says::Bool(boolean), "{text}");
        }
        for text in ["0", "-1", "+1", "8_080", "0x1F", "0o17", "010", "1.5", ".5", "1e3", "-.inf"] {
            assert_eq!(resolved(text), Says::Number(text.to_owned()), "{text}");
        }
        for text in ["tRue", "inf", "nan", "NaN", "1.2.3", "8080:80", "0x", "-", "_1", ":80", "e1"]
        {
            assert_eq!(resolved(text), Says::Text(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn one_number_has_several_forms() {
        for (written, wanted, same) in [
            ("8080", "8080", true),
            ("0x1F90", "8080", true),
            ("8_080", "8080", true),
            ("+8080", "8080", true),
            ("8080.0", "8080", true),
            ("-8080", "8080", false),
            ("010", "8", false),
            ("010", "10", false),
            ("12345678901234567890", "12345678901234567891", false),
        ] {
            assert_eq!(is_same_number(written, wanted), same, "{written} {wanted}");
        }
    }

    #[test]
    fn a_text_is_quoted_where_it_would_be_something_else() {
        for (text, style, written) in [
            ("auto", Plain, "auto"),
            ("127.0.0.1", Plain, "127.0.0.1"),
            ("127.0.0.1:80", Plain, "127.0.0.1:80"),
            ("http://a:1/b#c", Plain, "http://a:1/b#c"),
            ("9000", Plain, "\"9000\""),
            ("8080:80", Plain, "\"8080:80\""),
            ("2026-01-02", Plain, "\"2026-01-02\""),
            ("yes", Plain, "\"yes\""),
            ("y", Plain, "\"y\""),
            ("", Plain, "\"\""),
            (":80", Plain, "\":80\""),
            ("a: b", Plain, "\"a: b\""),
            ("a #b", Plain, "\"a #b\""),
            ("a,b", Plain, "\"a,b\""),
            ("*a", Plain, "\"*a\""),
            ("<<", Plain, "\"<<\""),
            (" a", Plain, "\" a\""),
            ("it's", SingleQuoted, "'it''s'"),
            ("a\nb", SingleQuoted, "\"a\\nb\""),
            ("\\\"\t\u{1}", DoubleQuoted, "\"\\\\\\\"\\t\\u0001\""),
        ] {
            assert_eq!(encode(&Says::Text(text.to_owned()), style), written, "{text}");
        }
    }
}
