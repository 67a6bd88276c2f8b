//! A pool whose workers are replaced after two tasks: `Pool(2, initializer, maxtasksperchild=2)`. A
//! process for each task is the default here; a worker that runs more gives each a fresh instance, so the
//! initializer runs for each task.

use wasmpool::blocking::Pool;
use wasmpool::{Args, Module, Order, Task};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let start_process = Task::new(&tutorial.task("start_process")?);
    let do_calculation = Task::new(&tutorial.task("do_calculation")?);

    let builder = wasmpool::Pool::builder().workers(2).max_tasks_per_worker(2).initializer(start_process);
    let pool = Pool::new(builder)?;
    let mut tasks = Vec::new();
    for data in 0..10 {
        tasks.push(do_calculation.clone().args(Args::of(&(data,))?));
    }
    // `records` tells how each task ended, where `map` gives the values.
    for (_, record) in pool.records(tasks, Order::Input) {
        print!("{}", crate::printed(&record));
    }
    Ok(())
}
