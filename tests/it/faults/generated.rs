//! Guest 25: generated modules. A longer run is `scenario generated SEED COUNT`.

use crate::support::scenario;

/// Whatever a generator makes ends by its own doing or at a limit, and no worker dies otherwise.
#[test]
fn generated_modules_end_as_guests_do() {
    for seed in ["1", "1001", "2001"] {
        let finished = scenario("generated", &[seed, "100"]).run().expect(0);
        for line in finished.lines() {
            println!("{line}");
        }
    }
}
