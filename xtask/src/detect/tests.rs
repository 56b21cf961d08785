//! What is found in folders of all kinds.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use portman::fs::save;
use tempfile::TempDir;

use super::{Found, detect, root, text};
use crate::failure::Failure;

const VITE: &str = "export default { server: { port: 3000 } }\n";
const PACKAGE: &str = r#"{ "scripts": { "dev": "vite" } }"#;
const CONFIG: &str = r#"{ "server": { "port": 8000 } }"#;

/// A folder with these files; of one without a text only that it is there counts.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, text) in files {
        save(&folder.path().join(path), text).unwrap();
    }
    folder
}

#[track_caller]
fn found(files: &[(&str, &str)]) -> Vec<Found> {
    let services = detect(tree(files).path()).unwrap();
    assert!(!services.is_empty(), "nothing found in {files:?}");
    services
}

/// The one service of these files.
#[track_caller]
fn only(files: &[(&str, &str)]) -> Found {
    let mut services = found(files);
    assert_eq!(services.len(), 1, "{services:?}");
    services.remove(0)
}

/// What is told about files that say nothing certain; the folder is left out.
#[track_caller]
fn refused(files: &[(&str, &str)]) -> (u8, String) {
    let folder = tree(files);
    let failure = Failure::from_error(detect(folder.path()).unwrap_err());
    assert!(failure.hint.is_some(), "{failure} has no hint");
    (failure.kind as u8, failure.message.replace(&format!("{}/", folder.path().display()), ""))
}

const WHOLE: &[(&str, &str)] = &[
    ("startup_config.json", r#"{ "backend": { "port": 8000 }, "frontend": { "port": 3000 } }"#),
    ("backend/Cargo.toml", ""),
    ("backend/config.json", CONFIG),
    ("frontend/package.json", r#"{ "scripts": { "dev": "vite --port 3000" } }"#),
    ("frontend/package-lock.json", "{}"),
    ("frontend/vite.config.ts", VITE),
];

#[test]
fn the_whole_layout_becomes_a_dev_toml() {
    let detected = found(WHOLE);
    assert_eq!(
        text(&detected),
        r#"# The stack as it was found here. The README of xtask names every key.

[services.backend]
dir = "backend"
setup = { command = "cargo build" }
command = "cargo run"
port = 8000
patch = [
  { file = "../startup_config.json", set = { "backend.port" = "{port}" } },
  { file = "config.json", set = { "server.port" = "{port}" } },
]

[services.frontend]
dir = "frontend"
setup = { command = "npm ci", unless = "node_modules" }
command = "npm run dev"
port = 3000
depends-on = ["backend"]
patch = [
  { file = "../startup_config.json", set = { "frontend.port" = "{port}" } },
  { file = "package.json" },
  { file = "vite.config.ts" },
]
"#
    );
    assert_eq!(detected[0].port_from.as_deref(), Some("startup_config.json"));
}

#[test]
fn a_default_and_a_doubt_are_written_down_as_comments() {
    let vite = ("vite.config.ts", "export default make()\n");
    assert_eq!(
        text(&found(&[("package.json", PACKAGE), vite])),
        r#"# The stack as it was found here. The README of xtask names every key.

# vite.config.ts:1:16 what `make` returns is not known
[services.frontend]
command = "npm run dev"
port = 3000  # the usual one: no other is certain
patch = [
  { file = "package.json" },
  { file = "vite.config.ts" },
]
"#
    );
}

const STARTUP: &str = r#"{ "backend": { "port": 8010 }, "frontend": { "port": 3010 } }"#;

#[track_caller]
fn assert_port(files: &[(&str, &str)], port: u16, from: Option<&str>) {
    let service = only(files);
    assert_eq!((service.port.get(), service.port_from.as_deref()), (port, from), "{files:?}");
}

#[test]
fn the_backends_port_comes_from_what_counts_most() {
    let startup = ("startup_config.json", STARTUP);
    let config = |text| ("backend/config.json", text);
    let (file, root) = (Some("backend/config.json"), Some("startup_config.json"));
    for (files, port, from) in [
        (vec![], 8000, None),
        (vec![config(r#"{ "server": { "port": 8005 } }"#)], 8005, file),
        (vec![config(r#"{ "server": { "port": "$PORT" } }"#)], 8000, None),
        (vec![config("{}")], 8000, None),
        (vec![startup], 8010, root),
        (vec![startup, config(CONFIG)], 8010, root),
        (vec![("startup_config.json", "{}"), config(CONFIG)], 8000, file),
    ] {
        assert_port(&[&[("backend/Cargo.toml", "")], files.as_slice()].concat(), port, from);
    }
    let script = r#"{ "scripts": { "dev": "next dev -p 8007" } }"#;
    assert_port(&[("backend/package.json", script)], 8007, Some("backend/package.json"));
}

#[test]
fn the_frontends_port_comes_from_what_counts_most() {
    let package = ("frontend/package.json", PACKAGE);
    let script = ("frontend/package.json", r#"{ "scripts": { "dev": "vite --port 5000" } }"#);
    let vite = |text| ("frontend/vite.config.js", text);
    let file = Some("frontend/vite.config.js");
    for (files, port, from) in [
        (vec![package], 3000, None),
        (vec![package, vite("export default { server: { port: 4000 } }")], 4000, file),
        (vec![package, vite("export default {}")], 3000, None),
        (vec![script, vite(VITE)], 5000, Some("frontend/package.json")),
        (
            vec![script, vite(VITE), ("startup_config.json", STARTUP)],
            3010,
            Some("startup_config.json"),
        ),
        (
            vec![
                ("package.json", PACKAGE),
                ("vite.config.cjs", "module.exports = { server: { port: 4000 } }"),
            ],
            4000,
            Some("vite.config.cjs"),
        ),
    ] {
        assert_port(&files, port, from);
    }
}

#[test]
fn what_may_be_otherwise_is_said() {
    let package = ("frontend/package.json", PACKAGE);
    let backend = ("backend/Cargo.toml", "");
    for (files, expected) in [
        (WHOLE.to_vec(), None),
        (
            vec![
                package,
                (
                    "frontend/vite.config.ts",
                    "export default {\n  server: { port: Number(process.env.WEB_PORT) || 3000 },\n}\n",
                ),
            ],
            Some(
                "frontend/vite.config.ts:2:19 `server.port` is computed from the environment variable `WEB_PORT`",
            ),
        ),
        (
            vec![package, ("frontend/vite.config.ts", "export { default } from './other'\n")],
            Some("frontend/vite.config.ts:1:10 the config comes from somewhere else"),
        ),
        (
            vec![package, ("frontend/vite.config.ts", VITE), ("frontend/vite.config.js", VITE)],
            Some("Vite loads vite.config.js and not vite.config.ts"),
        ),
        (
            vec![package, ("frontend/yarn.lock", ""), ("frontend/package-lock.json", "")],
            Some("beside frontend/package.json are lock files of yarn, which counts, and npm"),
        ),
        (
            vec![
                backend,
                ("backend/config.json", CONFIG),
                ("startup_config.json", r#"{ "backend": { "port": 8010 } }"#),
            ],
            Some(
                "backend/config.json says port 8000, and startup_config.json says 8010, which counts",
            ),
        ),
        (
            vec![backend, ("backend/config.json", "{ \"server\": { \"port\": 70000 } }")],
            Some("backend/config.json:1:23 `server.port` is `70000`, which is no port"),
        ),
        (
            vec![backend, ("backend/config.json", "{ \"server\": { \"port\": [8000] } }")],
            Some("backend/config.json:1:23 `server.port` is a list, not one value"),
        ),
        (
            vec![
                ("backend/requirements.txt", "fastapi"),
                ("backend/main.py", "app = FastAPI()"),
                ("backend/app.py", "api = FastAPI()"),
            ],
            Some("main:app is started, and there is app:api too"),
        ),
    ] {
        let services = found(&files);
        let doubts: Vec<&String> = services.iter().flat_map(|found| &found.doubts).collect();
        assert_eq!(doubts, expected.as_slice(), "{files:?}");
    }
}

#[test]
fn a_service_is_started_as_its_folder_says() {
    let npm = Some(("npm ci", Some("node_modules")));
    let script = "frontend/package.json";
    let fastapi = ("backend/pyproject.toml", "[project]\ndependencies = [\"fastapi\"]\n");
    for (files, command, setup) in [
        (vec![("backend/Cargo.toml", "")], "cargo run", Some(("cargo build", None))),
        (
            vec![("backend/package.json", r#"{ "scripts": { "start": "node ." } }"#)],
            "npm run start",
            None,
        ),
        (vec![(script, PACKAGE)], "npm run dev", None),
        (vec![(script, PACKAGE), ("frontend/package-lock.json", "")], "npm run dev", npm),
        (vec![(script, PACKAGE), ("frontend/npm-shrinkwrap.json", "")], "npm run dev", npm),
        (
            vec![(script, PACKAGE), ("frontend/pnpm-lock.yaml", "")],
            "pnpm run dev",
            Some(("pnpm install --frozen-lockfile", Some("node_modules"))),
        ),
        (
            vec![(script, PACKAGE), ("frontend/yarn.lock", "")],
            "yarn run dev",
            Some(("yarn install", Some("node_modules"))),
        ),
        (
            vec![(script, PACKAGE), ("frontend/bun.lock", "")],
            "bun run dev",
            Some(("bun install --frozen-lockfile", Some("node_modules"))),
        ),
        (
            vec![fastapi, ("backend/app/main.py", "import x\n\napi = FastAPI()\n")],
            "uvicorn app.main:api --port {port}",
            None,
        ),
        (
            vec![fastapi, ("backend/main.py", "app = FastAPI()\n")],
            "uvicorn main:app --port {port}",
            None,
        ),
        (
            vec![("backend/manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'x')")],
            "python3 manage.py runserver {port}",
            None,
        ),
        (
            vec![
                ("backend/requirements.txt", "Flask==3.0\n"),
                ("backend/app.py", "app = Flask(__name__)\n"),
            ],
            "flask --app app:app run --port {port}",
            None,
        ),
    ] {
        let service = only(&files);
        let found = service.setup.map(|setup| (setup.command, setup.unless));
        assert_eq!((service.command.as_str(), found), (command, setup), "{files:?}");
    }
}

#[test]
fn the_folder_itself_is_a_service_only_where_that_is_certain() {
    let (cargo, main) = (("Cargo.toml", ""), ("src/main.rs", ""));
    let (package, vite) = (("package.json", PACKAGE), ("vite.config.ts", VITE));
    let frontend = ("frontend/package.json", PACKAGE);
    let fastapi = [("requirements.txt", "fastapi"), ("main.py", "app = FastAPI()")];
    for (files, expected) in [
        (vec![package, vite], vec![("frontend", ".")]),
        (vec![package], vec![]),
        (vec![package, ("config.json", CONFIG)], vec![("backend", ".")]),
        (vec![package, vite, ("config.json", CONFIG)], vec![("frontend", ".")]),
        (
            vec![package, vite, ("backend/Cargo.toml", "")],
            vec![("backend", "backend"), ("frontend", ".")],
        ),
        (vec![cargo, main], vec![]),
        (vec![cargo, ("config.json", CONFIG)], vec![]),
        (vec![cargo, main, ("config.json", CONFIG)], vec![("backend", ".")]),
        (vec![cargo, main, frontend], vec![("backend", "."), ("frontend", "frontend")]),
        (vec![cargo, frontend], vec![("frontend", "frontend")]),
        (fastapi.to_vec(), vec![("backend", ".")]),
        (vec![fastapi[0]], vec![]),
        (vec![], vec![]),
    ] {
        let folder = tree(&files);
        let services = detect(folder.path()).unwrap();
        let found: Vec<(&str, &str)> =
            services.iter().map(|found| (found.service.as_str(), found.dir.as_str())).collect();
        assert_eq!(found, expected, "{files:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let (backend, package) = (("backend/Cargo.toml", ""), ("frontend/package.json", PACKAGE));
    for (files, code, message) in [
        (
            vec![backend, ("backend/config.json", "{\n  \"server\": { \"port\": 8000,, }\n}\n")],
            4,
            "backend/config.json:2:28 unexpected token in object (syntax)",
        ),
        (
            vec![backend, ("startup_config.json", "{ \"backend\": 8000 }")],
            4,
            "startup_config.json:1:14 `backend.port` asks for `port` in a number (no-parent)",
        ),
        (
            vec![("frontend/package.json", "{\n  \"scripts\": }")],
            4,
            "frontend/package.json:2:14 expected value",
        ),
        (
            vec![package, ("frontend/vite.config.ts", "export default {{}")],
            4,
            "frontend/vite.config.ts:1:17 unexpected token (syntax)",
        ),
        (
            vec![("frontend/package.json", "{ \"scripts\": { \"build\": \"vite build\" } }")],
            2,
            "`frontend/package.json` has no script `dev` or `start`",
        ),
        (
            vec![("backend/go.mod", "")],
            2,
            "there is a folder `backend`, but what starts it is not known: it has no Cargo.toml, package.json, pyproject.toml or requirements.txt",
        ),
        (
            vec![("frontend/index.html", "")],
            2,
            "there is a folder `frontend`, but what starts it is not known: it has no package.json",
        ),
        (
            vec![("backend/requirements.txt", "bottle")],
            2,
            "the backend is written in Python, but what starts it is not known: looked for FastAPI, Django and Flask",
        ),
        (
            vec![("backend/requirements.txt", "fastapi"), ("backend/other.py", "app = FastAPI()")],
            2,
            "the backend needs FastAPI, but none of main.py, app.py, api.py, server.py, app/main.py, app/__init__.py, api/main.py, src/main.py has a line like `app = FastAPI()`",
        ),
        (
            vec![
                backend,
                package,
                ("frontend/vite.config.ts", "export default { server: { port: 8000 } }"),
            ],
            2,
            "`backend` and `frontend` both prefer port 8000: no file says another for the backend, and `frontend/vite.config.ts` says so",
        ),
    ] {
        assert_eq!(refused(&files), (code, message.to_owned()), "{files:?}");
    }
}

#[test]
fn a_stack_belongs_to_its_repository_unless_only_the_folder_has_one() {
    let layout = |root: &Path, folder: &str| {
        save(&root.join(folder).join("backend/Cargo.toml"), "").unwrap();
    };
    for (git, stack, start, expected) in [
        (true, "", "backend/src", ""),
        (false, "", "backend/src", "backend/src"),
        (false, "", "", ""),
        (true, "apps/shop", "apps/shop", "apps/shop"),
        (true, "apps/shop", "apps", ""),
    ] {
        let folder = TempDir::new().unwrap();
        layout(folder.path(), stack);
        save(&folder.path().join(start).join("a file"), "").unwrap();
        if git {
            save(&folder.path().join(".git/HEAD"), "").unwrap();
        }
        let found = root(&folder.path().join(start)).unwrap();
        assert_eq!(found, folder.path().join(expected), "{git} {stack} {start}");
    }
}

#[test]
fn what_cannot_be_looked_at_is_not_told_as_missing() {
    let fastapi = ("backend/requirements.txt", "fastapi");
    for (files, unreadable) in [
        (vec![fastapi], "backend/main.py"),
        (vec![fastapi], "backend/package.json"),
        (vec![("backend/go.mod", "")], "backend/Cargo.toml"),
        (vec![("backend/go.mod", "")], "backend/manage.py"),
        (vec![("backend/Cargo.toml", "")], "backend/config.json"),
        (vec![("backend/Cargo.toml", "")], "startup_config.json"),
        (vec![("frontend/package.json", PACKAGE)], "frontend/vite.config.ts"),
        (vec![("frontend/package.json", PACKAGE)], "backend"),
    ] {
        let folder = tree(&files);
        // Leads to itself: whoever looks, root too, is refused.
        symlink(Path::new(unreadable).file_name().unwrap(), folder.path().join(unreadable))
            .unwrap();
        let failure = Failure::from_error(detect(folder.path()).unwrap_err());
        let told = format!("failed to look at `{}`: ", folder.path().join(unreadable).display());
        assert!(failure.message.starts_with(&told), "{failure}");
        assert_eq!(failure.kind as u8, 4);
        assert!(failure.hint.unwrap().contains("make it readable"));
    }
}

#[test]
fn a_file_that_is_no_text_is_told_as_that() {
    let folder = tree(&[("backend/requirements.txt", "fastapi")]);
    let mut file = File::create(folder.path().join("backend/main.py")).unwrap();
    file.write_all(b"app = FastAPI() # caf\xe9").unwrap();
    let failure = Failure::from_error(detect(folder.path()).unwrap_err());
    assert!(failure.message.contains("backend/main.py` is not UTF-8 text"), "{failure}");
    assert!(failure.hint.unwrap().starts_with("save "));
}
