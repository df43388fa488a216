//! The public API as customers meet it: real store, real sockets, bytes in and bytes out.

mod rig;

mod registration;

mod credentials;
mod signed;
