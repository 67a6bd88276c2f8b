//! What the progress display says: lines of text from how a batch stands. No terminal is asked here.

#![forbid(unsafe_code)]

use std::time::Duration;

use wasmpool::batch::live::{RunningTask, Status};
use wasmpool::report::terminal;

/// Lines of tasks below the bar.
const TASK_LINES_MAX: usize = 4;
/// While no more tasks run, their own progress is worth a line each.
const FEW: usize = 4;
/// Columns between the bar's brackets.
const BARS: [usize; 3] = [30, 20, 10];
/// Fewer inputs than this in a second are told with a fraction.
const FAST: f64 = 100.0;

/// The bar and the tasks below it, for a terminal of this size.
pub fn block(status: &Status, columns: usize, rows: usize) -> Vec<String> {
    // The last column stays free: a cursor behind it would be in no line or the next, as the terminal likes.
    let width = columns.saturating_sub(1).max(1);
    let mut lines = vec![cut(&bar_line(status, width), width)];
    let room = rows.saturating_sub(2).min(TASK_LINES_MAX);
    let (tasks, more) = shown_tasks(status, room);
    lines.extend(tasks.iter().map(|task| cut(&task_line(task, width), width)));
    if more > 0 && room > 0 {
        lines.push(cut(&format!("  and {more} more that take long"), width));
    }
    lines
}

/// One line of text for a file or a pipe.
pub fn line(status: &Status) -> String {
    let mut parts = vec![match status.total {
        Some(total) => format!("{} of {total} done", status.done()),
        None => format!("{} done", status.done()),
    }];
    parts.extend(numbers(status));
    parts.extend(status.left.map(|left| format!("about {} left", time(left))));
    if let Some(task) = status.running.first() {
        let progress = steps(task).map(|steps| format!(" at {steps}")).unwrap_or_default();
        let (name, age) = (terminal::one_line(&task.name), time(task.age));
        parts.push(format!("{} running, `{name}` for {age}{progress}", status.running.len()));
    }
    format!("after {}: {}", time(status.elapsed), parts.join(", "))
}

/// The longest form that fits.
fn bar_line(status: &Status, width: usize) -> String {
    let Some(total) = status.total else { return count_line(status) };
    let left = status.left.map(|left| format!("{} left", time(left)));
    let place = format!("{}/{total}", status.done());
    let mut parts = vec![place.clone()];
    parts.extend(numbers(status));
    parts.extend(left.clone());
    let text = parts.join(", ");
    let elapsed = time(status.elapsed);
    let with_bar = |columns: &usize| format!("{elapsed} [{}] {text}", bar(status.done(), total, *columns));
    let short: Vec<String> = [Some(place), failures(status), left].into_iter().flatten().collect();
    let without = [format!("{elapsed} {text}"), text.clone(), short.join(", ")];
    let mut forms = BARS.iter().map(with_bar).chain(without);
    forms.find(|form| form.chars().count() <= width).unwrap_or_else(|| short.join(", "))
}

fn count_line(status: &Status) -> String {
    let mut parts = vec![format!("{} {} done", time(status.elapsed), status.done())];
    parts.extend(numbers(status));
    parts.join(", ")
}

fn numbers(status: &Status) -> impl Iterator<Item = String> {
    let rate = rate(status.rate);
    let retries = (status.counts.retries > 0).then(|| format!("{} retried", status.counts.retries));
    failures(status).into_iter().chain(retries).chain([rate])
}

/// Inputs in a second, or in a minute where that is less than one.
fn rate(rate: f64) -> String {
    match rate {
        fast if fast >= FAST => format!("{fast:.0}/s"),
        slow if slow > 0.0 && slow < 1.0 => format!("{:.1}/min", slow * 60.0),
        other => format!("{other:.1}/s"),
    }
}

fn failures(status: &Status) -> Option<String> {
    let failed = status.counts.failed();
    (failed > 0).then(|| format!("{failed} failed"))
}

fn bar(done: u64, total: u64, columns: usize) -> String {
    let part = if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) };
    let full = (part * columns as f64) as usize;
    let head = if full < columns { ">" } else { "" };
    format!("{:-<columns$}", format!("{}{head}", "=".repeat(full)))
}

/// The slow tasks, or the few that run if one of them tells how far it is; and how many there is no room for.
fn shown_tasks(status: &Status, room: usize) -> (Vec<&RunningTask>, usize) {
    let slow: Vec<_> = status.slow().collect();
    let are_few = status.running.len() <= FEW && status.running.iter().any(|task| task.progress.is_some());
    if slow.is_empty() && are_few {
        let telling = status.running.iter().filter(|task| task.progress.is_some());
        return (telling.take(room).collect(), 0);
    }
    let fit = if slow.len() > room { room.saturating_sub(1) } else { slow.len() };
    let more = slow.len() - fit;
    (slow.into_iter().take(fit).collect(), more)
}

fn task_line(task: &RunningTask, width: usize) -> String {
    let attempt = if task.attempt > 1 { format!(", attempt {}", task.attempt) } else { String::new() };
    let steps = steps(task).map(|steps| format!(", {steps}")).unwrap_or_default();
    let told = format!(" {}{steps}{attempt}", time(task.age));
    let room = width.saturating_sub(2 + told.chars().count()).max(8);
    format!("  {}{told}", cut(&terminal::one_line(&task.name), room))
}

/// How far a guest says that it is.
pub fn steps(task: &RunningTask) -> Option<String> {
    let (done, total) = task.progress?;
    Some(total.map_or_else(|| format!("{done} steps"), |total| format!("{done}/{total}")))
}

/// At most this many characters, and a sign where more were.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('~');
    cut
}

/// `7s`, `3m02s`, `5h07m`, `3d04h`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        86400..8_640_000 => format!("{}d{:02}h", seconds / 86400, seconds / 3600 % 24),
        _ => "months".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn task(name: &str, age: u64, progress: Option<(u64, Option<u64>)>) -> RunningTask {
        let (name, age) = (name.into(), seconds(age));
        RunningTask { name, seq: Some(1), attempt: 1, pid: Some(7), worker: 1, age, progress }
    }

    fn status(done: u64, total: Option<u64>) -> Status {
        let mut counts = wasmpool::batch::live::Counts { ended: done, succeeded: done, ..Default::default() };
        counts.succeeded -= u64::from(done > 0);
        Status {
            elapsed: seconds(72),
            total,
            counts,
            rate: 20.53,
            left: Some(seconds(182)),
            running: Vec::new(),
        }
    }

    #[test]
    fn the_line_takes_the_form_that_fits_the_terminal() {
        let status = status(1234, Some(5000));
        let rows = [
            (120, "1m12s [=======>----------------------] 1234/5000, 1 failed, 20.5/s, 3m02s left"),
            (70, "1m12s [====>---------------] 1234/5000, 1 failed, 20.5/s, 3m02s left"),
            (60, "1m12s [==>-------] 1234/5000, 1 failed, 20.5/s, 3m02s left"),
            (50, "1m12s 1234/5000, 1 failed, 20.5/s, 3m02s left"),
            (39, "1234/5000, 1 failed, 3m02s left"),
            (20, "1234/5000, 1 faile~"),
            (1, "~"),
        ];
        for (columns, expected) in rows {
            assert_eq!(block(&status, columns, 24), [expected], "{columns}");
        }
        assert_eq!(block(&self::status(7, None), 80, 24), ["1m12s 7 done, 1 failed, 20.5/s"]);
        assert!(block(&self::status(0, Some(0)), 80, 24)[0].contains("=====] 0/0"));
    }

    #[test]
    fn slow_tasks_stand_below_with_their_age_and_their_own_progress() {
        let mut status = status(0, Some(9));
        status.running = vec![
            task("resize#1", 65, Some((12, Some(40)))),
            task("b\x1b[2J\nc", 7, None),
            task("fast", 1, None),
        ];
        assert_eq!(block(&status, 80, 24)[1..], ["  resize#1 1m05s, 12/40", "  b\\nc 7s"]);
        assert_eq!(block(&status, 21, 24)[1..], ["  resize#1 1m05s, 1~", "  b\\nc 7s"]);
        status.running = (0..9).map(|number| task(&format!("t{number}"), 99, None)).collect();
        let lines = block(&status, 80, 24);
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[4], "  and 6 more that take long");
        assert_eq!(block(&status, 80, 2).len(), 1, "a terminal of two rows has no room for them");
    }

    #[test]
    fn what_few_tasks_tell_is_shown_before_they_are_slow() {
        let mut status = status(0, Some(2));
        status.running = vec![task("a", 1, Some((3, None))), task("b", 0, None)];
        assert_eq!(block(&status, 80, 24)[1..], ["  a 1s, 3 steps"]);
        status.running = (0..5).map(|_| task("a", 1, Some((3, None)))).collect();
        assert_eq!(block(&status, 80, 24).len(), 1);
    }

    #[test]
    fn a_line_for_a_file_says_it_in_words() {
        let mut status = status(12, Some(40));
        status.counts.retries = 2;
        status.running = vec![task("resize#3", 31, Some((5, Some(6))))];
        let expected = "after 1m12s: 12 of 40 done, 1 failed, 2 retried, 20.5/s, about 3m02s left, 1 running, `resize#3` for 31s at 5/6";
        assert_eq!(line(&status), expected);
    }

    #[test]
    fn rates_are_told_in_the_unit_that_says_something() {
        let rows = [(0.0, "0.0/s"), (0.1, "6.0/min"), (1.0, "1.0/s"), (99.94, "99.9/s"), (1234.5, "1234/s")];
        for (given, expected) in rows {
            assert_eq!(rate(given), expected);
        }
    }

    #[test]
    fn times_have_two_units() {
        let rows =
            [(0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (18420, "5h07m"), (273_600, "3d04h")];
        for (given, expected) in rows {
            assert_eq!(time(seconds(given)), expected);
        }
        assert_eq!(time(Duration::MAX), "months");
    }
}
