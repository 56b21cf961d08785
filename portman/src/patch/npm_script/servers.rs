//! Which command starts a dev server, and where its port stands.

use super::words::{Number, Word};

/// A command with what stands before its program taken off.
pub(super) struct Command<'w> {
    /// `NAME=value` words before the program, or given to `cross-env` or `env`.
    settings: Vec<&'w Word>,
    /// The program and its arguments.
    program: &'w [Word],
}

impl<'w> Command<'w> {
    pub(super) fn of(words: &'w [Word]) -> Self {
        let mut settings = Vec::new();
        let mut program = words;
        loop {
            let runner = runner(program);
            if program.first().is_some_and(|word| word.setting().is_some()) {
                settings.push(&program[0]);
                program = &program[1..];
            } else if runner > 0 {
                program = program.get(runner..).unwrap_or_default();
            } else {
                return Self { settings, program };
            }
        }
    }

    /// The program's name.
    pub(super) fn name(&self) -> &'w str {
        self.program.first().map_or("", Word::name)
    }

    /// What the command is to a line.
    pub(super) fn part(&self) -> Part<'w> {
        let Some((_, arguments)) = self.program.split_first() else {
            return Part::Nothing;
        };
        match self.name() {
            "concurrently" | "conc" => Part::Lines(lines_of_concurrently(arguments)),
            "cross-env-shell" => Part::Lines(arguments.iter().collect()),
            "sh" | "bash" | "zsh" => line_of_a_shell(arguments),
            _ if self.server().is_some() => Part::Server,
            name if may_start_a_server(name) => Part::Unknown,
            _ => Part::Nothing,
        }
    }

    /// Whether it may be over soon; if it is not, what waits for it never starts.
    pub(super) fn may_end(&self) -> bool {
        let name = self.name();
        matches!(name, "node" | "tsx" | "ts-node" | "bun" | "deno" | "sh" | "bash" | "zsh")
            || matches!(name, "concurrently" | "conc")
            || may_start_a_server(name)
    }

    /// The port that it gives its dev server, if it is one.
    pub(super) fn port(&self) -> Option<Number> {
        let (server, arguments) = self.server()?;
        match server.option(arguments) {
            Some(Says(number)) => number,
            None => self.settings.iter().rev().find_map(|word| word.setting_of("PORT")),
        }
    }

    /// The dev server that it starts, and its arguments up to `--`.
    fn server(&self) -> Option<(&'static Server, &'w [Word])> {
        let (program, arguments) = self.program.split_first()?;
        let server = SERVERS.iter().find(|server| server.names.contains(&program.name()))?;
        let end = arguments.iter().position(|word| word.says == "--").unwrap_or(arguments.len());
        let arguments = &arguments[..end];
        server.is_started_by(arguments).then_some((server, arguments))
    }
}

/// What a command is to a line that may start several servers.
pub(super) enum Part<'w> {
    /// A dev server.
    Server,
    /// These words are lines of their own.
    Lines(Vec<&'w Word>),
    /// It may start a server, and the line does not say which.
    Unknown,
    /// It starts no server.
    Nothing,
}

/// Each of its arguments is a line, but for its options and their values.
fn lines_of_concurrently(arguments: &[Word]) -> Vec<&Word> {
    const WITH_VALUE: &[&str] = &[
        "-n",
        "--names",
        "--name-separator",
        "-c",
        "--prefix-colors",
        "-p",
        "--prefix",
        "-l",
        "--prefix-length",
        "-t",
        "--timestamp-format",
        "-m",
        "--max-processes",
        "-s",
        "--success",
        "--hide",
        "--restart-tries",
        "--restart-after",
        "--kill-signal",
        "--ks",
        "--kill-timeout",
        "--default-input-target",
        "--cwd",
    ];
    let is_value = |place: usize| {
        let before = place.checked_sub(1).and_then(|place| arguments.get(place));
        before.is_some_and(|word| WITH_VALUE.contains(&word.says.as_str()))
    };
    let lines = arguments.iter().enumerate();
    let lines = lines.filter(|&(place, word)| !word.says.starts_with('-') && !is_value(place));
    lines.map(|(_, word)| word).collect()
}

/// `sh -c "vite"`; without the option it runs a file, which may start anything.
fn line_of_a_shell(arguments: &[Word]) -> Part<'_> {
    let is_option = |word: &Word| {
        word.says.starts_with('-') && !word.says.starts_with("--") && word.says.ends_with('c')
    };
    match arguments.iter().position(is_option) {
        Some(option) => Part::Lines(arguments.iter().skip(option + 1).take(1).collect()),
        None => Part::Unknown,
    }
}

/// A program that runs scripts, or servers whose options are not known here.
fn may_start_a_server(name: &str) -> bool {
    // `concurrently npm:dev:*`
    let script = name.split_once(':').map_or(name, |(runner, _)| runner);
    matches!(script, "npm" | "pnpm" | "yarn" | "bun" | "node" | "deno") || OTHERS.contains(&name)
}

const OTHERS: &[&str] = &[
    // Scripts and tasks.
    "npm-run-all",
    "npm-run-all2",
    "run-p",
    "run-s",
    "start-server-and-test",
    "start-test",
    "server-test",
    "turbo",
    "nx",
    "lerna",
    "rush",
    "moon",
    "make",
    "just",
    "gulp",
    "grunt",
    "foreman",
    "nf",
    "overmind",
    "hivemind",
    "mprocs",
    "pm2",
    "docker",
    "docker-compose",
    "podman",
    // Other languages.
    "python",
    "python3",
    "http.server",
    "manage.py",
    "django-admin",
    "gunicorn",
    "hypercorn",
    "granian",
    "cargo",
    "go",
    "air",
    "php",
    "artisan",
    "rails",
    "ruby",
    "bundle",
    "puma",
    "java",
    "mvn",
    "mvnw",
    "gradle",
    "gradlew",
    "dotnet",
    "mix",
    // Servers of other kinds.
    "wrangler",
    "json-server",
    "live-server",
    "browser-sync",
    "convex",
    "supabase",
    "firebase",
    "netlify",
    "vercel",
    "expo",
    "ionic",
    "strapi",
    "directus",
    "sanity",
    "payload",
    "meteor",
    "eleventy",
    "hugo",
    "jekyll",
];

/// How many of the first words only say how the program behind them is started.
fn runner(words: &[Word]) -> usize {
    let name = |place: usize| words.get(place).map_or("", Word::name);
    let own = match (name(0), name(1)) {
        ("pnpm" | "npm" | "yarn" | "bun", "exec" | "dlx" | "x")
        | ("dotenvx" | "uv" | "poetry" | "pipenv", "run") => 2,
        ("python" | "python3", "-m") => return 2,
        // A package manager runs a script of this name first; names that scripts have are left alone.
        ("pnpm" | "yarn" | "bun", program) if is_only_a_program(program) => return 1,
        ("yarn" | "bun", "run") if is_only_a_program(name(2)) => return 2,
        ("npx" | "bunx" | "cross-env" | "env" | "dotenv" | "exec", _) => 1,
        ("node", _) => return bin_of_a_package(words),
        _ => return 0,
    };
    let options = words[own..]
        .iter()
        .take_while(|word| word.says.starts_with('-') && word.says != "--")
        .count();
    // `npx -p vite vite`, `dotenv -e .env vite`: these options have a value.
    let last_option = words[..own + options].last().map_or("", |word| word.says.as_str());
    let value = usize::from(
        options > 0 && matches!(last_option, "-p" | "--package" | "-e" | "-f" | "-c" | "-u"),
    );
    let behind = own + options + value;
    behind + usize::from(words.get(behind).is_some_and(|word| word.says == "--"))
}

/// A dev server whose name nobody gives to a script of his own.
fn is_only_a_program(name: &str) -> bool {
    !matches!(name, "serve" | "storybook" | "node")
        && SERVERS.iter().any(|server| server.names.contains(&name))
}

/// `node node_modules/vite/bin/vite.js`: the words before the package's program.
fn bin_of_a_package(words: &[Word]) -> usize {
    let script =
        words.iter().skip(1).position(|word| !word.says.starts_with('-')).map(|place| place + 1);
    let is_bin = |place: &usize| {
        let word = &words[*place];
        word.says.contains("node_modules/") && is_only_a_program(word.name())
    };
    script.filter(is_bin).unwrap_or(0)
}

/// What an option says; none when that is no certain port.
struct Says(Option<Number>);

/// A program that listens on a port it is given.
struct Server {
    names: &'static [&'static str],
    /// The first arguments with which it is a dev server; empty when it needs none.
    with: &'static [&'static str],
    /// The first arguments with which it is something else; any other is a folder or a file.
    not_with: &'static [&'static str],
    /// Its options for the port; without one it reads `PORT` only.
    options: &'static [&'static str],
}

const BOTH: &[&str] = &["--port", "-p"];
const LONG: &[&str] = &["--port"];

/// Where an option is `-p`, the tool's own help says so: `vite -p` is an error, `webpack -p` was something else.
const SERVERS: &[Server] = &[
    Server {
        names: &["vite"],
        with: &[],
        not_with: &["build", "preview", "optimize"],
        options: LONG,
    },
    Server {
        names: &["next"],
        with: &[],
        not_with: &["build", "export", "lint", "info", "telemetry"],
        options: BOTH,
    },
    Server { names: &["nuxt", "nuxi"], with: &["", "dev", "start"], not_with: &[], options: BOTH },
    Server {
        names: &["astro", "vitepress", "rsbuild", "vinxi"],
        with: &["dev"],
        not_with: &[],
        options: LONG,
    },
    Server {
        names: &["webpack", "rspack"],
        with: &["serve", "server", "s"],
        not_with: &[],
        options: LONG,
    },
    Server { names: &["webpack-dev-server"], with: &[], not_with: &[], options: LONG },
    Server { names: &["ng"], with: &["serve", "s"], not_with: &[], options: LONG },
    Server { names: &["vue-cli-service"], with: &["serve"], not_with: &[], options: LONG },
    Server {
        names: &["react-scripts", "craco", "react-app-rewired"],
        with: &["start"],
        not_with: &[],
        options: &[],
    },
    Server { names: &["http-server"], with: &[], not_with: &[], options: BOTH },
    Server { names: &["serve"], with: &[], not_with: &[], options: &["--listen", "-l", "-p"] },
    Server { names: &["sirv"], with: &[], not_with: &[], options: BOTH },
    Server { names: &["storybook"], with: &["dev"], not_with: &[], options: BOTH },
    Server { names: &["start-storybook"], with: &[], not_with: &[], options: BOTH },
    Server { names: &["parcel"], with: &[], not_with: &["build", "watch"], options: BOTH },
    Server { names: &["remix"], with: &["dev", "vite:dev"], not_with: &[], options: LONG },
    Server { names: &["react-router"], with: &["dev"], not_with: &[], options: LONG },
    Server { names: &["svelte-kit"], with: &["dev"], not_with: &[], options: BOTH },
    Server { names: &["gatsby"], with: &["develop"], not_with: &[], options: BOTH },
    Server { names: &["docusaurus"], with: &["start"], not_with: &[], options: BOTH },
    Server { names: &["uvicorn"], with: &[], not_with: &[], options: LONG },
    Server { names: &["fastapi"], with: &["dev", "run"], not_with: &[], options: LONG },
    Server { names: &["flask"], with: &["run"], not_with: &[], options: BOTH },
    Server { names: &["nest"], with: &["start"], not_with: &[], options: &[] },
    Server {
        names: &["node", "nodemon", "tsx", "ts-node", "ts-node-dev", "tsnd", "bun", "deno"],
        with: &[],
        not_with: &["build", "install", "test"],
        options: &[],
    },
];

impl Server {
    fn is_started_by(&self, arguments: &[Word]) -> bool {
        let first = arguments
            .first()
            .filter(|word| !word.says.starts_with('-'))
            .map_or("", |word| word.says.as_str());
        (self.with.is_empty() || self.with.contains(&first)) && !self.not_with.contains(&first)
    }

    /// The last of its port options.
    fn option(&self, arguments: &[Word]) -> Option<Says> {
        (0..arguments.len()).rev().find_map(|place| self.option_at(arguments, place))
    }

    fn option_at(&self, arguments: &[Word], place: usize) -> Option<Says> {
        let word = &arguments[place];
        let says = |option: &&str| {
            let value = word.says.strip_prefix(option)?;
            let is_short = !option.starts_with("--");
            if value.is_empty() {
                Some(Says(arguments.get(place + 1).and_then(|word| word.port_from(0))))
            } else if value.starts_with('=') {
                Some(Says(word.port_from(option.len() + 1)))
            } else if is_short && value.starts_with(|digit: char| digit.is_ascii_digit()) {
                Some(Says(word.port_from(option.len())))
            } else {
                None
            }
        };
        self.options.iter().find_map(says)
    }
}
