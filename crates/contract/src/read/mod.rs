//! From text to [`Contract`].
//!
//! `node` walks the tree and reports, one file for each group of parts compiles them, and `check` looks at the whole
//! for contradictions.

mod nearest;
mod report;

mod node;

mod access;
mod delivery;
mod errors;
mod events;
mod inputs;
mod routes;
mod views;

mod check;

use toml::de::DeTable;

use crate::finding::{Finding, Severity};
use crate::model::{Basis, Contract, Ids, Index, Input, Op, Route};
use node::Table;
use report::Report;

/// The version of the file format this crate reads.
const FORMAT_VERSION: i64 = 1;

impl Contract {
    /// Reads a contract. On success come the warnings along, on failure every error and warning, in file order.
    ///
    /// # Errors
    /// If there is at least one finding of severity error.
    pub fn read(file_name: &str, text: &str) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let report = Report::new(file_name, text);
        let (root, faults) = DeTable::parse_recoverable(text);
        for fault in &faults {
            report.error(&fault.span().unwrap_or(0..0), "", fault.message().to_owned());
        }
        if !faults.is_empty() {
            return Err(report.into_findings());
        }
        let contract = compile(Table::root(&report, &root));
        check::whole(&contract, &root, &report);
        let findings = report.into_findings();
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            Err(findings)
        } else {
            Ok((contract, findings))
        }
    }
}

/// The names that parts refer to each other by, gathered before any part is compiled.
struct Names {
    auth: Vec<String>,
    views: Vec<String>,
    inputs: Vec<String>,
    rates: Vec<String>,
    extensions: Vec<String>,
}

impl Names {
    fn gather(root: &Table<'_>) -> Self {
        let under = |key: &'static str| -> Vec<String> {
            let table = root.get(key).filter(node::Node::is_table).and_then(|node| node.table());
            table.map(|table| table.named().into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
        };
        Self {
            auth: under("auth"),
            views: under("views"),
            inputs: under("inputs"),
            rates: under("rates"),
            extensions: under("extension"),
        }
    }
}

/// A body that nothing is required of may be left out, but not where it is the point of the request.
fn may_be_left_out(input: &Input, routes: &[Route], index: Index) -> bool {
    let is_the_point = |route: &Route| matches!(route.op, Op::WebhookCreate | Op::WebhookUpdate);
    let mut readers = routes.iter().filter(|route| route.input == Some(index));
    !readers.any(is_the_point) && !input.fields.iter().any(|field| field.required)
}

fn compile(root: Table<'_>) -> Contract {
    let names = Names::gather(&root);
    if let Some(version) = root.need("contract") {
        version.int(FORMAT_VERSION..=FORMAT_VERSION);
    }
    let default_basis = root.basis(Basis::Seed);
    let ids = access::ids(&root);
    let signatures = delivery::signatures(&root);
    let views = views::views(&root, &names);
    let events = events::catalogue(&root, &names, default_basis);
    let mut inputs = inputs::inputs(&root, &names, &events);
    let rates = access::rates(&root, default_basis);
    let access = access::access(&root);
    let routes =
        routes::routes(&root, &names, &routes::Around { access: &access, rates: &rates }, default_basis);
    for (index, input) in inputs.iter_mut().enumerate() {
        input.body_optional = may_be_left_out(input, &routes, index);
    }
    let contract = Contract {
        name: root.need_str("name"),
        title: root.need_str("title"),
        version: root.text("version"),
        servers: root.strings("servers"),
        auth: access::auth(&root),
        access,
        ids: Ids { test_event: routes::test_event_id(&root, &ids.event), ..ids },
        secret: access::secret(&root),
        events,
        extensions: names.extensions.clone(),
        views,
        inputs,
        routes,
        limits: access::limits(&root),
        rates: rates.into_iter().map(|(rate, _)| rate).collect(),
        payload: delivery::payload(&root, &names),
        signatures,
        delivery: delivery::rules(&root),
        policy: delivery::policy(&root),
        rotation: delivery::rotation(&root),
        errors: errors::errors(&root, &names),
    };
    delivery::verification(&root);
    root.finish();
    contract
}
