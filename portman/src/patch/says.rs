//! Which port a file says, for who does not know it yet.

use super::key::KeyPath;
use super::value::port_to_change;
use super::{
    BOM, Code, Edit, Format, PatchError, Refusal, env_file, json, locate, npm_script, placed, toml,
    vite, yaml,
};
use crate::port::Port;

/// The port that `text`, a file of this `format`, says at `key`: a number, the port of an address, or what the one server
/// that a script of a `package.json` starts is told on its command line. None when nothing is said there.
///
/// # Errors
/// When the file cannot be read, or what it says is only known when it runs, or is no port; see [`Code`].
pub fn port_at(text: &str, format: &Format, key: &KeyPath) -> Result<Option<Port>, PatchError> {
    let body = text.strip_prefix(BOM).unwrap_or(text);
    said(body, format, key).map_err(|refusal| placed(body, refusal))
}

fn said(text: &str, format: &Format, key: &KeyPath) -> Result<Option<Port>, Refusal> {
    let value = match format {
        Format::Env => env_file::says(text, key)?,
        Format::Json => json::says(text, key)?,
        Format::Toml => toml::says(text, key)?,
        Format::Yaml => yaml::says(text, key)?,
        Format::Vite => vite::says(text, key)?,
        Format::Package => {
            let script = json::string_at(text, key)?;
            return Ok(script.and_then(|script| npm_script::port(&script.value)));
        }
    };
    match value {
        Some(value) if !is_nothing(&value) => {
            let refused = || not_a_port(text, format, key, &value);
            port_in(&value).map_or_else(|| Err(refused()), |port| Ok(Some(port)))
        }
        _ => Ok(None),
    }
}

/// What config files say where they leave it to their reader.
fn is_nothing(value: &str) -> bool {
    matches!(value, "null" | "undefined")
}

/// The refusal of a value, at the place where another one would be set.
fn not_a_port(text: &str, format: &Format, key: &KeyPath, value: &str) -> Refusal {
    let set = Edit::Set { key: key.clone(), value: "1".to_owned() };
    let offset = match locate(text, format, &[set]) {
        Ok(splices) => splices.first().map_or(0, |splice| splice.range.start),
        Err(refusal) => refusal.offset,
    };
    Refusal {
        offset,
        code: Code::NotAValue,
        message: format!("`{key}` is `{value}`, which is no port"),
        hint: format!("give `{key}` a number from 1 to 65535"),
    }
}

/// `8000`, or the port of `http://localhost:8000`.
fn port_in(value: &str) -> Option<Port> {
    let digits = port_to_change(value, "0").unwrap_or(0..value.len());
    value[digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::port_at;
    use crate::patch::{Code, Format};
    use crate::port::Port;

    #[test]
    fn a_file_says_its_port_or_none() {
        let vite = "import { defineConfig, mergeConfig } from 'vite'\n";
        let merged = |top: &str| {
            format!(
                "{vite}export default mergeConfig({{ server: {{ port: 4000 }} }}, {{ {top} }})\n"
            )
        };
        let package = |script: &str| format!("{{ \"scripts\": {{ \"dev\": \"{script}\" }} }}");
        for (format, text, expected) in [
            (Format::Json, "{ \"server\": { \"port\": 8000 } } // here".to_owned(), Some(8000)),
            (Format::Json, "\u{feff}{ server: { port: '8000' } }".to_owned(), Some(8000)),
            (Format::Json, "{\"server\":{\"port\":\"http://localhost:8000/\"}}".into(), Some(8000)),
            (Format::Json, "{ \"server\": { \"port\": null } }".to_owned(), None),
            (Format::Json, "{}".to_owned(), None),
            (Format::Toml, "[server]\nport = 8_000\n".to_owned(), Some(8000)),
            (Format::Toml, "server.port = \"0.0.0.0:8000\"\n".to_owned(), Some(8000)),
            (Format::Toml, "port = 8000\n".to_owned(), None),
            (Format::Yaml, "server:\n  port: 8000 # here\n".to_owned(), Some(8000)),
            (Format::Yaml, "server: { port: ':8000' }\n".to_owned(), Some(8000)),
            (Format::Yaml, "server:\n  port:\n".to_owned(), None),
            (Format::Yaml, "server:\n".to_owned(), None),
            (Format::Vite, "export default { server: { port: 3000 } }\n".to_owned(), Some(3000)),
            (
                Format::Vite,
                format!(
                    "{vite}const PORT = 3000\nexport default defineConfig(() => ({{ server: {{ port: PORT }} }}))\n"
                ),
                Some(3000),
            ),
            (Format::Vite, "export default { plugins: [] }\n".to_owned(), None),
            (Format::Vite, merged("server: { port: 3000 }"), Some(3000)),
            (Format::Vite, merged("server: { open: true }"), Some(4000)),
            (Format::Package, package("vite --port 3000"), Some(3000)),
            (Format::Package, package("cross-env PORT=3000 react-scripts start"), Some(3000)),
            (Format::Package, package("vite"), None),
            (Format::Package, package("next -p 3000 & vite --port 5173"), None),
            (Format::Package, "{}".to_owned(), None),
        ] {
            let key = if format == Format::Package { "scripts.dev" } else { "server.port" };
            let port = port_at(&text, &format, &key.parse().unwrap());
            assert_eq!(port, Ok(expected.and_then(Port::new)), "{format:?} {text}");
        }
    }

    #[test]
    fn what_cannot_be_read_has_a_place_and_a_reason() {
        for (format, text, code, place) in [
            (Format::Json, "{\n  \"server\": { \"port\": 8000,, }\n}\n", Code::Syntax, (2, 28)),
            (Format::Json, "{ \"server\": 8000 }", Code::NoParent, (1, 13)),
            (Format::Json, "{ \"server\": { \"port\": [8000] } }", Code::NotAValue, (1, 23)),
            (Format::Json, "{ \"server\": { \"port\": \"$PORT\" } }", Code::NotAValue, (1, 23)),
            (Format::Json, "{\n  \"server\": { \"port\": 0 }\n}", Code::NotAValue, (2, 23)),
            (Format::Json, "\u{feff}{ server: { port: 70000 } }", Code::NotAValue, (1, 19)),
            (Format::Toml, "[server]\nport = [8000]\n", Code::NotAValue, (2, 8)),
            (Format::Toml, "[server]\nport = 70000\n", Code::NotAValue, (2, 8)),
            (Format::Yaml, "server:\n  port: 70000\n", Code::NotAValue, (2, 9)),
            (Format::Yaml, "server:\n  port: [8000]\n", Code::NotAValue, (2, 9)),
            (Format::Yaml, "a: &a 1\nserver:\n  port: *a\n", Code::Shared, (3, 9)),
            (Format::Vite, "export default { server: { port: 'x' } }", Code::NotAValue, (1, 34)),
            (
                Format::Vite,
                "export default { server: { port: Number(process.env.PORT) || 3000 } }",
                Code::Computed,
                (1, 34),
            ),
            (Format::Vite, "export default { server: { ...common } }", Code::Computed, (1, 26)),
            (Format::Vite, "export default make()", Code::NotFollowed, (1, 16)),
            (
                Format::Vite,
                "import { mergeConfig } from 'vite'\nexport default mergeConfig(common, {})",
                Code::NotFollowed,
                (2, 28),
            ),
            (Format::Vite, "export default {{}", Code::Syntax, (1, 17)),
        ] {
            let error = port_at(text, &format, &"server.port".parse().unwrap()).unwrap_err();
            assert_eq!((error.code, (error.line, error.column)), (code, place), "{text}: {error}");
        }
    }
}
