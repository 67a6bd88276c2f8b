//! Waiting for at most a while: `d.join(0.1)`, then `d.is_alive()`.

use std::time::Duration;

use wasmpool::{Limits, Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let limits = Limits { grace_period: Duration::ZERO, ..Limits::default() };
    let daemon = Task::new(&tutorial.task("daemon")?).limits(limits);
    let non_daemon = Task::new(&tutorial.task("non_daemon")?);

    blocking::scope(|scope| {
        let d = scope.start(Process::new(daemon).name("daemon").daemon(true))?;
        let n = scope.start(Process::new(non_daemon).name("non-daemon"))?;
        let ended = d.handle().wait_timeout(Duration::from_millis(100));
        println!("d.join() {}", if ended.is_some() { "in time" } else { "timed out" });
        println!("d.is_alive() {}", d.is_alive());
        print!("{}", crate::printed(&blocking::join(&n)));
        Ok(())
    })
}
