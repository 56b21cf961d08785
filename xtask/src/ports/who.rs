//! What stands on a port, and why a port without a listener is not free.

use std::time::{Duration, SystemTime};

use portman::check::Activity;
use portman::owner::{Scope, Unit};
use portman::report::{self, HiddenReport, OwnerReport, Standing, Word};
use portman::safety::{Asker, Asking};
use serde::Serialize;

use crate::failure::Kind;
use crate::flags::Who;
use crate::ports::each_once;
use crate::session;
use crate::ui::{Ui, aligned};

/// The answer, for programs.
#[derive(Serialize)]
struct Answer {
    version: u32,
    ports: Vec<Standing>,
}

/// Prints what stands on each port; the exit code says whether something is unknown.
///
/// # Errors
/// When the system does not list its processes, or our records would be in another folder every time.
pub fn who(flags: &Who, ui: &mut Ui) -> anyhow::Result<u8> {
    let scope = if flags.all { Scope::Machine } else { Scope::Group };
    let asked = each_once(&flags.ports);
    let asker = match session::state_dir_if_any()? {
        Some(state) => session::asker(&state)?,
        None => Asker::blind(session::NO_STATE_DIR.to_owned())?,
    };
    let ports = report::look_all(&asked, scope, &asker, Asking::ByNumber { force: false })?;
    let is_all_known = ports.iter().all(is_known);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let text: Vec<String> = ports.iter().map(|port| paragraph(port, now)).collect();
    ui.answer(&Answer { version: report::VERSION, ports }, &text.join("\n"));
    Ok(if is_all_known { 0 } else { Kind::Port as u8 })
}

/// A user is an answer, as far as the system gives one. A port that nobody is seen on and that is taken is none.
fn is_known(port: &Standing) -> bool {
    match port.status {
        Word::Available | Word::Blocked => true,
        Word::Occupied => port.held || !port.owners.is_empty() || !port.hidden.is_empty(),
        Word::Unknown => false,
    }
}

fn paragraph(standing: &Standing, now: Duration) -> String {
    let Standing { port, reason, .. } = standing;
    let reason = reason.as_deref().unwrap_or_default();
    let mut text = match standing.status {
        Word::Available => format!("port {port} is free\n"),
        Word::Blocked => format!("port {port} is blocked: {reason}\n"),
        Word::Unknown => format!("port {port} is unknown: {reason}\n"),
        Word::Occupied => format!("port {port} is {}\n", taken(standing, reason)),
    };
    for owner in &standing.owners {
        text += &owner_lines(owner, standing.held, now);
    }
    for hidden in &standing.hidden {
        text += &hidden_lines(hidden);
    }
    if let Some(split) = &standing.localhost {
        text += &format!(
            "  localhost:{port} is two servers: {} on 127.0.0.1, {} on ::1\n",
            split.v4, split.v6
        );
    }
    text
}

/// What the first line says of a port that is not free: the owners below say the rest.
fn taken(standing: &Standing, reason: &str) -> String {
    let owned = standing.owners.iter().map(|owner| owner.activity);
    let hidden = standing.hidden.iter().map(|hidden| hidden.activity);
    let activities: Vec<Activity> = owned.chain(hidden).collect();
    let has = |activity| activities.contains(&activity);
    if has(Activity::Listening) {
        "taken".to_owned()
    } else if standing.held {
        "held for a stack or a reservation; nobody listens".to_owned()
    } else if has(Activity::Bound) {
        "taken, though nobody listens".to_owned()
    } else if has(Activity::Connected) {
        "used by a connection; nobody listens".to_owned()
    } else {
        format!("taken: {reason}")
    }
}

fn owner_lines(owner: &OwnerReport, held: bool, now: Duration) -> String {
    let user = owner.user.as_ref().map(|user| format!(", user {user}")).unwrap_or_default();
    let age = now.saturating_sub(Duration::from_secs(owner.started));
    let started = ago(age);
    let mut rows = vec![does(owner.activity, held, &owner.addresses.join(" and "))];
    rows.extend(owner.dir.as_ref().map(|dir| row("in", dir)));
    rows.extend(owner.unit.as_ref().map(unit));
    rows.push(row("command", &owner.cmdline));
    // Nobody wants to stop a hold.
    if !held || owner.activity == Activity::Listening {
        let word = if owner.can_terminate { "yes" } else { "no" };
        rows.push(row("stoppable", &format!("{word}: {}", owner.why)));
    }
    format!("  {} (pid {}{user}), started {started}\n", owner.name, owner.pid) + &indented(&rows)
}

fn hidden_lines(hidden: &HiddenReport) -> String {
    if hidden.activity == Activity::Lingering {
        return format!(
            "  an ended connection on {}, kept by the system for a minute\n",
            hidden.address
        );
    }
    // A hold of our own user would be seen, and whose this one is makes no difference to what it does.
    let mut rows = vec![does(hidden.activity, false, &hidden.address)];
    rows.extend(hidden.unit.as_ref().map(unit));
    format!("  a process of user {} that only this user and root may see\n", hidden.user)
        + &indented(&rows)
}

fn does(activity: Activity, held: bool, places: &str) -> [String; 2] {
    let (verb, note) = match activity {
        Activity::Listening => ("listens on", ""),
        Activity::Bound if held => ("holds", " for a server that may listen there"),
        Activity::Bound => ("bound to", ", without listening"),
        Activity::Connected | Activity::Lingering => ("connection", ", one end of it is here"),
    };
    row(verb, &format!("{places}{note}"))
}

fn unit(unit: &Unit) -> [String; 2] {
    match unit {
        Unit::Container(name) => row("container", name),
        Unit::Service(name) => row("service", name),
    }
}

fn row(title: &str, value: &str) -> [String; 2] {
    [title.to_owned(), value.to_owned()]
}

fn indented(rows: &[[String; 2]]) -> String {
    format!("    {}\n", aligned(rows).join("\n    "))
}

/// The two largest parts of a time, so `2h 5m ago`.
fn ago(age: Duration) -> String {
    let age = humantime::format_duration(Duration::from_secs(age.as_secs())).to_string();
    let parts: Vec<&str> = age.split(' ').take(2).collect();
    if age == "0s" { "just now".to_owned() } else { format!("{} ago", parts.join(" ")) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portman::check::Activity;
    use portman::localhost::Split;
    use portman::owner::Unit;
    use portman::port::Port;
    use portman::report::{HiddenReport, OwnerReport, Standing, Word};

    use super::{is_known, paragraph};

    fn standing(status: Word, reason: &str) -> Standing {
        Standing {
            port: Port::new(8000).unwrap(),
            status,
            reason: Some(reason.to_owned()),
            held: false,
            localhost: None,
            owners: Vec::new(),
            hidden: Vec::new(),
        }
    }

    fn owner(name: &str, pid: u32, activity: Activity, addresses: &[&str]) -> OwnerReport {
        OwnerReport {
            pid,
            name: name.to_owned(),
            cmdline: format!("{name} serve"),
            user: Some("ann".to_owned()),
            started: 1000,
            addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
            activity,
            dir: Some("/home/ann/shop".to_owned()),
            unit: None,
            can_terminate: true,
            why: "it is a development server of ann".to_owned(),
        }
    }

    #[track_caller]
    fn assert_told(standing: &Standing, text: &str) {
        assert_eq!(paragraph(standing, Duration::from_secs(1000 + 7507)), text);
    }

    #[test]
    fn a_port_without_anybody_is_one_line() {
        assert_told(&standing(Word::Available, ""), "port 8000 is free\n");
        assert_told(&standing(Word::Blocked, "no"), "port 8000 is blocked: no\n");
        assert_told(&standing(Word::Unknown, "odd"), "port 8000 is unknown: odd\n");
        assert_told(
            &standing(Word::Occupied, "somebody keeps it"),
            "port 8000 is taken: somebody keeps it\n",
        );
    }

    #[test]
    fn two_servers_are_told_with_what_each_is() {
        let addresses = ["127.0.0.1:8000", "10.0.0.1:8000"];
        let mut node = owner("node", 7, Activity::Listening, &addresses);
        node.unit = Some(Unit::Service("web.service".to_owned()));
        let python = owner("python3", 4711, Activity::Listening, &["[::1]:8000"]);
        let both = Standing {
            localhost: Some(Split { v4: "node (pid 7)".into(), v6: "python3 (pid 4711)".into() }),
            owners: vec![node, python],
            ..standing(Word::Occupied, "")
        };
        assert_told(
            &both,
            "\
port 8000 is taken
  node (pid 7, user ann), started 2h 5m ago
    listens on  127.0.0.1:8000 and 10.0.0.1:8000
    in          /home/ann/shop
    service     web.service
    command     node serve
    stoppable   yes: it is a development server of ann
  python3 (pid 4711, user ann), started 2h 5m ago
    listens on  [::1]:8000
    in          /home/ann/shop
    command     python3 serve
    stoppable   yes: it is a development server of ann
  localhost:8000 is two servers: node (pid 7) on 127.0.0.1, python3 (pid 4711) on ::1
",
        );
    }

    #[test]
    fn what_only_keeps_a_port_is_told_by_what_it_does() {
        for (activity, held, first, does) in [
            (
                Activity::Bound,
                false,
                "taken, though nobody listens",
                "bound to   0.0.0.0:8000, without listening",
            ),
            (
                Activity::Bound,
                true,
                "held for a stack or a reservation; nobody listens",
                "holds    0.0.0.0:8000 for a server that may listen there",
            ),
            (
                Activity::Connected,
                false,
                "used by a connection; nobody listens",
                "connection  0.0.0.0:8000, one end of it is here",
            ),
        ] {
            let mut owner = owner("xtask", 7, activity, &["0.0.0.0:8000"]);
            owner.dir = None;
            let standing =
                Standing { held, owners: vec![owner], ..standing(Word::Occupied, "reason") };
            let text = paragraph(&standing, Duration::from_secs(1000));
            assert!(text.starts_with(&format!("port 8000 is {first}\n")), "{text}");
            assert!(text.contains(&format!("    {does}\n")), "{text}");
            assert!(text.contains(", started just now\n"), "{text}");
        }
    }

    #[test]
    fn a_process_that_we_may_not_see_is_told_by_its_user_and_unit() {
        let unit = Some(Unit::Container("docker 3f2a91c0d4e5".to_owned()));
        let address = "0.0.0.0:8000".to_owned();
        let root =
            HiddenReport { address, activity: Activity::Listening, user: "root".into(), unit };
        let standing = Standing { hidden: vec![root], ..standing(Word::Occupied, "") };
        assert_told(
            &standing,
            "\
port 8000 is taken
  a process of user root that only this user and root may see
    listens on  0.0.0.0:8000
    container   docker 3f2a91c0d4e5
",
        );
        assert!(is_known(&standing));
    }

    #[test]
    fn what_is_not_known_is_not_told_as_known() {
        assert!(!is_known(&standing(Word::Unknown, "odd")));
        assert!(!is_known(&standing(Word::Occupied, "somebody")));
        assert!(is_known(&Standing { held: true, ..standing(Word::Occupied, "somebody") }));
        assert!(is_known(&standing(Word::Available, "")));
    }
}
