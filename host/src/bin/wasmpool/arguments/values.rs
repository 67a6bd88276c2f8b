//! How single values are read: times, sizes, names. Each error says what would be right.

#![forbid(unsafe_code)]

use std::ffi::OsString;
#[cfg(feature = "metrics")]
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::str::FromStr;

pub use wasmpool::batch::units::{size, time, time_or_none};

/// A stack's size, which is kept in 32 bits and takes address space for each instance.
pub fn stack(text: &str) -> Result<u32, String> {
    const STACK_BYTES: std::ops::RangeInclusive<u64> = 16 << 10..=1 << 30;
    let bytes = size(text)?;
    let fits = u32::try_from(bytes).ok().filter(|_| STACK_BYTES.contains(&bytes));
    fits.ok_or_else(|| "a stack has from 16KiB to 1GiB".to_owned())
}

/// `ADDRESS:PORT`, or `PORT` of this machine.
#[cfg(feature = "metrics")]
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    let of_port = port.parse().ok().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let wrong = "write a port of this machine, or ADDRESS:PORT, such as 9100, 0.0.0.0:9100 or [::1]:9100";
    of_port.or_else(|| text.parse().ok()).ok_or_else(|| wrong.to_owned())
}

/// A number of things of which there must be one at least.
pub fn count<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "write a whole number, at least 1".to_owned())
}

/// A number of CPUs, parts of one included.
pub fn cpus(text: &str) -> Result<f64, String> {
    let cpus = text.parse().ok().filter(|cpus: &f64| cpus.is_finite() && *cpus > 0.0);
    cpus.ok_or_else(|| "write a number of CPUs, more than none, such as 2 or 0.5".to_owned())
}

/// `NAME=VALUE`.
pub fn keyword(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// `NAME` or `NAME:CAPACITY`.
pub fn name_and_capacity(text: &str) -> Result<(String, Option<u32>), String> {
    let Some((name, capacity)) = text.split_once(':') else { return Ok((text.to_owned(), None)) };
    let capacity =
        capacity.parse().map_err(|_| "write NAME or NAME:CAPACITY, such as jobs:100".to_owned())?;
    Ok((name.to_owned(), Some(capacity)))
}

/// `NAME:N`.
pub fn name_and_count(text: &str) -> Result<(String, u32), String> {
    let split = text.split_once(':').and_then(|(name, count)| Some((name, count.parse().ok()?)));
    let (name, count) = split.ok_or_else(|| "write NAME:N, such as seats:4".to_owned())?;
    Ok((name.to_owned(), count))
}

/// What stands before a negative number that clap would take for an option. No command line can contain it
/// by accident: it is not UTF-8.
const MARK: &[u8] = b"\xff-";

/// clap knows `-5` and `-1.5e3` as numbers, but not `-1e-3` and `-1E+3`: those are marked before it reads
/// them, and given back by [`unmark_negative_numbers`].
pub fn mark_negative_numbers(words: &mut [OsString]) {
    for word in words {
        let is_number =
            |text: &str| text.starts_with('-') && serde_json::from_str::<serde_json::Number>(text).is_ok();
        if word.to_str().is_some_and(|text| is_number(text) && text.contains(['+', 'e', 'E'])) {
            *word = OsString::from_vec([MARK, word.as_bytes()].concat());
        }
    }
}

/// Takes the marks away.
pub fn unmark_negative_numbers(words: &mut [OsString]) {
    for word in words {
        if let Some(number) = word.as_bytes().strip_prefix(MARK) {
            *word = OsString::from_vec(number.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(time("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(time("2").unwrap_err().contains("2s"));
        assert!(time("0s").is_err());
        assert_eq!(time_or_none("0"), Ok(Duration::ZERO));
        assert_eq!(time_or_none("2s"), Ok(Duration::from_secs(2)));
    }

    #[test]
    fn sizes_may_have_units() {
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert!(size("many").is_err());
        assert!(size("0").is_err());
    }

    #[test]
    fn a_count_is_one_at_least() {
        use std::num::NonZeroU32;
        assert_eq!(count::<NonZeroU32>("3").map(NonZeroU32::get), Ok(3));
        for wrong in ["0", "-1", "1.5", "", "many", "4294967296"] {
            assert_eq!(
                count::<NonZeroU32>(wrong).unwrap_err(),
                "write a whole number, at least 1",
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_keyword_is_split_at_its_first_equals_sign() {
        assert_eq!(keyword("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(keyword("a="), Ok(("a".to_owned(), String::new())));
        assert!(keyword("=1").is_err());
        assert!(keyword("a").is_err());
    }

    #[test]
    fn names_have_numbers_behind_a_colon() {
        assert_eq!(name_and_capacity("jobs"), Ok(("jobs".to_owned(), None)));
        assert_eq!(name_and_capacity("jobs:5"), Ok(("jobs".to_owned(), Some(5))));
        assert_eq!(name_and_count("seats:0"), Ok(("seats".to_owned(), 0)));
        for wrong in ["jobs:", "jobs:x", "jobs:-1", "jobs:1:2", "jobs:4294967296"] {
            assert!(name_and_capacity(wrong).unwrap_err().contains("jobs:100"), "{wrong}");
            assert!(name_and_count(wrong).is_err(), "{wrong}");
        }
        assert!(name_and_count("seats").unwrap_err().contains("seats:4"));
    }

    #[test]
    fn marks_come_and_go() {
        let words: Vec<OsString> = ["-1e-3", "-5", "-x", "-1E+3", "e-1"].map(OsString::from).to_vec();
        let mut marked = words.clone();
        mark_negative_numbers(&mut marked);
        assert_eq!(marked.iter().filter(|word| word.to_str().is_none()).count(), 2);
        unmark_negative_numbers(&mut marked);
        assert_eq!(marked, words);
    }
}
