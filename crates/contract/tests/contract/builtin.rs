//! The contracts that come along can be read, and so can the examples.

use expect_test::expect;
use posthaste_contract::{Contract, builtin};

#[test]
fn every_built_in_contract_reads_without_errors() {
    assert_eq!(builtin::names(), ["aioka", "aira", "elydora", "pipai", "standard"]);
    let mut warnings = String::new();
    for name in builtin::names() {
        let text = builtin::text(name).unwrap();
        let (contract, found) = Contract::read(&format!("{name}.toml"), text).unwrap_or_else(|found| {
            panic!("{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        assert_eq!(contract.name, name);
        warnings.extend(found.iter().map(|finding| format!("{finding}\n")));
    }
    expect![[r#"
        pipai.toml:29:1: warning: ids.endpoint: 32 free bits are few: among 10000 webhooks the odds that two would draw the same id are 1.2 %
    "#]].assert_eq(&warnings);
}

#[test]
fn every_example_reads_without_findings() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let found = Contract::read(&path.display().to_string(), &text).map(|(_, found)| found);
            assert_eq!(found, Ok(Vec::new()), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0);
}
