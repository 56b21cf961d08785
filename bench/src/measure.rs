//! Contestants in alternating rounds, so that what else the machine does falls on all of them.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::time::{Duration, Instant};

/// Something that is measured.
pub(crate) struct Contestant<'a> {
    name: String,
    /// The first contestant may take at most this part of the time of this one.
    goal: Option<f64>,
    run: Box<dyn FnMut() -> anyhow::Result<()> + 'a>,
    times: Vec<Duration>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        goal: Option<f64>,
        run: impl FnMut() -> anyhow::Result<()> + 'a,
    ) -> Self {
        Self { name: name.into(), goal, run: Box::new(run), times: Vec::new() }
    }
}

/// Measures the first contestant against each of the others, prints all, and says whether the goals are met.
pub(crate) fn compare(
    title: &str,
    rounds: usize,
    mut contestants: Vec<Contestant<'_>>,
) -> anyhow::Result<bool> {
    let count = contestants.len();
    for turn in 0..rounds * count {
        // Each is the first of a round as often as any other.
        let contestant = &mut contestants[(turn + turn / count) % count];
        let start = Instant::now();
        (contestant.run)()?;
        contestant.times.push(start.elapsed());
    }
    println!("\n{title}, {rounds} rounds");
    println!("  {:44} {:>10} {:>10}  {:>7}", "", "min", "median", "ratio");
    let ours = shortest(&contestants[0].times);
    let mut are_met = true;
    for contestant in &mut contestants {
        contestant.times.sort();
        let (min, median) = (shortest(&contestant.times), contestant.times[rounds / 2]);
        let ratio = ours.as_secs_f64() / min.as_secs_f64();
        let verdict = contestant.goal.map(|goal| {
            are_met &= ratio <= goal;
            let word = if ratio <= goal { "ok" } else { "MISSED" };
            format!("goal: at most {goal:.3}: {word}")
        });
        let line = format!(
            "  {:44} {:>10} {:>10}  {ratio:>7.3}  {}",
            contestant.name,
            shown(min),
            shown(median),
            verdict.unwrap_or_default()
        );
        println!("{}", line.trim_end());
    }
    Ok(are_met)
}

/// Something to say beside the numbers.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

fn shortest(times: &[Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}

fn shown(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1000.0 { format!("{micros:.1} µs") } else { format!("{:.1} ms", micros / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::{Contestant, compare};

    #[test]
    fn every_contestant_has_the_same_number_of_turns_in_alternating_order() {
        let order = std::cell::RefCell::new(String::new());
        let written = &order;
        let contestant = |name: char| {
            Contestant::new(name, None, move || {
                written.borrow_mut().push(name);
                Ok(())
            })
        };
        assert!(compare("none", 4, vec![contestant('a'), contestant('b')]).unwrap());
        assert_eq!(order.borrow().as_str(), "abbaabba");
    }

    #[test]
    fn a_goal_that_is_missed_is_said() {
        let slow = || {
            Contestant::new("slow", None, || {
                std::hint::black_box((0..20_000_u64).map(std::hint::black_box).sum::<u64>());
                Ok(())
            })
        };
        let quick = |goal| Contestant::new("quick", Some(goal), || Ok(()));
        assert!(!compare("missed", 3, vec![slow(), quick(0.001)]).unwrap());
        assert!(compare("met", 3, vec![slow(), quick(f64::MAX)]).unwrap());
    }
}
