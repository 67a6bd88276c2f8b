//! The artifact cache, as the program uses it: never believed, never in the way.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::support::{Finished, Run, finish, ordinary, wasmpool};

/// A module and an empty cache, in a folder that vanishes with them.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        place.module("add", 0);
        ordinary::give(place.0.path());
        place
    }

    /// A module that adds, and `more`: another module for each of it.
    fn module(&self, name: &str, more: i32) -> String {
        let add = format!("(i32.add (i32.const {more}) (i32.add (local.get 0) (local.get 1)))");
        let text = format!(r#"(module (func (export "add") (param i32 i32) (result i32) {add}))"#);
        let path = self.0.path().join(format!("{name}.wat"));
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("wasmpool")
    }

    fn run(&self) -> Run {
        self.run_with(&[], "add")
    }

    fn run_with(&self, options: &[&str], module: &str) -> Run {
        let module = self.0.path().join(format!("{module}.wat")).display().to_string();
        let line = [&["run"], options, &[module.as_str(), "--invoke", "add(1, 2)"]].concat();
        wasmpool(line).env("XDG_CACHE_HOME", &self.0.path().display().to_string())
    }

    /// What lies in the cache.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.cache()).expect("the cache is there");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }

    /// The one entry of the cache.
    fn entry(&self) -> PathBuf {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.cache().join(&names[0])
    }
}

fn expect_sum(ended: Finished) -> String {
    let ended = ended.expect(0);
    assert_eq!(ended.stdout, "3\n", "{}", ended.stderr);
    ended.stderr
}

#[test]
fn what_is_no_entry_of_ours_is_never_loaded_and_made_again() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("its digest", |path| {
            let mut bytes = std::fs::read(path).expect("an entry");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).expect("it is written");
        }),
        ("its digest", |path| {
            let length = path.metadata().expect("an entry").len();
            File::options()
                .write(true)
                .open(path)
                .and_then(|file| file.set_len(length / 2))
                .expect("it is cut");
        }),
        ("fill whole buffer", |path| std::fs::write(path, b"\x7fELF").expect("it is written")),
        ("it has another name elsewhere", |path| {
            let elsewhere = path.parent().and_then(Path::parent).expect("a folder").join("elsewhere");
            std::fs::hard_link(path, elsewhere).expect("it is linked");
        }),
        ("Too many levels of symbolic links", |path| {
            let elsewhere = path.with_file_name("elsewhere");
            std::fs::rename(path, &elsewhere).expect("it is moved");
            symlink(&elsewhere, path).expect("it is linked");
        }),
        ("it is no file", |path| {
            std::fs::remove_file(path).expect("it is removed");
            let made = Command::new("mkfifo").arg(path).status().expect("mkfifo");
            assert!(made.success());
        }),
        ("others may write to it", |path| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).expect("its mode is changed");
        }),
    ];
    for (says, damage) in damages {
        let place = Place::new();
        assert_eq!(expect_sum(place.run().run()), "");
        let entry = place.entry();
        let good = std::fs::read(&entry).expect("an entry");
        damage(&entry);
        ordinary::give(&place.cache());
        let warned = expect_sum(place.run().run());
        assert!(warned.contains(says) && warned.contains("ignored and made again"), "{says}: {warned}");
        assert_eq!(std::fs::read(&entry).expect("an entry"), good, "{says}: it is what it was");
        assert_eq!(entry.symlink_metadata().expect("an entry").nlink(), 1, "{says}");
        assert_eq!(expect_sum(place.run().run()), "", "{says}: nothing to warn of any more");
    }
}

#[test]
fn the_entry_of_one_module_is_not_taken_for_another_s() {
    let place = Place::new();
    place.module("other", 100);
    expect_sum(place.run().run());
    let own = place.entry();
    place.run_with(&[], "other").run().expect(0);
    let other = place.names().into_iter().map(|name| place.cache().join(name)).find(|path| *path != own);
    std::fs::copy(other.expect("two entries"), &own).expect("a copy");
    assert!(expect_sum(place.run().run()).contains("its digest is not that of its name and bytes"));
}

#[test]
fn twenty_processes_with_an_empty_cache_make_one_entry() {
    let place = Place::new();
    let begun = Instant::now();
    let children: Vec<_> = (0..20).map(|_| place.run().start()).collect();
    for child in children {
        assert_eq!(expect_sum(finish(child, begun)), "");
    }
    place.entry();
    assert_eq!(expect_sum(place.run().run()), "");
}

#[test]
fn the_cache_keeps_to_its_size_and_the_oldest_goes_first() {
    let place = Place::new();
    expect_sum(place.run().run());
    let first = place.entry();
    let size = first.metadata().expect("an entry").blocks() * 512;
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    File::options()
        .write(true)
        .open(&first)
        .and_then(|file| file.set_modified(long_ago))
        .expect("it is older");
    for number in 1..=3 {
        let name = format!("module{number}");
        place.module(&name, number);
        // Room for two and a half.
        place.run_with(&["--cache-size", &(size * 5 / 2).to_string()], &name).run().expect(0);
        assert!(place.names().len() <= 2, "{:?}", place.names());
    }
    assert!(!first.exists());
    place.run_with(&["--cache-size", "1KiB"], "add").run().expect(0);
    assert!(!first.exists(), "an artifact that is larger than the cache is not kept");
}

#[test]
fn a_cache_folder_that_others_can_write_to_is_refused_and_everything_works_without() {
    let place = Place::new();
    std::fs::create_dir(place.cache()).expect("a folder");
    std::fs::set_permissions(place.cache(), PermissionsExt::from_mode(0o777)).expect("its mode is changed");
    ordinary::give(&place.cache());
    for _ in 0..2 {
        let warned = expect_sum(place.run().run());
        assert!(warned.contains("the cache folder is not used"), "{warned}");
        assert!(warned.contains("others may write to it (mode 777)"), "{warned}");
        assert_eq!(warned.lines().count(), 1, "{warned}");
    }
    assert_eq!(place.names(), [""; 0]);
    let no_folder = tempfile::NamedTempFile::new().expect("a file");
    expect_sum(place.run().env("XDG_CACHE_HOME", &no_folder.path().display().to_string()).run());
}

#[test]
fn a_cache_on_a_full_disk_costs_nothing_but_itself() {
    let place = Place::new();
    std::fs::create_dir(place.cache()).expect("a folder");
    let Some(_disk) = FullDisk::mount(&place.cache()) else {
        // Who may not mount has a file system at hand that takes no file from anybody.
        let warned = expect_sum(place.run().env("XDG_CACHE_HOME", "/proc").run());
        return assert!(warned.contains("the cache folder is not used"), "{warned}");
    };
    let warned = expect_sum(place.run().run());
    assert!(warned.contains("an artifact was not kept in the cache"), "{warned}");
    assert_eq!(place.names(), ["filler"], "nothing half written");
}

/// A file system of 1 MiB without room.
struct FullDisk(PathBuf);

impl FullDisk {
    fn mount(folder: &Path) -> Option<Self> {
        let options = ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(folder).output();
        let disk = mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))?;
        let mut filler = File::create(folder.join("filler")).expect("a file");
        while filler.write_all(&[7; 4096]).is_ok() {}
        Some(disk)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

/// What was compiled lies in the cache when the program ends, however long it takes to write.
#[test]
fn a_program_that_ends_has_filled_the_cache() {
    let place = Place::new();
    let path = place.0.path().join("large.wat");
    let data = "0123456789abcdef".repeat(1 << 20);
    std::fs::write(&path, format!(r#"(module (memory 300) (data (i32.const 0) "{data}"))"#)).expect("a file");
    let cache = place.0.path().display().to_string();
    let ended =
        wasmpool(["compile".as_ref(), path.as_os_str()]).env("XDG_CACHE_HOME", &cache).run().expect(0);
    assert!(place.entry().metadata().expect("an entry").len() > 16 << 20, "{}", ended.stderr);
}
