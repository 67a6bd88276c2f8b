//! The queues, locks and the like of one command, made from its options.
//!
//! As long as this program holds one of them outside of its tasks, it counts as able to act on it, and a wait for
//! it is no deadlock. So nothing here is kept longer than until the tasks are made.

#![forbid(unsafe_code)]

use std::fmt;

use bytes::Bytes;
use wasmpool::Task;
use wasmpool::limits::GRANTS_MAX;
use wasmpool::sync::{Barrier, Event, Grant, Lock, Queue, Semaphore, SyncError};

use crate::arguments::SharedOptions;
use crate::failure::Failure;

/// What was made.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Each with the option that named it.
    objects: Vec<(&'static str, Grant)>,
    queues: Vec<Queue<Bytes>>,
}

impl Shared {
    /// Makes everything that the options name.
    ///
    /// # Errors
    ///
    /// Code `usage` for a wrong or repeated name, a wrong number, or too many objects.
    pub fn make(options: &SharedOptions, usage: u8) -> Result<Self, Failure> {
        let mut shared = Self::default();
        for (name, capacity) in &options.queues {
            let mut builder = Queue::builder().name(name);
            if let Some(capacity) = capacity {
                builder = builder.capacity(*capacity);
            }
            let queue = shared.add("--queue", name, builder.build_raw(), usage)?;
            shared.queues.push(queue);
        }
        for name in &options.locks {
            shared.add("--lock", name, Lock::named(name), usage)?;
        }
        for (name, permits) in &options.semaphores {
            shared.add("--semaphore", name, Semaphore::named(name, *permits), usage)?;
        }
        for name in &options.events {
            shared.add("--event", name, Event::named(name), usage)?;
        }
        for (name, parties) in &options.barriers {
            shared.add("--barrier", name, Barrier::named(name, *parties), usage)?;
        }
        Ok(shared)
    }

    fn add<T>(
        &mut self,
        option: &'static str,
        name: &str,
        made: Result<T, SyncError>,
        usage: u8,
    ) -> Result<T, Failure>
    where
        for<'a> Grant: From<&'a T>,
    {
        let wrong = |reason: &dyn fmt::Display| Failure::new(usage, format!("{option} {name}: {reason}"));
        let made = made.map_err(|error| wrong(&error))?;
        if let Some((other, _)) = self.objects.iter().find(|(_, grant)| grant.name() == name) {
            return Err(wrong(&format!("{other} has that name already")));
        }
        if self.objects.len() == GRANTS_MAX {
            return Err(wrong(&format!("there may be {GRANTS_MAX} queues, locks and the like in all")));
        }
        self.objects.push((option, Grant::from(&made)));
        Ok(made)
    }

    /// The queue that `option` names.
    ///
    /// # Errors
    ///
    /// Code `usage` when there is none of that name.
    pub fn queue(&self, option: &str, name: &str, usage: u8) -> Result<Queue<Bytes>, Failure> {
        if let Some(queue) = self.queues.iter().find(|queue| queue.name() == name) {
            return Ok(queue.clone());
        }
        let known: Vec<&str> = self.queues.iter().map(Queue::name).collect();
        let hint = match known.as_slice() {
            [] => format!("add --queue {name}"),
            known => format!("the queues are {}", known.join(", ")),
        };
        Err(Failure::new(usage, format!("{option} {name}: no --queue has that name; {hint}")))
    }

    /// The task with everything granted.
    pub fn grant_all(self, task: Task) -> Task {
        self.objects.into_iter().fold(task, |task, (_, grant)| task.grant(grant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(names: &[&str]) -> SharedOptions {
        let queues = names.iter().map(|&name| (name.to_owned(), None)).collect();
        SharedOptions { queues, ..SharedOptions::default() }
    }

    fn error(options: &SharedOptions) -> String {
        let failure = Shared::make(options, 2).unwrap_err();
        assert_eq!(failure.code, 2);
        failure.to_string()
    }

    #[test]
    fn a_name_is_given_once_over_all_kinds() {
        let options = SharedOptions { locks: vec!["a".to_owned()], ..queues(&["b", "a"]) };
        assert_eq!(error(&options), "--lock a: --queue has that name already");
        assert_eq!(error(&queues(&["a", "a"])), "--queue a: --queue has that name already");
    }

    #[test]
    fn what_cannot_be_made_is_said_with_its_option() {
        assert!(error(&queues(&["a b"])).starts_with("--queue a b: out of range: a name has"));
        let barriers = vec![("b".to_owned(), 0)];
        let options = SharedOptions { barriers, ..SharedOptions::default() };
        assert!(error(&options).starts_with("--barrier b: out of range"), "{}", error(&options));
        let events = (0..=GRANTS_MAX).map(|number| format!("e{number}")).collect();
        let options = SharedOptions { events, ..SharedOptions::default() };
        assert_eq!(error(&options), "--event e64: there may be 64 queues, locks and the like in all");
    }

    #[test]
    fn a_queue_that_is_not_there_is_answered_with_those_that_are() {
        let shared = Shared::make(&queues(&["jobs", "found"]), 2).unwrap();
        assert_eq!(shared.queue("--feed", "jobs", 2).unwrap().name(), "jobs");
        let error = shared.queue("--feed", "job", 2).unwrap_err().to_string();
        assert_eq!(error, "--feed job: no --queue has that name; the queues are jobs, found");
        let error = Shared::default().queue("--drain", "out", 2).unwrap_err().to_string();
        assert_eq!(error, "--drain out: no --queue has that name; add --queue out");
    }
}
