//! Open files run out: by a low limit and a flood of idle clients, and all at once while everything is under way. The
//! process stays, loses nothing, and goes on by itself when there are some again.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::server::{Plan, Server};
use crate::rig::world::World;

/// The part.
pub const PART: Part = Part {
    name: "descriptors",
    says: "too few open files: at the start, by idle clients, and all at once",
    is_alone: false,
    figures: &[
        Figure::count("descriptors.refusals", "starts refused for too few open files or threads"),
        Figure::at_least(
            "descriptors.idle",
            "idle connections made to a process with 128 open files, which may close them",
            "",
            IDLE_MIN,
        ),
        Figure::at_least(
            "descriptors.idle_taken",
            "most of them that it had taken at one time",
            "",
            TAKEN_MIN,
        ),
        Figure::count("descriptors.looks", "looks at readiness meanwhile"),
        Figure::never("descriptors.unanswered", "looks at readiness that were not answered with 200"),
        Figure::at_most("descriptors.answer_ms", "the longest such look took", "ms", 5_000.0),
        Figure::some("descriptors.droughts", "times in which not one more file could be opened"),
        Figure::count("descriptors.unserved", "connections made in them that were not served"),
        Figure::at_most("descriptors.resume_ms", "from there being some again to readiness", "ms", 5_000.0),
        Figure::some("descriptors.acknowledged", "events acknowledged by processes short of open files"),
        Figure::never("descriptors.lost", "acknowledged events lost for want of open files"),
    ],
    run,
};

/// How long a start that is refused may take on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Limits with which nothing can be served.
const TOO_LOW: [u64; 9] = [4, 6, 8, 10, 12, 16, 24, 64, 95];
/// The limit with which everything is to be served.
const LOW: u64 = 128;
/// Idle connections that are made again and again as they are closed.
const IDLE: usize = 200;
/// Where they come from, and how the system's table of connections writes that.
const IDLE_FROM: [u8; 4] = [127, 0, 0, 2];
const IDLE_HEX: &str = "0200007F";
/// Fewer are no flood. The process keeps a few, and closes the others.
const IDLE_MIN: f64 = 64.0;
const TAKEN_MIN: f64 = 4.0;
/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(3);
/// How often files run out all at once in one store, and for how long. Together they are over before the first retry.
const DROUGHTS: u64 = 4;
const DROUGHT: Duration = Duration::from_millis(700);
/// How many connections are made in each, and how long each waits for an answer.
const CALLS: u32 = 4;
const CALL_PATIENCE: Duration = Duration::from_millis(150);
/// Publishers of single events at one time.
const PUBLISHERS: usize = 2;
/// How often readiness is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The longest a look waits.
const LOOK_PATIENCE: Duration = Duration::from_secs(20);

fn run(context: Context) -> Running {
    Box::pin(async move {
        let (refused, flooded, dried) = tokio::join!(too_low(&context), flood(&context), droughts(&context));
        refused?;
        no_threads(&context).await?;
        flooded?;
        dried
    })
}

/// The same with a limit on open files that it cannot raise.
fn limited(plan: Plan, files: u64) -> Plan {
    let wrapper = ["prlimit".to_owned(), format!("--nofile={files}:{files}")].to_vec();
    Plan { wrapper, ..plan }
}

/// A start with too few ends at once, with 1 and a sentence that says what there are too few of.
async fn too_low(context: &Context) -> anyhow::Result<()> {
    for files in TOO_LOW {
        let folder = tempfile::tempdir()?;
        let plan = limited(Plan::of(context, folder.path()), files);
        let begun = Instant::now();
        let Err(status) = Server::start_or_end(&plan).await? else {
            context.object(format!("it serves with {files} open files"));
            continue;
        };
        if begun.elapsed() > AT_ONCE {
            context.object(format!("with {files} open files it ended only after {:?}", begun.elapsed()));
        }
        let log = std::fs::read_to_string(folder.path().join("log"))?;
        let last = log.lines().last().unwrap_or_default();
        if status.code() != Some(1) || !last.contains("open files") {
            context.object(format!("with {files} open files it ended with {status}: {last}"));
        }
        context.report("descriptors.refusals", 1.0)?;
    }
    Ok(())
}

/// A start without threads ends at once too, and says what is missing. The limit does not hold for the superuser, so
/// for that one it is tried as somebody else.
async fn no_threads(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
    let program = folder.path().join("posthaste");
    std::fs::copy(context.program(), &program)?;
    let mut wrapper = vec!["prlimit".to_owned(), "--nproc=1:1".to_owned()];
    if rustix::process::geteuid().is_root() {
        wrapper.splice(0..0, ["setpriv", "--reuid=65534", "--clear-groups"].map(str::to_owned));
    }
    let plan = Plan { wrapper, ..Plan::new(&program, folder.path()) };
    let Err(status) = Server::start_or_end(&plan).await? else {
        context.object("it serves without threads");
        return Ok(());
    };
    let log = std::fs::read_to_string(folder.path().join("log"))?;
    let last = log.lines().last().unwrap_or_default();
    if status.code() != Some(1) || !last.contains("threads") {
        context.object(format!("without threads it ended with {status}: {last}"));
    }
    context.report("descriptors.refusals", 1.0)
}

/// Clients take all connections there are and say nothing: whoever has something to ask is served all the same.
async fn flood(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan::of(context, folder.path());
    let world = World::settled(limited(plan, LOW)).await?;
    let server = Server::start(&world.plan).await?;
    let address = server.base.strip_prefix("http://").context("no address")?.to_owned();
    let made = Arc::new(AtomicUsize::new(0));
    let flooding = tokio::spawn(hold_idle(address.clone(), made.clone()));
    let desk = world.desk.towards(&server)?;
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < FLOOD {
        // One after the other: so few open files are for few attempts at one time.
        let number = desk.numbers.fetch_add(1, Ordering::Relaxed);
        let published = desk.publish(number).await;
        if !published.is_accepted() {
            context
                .object(format!("in a flood of connections event {number} was answered with {published:?}"));
        }
        let looked = Instant::now();
        let answer = tokio::time::timeout(LOOK_PATIENCE, server.status("/readyz")).await;
        context.report("descriptors.looks", 1.0)?;
        context.report("descriptors.unanswered", f64::from(u8::from(answer != Ok(Some(200)))))?;
        context.report("descriptors.answer_ms", looked.elapsed().as_secs_f64() * 1000.0)?;
        tokio::time::sleep(LOOK_EVERY).await;
        most = most.max(taken(server.process_id, &address)?);
    }
    flooding.abort();
    context.report("descriptors.idle", made.load(Ordering::Relaxed) as f64)?;
    context.report("descriptors.idle_taken", most as f64)?;
    close(context, world, server).await
}

/// How many connections of the idle clients a process has: sockets at its address, from theirs. Those in a queue of the
/// system's, which it has not taken, and those that it has closed belong to no inode.
fn taken(process_id: u32, address: &str) -> anyhow::Result<usize> {
    let port = address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).context("no port")?;
    let (own, theirs) = (format!("0100007F:{port:04X}"), format!("{IDLE_HEX}:"));
    let table = std::fs::read_to_string(format!("/proc/{process_id}/net/tcp"))?;
    let is_taken = |line: &&str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        matches!(columns.as_slice(), [_, local, remote, _, _, _, _, _, _, inode, ..]
            if *local == own && remote.starts_with(&theirs) && *inode != "0")
    };
    Ok(table.lines().filter(is_taken).count())
}

/// Holds idle connections, as many as it is let, and counts those that it made.
async fn hold_idle(address: String, made: Arc<AtomicUsize>) {
    let mut held = Vec::with_capacity(IDLE);
    loop {
        for _ in held.len()..IDLE {
            let connection = connect(&address).await;
            made.fetch_add(usize::from(connection.is_some()), Ordering::Relaxed);
            held.extend(connection);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        held.retain(|stream: &TcpStream| !matches!(stream.try_read(&mut [0]), Ok(0)));
    }
}

/// From an address of its own: one client is not let to have what all others need.
async fn connect(address: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((IDLE_FROM, 0).into()).ok()?;
    socket.connect(address.parse().ok()?).await.ok()
}

/// Not one more file can be opened, for a while and again; then there are as many as before.
async fn droughts(context: &Context) -> anyhow::Result<()> {
    for _ in 0..context.times(1) {
        // What fails in one of them is tried again when the last is over: each store has only a few.
        a_few_droughts(context).await?;
    }
    Ok(())
}

async fn a_few_droughts(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan::of(context, folder.path());
    let world = World::settled(plan).await?;
    let mut server = Server::start(&world.plan).await?;
    let id = Pid::from_raw(i32::try_from(server.process_id)?).context("no process")?;
    for _ in 0..DROUGHTS {
        let traffic = world.desk.towards(&server)?.traffic(PUBLISHERS);
        tokio::time::sleep(LOOK_EVERY).await;
        let before = prlimit(Some(id), Resource::Nofile, few(id)?)?;
        let over = Instant::now() + DROUGHT;
        let unserved = unserved(&server).await?;
        ensure!(unserved > 0, "new connections are served: there was no drought");
        context.report("descriptors.unserved", f64::from(unserved))?;
        tokio::time::sleep_until(over).await;
        ensure!(!server.has_ended(), "it ended without open files:\n{}", server.log());
        prlimit(Some(id), Resource::Nofile, before)?;
        let there = Instant::now();
        while server.status("/readyz").await != Some(200) {
            ensure!(there.elapsed() < LOOK_PATIENCE, "it does not go on:\n{}", server.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        context.report("descriptors.resume_ms", there.elapsed().as_secs_f64() * 1000.0)?;
        context.report("descriptors.droughts", 1.0)?;
        traffic.stop().await;
    }
    // What was unknown may be stored: with its key it is one event all the same.
    ensure!(world.repeat(&server).await? == 0, "a repeated call got another event than the first");
    close(context, world, server).await
}

/// How many of some new connections get no answer.
async fn unserved(server: &Server) -> anyhow::Result<u32> {
    let address = server.base.strip_prefix("http://").context("no address")?;
    let mut unserved = 0;
    for _ in 0..CALLS {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
        let answered = tokio::time::timeout(CALL_PATIENCE, stream.read(&mut [0])).await;
        unserved += u32::from(!matches!(answered, Ok(Ok(1))));
    }
    Ok(unserved)
}

/// A limit that the files open now have reached.
fn few(id: Pid) -> anyhow::Result<Rlimit> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", id.as_raw_nonzero()))?.count() as u64;
    let Rlimit { maximum, .. } = prlimit_of(id)?;
    Ok(Rlimit { current: Some(open.min(NONE_FREE_BELOW)), maximum })
}

/// Numbers of files are given from the lowest: below this one all are taken by what stays open.
const NONE_FREE_BELOW: u64 = 24;

fn prlimit_of(id: Pid) -> anyhow::Result<Rlimit> {
    // Asked of the one there is: setting what is set changes nothing.
    let text = std::fs::read_to_string(format!("/proc/{}/limits", id.as_raw_nonzero()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).context("no limit")?;
    let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
    let current = numbers.next().context("no limit")?;
    Ok(Rlimit { current, maximum: numbers.next().context("no limit")? })
}

async fn close(context: &Context, mut world: World, server: Server) -> anyhow::Result<()> {
    let acknowledged = world.desk.ledger.acknowledged();
    ensure!(acknowledged > 0, "nothing was acknowledged: this proves nothing");
    let (sum, wrong) = world.close(server).await?;
    context.report("descriptors.acknowledged", acknowledged as f64)?;
    context.report("descriptors.lost", sum.lost as f64)?;
    wrong.into_iter().for_each(|wrong| context.object(wrong));
    Ok(())
}
