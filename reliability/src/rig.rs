//! What the parts try the program with: a process of its own, products that publish, receivers that write everything
//! down, and the books that are held against each other at the end.

pub mod clock;
pub mod contract;
pub mod ledger;
pub mod opening;
pub mod preload;
pub mod scratch;

pub mod listener;
pub mod wait;

pub mod signature;

pub mod diary;
pub mod receiver;

pub mod client;
pub mod publishing;

pub mod publishers;

pub mod server;

pub mod fail;
pub mod small_disk;

pub mod stored;
pub mod traffic;
pub mod world;
