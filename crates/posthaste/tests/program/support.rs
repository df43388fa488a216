//! The real binary in a process of its own, and a receiver that the test looks into.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use posthaste::admin_client::AdminClient;
use posthaste::certificate::Identity;
use posthaste::data_folder::DataFolder;
use posthaste::receiver::{Arrival, Receiver, Reply};
use posthaste::trust::Trust;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

/// The longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const HOST: &str = "hooks.example.com";

/// The program with these arguments, in a folder of its own and without settings from outside.
pub fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder, arguments).output().unwrap()
}

/// What it printed, and that it ended well.
pub fn json_lines(output: &Output) -> Vec<Value> {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", output.status);
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one sentence on standard error of a program that did not do what was asked.
pub fn sentence(output: &Output, exit: i32) -> String {
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asks again and again until there is an answer, within [`PATIENCE`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            match ask().await {
                Some(answer) => return answer,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

/// A data folder and the server that uses it; killed when dropped.
pub struct Server {
    pub folder: PathBuf,
    child: Child,
    pub admin: AdminClient,
    pub base: String,
    pub admin_base: String,
    /// The certificate it shows, if it speaks TLS.
    pub trust: Option<Trust>,
}

impl Server {
    /// Starts `serve` on a free port with `data` below `folder`, and waits until it is ready.
    pub async fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", folder, arguments).await
    }

    /// The same at an address.
    pub async fn start_at(listen: &str, folder: &Path, arguments: &[&str]) -> Self {
        let all = [&["serve", "--data", "data", "--listen", listen], arguments].concat();
        Self::start_as(folder, program(folder, &all)).await
    }

    /// The same, with master keys from outside.
    pub async fn start_with_key(folder: &Path, keys: &str) -> Self {
        let mut serve = program(folder, &["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
        serve.env("POSTHASTE_MASTER_KEY", keys);
        Self::start_as(folder, serve).await
    }

    /// The same, with an environment.
    pub async fn start_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let all = [&["serve", "--data", "data", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut serve = program(folder, &all);
        serve.envs(environment.iter().copied());
        Self::start_as(folder, serve).await
    }

    /// The same, but no file may grow beyond so many KiB: writing fails then, as on a disk that gives out.
    pub async fn start_where_files_end_at(folder: &Path, kib: u32) -> Self {
        Self::start_limited(folder, &format!("ulimit -f {}", kib * 2), &[]).await
    }

    /// The same with further arguments, and so many open files at most.
    pub async fn start_with_files(folder: &Path, files: usize, arguments: &[&str]) -> Self {
        Self::start_limited(folder, &format!("ulimit -n {files}"), arguments).await
    }

    /// Starts it from a shell that has set limits.
    async fn start_limited(folder: &Path, limits: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("/bin/sh");
        let start = format!("{limits}; exec \"$0\" \"$@\"");
        command.args(["-c", &start, env!("CARGO_BIN_EXE_posthaste")]);
        command.args(["serve", "--data", "data", "--listen", "127.0.0.1:0"]).args(arguments);
        command.current_dir(folder).env_clear().stdin(Stdio::null());
        Self::start_as(folder, command).await
    }

    async fn start_as(folder: &Path, mut command: Command) -> Self {
        let data = DataFolder::at(folder.join("data"));
        data.withdraw();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let found = until("a server", async || {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "the server ended: {}", log());
            data.server()
        })
        .await;
        let ((base, pin), (admin_base, admin_pin)) = (found.public_base(), found.admin_base());
        let admin = AdminClient::new(&admin_base, data.token().unwrap().unwrap());
        let admin = match admin_pin {
            Some(pin) => admin.trusting(Trust::pinned(pin).unwrap()),
            None => admin,
        };
        let trust = pin.map(|pin| Trust::pinned(pin).unwrap());
        let server = Self { folder: folder.to_owned(), child, admin, base, admin_base, trust };
        until("readiness", async || (server.status("/readyz").await == 200).then_some(())).await;
        server
    }

    pub async fn get(&self, path: &str) -> http::Response<bytes::Bytes> {
        let request = http::Request::get(format!("{}{path}", self.base)).body(bytes::Bytes::new()).unwrap();
        posthaste::http_client::send_trusting(self.trust.as_ref(), request).await.unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    pub async fn status(&self, path: &str) -> u16 {
        self.get(path).await.status().as_u16()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as a service manager would.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    pub async fn wait(&mut self) -> ExitStatus {
        until("the end of the server", async || self.child.try_wait().unwrap()).await
    }

    /// The most memory it has had so far, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTPS receiver in the test, and the flags that lead deliveries for [`HOST`] to it.
pub struct Inbox {
    pub flags: Vec<String>,
    pub arrived: mpsc::UnboundedReceiver<Arrival>,
    open: watch::Sender<bool>,
    status: Arc<Mutex<StatusCode>>,
    _folder: TempDir,
}

impl Inbox {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::for_names(&[HOST]).unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, identity.authority_pem).unwrap();
        let receiver = Receiver::bind(([127, 0, 0, 1], 0).into(), Some(identity.server)).await.unwrap();
        let flags = vec![
            "--ca-file".to_owned(),
            authority.to_str().unwrap().to_owned(),
            "--connect-to".to_owned(),
            format!("{HOST}:443:{}", receiver.address),
        ];
        let (taken, arrived) = mpsc::unbounded_channel();
        let (open, gate) = watch::channel(true);
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let answered = status.clone();
        tokio::spawn(receiver.run(Arc::new(move |arrival| {
            let (taken, mut gate, status) = (taken.clone(), gate.clone(), answered.clone());
            Box::pin(async move {
                gate.wait_for(|open| *open).await.unwrap();
                // What is answered is decided before the test hears of the arrival and says what comes next.
                let reply = Reply::empty(*status.lock().unwrap());
                taken.send(arrival).unwrap();
                reply
            })
        })));
        Self { flags, arrived, open, status, _folder: folder }
    }

    pub fn flags(&self) -> Vec<&str> {
        self.flags.iter().map(String::as_str).collect()
    }

    /// While it is closed, requests are neither taken nor answered.
    pub fn set_open(&self, is_open: bool) {
        self.open.send_replace(is_open);
    }

    pub fn answer_with(&self, status: StatusCode) {
        *self.status.lock().unwrap() = status;
    }

    pub async fn next(&mut self) -> Arrival {
        let next = tokio::time::timeout(PATIENCE, self.arrived.recv()).await;
        next.expect("a delivery in time").unwrap()
    }
}

/// An account of the standard contract with one webhook for everything. Answers the webhook as its API shows it.
pub async fn customer(server: &Server, account: &str) -> Value {
    server.admin.post("/accounts", &json!({"id": account})).await.unwrap();
    let key = server.admin.post(&format!("/accounts/{account}/keys"), &json!({})).await.unwrap();
    let request = http::Request::post(format!("{}/v1/webhooks", server.base))
        .header("authorization", format!("Bearer {}", key["key"].as_str().unwrap()))
        .header("content-type", "application/json")
        .body(json!({"url": format!("https://{HOST}/{account}")}).to_string().into())
        .unwrap();
    let answer = posthaste::http_client::send(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED, "{:?}", answer.body());
    serde_json::from_slice(answer.body()).unwrap()
}
