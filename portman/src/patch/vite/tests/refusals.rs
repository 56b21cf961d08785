//! What cannot be located for certain, and what the user is told.

use std::thread;

use super::{Code, defined, own, patched, peer, refused, set};

#[test]
fn a_port_that_is_computed() {
    for (value, words) in [
        ("Number(process.env.PORT) || 5173", ["`server.port`", "set `PORT` to 5174"]),
        ("parseInt(process.env.PORT ?? '5173', 10)", ["`server.port`", "set `PORT` to 5174"]),
        ("+(process.env['WEB_PORT'] || 5173)", ["`server.port`", "set `WEB_PORT` to 5174"]),
        (
            "Number.parseInt(import.meta.env.VITE_PORT)",
            ["`server.port`", "set `VITE_PORT` to 5174"],
        ),
        ("process.env.CI ? 1 : 5173", ["is computed: `process.env.CI", "--port 5174 --strictPort"]),
        ("5172 + 1", ["is computed: `5172 + 1`", "--port 5174"]),
        ("getPort()", ["is computed: `getPort()`", "--port 5174"]),
        ("undeclared", ["is computed: `undeclared`", "--port 5174"]),
        ("PORTS.web", ["is computed: `PORTS.web`", "--port 5174"]),
    ] {
        let config = defined(&format!("{{ server: {{ port: {value} }} }}"));
        refused(&config, &[own(5173, 5174)], Code::Computed, value, &words);
    }
    let not_a_value = defined("{ server: { port: [5173] } }");
    refused(&not_a_value, &[own(5173, 5174)], Code::NotAValue, "[5173]", &["`server.port`"]);
}

#[test]
fn a_variable_is_followed_to_its_name() {
    for (text, at) in [
        (
            "const port = Number(process.env.PORT) || 5173\nexport default { server: { port } }\n",
            "Number(",
        ),
        (
            "const { PORT } = process.env\nexport default { server: { port: Number(PORT) } }\n",
            "Number(PORT)",
        ),
        (
            "const { PORT = 5173 } = process.env\nexport default { server: { port: PORT } }\n",
            "PORT }",
        ),
        (
            "import { env } from 'node:process'\nexport default { server: { port: Number(env.PORT) } }\n",
            "Number(",
        ),
        (
            "import { loadEnv } from 'vite'\nexport default ({ mode }) => {\n  const env = loadEnv(mode, '.', '')\n  return { server: { port: Number(env.PORT || 5173) } }\n}\n",
            "Number(env",
        ),
        (
            "import { loadEnv } from 'vite'\nexport default ({ mode }) => {\n  const env = { ...process.env, ...loadEnv(mode, '.') }\n  return { server: { port: +env.PORT } }\n}\n",
            "+env",
        ),
    ] {
        refused(text, &[own(5173, 5174)], Code::Computed, at, &["set `PORT` to 5174"]);
    }
}

#[test]
fn a_server_that_is_not_one_object() {
    for (config, code, at) in [
        ("{ server: cond ? { port: 1 } : { port: 2 } }", Code::Computed, "cond ?"),
        ("{ server: serverOptions() }", Code::Computed, "serverOptions()"),
        ("{ server: 'x' }", Code::NoParent, "'x'"),
        ("{ server: [] }", Code::NoParent, "[]"),
        ("{ server: { port: 5173 }, ...others }", Code::Computed, "...others"),
        ("{ ...others }", Code::Computed, "...others"),
        ("{ server: { port: 5173, ...others } }", Code::Computed, "...others"),
        ("{ server: { port: 5173 }, ...(c && { server: {} }) }", Code::Computed, "...(c"),
        ("{ server: { port: 5173, [key]: 1 } }", Code::Computed, "key"),
        ("{ server: { get port() { return 5173 } } }", Code::Computed, "get port"),
        ("{ server() {} }", Code::Computed, "server()"),
        ("{ server: { port: 5173, hmr: c ? { port: 5173 } : {} } }", Code::Computed, "c ?"),
        ("{ server: { port: 5173, hmr: { port: 5173 + 0 } } }", Code::Computed, "5173 + 0"),
    ] {
        refused(&defined(config), &[own(5173, 5174)], code, at, &["--port 5174"]);
    }
}

#[test]
fn an_export_that_cannot_be_followed() {
    for (text, at, word) in [
        ("", "", "no default export"),
        ("export const config = {}\n", "", "no default export"),
        (
            "export default {}\nexport { a as default }\nconst a = {}\n",
            "a as",
            "two default exports",
        ),
        ("module.exports = {}\nmodule.exports = {}\n", "{}\n", "two default exports"),
        ("export { default } from './base'\n", "default", "somewhere else"),
        ("import base from './base'\nexport default base\n", "base\n", "another file"),
        ("export default class {}\n", "export default class", "somewhere else"),
        ("export default [{}]\n", "[{}]", "not an object"),
        ("export default make({})\n", "make(", "`make`"),
        (
            "import { defineConfig } from '@vben/vite-config'\nexport default defineConfig({})\n",
            "defineConfig(",
            "`defineConfig`",
        ),
        ("export default defineConfig({})\n", "defineConfig(", "`defineConfig`"),
        (
            "const defineConfig = (x) => wrap(x)\nexport default defineConfig({})\n",
            "defineConfig(",
            "`defineConfig`",
        ),
        (
            "import { defineConfig } from 'vite'\nexport default defineConfig()\n",
            "defineConfig()",
            "without a config",
        ),
        (
            "export default ({ command }) => {\n  if (command) { return {} }\n  return { a: 1 }\n}\n",
            "{\n  if",
            "more than one return",
        ),
        ("export default () => {\n  if (a) { return {} }\n}\n", "{\n  if", "more than one return"),
        ("export default function* () { return {} }\n", "function*", "no object"),
        ("let config = {}\nconfig = { a: 1 }\nexport default config\n", "config\n", "`config`"),
        ("const a = b\nconst b = a\nexport default a\n", "", "circles"),
        (
            "import { mergeConfig } from 'vite'\nexport default mergeConfig(a, c ? {} : { b: 1 })\n",
            "c ?",
            "not an object",
        ),
        (
            "import { mergeConfig } from 'vite'\nexport default mergeConfig(a, () => ({}))\n",
            "() =>",
            "not an object",
        ),
        (
            "import { mergeConfig } from 'vite'\nconst top = () => ({})\nexport default mergeConfig(a, top)\n",
            "() =>",
            "not an object",
        ),
        (
            "import { mergeConfig, defineConfig } from 'vite'\nexport default mergeConfig(a, defineConfig(() => ({})))\n",
            "() =>",
            "not an object",
        ),
        (
            "import { mergeConfig } from 'vite'\nexport default mergeConfig(...all)\n",
            "mergeConfig(",
            "two configs",
        ),
    ] {
        refused(text, &[own(5173, 5174)], Code::NotFollowed, at, &[word]);
    }
}

#[test]
fn an_object_that_something_else_changes_or_shares() {
    for (text, at) in [
        (
            "const config = { server: { port: 5173 } }\nconfig.server.port = 1\nexport default config\n",
            "config\n",
        ),
        (
            "const config = { server: { port: 5173 } }\nObject.assign(config, {})\nexport default config\n",
            "config\n",
        ),
        (
            "const config = { server: { port: 5173 } }\nconfig['ser' + 'ver'] = {}\nexport default config\n",
            "config\n",
        ),
        (
            "const config = { server: { port: 5173 } }\ndelete config.server\nexport default config\n",
            "config\n",
        ),
        ("const server = { port: 5173 }\nserver.port++\nexport default { server }\n", "server }"),
        (
            "const server = { port: 5173 }\nexport default { server, preview: server }\n",
            "server, preview",
        ),
    ] {
        refused(text, &[own(5173, 5174)], Code::NotFollowed, at, &["`", "--port 5174"]);
    }
}

#[test]
fn a_target_that_is_computed_from_the_port_that_moves() {
    for (entry, at, word) in [
        ("process.env.API || 'http://localhost:8000'", "process.env.API ||", "set `API`"),
        (
            "{ target: process.env.API ?? 'http://localhost:8000' }",
            "process.env.API ??",
            "set `API`",
        ),
        ("`http://localhost:${process.env.API_PORT || 8000}`", "`http", "set `API_PORT`"),
        ("`http://localhost:${process.env.API_PORT || 8000}`", "`http", "port 8001"),
        ("proxyTo(8000)", "proxyTo(8000)", "is computed"),
        ("c ? 'http://localhost:8000' : 'https://x'", "c ?", "is computed"),
        ("new URL('http://localhost:8000')", "new URL", "is computed"),
        ("{ target: { host: 'localhost', port: 8000 } }", "{ host", "is computed"),
        ("'http://local\\u0068ost:8000'", "'http", "is computed"),
        ("{ ...make(8000) }", "{ ...make", "is not certain"),
    ] {
        let config = defined(&format!("{{ server: {{ proxy: {{ '/api': {entry} }} }} }}"));
        refused(&config, &[peer(8000, 8001)], Code::Computed, at, &["server.proxy.\"/api\"", word]);
    }
    for (text, at) in [
        (
            "const api = process.env.API || 'http://localhost:8000'\nexport default { server: { proxy: { '/a': api } } }\n",
            "process.env.API",
        ),
        (
            "const { API = 'http://localhost:8000' } = process.env\nexport default { server: { proxy: { '/a': API } } }\n",
            "API }",
        ),
        (
            "let api = 'http://localhost:8000'\napi = x()\nexport default { server: { proxy: { '/a': api } } }\n",
            "api }",
        ),
        (
            "const port = 8000\nexport default { server: { proxy: { '/a': to(port) } } }\n",
            "to(port)",
        ),
        (
            "function to() { return 'http://localhost:8000' }\nexport default { server: { proxy: to() } }\n",
            "to()",
        ),
        (
            "export default { server: c ? { proxy: { '/a': 'http://localhost:8000' } } : {} }\n",
            "c ?",
        ),
        (
            "export default { ...(c && { server: { proxy: { '/a': 'http://localhost:8000' } } }) }\n",
            "...(c",
        ),
        (
            "const config = { server: { proxy: {} } }\nconfig.server.proxy['/a'] = 'http://localhost:8000'\nexport default config\n",
            "",
        ),
        (
            "import { mergeConfig } from 'vite'\nexport default mergeConfig(base(8000), {})\n",
            "base(8000)",
        ),
    ] {
        refused(text, &[peer(8000, 8001)], Code::Computed, at, &["server"]);
    }
}

#[test]
fn a_key_that_is_not_there() {
    for (key, config) in [
        ("build.outDir", "{}"),
        ("base", "{ base: process.env.BASE }".replace("process.env.BASE", "[]").as_str()),
        ("server.cors", "{ server: {} }"),
        ("server.proxy.x.y", "{ server: { proxy: true } }"),
        ("plugins[0]", "{ plugins: [1] }"),
    ] {
        let refusal = patched(&defined(config), &[set(key, "1")]).expect_err(key);
        assert!(matches!(refusal.code, Code::UnknownKey | Code::NotAValue), "{refusal:?}");
        assert!(refusal.message.contains(key), "{refusal:?}");
    }
    refused(
        &defined("{ server: { origin: 'http://localhost' } }"),
        &[set("server.origin", "5174")],
        Code::NotAValue,
        "'http",
        &["`server.origin` is an address", "whole value"],
    );
    refused(
        &defined("{ server: { hmr: true } }"),
        &[set("server.hmr.port", "1")],
        Code::NoParent,
        "true",
        &["server.hmr"],
    );
}

#[test]
fn a_file_that_does_not_parse() {
    refused(
        "export default {\n  server: { port: 5173\n}\n",
        &[own(5173, 5174)],
        Code::Syntax,
        "",
        &["correct the file"],
    );
    refused(
        "export default { server: { port: } }\n",
        &[own(5173, 5174)],
        Code::Syntax,
        "} }",
        &["nexpected token"],
    );
    refused(
        "<<<<<<< HEAD\nexport default {}\n",
        &[own(5173, 5174)],
        Code::Syntax,
        "",
        &["correct"],
    );
}

#[test]
fn a_file_that_nests_too_deep() {
    for (open, close) in [
        ("[", "]"),
        ("(", ")"),
        ("{a:", "}"),
        ("!", ""),
        ("a=>", ""),
        ("a?b:", ""),
        ("-", ""),
        ("new ", ""),
        ("typeof ", ""),
    ] {
        let deep = format!("export default {}x{}\n", open.repeat(20_000), close.repeat(20_000));
        refused(&deep, &[own(5173, 5174)], Code::Syntax, "", &["deeper"]);
    }
    for sum in ["a+", "a.", "a||", "a\n.", "if(a)", "a()."] {
        let deep = format!("export default {{}}\n{}a\n", sum.repeat(20_000));
        refused(&deep, &[own(5173, 5174)], Code::Syntax, "", &["deeper"]);
    }
}

/// The limits hold where the stack is smallest: a main thread of Windows has 1 MiB.
#[test]
fn what_nests_less_deep_is_parsed() {
    let below_the_limits = || {
        for (open, close) in
            [("[", "]"), ("(", ")"), ("f(", ")"), ("`${", "}`"), ("(()=>{return ", "})()")]
        {
            let levels = 199 / open.matches(['[', '(', '{']).count();
            let deep = format!(
                "export default {{ a: {}x{} }}\n",
                open.repeat(levels - 2),
                close.repeat(levels - 2)
            );
            let result = patched(&deep, &[own(5173, 5174)]);
            assert!(
                matches!(&result, Ok(after) if after.contains("port: 5174")),
                "{open} {result:?}"
            );
        }
        for run in ["!", "- ", "a=>", "a?b:", "typeof ", "a+", "a.", "a||"] {
            let deep = format!("export default {{ a: {}x }}\n", run.repeat(240));
            let result = patched(&deep, &[own(5173, 5174)]);
            assert!(
                matches!(&result, Ok(after) if after.contains("port: 5174")),
                "{run} {result:?}"
            );
        }
    };
    thread::Builder::new().stack_size(1 << 20).spawn(below_the_limits).unwrap().join().unwrap();
}

#[test]
fn a_name_that_gets_another_value_somewhere() {
    for change in [
        "port = 1",
        "port++",
        "port ||= 1",
        ";({ port } = env)",
        ";({ web: port } = env)",
        ";({ web: port = 1 } = env)",
        ";[port] = env",
        ";[...port] = env",
        "for (port of env) {}",
        "for (port in env) {}",
        "const later = () => { (port as any) = 1 }",
    ] {
        let text = format!("let port = 5173\n{change}\nexport default {{ server: {{ port }} }}\n");
        let words = ["is computed: `port`"];
        refused(&text, &[own(5173, 5174)], Code::Computed, "port } }", &words);
    }
}

/// A `var` belongs to its whole function, wherever in it it stands and whether or not that runs.
#[test]
fn a_var_that_may_say_something_else() {
    for declared in [
        "var port = 5173; if (x) { var port = 4000 }",
        "if (x) { var port = 4000 }\nvar port = 5173",
        "var port = 5173\nvar port",
        "var port = 5173; for (var port = 1;;) {}",
        "var port = 5173; for (var port of ports) {}",
        "var port = 5173; try { x() } catch { var { port } = env }",
        "var port = 5173; switch (x) { case 1: var [port] = env }",
        "var port = 5173; { var { ...port } = env }",
        "var port = 5173\nfunction port() {}",
        "var port = 5173; if (x) { port = 4000 }",
        "var port = 5173; { { port++ } }",
        "if (x) { var port = 5173 }",
        "if (x) var port = 5173",
        "while (x()) { var port = 5173 }",
        "try { var port = 5173 } catch {}",
        "a: var port = 5173",
    ] {
        let words = ["is computed: `port`"];
        let text = format!("{declared}\nexport default {{ server: {{ port }} }}\n");
        refused(&text, &[own(5173, 5174)], Code::Computed, "port } }", &words);
        let text =
            format!("export default () => {{\n{declared}\nreturn {{ server: {{ port }} }}\n}}\n");
        refused(&text, &[own(5173, 5174)], Code::Computed, "port } }", &words);
    }
    for text in [
        "export default { server: { port } }\nvar port = 5173\n",
        "export default function (port) {\n  var port = 5173\n  return { server: { port } }\n}\n",
    ] {
        refused(text, &[own(5173, 5174)], Code::Computed, "port } }", &["is computed: `port`"]);
    }
}

#[test]
fn an_export_that_is_changed_afterwards() {
    for change in [
        "module.exports.server.port = 4000",
        "module.exports.server = { port: 4000 }",
        "module.exports['server'].port = 4000",
        "module['exports'].server.port++",
        "module[name].server.port = 4000",
        "exports.server = { port: 4000 }",
        "if (x) { module.exports = { server: { port: 4000 } } }",
        "if (x) { exports.default = {} }",
        "module.exports ||= {}",
        "module = other",
        "Object.assign(module.exports, { server: { port: 4000 } })",
        "Object.assign(module.exports.server, { port: 4000 })",
        "Object.assign(exports, { server: { port: 4000 } })",
        "delete module.exports.server",
        "delete exports.server",
        "const config = module.exports\nconfig.server.port = 4000",
        "const { exports: config } = module\nconfig.server.port = 4000",
        "const { server } = module.exports\nserver.port = 4000",
        "const later = () => { module.exports.server.port = 4000 }",
        "change(module)",
        "for (const key in module.exports) {}",
        "({ port: module.exports.server.port } = env)",
    ] {
        for export in ["module.exports = ", "exports.default = ", "export default "] {
            let text = format!("{export}{{ server: {{ port: 5173 }} }}\n{change}\n");
            let words = ["what the file exports is changed", "--port 5174"];
            refused(&text, &[own(5173, 5174)], Code::NotFollowed, "", &words);
            refused(&text, &[set("server.port", "5174")], Code::NotFollowed, "", &words[..1]);
        }
    }
}

#[test]
fn a_config_that_is_changed_before_it_is_exported() {
    for change in [
        "config.server = { port: 4000 }",
        "config.server.port = 4000",
        "config['server'].port = 4000",
        "config[name].port = 4000",
        "config.server.port ??= 4000",
        "config.server.port--",
        "config!.server!.port = 4000",
        "(config.server as any).port = 4000",
        "if (x) { config.server = {} }",
        "const later = () => { config.server.port = 4000 }",
        "Object.assign(config, { server: { port: 4000 } })",
        "Object.assign(config.server, { port: 4000 })",
        "Object.defineProperty(config.server, 'port', { value: 4000 })",
        "Object.defineProperty(config, 'server', { value: {} })",
        "Reflect.set(config.server, 'port', 4000)",
        "Reflect.deleteProperty(config, 'server')",
        "delete config.server",
        "delete config.server.port",
        "delete config['server']",
        "delete config?.server.port",
        "change(config)",
        "change(...[config])",
        "change({ ...config })",
        "new Change(config)",
        "change`${config}`",
        "config.change()",
        "config.server.change()",
        "const other = config\nother.server.port = 4000",
        "const other = config.server\nother.port = 4000",
        "const { server } = config\nserver.port = 4000",
        "const { server: { port } } = config",
        "for (config.server.port of ports) {}",
        "for (const key in config) { config[key] = 1 }",
        ";[config.server.port] = ports",
        ";({ port: config.server.port } = env)",
        ";({ port: config.server.port = 1 } = env)",
        "config = other",
        ";[config] = others",
    ] {
        let text = |export: &str| {
            format!("let config = {{ server: {{ port: 5173 }} }}\n{change}\n{export}\n")
        };
        let in_function = format!(
            "export default () => {{\nlet config = {{ server: {{ port: 5173 }} }}\n{change}\nreturn config\n}}\n"
        );
        for text in [
            text("export default config"),
            text("export { config as default }"),
            text("module.exports = config"),
            text("export default { ...config }"),
            in_function,
        ] {
            let result = patched(&text, &[own(5173, 5174)]).map_err(|refusal| refusal.code);
            assert!(
                matches!(result, Err(Code::NotFollowed | Code::Computed)),
                "{result:?}\nof\n{text}"
            );
        }
    }
    let text = "function make() { return { server: { port: 5173 } } }\nmake = other\nexport default make\n";
    refused(text, &[own(5173, 5174)], Code::NotFollowed, "make\n", &["`make`"]);
    let text = "let { defineConfig } = require('vite')\ndefineConfig = other\nmodule.exports = defineConfig({ server: { port: 5173 } })\n";
    refused(text, &[own(5173, 5174)], Code::NotFollowed, "defineConfig({", &["`defineConfig`"]);
}

#[test]
fn proxies_that_are_changed_after_they_are_made() {
    for (made, config) in [
        ("const proxy = { '/a': 'http://localhost:8000' }\nproxy['/a'] = x()", "{ proxy }"),
        (
            "const proxy = { '/a': 'http://localhost:8000' }\nproxy['/a'] = x()",
            "{ proxy: { ...proxy } }",
        ),
        (
            "const proxy = { '/a': 'http://localhost:8000' }\nObject.assign(proxy, x())",
            "{ proxy: { ...proxy } }",
        ),
        (
            "const proxy = { '/a': 'http://localhost:8000' }\ndelete proxy['/a']",
            "{ proxy: { ...proxy } }",
        ),
        ("const a = { target: 'http://localhost:8000' }\na.target = x()", "{ proxy: { '/a': a } }"),
        ("const a = { target: 'http://localhost:8000' }\na.init()", "{ proxy: { '/a': a } }"),
        ("const to = { a: 'http://localhost:8000' }\nto.a = x()", "{ proxy: { '/a': to.a } }"),
        (
            "var to = 'http://localhost:8000'; if (x) { var to = 'http://x' }",
            "{ proxy: { '/a': to } }",
        ),
    ] {
        let text = format!("{made}\nexport default {{ server: {config} }}\n");
        let result = patched(&text, &[peer(8000, 8001)]).map_err(|refusal| refusal.code);
        assert!(
            matches!(result, Err(Code::NotFollowed | Code::Computed))
                || result.as_ref() == Ok(&text),
            "{result:?}\nof\n{text}"
        );
    }
    for change in ["module.exports.server.proxy = {}", "delete module.exports.server.proxy['/a']"] {
        let text = format!(
            "module.exports = {{ server: {{ proxy: {{ '/a': 'http://localhost:8000' }} }} }}\n{change}\n"
        );
        refused(&text, &[peer(8000, 8001)], Code::NotFollowed, "module", &["is changed"]);
    }
}
