//! The processes of a run. Each is ended by its owner, and by the system's own account of it we know what it used.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a process may take to say where it listens, or to end after it was told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that runs until it is dropped.
pub struct Running {
    child: Child,
    id: u32,
}

impl Running {
    /// Starts a program with its standard error in a file.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let log = std::fs::File::create(log).with_context(|| log.display().to_string())?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn();
        Self::of(child.with_context(|| format!("cannot start {}", command.as_std().get_program().display()))?)
    }

    fn of(child: Child) -> anyhow::Result<Self> {
        let id = child.id().context("it ended at once")?;
        Ok(Self { child, id })
    }

    /// Has it ended by itself?
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.child.start_kill()?;
        timeout(PATIENCE, self.child.wait()).await.context("it does not end")??;
        Ok(())
    }

    /// The processor time all its threads have used, in microseconds.
    pub fn cpu_us(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        let ticks = cpu_ticks(&text).context("/proc/PID/stat reads otherwise than expected")?;
        Ok(ticks * 1_000_000 / rustix::param::clock_ticks_per_second().max(1))
    }

    /// The memory it uses, and the most it has used, in KiB.
    pub fn memory_kib(&self) -> anyhow::Result<(u64, u64)> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let field = |name| kib(&text, name).with_context(|| format!("/proc/PID/status has no {name}"));
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }
}

/// User and system time: the 14th and 15th field, counted after the program's name, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// One of this program's own tools.
fn tool(args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args.iter().map(OsStr::new)).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs a tool to its end and reads the report it prints.
pub async fn report_of<T: DeserializeOwned>(args: &[&str], patience: Duration) -> anyhow::Result<T> {
    let output = timeout(patience, tool(args)?.stderr(Stdio::inherit()).output());
    let output = output.await.with_context(|| format!("{args:?} does not end"))??;
    ensure!(output.status.success(), "{args:?} failed");
    serde_json::from_slice(&output.stdout).with_context(|| format!("the report of {args:?} cannot be read"))
}

/// Starts a tool that says on its first line where it listens.
pub async fn listener(args: &[&str]) -> anyhow::Result<(Running, String)> {
    let mut child = tool(args)?.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let errors = child.stderr.take().context("no standard error")?;
    let mut line = String::new();
    timeout(PATIENCE, BufReader::new(errors).read_line(&mut line)).await.context("it says nothing")??;
    let address = line.trim().strip_prefix("listening on ");
    let address = address.with_context(|| format!("{args:?}: {line}"))?.to_owned();
    Ok((Running::of(child)?, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_account_is_read() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 85 0 1 0 120 34 0 0 20 0 5 0 100";
        assert_eq!(cpu_ticks(stat), Some(154));
        assert_eq!(cpu_ticks(""), None);
        assert_eq!(kib("Name:\tx\nVmHWM:\t  9876 kB\n", "VmHWM:"), Some(9876));
        assert_eq!(kib("", "VmHWM:"), None);
    }
}
