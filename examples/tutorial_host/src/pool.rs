//! A pool: `Pool(processes=pool_size, initializer=start_process)` and `pool.map(do_calculation, inputs)`.

use wasmpool::blocking::Pool;
use wasmpool::{Module, Task};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let start_process = Task::new(&tutorial.task("start_process")?);
    let do_calculation = tutorial.task("do_calculation")?;

    let inputs: Vec<i64> = (0..10).collect();
    println!("Input   : {inputs:?}");
    let builtin_outputs: Vec<i64> = inputs.iter().map(|data| data * 2).collect();
    println!("Built-in: {builtin_outputs:?}");

    let pool_size = wasmpool::cpu_count() * 2;
    let pool = Pool::new(wasmpool::Pool::builder().workers(pool_size).initializer(start_process))?;
    let pool_outputs: Vec<i64> = pool.map(&do_calculation, inputs)?;
    pool.close(); // No more tasks.
    pool.join(); // What was submitted has ended.
    println!("Pool    : {pool_outputs:?}");
    Ok(())
}
