//! A process: `p = Process(target=worker); p.start()`, five times.

use wasmpool::{Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let worker = tutorial.task("worker")?;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        let p = Process::new(Task::new(&worker));
        jobs.push(p.start()?);
    }
    for p in jobs {
        print!("{}", crate::printed(&blocking::join(&p)));
    }
    Ok(())
}
