//! The dev server's own port.

use super::{check, check_config, own};

#[test]
fn replaces_a_literal_in_its_style() {
    for (before, after) in [
        ("{ server: { port: 5173 } }", "{ server: { port: 5174 } }"),
        ("{ server: { port: '5173' } }", "{ server: { port: '5174' } }"),
        ("{ server: { port: \"5173\" } }", "{ server: { port: \"5174\" } }"),
        ("{ server: { port: `5173` } }", "{ server: { port: `5174` } }"),
        ("{ server: { port: 5_173 } }", "{ server: { port: 5174 } }"),
        ("{ server: { port: 0x1435 } }", "{ server: { port: 5174 } }"),
        ("{ server: { port: 5173.0 } }", "{ server: { port: 5174 } }"),
        ("{ server: { port: (5173) } }", "{ server: { port: (5174) } }"),
        ("{ server: { port: 5173 as number } }", "{ server: { port: 5174 as number } }"),
        ("{ server: { port: 3000 } }", "{ server: { port: 5174 } }"),
        ("{ server: { port: undefined } }", "{ server: { port: 5174 } }"),
        (
            "{ server: { port: /* web */ 5173 /* 5173 */ } }",
            "{ server: { port: /* web */ 5174 /* 5173 */ } }",
        ),
        ("{ server: { port: 5173, port: 5172 } }", "{ server: { port: 5173, port: 5174 } }"),
        ("{ server: { host: true, port: 5173, }, }", "{ server: { host: true, port: 5174, }, }"),
    ] {
        check_config(before, &[own(5173, 5174)], after);
    }
}

#[test]
fn says_so_already() {
    for config in [
        "{ server: { port: 5174 } }",
        "{ server: { port: '5174' } }",
        "{ server: { port: 5_174 } }",
        "{ server: { port: 0x1436 } }",
        "{ server: { port: 5174, strictPort: true } }",
    ] {
        check_config(config, &[own(5173, 5174)], config);
    }
    for config in ["{}", "{ server: {} }", "{ server: { strictPort: false } }", "{ plugins: [] }"] {
        check_config(config, &[own(5173, 5173)], config);
    }
}

#[test]
fn finds_keys_however_they_are_written() {
    for (before, after) in [
        ("{ 'server': { \"port\": 5173 } }", "{ 'server': { \"port\": 5174 } }"),
        ("{ ['server']: { [`port`]: 5173 } }", "{ ['server']: { [`port`]: 5174 } }"),
        ("{ s\\u0065rver: { port: 5173 } }", "{ s\\u0065rver: { port: 5174 } }"),
        ("{ server: { ['port']: 5173 } }", "{ server: { ['port']: 5174 } }"),
    ] {
        check_config(before, &[own(5173, 5174)], after);
    }
    check(
        "const KEY = 'port'\nexport default { server: { [KEY]: 5173 } }\n",
        &[own(5173, 5174)],
        "const KEY = 'port'\nexport default { server: { [KEY]: 5174 } }\n",
    );
}

#[test]
fn follows_the_export() {
    for shape in [
        "export default { server: { port: @ } }",
        "export default ({ server: { port: @ } })",
        "export default { server: { port: @ } } as UserConfig",
        "export default { server: { port: @ } } satisfies UserConfig",
        "export default <UserConfig>{ server: { port: @ } }",
        "const config = { server: { port: @ } }\nexport default config",
        "let config: UserConfig = { server: { port: @ } }\nexport { config as default }",
        "const config = { server: { port: @ } }\nexport { other, config as default }\nconst other = 1",
        "export default () => ({ server: { port: @ } })",
        "export default async () => ({ server: { port: @ } })",
        "export default () => { return { server: { port: @ } } }",
        "export default function () { return { server: { port: @ } } }",
        "export default async function config({ mode }) {\n  const env = 1\n  return { server: { port: @ } }\n}",
        "export default () => {\n  const config = { server: { port: @ } }\n  return config\n}",
        "export default () => {\n  const pick = () => { return 1 }\n  return { server: { port: @ } }\n}",
        "function make() { return { server: { port: @ } } }\nexport default make",
        "const make = () => ({ server: { port: @ } })\nexport default make",
        "module.exports = { server: { port: @ } }",
        "exports.default = { server: { port: @ } }",
        "const { defineConfig } = require('vite')\nmodule.exports = defineConfig({ server: { port: @ } })",
        "const vite = require('vite')\nmodule.exports = vite.defineConfig({ server: { port: @ } })",
        "module.exports = require('vite').defineConfig({ server: { port: @ } })",
        "import * as vite from 'vite'\nexport default vite.defineConfig({ server: { port: @ } })",
        "import { defineConfig as define } from 'vite'\nexport default define({ server: { port: @ } })",
        "import { defineConfig } from 'vitest/config'\nexport default defineConfig({ server: { port: @ } })",
        "import { defineConfig } from 'vite-plus'\nexport default defineConfig({ server: { port: @ } })",
        "import { defineConfig } from 'rolldown-vite'\nexport default defineConfig({ server: { port: @ } })",
        "import { defineConfig } from 'vite'\nexport default defineConfig(({ mode }) => ({ server: { port: @ } }))",
        "import { defineConfig } from 'vite'\nexport default defineConfig(async ({ mode }) => {\n  return { server: { port: @ } }\n})",
        "import { defineConfig } from 'vite'\nexport default defineConfig({ server: { port: @ } }) as any",
        "import { defineConfig } from 'vite'\nconst config = { server: { port: @ } }\nexport default defineConfig(config)",
        "import { mergeConfig } from 'vite'\nimport base from './base'\nexport default mergeConfig(base, { server: { port: @ } })",
        "import { defineConfig, mergeConfig } from 'vite'\nimport base from './base'\nexport default mergeConfig(base, defineConfig({ server: { port: @ } }))",
        "import { defineConfig, mergeConfig } from 'vite'\nimport base from './base'\nexport default defineConfig((env) => mergeConfig(base(env), { server: { port: @ } }))",
        "const server = { port: @ }\nexport default { server }",
        "const server = { port: @ }\nexport default { server: server }",
        "const shared = { server: { port: @ } }\nexport default { ...shared }",
        "const server = { port: @ }\nexport default { server: { ...server } }",
        "export default { server: { port: @, ...{ host: true } } }",
        "export default { server: { ...unknown(), port: @ } }",
        "export default { ...unknown(), server: { port: @ } }",
        "export default { server: { port: @, ...(process.env.CI && { host: true }) } }",
        "export default { server: { port: @ }, ...(process.env.CI ? { base: '/x' } : {}) }",
        "const config = { server: { port: @ }, plugins: [] }\nconfig.plugins.push(1)\nexport default config",
        "const config = { server: { port: @ } }\nconfig.base = '/x'\nexport default config",
        "const config = { server: { port: @ } }\nconsole.log(config)\nexport default config",
        "var port = @\nexport default { server: { port } }",
        "export var port = 1\nvar config = { server: { port: @ } }\nexport default config",
        "export default () => {\n  var port = @\n  return { server: { port } }\n}",
        "const port = @\nfunction other() { if (x) { var port = 1 } }\nexport default { server: { port } }",
        "exports.__esModule = true\nexports.default = { server: { port: @ } }",
        "if (require.main === module || typeof module !== 'undefined') x()\nmodule.exports = { server: { port: @ } }",
        "const chunks = (module) => module.exports\nif (module.hot) x()\nexport default { server: { port: @ } }",
        "#!/usr/bin/env node\nexport default { server: { port: @ } }",
        "with (Math) {}\nmodule.exports = { server: { port: @ } }",
    ] {
        let text = |port: &str| format!("{}\n", shape.replace('@', port));
        if shape.starts_with("#!") {
            assert_eq!(super::patched(&text("5173"), &[own(5173, 5174)]), Ok(text("5174")));
        } else {
            check(&text("5173"), &[own(5173, 5174)], &text("5174"));
        }
    }
}

#[test]
fn inserts_where_no_other_line_changes() {
    for (before, after) in [
        ("{}", "{ server: { port: 5174 } }"),
        ("{ }", "{ server: { port: 5174 } }"),
        ("{\n}", "{\n  server: { port: 5174 },\n}"),
        ("{ /* empty */ }", "{ server: { port: 5174 } /* empty */ }"),
        ("{ // empty\n}", "{ // empty\n  server: { port: 5174 },\n}"),
        ("{ server: {} }", "{ server: { port: 5174 } }"),
        ("{ plugins: [] }", "{ plugins: [], server: { port: 5174 } }"),
        ("{ plugins: [], }", "{ plugins: [], server: { port: 5174 }, }"),
        ("{ plugins: [\n  react(),\n] }", "{ plugins: [\n  react(),\n], server: { port: 5174 } }"),
        ("{\n  plugins: [],\n}", "{\n  plugins: [],\n  server: { port: 5174 },\n}"),
        ("{\n  plugins: []\n}", "{\n  server: { port: 5174 },\n  plugins: []\n}"),
        (
            "{\n    plugins: [], // all\n}",
            "{\n    plugins: [], // all\n    server: { port: 5174 },\n}",
        ),
        (
            "{\n  plugins: [], /* a\n  b */\n}",
            "{\n  plugins: [], /* a\n  b */\n  server: { port: 5174 },\n}",
        ),
        (
            "{ // first\n  plugins: [] // last\n}",
            "{ // first\n  server: { port: 5174 },\n  plugins: [] // last\n}",
        ),
        (
            "{\n  base: '/', plugins: [],\n}",
            "{\n  base: '/', plugins: [],\n  server: { port: 5174 },\n}",
        ),
        (
            "{\n  server: {\n    host: true,\n  },\n}",
            "{\n  server: {\n    host: true,\n    port: 5174,\n  },\n}",
        ),
        (
            "{\n  server: {\n    host: true\n  }\n}",
            "{\n  server: {\n    port: 5174,\n    host: true\n  }\n}",
        ),
        ("{\n  server: { host: true }\n}", "{\n  server: { host: true, port: 5174 }\n}"),
        ("{\n  server: { host: true\n  }\n}", "{\n  server: { host: true, port: 5174\n  }\n}"),
        (
            "{\n  'server': {\n    'host': true,\n  },\n}",
            "{\n  'server': {\n    'host': true,\n    'port': 5174,\n  },\n}",
        ),
        ("{\n  \"plugins\": [],\n}", "{\n  \"plugins\": [],\n  \"server\": { \"port\": 5174 },\n}"),
        ("{\n  ...base,\n}", "{\n  ...base,\n  server: { port: 5174 },\n}"),
        ("{ server: { ...base } }", "{ server: { ...base, port: 5174 } }"),
        (
            "{\n  server: {\n    host: true,\n    ...base\n  },\n}",
            "{\n  server: {\n    host: true,\n    ...base,\n    port: 5174\n  },\n}",
        ),
        (
            "{\n  server: {\n    ...base // 5173\n  },\n}",
            "{\n  server: {\n    ...base, // 5173\n    port: 5174\n  },\n}",
        ),
        ("{\n  a: 1, /* x\n  */ }", "{\n  a: 1, server: { port: 5174 }, /* x\n  */ }"),
        ("{ /* x\n*/ a: 1\n}", "{ /* x\n*/ a: 1, server: { port: 5174 }\n}"),
        ("{ /* x\n*/ }", "{ server: { port: 5174 } /* x\n*/ }"),
        ("{\n  a: '}', // '{'\n}", "{\n  a: '}', // '{'\n  server: { port: 5174 },\n}"),
        ("{\n  a: 1 /* , */ , // ,\n}", "{\n  a: 1 /* , */ , // ,\n  server: { port: 5174 },\n}"),
    ] {
        let text =
            |config: &str| format!("const base = {{ host: true }}\nexport default {config}\n");
        check(&text(before), &[own(5173, 5174)], &text(after));
    }
}

#[test]
fn indents_by_the_least_indentation_of_the_file() {
    for unit in ["  ", "   ", "    ", "\t"] {
        let before =
            format!("/**\n * text\n */\nexport default {{\n{unit}server: {{\n{unit}}},\n}}\n");
        let after = before.replace(
            "{\n{unit}}".replace("{unit}", unit).as_str(),
            &format!("{{\n{unit}{unit}port: 5174,\n{unit}}}"),
        );
        assert_eq!(super::patched(&before, &[own(5173, 5174)]), Ok(after));
    }
}

#[test]
fn takes_the_line_ending_from_the_line_beside() {
    for (before, after) in [
        (
            "export default {\r\n  a: 1,\r\n  b: 2,\n}\n",
            "export default {\r\n  a: 1,\r\n  b: 2,\n  server: { port: 5174 },\n}\n",
        ),
        (
            "export default {\n  a: 1,\n  b: 2,\r\n}\n",
            "export default {\n  a: 1,\n  b: 2,\r\n  server: { port: 5174 },\r\n}\n",
        ),
        (
            "export default {\r  a: 1,\r}\r",
            "export default {\r  a: 1,\r  server: { port: 5174 },\r}\r",
        ),
    ] {
        assert_eq!(super::patched(before, &[own(5173, 5174)]), Ok(after.to_owned()));
    }
}

#[test]
fn overrides_what_others_share() {
    check(
        "const both = { port: 5173 }\nexport default { server: { ...both }, preview: { ...both } }\n",
        &[own(5173, 5174)],
        "const both = { port: 5173 }\nexport default { server: { ...both, port: 5174 }, preview: { ...both } }\n",
    );
    check(
        "import { mergeConfig } from 'vite'\nconst base = { server: { port: 3000 } }\nexport default mergeConfig(base, { plugins: [] })\n",
        &[own(3000, 5173)],
        "import { mergeConfig } from 'vite'\nconst base = { server: { port: 3000 } }\nexport default mergeConfig(base, { plugins: [], server: { port: 5173 } })\n",
    );
    // Vite's default is not certain behind a spread of another file.
    check(
        "import base from './base'\nexport default { server: { ...base } }\n",
        &[own(3000, 5173)],
        "import base from './base'\nexport default { server: { ...base, port: 5173 } }\n",
    );
}

#[test]
fn edits_a_constant_only_if_all_its_uses_follow() {
    for (before, after) in [
        (
            "const PORT = 5173\nexport default { server: { port: PORT } }",
            "const PORT = 5174\nexport default { server: { port: PORT } }",
        ),
        (
            "const PORT = '5173'\nexport default { server: { port: PORT } }",
            "const PORT = '5174'\nexport default { server: { port: PORT } }",
        ),
        (
            "const port = 5173\nexport default { server: { port } }",
            "const port = 5174\nexport default { server: { port } }",
        ),
        (
            "const port = 5173\nexport default { server: { port, hmr: { clientPort: port } } }",
            "const port = 5174\nexport default { server: { port, hmr: { clientPort: port } } }",
        ),
        (
            "const WEB = 5173\nconst PORT = WEB\nexport default { server: { port: PORT } }",
            "const WEB = 5174\nconst PORT = WEB\nexport default { server: { port: PORT } }",
        ),
        (
            "const port = 5173\nexport default { server: { port }, preview: { port } }",
            "const port = 5173\nexport default { server: { port: 5174 }, preview: { port } }",
        ),
        (
            "const PORT = '5173'\nexport default { base: `/${PORT}`, server: { port: PORT } }",
            "const PORT = '5173'\nexport default { base: `/${PORT}`, server: { port: '5174' } }",
        ),
        (
            "const WEB = 5173\nconst PORT = WEB\nlog(WEB)\nexport default { server: { port: PORT } }",
            "const WEB = 5173\nconst PORT = 5174\nlog(WEB)\nexport default { server: { port: PORT } }",
        ),
        (
            "export const PORT = 5173\nexport default { server: { port: PORT } }",
            "export const PORT = 5173\nexport default { server: { port: 5174 } }",
        ),
        (
            "const PORT = 5173\nexport { PORT }\nexport default { server: { port: PORT } }",
            "const PORT = 5173\nexport { PORT }\nexport default { server: { port: 5174 } }",
        ),
        (
            "const PORTS = { web: 5173, api: 8000 }\nexport default { server: { port: PORTS.web } }",
            "const PORTS = { web: 5173, api: 8000 }\nexport default { server: { port: 5174 } }",
        ),
        (
            "const { web } = { web: 5173 }\nexport default { server: { port: web } }",
            "const { web } = { web: 5173 }\nexport default { server: { port: 5174 } }",
        ),
        (
            "const PORT = 1\nexport default () => {\n  const PORT = 5173\n  return { server: { port: PORT } }\n}",
            "const PORT = 1\nexport default () => {\n  const PORT = 5174\n  return { server: { port: PORT } }\n}",
        ),
    ] {
        check(&format!("{before}\n"), &[own(5173, 5174)], &format!("{after}\n"));
    }
}

#[test]
fn strict_port_and_hmr_follow_the_port() {
    for (before, after) in [
        (
            "{ server: { port: 5173, strictPort: false } }",
            "{ server: { port: 5174, strictPort: true } }",
        ),
        (
            "{ server: { strictPort: false, port: 5174 } }",
            "{ server: { strictPort: true, port: 5174 } }",
        ),
        (
            "{ server: { port: 5173, strictPort: strict() } }",
            "{ server: { port: 5174, strictPort: strict() } }",
        ),
        (
            "{ server: { port: 5173, hmr: { port: 5173, clientPort: '5173' } } }",
            "{ server: { port: 5174, hmr: { port: 5174, clientPort: '5174' } } }",
        ),
        (
            "{ server: { port: 5173, hmr: { clientPort: 443 } } }",
            "{ server: { port: 5174, hmr: { clientPort: 443 } } }",
        ),
        (
            "{ server: { port: 3000, hmr: { port: 5173 } } }",
            "{ server: { port: 5174, hmr: { port: 5173 } } }",
        ),
        ("{ server: { port: 5173, hmr: false } }", "{ server: { port: 5174, hmr: false } }"),
        (
            "{ server: { hmr: { clientPort: 5173 } } }",
            "{ server: { hmr: { clientPort: 5174 }, port: 5174 } }",
        ),
        (
            "{ server: { port: 1420, hmr: host ? { port: 1421 } : undefined } }",
            "{ server: { port: 5174, hmr: host ? { port: 1421 } : undefined } }",
        ),
        (
            "{ server: { port: 5173 }, preview: { port: 5173 } }",
            "{ server: { port: 5174 }, preview: { port: 5173 } }",
        ),
        (
            "{ test: { server: { port: 5173 } } }",
            "{ test: { server: { port: 5173 } }, server: { port: 5174 } }",
        ),
    ] {
        check_config(before, &[own(5173, 5174)], after);
    }
    // A port that stays needs nothing strict.
    let config = "{ server: { port: 5173, strictPort: false } }";
    check_config(config, &[own(5173, 5173)], config);
    // Another file's strictPort is not ours to change, and a constant of its own is replaced where it is used.
    check(
        "const strict = false\nexport default { server: { port: 5173, strictPort: strict }, preview: { strictPort: strict } }\n",
        &[own(5173, 5174)],
        "const strict = false\nexport default { server: { port: 5174, strictPort: true }, preview: { strictPort: strict } }\n",
    );
}
