//! `{port}` and its kin in dev.toml: `{{` is a brace, a known name becomes its value, anything else stands as it is.

/// Expands the templates in `text`; `value` knows the names.
pub fn expand(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        expanded.push_str(&rest[..brace]);
        rest = &rest[brace + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            expanded.push('{');
            rest = after;
        } else if let Some((name, after)) = rest.split_once('}')
            && let Some(value) = value(name)
        {
            expanded.push_str(&value);
            rest = after;
        } else {
            expanded.push('{');
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn known_names_become_values_and_all_else_stands() {
        let value = |name: &str| match name {
            "port" => Some("8001".to_owned()),
            "db.port" => Some("5433".to_owned()),
            _ => None,
        };
        for (text, expected) in [
            ("{port}", "8001"),
            ("--port={port} --db={db.port}", "--port=8001 --db=5433"),
            ("{{port}", "{port}"),
            ("{{{port}}", "{8001}"),
            ("{unknown} {port", "{unknown} {port"),
            ("{ {port}", "{ 8001"),
            ("${HOME}", "${HOME}"),
            ("ä{port}ö", "ä8001ö"),
            ("", ""),
        ] {
            assert_eq!(expand(text, value), expected, "{text}");
        }
    }
}
