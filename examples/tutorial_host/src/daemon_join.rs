//! Who wants a daemon's end waits for it: `d.join()`.

use wasmpool::{Args, Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let daemon = Task::new(&tutorial.task("daemon")?).args(Args::of(&(0.1,))?);
    let non_daemon = Task::new(&tutorial.task("non_daemon")?);

    blocking::scope(|scope| {
        let d = scope.start(Process::new(daemon).name("daemon").daemon(true))?;
        let n = scope.start(Process::new(non_daemon).name("non-daemon"))?;
        print!("{}", crate::printed(&blocking::join(&d)));
        print!("{}", crate::printed(&blocking::join(&n)));
        Ok(())
    })
}
