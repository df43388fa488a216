//! Hostile receivers, as the log of deliveries tells of them. The rows are those of the transport's own tests.

#[path = "../../../net/tests/sockets/rig/authority.rs"]
mod authority;
#[expect(dead_code, reason = "what the transport's tests need besides")]
#[path = "../../../net/tests/sockets/rig/receiver.rs"]
mod receiver;
#[path = "../../../net/tests/sockets/rig/rows.rs"]
mod rows;
#[path = "../../../net/tests/sockets/rig/tls_rows.rs"]
mod tls_rows;

mod waits;
mod world;

mod crowd;
mod few_files;
mod records;
