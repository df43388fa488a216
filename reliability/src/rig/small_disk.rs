//! A small disk that nobody else sees, and something that fills it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::server::Plan;

/// A file system in memory, in a mount namespace of its own. It is gone when this is dropped.
pub struct SmallDisk {
    holder: Child,
    /// Where it is mounted, for those inside the namespace.
    inside: PathBuf,
    /// Where it is for us.
    pub folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one at a folder that exists; `None` if this machine does not let us. `options` are those of tmpfs.
    ///
    /// # Errors
    /// If the system behaves in an unknown way.
    pub async fn mount(at: &Path, options: &str) -> anyhow::Result<Option<Self>> {
        for rights in [&["--mount"][..], &["--mount", "--map-root-user"]] {
            // It ends with the pipe, whatever becomes of us.
            let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && echo mounted && exec cat > /dev/null";
            let mut command = Command::new("unshare");
            command.args(rights).args(["--", "sh", "-c", script, "sh", options]).arg(at);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
            let mut holder = command.spawn().context("`unshare` cannot be started")?;
            let mut told = [0; 8];
            let mut output = holder.stdout.take().context("no output")?;
            if output.read_exact(&mut told).await.is_ok() {
                let process_id = holder.id().context("it ended at once")?;
                let folder = PathBuf::from(format!("/proc/{process_id}/root{}", at.display()));
                return Ok(Some(Self { holder, inside: at.to_owned(), folder }));
            }
        }
        Ok(None)
    }

    /// The same plan with its folder on this disk.
    pub fn plan(&self, mut plan: Plan) -> anyhow::Result<Plan> {
        let process_id = self.holder.id().context("the disk is gone")?;
        plan.folder = self.folder.clone();
        let words = [
            "nsenter".to_owned(),
            "--preserve-credentials".to_owned(),
            "--user".to_owned(),
            "--mount".to_owned(),
            format!("--target={process_id}"),
            format!("--wdns={}", self.inside.display()),
            "--".to_owned(),
        ];
        let is_root = rustix::process::geteuid().is_root();
        plan.wrapper = words.into_iter().filter(|word| !(is_root && word == "--user")).collect();
        Ok(plan)
    }

    /// How many bytes are left on it.
    pub fn left(&self) -> anyhow::Result<u64> {
        left(&self.folder)
    }

    /// Begins to fill it up to so many bytes, and keeps it so: what others write makes room for itself.
    pub fn fill(&self, leave_bytes: u64) -> Filling {
        let leave = Arc::new(AtomicU64::new(leave_bytes));
        let is_over = Arc::new(Mutex::new(false));
        let room_found_at = Arc::new(Mutex::new(Instant::now()));
        let (folder, file, leave_now) = (self.folder.clone(), self.folder.join("filling"), leave.clone());
        let (over, found_at) = (is_over.clone(), room_found_at.clone());
        let task = tokio::spawn(async move {
            loop {
                if let Ok(is_over) = over.lock()
                    && !*is_over
                {
                    let bytes = leave_now.load(Ordering::Relaxed);
                    if bytes != Filling::RESTS {
                        if left(&folder).is_ok_and(|left| left > bytes + Filling::ROOM_BYTES) {
                            *found_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                        }
                        // What does not fit any more is what it is for.
                        let _ = take(&folder, &file, bytes);
                    }
                }
                tokio::time::sleep(Filling::EVERY).await;
            }
        });
        Filling { leave, file: self.folder.join("filling"), is_over, room_found_at, task }
    }

    /// Makes empty files until there are no more, and answers where.
    pub fn use_up_files(&self) -> anyhow::Result<PathBuf> {
        const FILES_MAX: usize = 10_000;
        let folder = self.folder.join("files");
        std::fs::create_dir_all(&folder)?;
        (0..FILES_MAX)
            .map_while(|number| std::fs::File::create(folder.join(number.to_string())).ok())
            .count();
        Ok(folder)
    }
}

fn left(folder: &Path) -> anyhow::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// Makes the file larger or smaller until so many bytes are left.
fn take(folder: &Path, file: &Path, leave: u64) -> anyhow::Result<()> {
    const PAGE: u64 = 4096;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    let too_few = leave.saturating_sub(left(folder)?);
    if too_few > 0 {
        file.set_len(file.metadata()?.len().saturating_sub(too_few.next_multiple_of(PAGE)))?;
    }
    loop {
        let too_many = left(folder)?.saturating_sub(leave);
        if too_many < PAGE {
            return Ok(());
        }
        file.write_all(&vec![0; too_many.min(1024 * 1024) as usize])?;
    }
}

/// Something that fills a disk until it is dropped.
pub struct Filling {
    leave: Arc<AtomicU64>,
    file: PathBuf,
    /// Held while the file is written, so that it is not made again once it is removed.
    is_over: Arc<Mutex<bool>>,
    room_found_at: Arc<Mutex<Instant>>,
    task: JoinHandle<()>,
}

impl Filling {
    const EVERY: Duration = Duration::from_millis(10);
    /// From so many bytes on what others give back is room.
    const ROOM_BYTES: u64 = 64 * 1024;
    /// Instead of a number of bytes.
    const RESTS: u64 = u64::MAX;

    /// Leaves so many bytes from now on.
    pub fn leave(&self, bytes: u64) {
        self.leave.store(bytes, Ordering::Relaxed);
    }

    /// When there was more left than there should be: somebody gave room back, and it was taken at once.
    pub fn room_found_at(&self) -> Instant {
        *self.room_found_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves everything as it is from now on.
    pub fn rest(&self) {
        self.leave(Self::RESTS);
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.task.abort();
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let _ = std::fs::remove_file(&self.file);
    }
}
