//! The program's code in huge pages.

use crate::support::scenario;

/// What a kernel must have for it: `MADV_COLLAPSE`, since Linux 6.1, whatever its settings are.
fn kernel_has_huge_pages() -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    let mut release = release.split('.').map_while(|number| number.parse::<u32>().ok());
    let is_known = (release.next(), release.next()) >= (Some(6), Some(1));
    is_known && std::path::Path::new("/sys/kernel/mm/transparent_hugepage/shmem_enabled").exists()
}

#[test]
fn the_workers_of_many_tasks_have_their_code_in_huge_pages_and_end_as_all_others() {
    let huge = || {
        let records = scenario("huge-code", &[]).run().expect(0).records();
        records[0]["huge"].as_u64().expect("KiB")
    };
    if kernel_has_huge_pages() {
        // Memory may be in pieces for a moment.
        assert!((0..3).any(|_| huge() >= 2048), "no huge pages");
    } else {
        assert_eq!(huge(), 0, "this kernel makes no huge pages of files in memory");
    }
}

#[test]
fn who_runs_few_tasks_has_no_copy_of_the_code() {
    scenario("huge-code-for-few", &[]).run().expect(0);
}

#[test]
fn no_task_is_lost_when_one_of_two_fork_servers_is_killed_while_the_other_is_starting() {
    let records = scenario("huge-code-killed", &[]).run().expect(0).records();
    let killed = records.iter().filter(|record| record["killed"] == true).count();
    assert!(killed == 2 || !kernel_has_huge_pages(), "{killed}");
}
