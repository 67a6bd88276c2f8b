//! The frame that starts an assignment.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::os::memory_file::{self, SealedFile};
use crate::protocol::frame;
use crate::protocol::worker::{Body, Inputs, Start, ToWorker, WorkerLimits};
use crate::supervisor::call::{Call, CallShape, Input};
use crate::supervisor::event::WorkerId;
use crate::supervisor::worker_handle::Holding;
use crate::sync::tokens;
use crate::task::Stdin;

/// What goes to a worker with a start frame.
pub(super) struct StartPacket {
    pub(super) bytes: Vec<u8>,
    pub(super) inputs: Option<Arc<SealedFile>>,
    pub(super) stdin: Option<Arc<File>>,
    pub(super) holding: Holding,
}

/// How an assignment is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// It is the worker's last.
    pub(super) last: bool,
    /// A lane comes with it.
    pub(super) lane: bool,
    /// Nobody waits for the acknowledgement.
    pub(super) quiet: bool,
    /// Its number, if it is given ahead of need.
    pub(super) ahead: Option<u32>,
}

/// The start frame of an assignment, with everything that goes beside it.
pub(super) fn start_packet(
    shape: &Arc<CallShape>,
    calls: &[Call],
    worker: WorkerId,
    how: How,
) -> Result<StartPacket, String> {
    let lengths: Vec<u64> = calls.iter().map(|call| call.input.len()).collect();
    let mut inputs = None;
    let mut inline = Vec::new();
    for call in calls {
        match &call.input {
            Input::Inline(bytes) => inline.extend_from_slice(bytes),
            Input::File(file) => inputs = Some(Arc::clone(file)),
        }
    }
    let body = match &inputs {
        Some(file) if calls.len() == 1 => Body::Memory { length: file.len() },
        Some(_) => return Err("a large input shares its assignment with others".to_owned()),
        None => Body::Inline(inline),
    };
    let stdin =
        stdin_file(&shape.stdin).map_err(|error| format!("its standard input cannot be passed: {error}"))?;
    let first = calls.first().ok_or("an assignment without calls")?;
    let holding = Holding::new(shape, first.task);
    let start = Start {
        task: first.task,
        attempt: first.attempt,
        name: first.name.to_string(),
        worker_name: format!("worker-{worker}"),
        entry: shape.entry.clone(),
        initializer: shape.initializer.clone(),
        inputs: Inputs { lengths, body },
        limits: WorkerLimits {
            fuel: shape.limits.fuel,
            cpu_time: shape.limits.cpu_time.map(|limit| limit.saturating_mul(calls.len() as u32)),
            memory_bytes: shape.limits.memory_bytes,
            table_elements: shape.limits.table_elements,
            instances: shape.limits.instances,
            result_bytes: shape.limits.result_bytes,
        },
        argv: shape.argv.clone(),
        env: shape.env.clone(),
        stdin: stdin.is_some(),
        token: holding.token.get(),
        grants: super::objects::on_the_wire(&shape.grants),
        log_level: super::frames::log_level_max(),
        last: how.last,
        lane: how.lane,
        quiet: how.quiet,
        // Several components would take each other's.
        goes_through: !shape.artifact.info.is_composed,
        ahead: how.ahead,
        deterministic: shape.deterministic,
    };
    let bytes = frame::encode(&ToWorker::Start(Box::new(start))).map_err(|error| {
        tokens::give_back(holding.token);
        format!("its arguments and environment cannot be sent: {error}")
    })?;
    Ok(StartPacket { bytes, inputs, stdin, holding })
}

fn stdin_file(stdin: &Stdin) -> std::io::Result<Option<Arc<File>>> {
    match stdin {
        Stdin::Empty => Ok(None),
        Stdin::File(file) => Ok(Some(Arc::clone(file))),
        Stdin::Bytes(bytes) => {
            let mut file = memory_file::create("wasmpool-stdin")?;
            file.write_all(bytes)?;
            file.seek(SeekFrom::Start(0))?;
            Ok(Some(Arc::new(file)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_standard_input_are_read_from_their_beginning() {
        use std::io::Read;
        let file = stdin_file(&Stdin::Bytes("hello".into())).unwrap().unwrap();
        let mut text = String::new();
        (&*file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(stdin_file(&Stdin::Empty).unwrap().is_none());
    }
}
