//! Logging: `multiprocessing.log_to_stderr(logging.INFO)`. Records of the library and of its tasks go to
//! whatever subscriber of the crate `tracing` the program has; a task's bear its name and process id.

use wasmpool::{Module, Process, Task, blocking};

pub fn listing(tutorial: &Module) -> anyhow::Result<()> {
    // The default level is INFO.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).without_time().init();

    let p = Process::new(Task::new(&tutorial.task("logging_worker")?)).start()?;
    print!("{}", crate::printed(&blocking::join(&p)));
    Ok(())
}
