//! How times and sizes are written, on the command line and in manifests.

#![forbid(unsafe_code)]

use std::time::Duration;

use bytesize::ByteSize;

/// A time such as `300ms`, `2s`, `1m 30s`, longer than zero.
///
/// # Errors
///
/// What would be right.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|_| "write a time with its unit, such as 300ms, 2s or 1m30s".to_owned())?;
    if time.is_zero() { Err("it must be longer than zero".to_owned()) } else { Ok(time) }
}

/// A time, or `0` for none.
///
/// # Errors
///
/// What would be right.
pub fn time_or_none(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => time(text),
    }
}

/// A number of bytes such as `64MiB`, `2GB` or `65536`, from 1.
///
/// # Errors
///
/// What would be right.
pub fn size(text: &str) -> Result<u64, String> {
    let ByteSize(bytes) = text
        .parse()
        .map_err(|_| "write a number of bytes, with a unit if you like: 65536, 64KiB, 2GiB".to_owned())?;
    if bytes == 0 { Err("it must be more than zero".to_owned()) } else { Ok(bytes) }
}

/// A number of bytes as [`size`] reads it, in the largest unit that gives a whole number.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for (bytes, text) in
            [(1, "1"), (1024, "1KiB"), (1536, "1536"), (64 << 20, "64MiB"), (3 << 30, "3GiB")]
        {
            assert_eq!(size_text(bytes), text);
            assert_eq!(size(text), Ok(bytes));
        }
    }
}
