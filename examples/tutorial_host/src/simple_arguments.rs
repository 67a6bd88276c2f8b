//! A process with arguments: `Process(target=worker, args=(i,))`.

use wasmpool::{Args, Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let worker = tutorial.task("worker_with_number")?;
    let mut jobs = Vec::new();
    for i in 0..5 {
        let p = Process::new(Task::new(&worker).args(Args::of(&(i,))?));
        jobs.push(p.start()?);
    }
    for p in jobs {
        print!("{}", crate::printed(&blocking::join(&p)));
    }
    Ok(())
}
