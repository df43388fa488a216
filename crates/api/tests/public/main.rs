//! The public API as customers meet it: real store, real sockets, bytes in and bytes out.

#[cfg(test)]
mod rig;

#[cfg(test)]
mod documents;
#[cfg(test)]
mod registration;

#[cfg(test)]
mod credentials;
#[cfg(test)]
mod guessing;
#[cfg(test)]
mod signed;

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod guarded_urls;
#[cfg(test)]
mod http_level;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod order;
#[cfg(test)]
mod probed;
#[cfg(test)]
mod slow_clients;
#[cfg(test)]
mod targets;

#[cfg(test)]
mod audit;
#[cfg(test)]
mod management;
#[cfg(test)]
mod queries;
#[cfg(test)]
mod reading;

#[cfg(test)]
mod mutations;
