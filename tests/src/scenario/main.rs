//! A host program that embeds the library, one scenario a behaviour. The tests run it and read what it
//! prints: one JSON value a line.
//!
//! A process of its own for each scenario makes it possible to count: when a scenario has dropped its
//! pools and supervisors, the oracles look for leftovers (see [`oracle`]). A scenario that does not hold
//! panics, and the test sees the code and the message.

#![forbid(unsafe_code)]

mod ahead;
mod attempts;
mod callbacks;
mod cgroups;
mod churn;
mod embedder;
mod ends;
mod floods;
mod generated;
mod grants;
mod host_death;
mod hostile;
mod huge_code;
mod items;
mod kept;
mod lazy;
mod locks;
mod neighbours;
mod oracle;
mod plan;
mod pool;
mod process;
mod programs;
mod queues;
mod soak;
mod starting;
mod stopping;
mod support;
mod transfer;
mod types;
mod waiting;

/// A scenario: its arguments are the program's.
type Scenario = fn(&[String]);

/// Every scenario by name.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("plan", plan::run),
    ("quarantine", attempts::quarantine),
    ("observers", attempts::observers),
    ("retry-waits", attempts::waits),
    ("callbacks", callbacks::run),
    ("pool-memory", cgroups::pool_memory),
    ("pool-memory-of-servers", cgroups::pool_memory_of_servers),
    ("pool-groups", cgroups::pool_groups),
    ("groups-left", cgroups::groups_left),
    ("churn", churn::run),
    ("logs", embedder::logs),
    ("sigchld-ignored", embedder::sigchld_ignored),
    ("ends", ends::run),
    ("flood", floods::frames),
    ("slow-reader", floods::slow_reader),
    ("shared-stream", floods::shared_stream),
    ("generated", generated::run),
    ("hostile", hostile::alone),
    ("hostile-batch", hostile::batch),
    ("huge-code", huge_code::many),
    ("huge-code-for-few", huge_code::few),
    ("huge-code-killed", huge_code::killed),
    ("secret-descriptor", hostile::secret_descriptor),
    ("compile-bombs", hostile::compile_bombs),
    ("wait-for-death", host_death::wait_for_death),
    ("exit-at-once", host_death::exit_at_once),
    ("thread-ends", host_death::thread_ends),
    ("inputs", lazy::inputs),
    ("endless", lazy::endless),
    ("ten-thousand", lazy::ten_thousand),
    ("many-modules", lazy::many_modules),
    ("cpu-time", grants::cpu_time),
    ("grant-servers", grants::servers),
    ("grant-replaced", grants::replaced),
    ("grant-refused", grants::refused),
    ("secrets", grants::secrets),
    ("one-of-sixteen", neighbours::one_of_sixteen),
    ("idle-ones", neighbours::idle_ones),
    ("stopped-idle-one", neighbours::stopped_idle_one),
    ("results-are-kept", neighbours::results_are_kept),
    ("calls", pool::calls),
    ("order", pool::order),
    ("chunks", pool::chunks),
    ("items", items::ends),
    ("full", pool::full),
    ("too-many-workers", pool::too_many_workers),
    ("reuse", pool::reuse),
    ("initializers", pool::initializers),
    ("modules", pool::modules),
    ("randomness", pool::randomness),
    ("one-thread", pool::one_thread),
    ("programs", programs::run),
    ("process", process::life),
    ("scopes", process::scopes),
    ("blocking", process::blocking),
    ("server-killed", starting::server_killed),
    ("server-stopped", starting::server_stopped),
    ("server-stopped-in-a-crowd", starting::server_stopped_in_a_crowd),
    ("server-replaced", starting::server_replaced),
    ("one-module-cannot-start", starting::one_module_cannot_start),
    ("stops", stopping::running),
    ("stops-waiting", stopping::waiting_and_finished),
    ("never-the-next", stopping::never_the_next),
    ("unread-timeout", stopping::timeout_of_an_unread_writer),
    ("largest", transfer::largest),
    ("shared-bytes", transfer::shared),
    ("killed-transfer", transfer::killed),
    ("unread", transfer::unread),
    ("shared-chain", transfer::shared_chain),
    ("shared-limits", transfer::shared_limits),
    ("shared-kept", transfer::shared_kept),
    ("lock-holders", locks::holders),
    ("lock-races", locks::races),
    ("lock-succession", locks::succession),
    ("lock-sixteen", locks::sixteen),
    ("lock-wrong-uses", locks::wrong_uses),
    ("queue-feed", queues::feed_and_drain),
    ("queue-leases", queues::leases),
    ("queue-killed-producers", queues::killed_producers),
    ("queue-floods", queues::floods),
    ("every-type", types::every_type),
    ("shared-counter", locks::shared_counter),
    ("ahead", ahead::all),
    ("kept", kept::all),
    ("soak", soak::kills),
    ("nested", waiting::nested),
    ("places", waiting::places),
    ("deadlocks", waiting::deadlocks),
    ("no-false-alarms", waiting::no_false_alarms),
    ("stopped-waiters", waiting::stopped_waiters),
];

/// Scenarios that use the supervisor which lives as long as the process: it is part of what was there.
const OF_THE_GLOBAL_SUPERVISOR: &[&str] = &["blocking"];

fn main() {
    if std::env::args().nth(1).as_deref() == Some("without-init") {
        return embedder::without_init();
    }
    wasmpool::init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, args) = args.split_first().expect("the name of a scenario");
    let Some((name, scenario)) = SCENARIOS.iter().find(|(known, _)| known == name) else {
        panic!("no scenario is called `{name}`");
    };
    if OF_THE_GLOBAL_SUPERVISOR.contains(name) {
        wasmpool::Supervisor::global().expect("a supervisor");
    }
    let before = oracle::Before::look();
    scenario(args);
    before.expect_no_leftovers();
    if !OF_THE_GLOBAL_SUPERVISOR.contains(name) {
        oracle::expect_no_cgroups();
    }
    support::say(&serde_json::json!({ "oracles": "hold" }));
}
