//! Proxies that follow another service.

use super::{check, check_config, own, peer};

#[test]
fn follows_every_form_of_target() {
    for (before, after) in [
        ("'/api': 'http://localhost:8000'", "'/api': 'http://localhost:8001'"),
        (
            "'/api': \"http://127.0.0.1:8000/v1?x=8000\"",
            "'/api': \"http://127.0.0.1:8001/v1?x=8000\"",
        ),
        ("'/api': 'http://[::1]:8000'", "'/api': 'http://[::1]:8001'"),
        ("'/api': 'http://0.0.0.0:8000/'", "'/api': 'http://0.0.0.0:8001/'"),
        ("'/api': 'https://LOCALHOST:8000'", "'/api': 'https://LOCALHOST:8001'"),
        ("'/api': 'http://me:8000@localhost:8000'", "'/api': 'http://me:8000@localhost:8001'"),
        (
            "'/ws': { target: 'ws://localhost:8000', ws: true }",
            "'/ws': { target: 'ws://localhost:8001', ws: true }",
        ),
        ("api: { target: `http://localhost:8000` }", "api: { target: `http://localhost:8001` }"),
        (
            "'^/a.*': { 'target': 'http://localhost:8000' }",
            "'^/a.*': { 'target': 'http://localhost:8001' }",
        ),
        ("'/a': ('http://localhost:8000' as string)", "'/a': ('http://localhost:8001' as string)"),
        ("'/a': 'http://' + 'localhost:8000'", "'/a': 'http://' + 'localhost:8001'"),
        ("'/a': `http://${'localhost'}:8000`", "'/a': `http://${'localhost'}:8001`"),
        ("'/a': `http://localhost:${8000}/x`", "'/a': `http://localhost:${8001}/x`"),
        ("...{ '/a': 'http://localhost:8000' }", "...{ '/a': 'http://localhost:8001' }"),
        (
            "'/a': { ...{ target: 'http://localhost:8000' }, ws: true }",
            "'/a': { ...{ target: 'http://localhost:8001' }, ws: true }",
        ),
        (
            "'/a': { ...common(), target: 'http://localhost:8000' }",
            "'/a': { ...common(), target: 'http://localhost:8001' }",
        ),
        (
            "'/a': { target: 'http://localhost:8000', configure: (proxy) => { log(8000) } }",
            "'/a': { target: 'http://localhost:8001', configure: (proxy) => { log(8000) } }",
        ),
    ] {
        let config = |entry: &str| format!("{{ server: {{ proxy: {{ {entry} }} }} }}");
        check_config(&config(before), &[peer(8000, 8001)], &config(after));
    }
}

#[test]
fn leaves_what_is_not_this_service() {
    for entry in [
        "'/api': 'http://localhost:80001'",
        "'/api': 'http://localhost:18000'",
        "'/api': 'http://localhost'",
        "'/api': 'http://api.example.com:8000'",
        "'/api': 'http://backend:8000'",
        "'/api': 'http://192.168.1.2:8000'",
        "'/api': 'http://localhost.example.com:8000'",
        "'/api': 'localhost:8000'",
        "'/api': 'http://example.com/http://localhost:8000'",
        "'/api': { rewrite: (path) => path, port: 8000 }",
        "'/api': process.env.API",
        "'/api': proxyTo('http://localhost:9000')",
        "'/api': env.API || 'http://localhost:9000' /* 8000 */",
        "'/8000': 'http://localhost:9000'",
        "...others",
    ] {
        let config = format!("{{ server: {{ proxy: {{ {entry} }} }} }}");
        check_config(&config, &[peer(8000, 8001)], &config);
    }
    for config in [
        "{}",
        "{ server: undefined }",
        "{ server: cond ? {} : { port: 1 } }",
        "{ preview: { proxy: { '/a': 'http://localhost:8000' } } }",
        "{ define: { API: '\"http://localhost:8000\"' } }",
        "{ server: { proxy: { '/a': 'http://localhost:8000' } } }"
            .replace("server", "worker")
            .as_str(),
    ] {
        check_config(config, &[peer(8000, 8001)], config);
    }
}

#[test]
fn all_move_at_once() {
    check_config(
        "{ server: { proxy: { '/a': 'http://localhost:8000', '/b': 'http://localhost:8001' } } }",
        &[peer(8000, 8001), peer(8001, 8000)],
        "{ server: { proxy: { '/a': 'http://localhost:8001', '/b': 'http://localhost:8000' } } }",
    );
    check_config(
        "{ server: { proxy: { '/a': 'http://localhost:8000', '/b': 'http://localhost:8001' } } }",
        &[peer(8000, 8001), peer(8001, 8002)],
        "{ server: { proxy: { '/a': 'http://localhost:8001', '/b': 'http://localhost:8002' } } }",
    );
    check_config(
        "{ server: { port: 3000, proxy: { '/a': 'http://localhost:8000' } } }",
        &[own(3000, 3001), peer(8000, 10001)],
        "{ server: { port: 3001, proxy: { '/a': 'http://localhost:10001' } } }",
    );
}

#[test]
fn follows_constants() {
    for (before, after) in [
        (
            "const API = 'http://localhost:8000'\nexport default { server: { proxy: { '/a': API, '/b': { target: API } } } }",
            "const API = 'http://localhost:8001'\nexport default { server: { proxy: { '/a': API, '/b': { target: API } } } }",
        ),
        (
            "const API = 'http://localhost:8000'\nexport default { define: { API }, server: { proxy: { '/a': API } } }",
            "const API = 'http://localhost:8000'\nexport default { define: { API }, server: { proxy: { '/a': 'http://localhost:8001' } } }",
        ),
        (
            "const port = 8000\nexport default { server: { proxy: { '/a': `http://localhost:${port}/x` } } }",
            "const port = 8001\nexport default { server: { proxy: { '/a': `http://localhost:${port}/x` } } }",
        ),
        (
            "const port = 8000\nlog(port)\nexport default { server: { proxy: { '/a': `http://localhost:${port}/x` } } }",
            "const port = 8000\nlog(port)\nexport default { server: { proxy: { '/a': `http://localhost:8001/x` } } }",
        ),
        (
            "const port = 8000\nlog(port)\nexport default { server: { proxy: { '/a': 'http://localhost:' + port } } }",
            "const port = 8000\nlog(port)\nexport default { server: { proxy: { '/a': 'http://localhost:' + 8001 } } }",
        ),
        (
            "const port = 8000\nlog(port)\nconst api = `http://localhost:${port}`\nexport default { server: { proxy: { '/a': api } } }",
            "const port = 8000\nlog(port)\nconst api = `http://localhost:8001`\nexport default { server: { proxy: { '/a': api } } }",
        ),
        (
            "const port = 8000\nconst api = `http://localhost:${port}`\nlog(api)\nexport default { server: { proxy: { '/a': api } } }",
            "const port = 8000\nconst api = `http://localhost:${port}`\nlog(api)\nexport default { server: { proxy: { '/a': 'http://localhost:8001' } } }",
        ),
        (
            "const api = 'http://localhost:8000'\nlog(api)\nexport default { server: { proxy: { '/a': `${api}/v1` } } }",
            "const api = 'http://localhost:8000'\nlog(api)\nexport default { server: { proxy: { '/a': `http://localhost:8001/v1` } } }",
        ),
        (
            "const host = 'localhost', port = '8000'\nexport default { server: { proxy: { '/a': `http://${host}:${port}` } } }",
            "const host = 'localhost', port = '8001'\nexport default { server: { proxy: { '/a': `http://${host}:${port}` } } }",
        ),
        (
            "const target = 'http://localhost:8000'\nlog(target)\nexport default { server: { proxy: { '/a': { target } } } }",
            "const target = 'http://localhost:8000'\nlog(target)\nexport default { server: { proxy: { '/a': { target: 'http://localhost:8001' } } } }",
        ),
        (
            "const api = { target: 'http://localhost:8000' }\nexport default { server: { proxy: { '/a': api, '/b': api } } }",
            "const api = { target: 'http://localhost:8001' }\nexport default { server: { proxy: { '/a': api, '/b': api } } }",
        ),
        (
            "const PORTS = { api: 8000 }\nexport default { server: { proxy: { '/a': `http://localhost:${PORTS.api}` } } }",
            "const PORTS = { api: 8000 }\nexport default { server: { proxy: { '/a': `http://localhost:8001` } } }",
        ),
        (
            "const proxy = { '/a': 'http://localhost:8000' }\nexport default { server: { proxy }, preview: { proxy } }",
            "const proxy = { '/a': 'http://localhost:8001' }\nexport default { server: { proxy }, preview: { proxy } }",
        ),
        (
            "const server = () => 8000\nexport default { server: { proxy: { '/a': 'http://localhost:8000' } } }",
            "const server = () => 8000\nexport default { server: { proxy: { '/a': 'http://localhost:8001' } } }",
        ),
    ] {
        check(&format!("{before}\n"), &[peer(8000, 8001)], &format!("{after}\n"));
    }
}

#[test]
fn follows_both_merged_configs() {
    check(
        "import { mergeConfig } from 'vite'\nconst base = { server: { proxy: { '/a': 'http://localhost:8000' } } }\nexport default mergeConfig(base, { server: { proxy: { '/b': 'ws://localhost:8000' } } })\n",
        &[peer(8000, 8001)],
        "import { mergeConfig } from 'vite'\nconst base = { server: { proxy: { '/a': 'http://localhost:8001' } } }\nexport default mergeConfig(base, { server: { proxy: { '/b': 'ws://localhost:8001' } } })\n",
    );
}

#[test]
fn a_config_that_cannot_be_followed_and_says_no_such_port_stays() {
    for text in ["export default make()\n", "export { default } from './base'\n", "// 8000\n"] {
        check(text, &[peer(8000, 8001)], text);
    }
}
