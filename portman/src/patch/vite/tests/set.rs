//! Values that are asked for by name.

use super::{check, check_config, own, set};

#[test]
fn replaces_what_stands_there() {
    for (key, value, before, after) in [
        ("server.port", "5174", "{ server: { port: 5173 } }", "{ server: { port: 5174 } }"),
        ("server.port", "5174", "{ server: { port: '5173' } }", "{ server: { port: '5174' } }"),
        ("preview.port", "4174", "{ preview: { port: 4173 } }", "{ preview: { port: 4174 } }"),
        ("server.host", "true", "{ server: { host: '0.0.0.0' } }", "{ server: { host: true } }"),
        ("server.host", "0.0.0.0", "{ server: { host: true } }", "{ server: { host: '0.0.0.0' } }"),
        (
            "server.strictPort",
            "true",
            "{ server: { strictPort: false } }",
            "{ server: { strictPort: true } }",
        ),
        (
            "server.hmr.port",
            "24679",
            "{ server: { hmr: { port: 24678 } } }",
            "{ server: { hmr: { port: 24679 } } }",
        ),
        ("base", "/it's\\", "{ base: '/' }", "{ base: '/it\\'s\\\\' }"),
        (
            "build.outDir",
            "dist/`${a}`",
            "{ build: { outDir: `x` } }",
            "{ build: { outDir: `dist/\\`\\${a}\\`` } }",
        ),
        (
            "server.origin",
            "5174",
            "{ server: { origin: 'http://localhost:5173/x' } }",
            "{ server: { origin: 'http://localhost:5174/x' } }",
        ),
        ("define.\"a.b\"", "1", "{ define: { 'a.b': 2 } }", "{ define: { 'a.b': 1 } }"),
        ("define.flag", "false", "{ define: { flag: 'true' } }", "{ define: { flag: 'false' } }"),
    ] {
        check_config(before, &[set(key, value)], after);
    }
}

#[test]
fn makes_what_is_missing() {
    for (edits, before, after) in [
        (vec![set("server.host", "true")], "{}", "{ server: { host: true } }"),
        (
            vec![set("server.host", "0.0.0.0")],
            "{ a: 'x' }",
            "{ a: 'x', server: { host: '0.0.0.0' } }",
        ),
        (
            vec![set("server.hmr.clientPort", "443")],
            "{ server: { port: 1 } }",
            "{ server: { port: 1, hmr: { clientPort: 443 } } }",
        ),
        (
            vec![
                set("server.port", "1"),
                set("server.strictPort", "true"),
                set("preview.port", "2"),
            ],
            "{\n  plugins: [],\n}",
            "{\n  plugins: [],\n  server: { port: 1, strictPort: true },\n  preview: { port: 2 },\n}",
        ),
        (
            vec![
                set("server.hmr.port", "1"),
                set("server.hmr.clientPort", "2"),
                set("server.port", "3"),
            ],
            "{ server: {} }",
            "{ server: { hmr: { port: 1, clientPort: 2 }, port: 3 } }",
        ),
        (vec![set("server.port", "1"), set("server.port", "2")], "{}", "{ server: { port: 2 } }"),
        (
            vec![set("server.port", "1"), set("preview.port", "2")],
            "{\n  server: {\n    host: true,\n  },\n  preview: {\n    ...x\n  },\n}",
            "{\n  server: {\n    host: true,\n    port: 1,\n  },\n  preview: {\n    ...x,\n    port: 2\n  },\n}",
        ),
    ] {
        check_config(before, &edits, after);
    }
}

#[test]
fn writes_strings_as_the_file_does() {
    check(
        "import a from \"a\"\nimport b from \"b\"\nexport default { base: '/' }\n",
        &[set("server.host", "0.0.0.0")],
        "import a from \"a\"\nimport b from \"b\"\nexport default { base: '/', server: { host: \"0.0.0.0\" } }\n",
    );
}

#[test]
fn moves_a_constant_with_both_its_uses() {
    check(
        "const port = 3000\nexport default { server: { port }, preview: { port } }\n",
        &[set("server.port", "3001"), set("preview.port", "3001")],
        "const port = 3001\nexport default { server: { port }, preview: { port } }\n",
    );
    check(
        "const port = 3000\nexport default { server: { port }, preview: { port } }\n",
        &[set("server.port", "3001"), set("preview.port", "3002")],
        "const port = 3000\nexport default { server: { port: 3001 }, preview: { port: 3002 } }\n",
    );
}

#[test]
fn the_later_edit_of_a_key_wins() {
    let after = "{ server: { port: 5175 } }";
    for before in ["{}", "{ server: { port: 1 } }"] {
        let edits = [own(5173, 5174), set("server.port", "5175")];
        assert_eq!(super::patched(&super::defined(before), &edits), Ok(super::defined(after)));
    }
}
