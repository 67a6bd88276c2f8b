//! Which files about a batch are asked for.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use crate::help;

/// Files about the whole batch, which are written at its end.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = help::REPORTS)]
pub struct ReportOptions {
    /// Write a report about every attempt: a JSON document, JUnit for a CI system (.xml), or a page for a browser (.html).
    /// May be repeated
    #[arg(long = "report", value_name = "FILE.json|.xml|.html", value_parser = report_file)]
    pub reports: Vec<ReportFile>,
    /// Write what ran where and when, as Perfetto and chrome://tracing read it
    #[arg(long, value_name = "FILE.json")]
    pub trace: Option<PathBuf>,
}

/// A report, and of which kind it is by its ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    pub path: PathBuf,
    pub kind: ReportKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    Json,
    Junit,
    Html,
}

/// `--report`: the ending says what is written.
pub fn report_file(text: &str) -> Result<ReportFile, String> {
    let path = PathBuf::from(text);
    let ending = Path::new(text).extension().map(|ending| ending.to_ascii_lowercase());
    let kind = match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("json") => ReportKind::Json,
        Some("xml") => ReportKind::Junit,
        Some("html") => ReportKind::Html,
        _ => return Err("its name says what it is: it ends with .json, .xml (JUnit) or .html".to_owned()),
    };
    Ok(ReportFile { path, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_kind() {
        let kind = |text| report_file(text).map(|file| file.kind);
        assert_eq!(kind("out/r.json"), Ok(ReportKind::Json));
        assert_eq!(kind("r.XML"), Ok(ReportKind::Junit));
        assert_eq!(kind("r.html"), Ok(ReportKind::Html));
        for wrong in ["r", "r.txt", ".html", "r.json.gz"] {
            assert!(kind(wrong).unwrap_err().contains(".json, .xml (JUnit) or .html"), "{wrong}");
        }
    }
}
