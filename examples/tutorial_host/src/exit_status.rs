//! Exit status: `p.exitcode` after `p.join()`, and behind it what Python cannot tell.

use std::time::Duration;

use wasmpool::{Limits, Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let mut jobs = Vec::new();
    for name in ["exit_error", "exit_ok", "return_value", "raises", "panics", "terminated"] {
        println!("Starting process for {name}");
        let limits = Limits { grace_period: Duration::ZERO, ..Limits::default() };
        let p = Process::new(Task::new(&tutorial.task(name)?).limits(limits)).name(name);
        jobs.push(p.start()?);
    }
    jobs.last().expect("six were started").terminate();

    for p in jobs {
        let outcome = blocking::join(&p).outcome;
        println!("{:>15}.exitcode = {} ({outcome})", p.name(), outcome.python_exitcode());
    }
    Ok(())
}
