//! Naming the current process: `Process(name="my_service", target=my_service)` and `current_process().name`.

use wasmpool_guest::{context, task};

/// Says its name when it starts and when it exits. Without a name from its caller it has a default one.
#[task]
fn named_worker(#[default(2.0)] seconds: f64) -> String {
    starting_and_exiting(seconds)
}

/// The same, a second longer.
#[task]
fn my_service(#[default(3.0)] seconds: f64) -> String {
    starting_and_exiting(seconds)
}

fn starting_and_exiting(seconds: f64) -> String {
    let name = context::name();
    println!("{name} Starting");
    crate::sleep(seconds);
    println!("{name} Exiting");
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmpool_guest::testing::Host;

    #[test]
    fn the_caller_gives_the_name() {
        let ran = Host::new().name("my_service").run(|| my_service(0.0));
        assert_eq!(ran.returned(), "my_service");
        assert_eq!(Host::new().name("Process-1").run(|| named_worker(0.0)).returned(), "Process-1");
    }
}
