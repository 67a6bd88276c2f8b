//! Where reports go.

use super::*;

#[test]
fn a_report_replaces_a_file_and_what_a_link_leads_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let whole = fs::canonicalize(folder.path()).unwrap();
    assert_eq!(Place::find(&path("new.json")).unwrap(), Place::File(whole.join("new.json")));
    fs::write(path("old.json"), "").unwrap();
    std::os::unix::fs::symlink("old.json", path("link.json")).unwrap();
    assert_eq!(Place::find(&path("link.json")).unwrap(), Place::File(whole.join("old.json")));
    assert_eq!(Place::find(Path::new("/dev/full")).unwrap(), Place::Other(PathBuf::from("/dev/full")));
    assert!(Place::find(folder.path()).is_err());
    assert!(Place::find(&path("no/such/r.json")).is_err());
}
