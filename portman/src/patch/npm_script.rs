//! The port on the command line of a `package.json` script.
//!
//! The line is split as a shell splits it, and changed only in a command that is known to start a dev server, at an
//! option that is known to be its port. Numbers elsewhere (`docker run -p`, `wait-on tcp:3000`, `DB_PORT=…`) mean
//! something else, and a word that the shell expands means nobody knows what. When several servers of a line carry a
//! port, which of them is the service cannot be told, and nothing changes. Nothing is ever added.

use std::ops::Range;

use crate::port::Port;

/// A port on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its bytes in the decoded command line.
    pub(super) range: Range<usize>,
    /// What stands there afterwards.
    pub(super) text: String,
    /// The port before, for people.
    pub(super) old: String,
    /// The port after, for people.
    pub(super) new: String,
}

/// The port in `command_line` that has to change for its dev server to listen on `new`.
pub(super) fn locate(command_line: &str, new: Port) -> Vec<Found> {
    let numbers = ports(command_line, 0);
    let [number] = numbers.as_slice() else {
        return Vec::new();
    };
    let new = new.to_string();
    if number.says == new {
        return Vec::new();
    }
    vec![Found { range: number.range.clone(), text: new.clone(), old: number.says.clone(), new }]
}

/// Lines inside words of lines (`concurrently "vite" "node api.js"`), at most this deep.
const MAX_DEPTH: usize = 3;

/// A number on the command line.
#[derive(Debug, Clone)]
struct Number {
    range: Range<usize>,
    says: String,
}

/// The port of each dev server on the line that carries one.
fn ports(line: &str, depth: usize) -> Vec<Number> {
    let mut numbers = Vec::new();
    for words in commands(line).unwrap_or_default() {
        let command = Command::of(&words);
        if !command.runs_lines() {
            numbers.extend(command.port());
        } else if depth < MAX_DEPTH {
            for word in command.program {
                let inner = ports(&word.says, depth + 1);
                numbers.extend(inner.into_iter().filter_map(|number| word.number(number.range)));
            }
        }
    }
    numbers
}

/// A command with what stands before its program taken off.
struct Command<'w> {
    /// `NAME=value` words before the program, or given to `cross-env` or `env`.
    settings: Vec<&'w Word>,
    /// The program and its arguments.
    program: &'w [Word],
}

impl<'w> Command<'w> {
    fn of(words: &'w [Word]) -> Self {
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

    /// Its arguments are command lines themselves.
    fn runs_lines(&self) -> bool {
        let Some(program) = self.program.first() else {
            return false;
        };
        matches!(program.name(), "concurrently" | "conc" | "cross-env-shell" | "sh" | "bash")
    }

    /// The port that it gives its dev server, if it is one.
    fn port(&self) -> Option<Number> {
        let (program, arguments) = self.program.split_first()?;
        let server = SERVERS.iter().find(|server| server.names.contains(&program.name()))?;
        let end = arguments.iter().position(|word| word.says == "--").unwrap_or(arguments.len());
        let arguments = &arguments[..end];
        if !server.is_started_by(arguments) {
            return None;
        }
        match server.option(arguments) {
            Some(Says(number)) => number,
            None => self.settings.iter().rev().find_map(|word| word.setting_of("PORT")),
        }
    }
}

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

/// A word as the program gets it.
#[derive(Debug, Default)]
struct Word {
    says: String,
    /// For each byte of `says`, where it stands on the line.
    origins: Vec<usize>,
    /// The shell puts something else in its place.
    is_expanded: bool,
}

impl Word {
    fn push(&mut self, letter: char, origin: usize) {
        self.says.push(letter);
        self.origins.extend(origin..origin + letter.len_utf8());
    }

    /// The program that it names: `./node_modules/.bin/vite`, `vite@latest`, `vite.js` are all `vite`.
    fn name(&self) -> &str {
        let file = self.says.rsplit(['/', '\\']).next().unwrap_or_default();
        let unversioned = file
            .split_once('@')
            .map_or(file, |(name, _)| if name.is_empty() { file } else { name });
        [".cmd", ".exe", ".mjs", ".js"]
            .iter()
            .find_map(|end| unversioned.strip_suffix(end))
            .unwrap_or(unversioned)
    }

    /// The name in `NAME=value`.
    fn setting(&self) -> Option<&str> {
        let (name, _) = self.says.split_once('=')?;
        let starts_well =
            name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (starts_well && is_name).then_some(name)
    }

    fn setting_of(&self, name: &str) -> Option<Number> {
        if self.setting()? == name { self.port_from(name.len() + 1) } else { None }
    }

    /// The port that the word says from the byte `start` to its end.
    fn port_from(&self, start: usize) -> Option<Number> {
        let says = &self.says[start..];
        let is_port =
            says.bytes().all(|byte| byte.is_ascii_digit()) && says.parse::<Port>().is_ok();
        if self.is_expanded || !is_port { None } else { self.number(start..self.says.len()) }
    }

    /// The bytes `range` of the word, unless they do not stand together on the line.
    fn number(&self, range: Range<usize>) -> Option<Number> {
        let says = self.says[range.clone()].to_owned();
        let (first, last) =
            (*self.origins.get(range.start)?, *self.origins.get(range.end.checked_sub(1)?)?);
        let range = first..last + 1;
        (range.len() == says.len()).then_some(Number { range, says })
    }
}

/// The simple commands of a line; none when a quote is not closed.
fn commands(line: &str) -> Option<Vec<Vec<Word>>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<Word> = None;
    let mut letters = Letters { line, at: 0 };
    while let Some((at, letter)) = letters.next() {
        match letter {
            ' ' | '\t' => end_word(&mut commands, &mut word),
            '&' | '|' | ';' | '(' | ')' | '\n' | '\r' => {
                end_word(&mut commands, &mut word);
                commands.push(Vec::new());
            }
            // `2>&1`: the `&` belongs to the arrow.
            '<' | '>' => {
                end_word(&mut commands, &mut word);
                letters.skip_while(|letter| matches!(letter, '<' | '>' | '&'));
            }
            '#' if word.is_none() => letters.skip_while(|letter| letter != '\n'),
            '\'' => single_quoted(&mut letters, word.get_or_insert_default())?,
            '"' => double_quoted(&mut letters, word.get_or_insert_default())?,
            '`' => backquoted(&mut letters, word.get_or_insert_default())?,
            '\\' => {
                let word = word.get_or_insert_default();
                if let Some((at, letter)) = letters.next() {
                    word.push(letter, at);
                }
            }
            _ => {
                let word = word.get_or_insert_default();
                word.is_expanded |= is_expansion(letter, letters.rest());
                word.push(letter, at);
            }
        }
    }
    end_word(&mut commands, &mut word);
    Some(commands)
}

fn end_word(commands: &mut [Vec<Word>], word: &mut Option<Word>) {
    if let (Some(command), Some(word)) = (commands.last_mut(), word.take()) {
        command.push(word);
    }
}

fn single_quoted(letters: &mut Letters<'_>, word: &mut Word) -> Option<()> {
    loop {
        match letters.next()? {
            (_, '\'') => return Some(()),
            (at, letter) => word.push(letter, at),
        }
    }
}

fn double_quoted(letters: &mut Letters<'_>, word: &mut Word) -> Option<()> {
    loop {
        match letters.next()? {
            (_, '"') => return Some(()),
            (_, '`') => backquoted(letters, word)?,
            (_, '\\') if letters.rest().starts_with(['"', '\\', '$', '`']) => {
                let (at, letter) = letters.next()?;
                word.push(letter, at);
            }
            (at, letter) => {
                word.is_expanded |= is_expansion(letter, letters.rest());
                word.push(letter, at);
            }
        }
    }
}

fn backquoted(letters: &mut Letters<'_>, word: &mut Word) -> Option<()> {
    word.is_expanded = true;
    loop {
        match letters.next()? {
            (_, '`') => return Some(()),
            (at, letter) => word.push(letter, at),
        }
    }
}

/// `$NAME`, `${…}`, `$(…)`, and `%NAME%` for Windows.
fn is_expansion(letter: char, rest: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match letter {
        '$' => rest
            .starts_with(|next: char| next.is_ascii_alphanumeric() || "_{(@*#?!-".contains(next)),
        '%' => rest.split_once('%').is_some_and(|(name, _)| is_name(name)),
        _ => false,
    }
}

/// The letters of a line with their places.
struct Letters<'l> {
    line: &'l str,
    at: usize,
}

impl<'l> Letters<'l> {
    fn next(&mut self) -> Option<(usize, char)> {
        let at = self.at;
        let letter = self.rest().chars().next()?;
        self.at += letter.len_utf8();
        Some((at, letter))
    }

    fn rest(&self) -> &'l str {
        &self.line[self.at..]
    }

    fn skip_while(&mut self, skipped: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|letter| !skipped(letter)).unwrap_or(rest.len());
    }
}

#[cfg(test)]
mod tests {
    use super::locate;
    use crate::port::Port;

    /// The line with the port 4000, or itself when no port of it is certain.
    #[track_caller]
    fn check(before: &str, after: &str) {
        let new = Port::new(4000).unwrap();
        let mut line = before.to_owned();
        for found in locate(before, new) {
            assert_eq!(&before[found.range.clone()], found.old, "{before}");
            line.replace_range(found.range, &found.text);
        }
        assert_eq!(line, after);
        assert_eq!(locate(&line, new), [], "a second time: {line}");
    }

    #[track_caller]
    fn unchanged(lines: &[&str]) {
        for line in lines {
            check(line, line);
        }
    }

    #[test]
    fn options_of_known_servers() {
        for (before, after) in [
            ("vite --port 5173", "vite --port 4000"),
            ("vite --port=5173", "vite --port=4000"),
            (
                "vite dev --host --port 5173 --strictPort",
                "vite dev --host --port 4000 --strictPort",
            ),
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
            ("vite --port 5173 & node api.js", "vite --port 4000 & node api.js"),
            (
                "concurrently \"vite --port 5173\" \"node api.js\"",
                "concurrently \"vite --port 4000\" \"node api.js\"",
            ),
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
    fn two_servers_with_a_port_are_ambiguous() {
        unchanged(&[
            "vite --port 5173 & uvicorn app:app --port 8000",
            "concurrently \"vite --port 5173\" \"PORT=3000 node api.js\"",
            "next dev -p 3000 & next dev -p 3001",
        ]);
    }
}
