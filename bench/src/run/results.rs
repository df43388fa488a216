//! All numbers of a run, and how they stand against the budgets.

use serde::Serialize;

use super::fan_out::FanOut;
use super::growth::Growth;
use super::isolation::{Beside, Floods};
use super::latency::Latency;
use super::load::Load;
use super::log_page::LogPage;
use super::memory::{Empty, Registered};
use super::pending::Pending;
use super::retention::Retention;
use super::tls::TlsHosts;
use super::verdict::{Verdict, least, most};
use crate::sender;

/// All numbers of a run.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// Where it was.
    pub machine: Machine,
    /// The bare sender, several times in between; the median counts.
    pub bare: Vec<sender::Report>,
    /// One event in each publish request.
    pub events: Option<Load>,
    /// A hundred events in each publish request.
    pub batch: Option<Load>,
    /// At 100 events a second.
    pub latency: Option<Latency>,
    /// Broadcasts.
    pub fan_out: Vec<FanOut>,
    /// An empty server.
    pub empty: Option<Empty>,
    /// Servers with many webhooks.
    pub registered: Vec<Registered>,
    /// Broadcasts over TLS.
    pub tls: Option<TlsHosts>,
    /// A webhook that does well beside many that do not.
    pub isolation: Vec<Beside>,
    /// An account beside one that floods.
    pub flood: Option<Floods>,
    /// A million deliveries that are owed.
    pub pending: Vec<Pending>,
    /// The log of a million deliveries.
    pub log: Vec<LogPage>,
    /// A load beside retention.
    pub retention: Option<Retention>,
    /// Stores with a long past.
    pub growth: Vec<Growth>,
    /// The budgets.
    pub budgets: Vec<Verdict>,
}

/// The machine.
#[derive(Debug, Default, Serialize)]
pub struct Machine {
    /// Processors.
    pub cpus: usize,
    /// What they are called.
    pub cpu: String,
    /// The kernel.
    pub kernel: String,
    /// Load averages when the run began.
    pub load: String,
}

impl Machine {
    /// This one.
    pub fn look() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu.map(|(_, name)| name.to_owned()).unwrap_or_default(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            load: read("/proc/loadavg").trim().to_owned(),
        }
    }
}

impl Results {
    /// Acknowledged events, and broadcasts owed, that did not arrive.
    pub fn lost(&self) -> u64 {
        let loads = [&self.events, &self.batch].into_iter().flatten().map(|load| load.lost);
        let latency = self.latency.iter().map(|latency| latency.lost);
        let tls = self.tls.iter().map(|tls| &tls.fan_out);
        let fan_out = self.fan_out.iter().chain(tls).map(|fan_out| fan_out.lost);
        let beside = self.beside().map(|beside| beside.lost);
        let pending = self.pending.iter().map(|pending| pending.lost);
        let retention = self.retention.iter().map(Retention::lost);
        let past = self.growth.iter().map(Growth::lost).chain(pending).chain(retention);
        loads.chain(latency).chain(fan_out).chain(beside).chain(past).sum()
    }

    /// Everything that was measured beside neighbours.
    pub fn beside(&self) -> impl Iterator<Item = &Beside> {
        self.isolation.iter().chain(self.flood.iter().flat_map(Floods::all))
    }

    /// Requests a second of the bare sender.
    pub fn bare_per_second(&self) -> f64 {
        median(self.bare.iter().map(|report| report.per_second))
    }

    /// Processor time of the bare sender for each request.
    pub fn bare_cpu_us(&self) -> f64 {
        median(self.bare.iter().map(|report| report.cpu_us_per_request))
    }

    /// Holds the numbers against the budgets.
    pub fn conclude(&mut self) {
        let bare = self.bare_per_second();
        let mut verdicts = Vec::new();
        let percent = |rate: f64| rate / bare * 100.0;
        if let Some(events) = &self.events {
            verdicts.push(most("processor time of a delivery", "µs", events.cpu_us_per_delivery, 32.0));
            let ratio = percent(events.deliveries_per_second);
            verdicts.push(least("deliveries against the bare sender", "%", ratio, 50.0));
            verdicts.push(most("memory under load", "MiB", mib(events.peak_kib), 96.0));
        }
        if let Some(batch) = &self.batch {
            let ratio = percent(batch.deliveries_per_second);
            verdicts.push(least("the same, published in batches", "%", ratio, 70.0));
            verdicts.push(most("memory under load, batches", "MiB", mib(batch.peak_kib), 96.0));
        }
        for fan_out in &self.fan_out {
            let ratio = percent(fan_out.deliveries_per_second);
            let what = format!("the same, broadcast to {} webhooks", fan_out.webhooks);
            verdicts.push(least(&what, "%", ratio, 70.0));
        }
        if let Some(latency) = &self.latency {
            let (end, sync) = (&latency.end_to_end, &latency.sync);
            let sync_ms = ms(sync.p50_us);
            verdicts.push(most("end to end at 100/s, p50", "ms", ms(end.p50_us), sync_ms + 1.0));
            verdicts.push(most("end to end at 100/s, p99", "ms", ms(end.p99_us), 3.0 * sync_ms + 5.0));
        }
        if let Some(empty) = &self.empty {
            verdicts.push(most("memory idle", "MiB", mib(empty.idle_kib), 25.0));
            verdicts.push(most("ready when empty", "ms", empty.first_ready_ms.max(empty.ready_ms), 100.0));
        }
        for registered in self.registered.iter().filter(|registered| registered.webhooks == 100_000) {
            let kib = registered.kib.max(registered.restarted_kib);
            verdicts.push(most("memory with 100,000 webhooks", "MiB", mib(kib), 160.0));
        }
        if let Some(tls) = &self.tls {
            let what = "TLS, 1,000 hosts: against bare TLS sender";
            verdicts.push(most(what, "×", tls.ratio(), 1.5));
        }
        for one in &self.isolation {
            let what = format!("beside {}: p99", one.neighbours);
            verdicts.push(most(&what, "×", one.p99_ratio(), 2.0));
        }
        if let Some(Floods { hundredfold: one, .. }) = &self.flood {
            for (name, ratio) in [("p50", one.p50_ratio()), ("p99", one.p99_ratio())] {
                verdicts.push(most(&format!("beside {}: {name}", one.neighbours), "×", ratio, 2.0));
            }
        }
        self.pending.iter().for_each(|pending| pending.judge(&mut verdicts));
        self.log.iter().for_each(|page| page.judge(&mut verdicts));
        self.retention.iter().for_each(|retention| retention.judge(&mut verdicts));
        self.growth.iter().for_each(|growth| growth.judge(&mut verdicts));
        self.budgets = verdicts;
    }
}

/// KiB as MiB.
pub fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Microseconds as milliseconds.
pub fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// The one in the middle.
pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => 0.0,
        count => (numbers[(count - 1) / 2] + numbers[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_lie_in_the_middle() {
        for (numbers, middle) in [(&[][..], 0.0), (&[3.0], 3.0), (&[9.0, 1.0, 2.0], 2.0), (&[1.0, 2.0], 1.5)]
        {
            assert_eq!(median(numbers.iter().copied()), middle, "{numbers:?}");
        }
    }
}
