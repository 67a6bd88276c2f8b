//! A target from another module. Python guards its main program with `if __name__ == "__main__"`, so
//! that a child can import it without running it again; here `wasmpool::init()` does that.

use wasmpool::{Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    let target = tutorial.task("importable_worker")?;
    let p = Process::new(Task::new(&target)).start()?;
    print!("{}", crate::printed(&blocking::join(&p)));
    Ok(())
}
