//! Tables and properties of the scheduler.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const A: ServerId = 1;
const B: ServerId = 2;

fn scheduler(workers: usize) -> Scheduler {
    Scheduler::new(Staffing { workers, spares: workers, reused: false, ahead: true })
}

fn actions(scheduler: &mut Scheduler) -> Vec<Action> {
    std::iter::from_fn(|| scheduler.next_action()).collect()
}

fn rank(sequence: u64) -> Rank {
    Rank::new(0, sequence)
}

#[test]
fn a_first_task_gets_a_worker_and_the_rest_of_the_pool_is_forked_ahead() {
    let mut pool = scheduler(2);
    pool.enqueue(A, rank(1));
    assert_eq!(actions(&mut pool), [Action::Start { server: A }]);
    pool.started(A, 10);
    let assign = Action::Assign { server: A, rank: rank(1), worker: 10 };
    assert_eq!(actions(&mut pool), [assign, Action::Start { server: A }, Action::Start { server: A }]);
}

#[test]
fn higher_priority_goes_first_and_equals_in_order() {
    let mut pool = scheduler(1);
    for (priority, sequence) in [(0, 1), (0, 2), (5, 3)] {
        pool.enqueue(A, Rank::new(priority, sequence));
    }
    let mut order = Vec::new();
    for worker in 10..13 {
        actions(&mut pool);
        pool.started(A, worker);
        for action in actions(&mut pool) {
            if let Action::Assign { rank, .. } = action {
                order.push(rank);
            }
        }
        pool.released(A, None);
    }
    actions(&mut pool);
    assert_eq!(order, [Rank::new(5, 3), Rank::new(0, 1), Rank::new(0, 2)]);
}

#[test]
fn a_waiting_assignment_lends_its_place_and_takes_it_back_at_once() {
    let mut pool = scheduler(1);
    pool.enqueue(A, rank(1));
    pool.enqueue(A, rank(2));
    actions(&mut pool);
    pool.started(A, 10);
    actions(&mut pool);
    pool.started(A, 11);
    assert!(!pool.has_free_place());
    assert!(!actions(&mut pool).iter().any(|action| matches!(action, Action::Assign { .. })));
    assert!(pool.lend());
    let assign = Action::Assign { server: A, rank: rank(2), worker: 11 };
    assert!(actions(&mut pool).contains(&assign));
    // Both run; the next one waits until both have ended.
    pool.take_back();
    pool.enqueue(A, rank(3));
    pool.started(A, 12);
    pool.released(A, None);
    assert!(!actions(&mut pool).iter().any(|action| matches!(action, Action::Assign { .. })));
    pool.released(A, None);
    assert!(actions(&mut pool).iter().any(|action| matches!(action, Action::Assign { .. })));
}

#[test]
fn only_so_many_lend_their_places() {
    let mut pool = scheduler(100);
    assert_eq!((0..100).filter(|_| pool.lend()).count(), crate::limits::WAITING_WORKERS_MAX);
}

#[test]
fn what_a_task_submitted_goes_before_what_the_host_did() {
    let mut ranks = [rank(1), rank(2).nested(2), rank(3).nested(1), Rank::new(1, 4)];
    ranks.sort_unstable();
    assert_eq!(ranks, [Rank::new(1, 4), rank(2).nested(2), rank(3).nested(1), rank(1)]);
}

#[test]
fn an_idle_worker_makes_room_for_another_module() {
    let mut pool = scheduler(1);
    pool.enqueue(A, rank(1));
    actions(&mut pool);
    pool.started(A, 10);
    actions(&mut pool);
    pool.released(A, None);
    actions(&mut pool);
    pool.started(A, 11);
    pool.enqueue(B, rank(2));
    assert_eq!(actions(&mut pool), [Action::Retire { worker: 11 }, Action::Start { server: B }]);
}

#[test]
fn a_closed_pool_lets_idle_workers_go() {
    let mut pool = scheduler(2);
    pool.enqueue(A, rank(1));
    actions(&mut pool);
    pool.started(A, 10);
    actions(&mut pool);
    pool.started(A, 11);
    pool.close();
    assert_eq!(actions(&mut pool), [Action::Retire { worker: 11 }]);
}

#[test]
fn reused_workers_are_never_more_than_the_pool() {
    let mut pool = Scheduler::new(Staffing { workers: 2, spares: 2, reused: true, ahead: true });
    for sequence in 1..=5 {
        pool.enqueue(A, rank(sequence));
    }
    assert_eq!(actions(&mut pool).len(), 2);
    pool.started(A, 10);
    pool.started(A, 11);
    assert!(actions(&mut pool).iter().all(|action| matches!(action, Action::Assign { .. })));
    pool.released(A, Some(10));
    assert!(matches!(actions(&mut pool)[..], [Action::Assign { worker: 10, .. }]));
}

#[test]
fn a_pool_without_workers_ahead_keeps_no_idle_one() {
    let staffing = Staffing { workers: usize::MAX, spares: usize::MAX, reused: false, ahead: false };
    let mut pool = Scheduler::new(staffing);
    pool.enqueue(A, rank(1));
    assert_eq!(actions(&mut pool), [Action::Start { server: A }]);
    assert!(pool.dequeue(A, rank(1)));
    pool.started(A, 10);
    assert_eq!(actions(&mut pool), [Action::Retire { worker: 10 }]);
}

#[test]
fn what_is_next_is_given_ahead_once_every_place_is_taken() {
    let mut pool = Scheduler::new(Staffing { workers: 2, spares: 2, reused: true, ahead: true });
    for (server, number) in [(A, 1), (A, 2), (B, 3), (A, 4)] {
        pool.enqueue(server, Rank::new(0, number));
    }
    actions(&mut pool);
    pool.started(A, 10);
    actions(&mut pool);
    assert_eq!(pool.head_ahead(), None, "it may run");
    pool.started(A, 11);
    actions(&mut pool);
    assert_eq!(
        pool.head_ahead(),
        Some((B, rank(3))),
        "in the order of the queue, whichever server it is for"
    );
    assert!(pool.dequeue(B, rank(3)));
    assert_eq!(pool.head_ahead(), Some((A, rank(4))));
    assert!(pool.dequeue(A, rank(4)));
    assert_eq!(pool.head_ahead(), None, "nothing waits");
}

#[test]
fn a_place_is_idle_while_nothing_waits_and_a_worker_has_nothing_to_do() {
    let reused = Staffing { workers: 2, spares: 2, reused: true, ahead: true };
    for (staffing, is_idle) in [(reused, true), (Staffing { reused: false, ..reused }, false)] {
        let mut pool = Scheduler::new(staffing);
        pool.enqueue(A, rank(1));
        actions(&mut pool);
        assert!(!pool.has_idle_place(), "no worker is there");
        pool.started(A, 10);
        actions(&mut pool);
        assert!(!pool.has_idle_place(), "it runs the only task");
        pool.started(A, 11);
        assert_eq!(pool.has_idle_place(), is_idle, "only who is used again can have something ahead");
        pool.enqueue(A, rank(2));
        assert!(!pool.has_idle_place(), "something waits");
        actions(&mut pool);
        assert!(!pool.has_idle_place(), "both run");
        pool.released(A, Some(11));
        assert_eq!(pool.has_idle_place(), is_idle);
        pool.resize(1, 1);
        assert!(!pool.has_idle_place(), "the only place is taken");
    }
}

/// One thing that happens to a pool of the model below.
#[derive(Clone, Debug)]
enum Step {
    Submit { server: ServerId, priority: i32 },
    StartEnds { ok: bool },
    Finish { pick: usize, dies: bool },
    IdleDies { pick: usize },
    Cancel { pick: usize },
    Resize { workers: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..4, 0_i32..2).prop_map(|(server, priority)| Step::Submit { server, priority }),
        4 => any::<bool>().prop_map(|ok| Step::StartEnds { ok }),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(pick, dies)| Step::Finish { pick, dies }),
        1 => any::<usize>().prop_map(|pick| Step::IdleDies { pick }),
        1 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
        1 => (1_usize..5).prop_map(|workers| Step::Resize { workers }),
    ]
}

/// Plays the dispatcher: keeps what really runs, starts and waits, and checks the scheduler against it.
struct Model {
    pool: Scheduler,
    workers: usize,
    reused: bool,
    waiting: BTreeSet<(ServerId, Rank)>,
    starting: Vec<ServerId>,
    idle: Vec<(ServerId, WorkerId)>,
    running: Vec<(ServerId, WorkerId)>,
    next: u64,
    ended: usize,
}

impl Model {
    fn new(workers: usize, reused: bool) -> Self {
        let pool = Scheduler::new(Staffing { workers, spares: workers, reused, ahead: true });
        let (waiting, starting, idle, running) = Default::default();
        Self { pool, workers, reused, waiting, starting, idle, running, next: 0, ended: 0 }
    }

    fn act(&mut self) {
        for _ in 0..1000 {
            let Some(action) = self.pool.next_action() else { return };
            match action {
                Action::Assign { server, rank, worker } => {
                    assert!(self.waiting.remove(&(server, rank)), "assigned once, and only what waits");
                    let at = self.idle.iter().position(|idle| *idle == (server, worker));
                    self.running.push(self.idle.remove(at.expect("only to an idle worker of its server")));
                    assert!(self.running.len() <= self.workers, "never more running than workers");
                }
                Action::Start { server } => self.starting.push(server),
                Action::Retire { worker } => {
                    let at = self.idle.iter().position(|(_, idle)| *idle == worker);
                    self.idle.remove(at.expect("only an idle worker is let go"));
                }
            }
            let ahead = self.idle.len() + self.starting.len();
            assert!(ahead <= self.workers.max(4), "spare workers are bounded");
        }
        panic!("the scheduler never comes to rest");
    }

    fn step(&mut self, step: Step) {
        self.next += 1;
        match step {
            Step::Submit { server, priority } => {
                let rank = Rank::new(priority, self.next);
                self.waiting.insert((server, rank));
                self.pool.enqueue(server, rank);
            }
            Step::StartEnds { ok } => {
                if let Some(server) = self.starting.pop() {
                    if ok {
                        self.idle.push((server, self.next));
                        self.pool.started(server, self.next);
                    } else {
                        self.pool.start_failed(server);
                    }
                }
            }
            Step::Finish { pick, dies } if !self.running.is_empty() => {
                let (server, worker) = self.running.remove(pick % self.running.len());
                let idle = (self.reused && !dies).then_some(worker);
                self.idle.extend(idle.map(|worker| (server, worker)));
                self.pool.released(server, idle);
                self.ended += 1;
            }
            Step::IdleDies { pick } if !self.idle.is_empty() => {
                let (server, worker) = self.idle.remove(pick % self.idle.len());
                self.pool.lost(server, worker);
            }
            Step::Cancel { pick } if !self.waiting.is_empty() => {
                let place = *self.waiting.iter().nth(pick % self.waiting.len()).expect("not empty");
                self.waiting.remove(&place);
                assert!(self.pool.dequeue(place.0, place.1));
                self.ended += 1;
            }
            // The model's bound on running ones holds for what is assigned from then on.
            Step::Resize { workers } if workers >= self.running.len() => {
                self.workers = workers;
                self.pool.resize(workers, workers);
            }
            _ => {}
        }
        self.act();
    }
}

proptest! {
    #[test]
    fn no_task_is_lost_and_the_pool_never_drifts(
        workers in 1_usize..4,
        reused: bool,
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut model = Model::new(workers, reused);
        let submitted = steps.iter().filter(|step| matches!(step, Step::Submit { .. })).count();
        for step in steps {
            model.step(step);
        }
        // From here on every start succeeds and every task ends: all of them must come to their end.
        for _ in 0..10_000 {
            if model.waiting.is_empty() && model.running.is_empty() {
                break;
            }
            model.step(Step::StartEnds { ok: true });
            model.step(Step::Finish { pick: 0, dies: true });
        }
        prop_assert_eq!(model.ended, submitted);
        prop_assert_eq!(model.pool.running(), 0);
    }
}
