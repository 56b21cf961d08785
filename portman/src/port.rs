//! Port numbers, ranges of them, and the ports nobody should be given.

use std::fmt;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A TCP port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

impl Port {
    /// The lowest port.
    pub const FIRST: Self = Self(NonZeroU16::MIN);
    /// The highest port.
    pub const LAST: Self = Self(NonZeroU16::MAX);

    /// The port of this number; none for 0, which means "any".
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number, 1 to 65535.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// Browsers refuse to open this port, so no page can be shown on it.
    ///
    /// Source: the WHATWG Fetch standard, "bad port".
    pub fn is_bad_for_browsers(self) -> bool {
        BROWSERS_REFUSE.binary_search(&self.get()).is_ok()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not a port or a range of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct PortError {
    /// What was given.
    pub text: String,
    /// What it should have been.
    pub expected: &'static str,
}

impl FromStr for Port {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let number = text.parse().ok().and_then(Self::new);
        number.ok_or_else(|| PortError { text: text.to_owned(), expected: "a port, 1 to 65535" })
    }
}

/// Ports from `first` to `last`, both included; written `8000-8099`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: Port,
    last: Port,
}

impl PortRange {
    /// The range from `first` to `last`; none when it would be empty.
    pub const fn new(first: Port, last: Port) -> Option<Self> {
        if first.get() <= last.get() { Some(Self { first, last }) } else { None }
    }

    /// Is `port` one of them?
    pub fn contains(self, port: Port) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Every port of the range, lowest first.
    pub fn iter(self) -> impl Iterator<Item = Port> {
        numbers(self.first.get()..=self.last.get())
    }
}

impl FromStr for PortRange {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let ends = text.split_once('-');
        let range = ends.and_then(|(first, last)| {
            Self::new(first.trim().parse().ok()?, last.trim().parse().ok()?)
        });
        range.ok_or_else(|| PortError {
            text: text.to_owned(),
            expected: "a range of ports such as `8000-8099`",
        })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// The ports with these numbers; 0 is passed over.
pub(crate) fn numbers(numbers: RangeInclusive<u16>) -> impl Iterator<Item = Port> {
    numbers.filter_map(Port::new)
}

/// The Fetch standard's list without 0, in order (see [`Port::is_bad_for_browsers`]).
const BROWSERS_REFUSE: [u16; 82] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
    103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
    512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
    995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 10080,
];

#[cfg(test)]
mod tests {
    use super::{BROWSERS_REFUSE, Port, PortRange};

    #[test]
    fn a_port_is_1_to_65535() {
        assert_eq!("8000".parse::<Port>().unwrap().get(), 8000);
        for text in ["0", "65536", "70000", "-1", "8000a", ""] {
            let error = text.parse::<Port>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a port, 1 to 65535"));
        }
    }

    #[test]
    fn a_range_has_both_ends() {
        let range = "8000-8002".parse::<PortRange>().unwrap();
        assert_eq!(range.iter().map(Port::get).collect::<Vec<_>>(), [8000, 8001, 8002]);
        assert!(range.contains(Port::new(8002).unwrap()));
        assert!(!range.contains(Port::new(8003).unwrap()));
        for text in ["8002-8000", "8000", "0-5", "1-70000"] {
            assert!(text.parse::<PortRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_browsers_list_can_be_searched() {
        assert!(BROWSERS_REFUSE.is_sorted());
        assert!(Port::new(6000).unwrap().is_bad_for_browsers());
        assert!(!Port::new(8000).unwrap().is_bad_for_browsers());
    }
}
