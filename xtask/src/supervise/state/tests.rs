//! Timelines: what happens, when, and what the machine wants then.

use std::time::{Duration, Instant};

use portman::port::Port;

use super::{Action, Answer, Event, Exit, Spec, State};
use crate::config::Restart;
use crate::notice::{Notice, RestartReason, listed};
use crate::sys::Request;

fn service(name: &str, depends_on: &[usize]) -> Spec {
    Spec {
        name: name.to_owned(),
        depends_on: depends_on.to_vec(),
        is_probed: true,
        ready_timeout: Duration::from_mins(1),
        restart: Restart::OnFailure,
        grace: Duration::from_secs(10),
        is_watched: false,
        port: None,
        is_until_spawn: false,
    }
}

/// A service that is given a port.
fn on_port(name: &str, port: u16) -> Spec {
    Spec { port: Port::new(port), ..service(name, &[]) }
}

/// A service that is ready as soon as it has started.
fn plain(name: &str, depends_on: &[usize]) -> Spec {
    Spec { is_probed: false, ..service(name, depends_on) }
}

fn watched(name: &str) -> Spec {
    Spec { is_watched: true, ..plain(name, &[]) }
}

/// A state with a clock that starts at 0 ms.
struct Play {
    state: State,
    names: Vec<String>,
    start: Instant,
}

impl Play {
    fn new(services: &[Spec]) -> Self {
        let names = services.iter().map(|service| service.name.clone()).collect();
        Self { state: State::new(services.to_vec()), names, start: Instant::now() }
    }

    /// Lets something happen and tells what the machine wants. A `tick` comes exactly at the machine's own deadline,
    /// nothing comes behind it.
    fn at(&mut self, ms: u64, happens: &str) -> String {
        let now = self.start + Duration::from_millis(ms);
        let deadline = self.state.next_deadline();
        let shown = deadline.map(|at| at.saturating_duration_since(self.start));
        match happens {
            "tick" => assert_eq!(deadline, Some(now), "tick at {ms}, the deadline is {shown:?}"),
            _ => assert!(deadline.is_none_or(|at| now <= at), "{ms} is behind {shown:?}"),
        }
        let actions = self.state.step(self.event(happens), now);
        let mut wanted: Vec<String> =
            actions.iter().filter_map(|action| self.shown(action)).collect();
        wanted.extend(self.state.outcome().map(|outcome| format!("over: {outcome:?}")));
        wanted.join(", ")
    }

    fn event(&self, happens: &str) -> Event {
        let mut words = happens.split([' ', '#']);
        let verb = words.next().unwrap();
        let service = words
            .next()
            .and_then(|name| self.names.iter().position(|known| known == name))
            .unwrap_or_default();
        let generation = words.next().and_then(|number| number.parse().ok()).unwrap_or_default();
        let exited = |exit| Event::Exited { service, generation, exit };
        match verb {
            "begin" | "tick" => Event::Tick,
            "started" => Event::Started { service, generation, pid: 1 },
            "missing" => Event::NotStarted {
                service,
                generation,
                reason: "it is missing".to_owned(),
                hint: String::new(),
            },
            "ready" => Event::Probed { service, generation, answer: Answer::Ready },
            "unready" => {
                Event::Probed { service, generation, answer: Answer::NotYet("silent".to_owned()) }
            }
            "ends" => exited(Exit::Code(0)),
            "fails" => exited(Exit::Code(1)),
            "dies" => exited(Exit::Signal(9)),
            "empty" => Event::Group { service, generation, is_empty: true },
            "busy" => Event::Group { service, generation, is_empty: false },
            "refused" => Event::Refused { service, generation },
            "listens" => {
                // `listens api@8000 web@9000`
                let pairs =
                    happens.split_whitespace().skip(1).map(|pair| pair.split_once('@').unwrap());
                let found = pairs.map(|(name, port)| {
                    let service = self.names.iter().position(|known| known == name).unwrap();
                    (service, Port::new(port.parse().unwrap()).unwrap())
                });
                Event::Listening { found: found.collect() }
            }
            "changed" => Event::Changed { service },
            "ctrl-c" => Event::Shutdown(Request::Interrupt),
            "sigterm" => Event::Shutdown(Request::Terminate),
            "sighup" => Event::Shutdown(Request::Hangup),
            _ => panic!("no such event: {happens}"),
        }
    }

    /// An action in a few words; none for notices that only accompany one.
    fn shown(&self, action: &Action) -> Option<String> {
        let life = |service: &usize, generation| format!("{}#{generation}", self.names[*service]);
        Some(match action {
            Action::Start { service, generation } => {
                format!("start {}", life(service, generation))
            }
            Action::Probe { service, generation } => {
                format!("probe {}", life(service, generation))
            }
            Action::Terminate { service, generation } => {
                format!("terminate {}", life(service, generation))
            }
            Action::Kill { service, generation } => format!("kill {}", life(service, generation)),
            Action::LookForGroup { service, generation } => {
                format!("look {}", life(service, generation))
            }
            Action::ReleasePort { service } => format!("release {}", self.names[*service]),
            Action::HoldPort { service } => format!("hold {}", self.names[*service]),
            Action::RememberRefusal { service } => format!("remember {}", self.names[*service]),
            Action::LookForListeners => "look around".to_owned(),
            Action::StackReady => "stack ready".to_owned(),
            Action::Tell(notice) => return told(notice),
        })
    }
}

fn told(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Ready { service, after } => format!("{service} ready in {after:?}"),
        Notice::Restarting { service, reason: RestartReason::Ended, delay } => {
            format!("{service} again in {delay:?}")
        }
        Notice::Restarting { service, reason: RestartReason::Changed, .. } => {
            format!("{service} has changed")
        }
        Notice::Restarting { service, reason: RestartReason::Refused, .. } => {
            format!("{service} refuses a hold")
        }
        Notice::WrongPort { service, listens, .. } => {
            format!("{service} is on {}", listed(listens))
        }
        Notice::CrashLooped { service } => format!("{service} crash-loops"),
        Notice::Failed { service, reason, .. } => format!("{service} failed: {reason}"),
        Notice::Stopping { reason } => format!("stopping: {reason}"),
        Notice::Stopped { service } => format!("{service} stopped"),
        _ => return None,
    })
}

/// Checks a timeline: `ms what happens → what the machine wants` a line.
fn check(services: &[Spec], timeline: &str) {
    let mut play = Play::new(services);
    let mut actual = String::new();
    let mut expected = String::new();
    for line in timeline.trim().lines() {
        let (left, wanted) = line.split_once('→').unwrap();
        let (ms, happens) = left.trim().split_once(' ').unwrap();
        let found = play.at(ms.parse().unwrap(), happens.trim());
        actual += &format!("{ms} {} → {found}\n", happens.trim());
        expected += &format!("{ms} {} → {}\n", happens.trim(), wanted.trim());
    }
    assert!(actual == expected, "the machine wants:\n{actual}\nexpected:\n{expected}");
}

#[test]
fn a_service_starts_once_those_it_depends_on_are_ready() {
    check(
        &[service("db", &[]), service("api", &[0]), plain("job", &[0]), plain("web", &[0, 1])],
        "   0 begin         → start db#1
            1 started db#1  →
           50 tick          → probe db#1
         4999 ready db#1    → db ready in 4.999s, start api#1, start job#1
         5000 started job#1 →
         5001 started api#1 →
         5049 tick          → probe api#1
         5060 ready api#1   → api ready in 61ms, start web#1
         5061 started web#1 → stack ready",
    );
}

#[test]
fn a_probe_comes_50_ms_after_the_last_one_said_no() {
    check(
        &[service("api", &[])],
        "  0 begin          → start api#1
           0 started api#1  →
          50 tick           → probe api#1
          90 unready api#1  →
         140 tick           → probe api#1
        1140 unready api#1  →
        1190 tick           → probe api#1
        1191 ready api#1    → api ready in 1.191s, stack ready
        9999 unready api#1  →",
    );
}

#[test]
fn the_stack_becomes_ready_once() {
    check(
        &[service("api", &[])],
        " 0 begin         → start api#1
          0 started api#1 →
         50 tick          → probe api#1
         60 ready api#1   → api ready in 60ms, stack ready
         70 dies api#1    → kill api#1, api again in 500ms
        570 tick          → start api#2
        570 started api#2 →
        620 tick          → probe api#2
        630 ready api#2   → api ready in 60ms",
    );
}

#[test]
fn a_first_start_that_ends_brings_the_stack_down_in_reverse_order() {
    for (ends, reason) in [
        ("ends web#1 ", "it ended with exit code 0 before it was ready"),
        ("fails web#1", "it ended with exit code 1 before it was ready"),
        ("dies web#1 ", "it ended with signal 9 before it was ready"),
    ] {
        check(
            &[plain("db", &[]), plain("api", &[0]), service("web", &[1])],
            &format!(
                " 0 begin         → start db#1
                  0 started db#1  → start api#1
                  0 started api#1 → start web#1
                  0 started web#1 →
                 20 {ends}        → kill web#1, web failed: {reason}, stopping: web failed, terminate api#1
                 30 ends api#1    → look api#1
                 30 empty api#1   → api stopped, terminate db#1
                 40 dies db#1     → look db#1
                 40 empty db#1    → db stopped, over: Failed"
            ),
        );
    }
}

#[test]
fn a_program_that_cannot_be_started_brings_the_stack_down() {
    check(
        &[plain("db", &[]), service("api", &[0])],
        " 0 begin         → start db#1
          0 started db#1  → start api#1
          0 missing api#1 → api failed: it is missing, stopping: api failed, terminate db#1
          1 ends db#1     → look db#1
          1 empty db#1    → db stopped, over: Failed",
    );
}

#[test]
fn a_stack_comes_down_once_however_many_fail() {
    check(
        &[plain("db", &[]), plain("api", &[])],
        " 0 begin         → start db#1, start api#1
          0 missing api#1 → api failed: it is missing, stopping: api failed, terminate db#1
          0 missing db#1  → db failed: it is missing, over: Failed",
    );
}

#[test]
fn a_service_that_is_being_stopped_is_not_made_ready_by_its_start() {
    // Both were started at once, and the one that failed was heard of first.
    check(
        &[plain("db", &[]), plain("api", &[])],
        " 0 begin         → start db#1, start api#1
          0 missing api#1 → api failed: it is missing, stopping: api failed, terminate db#1
          0 started db#1  →
          9 ends db#1     → look db#1
          9 empty db#1    → db stopped, over: Failed",
    );
}

#[test]
fn a_first_start_that_is_not_ready_in_time_brings_the_stack_down() {
    check(
        &[
            plain("db", &[]),
            Spec { ready_timeout: Duration::from_millis(100), ..service("api", &[0]) },
        ],
        "  0 begin          → start db#1
           0 started db#1   → start api#1
           0 started api#1  →
          50 tick           → probe api#1
          60 unready api#1  →
         100 tick           → terminate api#1, api failed: it was not ready within 100ms: silent, stopping: api failed
         120 ready api#1    →
         150 ends api#1     → look api#1
         150 empty api#1    → api stopped, terminate db#1
         160 ends db#1      → look db#1
         160 empty db#1     → db stopped, over: Failed",
    );
}

#[test]
fn a_later_life_that_is_not_ready_in_time_ends_while_the_others_go_on() {
    check(
        &[
            plain("db", &[]),
            Spec { ready_timeout: Duration::from_millis(80), ..service("api", &[]) },
        ],
        "  0 begin          → start db#1, start api#1
           0 started db#1   →
           0 started api#1  →
          50 tick           → probe api#1
          50 ready api#1    → api ready in 50ms, stack ready
          60 dies api#1     → kill api#1, api again in 500ms
         560 tick           → start api#2
         560 started api#2  →
         610 tick           → probe api#2
         640 tick           → terminate api#2, api failed: it was not ready within 80ms: no probe was answered
         650 ends api#2     → look api#2
         650 empty api#2    → api stopped
        9999 ctrl-c         → stopping: Ctrl-C, terminate db#1
        9999 ends db#1      → look db#1
        9999 empty db#1     → db stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn what_happens_at_an_end_is_up_to_restart() {
    for (restart, end, expected) in [
        (Restart::Never, "ends", "kill job#1, over: Ended"),
        (Restart::Never, "fails", "kill job#1, over: Failed"),
        (Restart::Never, "dies", "kill job#1, over: Failed"),
        (Restart::OnFailure, "ends", "kill job#1, over: Ended"),
        (Restart::OnFailure, "fails", "kill job#1, job again in 500ms"),
        (Restart::OnFailure, "dies", "kill job#1, job again in 500ms"),
        (Restart::Always, "ends", "kill job#1, job again in 500ms"),
        (Restart::Always, "fails", "kill job#1, job again in 500ms"),
    ] {
        let mut play = Play::new(&[Spec { restart, ..plain("job", &[]) }]);
        play.at(0, "begin");
        play.at(0, "started job#1");
        assert_eq!(play.at(5, &format!("{end} job#1")), expected, "{restart:?}, {end}");
    }
}

#[test]
fn pauses_double_up_to_30_s_and_start_over_after_30_s_of_life() {
    let mut play = Play::new(&[plain("api", &[])]);
    play.at(0, "begin");
    let mut at = 0;
    for (generation, (life, pause)) in (1..).zip([
        (20_000, 500),
        (20_000, 1_000),
        (20_000, 2_000),
        (20_000, 4_000),
        (20_000, 8_000),
        (20_000, 16_000),
        (29_999, 30_000),
        (29_999, 30_000),
        (30_000, 500),
        (20_000, 1_000),
    ]) {
        play.at(at, &format!("started api#{generation}"));
        at += life;
        let wanted = play.at(at, &format!("dies api#{generation}"));
        let delay = Duration::from_millis(pause);
        assert_eq!(wanted, format!("kill api#{generation}, api again in {delay:?}"));
        at += pause;
        assert_eq!(play.at(at, "tick"), format!("start api#{}", generation + 1));
    }
}

#[test]
fn five_ends_in_a_minute_are_a_crash_loop_and_the_others_go_on() {
    check(
        &[plain("api", &[]), service("web", &[0])],
        "   0 begin         → start api#1
            0 started api#1 → start web#1
            0 started web#1 →
           50 tick          → probe web#1
           50 ready web#1   → web ready in 50ms, stack ready
          100 fails api#1   → kill api#1, api again in 500ms
          600 tick          → start api#2
          600 started api#2 →
          700 fails api#2   → kill api#2, api again in 1s
         1700 tick          → start api#3
         1700 started api#3 →
         1800 fails api#3   → kill api#3, api again in 2s
         3800 tick          → start api#4
         3800 started api#4 →
         3900 fails api#4   → kill api#4, api again in 4s
         7900 tick          → start api#5
         7900 started api#5 →
         8000 fails api#5   → kill api#5, api crash-loops
        90000 ctrl-c        → stopping: Ctrl-C, terminate web#1
        90001 ends web#1    → look web#1
        90001 empty web#1   → web stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn a_life_of_30_s_makes_the_ends_before_it_count_no_more() {
    let mut play = Play::new(&[plain("api", &[])]);
    play.at(0, "begin");
    let mut at = 0;
    for (generation, pause) in (1..).zip([500, 1_000, 2_000, 4_000]) {
        play.at(at, &format!("started api#{generation}"));
        play.at(at, &format!("fails api#{generation}"));
        at += pause;
        play.at(at, "tick");
    }
    play.at(at, "started api#5");
    assert_eq!(play.at(at + 30_000, "fails api#5"), "kill api#5, api again in 500ms");
}

#[test]
fn ends_count_for_a_minute() {
    for (last_life, expected) in [
        (13_124, "kill api#5, api crash-loops, over: Failed"),
        (13_125, "kill api#5, api again in 8s"),
    ] {
        let mut play = Play::new(&[plain("api", &[])]);
        play.at(0, "begin");
        let mut at = 0;
        // Between the first end and the last life are four pauses and three lives: 46.875 s.
        for (generation, (life, pause)) in
            (1..).zip([(0, 500), (13_125, 1_000), (13_125, 2_000), (13_125, 4_000)])
        {
            play.at(at, &format!("started api#{generation}"));
            at += life;
            play.at(at, &format!("fails api#{generation}"));
            at += pause;
            play.at(at, "tick");
        }
        play.at(at, "started api#5");
        assert_eq!(play.at(at + last_life, "fails api#5"), expected);
    }
}

#[test]
fn a_change_restarts_150_ms_after_the_last_one() {
    check(
        &[watched("api")],
        "   0 begin         → start api#1
            0 started api#1 → stack ready
         1000 changed api   →
         1100 changed api   →
         1249 changed api   →
         1399 tick          → terminate api#1, api has changed
         1400 ends api#1    → look api#1
         1400 empty api#1   → api stopped, start api#2
         1400 started api#2 →",
    );
}

#[test]
fn a_change_while_a_service_starts_starts_it_anew() {
    check(
        &[Spec { is_watched: true, ..service("api", &[]) }],
        "   0 begin         → start api#1
            0 started api#1 →
           10 changed api   →
           50 tick          → probe api#1
          160 tick          → terminate api#1, api has changed
          165 dies api#1    → look api#1
          165 empty api#1   → api stopped, start api#2
          166 started api#2 →
          200 ready api#1   →
          215 tick          → probe api#2
          216 ready api#2   → api ready in 51ms, stack ready",
    );
}

#[test]
fn a_change_brings_a_service_back_from_wherever_it_is() {
    // While it pauses, and the pauses start over.
    check(
        &[watched("api")],
        "   0 begin         → start api#1
            0 started api#1 → stack ready
            0 fails api#1   → kill api#1, api again in 500ms
          500 tick          → start api#2
          500 started api#2 →
          500 fails api#2   → kill api#2, api again in 1s
          600 changed api   →
          750 tick          → api has changed, start api#3
          750 started api#3 →
          800 fails api#3   → kill api#3, api again in 500ms",
    );
    // After its own end, which is none of the stack since it may come back.
    check(
        &[watched("api")],
        "   0 begin         → start api#1
            0 started api#1 → stack ready
            0 ends api#1    → kill api#1
          600 changed api   →
          750 tick          → api has changed, start api#2",
    );
    // While it is stopped for not being ready.
    check(
        &[Spec { ready_timeout: Duration::from_millis(200), is_probed: true, ..watched("api") }],
        "   0 begin         → start api#1
            0 started api#1 →
           50 tick          → probe api#1
           50 ready api#1   → api ready in 50ms, stack ready
           60 dies api#1    → kill api#1, api again in 500ms
          560 tick          → start api#2
          560 started api#2 →
          610 tick          → probe api#2
          760 tick          → terminate api#2, api failed: it was not ready within 200ms: no probe was answered
          800 changed api   →
          950 tick          → api has changed
          960 ends api#2    → look api#2
          960 empty api#2   → api stopped, start api#3",
    );
}

#[test]
fn a_change_is_no_crash_and_ends_a_crash_loop() {
    let mut play = Play::new(&[watched("api")]);
    play.at(0, "begin");
    let mut at = 0;
    for generation in 1..=9 {
        play.at(at, &format!("started api#{generation}"));
        play.at(at + 100, "changed api");
        let wanted = play.at(at + 250, "tick");
        assert_eq!(wanted, format!("terminate api#{generation}, api has changed"));
        play.at(at + 260, &format!("dies api#{generation}"));
        let wanted = play.at(at + 260, &format!("empty api#{generation}"));
        assert_eq!(wanted, format!("api stopped, start api#{}", generation + 1));
        at += 260;
    }
    for (generation, pause) in (10..).zip([500, 1_000, 2_000, 4_000]) {
        play.at(at, &format!("started api#{generation}"));
        play.at(at, &format!("fails api#{generation}"));
        at += pause;
        play.at(at, "tick");
    }
    play.at(at, "started api#14");
    assert_eq!(play.at(at, "fails api#14"), "kill api#14, api crash-loops");
    play.at(at, "changed api");
    assert_eq!(play.at(at + 150, "tick"), "api has changed, start api#15");
    play.at(at + 150, "started api#15");
    assert_eq!(play.at(at + 150, "fails api#15"), "kill api#15, api again in 500ms");
}

#[test]
fn what_is_heard_of_an_earlier_life_is_passed_over() {
    check(
        &[service("api", &[])],
        "   0 begin         → start api#1
            0 started api#1 →
           50 tick          → probe api#1
           50 ready api#1   → api ready in 50ms, stack ready
           60 dies api#1    → kill api#1, api again in 500ms
          560 tick          → start api#2
          561 started api#1 →
          561 missing api#1 →
          561 ready api#1   →
          561 fails api#1   →
          561 empty api#1   →
          562 started api#2 →
          610 tick          → probe api#2
          620 unready api#1 →
          650 ready api#2   → api ready in 90ms
          651 dies api#1    →
          700 ctrl-c        → stopping: Ctrl-C, terminate api#2
          701 dies api#1    →
          702 empty api#1   →
          703 missing api#1 →
          704 ends api#2    → look api#2
          705 empty api#2   → api stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn a_request_stops_dependants_first_and_is_the_outcome() {
    for (request, reason, outcome) in [
        ("ctrl-c ", "Ctrl-C", "Requested(Interrupt)"),
        ("sigterm", "SIGTERM", "Requested(Terminate)"),
        ("sighup ", "the terminal was closed", "Requested(Hangup)"),
    ] {
        check(
            &[plain("db", &[]), plain("api", &[0]), plain("job", &[0]), plain("web", &[1])],
            &format!(
                "   0 begin         → start db#1
                    0 started db#1  → start api#1, start job#1
                    0 started api#1 → start web#1
                    0 started job#1 →
                    0 started web#1 → stack ready
                  100 {request}     → stopping: {reason}, terminate web#1, terminate job#1
                  200 ends web#1    → look web#1
                  200 empty web#1   → web stopped, terminate api#1
                  300 ends api#1    → look api#1
                  300 empty api#1   → api stopped
                  400 ends job#1    → look job#1
                  400 empty job#1   → job stopped, terminate db#1
                  500 ends db#1     → look db#1
                  500 empty db#1    → db stopped, over: {outcome}"
            ),
        );
    }
}

#[test]
fn a_second_request_kills_at_once() {
    check(
        &[plain("db", &[]), plain("api", &[0])],
        "   0 begin         → start db#1
            0 started db#1  → start api#1
            0 started api#1 → stack ready
          100 ctrl-c        → stopping: Ctrl-C, terminate api#1
          150 sigterm       → stopping: SIGTERM again, kill api#1
          151 ctrl-c        →
          160 dies api#1    → look api#1
          160 empty api#1   → api stopped, terminate db#1
          160 tick          → kill db#1
          170 dies db#1     → look db#1
          170 empty db#1    → db stopped, over: Forced",
    );
}

#[test]
fn a_request_while_a_failure_stops_the_stack_kills_at_once() {
    check(
        &[plain("db", &[]), plain("api", &[0]), service("web", &[1])],
        "   0 begin         → start db#1
            0 started db#1  → start api#1
            0 started api#1 → start web#1
            0 started web#1 →
           10 fails web#1   → kill web#1, web failed: it ended with exit code 1 before it was ready, stopping: web failed, terminate api#1
           20 ctrl-c        → stopping: Ctrl-C, kill api#1
           21 ctrl-c        → stopping: Ctrl-C
           30 dies api#1    → look api#1
           30 empty api#1   → api stopped, terminate db#1
           30 tick          → kill db#1
           31 dies db#1     → look db#1
           31 empty db#1    → db stopped, over: Failed",
    );
}

#[test]
fn what_outlives_its_grace_is_killed_once() {
    check(
        &[plain("api", &[])],
        "    0 begin         → start api#1
             0 started api#1 → stack ready
           100 ctrl-c        → stopping: Ctrl-C, terminate api#1
         10100 tick          → kill api#1
         10110 dies api#1    → look api#1
         10110 busy api#1    →
         10130 tick          → look api#1
         10130 empty api#1   → api stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn what_a_program_leaves_behind_is_looked_at_every_20_ms_and_killed_after_the_grace() {
    check(
        &[Spec { grace: Duration::from_millis(75), ..plain("api", &[]) }],
        "  0 begin         → start api#1
           0 started api#1 → stack ready
         100 ctrl-c        → stopping: Ctrl-C, terminate api#1
         130 ends api#1    → look api#1
         130 busy api#1    →
         150 tick          → look api#1
         152 busy api#1    →
         172 tick          → look api#1
         174 busy api#1    →
         175 tick          → kill api#1
         194 tick          → look api#1
         194 empty api#1   → api stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn what_cannot_be_killed_is_given_up_after_5_s() {
    check(
        &[plain("db", &[]), plain("api", &[0])],
        "    0 begin         → start db#1
             0 started db#1  → start api#1
             0 started api#1 → stack ready
             0 ctrl-c        → stopping: Ctrl-C, terminate api#1
         10000 tick          → kill api#1
         15000 tick          → api stopped, terminate db#1
         15000 ends db#1     → look db#1
         15000 empty db#1    → db stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn what_cannot_be_killed_is_given_up_5_s_after_a_second_request_whatever_its_grace() {
    check(
        &[plain("api", &[])],
        "   0 begin         → start api#1
            0 started api#1 → stack ready
            0 ctrl-c        → stopping: Ctrl-C, terminate api#1
          100 ctrl-c        → stopping: Ctrl-C again, kill api#1
         5100 tick          → api stopped, over: Forced",
    );
}

#[test]
fn a_group_that_does_not_empty_is_given_up_although_it_is_being_looked_at() {
    check(
        &[Spec { grace: Duration::ZERO, ..plain("api", &[]) }],
        "    0 begin         → start api#1
             0 started api#1 → stack ready
             0 ctrl-c        → stopping: Ctrl-C, terminate api#1
             0 tick          → kill api#1
          4980 dies api#1    → look api#1
          4980 busy api#1    →
          5000 tick          → api stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn a_service_that_pauses_or_waits_never_starts_after_a_request() {
    check(
        &[plain("api", &[])],
        " 0 begin         → start api#1
          0 started api#1 → stack ready
          9 fails api#1   → kill api#1, api again in 500ms
         10 ctrl-c        → stopping: Ctrl-C, over: Requested(Interrupt)",
    );
    check(
        &[service("db", &[]), service("api", &[0])],
        " 0 begin         → start db#1
          0 started db#1  →
         10 ctrl-c        → stopping: Ctrl-C, terminate db#1
         50 ready db#1    →
         60 ends db#1     → look db#1
         60 empty db#1    → db stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn a_restart_that_is_under_way_does_not_start_again_after_a_request() {
    check(
        &[watched("api")],
        "  0 begin         → start api#1
           0 started api#1 → stack ready
           0 changed api   →
         150 tick          → terminate api#1, api has changed
         160 ctrl-c        → stopping: Ctrl-C
         170 changed api   →
         180 ends api#1    → look api#1
         180 empty api#1   → api stopped, over: Requested(Interrupt)",
    );
}

#[test]
fn a_change_while_the_stack_stops_restarts_nothing() {
    check(
        &[watched("db"), plain("api", &[0])],
        "  0 begin         → start db#1
           0 started db#1  → start api#1
           0 started api#1 → stack ready
           0 ctrl-c        → stopping: Ctrl-C, terminate api#1
           1 changed db    →
         151 tick          →
         160 ends api#1    → look api#1
         160 empty api#1   → api stopped, terminate db#1",
    );
}

#[test]
fn a_service_that_ends_while_its_dependants_stop_does_not_start_again() {
    for restart in [Restart::Never, Restart::OnFailure, Restart::Always] {
        check(
            &[Spec { restart, ..plain("db", &[]) }, plain("api", &[0])],
            " 0 begin         → start db#1
              0 started db#1  → start api#1
              0 started api#1 → stack ready
              9 ctrl-c        → stopping: Ctrl-C, terminate api#1
             10 fails db#1    → kill db#1
             11 ends api#1    → look api#1
             11 empty api#1   → api stopped, over: Requested(Interrupt)",
        );
    }
}

#[test]
fn a_service_that_ignores_its_port_is_told_with_the_one_it_has_and_is_never_ready() {
    check(
        &[Spec { ready_timeout: Duration::from_millis(1_600), ..on_port("api", 8000) }],
        "   0 begin            → start api#1
            0 started api#1    →
           50 tick             → probe api#1
          250 tick             → look around
          251 listens api@8080 →
          500 tick             → look around
          501 listens api@8080 →
          750 tick             → look around
         1000 tick             → look around
         1250 tick             → look around
         1251 listens api@8080 → api is on 8080
         1500 tick             → look around
         1501 listens api@8080 →
         1600 tick             → terminate api#1, api failed: it was not ready within 1.6s: \
no probe was answered; it listens on 8080, stopping: api failed
         1601 ends api#1       → look api#1
         1601 empty api#1      → api stopped, over: Failed",
    );
}

#[test]
fn a_debuggers_port_that_opens_first_is_not_told() {
    check(
        &[on_port("api", 8000)],
        "  0 begin                     → start api#1
           0 started api#1             →
          50 tick                      → probe api#1
         250 tick                      → look around
         251 listens api@9229          →
         500 tick                      → look around
         501 listens api@8000 api@9229 →
         510 ready api#1               → api ready in 510ms, stack ready
         750 tick                      → look around
        1000 tick                      → look around",
    );
}

#[test]
fn a_service_that_takes_anothers_port_is_told_even_beside_its_own() {
    let web = Spec { is_probed: false, ..on_port("web", 5173) };
    let api = Spec { is_probed: false, ..on_port("api", 8000) };
    check(
        &[web, api],
        "   0 begin                                → start web#1, start api#1
            0 started web#1                        →
            0 started api#1                        → stack ready
          250 tick                                 → look around
          251 listens web@5173 web@8000 web@24678  →
          500 tick                                 → look around
          750 tick                                 → look around
         1000 tick                                 → look around
         1250 tick                                 → look around
         1251 listens web@5173 web@8000 web@24678  → web is on 8000",
    );
}

#[test]
fn who_listens_where_is_asked_until_10_s_after_a_start() {
    let mut play = Play::new(&[Spec { is_probed: false, ..on_port("api", 8000) }]);
    play.at(0, "begin");
    play.at(0, "started api#1");
    for look in 1..40 {
        assert_eq!(play.at(look * 250, "tick"), "look around");
    }
    assert_eq!(play.at(10_000, "tick"), "");
    assert_eq!(play.state.next_deadline(), None);
}

#[test]
fn a_wrong_port_that_is_opened_late_is_still_told() {
    let mut play = Play::new(&[Spec { is_probed: false, ..on_port("api", 8000) }]);
    play.at(0, "begin");
    play.at(0, "started api#1");
    for look in 1..40 {
        play.at(look * 250, "tick");
    }
    play.at(9_760, "listens api@8080");
    for look in 40..44 {
        assert_eq!(play.at(look * 250, "tick"), "look around");
    }
    assert_eq!(play.at(10_760, "listens api@8080"), "api is on 8080");
    assert_eq!(play.state.next_deadline(), None);
}

#[test]
fn a_server_that_refuses_a_hold_gets_its_port_as_it_starts_and_it_is_held_between() {
    check(
        &[on_port("api", 8000)],
        "   0 begin         → start api#1
            0 started api#1 →
           20 refused api#1 → api refuses a hold, terminate api#1
           21 fails api#1   → look api#1
           22 empty api#1   → api stopped, hold api, release api, start api#2
           22 started api#2 →
           30 refused api#2 →
           72 tick          → probe api#2
           80 ready api#2   → remember api, api ready in 58ms, stack ready
           90 dies api#2    → kill api#2, hold api, api again in 500ms
          590 tick          → release api, start api#3",
    );
}
