//! Files, directories, links and times.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::{Duration, SystemTime};

use super::{Data, FORMS, both, inside};
use crate::support::{build, mebibyte, wasmpool};

#[test]
fn files_are_opened_read_and_written() {
    inside(&["open_flags", "seeking", "parts", "appending", "positions", "sizes"]);
    both("seeking", |data| assert_eq!(fs::read(data.path("file")).expect("it"), b"hello World\0\0\0\0!"));
    both("appending", |data| assert_eq!(fs::read(data.path("file")).expect("it"), b"ONE two three!"));
}

#[test]
fn a_descriptor_has_its_flags_rights_and_number() {
    inside(&["flags_and_rights", "descriptors"]);
}

#[test]
fn a_file_is_told_as_it_is() {
    inside(&["what_a_file_is"]);
}

#[test]
fn a_directory_for_reading_is_only_read() {
    for form in FORMS {
        let data = Data::new(form).read_only();
        fs::write(data.path("file"), "text").expect("a file");
        fs::create_dir(data.path("dir")).expect("a folder");
        let before = fs::metadata(data.path("file")).expect("it").mtime();
        data.run(&["read_only"]);
        assert_eq!(fs::read_to_string(data.path("file")).expect("it"), "text");
        assert_eq!(fs::metadata(data.path("file")).expect("it").mtime(), before);
        assert_eq!(fs::read_dir(data.folder.path()).expect("it").count(), 2);
    }
}

/// Told as what it is, also to a component that asks.
#[test]
fn a_full_disk_is_told_as_no_space() {
    for form in FORMS {
        let folder = tempfile::tempdir().expect("a folder");
        crate::support::ordinary::give(folder.path());
        let dir = format!("{}::/data", folder.path().display());
        let args = ["run", "--dir", &dir, &build::command(form), "fill"];
        let ended = mebibyte::run_in(folder.path(), false, &args).expect(0);
        let bytes: u64 = ended.stdout.trim_end().parse().expect("a number");
        assert!((900_000..=1 << 20).contains(&bytes), "{bytes} bytes went in");
    }
}

#[test]
fn directories_are_made_listed_renamed_and_removed() {
    inside(&["making_directories", "renaming", "slashes"]);
    both("listing", |data| {
        assert_eq!(fs::read_dir(data.path("dir")).expect("it").count(), 53);
    });
}

#[test]
fn nothing_is_renamed_or_linked_across_granted_directories() {
    for form in FORMS {
        let data = Data::new(form);
        fs::create_dir(data.path("one")).expect("a folder");
        fs::create_dir(data.path("other")).expect("a folder");
        crate::support::ordinary::give(data.folder.path());
        let grant = |name: &str| format!("{}::/{name}", data.path(name).display());
        let (one, other) = (grant("one"), grant("other"));
        let module = build::command(form);
        wasmpool(["run", "--dir", &one, "--dir", &other, &module, "two_directories"]).run().expect(0);
        assert!(data.path("one/file").exists() && !data.path("other/file").exists());
        assert!(data.path("one/linked").exists() && data.path("other/linked").exists());
    }
}

#[test]
fn links_lead_where_they_lead() {
    inside(&["loops", "dangling"]);
    both("symbolic_links", |data| {
        let verbatim = fs::read_link(data.path("verbatim")).expect("a link");
        assert_eq!(verbatim.as_os_str(), "as it is/./..//x ");
    });
    both("hard_links", |data| assert_eq!(fs::metadata(data.path("dir/second")).expect("it").nlink(), 1));
}

#[test]
fn no_link_and_no_path_leads_out() {
    inside(&["leaving"]);
    for form in FORMS {
        let data = Data::new(form);
        symlink("/etc/passwd", data.path("absolute")).expect("a link");
        symlink("../outside", data.path("relative")).expect("a link");
        data.run(&["links_that_lead_out"]);
        let outside = data.folder.path().parent().expect("it lies in one").join("outside");
        assert!(!outside.exists());
    }
}

#[test]
fn times_are_set_to_the_nanosecond() {
    inside(&["contradictory_times"]);
    both("setting_times", |data| {
        let modified = fs::metadata(data.path("file")).and_then(|file| file.modified()).expect("a time");
        assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_secs(86_400));
    });
}
