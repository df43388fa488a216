//! The results for people.

use std::fmt::Write as _;

use super::growth::Growth;
use super::isolation::Beside;
use super::load::Load;
use super::log_page::LogPage;
use super::pending::Pending;
use super::results::{Results, median, mib, ms};
use super::retention::Retention;
use super::tls::TlsHosts;
use super::verdict::Verdict;
use crate::histogram::Summary;

/// All results as text.
pub fn of(results: &Results) -> String {
    let mut lines = Lines::default();
    let machine = &results.machine;
    lines.row("machine", format!("{} × {}, Linux {}", machine.cpus, machine.cpu, machine.kernel));
    lines.row("load before", machine.load.clone());
    let (bare, bare_cpu) = (results.bare_per_second(), results.bare_cpu_us());
    let times = results.bare.len();
    lines.row("bare sender", format!("{bare:.0}/s, {bare_cpu:.1} µs each (median of {times})"));
    for (name, load) in [("events, 1 a request", &results.events), ("events, 100 a request", &results.batch)]
    {
        if let Some(load) = load {
            lines.load(name, load, bare);
        }
    }
    if let Some(latency) = &results.latency {
        lines.times("100/s: end to end", &latency.end_to_end);
        lines.times("100/s: acknowledged", &latency.acknowledged);
        lines.times("4 KiB made durable", &latency.sync);
        lines.times("100/s: bare sender", &latency.bare);
    }
    for one in &results.fan_out {
        let rate = one.deliveries_per_second;
        let text = format!(
            "{rate:.0}/s ({:.0} % of bare), {:.1} µs each, peak {:.0} MiB, lost {}, duplicates {}",
            rate / bare * 100.0,
            one.cpu_us_per_delivery,
            mib(one.peak_kib),
            one.lost,
            one.duplicates
        );
        lines.row(&format!("{} × {} webhooks", one.broadcasts, one.webhooks), text);
    }
    if let Some(empty) = &results.empty {
        let (first, again) = (empty.first_ready_ms, empty.ready_ms);
        let idle = mib(empty.idle_kib);
        lines.row("empty", format!("ready in {first:.0} ms (new), {again:.0} ms (again), {idle:.1} MiB"));
    }
    for one in &results.registered {
        let text = format!(
            "{:.0} registered/s, {:.0} MiB; after a restart ready in {:.0} ms, {:.0} MiB",
            one.per_second,
            mib(one.kib),
            one.ready_ms,
            mib(one.restarted_kib)
        );
        lines.row(&format!("{} webhooks", one.webhooks), text);
    }
    if let Some(tls) = &results.tls {
        lines.tls(tls);
    }
    results.beside().for_each(|one| lines.beside(one));
    let pending = results.pending.iter().map(Pending::row);
    let log = results.log.iter().flat_map(LogPage::rows);
    let retention = results.retention.iter().flat_map(Retention::rows);
    let growth = results.growth.iter().flat_map(Growth::rows);
    let past = pending.chain(log).chain(retention).chain(growth);
    past.for_each(|(name, text)| lines.row(&name, text));
    lines.0.push('\n');
    results.budgets.iter().for_each(|verdict| lines.verdict(verdict));
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn row(&mut self, name: &str, text: String) {
        let _ = writeln!(self.0, "{name:<24} {text}");
    }

    fn load(&mut self, name: &str, load: &Load, bare: f64) {
        let rate = load.deliveries_per_second;
        let text = format!(
            "{rate:.0}/s ({:.0} % of bare), {:.1} µs each, peak {:.0} MiB, {:.1} s behind",
            rate / bare * 100.0,
            load.cpu_us_per_delivery,
            mib(load.peak_kib),
            load.seconds_behind,
        );
        self.row(name, text);
        let (published, received) = (&load.published, &load.received);
        let text = format!(
            "acknowledged {} ({:.0}/s), failed {}, received {}, lost {}, duplicates {}",
            published.acknowledged,
            published.per_second,
            published.failed,
            received.distinct,
            load.lost,
            received.duplicates
        );
        self.row("", text);
        self.times("  acknowledged", &published.answer);
        self.times("  end to end", &received.age);
    }

    fn tls(&mut self, tls: &TlsHosts) {
        let bare = median(tls.bare.iter().map(|report| report.per_second));
        let bare_cpu = tls.bare_cpu_us();
        let text = format!("{bare:.0}/s, {bare_cpu:.1} µs each (median of {})", tls.bare.len());
        self.row(&format!("bare TLS, {} hosts", tls.hosts), text);
        let (rate, cpu) = (tls.transport.per_second, tls.transport.cpu_us_per_request);
        self.row("  transport alone", format!("{rate:.0}/s, {cpu:.1} µs each"));
        let one = &tls.fan_out;
        let text = format!(
            "{:.0}/s, {:.1} µs each with publish, fan-out, store and log ({:.2} × bare), lost {}, duplicates {}",
            one.deliveries_per_second,
            one.cpu_us_per_delivery,
            tls.ratio(),
            one.lost,
            one.duplicates
        );
        self.row(&format!("  {} broadcasts", one.broadcasts), text);
        let deliveries = one.broadcasts * u64::from(tls.hosts);
        let text = format!(
            "{} opened in the warm-up, {} more for {deliveries} deliveries",
            tls.warm_up_connections, tls.connections
        );
        self.row("  connections", text);
    }

    fn beside(&mut self, one: &Beside) {
        let Beside { neighbours, alone, beside, neighbours_per_second, lost } = one;
        self.row(
            &format!("beside {neighbours}"),
            format!("({neighbours_per_second:.0} events/s), lost {lost}"),
        );
        self.times("  alone", alone);
        self.times("  beside them", beside);
        let (p50, p99) = (one.p50_ratio(), one.p99_ratio());
        self.row("  against alone", format!("p50 {p50:.2} ×, p99 {p99:.2} ×"));
    }

    fn times(&mut self, name: &str, times: &Summary) {
        let (p50, p99, max) = (ms(times.p50_us), ms(times.p99_us), ms(times.max_us));
        self.row(name, format!("p50 {p50:.2} ms, p99 {p99:.2} ms, most {max:.1} ms ({})", times.count));
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let Verdict { what, unit, measured, budget, is_floor, is_met } = verdict;
        let bound = if *is_floor { "at least" } else { "at most" };
        let word = if *is_met { "met" } else { "missed" };
        let by = (measured - budget).abs() / budget * 100.0;
        let _ = writeln!(
            self.0,
            "{word:<7} {what:<42} {measured:>8.1} {unit:<4} {bound} {budget:.1} {unit} (by {by:.0} %)"
        );
    }
}
