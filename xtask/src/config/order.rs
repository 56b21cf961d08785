//! Which service comes before which.

use super::Service;
use super::toml::{Value, nearest};
use crate::failure::{Failure, Kind};

/// A service that has been read, before the names it depends on are looked up.
pub(super) struct Named<'a> {
    pub(super) service: Service,
    /// The names, each with its place.
    pub(super) depends_on: Vec<Value<'a>>,
}

/// Puts every service behind those it depends on; otherwise the order of the file stays.
pub(super) fn in_order(named: Vec<Named<'_>>) -> Result<Vec<Service>, Failure> {
    let names: Vec<String> = named.iter().map(|named| named.service.name.clone()).collect();
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(named.len());
    for Named { depends_on, .. } in &named {
        needs.push(depends_on.iter().map(|name| place_of(name, &names)).collect::<Result<_, _>>()?);
    }
    let mut order: Vec<usize> = Vec::with_capacity(named.len());
    while order.len() < named.len() {
        let is_next = |place: &usize| {
            !order.contains(place) && needs[*place].iter().all(|need| order.contains(need))
        };
        let Some(next) = (0..named.len()).find(is_next) else {
            return Err(cycle(&named, &names, &needs, &order));
        };
        order.push(next);
    }
    let new_place = |old: &usize| order.iter().position(|place| place == old);
    let mut services: Vec<Option<Service>> =
        named.into_iter().map(|named| Some(named.service)).collect();
    let ordered = order.iter().filter_map(|&place| {
        let service = services[place].take()?;
        Some(Service { depends_on: needs[place].iter().filter_map(new_place).collect(), ..service })
    });
    Ok(ordered.collect())
}

fn place_of(name: &Value<'_>, names: &[String]) -> Result<usize, Failure> {
    let text = name.string()?;
    let place = names.iter().position(|known| known == text);
    place.ok_or_else(|| name.error(format!("there is no service `{text}`"), nearest(text, names)))
}

fn cycle(named: &[Named<'_>], names: &[String], needs: &[Vec<usize>], done: &[usize]) -> Failure {
    // Every service that is left needs one that is left: following them must come back somewhere.
    let mut path: Vec<usize> = Vec::new();
    let mut at = (0..named.len()).find(|place| !done.contains(place)).unwrap_or_default();
    while !path.contains(&at) {
        path.push(at);
        at = needs[at].iter().copied().find(|need| !done.contains(need)).unwrap_or(at);
    }
    let start = path.iter().position(|place| *place == at).unwrap_or_default();
    let circle: Vec<&str> =
        path[start..].iter().chain([&at]).map(|place| names[*place].as_str()).collect();
    let message = format!("services wait for each other: {}", circle.join(" → "));
    let hint = "take one of these out of a `depends-on`";
    let link = needs[at].iter().position(|need| !done.contains(need)).unwrap_or_default();
    match named[at].depends_on.get(link) {
        Some(value) => value.error(message, hint),
        None => Failure::new(Kind::Usage, message, hint),
    }
}
