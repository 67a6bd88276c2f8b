//! The metrics as text. Their names are a contract.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use wasmpool::batch::live::{BUCKETS, Durations, Live, Status};

use crate::live::usage;

/// The format, as HTTP names it.
pub const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A batch as it stands.
pub fn of(live: &Live) -> String {
    let mut registry = Registry::with_prefix("wasmpool");
    registry.register(
        "build",
        "The program that runs the batch",
        Info::new([("version", env!("CARGO_PKG_VERSION"))]),
    );
    let began_at = live.begun_at().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    registry.register_collector(Box::new(Batch { status: live.status(), began_at }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes everything");
    text
}

#[derive(Debug)]
struct Batch {
    status: Status,
    began_at: f64,
}

impl Collector for Batch {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let Status { total, counts, running, .. } = &self.status;
        let outcomes = counts.outcomes.iter().map(|(outcome, count)| ([("outcome", *outcome)], *count));
        counters(encoder, "tasks", "Inputs that ended, by outcome", outcomes)?;
        counter(encoder, "tasks_kept", "Inputs that an earlier run had finished", counts.kept)?;
        counter(encoder, "attempts", "Attempts that a worker has begun", counts.attempts)?;
        counter(encoder, "retries", "Attempts that another one follows", counts.retries)?;
        counter(encoder, "leaks", "Locks, permits and leases that tasks left held", counts.leaks)?;
        gauge(encoder, "tasks_running", "Tasks that run", None, running.len() as i64)?;
        if let Some(total) = total {
            let waiting = total.saturating_sub(self.status.done()).saturating_sub(running.len() as u64);
            gauge(encoder, "inputs", "Inputs of the batch", None, as_gauge(*total))?;
            gauge(encoder, "tasks_waiting", "Inputs that neither ended nor run", None, as_gauge(waiting))?;
        }
        gauge(encoder, "began", "When the batch began, since 1970", Some(&Unit::Seconds), self.began_at)?;
        durations(encoder, &counts.durations)?;
        self.processes(encoder)
    }
}

impl Batch {
    /// What the workers of running tasks use, each, and this program.
    fn processes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let workers: Vec<_> = self
            .status
            .running
            .iter()
            .filter_map(|task| Some((task.worker, usage::of(task.pid?)?)))
            .collect();
        let labels = |worker: u64| [("worker", worker.to_string())];
        let memory = workers.iter().map(|(worker, usage)| (labels(*worker), as_gauge(usage.memory_bytes)));
        gauges(
            encoder,
            "worker_memory",
            "Resident memory of a worker whose task runs",
            Some(&Unit::Bytes),
            memory,
        )?;
        // A worker that is gone takes its count with it: a gauge.
        let cpu = workers.iter().map(|(worker, usage)| (labels(*worker), usage.cpu_time.as_secs_f64()));
        gauges(encoder, "worker_cpu", "CPU time of a worker whose task runs", Some(&Unit::Seconds), cpu)?;
        let Some(own) = usage::of(std::process::id()) else { return Ok(()) };
        gauge(
            encoder,
            "supervisor_memory",
            "Resident memory of this program",
            Some(&Unit::Bytes),
            as_gauge(own.memory_bytes),
        )?;
        gauge(
            encoder,
            "supervisor_cpu",
            "CPU time of this program",
            Some(&Unit::Seconds),
            own.cpu_time.as_secs_f64(),
        )
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(encoder)
}

fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, V)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
    }
    Ok(())
}

fn gauge<V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: V,
) -> fmt::Result {
    let encoder = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    ConstGauge::new(value).encode(encoder)
}

fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: impl Iterator<Item = (L, V)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in values {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, durations: &Durations) -> fmt::Result {
    let help = "Wall-clock time of attempts";
    let mut encoder =
        encoder.encode_descriptor("attempt_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
    // The largest number is the encoder's word for no bound.
    let bounds = BUCKETS.into_iter().chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(durations.counts().iter().copied()).collect();
    let count = durations.counts().iter().sum();
    encoder.encode_histogram::<NoLabelSet>(durations.sum().as_secs_f64(), count, &buckets, None)
}

fn as_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
