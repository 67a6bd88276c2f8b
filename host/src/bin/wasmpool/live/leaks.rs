//! Says once for each task of a name what it leaves held.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use wasmpool::batch::watchers::Watcher;
use wasmpool::report::terminal;
use wasmpool::{AttemptEvent, Leak};

/// Different warnings; what comes after them is in the records alone.
const WARNINGS_MAX: usize = 100;

/// What was said.
#[derive(Debug, Default)]
pub struct Leaks(Mutex<BTreeSet<(String, String)>>);

impl Watcher for Leaks {
    fn attempt(&self, event: &AttemptEvent) {
        if let AttemptEvent::Ended { record, .. } = event {
            record
                .leaks
                .iter()
                .filter(|leak| self.is_told_first(&record.name, leak))
                .for_each(|leak| warn(&record.name, leak));
        }
    }
}

impl Leaks {
    fn is_told_first(&self, name: &str, leak: &Leak) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = (kind_of_task(name).to_owned(), leak.object.clone());
        told.len() < WARNINGS_MAX && told.insert(row)
    }
}

/// The name without the number of the input: `resize` of `resize#7`.
fn kind_of_task(name: &str) -> &str {
    let numbered =
        name.rsplit_once('#').filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    numbered.map_or(name, |(kind, _)| kind)
}

/// Says that a task left something held.
pub fn warn(name: &str, leak: &Leak) {
    tracing::warn!(task = %terminal::one_line(name), "{leak} when the task ended; it was given back");
}

#[cfg(test)]
mod tests {
    use wasmpool::outcome::Held;

    use super::*;

    #[test]
    fn each_kind_of_task_is_told_once_for_each_object() {
        let leaks = Leaks::default();
        let leak = |object: &str| Leak { object: object.to_owned(), kind: "lock", what: Held::Lock };
        let rows = [
            ("a#1", "x", true),
            ("a#2", "x", false),
            ("a#2", "y", true),
            ("b#c", "x", true),
            ("b#d", "x", true),
        ];
        for (name, object, expected) in rows {
            assert_eq!(leaks.is_told_first(name, &leak(object)), expected, "{name} {object}");
        }
        (0..1000).for_each(|number| _ = leaks.is_told_first("c", &leak(&number.to_string())));
        assert_eq!(leaks.0.lock().unwrap().len(), WARNINGS_MAX);
    }
}
