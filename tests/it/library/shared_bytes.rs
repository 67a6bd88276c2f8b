//! `SharedBytes`: large arguments and results that the host does not copy.

use crate::support::scenario;

/// Of every length that is a border somewhere, forked and spawned.
#[test]
fn a_shared_buffer_goes_in_and_its_result_is_the_next_argument() {
    scenario("shared-chain", &[]).run().expect(0);
}

/// Over a limit is code 225, with the number of bytes.
#[test]
fn limits_hold_for_shared_buffers() {
    scenario("shared-limits", &[]).run().expect(0);
}

/// Those that come when enough are kept are copied when they are passed on.
#[test]
fn results_that_are_kept_take_no_more_than_some_descriptors() {
    scenario("shared-kept", &[]).run().expect(0);
}
