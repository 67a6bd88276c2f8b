//! `--results DIR`: what each command of a batch wrote and how it ended, a folder each.
//!
//! ```text
//! DIR/SEQ/stdout        what the command wrote there, byte by byte
//! DIR/SEQ/stderr
//! DIR/SEQ/record.json   the line of `--format jsonl` without those two
//! ```
//!
//! SEQ is the number of the input, from 1. A folder has its name when everything is in it, so what is there is whole. DIR
//! is made, or is an empty folder: nothing is overwritten. What cannot be kept is told, and the others are.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmpool::batch::drive::{Ended, Ending};
use wasmpool::report::json_lines;

/// The folder of a batch. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Results {
    folder: PathBuf,
    is_incomplete: Arc<AtomicBool>,
}

impl Results {
    /// Makes the folder, or takes an empty one.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let told = |error: io::Error| format!("--results `{}`: {error}", folder.display());
        match fs::create_dir(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read_dir(folder).map_err(told)?.next().is_some() {
                    return Err(format!(
                        "--results `{}`: it is not empty, and nothing in it is overwritten: name a new folder",
                        folder.display()
                    ));
                }
            }
            Err(error) => return Err(told(error)),
        }
        Ok(Self { folder: folder.to_owned(), is_incomplete: Arc::default() })
    }

    /// Keeps one input's results.
    ///
    /// # Errors
    ///
    /// Where they could not be kept, and why; then nothing of them is there.
    pub fn keep(&self, ended: &Ended) -> Result<(), String> {
        let kept = self.folder.join(ended.seq.to_string());
        let unfinished = self.folder.join(format!(".{}", ended.seq));
        self.write(ended, &unfinished).and_then(|()| fs::rename(&unfinished, &kept)).map_err(|error| {
            self.is_incomplete.store(true, Ordering::Relaxed);
            // It may not even have been made.
            let _ = fs::remove_dir_all(&unfinished);
            format!("the results of {} are not kept in `{}`: {error}", ended.name, kept.display())
        })
    }

    fn write(&self, ended: &Ended, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)?;
        let (stdout, stderr) = match &ended.ending {
            Ending::Ran(record) => (&record.stdout[..], &record.stderr[..]),
            Ending::Bad(_) => (&[][..], &[][..]),
        };
        fs::write(folder.join("stdout"), stdout)?;
        fs::write(folder.join("stderr"), stderr)?;
        fs::write(folder.join("record.json"), json_lines::line(ended, false))
    }

    /// Whether something was not kept.
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmpool::batch::BadInput;

    fn ended(seq: u64) -> Ended {
        let bad = BadInput { place: "input 1".to_owned(), reason: "not UTF-8".to_owned() };
        Ended { seq, name: format!("tool#{seq}").into(), ending: Ending::Bad(bad) }
    }

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("results");
        let results = Results::open(&folder).unwrap();
        results.keep(&ended(1)).unwrap();
        let record = fs::read_to_string(folder.join("1/record.json")).unwrap();
        assert!(record.contains("not UTF-8") && !record.contains("stdout"), "{record}");
        assert_eq!(fs::read(folder.join("1/stdout")).unwrap(), b"");
        assert!(!results.is_incomplete());
        fs::write(folder.join("2"), "in the way").unwrap();
        let error = results.keep(&ended(2)).unwrap_err();
        assert!(error.contains("the results of tool#2 are not kept in"), "{error}");
        assert!(results.is_incomplete() && results.clone().is_incomplete());
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["1", "2"]);
    }

    #[test]
    fn nothing_is_overwritten() {
        let place = tempfile::tempdir().unwrap();
        Results::open(place.path()).unwrap().keep(&ended(1)).unwrap();
        assert!(Results::open(place.path()).unwrap_err().contains("is not empty"));
        assert!(Results::open(&place.path().join("no/such")).unwrap_err().contains("No such file"));
        assert!(Results::open(&place.path().join("1/stdout")).unwrap_err().contains("Not a directory"));
    }
}
