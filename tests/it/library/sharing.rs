//! Shared objects between a host program and the tasks that it granted them to.

use crate::support::scenario;

/// The guests: "use_numbers", "use_dict", "use_connection", "use_timeouts" and "use_queue".
#[test]
fn every_type_does_in_a_guest_what_it_says() {
    scenario("every-type", &[]).run().expect(0);
}
