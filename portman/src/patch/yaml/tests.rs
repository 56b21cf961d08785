//! The rules of the YAML format, as tables.

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
        |text| format!("# Grüße, 世界 👋 {{{{ [\n\n{text}"),
    ];
    for change in changes {
        let (before, after) = (change(before), change(after));
        assert_eq!(patched(&before, sets).as_deref(), Ok(after.as_str()), "{before}");
    }
}

#[test]
fn replaces_only_the_value() {
    for (before, value, after) in [
        ("port: 8080\n", "9000", "port: 9000\n"),
        ("port:   8080   # note: x\nx: 1.0\n", "9000", "port:   9000   # note: x\nx: 1.0\n"),
        ("port: 0x1F90\n", "9000", "port: 9000\n"),
        ("port: 8_080\n", "9000", "port: 9000\n"),
        ("port: 080\n", "80", "port: 80\n"),
        ("port: 80\n", "1.5", "port: 1.5\n"),
        ("port: 80\n", "auto", "port: auto\n"),
        ("port: 80\n", "a: b", "port: \"a: b\"\n"),
        ("port: true\n", "false", "port: false\n"),
        ("port: off\n", "true", "port: true\n"),
        ("port: no\n", "9000", "port: 9000\n"),
        ("port: null # none\n", "9000", "port: 9000 # none\n"),
        ("port: # none\nx: 1\n", "9000", "port: 9000 # none\nx: 1\n"),
        ("port:\n", "9000", "port: 9000\n"),
        ("port: \"8080\"\n", "9000", "port: \"9000\"\n"),
        ("port: '8080'\n", "9000", "port: '9000'\n"),
        ("port: auto\n", "9000", "port: \"9000\"\n"),
        ("port: 'x'\n", "it's", "port: 'it''s'\n"),
        ("port: \"x\"\n", "a\"\n", "port: \"a\\\"\\n\"\n"),
        ("port: two\n  lines\nx: 1\n", "one", "port: one\nx: 1\n"),
        ("port: :8080\n", "9000", "port: :9000\n"),
        ("port: 0.0.0.0:8080 # 8080\n", "9000", "port: 0.0.0.0:9000 # 8080\n"),
        ("port: http://a8080:8080/é#x\n", "9000", "port: http://a8080:9000/é#x\n"),
        ("port: \"http://a:8080/\\u00e9\"\n", "9000", "port: \"http://a:9000/\\u00e9\"\n"),
        ("port: 'http://a'':1/'\n", "x", "port: 'x'\n"),
        ("port: \"http://a:\\u00380\\u00380/\"\n", "9000", "port: \"http://a:9000/\"\n"),
        ("port: !!int 8080\n", "9000", "port: !!int 9000\n"),
        ("port: !!str 8080\n", "9000", "port: !!str \"9000\"\n"),
        ("port: &unused 8080\n", "9000", "port: &unused 9000\n"),
        ("\"port\" : 8080\n", "9000", "\"port\" : 9000\n"),
        ("? port\n: 8080\n", "9000", "? port\n: 9000\n"),
        ("{port: 8080, x: 1}\n", "9000", "{port: 9000, x: 1}\n"),
        ("{\"port\":8080,\"x\":1}\n", "9000", "{\"port\":9000,\"x\":1}\n"),
        ("port: 1\nport: 2\n", "9000", "port: 1\nport: 9000\n"),
        ("---\nport: 8080\n...\n", "9000", "---\nport: 9000\n...\n"),
        ("a: |\n  port: 1\nport: 8080\n", "9000", "a: |\n  port: 1\nport: 9000\n"),
        ("a: '{{ x }}'\nport: 8080\n", "9000", "a: '{{ x }}'\nport: 9000\n"),
        ("a: \u{1F44B}é\nport: 8080\n", "9000", "a: \u{1F44B}é\nport: 9000\n"),
    ] {
        check(before, &[("port", value)], after);
    }
}

#[test]
fn finds_values_in_mappings_and_lists() {
    for (before, key, after) in [
        ("a:\n  b:\n    port: 1\n", "a.b.port", "a:\n  b:\n    port: 9000\n"),
        ("a:\n- port: 1\n- port: 2\n", "a[1].port", "a:\n- port: 1\n- port: 9000\n"),
        ("a:\n  - - 1\n    - 2\n", "a[0][1]", "a:\n  - - 1\n    - 9000\n"),
        ("a: [1, {port: 2}]\n", "a[1].port", "a: [1, {port: 9000}]\n"),
        ("a:\n  - # c\n  - 1\n", "a[1]", "a:\n  - # c\n  - 9000\n"),
        ("a:\n  -\n  - 1\n", "a[0]", "a:\n  - 9000\n  - 1\n"),
        ("a: {b.c: 1}\n", "a.\"b.c\"", "a: {b.c: 9000}\n"),
        ("on:\n  yes: 1\n", "on.yes", "on:\n  yes: 9000\n"),
        ("8080: {x: 1}\n", "8080.x", "8080: {x: 9000}\n"),
        (
            "a: &a {port: 1}\nb:\n  <<: *a\n  port: 2\n",
            "b.port",
            "a: &a {port: 1}\nb:\n  <<: *a\n  port: 9000\n",
        ),
    ] {
        check(before, &[(key, "9000")], after);
    }
}

#[test]
fn inserts_in_the_style_of_the_neighbours() {
    for (before, key, after) in [
        ("a: 1\n", "port", "a: 1\nport: 9000\n"),
        ("a: 1 # note\n# last\n", "port", "a: 1 # note\nport: 9000\n# last\n"),
        ("s:\n    a: 1\nb: 2\n", "s.port", "s:\n    a: 1\n    port: 9000\nb: 2\n"),
        ("s:\n  a:\n    - 1\n\nb: 2\n", "s.port", "s:\n  a:\n    - 1\n  port: 9000\n\nb: 2\n"),
        ("l:\n  - a: 1\n  - b: 2\n", "l[0].port", "l:\n  - a: 1\n    port: 9000\n  - b: 2\n"),
        ("s:\n  a: |\n    x\n\nb: 2\n", "s.port", "s:\n  a: |\n    x\n  port: 9000\n\nb: 2\n"),
        ("s:\n  a:\nb: 2\n", "s.port", "s:\n  a:\n  port: 9000\nb: 2\n"),
        ("s:\n  a: # c\nb: 2\n", "s.port", "s:\n  a: # c\n  port: 9000\nb: 2\n"),
        ("s:\n  - \nb: 2\n", "port", "s:\n  - \nb: 2\nport: 9000\n"),
        ("s:\n  \"a\": 1\n", "s.port", "s:\n  \"a\": 1\n  \"port\": 9000\n"),
        ("s: {a: 1} # c\nb: 2\n", "s.port", "s: {a: 1, port: 9000} # c\nb: 2\n"),
        ("s: { a: 1 }\n", "s.port", "s: { a: 1, port: 9000 }\n"),
        ("s: { a: 1, }\n", "s.port", "s: { a: 1, port: 9000, }\n"),
        ("s: {\"a\":1}\n", "s.port", "s: {\"a\":1,\"port\":9000}\n"),
        ("on: {}\n", "on.off", "on: {\"off\": 9000}\n"),
        ("s: {}\n", "s.port", "s: {port: 9000}\n"),
        ("s: { }\n", "s.port", "s: { port: 9000 }\n"),
        ("s: {a: , b: }\n", "s.port", "s: {a: , b:, port: 9000 }\n"),
        ("s: {\n  a: 1 # c\n}\n", "s.port", "s: {\n  a: 1, # c\n  port: 9000\n}\n"),
        ("s: {\n  a: 1, # c\n}\n", "s.port", "s: {\n  a: 1, # c\n  port: 9000,\n}\n"),
        ("s: {\n  a: 1\n}\n", "s.port", "s: {\n  a: 1,\n  port: 9000\n}\n"),
        ("s: {\n}\n", "s.port", "s: {\n  port: 9000\n}\n"),
        // Parents that are missing.
        ("a: 1\n", "s.t.port", "a: 1\ns:\n  t:\n    port: 9000\n"),
        ("a:\n    b: 1\n", "s.port", "a:\n    b: 1\ns:\n    port: 9000\n"),
        ("s:\nb: 2\n", "s.port", "s:\n  port: 9000\nb: 2\n"),
        ("s: # c\n", "s.t.port", "s: # c\n  t:\n    port: 9000\n"),
        ("s: {a: 1}\n", "s.t.port", "s: {a: 1, t: {port: 9000}}\n"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n", "b.port", "a: &a {x: 1}\nb:\n  <<: *a\n  port: 9000\n"),
    ] {
        check(before, &[(key, "9000")], after);
    }
}

#[test]
fn begins_an_empty_file() {
    for (before, after) in [
        ("", "s:\n  port: 9000\n"),
        ("# c\n", "# c\ns:\n  port: 9000\n"),
        ("---\n", "---\ns:\n  port: 9000\n"),
        ("{}\n", "{s: {port: 9000}}\n"),
        ("# c\r\n", "# c\r\ns:\r\n  port: 9000\r\n"),
    ] {
        assert_eq!(patched(before, &[("s.port", "9000")]).as_deref(), Ok(after), "{before}");
    }
}

#[test]
fn a_kept_blank_line_of_a_text_stays_its_own() {
    for (before, after) in [
        ("a: |+\n  x\n\n", "a: |+\n  x\n\nport: 1\n"),
        ("a: >+\n\n\n", "a: >+\n\n\nport: 1\n"),
        ("a: |\n  x", "a: |\n  x\nport: 1"),
    ] {
        assert_eq!(patched(before, &[("port", "1")]).as_deref(), Ok(after), "{before}");
    }
}

#[test]
fn makes_several_edits_at_once() {
    check(
        "s:\n  a: 1\n",
        &[("b", "2"), ("s.port", "3"), ("s.a", "4"), ("t.x", "5"), ("s.host", "h"), ("t.u.z", "6")],
        "s:\n  a: 4\n  port: 3\n  host: h\nb: 2\nt:\n  x: 5\n  u:\n    z: 6\n",
    );
    check(
        "s: {a: 'x'}\n",
        &[("s.b", "2"), ("s.c.d", "y"), ("s.c.e", "3"), ("s.a", "z")],
        "s: {a: 'z', b: 2, c: {d: 'y', e: 3}}\n",
    );
    check("a:\n", &[("a", "1"), ("b", "2")], "a: 1\nb: 2\n");
}

#[test]
fn leaves_alone_what_is_already_so() {
    for (before, value) in [
        ("port: 8080\n", "8080"),
        ("port: 0x1F90\n", "8080"),
        ("port: '8080'\n", "8080"),
        ("port: \"80\\u00380\"\n", "8080"),
        ("port: http://localhost:8080/\n", "8080"),
        ("port: yes\n", "true"),
    ] {
        check(before, &[("port", value)], before);
    }
}

#[test]
fn refuses_with_the_place() {
    for (before, key, code, place) in [
        ("a: {b: 1}\n", "a", Code::NotAValue, (1, 4)),
        ("x: é\na:\n  - 1\n", "a", Code::NotAValue, (3, 3)),
        ("a: |\n  x\n", "a", Code::NotAValue, (2, 3)),
        ("a: >-\n  x\n", "a", Code::NotAValue, (2, 3)),
        ("a: http://x/\n", "a", Code::NotAValue, (1, 4)),
        ("a: 1\n", "a.b", Code::NoParent, (1, 4)),
        ("a: null\n", "a.b", Code::NoParent, (1, 4)),
        ("s: {a: }\n", "s.a.b", Code::NoParent, (1, 6)),
        ("a: [1]\n", "a[1]", Code::NoParent, (1, 4)),
        ("a: [1]\n", "a.b", Code::NoParent, (1, 4)),
        ("a: {}\n", "a[0]", Code::NoParent, (1, 4)),
        ("b: 1\n", "a[0].port", Code::NoParent, (1, 1)),
        ("- 1\n", "a", Code::NoParent, (1, 1)),
        ("s: [a: 1]\n", "s[0].b", Code::NoParent, (1, 5)),
        ("? a\n: 1\n", "b", Code::NoParent, (1, 3)),
        ("a: &x\n", "a", Code::NotAValue, (1, 6)),
        ("# c\n...\n", "a", Code::NoParent, (2, 1)),
        // Anchors, aliases, merges.
        ("a: &x 1\nb: *x\nc: *x\n", "a", Code::Shared, (1, 7)),
        ("a: &x 1\nb: *x\n", "b", Code::Shared, (2, 4)),
        ("a: &x\n  p: 1\nb:\n  <<: *x\n", "a.p", Code::Shared, (2, 3)),
        ("a: &x\n  p: 1\nb: *x\n", "a.q", Code::Shared, (2, 3)),
        ("a: &x\n  p: 1\nb: *x\n", "b.p", Code::Shared, (3, 4)),
        ("a: &x {p: 1}\nb:\n  <<: *x\n", "b.p", Code::Shared, (3, 3)),
        ("a: &x {p: 1}\nb: &y {<<: *x}\nc:\n  <<: [*y]\n", "c.p", Code::Shared, (4, 3)),
        // Several documents, templates, tags.
        ("a: 1\n---\na: 2\n", "a", Code::Ambiguous, (2, 1)),
        ("a: {{ .Values.port }}\n", "a", Code::Computed, (1, 4)),
        ("{{- if x }}\na: 1\n{{ end }}\n", "a", Code::Computed, (1, 1)),
        ("a: 1\nb: x{{ y }}\n", "a", Code::Computed, (2, 5)),
        ("a: <%= ENV['PORT'] %>\n", "a", Code::Computed, (1, 4)),
        ("a: 1\nb: \"<%= x %>\"\n", "a", Code::Computed, (2, 5)),
        ("a: !secret port\n", "a", Code::Computed, (1, 12)),
        ("a: !!int \"1\"\n", "a", Code::Computed, (1, 10)),
        // No YAML.
        ("a: [1\n", "a", Code::Syntax, (1, 4)),
        ("a: 1\n\tb: 2\n", "a", Code::Syntax, (1, 4)),
        ("é: *no\n", "a", Code::Syntax, (1, 4)),
        ("a: 1\nb: x\0y\n", "a", Code::Syntax, (2, 5)),
    ] {
        let edits = [Edit::Set { key: key.parse().unwrap(), value: "9".to_owned() }];
        let refused = patch(before, &Format::Yaml, &edits).unwrap_err();
        assert_eq!(
            (refused.code, (refused.line, refused.column)),
            (code, place),
            "{before}: {refused}"
        );
        assert!(!refused.message.ends_with('.') && !refused.hint.is_empty(), "{refused}");
        assert!(refused.message.starts_with(|first: char| !first.is_uppercase() || first == 'N'));
    }
}

#[test]
fn says_how_many_aliases_a_value_has() {
    let key = KeyPath::of(["a"]);
    for (text, said) in
        [("a: &x 1\nb: *x\n", "1 alias"), ("a: &x 1\nb: *x\nc: {d: *x}\n", "2 aliases")]
    {
        let refusal = locate(text, &[(&key, "2")]).unwrap_err();
        assert!(refusal.message.ends_with(said), "{}", refusal.message);
    }
}

#[test]
fn deep_nesting_is_refused_without_a_deep_stack() {
    let key = KeyPath::of(["b"]);
    let code = |text: &str| locate(text, &[(&key, "2")]).map_err(|refusal| refusal.code);
    let flow = |depth: usize| format!("a: {}{}\nb: 1\n", "[".repeat(depth), "]".repeat(depth));
    assert!(code(&flow(199)).is_ok());
    assert_eq!(code(&flow(200)), Err(Code::Syntax));
    let list = |depth: usize| format!("a:\n  {}x\nb: 1\n", "- ".repeat(depth));
    assert!(code(&list(199)).is_ok());
    assert_eq!(code(&list(200)), Err(Code::Syntax));
    let mixed = format!("a:\n  {}{}{}\nb: 1\n", "- ".repeat(150), "[".repeat(50), "]".repeat(50));
    assert_eq!(code(&mixed), Err(Code::Syntax));
    for text in ["[", "{ ", "- ", "? "] {
        let refusal = locate(&text.repeat(100_000), &[(&key, "2")]).unwrap_err();
        assert!(refusal.message.contains("more than 200"), "{text}: {}", refusal.message);
    }
}

#[test]
fn one_more_changed_byte_is_noticed() {
    let before = "a: [true, {b: \"x\\u0041\"}]\nport: 1\nc: &k 2.5\nd: *k\ne: !t 'f'\n";
    let after = "a: [true, {b: \"x\\u0041\"}]\nport: 9\nc: &k 2.5\nd: *k\ne: !t 'f'\n";
    let port = KeyPath::of(["port"]);
    assert_eq!(read_back(before, after, &[(&port, "9")]), Ok(()));
    for (place, byte) in after.bytes().enumerate() {
        for other in [b'7', b'z', b'"', b'}', b','] {
            let mut mutant = after.as_bytes().to_vec();
            mutant[place] = other;
            let mutant = String::from_utf8(mutant).unwrap();
            if byte != other && !byte.is_ascii_whitespace() {
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
    let after = patch("\u{feff}a: 1", &Format::Yaml, &[edit]).unwrap();
    assert_eq!(after.text, "\u{feff}a: 2");
}
