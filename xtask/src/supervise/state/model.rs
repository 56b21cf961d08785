//! Thousands of random runs in a small world that answers the machine late, in any order, and sometimes never.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portman::port::Port;

use super::{Action, Answer, Event, Exit, KILL_WAIT, Outcome, Spec, State};
use crate::config::Restart;
use crate::notice::{Notice, RestartReason};
use crate::sys::Request;

const RUNS: u64 = 4_000;
/// Somebody asks for the end at the latest then.
const LATEST_REQUEST: u64 = 100_000;
/// More steps than any run can need.
const MANY_STEPS: usize = 20_000;
/// What reaching the end may take beside graces and [`KILL_WAIT`]: answers that are late, ticks that are late.
const SLACK: u64 = 1_000;

#[test]
fn whatever_happens_the_rules_hold_and_the_run_ends() {
    let mut seen = BTreeSet::new();
    for seed in 1..=RUNS {
        seen.append(&mut World::new(seed).run());
    }
    // A world in which something never happens would prove nothing about it.
    let expected = [
        "changed",
        "crash loop",
        "ended",
        "failed",
        "forced",
        "given up",
        "group left behind",
        "kill",
        "late probe",
        "not ready",
        "not started",
        "refused",
        "requested",
        "restarted",
        "several starts",
        "stack ready",
        "stale",
        "wrong port",
    ];
    assert_eq!(seen, BTreeSet::from(expected));
}

/// xorshift64*: the same numbers for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// What the world does next.
#[derive(Debug, Clone)]
enum Coming {
    /// The machine hears of it.
    Heard(Event),
    /// A program ends; the machine hears of it later.
    Dies { service: usize, generation: u32, exit: Exit },
    /// What a program left behind ends.
    GroupEmpties { service: usize, generation: u32 },
}

/// The latest life of a service as it really is.
#[derive(Debug, Clone, Default)]
struct Child {
    generation: u32,
    runs: Runs,
    asked: Asked,
    is_unkillable: bool,
    is_probed_now: bool,
    /// It listens on a port that is not its own.
    is_elsewhere: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Runs {
    #[default]
    Nothing,
    /// Its program has ended, others of its group have not.
    Leftovers,
    Program,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Asked {
    #[default]
    Nothing,
    ToEnd,
    Killed,
}

impl Child {
    /// Does its program run for as long as it can be ended at all?
    fn is_live(&self) -> bool {
        self.runs == Runs::Program && !self.is_unkillable
    }
}

struct World {
    random: Random,
    seed: u64,
    specs: Vec<Spec>,
    state: State,
    start: Instant,
    now: u64,
    coming: Vec<(u64, Coming)>,
    children: Vec<Child>,
    was_ready: Vec<bool>,
    /// Whose port is not held.
    released: Vec<bool>,
    asked_at: Option<u64>,
    is_stopping: bool,
    is_stack_ready: bool,
    seen: BTreeSet<&'static str>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let count = usize::try_from(1 + random.below(5)).unwrap();
        let specs: Vec<Spec> = (0..count).map(|place| spec(place, &mut random)).collect();
        Self {
            seed,
            state: State::new(specs.clone()),
            start: Instant::now(),
            now: 0,
            coming: requests(&specs, &mut random),
            children: vec![Child::default(); count],
            was_ready: vec![false; count],
            released: vec![false; count],
            asked_at: None,
            is_stopping: false,
            is_stack_ready: false,
            seen: BTreeSet::new(),
            specs,
            random,
        }
    }

    /// Lives until the machine has an outcome; returns what has happened.
    fn run(mut self) -> BTreeSet<&'static str> {
        self.step(Event::Tick);
        for _ in 0..MANY_STEPS {
            if let Some(outcome) = self.state.outcome() {
                return self.over(outcome);
            }
            self.check_time_to_the_end();
            self.next();
            if self.random.percent(2) {
                self.hear_something_stale();
            }
        }
        panic!("seed {}: the run does not end", self.seed);
    }

    /// Whatever comes first: something of the world, or the machine's deadline.
    fn next(&mut self) {
        let deadline = self.state.next_deadline().map(|at| self.ms(at));
        let first = self.coming.iter().map(|(at, _)| *at).min();
        if let Some(deadline) = deadline
            && first.is_none_or(|first| deadline <= first)
        {
            let late = if self.random.percent(20) { self.random.below(40) } else { 0 };
            self.now = self.now.max(deadline + late);
            return self.tick();
        }
        let first = first.unwrap_or_else(|| panic!("seed {}: nothing will happen", self.seed));
        self.now = self.now.max(first);
        let due: Vec<usize> =
            (0..self.coming.len()).filter(|&place| self.coming[place].0 == first).collect();
        let chosen = self.random.one_of(&due);
        match self.coming.swap_remove(chosen).1 {
            Coming::Heard(event) => self.heard(event),
            Coming::Dies { service, generation, exit } => self.dies(service, generation, exit),
            Coming::GroupEmpties { service, generation } => {
                let child = &mut self.children[service];
                if child.generation == generation && child.runs == Runs::Leftovers {
                    child.runs = Runs::Nothing;
                }
            }
        }
    }

    /// Ticks until the machine wants to wait. It may want nothing more than a few at one time.
    fn tick(&mut self) {
        for _ in 0..2 {
            self.step(Event::Tick);
            if self.state.next_deadline().is_none_or(|at| self.ms(at) > self.now) {
                return;
            }
        }
        panic!("seed {}: busy at {}: {:?}", self.seed, self.now, self.state);
    }

    fn heard(&mut self, event: Event) {
        match event {
            Event::Started { service, generation, .. } if !self.specs[service].is_probed => {
                self.was_ready[service] |= self.children[service].generation == generation;
            }
            Event::Probed { service, generation, ref answer }
                if self.children[service].generation == generation =>
            {
                self.children[service].is_probed_now = false;
                self.was_ready[service] |= *answer == Answer::Ready;
            }
            Event::Probed { .. } => drop(self.seen.insert("late probe")),
            Event::Shutdown(_) => {
                self.asked_at.get_or_insert(self.now);
            }
            _ => {}
        }
        self.step(event);
    }

    fn step(&mut self, event: Event) {
        let now = self.start + Duration::from_millis(self.now);
        let actions = self.state.step(event, now);
        let deadline = self.state.next_deadline();
        assert!(deadline.is_none_or(|at| at >= now), "seed {}: {:?}", self.seed, self.state);
        if actions.iter().filter(|action| matches!(action, Action::Start { .. })).count() > 1 {
            self.seen.insert("several starts");
        }
        for action in actions {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start { service, generation } => self.start_child(service, generation),
            Action::Probe { service, generation } => {
                let child = self.current(service, generation);
                assert!(!child.is_probed_now, "probed twice at a time");
                child.is_probed_now = true;
                let is_ready = self.random.percent(30);
                let answer = if is_ready { Answer::Ready } else { Answer::NotYet(String::new()) };
                let after = self.random.one_of(&[1, 5, 30, 1_000]);
                self.hear_in(after, Event::Probed { service, generation, answer });
            }
            Action::Terminate { service, generation } => {
                let child = self.current(service, generation);
                assert_eq!(child.asked, Asked::Nothing, "asked to end once, before it is killed");
                child.asked = Asked::ToEnd;
                if self.random.percent(70) {
                    let after = self.random.one_of(&[0, 10, 100, 3_000]);
                    self.dies_in(after, service, generation, Exit::Code(0));
                }
            }
            Action::Kill { service, generation } => self.kill(service, generation),
            Action::LookForGroup { service, generation } => {
                let is_empty = self.current(service, generation).runs == Runs::Nothing;
                let after = self.random.below(3);
                self.hear_in(after, Event::Group { service, generation, is_empty });
            }
            Action::ReleasePort { service } => {
                assert!(!self.children[service].is_live(), "released for a start, not before");
                self.released[service] = true;
            }
            Action::HoldPort { service } => self.released[service] = false,
            Action::RememberRefusal { service } => {
                assert!(self.was_ready[service], "it is only certain once it listens");
                self.seen.insert("refused");
            }
            Action::LookForListeners => {
                let found = self.listening();
                self.hear_in(0, Event::Listening { found });
            }
            Action::StackReady => {
                assert!(!self.is_stack_ready && self.was_ready.iter().all(|ready| *ready));
                self.is_stack_ready = true;
                self.seen.insert("stack ready");
            }
            Action::Tell(notice) => self.told(&notice),
        }
    }

    fn start_child(&mut self, service: usize, generation: u32) {
        let old = &self.children[service];
        assert_eq!(generation, old.generation + 1, "generations count up");
        assert!(!old.is_live(), "seed {}: two lives of one service", self.seed);
        assert!(!self.is_stopping, "seed {}: started while the stack stops", self.seed);
        assert!(self.specs[service].depends_on.iter().all(|need| self.was_ready[*need]));
        if generation > 1 {
            self.seen.insert("restarted");
        }
        let is_refused = self.specs[service].is_until_spawn;
        assert_eq!(self.released[service], is_refused, "seed {}: released if need be", self.seed);
        let is_unkillable = self.random.percent(2);
        let is_elsewhere = self.random.percent(10);
        let starts = self.random.percent(97);
        self.children[service] = Child {
            generation,
            runs: if starts { Runs::Program } else { Runs::Nothing },
            is_unkillable,
            is_elsewhere,
            ..Child::default()
        };
        let after = self.random.below(3);
        if !starts {
            self.seen.insert("not started");
            let (reason, hint) = (String::new(), String::new());
            return self.hear_in(after, Event::NotStarted { service, generation, reason, hint });
        }
        self.hear_in(after, Event::Started { service, generation, pid: 1 });
        if self.random.percent(10) {
            self.hear_in(after + 2, Event::Refused { service, generation });
        }
        if self.random.percent(70) {
            let longest = self.random.one_of(&[10, 500, 5_000, 60_000]);
            let life = 3 + self.random.below(longest);
            let exit = self.random.one_of(&[Exit::Code(0), Exit::Code(1), Exit::Signal(11)]);
            self.dies_in(life, service, generation, exit);
        }
    }

    fn listening(&self) -> Vec<(usize, Port)> {
        let listens = |(service, child): (usize, &Child)| {
            let own = self.specs[service].port?;
            let port = if child.is_elsewhere { Port::new(9000)? } else { own };
            child.is_live().then_some((service, port))
        };
        self.children.iter().enumerate().filter_map(listens).collect()
    }

    fn kill(&mut self, service: usize, generation: u32) {
        let child = self.current(service, generation);
        assert_ne!(child.asked, Asked::Killed, "killed once");
        child.asked = Asked::Killed;
        if child.is_unkillable {
            return;
        }
        self.seen.insert("kill");
        let after = self.random.below(30);
        self.dies_in(after, service, generation, Exit::Signal(9));
        self.coming.push((self.now + after, Coming::GroupEmpties { service, generation }));
    }

    fn dies(&mut self, service: usize, generation: u32, exit: Exit) {
        let child = &mut self.children[service];
        if child.generation != generation || child.runs != Runs::Program {
            return;
        }
        child.runs = Runs::Nothing;
        if child.asked != Asked::Killed && self.random.percent(20) {
            child.runs = Runs::Leftovers;
            self.seen.insert("group left behind");
            if self.random.percent(50) {
                let at = self.now + self.random.below(500);
                self.coming.push((at, Coming::GroupEmpties { service, generation }));
            }
        }
        // Its last output is waited for before its end is told.
        let after = self.random.one_of(&[0, 1, 100]);
        self.hear_in(after, Event::Exited { service, generation, exit });
    }

    fn told(&mut self, notice: &Notice) {
        let place = |name: &String| name.parse::<usize>().unwrap();
        match notice {
            Notice::Stopped { service } => {
                let child = &self.children[place(service)];
                if child.runs != Runs::Nothing {
                    let is_lost = child.asked == Asked::Killed && child.is_unkillable;
                    assert!(is_lost, "seed {}: given up too early", self.seed);
                    self.seen.insert("given up");
                }
            }
            Notice::StoppingService { service } => {
                let service = place(service);
                for (other, spec) in self.specs.iter().enumerate() {
                    let is_needed = spec.depends_on.contains(&service);
                    assert!(!is_needed || !self.children[other].is_live(), "dependants go first");
                }
            }
            Notice::Stopping { .. } => self.is_stopping = true,
            Notice::Restarting { reason: RestartReason::Refused, service, .. } => {
                self.specs[place(service)].is_until_spawn = true;
            }
            Notice::Restarting { reason: RestartReason::Changed, .. } => {
                self.seen.insert("changed");
            }
            Notice::WrongPort { .. } => drop(self.seen.insert("wrong port")),
            Notice::CrashLooped { .. } => drop(self.seen.insert("crash loop")),
            Notice::Failed { reason, .. } if reason.contains("not ready within") => {
                self.seen.insert("not ready");
            }
            _ => {}
        }
    }

    fn over(mut self, outcome: Outcome) -> BTreeSet<&'static str> {
        for child in &self.children {
            let is_over = child.runs == Runs::Nothing || child.asked == Asked::Killed;
            assert!(is_over && !child.is_live(), "seed {}: {child:?} is left", self.seed);
        }
        self.seen.insert(match outcome {
            Outcome::Ended => "ended",
            Outcome::Failed => "failed",
            Outcome::Requested(_) => "requested",
            Outcome::Forced => "forced",
        });
        self.seen
    }

    fn check_time_to_the_end(&self) {
        let Some(asked_at) = self.asked_at else { return };
        let longest = |spec: &Spec| ms(spec.grace) + ms(KILL_WAIT) + SLACK;
        let longest: u64 = self.specs.iter().map(longest).sum();
        assert!(self.now <= asked_at + longest, "seed {}: {:?}", self.seed, self.state);
    }

    /// The latest life of a service; nothing may be asked of an earlier one.
    fn current(&mut self, service: usize, generation: u32) -> &mut Child {
        let child = &mut self.children[service];
        assert_eq!(generation, child.generation, "seed {}: a stale generation", self.seed);
        child
    }

    /// The machine hears of a life that is over; that changes nothing.
    fn hear_something_stale(&mut self) {
        let service = usize::try_from(self.random.below(self.specs.len() as u64)).unwrap();
        let Some(generation) = self.children[service].generation.checked_sub(1) else { return };
        let (reason, hint) = (String::new(), String::new());
        let event = match self.random.below(6) {
            0 => Event::Exited { service, generation, exit: Exit::Code(1) },
            1 => Event::Group { service, generation, is_empty: true },
            2 => Event::Probed { service, generation, answer: Answer::Ready },
            3 => Event::NotStarted { service, generation, reason, hint },
            4 => Event::Refused { service, generation },
            _ => Event::Started { service, generation, pid: 1 },
        };
        self.tick();
        let before = format!("{:?}", self.state);
        let actions = self.state.step(event, self.start + Duration::from_millis(self.now));
        assert!(actions.is_empty(), "seed {}: {actions:?}", self.seed);
        assert_eq!(before, format!("{:?}", self.state), "seed {}", self.seed);
        self.seen.insert("stale");
    }

    fn hear_in(&mut self, after: u64, event: Event) {
        self.coming.push((self.now + after, Coming::Heard(event)));
    }

    fn dies_in(&mut self, after: u64, service: usize, generation: u32, exit: Exit) {
        self.coming.push((self.now + after, Coming::Dies { service, generation, exit }));
    }

    fn ms(&self, at: Instant) -> u64 {
        ms(at.saturating_duration_since(self.start))
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// A service at random; its name is its place.
fn spec(place: usize, random: &mut Random) -> Spec {
    Spec {
        name: place.to_string(),
        depends_on: (0..place).filter(|_| random.percent(40)).collect(),
        is_probed: random.percent(60),
        ready_timeout: Duration::from_millis(random.one_of(&[100, 1_000, 20_000])),
        restart: random.one_of(&[Restart::Never, Restart::OnFailure, Restart::Always]),
        grace: Duration::from_millis(random.one_of(&[0, 50, 1_000, 10_000])),
        is_watched: random.percent(40),
        port: random.percent(70).then(|| port(place)).flatten(),
        is_until_spawn: random.percent(10),
    }
}

fn port(place: usize) -> Option<Port> {
    Port::new(8000 + u16::try_from(place).unwrap())
}

/// What comes from outside: changes of files, and one to four requests to end.
fn requests(specs: &[Spec], random: &mut Random) -> Vec<(u64, Coming)> {
    let mut coming = Vec::new();
    let end = random.below(LATEST_REQUEST);
    for (service, _) in specs.iter().enumerate().filter(|(_, spec)| spec.is_watched) {
        for _ in 0..random.below(8) {
            coming.push((random.below(end + 5_000), Coming::Heard(Event::Changed { service })));
        }
    }
    let all = [Request::Interrupt, Request::Terminate, Request::Hangup];
    for _ in 0..=random.below(4) {
        let request = Event::Shutdown(random.one_of(&all));
        coming.push((end + random.below(4_000), Coming::Heard(request)));
    }
    coming
}
