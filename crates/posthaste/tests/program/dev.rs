//! `posthaste dev` shows a verified delivery for every contract, and ends when it is told to.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::support::{json_lines, program, run};
use serde_json::Value;

fn first_delivery(contract: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["dev", "--json", "--exit-after-delivery", "--contract", contract]);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("everybody on this machine"), "{told}");
    json_lines(&output).remove(0)
}

#[test]
fn every_contract_ends_in_a_verified_delivery() {
    for contract in posthaste_contract::builtin::names() {
        let delivery = first_delivery(contract);
        assert_eq!(delivery["verified"], true, "{contract}: {delivery}");
        assert_eq!(delivery["method"], "POST", "{contract}");
        assert!(delivery["event_type"].is_string(), "{contract}: {delivery}");
    }
}

#[test]
fn a_contract_from_a_file_does_too() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/examples/pagerduty.toml");
    assert_eq!(first_delivery(file)["verified"], true);
}

#[test]
fn it_stays_up_with_lines_to_paste_that_work() {
    for contract in posthaste_contract::builtin::names() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = program(folder.path(), &["dev", "--listen", "127.0.0.1:0", "--contract", contract])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let printed: Vec<String> =
            lines.by_ref().map(Result::unwrap).take_while(|line| !line.starts_with("Ctrl-C")).collect();
        let printed = printed.join("\n");
        assert!(printed.contains("signature verified"), "{printed}");
        for (what, expected) in [
            ("# register another webhook", "/hooks/second"),
            ("# list webhooks", "/hooks/demo"),
            ("# publish an event", "created_at"),
        ] {
            let script = printed.split(what).nth(1).unwrap().split("\n\n").next().unwrap();
            let answer = Command::new("sh").arg("-c").arg(script.trim()).output().unwrap();
            let answer = String::from_utf8(answer.stdout).unwrap();
            assert!(answer.contains(expected), "{contract}: {script}\n{answer}");
        }
        let delivered =
            lines.next().unwrap().unwrap_or_default() + &lines.next().unwrap().unwrap_or_default();
        assert!(delivered.contains("signature verified"), "{delivered}");
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn it_can_be_shown_again_on_a_data_folder_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let arguments = [
            "dev",
            "--json",
            "--exit-after-delivery",
            "--listen",
            "127.0.0.1:0",
            "--data",
            "kept",
            "--contract",
            "pipai",
        ];
        assert_eq!(json_lines(&run(folder.path(), &arguments))[0]["verified"], true);
    }
}
