//! Lines of scripts and the ports in them, before and after.

use super::{Ambiguous, Found, differs_only, locate};
use crate::port::Port;

const NEW: u16 = 4000;

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn patched(line: &str, found: &[Found]) -> String {
    let mut patched = line.to_owned();
    for found in found {
        assert_eq!(&line[found.range.clone()], found.old, "{line}");
        patched.replace_range(found.range.clone(), &found.text);
    }
    patched
}

/// The line of a service that moves from `old` to 4000; itself when no port of it is certain.
#[track_caller]
fn check_from(old: u16, before: &str, after: &str) {
    let locate = |line| locate(line, port(old), port(NEW));
    let found = locate(before).unwrap_or_else(|ambiguous| panic!("{before}: {ambiguous:?}"));
    let line = patched(before, &found);
    assert_eq!(line, after, "from {old}: {before}");
    assert_eq!(locate(&line), Ok(Vec::new()), "a second time: {line}");
    assert!(differs_only(before, after, &found), "{before} -> {after}");
}

/// A line with one server: it is the service, whatever its port was.
#[track_caller]
fn check(before: &str, after: &str) {
    let found = locate(before, port(1), port(NEW)).unwrap_or_default();
    let says = found.first().map_or(1, |found| found.old.parse().unwrap());
    for old in [says, 1, NEW] {
        check_from(old, before, after);
    }
}

#[track_caller]
fn unchanged(lines: &[&str]) {
    for line in lines {
        check(line, line);
    }
}

#[track_caller]
fn ambiguous(old: u16, new: u16, line: &str) -> Ambiguous {
    locate(line, port(old), port(new)).expect_err(line)
}

#[test]
fn options_of_known_servers() {
    for (before, after) in [
        ("vite --port 5173", "vite --port 4000"),
        ("vite --port=5173", "vite --port=4000"),
        ("vite dev --host --port 5173 --strictPort", "vite dev --host --port 4000 --strictPort"),
        ("vite serve --port 3000", "vite serve --port 4000"),
        ("vite client --port 3000", "vite client --port 4000"),
        ("next dev -p 3000", "next dev -p 4000"),
        ("next dev -p3000", "next dev -p4000"),
        ("next -p 3000", "next -p 4000"),
        ("next start --port 3000", "next start --port 4000"),
        ("astro dev --port 4321", "astro dev --port 4000"),
        ("nuxt dev -p 3000", "nuxt dev -p 4000"),
        ("nuxt --port 3000", "nuxt --port 4000"),
        ("webpack serve --port 8080", "webpack serve --port 4000"),
        ("webpack-dev-server --port=8080 --hot", "webpack-dev-server --port=4000 --hot"),
        ("ng serve --port 4200", "ng serve --port 4000"),
        ("vue-cli-service serve --port 8080", "vue-cli-service serve --port 4000"),
        ("http-server dist -p 8080", "http-server dist -p 4000"),
        ("serve -l 5000 dist", "serve -l 4000 dist"),
        ("sirv public --dev -p 5000", "sirv public --dev -p 4000"),
        ("storybook dev -p 6006", "storybook dev -p 4000"),
        ("parcel src/index.html -p 1234", "parcel src/index.html -p 4000"),
        ("remix vite:dev --port 3000", "remix vite:dev --port 4000"),
        ("svelte-kit dev --port 3000", "svelte-kit dev --port 4000"),
        ("uvicorn app:app --reload --port 8000", "uvicorn app:app --reload --port 4000"),
        ("flask run -p 5000", "flask run -p 4000"),
    ] {
        check(before, after);
    }
}

#[test]
fn the_variable_before_a_known_server() {
    for (before, after) in [
        ("PORT=3000 react-scripts start", "PORT=4000 react-scripts start"),
        (
            "BROWSER=none PORT=3000 react-scripts start",
            "BROWSER=none PORT=4000 react-scripts start",
        ),
        ("cross-env PORT=3000 next dev", "cross-env PORT=4000 next dev"),
        (
            "cross-env NODE_ENV=development PORT=3001 tsx watch src/server.ts",
            "cross-env NODE_ENV=development PORT=4000 tsx watch src/server.ts",
        ),
        ("PORT='3000' node server.js", "PORT='4000' node server.js"),
        ("env PORT=3000 nodemon server.js", "env PORT=4000 nodemon server.js"),
        ("DB_PORT=5432 PORT=3000 node server.js", "DB_PORT=5432 PORT=4000 node server.js"),
        ("PORT=3001 next dev -p 3000", "PORT=3001 next dev -p 4000"),
        ("cross-env-shell \"PORT=3000 vite\"", "cross-env-shell \"PORT=4000 vite\""),
    ] {
        check(before, after);
    }
}

#[test]
fn through_runners() {
    for (before, after) in [
        ("npx vite --port 5173", "npx vite --port 4000"),
        ("npx --yes vite@latest --port 5173", "npx --yes vite@latest --port 4000"),
        ("npx -p vite vite --port 5173", "npx -p vite vite --port 4000"),
        ("pnpm exec vite --port 5173", "pnpm exec vite --port 4000"),
        ("pnpm vite --port 5173", "pnpm vite --port 4000"),
        ("yarn vite --port 5173", "yarn vite --port 4000"),
        ("yarn run vite --port 5173", "yarn run vite --port 4000"),
        ("bunx --bun vite --port 5173", "bunx --bun vite --port 4000"),
        ("npm exec -- vite --port 5173", "npm exec -- vite --port 4000"),
        ("dotenv -e .env -- vite --port 5173", "dotenv -e .env -- vite --port 4000"),
        ("dotenv -- cross-env PORT=3000 next dev", "dotenv -- cross-env PORT=4000 next dev"),
        ("./node_modules/.bin/vite --port 5173", "./node_modules/.bin/vite --port 4000"),
        (
            "node --inspect node_modules/vite/bin/vite.js --port 5173",
            "node --inspect node_modules/vite/bin/vite.js --port 4000",
        ),
        ("python -m uvicorn app:app --port 8000", "python -m uvicorn app:app --port 4000"),
    ] {
        check(before, after);
    }
}

#[test]
fn in_lines_with_several_commands() {
    for (before, after) in [
        ("tsc && vite --port 5173", "tsc && vite --port 4000"),
        ("vite build; vite --port 5173", "vite build; vite --port 4000"),
        ("vite --port 5173 2>&1 | tee log", "vite --port 4000 2>&1 | tee log"),
        ("wait-on tcp:3000 && vite --port 5173", "wait-on tcp:3000 && vite --port 4000"),
        (
            "concurrently -n web,api 'vite --port 5173' 'wait-on tcp:3000'",
            "concurrently -n web,api 'vite --port 4000' 'wait-on tcp:3000'",
        ),
        ("vite --port \"5173\"", "vite --port \"4000\""),
        ("vite '--port=5173'", "vite '--port=4000'"),
        ("vite --port 3000 --port 5173", "vite --port 3000 --port 4000"),
        ("echo Größe && vite --port 5173", "echo Größe && vite --port 4000"),
    ] {
        check(before, after);
    }
}

#[test]
fn what_is_not_a_dev_servers_port_stays() {
    unchanged(&[
        "",
        "vite",
        "vite -p 3000",
        "vite preview --port 4173",
        "vite build --port 3000",
        "docker run -p 8080:80 nginx",
        "docker run -p 8080 nginx",
        "wait-on tcp:3000",
        "start-server-and-test dev http://localhost:5173 test",
        "kill-port 5173",
        "kill-port --port 5173",
        "DB_PORT=5432 node server.js",
        "VITE_PORT=5173 vite",
        "mytool --port 3000",
        "npm run dev -- --port 3000",
        "yarn serve --port 3000",
        "node server.js --port 3000",
        "webpack -p 3000",
        "webpack-dev-server -p 3000",
        "ng serve -p 3000",
        "astro dev -p 3000",
        "next build -p 3000",
        "PORT=3000 npm start",
        "vite -- --port 3000",
        "vite # --port 3000",
        "echo vite --port 3000",
        "echo 'vite --port 3000'",
    ]);
}

#[test]
fn what_the_shell_expands_stays() {
    unchanged(&[
        "vite --port $PORT",
        "vite --port ${PORT:-5173}",
        "vite --port=%PORT%",
        "vite --port $(cat port)",
        "vite --port `cat port`",
        "vite --port 3000 --port $PORT",
        "vite --port 30\"00\"$X",
        "PORT=$WEB_PORT next dev",
        "vite --port auto",
        "vite --port 0",
        "vite --port 99999",
        "vite --port '5173",
    ]);
    // The quotes fall away, but the digits do not stand together.
    check("vite --port 51\"73\"", "vite --port 51\"73\"");
}

#[test]
fn the_port_that_the_service_had_tells_it_from_others() {
    for (old, before, after) in [
        (5173, "vite --port 5173 & node api.js", "vite --port 4000 & node api.js"),
        (
            5173,
            "concurrently \"vite --port 5173\" \"node api.js\"",
            "concurrently \"vite --port 4000\" \"node api.js\"",
        ),
        (5173, "vite --port 5173 & next dev -p 3000", "vite --port 4000 & next dev -p 3000"),
        (3000, "vite --port 5173 & next dev -p 3000", "vite --port 5173 & next dev -p 4000"),
        (8000, "vite & uvicorn app:app --port 8000", "vite & uvicorn app:app --port 4000"),
        (
            5173,
            "concurrently \"vite --port 5173\" \"PORT=3000 node api.js\"",
            "concurrently \"vite --port 4000\" \"PORT=3000 node api.js\"",
        ),
        (
            3000,
            "concurrently \"vite\" \"PORT=3000 node api.js\"",
            "concurrently \"vite\" \"PORT=4000 node api.js\"",
        ),
        (
            3001,
            "npm-run-all --parallel watch & cross-env PORT=3001 tsx watch src/index.ts",
            "npm-run-all --parallel watch & cross-env PORT=4000 tsx watch src/index.ts",
        ),
        (3001, "cargo run & next dev -p3001", "cargo run & next dev -p4000"),
        (5173, "vite --port 05173 & node a.js", "vite --port 4000 & node a.js"),
        (
            3000,
            "concurrently -n api,next \"sh -c 'PORT=3000 node api.js'\" 'next dev -p 3001'",
            "concurrently -n api,next \"sh -c 'PORT=4000 node api.js'\" 'next dev -p 3001'",
        ),
        (
            5173,
            "vite --port 5173 & vite --port $PORT & wait-on tcp:5173",
            "vite --port 4000 & vite --port $PORT & wait-on tcp:5173",
        ),
    ] {
        check_from(old, before, after);
    }
}

#[test]
fn another_servers_port_stays() {
    for line in [
        "concurrently \"vite\" \"PORT=3000 node api.js\"",
        "concurrently vite 'PORT=3000 node api.js'",
        "concurrently \"npm:dev:web\" \"PORT=3000 node api.js\"",
        "concurrently \"npm run dev:web\" \"PORT=3000 node api.js\"",
        "vite & uvicorn app:app --port 8000",
        "vite --port $PORT & uvicorn app:app --port 8000",
        "vite --port 3000 & node api.js",
        "vite --port 3000 & node api.js;",
        "vite --port 3000 & npm start",
        "npm run api & vite --port 3000",
        "npm-run-all --parallel api & vite --port 3000",
        "run-p 'api:*' & next dev -p3001",
        "cross-env PORT=3000 tsx watch api.ts & vite",
        "php artisan serve & vite --port 3000",
        "docker compose up & vite --port 3000",
        "cargo run & next dev -p 3000",
        "sh api.sh & vite --port 3000",
        "(node api.js; echo over) & vite --port 3000",
        "node api.js && echo over & vite --port 3000",
        "sh -c 'node api.js & vite --port 3000'",
        "concurrently -k -n vite,api \"vite\" \"sh -c 'PORT=3000 node api.js'\"",
        // The service is none of these, or none that says its port.
        "concurrently \"vite\" \"node api.js\"",
        "npm-run-all --parallel 'dev:*'",
        "run-p dev:web dev:api",
    ] {
        check_from(5173, line, line);
        check_from(NEW, line, line);
    }
}

#[test]
fn what_a_server_waits_for_is_not_the_service() {
    for (before, after) in [
        ("node generate.js && vite --port 3000", "node generate.js && vite --port 4000"),
        ("npm run codegen; next dev -p3001", "npm run codegen; next dev -p4000"),
        ("run-s clean codegen && vite --port 3000", "run-s clean codegen && vite --port 4000"),
        (
            "docker compose up -d && tsx seed.ts && cross-env PORT=3000 node .",
            "docker compose up -d && tsx seed.ts && cross-env PORT=4000 node .",
        ),
        (
            "concurrently \"tsc -w\" \"node generate.js && vite --port 3000\"",
            "concurrently \"tsc -w\" \"node generate.js && vite --port 4000\"",
        ),
        ("concurrently -n vite \"vite --port 3000\"", "concurrently -n vite \"vite --port 4000\""),
        ("(node generate.js && vite --port 3000)", "(node generate.js && vite --port 4000)"),
        ("tailwindcss -w & vite --port 3000", "tailwindcss -w & vite --port 4000"),
        ("bash -lc \"vite --port 3000\"", "bash -lc \"vite --port 4000\""),
    ] {
        check(before, after);
    }
}

#[test]
fn a_service_that_moved_already_stays() {
    for (old, line) in [
        (5173, "vite --port 4000"),
        (5173, "vite --port 4000 & uvicorn app:app --port 8000"),
        (5173, "vite --port 4000 & next dev -p 3000 & node api.js"),
        (3000, "concurrently \"vite --port 5173\" \"PORT=4000 node api.js\""),
        (NEW, "next dev -p 4000 & PORT=4000 node api.js"),
    ] {
        check_from(old, line, line);
    }
}

#[test]
fn a_port_of_several_servers_is_ambiguous() {
    let same = ambiguous(3000, 3001, "vite --port 5173 & next dev -p 3000 & PORT=3000 node api.js");
    assert_eq!(same.message, "several servers of the script have port 3000: `next`, `node`");
    assert_eq!(same.offset, 31);
    for (old, new, line) in [
        (5173, 5174, "vite --port 3000 & uvicorn app:app --port 8000"),
        (4000, 4000, "vite --port 3000 & uvicorn app:app --port 8000"),
        (5173, 5174, "concurrently \"vite --port 3000\" \"PORT=8000 node api.js\""),
        (5173, 5174, "next dev -p 3000 & next dev -p3000"),
    ] {
        let ambiguous = ambiguous(old, new, line);
        assert!(
            ambiguous.message.contains(&format!("none of them on port {old}")),
            "{ambiguous:?}"
        );
        assert!(line[ambiguous.offset..].starts_with("3000"), "{ambiguous:?}");
        assert!(ambiguous.message.contains(" 3000, ") && ambiguous.hint.contains("dev.toml"));
    }
}

#[test]
fn one_more_changed_word_is_noticed() {
    let before = "vite --port 5173 '15173' & node api.js # 5173";
    let found = locate(before, port(5173), port(NEW)).unwrap();
    let after = patched(before, &found);
    assert!(differs_only(before, &after, &found));
    assert!(!differs_only(before, before, &found));
    assert!(!differs_only(before, &after, &[]));
    for (place, byte) in after.bytes().enumerate() {
        for other in [b'7', b'z', b'&', b'\'', b' '] {
            let mut mutant = after.clone().into_bytes();
            mutant[place] = other;
            let mutant = String::from_utf8(mutant).unwrap();
            assert!(byte == other || !differs_only(before, &mutant, &found), "{mutant}");
        }
    }
    // Digits of a longer number, digits in a comment, digits that are not there.
    for (range, old) in [(12..15, "517"), (19..23, "5173"), (41..45, "5173"), (0..4, "5173")] {
        let (text, new) = (NEW.to_string(), NEW.to_string());
        let mut after = before.to_owned();
        after.replace_range(range.clone(), &text);
        let found = Found { range, text, old: old.to_owned(), new };
        assert!(!differs_only(before, &after, &[found]), "{after}");
    }
    assert!(differs_only("vite 'open", "vite 'open", &[]));
}
