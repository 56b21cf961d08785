//! Ports that are free now.

use portman::allocate::{self, Found, Search};
use portman::port::Port;
use portman::report::doubt_reason;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::flags::Find;
use crate::notice::Notice;
use crate::ui::Ui;

/// The version of [`Answer`]'s keys.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Answer<'a> {
    version: u32,
    ports: &'a [Port],
}

/// Prints as many free ports as were asked for, one a line.
///
/// # Errors
/// When there are fewer, or the system does not tell its ranges.
pub fn find(flags: &Find, ui: &mut Ui) -> anyhow::Result<u8> {
    let found = allocate::search(where_to(flags), flags.count, flags.attempts)?;
    if found.ports.len() < flags.count {
        return Err(too_few(&found, flags.count).into());
    }
    let mut lines = String::new();
    for &port in &found.ports {
        lines += &format!("{port}\n");
        if let Some(doubt) = allocate::doubt(port)? {
            let reason = doubt_reason(doubt);
            let message = format!("port {port} is a doubtful choice: {reason}");
            ui.tell(&Notice::Warning { message });
        }
    }
    ui.answer(&Answer { version: VERSION, ports: &found.ports }, &lines);
    Ok(0)
}

fn where_to(flags: &Find) -> Search {
    match (flags.from, flags.range) {
        (_, Some(range)) => Search::Range(range),
        (Some(from), None) => Search::From(from),
        (None, None) => Search::Anywhere,
    }
}

fn too_few(Found { ports, tried, unknown }: &Found, count: usize) -> Failure {
    let found = if ports.is_empty() { "none".to_owned() } else { ports.len().to_string() };
    let message = format!("of {count} free ports found {found}: tried {tried}");
    match unknown {
        Some((port, reason)) => Failure::new(
            Kind::Port,
            format!("{message}; could not find out whether {port} is free: {reason}"),
            format!("see what is on it: cargo xtask ports who {port}"),
        ),
        None => Failure::new(
            Kind::Port,
            message,
            "look at more ports: raise --attempts, or name others with --from or --range",
        ),
    }
}

#[cfg(test)]
mod tests {
    use portman::allocate::Found;
    use portman::port::Port;

    use super::too_few;

    #[test]
    fn too_few_ports_is_a_failure_that_says_what_was_tried() {
        let port = |number| Port::new(number).unwrap();
        let tried = "10 ports between 8000 and 8009".to_owned();
        let found = Found { ports: vec![port(8001), port(8004)], tried, unknown: None };
        let failure = too_few(&found, 3);
        let told = "of 3 free ports found 2: tried 10 ports between 8000 and 8009";
        assert_eq!((failure.kind as u8, failure.message.as_str()), (3, told));

        let unknown = Some((port(8000), "netlink is off".to_owned()));
        let failure = too_few(&Found { ports: Vec::new(), tried: "8000".to_owned(), unknown }, 1);
        let told = "of 1 free ports found none: tried 8000; \
                    could not find out whether 8000 is free: netlink is off";
        assert_eq!((failure.kind as u8, failure.message.as_str()), (3, told));
    }
}
