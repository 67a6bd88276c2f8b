//! `wasmpool doctor`: what this machine can enforce.

#![forbid(unsafe_code)]

use std::sync::Arc;

use etcetera::BaseStrategy;
use wasmpool::exit_code;
use wasmpool::report::doctor::Findings;

use crate::arguments::{CompileOptions, Doctor, TextOrJson};
use crate::console::Console;
use crate::failure::Failure;
use crate::session;

/// Shows the findings; code 247 when the required sandbox cannot be had.
pub fn doctor(arguments: &Doctor, console: &Arc<Console>) -> Result<u8, Failure> {
    let layers = session::block_on(async {
        let supervisor = session::supervisor(&CompileOptions::default())?;
        supervisor.doctor().await.map_err(|cause| {
            let message = format!("cannot examine the sandbox: {}: {}", cause.kind.label(), cause.detail);
            Failure::new(exit_code::NOT_SET_UP, message)
        })
    })?;
    let cache = etcetera::choose_base_strategy().ok().map(|base| base.cache_dir().join("wasmpool"));
    let findings = Findings { layers, workers: wasmpool::cpu_count(), cache };
    console.print(match arguments.format {
        TextOrJson::Text => findings.text(),
        TextOrJson::Json => format!("{}\n", findings.json()),
    })?;
    Ok(if findings.is_complete() { exit_code::SUCCESS } else { exit_code::NOT_SET_UP })
}
