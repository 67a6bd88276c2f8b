//! What the page shows of all attempts, however many there were: histograms with a logarithmic axis, and who was busy when.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::limits::{REPORT_COLUMNS, REPORT_SLOTS_MAX};
use crate::report::seen::{Class, Span};

/// How many there are of each class.
pub type Counts = [u64; Class::ALL.len()];

/// Counts by size: `per_decade` bars between a size and ten times as much.
#[derive(Debug)]
pub struct Histogram {
    per_decade: f64,
    bars: BTreeMap<i32, Counts>,
    max: u64,
}

impl Histogram {
    pub fn new(per_decade: u8) -> Self {
        Self { per_decade: f64::from(per_decade), bars: BTreeMap::new(), max: 0 }
    }

    pub fn add(&mut self, size: u64, class: Class) {
        #[expect(clippy::cast_precision_loss, reason = "a bar is wider than what is lost")]
        let exponent = (size.max(1) as f64).log10() * self.per_decade;
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm of 64 bits is small")]
        let bar = exponent.floor() as i32;
        self.bars.entry(bar).or_default()[class as usize] += 1;
        self.max = self.max.max(size);
    }

    /// The bars between the first and the last, empty ones included: where each begins and ends, and its counts.
    pub fn json(&self) -> Value {
        let (Some((first, _)), Some((last, _))) = (self.bars.first_key_value(), self.bars.last_key_value())
        else {
            return json!({ "bars": [], "max": 0 });
        };
        let size = |bar: i32| 10_f64.powf(f64::from(bar) / self.per_decade);
        let bar = |bar: i32| {
            let counts = self.bars.get(&bar).copied().unwrap_or_default();
            json!([size(bar), size(bar + 1), counts])
        };
        json!({ "bars": (*first..=*last).map(bar).collect::<Vec<_>>(), "max": self.max })
    }
}

/// One slot in one column.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    busy: Duration,
    ended: u32,
    failed: u32,
}

/// Which slot was busy when, in a fixed number of columns. What is longer than they reach makes them twice as wide.
#[derive(Debug)]
pub struct Grid {
    step: Duration,
    slots: Vec<Vec<Cell>>,
    /// The largest peak of memory of what ended there.
    memory: Vec<u64>,
}

impl Grid {
    pub fn new() -> Self {
        Self { step: Duration::from_micros(100), slots: Vec::new(), memory: vec![0; REPORT_COLUMNS] }
    }

    pub fn add(&mut self, span: Span, class: Class, memory: Option<u64>) {
        while self.column(span.end) >= REPORT_COLUMNS {
            self.widen();
        }
        let (first, last) = (self.column(span.start), self.column(span.end));
        self.memory[last] = self.memory[last].max(memory.unwrap_or(0));
        if span.slot >= REPORT_SLOTS_MAX {
            return;
        }
        if self.slots.len() <= span.slot {
            self.slots.resize(span.slot + 1, vec![Cell::default(); REPORT_COLUMNS]);
        }
        let (step, cells) = (self.step, &mut self.slots[span.slot]);
        for (cell, column) in cells[first..=last].iter_mut().zip(first..) {
            let begin = step * u32::try_from(column).unwrap_or(u32::MAX);
            cell.busy += span.end.min(begin + step).saturating_sub(span.start.max(begin));
        }
        cells[last].ended += 1;
        cells[last].failed += u32::from(class.is_failure());
    }

    fn column(&self, time: Duration) -> usize {
        usize::try_from(time.as_nanos() / self.step.as_nanos()).unwrap_or(usize::MAX)
    }

    fn widen(&mut self) {
        self.step *= 2;
        for cells in &mut self.slots {
            halve(cells, |one, other| Cell {
                busy: one.busy + other.busy,
                ended: one.ended + other.ended,
                failed: one.failed + other.failed,
            });
        }
        halve(&mut self.memory, u64::max);
    }

    pub fn json(&self) -> Value {
        let busy = |cell: &Cell| (cell.busy.as_secs_f64() / self.step.as_secs_f64() * 100.0).round();
        let slot = |cells: &Vec<Cell>| {
            json!({
                "busy": cells.iter().map(busy).collect::<Vec<_>>(),
                "ended": cells.iter().map(|cell| cell.ended).collect::<Vec<_>>(),
                "failed": cells.iter().map(|cell| cell.failed).collect::<Vec<_>>(),
            })
        };
        json!({
            "step_ms": self.step.as_secs_f64() * 1e3,
            "slots": self.slots.iter().map(slot).collect::<Vec<_>>(),
            "memory": self.memory,
        })
    }
}

/// Puts each two neighbours together, into the first half.
fn halve<T: Copy + Default>(columns: &mut [T], together: impl Fn(T, T) -> T) {
    let half = columns.len() / 2;
    for column in 0..half {
        columns[column] = together(columns[2 * column], columns[2 * column + 1]);
    }
    columns[half..].fill(T::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_every_bar_between_its_ends() {
        let mut histogram = Histogram::new(1);
        [1, 5, 12, 99, 20_000].iter().for_each(|size| histogram.add(*size, Class::Passed));
        histogram.add(13, Class::Crashed);
        let json = histogram.json();
        let bars = json["bars"].as_array().unwrap();
        assert_eq!(bars.len(), 5);
        assert_eq!(bars[1], json!([10.0, 100.0, [2, 0, 0, 1, 0, 0]]));
        assert_eq!((&bars[2][2], &json["max"]), (&json!([0, 0, 0, 0, 0, 0]), &json!(20_000)));
        assert_eq!(Histogram::new(4).json()["bars"], json!([]));
    }

    #[test]
    fn a_grid_keeps_its_size_and_the_time_that_was_busy() {
        let mut grid = Grid::new();
        let span = |slot, start, end| Span {
            slot,
            start: Duration::from_millis(start),
            end: Duration::from_millis(end),
        };
        grid.add(span(0, 0, 3), Class::Passed, Some(7));
        grid.add(span(1, 1, 100_000), Class::Failed, None);
        grid.add(span(REPORT_SLOTS_MAX, 0, 1), Class::Passed, Some(9));
        let all = |slot: usize| grid.slots[slot].iter().map(|cell| cell.busy).sum::<Duration>();
        assert_eq!((all(0), all(1)), (Duration::from_millis(3), Duration::from_millis(99_999)));
        let failed: u32 = grid.slots[1].iter().map(|cell| cell.failed).sum();
        assert_eq!((grid.slots.len(), failed, grid.memory[0]), (2, 1, 9));
        assert!(grid.slots.iter().all(|cells| cells.len() == REPORT_COLUMNS));
    }
}
