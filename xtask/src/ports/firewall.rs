//! `cargo xtask ports firewall`: exceptions for incoming connections.

use portman::firewall::{Exceptions, exceptions};
use portman::port::Port;
use serde::Serialize;

use crate::config;
use crate::flags::{self, Where};
use crate::recover::recover;
use crate::session;
use crate::ui::Ui;

/// The version of what `--json` prints.
const VERSION: u32 = 1;

/// Says what this system has in the way of exceptions for these ports, or for those of the stack.
///
/// # Errors
/// When no port is given and the stack cannot be read.
pub fn firewall(flags: &flags::Firewall, ui: &mut Ui) -> anyhow::Result<()> {
    if let Some(state) = session::state_dir_if_any()? {
        recover(&state, &Where::default(), ui)?;
    }
    let answer =
        if flags.ports.is_empty() { Answer::new(&of_stack()?) } else { Answer::new(&flags.ports) };
    ui.answer(&answer, &answer.text());
    Ok(())
}

/// The ports that the stack has, or would like while it does not run.
fn of_stack() -> anyhow::Result<Vec<Port>> {
    let state = session::state_dir()?;
    let stack = config::load(&Where::default())?;
    Ok(match session::running(&state, &stack.root)? {
        Some(run) => run.ports.into_iter().map(|(_, port)| port).collect(),
        None => stack.requests().into_iter().filter_map(|request| request.preferred).collect(),
    })
}

#[derive(Debug, Serialize)]
struct Answer {
    version: u32,
    ports: Vec<One>,
}

#[derive(Debug, Serialize)]
struct One {
    port: Port,
    exceptions: Exceptions,
    reason: &'static str,
}

impl Answer {
    fn new(ports: &[Port]) -> Self {
        let exceptions = exceptions();
        let one = |&port: &Port| One { port, exceptions, reason: reason(exceptions) };
        Self { version: VERSION, ports: ports.iter().map(one).collect() }
    }

    fn text(&self) -> String {
        let line = |One { port, reason, .. }: &One| format!("{port}  {reason}\n");
        self.ports.iter().map(line).collect()
    }
}

fn reason(exceptions: Exceptions) -> &'static str {
    match exceptions {
        Exceptions::DoNotApply => {
            "exceptions do not apply: this system asks nobody before a program listens. Whether a packet filter of the \
             administrator's keeps connections from other machines away was not read"
        }
    }
}

#[cfg(test)]
mod tests {
    use portman::port::Port;

    use super::Answer;

    #[test]
    fn what_was_not_read_is_said_for_people_and_programs() {
        let answer = Answer::new(&[Port::new(8000).unwrap()]);
        let object = serde_json::to_value(&answer).unwrap();
        assert_eq!(object["ports"][0]["port"], 8000);
        assert_eq!(object["ports"][0]["exceptions"], "do-not-apply");
        let reason = object["ports"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("packet filter") && reason.contains("was not read"), "{reason}");
        assert_eq!(answer.text(), format!("8000  {reason}\n"));
    }
}
