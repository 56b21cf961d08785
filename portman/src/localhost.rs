//! Who answers `localhost`: one name for two addresses, on which two different servers may stand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::check::Activity;
use crate::owner::Occupant;

/// Two different servers behind one name. Which one is meant depends on who asks: some programs try `::1` first, some
/// 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Split {
    /// Who answers on 127.0.0.1, in a few words.
    pub v4: String,
    /// Who answers on `::1`.
    pub v6: String,
}

/// Do two different servers answer on 127.0.0.1 and `::1`? None also when they could be the same.
pub fn split(occupants: &[Occupant]) -> Option<Split> {
    let v4: [IpAddr; 3] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv4Addr::UNSPECIFIED.into(),
        // Unless it was told otherwise, a server on `::` has IPv4 too, where nobody else has it.
        Ipv6Addr::UNSPECIFIED.into(),
    ];
    let v6: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into()];
    let (v4, v6) = (answering(occupants, &v4), answering(occupants, &v6));
    let is_one = v4.iter().any(|one| v6.iter().any(|other| may_be_same(one, other)));
    let is_split = !v4.is_empty() && !v6.is_empty() && !is_one;
    is_split.then(|| Split { v4: names(&v4), v6: names(&v6) })
}

/// Those that listen on the first of `addresses` on which somebody does: the system prefers the most specific.
fn answering<'a>(occupants: &'a [Occupant], addresses: &[IpAddr]) -> Vec<&'a Occupant> {
    let on = |address: &IpAddr| -> Vec<&'a Occupant> {
        let is_there = |occupant: &&Occupant| {
            occupant.activity == Activity::Listening
                && occupant.address.ip().to_canonical() == *address
        };
        occupants.iter().filter(is_there).collect()
    };
    addresses.iter().map(on).find(|found| !found.is_empty()).unwrap_or_default()
}

fn may_be_same(one: &Occupant, other: &Occupant) -> bool {
    if one.owners.is_empty() || other.owners.is_empty() {
        // Not both known: of one user they may be one.
        return one.user == other.user;
    }
    let has = |occupant: &Occupant, pid: u32| {
        occupant.owners.iter().any(|owner| owner.process.pid == pid)
    };
    one.owners.iter().any(|owner| has(other, owner.process.pid))
}

fn names(occupants: &[&Occupant]) -> String {
    let mut names: Vec<String> = occupants.iter().flat_map(|occupant| of(occupant)).collect();
    names.dedup();
    names.join(", ")
}

fn of(occupant: &Occupant) -> Vec<String> {
    if occupant.owners.is_empty() {
        return vec![format!("a process of user {}", occupant.user)];
    }
    let name = |owner: &crate::owner::Owner| format!("{} (pid {})", owner.name, owner.process.pid);
    occupant.owners.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::split;
    use crate::check::Activity;
    use crate::owner::{Occupant, Owner};

    fn occupant(address: &str, activity: Activity, user: &str, pids: &[u32]) -> Occupant {
        Occupant {
            address: address.parse().unwrap(),
            activity,
            user: user.to_owned(),
            unit: None,
            owners: pids.iter().map(|&pid| Owner::sample(pid)).collect(),
        }
    }

    #[test]
    fn two_servers_behind_one_name_are_told_from_one_on_both_addresses() {
        let on = |address: &str, pids: &[u32]| occupant(address, Activity::Listening, "ann", pids);
        for (occupants, expected) in [
            (vec![], None),
            (vec![on("127.0.0.1:80", &[1])], None),
            (vec![on("[::]:80", &[1])], None),
            (vec![on("127.0.0.1:80", &[1]), on("[::1]:80", &[1])], None),
            (vec![on("127.0.0.1:80", &[1]), on("[::1]:80", &[2])], Some(("1", "2"))),
            (vec![on("0.0.0.0:80", &[1]), on("[::]:80", &[2])], Some(("1", "2"))),
            // A more specific address wins.
            (vec![on("[::]:80", &[1]), on("127.0.0.1:80", &[2])], Some(("2", "1"))),
            (vec![on("0.0.0.0:80", &[1]), on("127.0.0.1:80", &[2]), on("[::1]:80", &[2])], None),
            (vec![on("[::ffff:127.0.0.1]:80", &[1]), on("[::1]:80", &[2])], Some(("1", "2"))),
            // A server and a child that has inherited its socket.
            (vec![on("127.0.0.1:80", &[1, 2]), on("[::1]:80", &[2])], None),
            // Another interface is no localhost.
            (vec![on("10.0.0.1:80", &[1]), on("[::1]:80", &[2])], None),
        ] {
            let told = split(&occupants).map(|split| (split.v4, split.v6));
            let expected =
                expected.map(|(v4, v6)| (format!("node (pid {v4})"), format!("node (pid {v6})")));
            assert_eq!(told, expected, "{occupants:?}");
        }
    }

    #[test]
    fn only_what_listens_answers_and_the_unknown_may_be_one() {
        use Activity::{Bound, Listening};
        let v4 =
            |activity, user: &str, pids: &[u32]| occupant("127.0.0.1:80", activity, user, pids);
        let v6 = |user: &str, pids: &[u32]| occupant("[::1]:80", Listening, user, pids);
        assert_eq!(split(&[v4(Bound, "ann", &[1]), v6("ann", &[2])]), None);
        assert_eq!(split(&[v4(Listening, "root", &[]), v6("root", &[])]), None);
        let split = split(&[v4(Listening, "root", &[]), v6("ann", &[2])]).unwrap();
        assert_eq!((&*split.v4, &*split.v6), ("a process of user root", "node (pid 2)"));
    }
}
