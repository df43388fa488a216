//! The program in a process of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use posthaste::admin_client::AdminClient;
use posthaste::data_folder::DataFolder;
use posthaste::http_client;
use posthaste_core::Secret;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::context::Context;

use super::client::Client;
use super::contract::Contract;
use super::publishing::Product;

/// The longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How to start it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program.
    pub program: PathBuf,
    /// The folder that `data` and the log are in.
    pub folder: PathBuf,
    /// Further arguments of `serve`.
    pub arguments: Vec<String>,
    /// The environment, which is otherwise empty.
    pub environment: Vec<(String, String)>,
    /// What is run before it, with the program's command line behind it: `prlimit`, `nsenter`, and such.
    pub wrapper: Vec<String>,
}

impl Plan {
    /// The program with its data in a folder, allowed to deliver to this machine in the clear.
    pub fn new(program: &Path, folder: &Path) -> Self {
        let arguments = ["--allow-http", "--allow-net", "127.0.0.0/8"].map(str::to_owned).to_vec();
        Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            arguments,
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    /// The program that a part is to try, with the bug that it is to notice.
    pub fn of(context: &Context, folder: &Path) -> Self {
        Self::new(context.program(), folder).bug(context.bug.as_deref())
    }

    /// The same with a variable in its environment.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The same with further arguments.
    pub fn arguments(mut self, more: &[&str]) -> Self {
        self.arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// The same under this contract, which is written into its folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn contract(self, contract: &Contract) -> anyhow::Result<Self> {
        const FILE: &str = "contract.toml";
        std::fs::write(self.folder.join(FILE), contract.text())?;
        Ok(self.arguments(&["--contract", FILE]))
    }

    /// The same with a bug switched on, if there is one.
    pub fn bug(self, bug: Option<&str>) -> Self {
        match bug {
            Some(bug) => self.with("POSTHASTE_BUG", bug),
            None => self,
        }
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A command of the program beside its data, in the plan's environment.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut line: Vec<&std::ffi::OsStr> = self.wrapper.iter().map(AsRef::as_ref).collect();
        line.push(self.program.as_os_str());
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(words).current_dir(&self.folder).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// A server that runs. It is killed when dropped.
pub struct Server {
    plan: Plan,
    child: Child,
    /// The process.
    pub process_id: u32,
    /// Calls to its admin API.
    pub admin: AdminClient,
    /// Where its public API is.
    pub base: String,
    /// How long it took until it was ready.
    pub ready_after: Duration,
}

impl Server {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// If it ends before, or is not ready within [`PATIENCE`]; the error holds the end of its log.
    pub async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut started = Self::spawn(plan).await?;
        let begun = Instant::now() - started.ready_after;
        while started.status("/readyz").await != Some(200) {
            ensure!(begun.elapsed() < PATIENCE, "it is not ready in time:\n{}", started.log());
            started.refuse_ended()?;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        started.ready_after = begun.elapsed();
        Ok(started)
    }

    /// Starts it and waits until it has said where it listens.
    ///
    /// # Errors
    /// If it ends before, or says nothing within [`PATIENCE`].
    pub async fn spawn(plan: &Plan) -> anyhow::Result<Self> {
        match Self::spawn_or_end(plan).await? {
            Ok(spawned) => Ok(spawned),
            Err(status) => bail!("it ended with {status}:\n{}", log_of(plan)),
        }
    }

    /// The same where it may end before.
    ///
    /// # Errors
    /// If it says nothing within [`PATIENCE`].
    pub async fn spawn_or_end(plan: &Plan) -> anyhow::Result<Result<Self, ExitStatus>> {
        let begun = Instant::now();
        let mut child = Self::launch(plan)?;
        let data = DataFolder::at(plan.data());
        let process_id = child.id().context("it ended at once")?;
        let (file, token) = loop {
            if let (Some(file), Ok(Some(token))) = (data.server(), data.token()) {
                break (file, token);
            }
            if let Some(status) = child.try_wait()? {
                return Ok(Err(status));
            }
            ensure!(begun.elapsed() < PATIENCE, "it does not say where it listens:\n{}", log_of(plan));
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let (base, admin) = (file.public_base().0, AdminClient::new(file.admin_base().0, token));
        Ok(Ok(Self { plan: plan.clone(), child, process_id, admin, base, ready_after: begun.elapsed() }))
    }

    /// Starts it where it may end at once, and waits for that or for its being ready.
    ///
    /// # Errors
    /// If neither comes in time.
    pub async fn start_or_end(plan: &Plan) -> anyhow::Result<Result<Self, ExitStatus>> {
        let mut started = match Self::spawn_or_end(plan).await? {
            Ok(started) => started,
            Err(status) => return Ok(Err(status)),
        };
        let begun = Instant::now() - started.ready_after;
        loop {
            if let Some(status) = started.child.try_wait()? {
                return Ok(Err(status));
            }
            if started.status("/readyz").await == Some(200) {
                started.ready_after = begun.elapsed();
                return Ok(Ok(started));
            }
            ensure!(begun.elapsed() < PATIENCE, "it is neither ready nor at its end:\n{}", started.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Starts it and kills it after so long, wherever it is then.
    ///
    /// # Errors
    /// If it had ended by itself before.
    pub async fn start_and_kill(plan: &Plan, after: Duration) -> anyhow::Result<()> {
        let mut child = Self::launch(plan)?;
        tokio::time::sleep(after).await;
        kill(&mut child, plan).await
    }

    /// Starts it and sends it a signal after so long, wherever it is then; answers how it ends, and whether it had said
    /// anything by then.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub async fn start_and_signal(
        plan: &Plan,
        after: Duration,
        signal: rustix::process::Signal,
    ) -> anyhow::Result<(ExitStatus, bool)> {
        let said = || std::fs::metadata(plan.folder.join("log")).map_or(0, |log| log.len());
        let before = said();
        let mut child = Self::launch(plan)?;
        tokio::time::sleep(after).await;
        let id = child.id().context("it ended at once")?;
        let id = rustix::process::Pid::from_raw(i32::try_from(id)?).context("no process")?;
        let has_spoken = said() > before;
        rustix::process::kill_process(id, signal)?;
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        Ok((ended.with_context(|| format!("it does not end:\n{}", log_of(plan)))??, has_spoken))
    }

    fn launch(plan: &Plan) -> anyhow::Result<Child> {
        DataFolder::at(plan.data()).withdraw();
        let path = plan.folder.join("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        let mut serve = plan.command(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
        serve.args(&plan.arguments).stdout(Stdio::null()).stderr(log);
        serve.spawn().with_context(|| format!("cannot start {}", plan.program.display()))
    }

    /// The answer's status; `None` if there is none.
    pub async fn status(&self, path: &str) -> Option<u16> {
        let request = http::Request::get(format!("{}{path}", self.base)).body(Bytes::new()).ok()?;
        http_client::send(request).await.ok().map(|answer| answer.status().as_u16())
    }

    fn refuse_ended(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the process ended by itself, with {status}:\n{}", self.log()),
            None => Ok(()),
        }
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// If it had ended by itself before.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        kill(&mut self.child, &self.plan).await
    }

    /// Ends it as a crash would, where it may have ended by itself.
    ///
    /// # Errors
    /// If the system does not let us.
    pub async fn discard(&mut self) -> anyhow::Result<()> {
        // One that has ended is not sent anything.
        let _ = self.child.start_kill();
        self.child.wait().await?;
        Ok(())
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// If it had ended by itself before, does not end within [`PATIENCE`], or ends otherwise than well.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        self.refuse_ended()?;
        self.terminate()?;
        let status = self.wait().await?;
        ensure!(status.success(), "told to end, it ended with {status}:\n{}", self.log());
        Ok(())
    }

    /// Asks it to end, as a service manager would.
    ///
    /// # Errors
    /// If it is not there.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(rustix::process::Signal::TERM)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it is not there.
    pub fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.process_id)?).context("no process")?;
        Ok(rustix::process::kill_process(id, signal)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If that does not come within [`PATIENCE`].
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(ended.with_context(|| format!("it does not end:\n{}", log_of(&self.plan)))??)
    }

    /// Waits for its ending by itself, so long; answers whether it has.
    pub async fn ends_within(&mut self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.child.wait()).await.is_ok()
    }

    /// Has it ended by itself?
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The memory it uses now (`VmRSS`) or has used at most (`VmHWM`), in MiB.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn memory_mib(&self, field: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process_id))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib: f64 = line.context("no such field")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        log_of(&self.plan)
    }

    /// A product that publishes for an account here.
    ///
    /// # Errors
    /// If the admin token cannot be read.
    pub fn product(&self, account: &str) -> anyhow::Result<Product> {
        Ok(Product { client: self.client()?, account: account.to_owned(), padding: 0 })
    }

    /// Whoever calls it with the admin token.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn client(&self) -> anyhow::Result<Client> {
        let token = DataFolder::at(self.plan.data()).token()?.context("no admin token")?;
        Ok(Client::new(self.base.clone(), token))
    }

    /// A customer who calls it.
    pub fn customer(&self, key: &str) -> Client {
        Client::new(self.base.clone(), Secret::from(key.to_owned()))
    }

    /// Makes an account of the standard contract and answers its API key.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn account(&self, id: &str) -> anyhow::Result<String> {
        self.admin.post("/accounts", &json!({"id": id})).await?;
        let key = self.admin.post(&format!("/accounts/{id}/keys"), &json!({})).await?;
        Ok(key["key"].as_str().context("no key")?.to_owned())
    }

    /// Registers a webhook for everything through the standard contract's own route; answers it as that shows it.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn webhook(&self, key: &str, url: &str) -> anyhow::Result<Value> {
        let body = json!({"url": url}).to_string();
        let answer = self.customer(key).call(http::Method::POST, "/v1/webhooks", body).await;
        let answer = answer.context("nobody answers")?;
        ensure!(answer.is_success(), "a webhook is refused: {answer:?}");
        Ok(answer.body)
    }
}

/// Whoever had ended by itself was not killed, and nobody else looks at how it ended.
async fn kill(child: &mut Child, plan: &Plan) -> anyhow::Result<()> {
    let _ = child.start_kill();
    let status = child.wait().await?;
    let is_killed = status.signal() == Some(rustix::process::Signal::KILL.as_raw());
    ensure!(is_killed, "the process ended by itself, with {status}:\n{}", log_of(plan));
    Ok(())
}

fn log_of(plan: &Plan) -> String {
    const SHOWN_BYTES: usize = 4_000;
    let log = std::fs::read(plan.folder.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN_BYTES)..]).into_owned()
}
