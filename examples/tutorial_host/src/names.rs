//! Naming the current process: `Process(name="my_service", target=my_service)`. Without a name it is
//! `Process-N`, as in Python; N counts only the processes without a name.

use wasmpool::{Args, Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let my_service = Task::new(&tutorial.task("my_service")?).args(Args::of(&(0.1,))?);
    let worker = Task::new(&tutorial.task("named_worker")?).args(Args::of(&(0.1,))?);

    let service = Process::new(my_service).name("my_service").start()?;
    let worker_1 = Process::new(worker.clone()).name("worker 1").start()?;
    let worker_2 = Process::new(worker).start()?;

    for p in [worker_1, worker_2, service] {
        print!("{}", crate::printed(&blocking::join(&p)));
    }
    Ok(())
}
