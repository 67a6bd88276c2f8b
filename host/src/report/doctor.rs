//! What this machine can enforce, one line a layer.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::policy::Layer;

/// What was found out about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Each layer, and why it cannot be had.
    pub layers: Vec<(Layer, Result<(), String>)>,
    /// Workers that a pool starts when it is not told how many.
    pub workers: usize,
    /// Where compiled modules are kept; `None` when they are not.
    pub cache: Option<PathBuf>,
}

/// The ways to start a worker.
const START_METHODS: &[&str] = &["forkserver", "spawn"];

impl Findings {
    /// True when every layer is there that must be: `--sandbox required` works. A cgroup is a backstop, which most
    /// machines give to nobody but root.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.layers.iter().all(|(layer, state)| state.is_ok() || *layer == Layer::Cgroup)
    }

    /// The findings for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let width = self.layers.iter().map(|(layer, _)| layer.label().len()).max().unwrap_or(0);
        let mut out = String::new();
        for (layer, state) in &self.layers {
            let word = if state.is_ok() { "available" } else { "missing  " };
            out.push_str(&format!("{:width$}  {word}  {}", layer.label(), layer.protects_against()));
            if let Err(cause) = state {
                out.push_str(&format!("   ({cause})"));
            }
            out.push('\n');
        }
        out.push('\n');
        out.push_str(&format!("workers by default  {}\n", self.workers));
        out.push_str(&format!("start methods       {}\n", START_METHODS.join(", ")));
        let cache = self.cache.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
        out.push_str(&format!("cache               {cache}\n"));
        let sandbox = if self.is_complete() {
            "complete"
        } else {
            "incomplete: tasks run only with `--sandbox best-effort` or `off`"
        };
        out.push_str(&format!("sandbox             {sandbox}\n"));
        out
    }

    /// The findings for a program, as one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let layer = |(layer, state): &(Layer, Result<(), String>)| {
            json!({
                "layer": layer.label(),
                "available": state.is_ok(),
                "protects_against": layer.protects_against(),
                "cause": state.as_ref().err(),
            })
        };
        json!({
            "sandbox_complete": self.is_complete(),
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
            "workers": self.workers,
            "start_methods": START_METHODS,
            "cache": self.cache,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(landlock: Result<(), String>) -> Findings {
        Findings {
            layers: vec![(Layer::Landlock, landlock), (Layer::Seccomp, Ok(()))],
            workers: 2,
            cache: Some(PathBuf::from("/cache")),
        }
    }

    #[test]
    fn each_layer_has_a_line_and_a_missing_one_its_cause() {
        assert_eq!(
            findings(Err("the kernel has no Landlock".to_owned())).text(),
            "\
landlock  missing    opening files, TCP ports, abstract sockets and signals outside the grants   (the kernel has no Landlock)
seccomp   available  new processes and programs, sockets, debugging, mounting and other system calls

workers by default  2
start methods       forkserver, spawn
cache               /cache
sandbox             incomplete: tasks run only with `--sandbox best-effort` or `off`
"
        );
        assert!(findings(Ok(())).text().ends_with("sandbox             complete\n"));
    }

    #[test]
    fn a_program_reads_the_same() {
        let json = findings(Err("no".to_owned())).json();
        assert_eq!(json["sandbox_complete"], false);
        assert_eq!(json["layers"][0]["cause"], "no");
        assert_eq!(json["layers"][1]["available"], true);
    }
}
