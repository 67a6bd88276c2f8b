//! T5 and guest 16: queues whose users die, and floods.

use crate::support::scenario;

/// T5: a closed queue gives everything, then the end.
#[test]
fn a_closed_queue_gives_everything_and_then_the_end() {
    for workers in ["1", "2", "16"] {
        scenario("queue-feed", &[workers]).run().expect(0);
    }
}

/// T5: leases of the dead come back to their place, at most N times.
#[test]
fn leases_of_the_dead_come_back_and_then_are_dead_letters() {
    for workers in ["1", "2", "16"] {
        scenario("queue-leases", &[workers]).run().expect(0);
    }
}

/// T5: producers killed inside put: an item is wholly in or wholly out.
#[test]
fn a_producer_that_is_killed_leaves_whole_items_only() {
    for workers in ["1", "2", "16"] {
        scenario("queue-killed-producers", &["40", workers]).run().expect(0);
    }
}

/// Guest 16: too large is 225's text in an error, the queue usable; a flood waits and then times out.
#[test]
fn a_huge_item_is_refused_and_a_flood_waits() {
    let said = scenario("queue-floods", &[]).run().expect(0).records();
    assert_eq!(said[0]["code"], 225, "{}", said[0]);
    assert_eq!(said[1]["code"], 225, "{}", said[1]);
    assert_eq!(said[2]["code"], 221, "{}", said[2]);
}
