//! The only file that prints. A write that fails is passed over: a terminal that is gone is no reason to leave services
//! running.

use std::io::{self, IsTerminal, Write};

use portman::check::Activity;
use portman::port::Port;
use portman::report::{OwnerReport, PortReport, Report, Word};
use serde::Serialize;

use crate::detect::Found;
use crate::failure::Failure;
use crate::notice::{Address, Notice, OBEY, RestartReason, VERSION, became, listed};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A person watches a run: everything goes to standard output.
    Run,
    /// A program follows a run: one JSON object a line, all on standard output.
    Events,
    /// A person asked something: the answer goes to standard output, what is told beside it to standard error.
    Answer,
    /// A program asked something: the answer is one JSON object.
    Json,
}

/// The one who prints.
#[derive(Debug)]
pub struct Ui {
    mode: Mode,
    has_colour: bool,
    /// The services, for the width and the colour of their names.
    services: Vec<String>,
    /// What is patched at the moment, for the summary.
    patched: Vec<[String; 3]>,
    /// Why a service has another port than it would like.
    moved: Vec<(String, String)>,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
/// Colours of service names that can be told from each other and from red.
const NAMES: [&str; 6] = ["36", "35", "34", "33", "32", "96"];

impl Ui {
    /// Prints in this mode; in colour only where that is welcome.
    pub fn new(mode: Mode) -> Self {
        let is_unwelcome = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_colour = match mode {
            Mode::Run | Mode::Answer => io::stdout().is_terminal() && io::stderr().is_terminal(),
            Mode::Events | Mode::Json => false,
        };
        let has_colour = has_colour && !is_unwelcome;
        Self { mode, has_colour, services: Vec::new(), patched: Vec::new(), moved: Vec::new() }
    }

    /// Is the output coloured? Then the services may colour theirs.
    pub fn has_colour(&self) -> bool {
        self.has_colour
    }

    /// The services whose output will come.
    pub fn set_services(&mut self, services: impl Iterator<Item = String>) {
        self.services = services.collect();
    }

    /// Whole lines that a service wrote.
    pub fn output(&mut self, service: &str, lines: &[u8]) {
        if self.mode == Mode::Events {
            for line in split_lines(lines) {
                let line = String::from_utf8_lossy(line).into_owned();
                self.tell(&Notice::Output { service: service.to_owned(), line });
            }
            return;
        }
        let prefix = self.prefix(service);
        let mut text = Vec::with_capacity(lines.len() + 64);
        for line in split_lines(lines) {
            text.extend_from_slice(prefix.as_bytes());
            text.extend_from_slice(line);
            if self.has_colour && line.contains(&0x1b) {
                // A colour that a line leaves on is not the next line's.
                text.extend_from_slice(b"\x1b[0m");
            }
            text.push(b'\n');
        }
        write(&mut io::stdout(), &text);
    }

    /// One thing to tell.
    pub fn tell(&mut self, notice: &Notice) {
        if self.mode == Mode::Events {
            return print_json(&Line { version: VERSION, notice });
        }
        match notice {
            Notice::Error { message, hint } => self.error(message, hint.as_deref()),
            Notice::Patched { file, change } => {
                let place = format!("{file}:{}", change.line);
                self.patched.push([place, change.key.clone(), became(change)]);
            }
            Notice::Reserved { service, port, reason: Some(reason), .. } => {
                self.moved.push((service.clone(), reason.clone()));
                let what = format!("{service} gets port {port}, since {reason}");
                self.line(YELLOW, &what);
            }
            Notice::StackReady { after, services } => {
                self.print(&self.summary(after.as_secs_f64(), services));
            }
            other => {
                if let Some((colour, sentence)) = sentence(other) {
                    self.line(colour, &sentence);
                }
            }
        }
    }

    /// A failure, with the last word.
    pub fn failed(&mut self, failure: &Failure) {
        self.tell(&Notice::Error { message: failure.message.clone(), hint: failure.hint.clone() });
    }

    /// Text that is the answer itself: a diff, a value.
    pub fn print(&self, text: &str) {
        write(&mut io::stdout(), text.as_bytes());
    }

    /// Asks a person on a terminal; the answer without blanks around it. None where nobody can be asked.
    pub fn ask(&self, question: &str) -> Option<String> {
        let is_person = matches!(self.mode, Mode::Run | Mode::Answer)
            && io::stdin().is_terminal()
            && io::stderr().is_terminal();
        if !is_person {
            return None;
        }
        write(&mut io::stderr(), format!("{} {question} ", self.paint(YELLOW, "?")).as_bytes());
        let mut line = String::new();
        // At its end the input is closed: nobody answers any more.
        io::stdin().read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim().to_owned())
    }

    /// An answer: `text` for a person, `object` for a program. Both say the same.
    pub fn answer(&self, object: &impl Serialize, text: &str) {
        match self.mode {
            Mode::Json => print_json(object),
            Mode::Run | Mode::Events | Mode::Answer => self.print(text),
        }
    }

    /// The report of `cargo xtask ports`.
    pub fn report(&self, report: &Report) {
        self.answer(report, &self.table(report));
    }

    fn error(&self, message: &str, hint: Option<&str>) {
        let mut text = format!("{} {message}\n", self.paint(RED, "error:"));
        if let Some(hint) = hint {
            text += &format!("{} {hint}\n", self.paint(BOLD, "hint:"));
        }
        write(&mut io::stderr(), text.as_bytes());
    }

    fn line(&self, colour: &str, sentence: &str) {
        // A terminal may have echoed `^C` at the start of the line.
        let start = if self.has_colour { "\r" } else { "" };
        let line = format!("{start}{} {sentence}\n", self.paint(colour, "›"));
        match self.mode {
            Mode::Run | Mode::Events => self.print(&line),
            Mode::Answer | Mode::Json => write(&mut io::stderr(), line.as_bytes()),
        }
    }

    fn prefix(&self, service: &str) -> String {
        let width = self.services.iter().map(String::len).max().unwrap_or_default();
        let place = self.services.iter().position(|known| known == service).unwrap_or_default();
        let name = self.paint(NAMES[place % NAMES.len()], &format!("{service:width$} │"));
        format!("{name} ")
    }

    fn summary(&self, seconds: f64, services: &[Address]) -> String {
        let width = self.services.iter().map(String::len).max().unwrap_or_default();
        let mut text =
            format!("\n  {}\n\n", self.paint(GREEN, &format!("ready in {seconds:.1} s")));
        for Address { service, url } in services {
            let name = format!("{service:width$}");
            let url = url.as_deref().unwrap_or("running");
            let moved = self.moved.iter().find(|(moved, _)| moved == service);
            let moved =
                moved.map(|(_, why)| self.paint(DIM, &format!("  ({why})"))).unwrap_or_default();
            text +=
                &format!("    {}  {}{moved}\n", self.paint(BOLD, &name), self.paint("36;4", url));
        }
        if !self.patched.is_empty() {
            text += "\n  patched until the stack ends:\n\n";
            for line in aligned(&self.patched) {
                text += &format!("    {line}\n");
            }
        }
        text += &format!("\n  {}\n\n", self.paint(DIM, "Ctrl-C stops the stack"));
        text
    }

    fn table(&self, report: &Report) -> String {
        let mut rows = vec![["SERVICE", "PREFERRED", "PORT", "STATUS", "OWNER"].map(str::to_owned)];
        rows.extend(report.ports.iter().map(row));
        let mut lines = aligned(&rows);
        lines[0] = self.paint(BOLD, &lines[0]);
        lines.join("\n") + "\n"
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.has_colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Rows with every column as wide as its widest cell, but for the last.
pub(crate) fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        width(column).filter(|_| column + 1 < COLUMNS).unwrap_or_default()
    });
    let cell = |(cell, width): (&String, &usize)| format!("{cell:width$}");
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// What a notice says to a person; none for what is said elsewhere or goes without saying.
fn sentence(notice: &Notice) -> Option<(&'static str, String)> {
    Some(match notice {
        Notice::Recovered { checkout, stopped: 0 } => {
            (YELLOW, format!("the last run in {checkout} was killed; no process of it was found"))
        }
        Notice::Recovered { checkout, stopped } => {
            let processes =
                if *stopped == 1 { "1 process" } else { &format!("{stopped} processes") };
            (
                YELLOW,
                format!(
                    "the last run in {checkout} was killed; stopped {processes} that it had left"
                ),
            )
        }
        Notice::Restored { file, edited: false } => (GREEN, format!("put back {file}")),
        Notice::Restored { file, edited: true } => {
            (GREEN, format!("put back our values in {file}; your edits in it are kept"))
        }
        Notice::NotRestored { file, reason } => (RED, format!("{file} was not put back: {reason}")),
        Notice::Detected { services } => (YELLOW, detected(services)),
        Notice::Warning { message } => (YELLOW, format!("warning: {message}")),
        Notice::StoppedOwner { port, pid, name } => {
            (YELLOW, format!("stopped {name} (pid {pid}), which had port {port}"))
        }
        Notice::Skipped { service, reason } => (YELLOW, format!("{service} is left out: {reason}")),
        Notice::Fixed { files } => {
            let files = if *files == 1 { "1 file" } else { &format!("{files} files") };
            (GREEN, format!("{files} written for good; cargo xtask ports --undo takes that back"))
        }
        Notice::Note { message } => (DIM, message.clone()),
        Notice::Setup { service, command } => (DIM, format!("setting up {service}: {command}")),
        Notice::Ready { service, after } => {
            (GREEN, format!("{service} is ready ({:.1} s)", after.as_secs_f64()))
        }
        Notice::Exited { service, how } => (YELLOW, format!("{service} ended by itself: {how}")),
        Notice::Restarting { service, reason: RestartReason::Changed, .. } => {
            (YELLOW, format!("{service} restarts: its files changed"))
        }
        Notice::Restarting { service, reason: RestartReason::Ended, delay } => {
            (YELLOW, format!("{service} restarts in {:.1} s", delay.as_secs_f64()))
        }
        Notice::Restarting { service, reason: RestartReason::Refused, .. } => (
            YELLOW,
            format!(
                "{service} restarts: it cannot listen on a port that is held, so it gets it as it starts"
            ),
        ),
        Notice::WrongPort { service, port, listens } => (RED, wrong_port(service, *port, listens)),
        Notice::CrashLooped { service } => {
            (RED, format!("{service} ended too often and stays down"))
        }
        Notice::Failed { service, reason, hint } => {
            let hint = hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            (RED, format!("{service} failed: {reason}{hint}"))
        }
        Notice::Stopping { reason } => (YELLOW, format!("stopping: {reason}")),
        Notice::Killing { service } => (RED, format!("{service} did not end in time; killing it")),
        Notice::Stopped { service } => (DIM, format!("{service} stopped")),
        Notice::Started { .. }
        | Notice::StoppingService { .. }
        | Notice::Reserved { .. }
        | Notice::Output { .. }
        | Notice::Patched { .. }
        | Notice::StackReady { .. }
        | Notice::Error { .. }
        | Notice::Finished { .. } => return None,
    })
}

fn wrong_port(service: &str, port: Option<Port>, listens: &[Port]) -> String {
    let listens = listed(listens);
    match port {
        Some(port) => {
            format!("{service} listens on port {listens}, and was given {port}\n  hint: {OBEY}")
        }
        None => format!(
            "{service} listens on port {listens}, which was given to another service\n  \
             hint: say its port in dev.toml"
        ),
    }
}

fn detected(services: &[Found]) -> String {
    let row = |found: &Found| {
        let from = match &found.port_from {
            Some(file) => format!("from {file}"),
            None => format!("the usual one, {}", found.why_usual()),
        };
        let Found { service, dir, command, port, .. } = found;
        [service.clone(), format!("in {dir}: {command}"), format!("port {port}, {from}")]
    };
    let rows: Vec<[String; 3]> = services.iter().map(row).collect();
    let mut text = "there is no dev.toml; this was found:\n".to_owned();
    for line in aligned(&rows) {
        text += &format!("    {line}\n");
    }
    for doubt in services.iter().flat_map(|found| &found.doubts) {
        text += &format!("    but: {doubt}\n");
    }
    text + "  write it down with: cargo xtask init"
}

fn row(port: &PortReport) -> [String; 5] {
    let shown = |port: Option<Port>, none: &str| {
        port.map_or_else(|| none.to_owned(), |port| port.to_string())
    };
    let status = match port.status {
        Word::Occupied if port.running => "running",
        Word::Available => "available",
        Word::Occupied => "occupied",
        Word::Blocked => "blocked",
        Word::Unknown => "unknown",
    };
    // Beside a server that listens, its hold is no news.
    let is_listened_on = port.owners.iter().any(listens);
    let told = port.owners.iter().filter(|owner| !is_listened_on || listens(owner));
    let owners: Vec<String> = told.map(|told| owner(told, port.running)).collect();
    let mut owner =
        if owners.is_empty() { port.reason.clone().unwrap_or_default() } else { owners.join("; ") };
    if port.localhost.is_some() {
        owner += "; `localhost` is these two servers";
    }
    [
        port.service.clone(),
        shown(port.preferred, "any"),
        shown(port.port, "none"),
        status.into(),
        owner,
    ]
}

fn listens(owner: &OwnerReport) -> bool {
    owner.activity == Activity::Listening
}

fn owner(owner: &OwnerReport, is_running: bool) -> String {
    let OwnerReport { pid, name, cmdline, user, can_terminate, why, .. } = owner;
    let user = user.as_ref().map(|user| format!(", {user}")).unwrap_or_default();
    // Nobody asks for an end of what runs as it should, and what may be stopped is what one expects.
    let doubt = (!is_running && !can_terminate).then(|| format!(" (may not be stopped: {why})"));
    format!("{name} (pid {pid}{user}): {cmdline}{}", doubt.unwrap_or_default())
}

#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    #[serde(flatten)]
    notice: &'a Notice,
}

fn print_json(value: &impl Serialize) {
    write(&mut io::stdout(), json_line(value).as_bytes());
}

fn json_line(value: &impl Serialize) -> String {
    // What is printed has no maps with odd keys and nothing that can fail to serialise.
    serde_json::to_string(value).map(|line| line + "\n").unwrap_or_default()
}

fn write(to: &mut impl Write, bytes: &[u8]) {
    to.write_all(bytes).and_then(|()| to.flush()).ok();
}

/// The lines of a text without their ends; a last line without one counts.
fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portman::check::Activity;
    use portman::patch::Change;
    use portman::port::Port;
    use portman::report::{OwnerReport, PortReport, Report, Word};

    use super::{Line, Mode, Ui, detected, json_line, split_lines};
    use crate::detect::Found;
    use crate::notice::{Address, Notice, RestartReason, VERSION};

    fn ui(services: &[&str]) -> Ui {
        Ui {
            mode: Mode::Run,
            has_colour: false,
            services: services.iter().map(|&name| name.to_owned()).collect(),
            patched: Vec::new(),
            moved: Vec::new(),
        }
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let lines: Vec<&[u8]> = split_lines(b"a\r\n\n10%\r20%\r\xff\nlast").collect();
        assert_eq!(lines, [b"a".as_slice(), b"", b"10%\r20%\r\xff", b"last"]);
    }

    #[test]
    fn all_prefixes_are_as_wide_as_the_longest_name() {
        let mut ui = ui(&["db", "frontend"]);
        assert_eq!(ui.prefix("db"), "db       │ ");
        assert_eq!(ui.prefix("frontend"), "frontend │ ");
        ui.has_colour = true;
        assert_eq!(ui.prefix("db"), "\x1b[36mdb       │\x1b[0m ");
        assert_eq!(ui.prefix("frontend"), "\x1b[35mfrontend │\x1b[0m ");
    }

    fn port(service: &str, preferred: u16, port: u16, status: Word) -> PortReport {
        PortReport {
            service: service.to_owned(),
            preferred: Port::new(preferred),
            port: Port::new(port),
            status,
            ..PortReport::of_any()
        }
    }

    #[test]
    fn the_table_of_ports_is_aligned_and_names_every_owner() {
        let owner = |pid, user: Option<&str>, can_terminate| OwnerReport {
            pid,
            name: "python3".to_owned(),
            cmdline: "python3 -m http.server".to_owned(),
            user: user.map(str::to_owned),
            started: 0,
            addresses: vec!["0.0.0.0:8000".to_owned()],
            activity: Activity::Listening,
            can_terminate,
            why: "it belongs to user bob".to_owned(),
            dir: None,
            unit: None,
        };
        let ports = vec![
            PortReport {
                owners: vec![owner(7, Some("ann"), true), owner(4711, None, false)],
                ..port("backend", 8000, 8001, Word::Occupied)
            },
            PortReport { running: true, ..port("frontend", 5173, 5173, Word::Occupied) },
            port("any", 0, 3000, Word::Available),
            PortReport {
                reason: Some("ports below 1024 need a permission".to_owned()),
                ..port("web", 80, 0, Word::Blocked)
            },
            PortReport {
                reason: Some("netlink is off".to_owned()),
                ..port("odd", 9, 0, Word::Unknown)
            },
        ];
        let table = "\
SERVICE   PREFERRED  PORT  STATUS     OWNER
backend   8000       8001  occupied   python3 (pid 7, ann): python3 -m http.server; python3 (pid 4711): python3 -m http.server (may not be stopped: it belongs to user bob)
frontend  5173       5173  running
any       any        3000  available
web       80         none  blocked    ports below 1024 need a permission
odd       9          none  unknown    netlink is off
";
        assert_eq!(ui(&[]).table(&Report { version: 1, ports }), table);
    }

    fn found(service: &str, port_from: Option<&str>, doubts: &[&str]) -> Found {
        Found {
            service: service.to_owned(),
            dir: service.to_owned(),
            setup: None,
            command: "npm run dev".to_owned(),
            port: Port::new(8000).unwrap(),
            port_from: port_from.map(str::to_owned),
            patch: Vec::new(),
            doubts: doubts.iter().map(|&doubt| doubt.to_owned()).collect(),
        }
    }

    #[test]
    fn what_was_found_is_told_with_where_it_comes_from_and_what_is_not_certain() {
        let services = [found("api", Some("api/config.json"), &[]), found("web", None, &["odd"])];
        let told = "there is no dev.toml; this was found:
    api  in api: npm run dev  port 8000, from api/config.json
    web  in web: npm run dev  port 8000, the usual one, no other is certain
    but: odd
  write it down with: cargo xtask init";
        assert_eq!(detected(&services), told);
    }

    #[test]
    fn the_summary_says_where_everything_is_and_what_is_patched() {
        let mut ui = ui(&["backend", "web", "jobs"]);
        ui.moved.push(("backend".to_owned(), "8000 is taken: python3 (pid 7)".to_owned()));
        for (file, old, new) in
            [("web/vite.config.ts", Some("8000"), "8001"), ("config.json", None, "8001")]
        {
            let old = old.map(str::to_owned);
            let change = Change { line: 4, key: "server.port".into(), old, new: new.into() };
            ui.tell(&Notice::Patched { file: file.to_owned(), change });
        }
        let services = [
            address("backend", Some("http://localhost:8001")),
            address("web", Some("http://localhost:5173")),
            address("jobs", None),
        ];
        let summary = "
  ready in 1.3 s

    backend  http://localhost:8001  (8000 is taken: python3 (pid 7))
    web      http://localhost:5173
    jobs     running

  patched until the stack ends:

    web/vite.config.ts:4  server.port  8000 → 8001
    config.json:4         server.port  new → 8001

  Ctrl-C stops the stack

";
        assert_eq!(ui.summary(1.26, &services), summary);
    }

    fn address(service: &str, url: Option<&str>) -> Address {
        Address { service: service.to_owned(), url: url.map(str::to_owned) }
    }

    /// Scripts read these lines: a change of one is a change of [`VERSION`], unless it only adds a key.
    #[test]
    fn an_event_is_one_line_of_json() {
        let service = || "api".to_owned();
        let change =
            Change { line: 4, key: "server.port".into(), old: None, new: "8001".to_owned() };
        for (notice, expected) in [
            (
                Notice::Reserved {
                    service: service(),
                    port: Port::new(8001).unwrap(),
                    preferred: Port::new(8000),
                    reason: Some("it is taken".to_owned()),
                },
                r#""event":"reserved","service":"api","port":8001,"preferred":8000,"reason":"it is taken""#,
            ),
            (
                Notice::Reserved {
                    service: service(),
                    port: Port::new(8001).unwrap(),
                    preferred: None,
                    reason: None,
                },
                r#""event":"reserved","service":"api","port":8001,"preferred":null,"reason":null"#,
            ),
            (
                Notice::Detected { services: vec![found("api", None, &["odd"])] },
                r#""event":"detected","services":[{"service":"api","dir":"api","command":"npm run dev","port":8000,"port_from":null,"doubts":["odd"]}]"#,
            ),
            (
                Notice::Patched { file: "api/config.json".to_owned(), change },
                r#""event":"patched","file":"api/config.json","line":4,"key":"server.port","old":null,"new":"8001""#,
            ),
            (
                Notice::Started { service: service(), pid: 7, restarts: 0 },
                r#""event":"started","service":"api","pid":7,"restarts":0"#,
            ),
            (
                Notice::Output { service: service(), line: "\"a\"\t\u{1b}[0m".to_owned() },
                r#""event":"output","service":"api","line":"\"a\"\t\u001b[0m""#,
            ),
            (
                Notice::Ready { service: service(), after: Duration::from_micros(1_234_567) },
                r#""event":"ready","service":"api","after_ms":1234"#,
            ),
            (
                Notice::StackReady {
                    after: Duration::from_secs(2),
                    services: vec![address("api", Some("http://localhost:8001"))],
                },
                r#""event":"stack-ready","after_ms":2000,"services":[{"service":"api","url":"http://localhost:8001"}]"#,
            ),
            (
                Notice::Restarting {
                    service: service(),
                    reason: RestartReason::Ended,
                    delay: Duration::from_millis(500),
                },
                r#""event":"restarting","service":"api","reason":"ended","in_ms":500"#,
            ),
            (
                Notice::Error { message: "no".to_owned(), hint: None },
                r#""event":"error","message":"no","hint":null"#,
            ),
            (Notice::Finished { code: 130 }, r#""event":"finished","code":130"#),
        ] {
            let line = json_line(&Line { version: VERSION, notice: &notice });
            assert_eq!(line, format!("{{\"version\":1,{expected}}}\n"));
        }
    }
}
