//! What a process uses, by the kernel's word.

#![forbid(unsafe_code)]

use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// CPU time and resident memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub cpu_time: Duration,
    pub memory_bytes: u64,
}

/// Of a process that lives; `None` when it does not, or may not be looked at.
pub fn of(pid: u32) -> Option<Usage> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
    let ticks = ticks(&read("stat")?)?;
    let pages: u64 = read("statm")?.split(' ').nth(1)?.parse().ok()?;
    let cpu_time = Duration::from_millis(ticks.saturating_mul(1000) / clock_ticks_per_second().max(1));
    Some(Usage { cpu_time, memory_bytes: pages.saturating_mul(page_size() as u64) })
}

/// User and system time in a line of `/proc/PID/stat`, whose second field may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(") ")?;
    let mut fields = behind.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    Some(fields.next()?? + fields.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_lives_has_memory_and_one_that_does_not_has_nothing() {
        assert!(of(std::process::id()).unwrap().memory_bytes > 0);
        assert_eq!(of(u32::MAX), None);
    }

    #[test]
    fn the_name_of_a_program_cannot_move_the_fields() {
        assert_eq!(ticks("1 (a) 9 (b) R 1 1 1 0 -1 4 0 0 0 0 70 8 0 0 20"), Some(78));
        assert_eq!(ticks("nothing"), None);
    }
}
