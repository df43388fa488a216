//! The binary: settings, commands, and how the parts of the server are put together.
//!
//! Nothing is decided here. Modules stand in reading order; each uses only those above it.

pub mod failure;
pub mod open_files;
pub mod outside;
pub mod signals;

pub mod settings;

pub mod output;

pub mod contract_file;
pub mod data_folder;

pub mod trust;

pub mod http_client;

pub mod admin_client;

pub mod certificate;
pub mod receiver;

pub mod verdict;

pub mod commands;

pub mod logging;
pub mod server;

pub mod serve;

pub mod dev;

pub mod cli;
