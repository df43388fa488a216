//! Contracts from the outside: files in, documents and headers out.

mod support;

mod builtin;
mod documents;
mod inputs;
mod mistakes;
mod payloads;
mod signatures;
