//! Daemons are not waited for: the scope ends when its other processes have, and takes its daemons with
//! it. Python does that once, at the end of the main program.

use std::time::Duration;

use wasmpool::{Limits, Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    // A daemon may tidy up before it is ended: for 2 s, unless told otherwise.
    let limits = Limits { grace_period: Duration::from_millis(300), ..Limits::default() };
    let daemon = Task::new(&tutorial.task("daemon")?).limits(limits);
    let non_daemon = Task::new(&tutorial.task("non_daemon")?);

    let [d, n] = blocking::scope(|scope| -> anyhow::Result<_> {
        let d = scope.start(Process::new(daemon).name("daemon").daemon(true))?;
        let n = scope.start(Process::new(non_daemon).name("non-daemon"))?;
        Ok([d, n])
    })?;

    // "Exiting : daemon" is missing.
    print!("{}{}", crate::printed(&blocking::join(&d)), crate::printed(&blocking::join(&n)));
    Ok(())
}
