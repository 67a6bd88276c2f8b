//! Who watches the attempts of a pool: each start and each end, in order, on a thread of its own.
//!
//! The dispatcher never waits for an observer, and nothing that it has to say is dropped: while many events wait, the
//! pool starts nothing more (running attempts go on), so what waits is bounded by what runs. A record goes *through*
//! the observer to its caller: nobody sees how a task ended before the observer did, which is what lets a log
//! be ahead of the results that are printed.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use crate::limits::ATTEMPT_EVENTS_MAX;
use crate::outcome::Record;
use crate::supervisor::call::Answer;
use crate::supervisor::event::{Command, Event, PoolId};
use crate::supervisor::inbox::Inbox;
use crate::supervisor::parking::wait;
use crate::supervisor::pool::Mailbox;

/// Something that happened to an attempt at a task.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptEvent {
    /// Its worker has acknowledged it; the guest's first instruction comes next.
    Started {
        /// The task's number.
        task: u64,
        /// The task's tag ([`Task::tag`](crate::Task::tag)); `None` for a task that a task submitted.
        tag: Option<u64>,
        /// The task's name.
        name: Arc<str>,
        /// 1 for the first try.
        attempt: u32,
        /// The worker's process id.
        pid: Option<u32>,
        /// The worker's number within its supervisor.
        worker: u64,
        /// When that was.
        at: SystemTime,
    },
    /// The guest told how far it is. Of several reports that come faster than they are looked at, the last.
    Progress {
        /// The task's number.
        task: u64,
        /// The task's tag.
        tag: Option<u64>,
        /// Steps done.
        done: u64,
        /// Steps in all.
        total: Option<u64>,
    },
    /// It ended, or never began: then its record has no `started_at`.
    Ended {
        /// How.
        record: Box<Record>,
        /// The next attempt begins to wait for a worker after this time; `None` when this record is the task's.
        retry: Option<Duration>,
    },
}

/// What a pool calls with each event.
pub(super) type OnAttempt = Arc<dyn Fn(&AttemptEvent) + Send + Sync>;

/// The latest progress of an attempt that the observer has not seen.
#[derive(Debug)]
pub(super) struct Unseen {
    task: u64,
    tag: Option<u64>,
    progress: Mutex<Option<(u64, Option<u64>)>>,
}

impl Unseen {
    pub(super) fn new(task: u64, tag: Option<u64>) -> Arc<Self> {
        Arc::new(Self { task, tag, progress: Mutex::new(None) })
    }

    /// Puts a report in; true when there was none.
    fn put(&self, done: u64, total: Option<u64>) -> bool {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).replace((done, total)).is_none()
    }

    fn take(&self) -> Option<AttemptEvent> {
        let (done, total) = self.progress.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(AttemptEvent::Progress { task: self.task, tag: self.tag, done, total })
    }
}

#[derive(Debug)]
pub(super) enum Item {
    Event(AttemptEvent),
    Progress(Arc<Unseen>),
    /// The last record of a task, and who gets it then.
    Last(Box<Record>, Answer),
    /// Everything before this was seen.
    Seen(oneshot::Sender<()>),
    /// Nothing more will come.
    End,
}

/// The observers that have something to look at and were not woken yet.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<Vec<Arc<Mailbox<Item>>>>);

impl Bells {
    fn add(&self, items: &Arc<Mailbox<Item>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(items));
    }

    /// Wakes them.
    pub(super) fn ring(&self) {
        let items = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        items.iter().for_each(|items| items.ring());
    }
}

/// How far the observer is behind.
#[derive(Debug, Default)]
struct Backlog {
    waiting: AtomicUsize,
    /// The dispatcher wants to know when there is room.
    is_asked: AtomicBool,
}

/// The way to the observer of a pool. Dropping it ends the observer's thread.
///
/// The observer is woken by [`Bells::ring`], once for all that happened together.
pub(super) struct Observer {
    items: Arc<Mailbox<Item>>,
    inbox: Arc<Inbox>,
    backlog: Arc<Backlog>,
}

impl Observer {
    /// Starts the observer's thread.
    pub(super) fn start(pool: PoolId, inbox: Arc<Inbox>, on_attempt: OnAttempt) -> io::Result<Arc<Self>> {
        let items = Arc::new(Mailbox::new());
        let backlog = Arc::<Backlog>::default();
        let observer =
            Self { items: Arc::clone(&items), inbox: Arc::clone(&inbox), backlog: Arc::clone(&backlog) };
        let watcher = Watcher { pool, inbox, on_attempt, backlog };
        let thread = std::thread::Builder::new().name("wasmpool-observer".to_owned());
        thread.spawn(move || watcher.watch(&items))?;
        Ok(Arc::new(observer))
    }

    fn push(&self, item: Item) {
        self.backlog.waiting.fetch_add(1, Ordering::SeqCst);
        // The thread lives as long as this end: it catches what a callback panics with.
        if self.items.put(item) {
            self.inbox.bells.add(&self.items);
        }
    }

    /// Wakes the observer: for threads other than the dispatcher's, which rings the bells itself.
    pub(super) fn wake(&self) {
        self.items.ring();
    }

    pub(super) fn started(&self, event: AttemptEvent) {
        self.push(Item::Event(event));
    }

    pub(super) fn progressed(&self, unseen: &Arc<Unseen>, done: u64, total: Option<u64>) {
        if unseen.put(done, total) {
            self.push(Item::Progress(Arc::clone(unseen)));
        }
    }

    /// An attempt ended that is not the last one, or whose record somebody else delivers.
    pub(super) fn ended(&self, record: Box<Record>, retry: Option<Duration>) {
        self.push(Item::Event(AttemptEvent::Ended { record, retry }));
    }

    /// A task ended: its record goes to the observer, then to its caller.
    pub(super) fn last(&self, record: Box<Record>, answer: Answer) {
        self.push(Item::Last(record, answer));
    }

    /// Tells when everything until now was seen.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (seen, told) = oneshot::channel();
        self.push(Item::Seen(seen));
        self.wake();
        told
    }

    /// True while nothing more is to be started. The dispatcher is told when there is room again.
    pub(super) fn is_behind(&self) -> bool {
        let is_full = || self.backlog.waiting.load(Ordering::SeqCst) >= ATTEMPT_EVENTS_MAX;
        is_full() && {
            self.backlog.is_asked.store(true, Ordering::SeqCst);
            // It may have caught up before it could see the question.
            is_full()
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("backlog", &self.backlog).finish_non_exhaustive()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.push(Item::End);
        self.wake();
    }
}

/// Whatever ends the observer's thread: nobody waits for it any more.
struct Closes<'m>(&'m Mailbox<Item>);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Watcher {
    pool: PoolId,
    inbox: Arc<Inbox>,
    on_attempt: OnAttempt,
    backlog: Arc<Backlog>,
}

impl Watcher {
    fn watch(&self, items: &Mailbox<Item>) {
        let _closes = Closes(items);
        let mut arrived = VecDeque::new();
        loop {
            wait(items.arrived(&mut arrived));
            if !arrived.drain(..).all(|item| self.look(item)) {
                return;
            }
        }
    }

    /// Looks at one; false when it is the last.
    fn look(&self, item: Item) -> bool {
        match item {
            Item::Event(event) => self.show(&event),
            Item::Progress(unseen) => {
                if let Some(event) = unseen.take() {
                    self.show(&event);
                }
            }
            Item::Last(record, answer) => {
                let event = AttemptEvent::Ended { record, retry: None };
                self.show(&event);
                if let AttemptEvent::Ended { record, .. } = event {
                    answer.give(record);
                }
            }
            // Who asked may be gone.
            Item::Seen(seen) => drop(seen.send(())),
            Item::End => return false,
        }
        let left = self.backlog.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        if left <= ATTEMPT_EVENTS_MAX / 2 && self.backlog.is_asked.swap(false, Ordering::SeqCst) {
            self.inbox.post(Event::Command(Command::ObserverRoom { pool: self.pool }));
        }
        true
    }

    fn show(&self, event: &AttemptEvent) {
        if catch_unwind(AssertUnwindSafe(|| (self.on_attempt)(event))).is_err() {
            tracing::error!("an observer of attempts panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::mpsc::channel;
    use std::task::{Context, Wake, Waker};

    use super::*;

    #[test]
    fn nothing_more_is_started_while_an_observer_is_behind_and_the_dispatcher_is_told_when_it_is_not() {
        let inbox = Arc::new(Inbox::new().unwrap());
        let (release, blocked) = channel::<()>();
        let blocked = Mutex::new(blocked);
        let seen = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&seen);
        let on_attempt: OnAttempt = Arc::new(move |_| {
            blocked.lock().unwrap().recv().unwrap();
            counting.fetch_add(1, Ordering::SeqCst);
        });
        let observer = Observer::start(5, Arc::clone(&inbox), on_attempt).unwrap();
        for number in 0..ATTEMPT_EVENTS_MAX {
            assert!(!observer.is_behind(), "after {number} events");
            observer.started(AttemptEvent::Progress { task: 1, tag: None, done: 1, total: None });
        }
        assert!(observer.is_behind());
        for _ in 0..ATTEMPT_EVENTS_MAX {
            release.send(()).unwrap();
        }
        observer.flush().blocking_recv().unwrap();
        assert!(!observer.is_behind());
        assert_eq!(seen.load(Ordering::SeqCst), ATTEMPT_EVENTS_MAX);
        let told = inbox.take();
        assert!(matches!(told.front(), Some(Event::Command(Command::ObserverRoom { pool: 5 }))), "{told:?}");
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn nobody_waits_for_an_observer_that_is_gone() {
        /// Somebody whose waker panics, on the observer's thread.
        struct Panics;
        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("on purpose");
            }
        }
        let (release, blocked) = channel::<()>();
        let blocked = Mutex::new(blocked);
        let on_attempt: OnAttempt = Arc::new(move |_| blocked.lock().unwrap().recv().unwrap());
        let inbox = Arc::new(Inbox::new().unwrap());
        let observer = Observer::start(1, Arc::clone(&inbox), on_attempt).unwrap();
        observer.started(AttemptEvent::Progress { task: 1, tag: None, done: 1, total: None });
        let mut seen = std::pin::pin!(observer.flush());
        let waker = Waker::from(Arc::new(Panics));
        assert!(seen.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        release.send(()).unwrap();
        assert!(observer.flush().blocking_recv().is_err());
    }

    #[test]
    fn of_progress_that_comes_faster_than_it_is_looked_at_the_last_is_seen() {
        let (release, blocked) = channel::<()>();
        let blocked = Mutex::new(blocked);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&seen);
        let on_attempt: OnAttempt = Arc::new(move |event| {
            blocked.lock().unwrap().recv().unwrap();
            noting.lock().unwrap().push(event.clone());
        });
        let observer = Observer::start(1, Arc::new(Inbox::new().unwrap()), on_attempt).unwrap();
        let unseen = Unseen::new(1, Some(2));
        // The observer is held up by something else.
        let first = AttemptEvent::Progress { task: 9, tag: None, done: 0, total: None };
        observer.started(first.clone());
        (1..=1000).for_each(|done| observer.progressed(&unseen, done, Some(1000)));
        release.send(()).unwrap();
        release.send(()).unwrap();
        observer.flush().blocking_recv().unwrap();
        let last = AttemptEvent::Progress { task: 1, tag: Some(2), done: 1000, total: Some(1000) };
        assert_eq!(*seen.lock().unwrap(), [first, last]);
    }
}
