//! Files of the store that are replaced, removed or cut beneath the running program.

use std::io;
use std::path::Path;

use posthaste::admin_client::AdminClient;
use serde_json::{Value, json};

use crate::support::{Server, run, sentence};

/// What somebody does in the data folder, which file the program names, and whether what was accepted before is there
/// again once it is taken back.
struct Way {
    what: &'static str,
    change: fn(&Path) -> io::Result<()>,
    named: &'static str,
    take_back: Option<fn(&Path) -> io::Result<()>>,
}

const WAYS: &[Way] = &[
    Way {
        what: "a backup is moved over the database",
        change: |data| {
            std::fs::hard_link(data.join("posthaste.db"), data.join("kept"))?;
            std::fs::rename(data.join("backup.db"), data.join("posthaste.db"))
        },
        named: "posthaste.db ",
        take_back: Some(|data| std::fs::rename(data.join("kept"), data.join("posthaste.db"))),
    },
    Way {
        what: "a backup is moved over the database, and the log is removed",
        change: |data| {
            std::fs::rename(data.join("backup.db"), data.join("posthaste.db"))?;
            std::fs::remove_file(data.join("posthaste.db-wal"))?;
            std::fs::remove_file(data.join("posthaste.db-shm"))
        },
        named: "posthaste.db ",
        take_back: None,
    },
    Way {
        what: "the database is removed",
        change: |data| std::fs::remove_file(data.join("posthaste.db")),
        named: "posthaste.db ",
        take_back: None,
    },
    Way {
        what: "the database is moved away",
        change: |data| std::fs::rename(data.join("posthaste.db"), data.join("kept")),
        named: "posthaste.db ",
        take_back: Some(|data| std::fs::rename(data.join("kept"), data.join("posthaste.db"))),
    },
    Way {
        what: "the log is moved away",
        change: |data| std::fs::rename(data.join("posthaste.db-wal"), data.join("kept")),
        named: "posthaste.db-wal ",
        take_back: Some(|data| std::fs::rename(data.join("kept"), data.join("posthaste.db-wal"))),
    },
    Way {
        what: "the log is removed",
        change: |data| std::fs::remove_file(data.join("posthaste.db-wal")),
        named: "posthaste.db-wal ",
        take_back: None,
    },
    Way {
        what: "the log is emptied",
        change: |data| cut(data, 0),
        named: "posthaste.db-wal ",
        take_back: None,
    },
    Way {
        what: "the log is cut",
        change: |data| cut(data, 20_000),
        named: "posthaste.db-wal ",
        take_back: None,
    },
    Way {
        what: "the index of the log is removed",
        change: |data| std::fs::remove_file(data.join("posthaste.db-shm")),
        named: "posthaste.db-shm ",
        take_back: Some(|_| Ok(())),
    },
    Way {
        what: "the lock is removed",
        change: |data| std::fs::remove_file(data.join("posthaste.lock")),
        named: "posthaste.lock ",
        take_back: Some(|_| Ok(())),
    },
    Way {
        what: "the folder is moved away, and there is an empty one",
        change: |data| {
            std::fs::rename(data, data.with_extension("kept"))?;
            std::fs::create_dir(data)
        },
        named: "posthaste.db ",
        take_back: Some(|data| {
            std::fs::remove_dir_all(data)?;
            std::fs::rename(data.with_extension("kept"), data)
        }),
    },
];

fn cut(data: &Path, bytes: u64) -> io::Result<()> {
    std::fs::OpenOptions::new().write(true).open(data.join("posthaste.db-wal"))?.set_len(bytes)
}

async fn publish(admin: &AdminClient) -> Result<String, String> {
    let event = json!({"type": "invoice.paid", "account": "acme", "data": {"padding": "x".repeat(4_000)}});
    let answer = admin.post("/events", &event).await.map_err(|error| error.to_string())?;
    Ok(answer["id"].as_str().unwrap().to_owned())
}

/// A server that has accepted something, with a backup of before in its data folder; and what it accepted.
async fn server_with_backup(folder: &Path) -> (Server, Vec<String>) {
    let server = Server::start(folder, &[]).await;
    server.admin.post("/accounts", &json!({"id": "acme"})).await.unwrap();
    let mut accepted = vec![publish(&server.admin).await.unwrap()];
    let backup = run(folder, &["backup", "--data-dir", "data", "data/backup.db"]);
    assert!(backup.status.success(), "{backup:?}");
    for _ in 0..20 {
        accepted.push(publish(&server.admin).await.unwrap());
    }
    (server, accepted)
}

async fn refuse_missing(server: &Server, accepted: &[String]) {
    for id in accepted {
        let shown: Value = server.admin.get(&format!("/events/{id}")).await.unwrap();
        assert_eq!(shown["id"], **id);
    }
}

/// Nothing is accepted any more, and the program ends with a sentence that names the file.
async fn ends_of_itself(way: &Way) {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, accepted) = server_with_backup(folder.path()).await;
    let data = folder.path().join("data");
    (way.change)(&data).unwrap();
    let after = publish(&server.admin).await;
    assert!(after.is_err(), "{}: {after:?} was accepted", way.what);
    assert_eq!(server.wait().await.code(), Some(1), "{}: {}", way.what, server.log());
    assert!(server.log().contains(way.named), "{}: {}", way.what, server.log());
    if let Some(take_back) = way.take_back {
        take_back(&data).unwrap();
        refuse_missing(&Server::start(folder.path(), &[]).await, &accepted).await;
    }
}

/// The same while nobody asks for anything.
async fn ends_in_silence(way: &Way) {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, _) = server_with_backup(folder.path()).await;
    (way.change)(&folder.path().join("data")).unwrap();
    assert_eq!(server.wait().await.code(), Some(1), "{}: {}", way.what, server.log());
}

/// Told to end, it leaves what lies there as it lies there.
async fn ends_when_told(way: &Way) {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, accepted) = server_with_backup(folder.path()).await;
    let data = folder.path().join("data");
    (way.change)(&data).unwrap();
    let before = files(&data);
    server.terminate();
    assert_eq!(server.wait().await.code(), Some(1), "{}: {}", way.what, server.log());
    assert!(files(&data) == before, "{}", way.what);
    if let Some(take_back) = way.take_back {
        take_back(&data).unwrap();
        refuse_missing(&Server::start(folder.path(), &[]).await, &accepted).await;
    }
}

/// The database as it lies there, and whether there is a log: its end may be written to until that is noticed.
fn files(data: &Path) -> (Option<Vec<u8>>, bool) {
    (std::fs::read(data.join("posthaste.db")).ok(), data.join("posthaste.db-wal").exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_into_a_store_that_was_replaced_beneath_the_server() {
    let mut tried = 0;
    for way in WAYS {
        ends_of_itself(way).await;
        ends_in_silence(way).await;
        ends_when_told(way).await;
        tried += 3;
    }
    println!("counted | store | stores replaced, removed or cut beneath the running program | {tried}");
}

/// Makes a second name for a file.
type Link = fn(&Path, &Path) -> io::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_under_a_second_name_or_behind_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, accepted) = server_with_backup(folder.path()).await;
    let (data, second) = (folder.path().join("data"), folder.path().join("second"));
    let serve = |data| run(folder.path(), &["serve", "--data", data, "--listen", "127.0.0.1:0"]);
    let linked: [(&str, Link, &str); 4] = [
        ("posthaste.db", |from, to| std::fs::hard_link(from, to), "more than one name"),
        ("posthaste.db", |from, to| std::os::unix::fs::symlink(from, to), "symbolic link"),
        ("posthaste.db-wal", |from, to| std::fs::hard_link(from, to), "more than one name"),
        ("posthaste.db-wal", |from, to| std::os::unix::fs::symlink(from, to), "symbolic link"),
    ];
    for (name, link, why) in &linked {
        std::fs::create_dir(&second).unwrap();
        for copied in ["posthaste.db", "master.key", "admin.token"] {
            std::fs::copy(data.join(copied), second.join(copied)).unwrap();
        }
        let _ = std::fs::remove_file(second.join(name));
        link(&data.join(name), &second.join(name)).unwrap();
        let refused = sentence(&serve("second"), 1);
        assert!(refused.contains(&format!("{name} ")) && refused.contains(why), "{refused}");
        std::fs::remove_dir_all(&second).unwrap();
    }
    assert_eq!(server.status("/readyz").await, 200);
    server.terminate();
    assert_eq!(server.wait().await.code(), Some(0));
    // The folder may be a link.
    std::fs::rename(&data, &second).unwrap();
    std::os::unix::fs::symlink("second", &data).unwrap();
    refuse_missing(&Server::start(folder.path(), &[]).await, &accepted).await;
    println!("counted | store | ways of giving a store a second name | {}", linked.len());
}
