//! Terminating a process: `p.terminate()`, then `p.join()`. Python sends SIGTERM. Here the task is asked
//! to stop, interrupted after its grace period, and killed 200 ms later. A process that was not started
//! has no `is_alive`: it is of another type.

use std::time::Duration;

use wasmpool::{Args, Limits, Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let slow_worker = Task::new(&tutorial.task("slow_worker")?)
        .args(Args::of(&(60.0,))?)
        .limits(Limits { grace_period: Duration::ZERO, ..Limits::default() });

    let p = Process::new(slow_worker);
    println!("BEFORE: not started");
    let p = p.start()?;
    println!("DURING: {} {}", p.name(), p.is_alive());
    p.terminate();
    println!("TERMINATED: {} {}", p.name(), p.is_alive());
    let record = blocking::join(&p);
    println!("JOINED: {} {}, {}", p.name(), p.is_alive(), record.outcome);
    Ok(())
}
